/* SPDX-License-Identifier: Apache-2.0 */
/* A map can only be written from outside by who may use the ids, so a helper is forked before the
 * namespace is made: as root it writes the files, as a user it runs newuidmap and newgidmap. With a
 * single id the process writes its own line. */

#include "ids.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"
#include "macro.h"

#define MAP_TEXT_MAX 128

int ids_parse_map(const char *text, enum keeper_map *ret)
{
	if (strcmp(text, "owner") == 0)
		*ret = KEEPER_MAP_OWNER;
	else if (strcmp(text, "shifted") == 0)
		*ret = KEEPER_MAP_SHIFTED;
	else if (strcmp(text, "single") == 0)
		*ret = KEEPER_MAP_SINGLE;
	else
		return -EINVAL;
	return 0;
}

static bool range_good(uint32_t first, uint32_t count, uint32_t needed)
{
	return first != 0 && count >= needed && first + (count - 1) > first;
}

int ids_check(const struct ids *ids)
{
	uint32_t needed = ids->map == KEEPER_MAP_SHIFTED ? KEEPER_ID_FENCE + 1 : KEEPER_ID_FENCE;

	if (ids->map == KEEPER_MAP_SHIFTED && (ids->owner != 0 || geteuid() != 0))
		return -EINVAL;
	if (ids->map != KEEPER_MAP_SHIFTED && (ids->owner == 0 || ids->group == 0))
		return -EINVAL;
	if (ids->map == KEEPER_MAP_SINGLE)
		return 0;
	return range_good(ids->sub_uid, ids->sub_count, needed) &&
			       range_good(ids->sub_gid, ids->sub_count, needed)
		       ? 0
		       : -EINVAL;
}

int ids_map_text(const struct ids *ids, bool gid, char *buf, size_t size)
{
	uint32_t owner = gid ? ids->group : ids->owner;
	uint32_t sub = gid ? ids->sub_gid : ids->sub_uid;
	int n;

	if (ids->map == KEEPER_MAP_SHIFTED)
		n = snprintf(buf, size, "0 %u %d\n", sub, KEEPER_ID_FENCE + 1);
	else if (ids->map == KEEPER_MAP_SINGLE)
		n = snprintf(buf, size, "0 %u 1\n", owner);
	else
		n = snprintf(buf, size, "0 %u 1\n1 %u %d\n", owner, sub, KEEPER_ID_FENCE);
	return n < 0 || (size_t)n >= size ? -ENOSPC : n;
}

uid_t ids_root(const struct ids *ids)
{
	return ids->map == KEEPER_MAP_SINGLE ? 0 : KEEPER_ID_ROOT;
}

uid_t ids_fence(const struct ids *ids)
{
	return ids->map == KEEPER_MAP_SINGLE ? 0 : KEEPER_ID_FENCE;
}

bool ids_exists(const struct ids *ids, uint32_t id)
{
	return id <= (ids->map == KEEPER_MAP_SINGLE ? 0 : KEEPER_ID_FENCE);
}

int ids_map_sandbox(pid_t pid)
{
	static const char *const files[] = { "gid_map", "uid_map" };
	char path[64], text[MAP_TEXT_MAX];
	size_t i;
	int r = 0;

	(void)snprintf(text, sizeof(text), "0 %d 1000\n1000 %d 1\n1001 1001 %d\n", KEEPER_ID_ROOT,
		       KEEPER_ID_AGENT, KEEPER_ID_FENCE - 1001);
	for (i = 0; r == 0 && i < ARRAY_SIZE(files); i++) {
		(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, files[i]);
		r = file_put_at(AT_FDCWD, path, text);
	}
	return r;
}

static int write_map(pid_t pid, const struct ids *ids, bool gid)
{
	char path[64], text[MAP_TEXT_MAX];
	int r;

	r = ids_map_text(ids, gid, text, sizeof(text));
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, gid ? "gid_map" : "uid_map");
	return file_put_at(AT_FDCWD, path, text);
}

