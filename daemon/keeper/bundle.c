/* SPDX-License-Identifier: Apache-2.0 */
/* No `seccomp` key (init loads the filter itself, so that it is the same for every runtime), no
 * `resources` (the keeper writes the cgroups), no hooks. */

#include "bundle.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bounds.h"
#include "files.h"
#include "macro.h"
#include "skeleton.h"

/* The runtimes' default set, and what init needs for UTS namespaces of execs and for looking at
 * their processes; init drops both for every exec. Not CAP_SETFCAP: the agent's uid stands for the
 * owner through an idmapped workspace, so capabilities for it would be those of the host's root. */
#define CAPABILITIES                                                                               \
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",   \
		"CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_KILL", "CAP_NET_BIND_SERVICE",     \
		"CAP_SYS_CHROOT", "CAP_AUDIT_WRITE", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE",

static const char *const capabilities[] = { CAPABILITIES NULL };
/* in a kernel of its own; for reading the limits that mark whose a process is (init/mark.h) */
static const char *const gvisor_capabilities[] = { CAPABILITIES "CAP_SYS_RESOURCE", NULL };

static const char *const masked_files[] = {
	"/proc/kcore",      "/proc/keys",        "/proc/latency_stats",
	"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
};

static const char *const masked_directories[] = {
	"/proc/acpi",
	"/proc/asound",
	"/proc/scsi",
	"/sys/firmware",
};

static const char *const readonly[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL,
};

static void mount_entry(struct json *j, const char *where, const char *type, const char *source,
			const char *const *options)
{
	json_begin(j, NULL, '{');
	json_string(j, "destination", where);
	json_string(j, "type", type);
	json_string(j, "source", source);
	json_strings(j, "options", options);
	json_end(j, '}');
}

#define OPTIONS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void bind_host(struct json *j, const struct bundle *b, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return;
	if (b->gvisor_run) /* which knows no recursive flags, and has only its own mounts */
		mount_entry(j, path, "bind", path, OPTIONS("rbind", "ro", "nosuid", "nodev"));
	else if (S_ISDIR(st.st_mode))
		mount_entry(j, path, "bind", path,
			    OPTIONS("rbind", "ro", "rro", "nosuid", "nodev", "rprivate"));
	else /* crun 1.8 takes everything with a recursive flag for a directory */
		mount_entry(j, path, "bind", path,
			    OPTIONS("bind", "ro", "nosuid", "nodev", "private"));
}

static void mount_devices(struct json *j, const struct bundle *b)
{
	uint64_t shm = b->shm_bytes > 0 ? b->shm_bytes : SANDBOX_SHM_DEFAULT;
	char size[48];

	(void)snprintf(size, sizeof(size), "size=%" PRIu64, shm);
	mount_entry(j, "/dev", "tmpfs", "tmpfs",
		    OPTIONS("nosuid", "strictatime", "mode=755", "size=1m"));
	if (b->ids->map == KEEPER_MAP_SINGLE) /* gid 5 does not exist */
		mount_entry(j, "/dev/pts", "devpts", "devpts",
			    OPTIONS("nosuid", "noexec", "newinstance", "ptmxmode=0666",
				    "mode=0620"));
	else
		mount_entry(j, "/dev/pts", "devpts", "devpts",
			    OPTIONS("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620",
				    "gid=5"));
	mount_entry(j, "/dev/shm", "tmpfs", "shm",
		    OPTIONS("nosuid", "noexec", "nodev", "mode=1777", size));
	mount_entry(j, "/dev/mqueue", "mqueue", "mqueue", OPTIONS("nosuid", "noexec", "nodev"));
}

static void mount_sys(struct json *j, const struct bundle *b)
{
	if (!b->network_host) {
		mount_entry(j, "/sys", "sysfs", "sysfs",
			    OPTIONS("nosuid", "noexec", "nodev", "ro"));
		return;
	}
	/* sysfs belongs to a network namespace that is not ours, and a bind of the host's would
	 * show our own tree on /sys/fs/cgroup: only what programs ask for */
	mount_entry(j, "/sys", "tmpfs", "tmpfs",
		    OPTIONS("nosuid", "noexec", "nodev", "mode=755", "size=64k"));
	bind_host(j, b, "/sys/devices/system/cpu");
}

