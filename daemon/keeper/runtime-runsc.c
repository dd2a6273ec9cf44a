/* SPDX-License-Identifier: Apache-2.0 */
/* What is different: no descriptor but 0, 1 and 2 gets in, so init finds its program and a socket
 * to connect to in a directory of the sandbox's, which is shown at /run/sandboxd; and nobody can
 * mount anything afterwards, so the mounts of a claim are in the bundle. The namespaces' limits are
 * not ours to set: its processes are not the host's.
 *
 * The program ends and leaves two processes: the kernel, whose pid is the sandbox's, and the gofer,
 * which opens files for it and ends with it. */

#include "runtime-runsc.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bundle.h"
#include "claim.h"
#include "creation.h"
#include "files.h"
#include "macro.h"
#include "root.h"
#include "trash.h"

#define RUN_PATH TREE_PATH "/bundle/%s/run"

/* ---- before: in the keeper itself ---- */

static int make_run(const struct runtime_job *job)
{
	char path[CREATION_PATH_MAX];
	int r;

	r = dir_make_at(job->tree->bundle, job->id, (struct owned){ 0, 0711 });
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), RUN_PATH, job->id);
	r = dir_make_at(AT_FDCWD, path, (struct owned){ ids_root(job->ids), 0755 });
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), RUN_PATH "/init", job->id);
	return link(TREE_PATH "/init/readable", path) < 0 ? -errno : 0;
}

/* The socket that init connects to, once. */
static int listen_for_init(const struct runtime_job *job)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = make_run(job);

	if (r < 0 || fd < 0)
		return r < 0 ? r : -errno;
	if (snprintf(address.sun_path, sizeof(address.sun_path), RUN_PATH "/socket", job->id) >=
	    (int)sizeof(address.sun_path))
		return -ENAMETOOLONG;
	if (bind(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) < 0 ||
	    chmod(address.sun_path, 0777) < 0 || listen(fd, 1) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* ---- in the worker ---- */

static int copy_program(const struct creation *c)
{
	char path[CREATION_PATH_MAX];
	CLEANUP_FD int to = -1;
	int r;

	(void)snprintf(path, sizeof(path), RUN_PATH "/seccomp", c->job->id);
	to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0 || lseek(c->job->seccomp, 0, SEEK_SET) < 0)
		return -errno;
	r = file_copy(c->job->seccomp, to);
	if (r < 0)
		return r;
	return fchmod(to, 0444) < 0 ? -errno : 0;
}

static int write_bundle(const struct creation *c)
{
	char run[CREATION_PATH_MAX], mounts[CREATION_PATH_MAX];
	char path[CREATION_PATH_MAX + 16];
	const struct bundle b = { .ids = c->job->ids,
				  .own_root = root_is_own(c->job),
				  .root = c->merged,
				  .gvisor_run = run,
				  .mounts = c->job->mounts,
				  .mounts_path = mounts,
				  .network_host = c->job->flags & KEEPER_CREATE_NETWORK_HOST };

	(void)snprintf(run, sizeof(run), RUN_PATH, c->job->id);
	(void)snprintf(mounts, sizeof(mounts), TREE_PATH "/mounts/%s", c->job->id);
	(void)snprintf(path, sizeof(path), "%s/config.json", c->bundle);
	return bundle_write(AT_FDCWD, path, &b);
}

/* In the namespace: becomes its root and the program. */
static void run_inside(const struct creation *c, int go, const char *const *argv)
{
	char byte;

	if (read(go, &byte, 1) != 1)
		_exit(126); /* the other one has said why */
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		creation_child_failed("sandbox root", -errno);
	creation_execute(c, argv);
}

/* gVisor makes user namespaces of its own in different ways with and without the host's network,
 * and one of them does not fit the owner's place in our map. So it is started in ours; and in a
 * network namespace of ours, because its control socket is an abstract one that takes every host
 * user for the one it knows. With the host's network it knows only the sandbox's root. */
