/* SPDX-License-Identifier: Apache-2.0 */
/* Files, network and ids are the host's. What is of its own: a PID namespace, for init must be able
 * to end everything; a user namespace in which the owner has his own number again and nobody else
 * exists; a mount namespace, for /proc must show that PID namespace and our tree must not be seen.
 *
 * Three processes. The middle one is in our user namespace: it joins the cgroup, leaves our tree
 * behind (later that would be a locked mount), and writes the maps of its child, which becomes
 * init. It ends then, and the worker adopts init. */

#include "runtime-host.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "creation.h"
#include "files.h"
#include "macro.h"
#include "trash.h"

#define INIT_FD_HIGH 70 /* beyond what is placed for init */

/* ---- in the child that becomes init ---- */

static int become_owner(const struct ids *ids)
{
	/* a single id: setgroups is denied, and the groups stay as they are */
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return -errno;
	if (syscall(SYS_setresgid, ids->group, ids->group, ids->group) < 0 ||
	    syscall(SYS_setresuid, ids->owner, ids->owner, ids->owner) < 0)
		return -errno;
	return 0;
}

static void run_init(const struct creation *c, int go, int program)
{
	static const char *const argv[] = { "sandbox-init", NULL };
	static const char *const envp[] = { "PATH=/usr/local/bin:/usr/bin:/bin", NULL };
	char byte;
	int r;

	if (read(go, &byte, 1) != 1)
		_exit(126); /* the other one has said why */
	(void)close_fd(go);
	r = become_owner(c->job->ids);
	if (r < 0)
		creation_child_failed("owner", r);
	r = creation_keep_capabilities();
	if (r < 0)
		creation_child_failed("capabilities", r);
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		creation_child_failed("/proc", -errno);
	(void)execveat(program, "", (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)envp,
		       AT_EMPTY_PATH);
	creation_child_failed("sandbox-init", -errno);
}

/* ---- in the middle ---- */

static int write_map(pid_t pid, const char *file, unsigned inside)
{
	char path[64], text[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	(void)snprintf(text, sizeof(text), "%u %d 1\n", inside, KEEPER_ID_AGENT);
	return file_put_at(AT_FDCWD, path, text);
}

static int map_child(const struct ids *ids, pid_t pid)
{
	char path[64];
	int r;

	if (ids->map == KEEPER_MAP_SINGLE) {
		(void)snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
		r = file_put_at(AT_FDCWD, path, "deny");
		if (r < 0)
			return r;
	}
	r = write_map(pid, "gid_map", ids->group);
	return r < 0 ? r : write_map(pid, "uid_map", ids->owner);
}

static int note_pid(const struct creation *c, pid_t pid)
{
	char path[CREATION_PATH_MAX], text[32];

	(void)snprintf(path, sizeof(path), "%s/pid", c->job->id);
	(void)snprintf(text, sizeof(text), "%d\n", (int)pid);
	return file_make_at(c->job->tree->bundle, path, text, (struct owned){ 0, 0600 });
}

static int open_init(void)
{
	int fd = open(TREE_INIT, O_PATH | O_CLOEXEC);
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, INIT_FD_HIGH);

	(void)close_fd(fd);
	return high < 0 ? -errno : high;
}

static void start_init(const struct creation *c, const struct creation_fds *fds)
{
	const unsigned long flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS;
	int program = open_init();
	int go[2], r;
	pid_t pid;

	if (program < 0)
		creation_child_failed("sandbox-init", program);
	creation_prepare_child(c, fds);
	if (pipe2(go, O_CLOEXEC) < 0 || fcntl(go[0], F_DUPFD_CLOEXEC, INIT_FD_HIGH) < 0)
		creation_child_failed("pipe", -errno);
	/* making cgroups as another fsuid took it, and with it the maps' files from us */
	(void)prctl(PR_SET_DUMPABLE, 1);
	if (unshare(CLONE_NEWNS) < 0 || umount2(TREE_PATH, MNT_DETACH) < 0)
		creation_child_failed("mount namespace", -errno);
	pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0)
		creation_child_failed("namespaces", -errno);
	if (pid == 0) {
		(void)close(go[1]); /* else it would wait for itself */
		run_init(c, go[0], program);
	}
	r = map_child(c->job->ids, pid);
	if (r == 0)
		r = note_pid(c, pid);
	if (r < 0)
		creation_child_failed("maps", r);
	if (write(go[1], "", 1) != 1)
		creation_child_failed("maps", -errno);
	_exit(0);
}

/* ---- in the worker ---- */

static int create(struct creation *c)
{
	pid_t middle = -1;
	int r;

	/* for the record of what a claim makes */
	r = mkdirat(c->job->tree->upper, c->job->id, 0700) < 0 && errno != EEXIST ? -errno : 0;
	if (r == 0)
		r = dir_make_at(c->job->tree->bundle, c->job->id, (struct owned){ 0, 0700 });
	if (r < 0)
		return creation_fail(c, r, "directory");
	if ((r = creation_start(c, start_init, &middle)) < 0)
		return creation_fail(c, r, "starting init");
	if ((r = creation_wait_program(c, middle)) < 0)
		return creation_fail(c, r, "init cannot be started");
	if ((r = creation_read_pid(c)) < 0)
		return creation_fail(c, r, "init's pid");
	if ((r = creation_wait_ready(c)) < 0)
		return creation_fail(c, r, "init did not come up");
	return 0;
}

static void discard(const struct runtime_job *job)
{
	if ((job->flags & KEEPER_CREATE_REUSE) == 0 || (job->flags & KEEPER_CREATE_DISCARD))
		(void)runtime_discard_upper(job->tree, job->id); /* swept at the next start */
}

static void host_create(void *arg)
{
	static struct creation c;
	const struct runtime_job *job = arg;

	creation_begin(&c, job);
	if (create(&c) < 0) {
		worker_kill_children();
		discard(job);
		c.result.pid = 0;
	} else {
		c.result.reason[0] = '\0';
	}
	trash_remove_flat(job->tree->bundle, job->id);
	worker_answer(&c.result);
}

static void host_clean(void *arg)
{
	static struct worker_result result;
	const struct runtime_job *job = arg;

	trash_remove_flat(job->tree->bundle, job->id);
	discard(job);
	worker_answer(&result);
}

const struct runtime_kind runtime_host = {
	.name = "host",
	.create = host_create,
	.clean = host_clean,
};
