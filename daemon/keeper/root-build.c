/* SPDX-License-Identifier: Apache-2.0 */
/* Three processes: the worker waits; its child enters a user namespace with the ids of a sandbox
 * (so that files belong to its root and not to the agent), which the worker maps; the child's child
 * is the first of a pid namespace and runs the recipe in a mount namespace of its own, in which it
 * finds the layer and nothing else of ours. */

#include "root-build.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "debian.h"
#include "files.h"
#include "ids.h"
#include "layer.h"
#include "macro.h"
#include "worker.h"

#define ROOT_BUILD_PATH_MAX 512
#define TARGET "/tmp/root"

/* ---- the children ---- */

static void __attribute__((noreturn)) give_up(const char *what)
{
	(void)dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
	_exit(1);
}

/* The layer moves to TARGET, and what else the keeper has is covered. */
static void enter_view(const char *layer)
{
	if (mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		give_up("mounts");
	if (mount("build", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0 ||
	    mkdir(TARGET, 0755) < 0 || mount(layer, TARGET, NULL, MS_BIND, NULL) < 0)
		give_up("target");
	if (mount("build", TREE_PATH, "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, "size=4k") < 0)
		give_up("cover");
}

static void __attribute__((noreturn)) run_recipe(const struct root_build_job *job)
{
	const char *argv[] = { "/bin/sh", "-euc", debian_recipe, "sh", TARGET, job->suite, NULL };
	const char *env[KEEPER_ROOT_ENV_MAX + 8] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LC_ALL=C.UTF-8",
		"HOME=/tmp",
		"TMPDIR=/tmp",
		"DEBIAN_FRONTEND=noninteractive",
	};
	char layer[ROOT_BUILD_PATH_MAX];
	size_t i, n = 5;

	for (i = 0; i < job->n_env; i++)
		env[n++] = job->env[i];
	(void)snprintf(layer, sizeof(layer), TREE_STATE "/templates/.%s.tmp", job->layer);
	enter_view(layer);
	(void)umask(0022);
	if (chdir("/tmp") < 0)
		give_up("/tmp");
	(void)execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
	give_up(argv[0]);
}

/* A worker that is killed takes all of it along. Not before the ids are changed, which forgets it.
 */
static void die_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		give_up("parent");
}

/* Becomes the user namespace's root, and waits for the recipe's end. */
static void __attribute__((noreturn))
enter_namespaces(const struct root_build_job *job, pid_t worker, int ready, int go)
{
	int status;
	char byte;
	pid_t pid;

	if (dup2(job->output, STDOUT_FILENO) < 0 || dup2(job->output, STDERR_FILENO) < 0)
		_exit(1);
	/* /proc/PID is ours to map only while we are dumpable */
	if (prctl(PR_SET_DUMPABLE, 1) < 0 || unshare(CLONE_NEWUSER) < 0)
		give_up("user namespace");
	if (write(ready, "", 1) != 1 || read(go, &byte, 1) != 1)
		_exit(1);
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		give_up("ids");
	die_with(worker);
	if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC) < 0)
		give_up("namespaces");
	pid = fork();
	if (pid == 0) {
		die_with(0); /* outside of its pid namespace */
		run_recipe(job);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		give_up("fork");
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* ---- the worker ---- */

static int start_child(const struct root_build_job *job, pid_t *ret)
{
	CLEANUP_FD int ready_read = -1, ready_write = -1, go_read = -1, go_write = -1;
	const pid_t worker = getpid();
	int ready[2], go[2], r;
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	ready_read = ready[0];
	ready_write = ready[1];
	if (pipe2(go, O_CLOEXEC) < 0)
		return -errno;
	go_read = go[0];
	go_write = go[1];
	*ret = fork();
	if (*ret < 0)
		return -errno;
	if (*ret == 0) {
		go_write = close_fd(go_write);
		enter_namespaces(job, worker, ready_write, go_read);
	}
	ready_write = close_fd(ready_write);
	if (read(ready_read, &byte, 1) != 1)
		return -ECHILD;
	r = ids_map_sandbox(*ret);
	if (r < 0)
		return r;
	return write(go_write, "", 1) == 1 ? 0 : -errno;
}

static int wait_child(const struct root_build_job *job, pid_t pid)
{
	CLEANUP_FD int pidfd = pidfd_open(pid, 0);
	struct pollfd p[2] = { { pidfd, POLLIN, 0 }, { job->output, 0, 0 } };
	int status;

	if (pidfd < 0)
		return -errno;
	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return -errno;
	if (p[0].revents == 0)
		return -ECANCELED; /* the pipe has no reader */
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPROTO;
}

static int make_directory(const struct root_build_job *job)
{
	const struct tree *t = job->tree;
	char temporary[ROOT_BUILD_PATH_MAX];

	if (job->ids->map == KEEPER_MAP_SINGLE)
		return -EOPNOTSUPP;
	if (faccessat(t->templates, job->layer, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	(void)snprintf(temporary, sizeof(temporary), ".%s.tmp", job->layer);
	return dir_make_at(t->templates, temporary, (struct owned){ ids_root(job->ids), 0755 });
}

static int build(const struct root_build_job *job, uint64_t *ret_size)
{
	pid_t pid = -1;
	int r = make_directory(job);

	if (r < 0)
		return r;
	r = start_child(job, &pid);
	if (r == 0)
		r = wait_child(job, pid);
	worker_kill_children(); /* a daemon that some package started */
	if (r == 0)
		r = layer_finish(job->tree, job->layer, ret_size);
	if (r < 0)
		layer_drop_unfinished(job->tree, job->layer);
	return r;
}

void root_build(void *arg)
{
	const struct root_build_job *job = arg;
	struct worker_result result = { 0 };

	result.error = build(job, &result.size_bytes);
	if (result.error < 0 && result.error != -EPROTO) /* else what it printed says it */
		(void)snprintf(result.reason, sizeof(result.reason), "%s", strerror(-result.error));
	worker_answer(&result);
}