static void run_in_namespace(const struct creation *c, const char *const *argv)
{
	const bool host = c->job->flags & KEEPER_CREATE_NETWORK_HOST;
	const unsigned long flags = CLONE_NEWUSER | (host ? 0ul : CLONE_NEWNET) | SIGCHLD;
	int go[2], r, status = 126 << 8;
	pid_t pid;

	/* making cgroups as another fsuid took it, and with it the maps' files from us */
	(void)prctl(PR_SET_DUMPABLE, 1);
	if (pipe2(go, O_CLOEXEC) < 0)
		creation_child_failed("pipe", -errno);
	pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
	if (pid < 0)
		creation_child_failed("user namespace", -errno);
	if (pid == 0) {
		(void)close(go[1]); /* else it would wait for itself */
		run_inside(c, go[0], argv);
	}
	r = ids_map_sandbox(pid);
	if (r < 0)
		creation_child_failed("maps", r);
	if (write(go[1], "", 1) != 1 || waitpid(pid, &status, 0) < 0)
		creation_child_failed("user namespace", -errno);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 126);
}

static void run_program(const struct creation *c, const struct creation_fds *fds)
{
	static char root[CREATION_PATH_MAX], pid_file[CREATION_PATH_MAX + 8];
	const char *const argv[] = {
		"runsc",
		"--root",
		root,
		c->job->flags & KEEPER_CREATE_NETWORK_HOST ? "--network=host" : "--network=none",
		"--ignore-cgroups",
		"--platform=ptrace",
		"--host-uds=open", /* for init; and for sockets in workspaces, as elsewhere */
		"run",
		"--detach",
		"--pid-file",
		pid_file,
		"--bundle",
		c->bundle,
		c->job->name,
		NULL,
	};

	(void)snprintf(root, sizeof(root), TREE_PATH "/" TREE_RUNTIME_NAME "/%s", c->job->name);
	(void)snprintf(pid_file, sizeof(pid_file), "%s/pid", c->bundle);
	creation_prepare_child(c, fds);
	run_in_namespace(c, argv);
}

static int create(struct creation *c)
{
	int r;

	if ((r = root_make_upper(c)) < 0)
		return creation_fail(c, r, "writable layer");
	if ((c->job->flags & KEEPER_CREATE_NETWORK_HOST) && (r = root_copy_resolver(c)) < 0)
		return creation_fail(c, r, "resolv.conf");
	if ((r = root_mount(c)) < 0)
		return creation_fail(c, r, "overlay");
	if (c->job->mounts && c->job->mounts->git_config &&
	    (r = root_add_git_config(c, c->job->mounts->git_config)) < 0)
		return creation_fail(c, r, "/etc/gitconfig");
	if ((r = copy_program(c)) < 0 || (r = write_bundle(c)) < 0)
		return creation_fail(c, r, "bundle");
	if ((r = creation_run_program(c, run_program)) < 0)
		return r;
	if ((r = creation_wait_dial(c)) < 0)
		return creation_fail(c, r, "init did not come up");
	return 0;
}

/* ---- afterwards ---- */

static void remove_scaffold(const struct creation *c)
{
	const struct runtime_job *job = c->job;
	char path[CREATION_PATH_MAX];

	(void)umount2(c->merged, MNT_DETACH); /* EINVAL: not mounted */
	(void)unlinkat(job->tree->merged, job->id, AT_REMOVEDIR);
	claim_detach(job->tree, job->id);
	(void)snprintf(path, sizeof(path), "%s/run", job->id);
	trash_remove_flat(job->tree->bundle, path);
	trash_remove_flat(job->tree->bundle, job->id);
	trash_remove_flat(job->tree->runtime, job->name);
}

static void runsc_create(void *arg)
{
	creation_run(arg, create, remove_scaffold);
}

static void runsc_clean(void *arg)
{
	creation_clean(arg, remove_scaffold);
}

const struct runtime_kind runtime_runsc = {
	.name = "runsc",
	.has_program = true,
	.by_path = true,
	.filtered = true,
	.listen = listen_for_init,
	.create = runsc_create,
	.clean = runsc_clean,
};
