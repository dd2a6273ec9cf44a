/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing is kept per sandbox but its name: directories are found again through the hierarchy's
 * descriptor, so 1000 sandboxes cost no descriptors. The kernel gives a new cgroup and its files to
 * the fsuid that makes it (cgroup_kn_set_ugid), hence setfsuid() around mkdirat(). */

#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dumpable.h"
#include "files.h"
#include "macro.h"

#define CGROUP_PATH_MAX 512

/* Joins a cgroup's name and one of its files; both are bounded (name_good, our own literals). */
#define CGROUP_FILE(buf, name, file) ((void)snprintf(buf, sizeof(buf), "%s/%s", name, file))

void cgroups_init(struct cgroups *c, const struct ids *ids)
{
	memset(c, 0, sizeof(*c));
	c->ids = ids;
}

void cgroups_deinit(struct cgroups *c)
{
	size_t i;

	for (i = 0; i < c->count; i++)
		c->list[i].fd = close_fd(c->list[i].fd);
	c->count = 0;
}

/* A foreign fsuid takes the file capabilities out of the effective set; the parent directory may
 * need them. */
static void raise_capabilities(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) < 0)
		return;
	d[0].effective = d[0].permitted;
	d[1].effective = d[1].permitted;
	(void)syscall(SYS_capset, &h, d); /* then mkdirat says EACCES, which is reported */
}

static int make_fenced(int dir, const char *name, uid_t fence)
{
	int r = 0;

	(void)setfsgid(fence);
	(void)setfsuid(fence);
	raise_capabilities();
	if (mkdirat(dir, name, 0755) < 0)
		r = -errno;
	(void)setfsuid(0);
	(void)setfsgid(0);
	dumpable_restore();
	return r;
}

/* Moving its own, single thread takes no lock that all forks and exits on the machine respect:
 * through v1's `tasks` 30 us, through cgroup.procs an RCU grace period, up to 15 ms. */
static int join(int dir, const char *name)
{
	char path[CGROUP_PATH_MAX];
	int r;

	CGROUP_FILE(path, name, "tasks");
	r = file_put_at(dir, path, "0");
	if (r != -ENOENT)
		return r;
	CGROUP_FILE(path, name, "cgroup.procs");
	return file_put_at(dir, path, "0");
}

static int can_join(int dir, const char *name)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(join(dir, name) < 0);
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EACCES;
}

static const struct {
	uint32_t controller;
	const char *file[2]; /* by version - 1: present when the controller is there */
} probes[] = {
	{ KEEPER_CONTROLLER_MEMORY, { "memory.limit_in_bytes", "memory.max" } },
	{ KEEPER_CONTROLLER_CPU, { "cpu.cfs_quota_us", "cpu.max" } },
	{ KEEPER_CONTROLLER_PIDS, { "pids.max", "pids.max" } },
	{ KEEPER_CONTROLLER_FREEZER, { "freezer.state", "cgroup.freeze" } },
	{ KEEPER_CONTROLLER_CPUACCT, { "cpuacct.usage", "cpu.stat" } },
};

static uint32_t present(int dir, const char *name, uint32_t version)
{
	char path[CGROUP_PATH_MAX];
	uint32_t found = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		CGROUP_FILE(path, name, probes[i].file[version - 1]);
		if (faccessat(dir, path, F_OK, 0) == 0)
			found |= probes[i].controller;
	}
	return found;
}

/* v2: children get a controller only if their parent says so. That may be impossible (processes in
 * the parent); then the probe finds what is missing. */