static bool is_covered(const struct bundle *b, const char *path)
{
	struct stat st;

	if (!b->empty || (b->network_host && strncmp(path, "/sys/", 5) == 0))
		return false; /* that /sys has none */
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A runtime masks each directory with a file system of its own. The kernel has a shrinker for each
 * file system, and in each memory cgroup 16 bytes for each shrinker that there ever was at a time:
 * with a thousand sandboxes that is 16 KiB of every sandbox for one file system in each. */
static void cover(struct json *j, const struct bundle *b)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(masked_directories); i++)
		if (is_covered(b, masked_directories[i]))
			mount_entry(j, masked_directories[i], "bind", b->empty,
				    OPTIONS("bind", "ro", "nosuid", "nodev", "noexec", "private"));
}

static void mask(struct json *j, const struct bundle *b)
{
	const char *list[ARRAY_SIZE(masked_files) + ARRAY_SIZE(masked_directories) + 1];
	size_t i, n = 0;

	for (i = 0; i < ARRAY_SIZE(masked_files); i++)
		list[n++] = masked_files[i];
	for (i = 0; i < ARRAY_SIZE(masked_directories); i++)
		if (!is_covered(b, masked_directories[i]))
			list[n++] = masked_directories[i];
	list[n] = NULL;
	json_strings(j, "maskedPaths", list);
}

static void mount_claimed(struct json *j, const struct bundle *b)
{
	const struct claim_mount *m;
	char path[PATH_MAX];
	size_t i;

	for (i = 0; b->mounts && i < b->mounts->count; i++) {
		m = &b->mounts->list[i];
		(void)snprintf(path, sizeof(path), "%s/%zu", b->mounts_path, i);
		if (m->memory)
			mount_entry(j, m->target, "tmpfs", "tmpfs",
				    OPTIONS("nosuid", "nodev", "mode=700",
					    "uid=" STRINGIFY(SANDBOX_ID_AGENT),
					    "gid=" STRINGIFY(SANDBOX_ID_AGENT),
					    "size=" CLAIM_MEMORY_SIZE));
		else if (m->read_only)
			mount_entry(j, m->target, "bind", path,
				    OPTIONS("rbind", "ro", "nosuid", "nodev"));
		else
			mount_entry(j, m->target, "bind", path,
				    OPTIONS("rbind", "rw", "nosuid", "nodev"));
	}
}

/* What the host template shows of the host. */
static void mount_host(struct json *j, const struct bundle *b)
{
	static const char *const tops[] = {
		"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"
	};
	struct stat st;
	size_t i;

	bind_host(j, b, "/usr");
	for (i = 0; i < ARRAY_SIZE(tops); i++)
		if (lstat(tops[i], &st) == 0 && S_ISDIR(st.st_mode))
			bind_host(j, b, tops[i]);
	for (i = 0; skeleton_host_paths[i]; i++)
		bind_host(j, b, skeleton_host_paths[i]);
}

static void mounts(struct json *j, const struct bundle *b)
{
	json_begin(j, "mounts", '[');
	mount_entry(j, "/proc", "proc", "proc", OPTIONS("nosuid", "noexec", "nodev"));
	if (!b->gvisor_run) /* which has its own */
		mount_devices(j, b);
	mount_sys(j, b);
	cover(j, b);
	mount_entry(j, "/run", "tmpfs", "tmpfs",
		    OPTIONS("nosuid", "nodev", "mode=755", "size=16m"));
	if (!b->own_root)
		mount_host(j, b);
	if (b->gvisor_run)
		mount_entry(j, "/run/sandboxd", "bind", b->gvisor_run,
			    OPTIONS("bind", "ro", "nosuid", "nodev", "private"));
	else
		mount_entry(j, "/run/sandboxd/init", "bind", b->init,
			    OPTIONS("bind", "ro", "nosuid", "nodev", "private"));
	mount_claimed(j, b);
	json_end(j, ']');
}