/* newuidmap PID 0 OWNER 1 1 SUB COUNT: the words of the map text are its arguments. */
static int run_newidmap(pid_t pid, const struct ids *ids, bool gid)
{
	char text[MAP_TEXT_MAX], pid_text[16];
	char *argv[16] = { NULL };
	char *save = NULL, *word;
	size_t n = 0;
	pid_t child;
	int r, status;

	r = ids_map_text(ids, gid, text, sizeof(text));
	if (r < 0)
		return r;
	(void)snprintf(pid_text, sizeof(pid_text), "%d", (int)pid);
	argv[n++] = gid ? (char *)(uintptr_t) "newgidmap" : (char *)(uintptr_t) "newuidmap";
	argv[n++] = pid_text;
	for (word = strtok_r(text, " \n", &save); word && n < ARRAY_SIZE(argv) - 1;
	     word = strtok_r(NULL, " \n", &save))
		argv[n++] = word;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		(void)execvp(argv[0], argv); /* it says itself what is wrong */
		_exit(127);
	}
	if (waitpid(child, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/* In the helper: waits until the namespace exists, then maps it. Ends the helper. */
static void __attribute__((noreturn)) map_for(pid_t pid, const struct ids *ids, int go)
{
	char byte;
	int r, gid;

	if (read(go, &byte, 1) != 1)
		_exit(1);
	for (gid = 1; gid >= 0; gid--) {
		r = geteuid() == 0 ? write_map(pid, ids, gid) : run_newidmap(pid, ids, gid);
		if (r < 0)
			_exit(-r);
	}
	_exit(0);
}

static int map_own_id(const struct ids *ids)
{
	char text[MAP_TEXT_MAX];
	int r;

	r = file_put_at(AT_FDCWD, "/proc/self/setgroups", "deny");
	if (r < 0)
		return r;
	r = ids_map_text(ids, true, text, sizeof(text));
	if (r > 0)
		r = file_put_at(AT_FDCWD, "/proc/self/gid_map", text);
	if (r < 0)
		return r;
	r = ids_map_text(ids, false, text, sizeof(text));
	if (r > 0)
		r = file_put_at(AT_FDCWD, "/proc/self/uid_map", text);
	return r;
}

static int become_owner(const struct ids *ids)
{
	if (geteuid() != 0 || ids->owner == 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(ids->group, ids->group, ids->group) < 0 ||
	    setresuid(ids->owner, ids->owner, ids->owner) < 0)
		return -errno;
	return 0;
}

static int become_root_inside(const struct ids *ids)
{
	if (ids->map != KEEPER_MAP_SINGLE && setgroups(0, NULL) < 0)
		return -errno;
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return -errno;
	/* a change of ids made us undumpable, which would give our /proc files to host root */
	return prctl(PR_SET_DUMPABLE, 1) < 0 ? -errno : 0;
}

/* Lets HELPER map us. It is reaped in any case. */
static int await_helper(pid_t helper, int go)
{
	int status;

	if (write(go, "", 1) != 1)
		return -errno;
	if (waitpid(helper, &status, 0) < 0)
		return -errno;
	if (!WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

/* Whoever made a user namespace has every right in it, and so has root. */
static int join(const struct ids *ids)
{
	if (setns(ids->join, CLONE_NEWUSER) < 0)
		return -errno;
	return become_root_inside(ids);
}

int ids_enter(const struct ids *ids)
{
	CLEANUP_FD int go_read = -1;
	CLEANUP_FD int go_write = -1;
	pid_t self = getpid(), helper;
	int r, fds[2];

	if (ids->join >= 0)
		return join(ids);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	go_read = fds[0];
	go_write = fds[1];
	helper = fork();
	if (helper < 0)
		return -errno;
	if (helper == 0) {
		go_write = close_fd(go_write);
		map_for(self, ids, go_read);
	}
	go_read = close_fd(go_read);
	r = become_owner(ids);
	if (r < 0)
		return r;
	/* newuidmap looks at the owner of /proc/PID */
	if (prctl(PR_SET_DUMPABLE, 1) < 0 || unshare(CLONE_NEWUSER) < 0)
		return -errno;
	if (ids->map == KEEPER_MAP_SINGLE) {
		go_write = close_fd(go_write); /* the helper ends at its end of file */
		(void)waitpid(helper, NULL, 0);
		r = map_own_id(ids);
	} else {
		r = await_helper(helper, go_write);
	}
	return r < 0 ? r : become_root_inside(ids);
}