static void enable_controllers(int dir)
{
	static const char *const wanted[] = { "+memory", "+pids", "+cpu" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		(void)file_put_at(dir, "cgroup.subtree_control", wanted[i]); /* see above */
}

void cgroups_add(struct cgroups *c, int fd, const struct keeper_cgroup *given, const char *probe)
{
	uint32_t found = 0;

	if (c->count == ARRAY_SIZE(c->list) || (given->version != 1 && given->version != 2)) {
		(void)close_fd(fd);
		return;
	}
	if (given->version == 2)
		enable_controllers(fd);
	if (make_fenced(fd, probe, ids_fence(c->ids)) == 0) {
		if (can_join(fd, probe) == 0)
			found = present(fd, probe, given->version);
		(void)unlinkat(fd, probe, AT_REMOVEDIR); /* empty: the child is reaped */
	}
	if (given->version == 1)
		found &= given->controllers;
	if (found == 0) {
		(void)close_fd(fd);
		return;
	}
	c->list[c->count++] = (struct cgroup_hierarchy){ fd, found, given->version };
	c->controllers |= found;
}

static void format_cpu(char *value, size_t size, uint32_t version, uint32_t cpu_milli)
{
	uint64_t quota = (uint64_t)cpu_milli * CGROUP_CPU_PERIOD_USEC / 1000;

	if (quota < 1000)
		quota = 1000; /* the kernel's least */
	if (version == 2)
		(void)snprintf(value, size, "%" PRIu64 " %d", quota, CGROUP_CPU_PERIOD_USEC);
	else
		(void)snprintf(value, size, "%" PRIu64, quota);
}

/* v1 memory: memsw may not be below limit, so when both rise the limit is only taken the second
 * time; the first is allowed to fail. */
static const struct {
	uint32_t controller;
	const char *file[2];
	const char *lift[2]; /* what a new cgroup has: no limit */
	int optional;
} settings[] = {
	{ KEEPER_CONTROLLER_MEMORY, { "memory.limit_in_bytes", NULL }, { "-1", NULL }, 1 },
	{ KEEPER_CONTROLLER_MEMORY, { "memory.memsw.limit_in_bytes", NULL }, { "-1", NULL }, 1 },
	{ KEEPER_CONTROLLER_MEMORY, { "memory.limit_in_bytes", "memory.max" }, { "-1", "max" }, 0 },
	{ KEEPER_CONTROLLER_MEMORY, { NULL, "memory.swap.max" }, { NULL, "max" }, 1 },
	{ KEEPER_CONTROLLER_CPU, { "cpu.cfs_quota_us", "cpu.max" }, { "-1", "max" }, 0 },
	{ KEEPER_CONTROLLER_PIDS, { "pids.max", "pids.max" }, { "max", "max" }, 0 },
};

static void format_value(struct cgroup_setting *s, uint32_t version, size_t i,
			 const struct keeper_limits *limits)
{
	const char *lift = settings[i].lift[version - 1];

	(void)snprintf(s->value, sizeof(s->value), "%s", lift ? lift : "");
	if (s->controller == KEEPER_CONTROLLER_MEMORY && limits->memory_bytes > 0) {
		if (s->file && strcmp(s->file, "memory.swap.max") == 0)
			(void)snprintf(s->value, sizeof(s->value), "0");
		else
			(void)snprintf(s->value, sizeof(s->value), "%" PRIu64,
				       limits->memory_bytes);
	} else if (s->controller == KEEPER_CONTROLLER_CPU && limits->cpu_milli > 0) {
		format_cpu(s->value, sizeof(s->value), version, limits->cpu_milli);
	} else if (s->controller == KEEPER_CONTROLLER_PIDS && limits->pids > 0) {
		(void)snprintf(s->value, sizeof(s->value), "%u", limits->pids);
	}
}

int cgroup_setting(uint32_t version, size_t i, const struct keeper_limits *from,
		   const struct keeper_limits *to, struct cgroup_setting *ret)
{
	char was[sizeof(ret->value)];

	if (i >= ARRAY_SIZE(settings))
		return -ENOENT;
	ret->controller = settings[i].controller;
	ret->file = settings[i].file[version - 1];
	ret->optional = settings[i].optional;
	format_value(ret, version, i, from);
	memcpy(was, ret->value, sizeof(was));
	format_value(ret, version, i, to);
	if (strcmp(was, ret->value) == 0)
		ret->value[0] = '\0';
	return 0;
}

static int limit_hierarchy(const struct cgroup_hierarchy *h, const char *name,
			   const struct keeper_limits *from, const struct keeper_limits *to)
{
	char path[CGROUP_PATH_MAX];
	struct cgroup_setting s;
	size_t i;
	int r;

	for (i = 0; cgroup_setting(h->version, i, from, to, &s) == 0; i++) {
		if (!s.file || s.value[0] == '\0' || (h->controllers & s.controller) == 0)
			continue;
		CGROUP_FILE(path, name, s.file);
		r = file_put_at(h->fd, path, s.value);
		if (r < 0 && !s.optional)
			return r;
	}
	return 0;
}

int cgroup_limit(const struct cgroups *c, const char *name, const struct keeper_limits *from,
		 const struct keeper_limits *to)
{
	size_t i;
	int r;

	for (i = 0; i < c->count; i++) {
		r = limit_hierarchy(&c->list[i], name, from, to);
		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_make(const struct cgroups *c, const char *name, const struct keeper_limits *limits)
{
	const struct keeper_limits none = { 0 };
	size_t i;
	int r = 0;

	for (i = 0; i < c->count && r >= 0; i++) {
		r = make_fenced(c->list[i].fd, name, ids_fence(c->ids));
		if (r == -EEXIST && unlinkat(c->list[i].fd, name, AT_REMOVEDIR) == 0)
			r = make_fenced(c->list[i].fd, name, ids_fence(c->ids));
	}
	if (r >= 0)
		r = cgroup_limit(c, name, &none, limits);
	if (r < 0)
		(void)cgroup_remove(c, name); /* what was made is empty */
	return r;
}

int cgroup_join(const struct cgroups *c, const char *name)
{
	size_t i;
	int r;

	for (i = 0; i < c->count; i++) {
		r = join(c->list[i].fd, name);
		if (r < 0)
			return r;
	}
	return 0;
}

static uint64_t number(const struct cgroup_hierarchy *h, const char *name, const char *file)
{
	char path[CGROUP_PATH_MAX];

	CGROUP_FILE(path, name, file);
	return file_number_at(h->fd, path);
}

static uint64_t keyed(const struct cgroup_hierarchy *h, const char *name, const char *file,
		      const char *key)
{
	char path[CGROUP_PATH_MAX];

	CGROUP_FILE(path, name, file);
	return file_keyed_number_at(h->fd, path, key);
}

static void read_hierarchy(const struct cgroup_hierarchy *h, const char *name,
			   struct keeper_counters *ret)
{
	bool v2 = h->version == 2;

	if (h->controllers & KEEPER_CONTROLLER_MEMORY) {
		ret->memory_bytes =
			number(h, name, v2 ? "memory.current" : "memory.usage_in_bytes");
		ret->memory_peak_bytes =
			number(h, name, v2 ? "memory.peak" : "memory.max_usage_in_bytes");
		ret->oom_kills =
			keyed(h, name, v2 ? "memory.events" : "memory.oom_control", "oom_kill");
	}
	if (h->controllers & KEEPER_CONTROLLER_PIDS) {
		ret->pids = number(h, name, "pids.current");
		ret->pids_max_events = keyed(h, name, "pids.events", "max");
	}
	if (h->controllers & KEEPER_CONTROLLER_CPUACCT)
		ret->cpu_usec = v2 ? keyed(h, name, "cpu.stat", "usage_usec")
				   : number(h, name, "cpuacct.usage") / 1000;
}

void cgroup_read(const struct cgroups *c, const char *name, struct keeper_counters *ret)
{
	size_t i;

	memset(ret, 0, sizeof(*ret));
	for (i = 0; i < c->count; i++)
		read_hierarchy(&c->list[i], name, ret);
}

int cgroup_open_oom(const struct cgroups *c, const char *name, uint32_t *ret_version)
{
	const struct cgroup_hierarchy *h;
	char path[CGROUP_PATH_MAX];
	size_t i;
	int fd;

	for (i = 0; i < c->count; i++) {
		h = &c->list[i];
		if ((h->controllers & KEEPER_CONTROLLER_MEMORY) == 0)
			continue;
		CGROUP_FILE(path, name, h->version == 2 ? "memory.events" : "memory.oom_control");
		fd = openat(h->fd, path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		*ret_version = h->version;
		return fd;
	}
	return -ENOENT;
}

void cgroup_kill(const struct cgroups *c, const char *name)
{
	char path[CGROUP_PATH_MAX], text[8192];
	char *word, *save;
	size_t i;
	long pid;

	CGROUP_FILE(path, name, "cgroup.procs");
	for (i = 0; i < c->count; i++) {
		if (file_get_at(c->list[i].fd, path, text, sizeof(text)) <= 0)
			continue;
		save = NULL;
		for (word = strtok_r(text, "\n", &save); word; word = strtok_r(NULL, "\n", &save)) {
			pid = strtol(word, NULL, 10);
			if (pid > 0)
				(void)kill((pid_t)pid, SIGKILL); /* may have ended by itself */
		}
	}
}

int cgroup_remove(const struct cgroups *c, const char *name)
{
	size_t i;
	int r = 0;

	for (i = 0; i < c->count; i++)
		if (unlinkat(c->list[i].fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			r = -errno;
	return r;
}