static void process(struct json *j, const struct bundle *b)
{
	static const char *const sets[] = { "bounding", "effective", "inheritable", "permitted",
					    "ambient" };
	const int64_t id = b->ids->map == KEEPER_MAP_SINGLE ? SANDBOX_ID_AGENT : 0;
	size_t i;

	json_begin(j, "process", '{');
	json_bool(j, "terminal", false);
	json_begin(j, "user", '{');
	json_number(j, "uid", id);
	json_number(j, "gid", id);
	json_end(j, '}');
	if (b->gvisor_run)
		json_strings(j, "args",
			     OPTIONS("/run/sandboxd/init", "--dial", "/run/sandboxd/socket",
				     "/run/sandboxd/seccomp"));
	else
		json_strings(j, "args", OPTIONS("/run/sandboxd/init"));
	json_strings(j, "env",
		     OPTIONS("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
	json_string(j, "cwd", "/");
	json_bool(j, "noNewPrivileges", true);
	json_begin(j, "capabilities", '{');
	for (i = 0; i < ARRAY_SIZE(sets); i++)
		json_strings(j, sets[i], b->gvisor_run ? gvisor_capabilities : capabilities);
	json_end(j, '}');
	json_end(j, '}');
}

static void mapping(struct json *j, int64_t inside, int64_t outside, int64_t size)
{
	json_begin(j, NULL, '{');
	json_number(j, "containerID", inside);
	json_number(j, "hostID", outside);
	json_number(j, "size", size);
	json_end(j, '}');
}

static void mappings(struct json *j, const char *key, const struct ids *ids)
{
	json_begin(j, key, '[');
	if (ids->map != KEEPER_MAP_SINGLE) {
		mapping(j, 0, KEEPER_ID_ROOT, SANDBOX_ID_AGENT);
		mapping(j, SANDBOX_ID_AGENT + 1, SANDBOX_ID_AGENT + 1,
			KEEPER_ID_FENCE - SANDBOX_ID_AGENT - 1);
	}
	mapping(j, SANDBOX_ID_AGENT, KEEPER_ID_AGENT, 1);
	json_end(j, ']');
}

static void linux_part(struct json *j, const struct bundle *b)
{
	static const char *const namespaces[] = { "pid", "mount", "ipc", "uts", "user", "cgroup" };
	size_t i;

	json_begin(j, "linux", '{');
	json_begin(j, "namespaces", '[');
	for (i = 0; i < ARRAY_SIZE(namespaces); i++) {
		if (b->gvisor_run && strcmp(namespaces[i], "user") == 0)
			continue; /* it is started in one */
		json_begin(j, NULL, '{');
		json_string(j, "type", namespaces[i]);
		json_end(j, '}');
	}
	if (!b->network_host) {
		json_begin(j, NULL, '{');
		json_string(j, "type", "network");
		json_end(j, '}');
	}
	json_end(j, ']');
	if (!b->gvisor_run) {
		mappings(j, "uidMappings", b->ids);
		mappings(j, "gidMappings", b->ids);
	}
	json_string(j, "rootfsPropagation", "private");
	mask(j, b);
	json_strings(j, "readonlyPaths", readonly);
	json_end(j, '}');
}

void bundle_config(struct json *j, const struct bundle *b)
{
	json_begin(j, NULL, '{');
	json_string(j, "ociVersion", "1.0.2");
	json_begin(j, "root", '{');
	json_string(j, "path", b->root);
	json_bool(j, "readonly", false);
	json_end(j, '}');
	json_string(j, "hostname",
		    b->mounts && b->mounts->hostname ? b->mounts->hostname : BUNDLE_HOSTNAME);
	process(j, b);
	mounts(j, b);
	linux_part(j, b);
	json_end(j, '}');
}

int bundle_write(int dir, const char *path, const struct bundle *b)
{
	struct json j;
	int r;

	json_init(&j);
	bundle_config(&j, b);
	r = json_finish(&j) ? file_make_at(dir, path, json_finish(&j), (struct owned){ 0, 0600 })
			    : -ENOMEM;
	json_deinit(&j);
	return r;
}
