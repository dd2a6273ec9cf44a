/* SPDX-License-Identifier: Apache-2.0 */
/* Runs in a worker (worker.h): blocking, and on failure it kills its children, which are all that
 * crun started. What crun leaves in the keeper's namespace (overlay mount, bundle, state) is only
 * needed until init runs and is removed after the answer, so nothing grows with the number of
 * sandboxes. */

#include "runtime-oci.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bundle.h"
#include "clock.h"
#include "fence.h"
#include "files.h"
#include "init-wire.h"
#include "loop.h"
#include "macro.h"
#include "overlay.h"
#include "skeleton.h"
#include "trash.h"
#include "worker.h"

#define PATH_TEXT_MAX 512
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

void runtime_init(struct runtime *r)
{
	memset(r, 0, sizeof(*r));
	r->memfd = -1;
}

void runtime_deinit(struct runtime *r)
{
	free(r->path);
	r->memfd = close_fd(r->memfd);
	runtime_init(r);
}

static int sealed_copy(int from)
{
	CLEANUP_FD int fd = -1;
	int r;

#ifdef MFD_EXEC
	fd = memfd_create("runtime", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
#endif
	if (fd < 0) /* before 6.3 every memfd was executable and the flag unknown */
		fd = memfd_create("runtime", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	r = file_copy(from, fd);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static bool unchanged(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int runtime_refresh(struct runtime *r, const char *path)
{
	CLEANUP_FD int from = -1;
	CLEANUP_STR char *copy = NULL;
	struct stat st;
	int fd;

	if (stat(path, &st) < 0)
		return -errno;
	if (r->memfd >= 0 && unchanged(&st, &r->seen))
		return 0;
	from = open(path, O_RDONLY | O_CLOEXEC);
	copy = strdup(path);
	if (from < 0 || !copy || fstat(from, &st) < 0)
		return -errno;
	fd = sealed_copy(from);
	if (fd < 0)
		return fd;
	runtime_deinit(r);
	r->memfd = fd;
	r->path = TAKE_PTR(copy);
	r->seen = st;
	return 0;
}

/* What is built up by one create, for its removal. */
struct creation {
	const struct oci_job *job;
	struct worker_result result;
	int64_t deadline;
	bool upper_made;
	int ready;  /* init says when it is fenced */
	int output; /* what crun says */
	size_t said;
	char merged[PATH_TEXT_MAX];
	char bundle[PATH_TEXT_MAX];
};

static int fail(struct creation *c, int error, const char *what)
{
	c->result.error = error;
	if (c->result.reason[0] == '\0')
		(void)snprintf(c->result.reason, sizeof(c->result.reason), "%s: %s", what,
			       strerror(-error));
	return error;
}

/* ---- the root file system ---- */

/* The kernel refuses a volatile upper with a work directory that was used: always a new one. */
static int renew_work(const struct creation *c)
{
	char path[PATH_TEXT_MAX];
	int r;

	(void)snprintf(path, sizeof(path), "%s/work", c->job->id);
	r = trash_move(c->job->tree, c->job->tree->upper, path);
	if (r < 0 && r != -ENOENT)
		return r;
	return dir_make_at(c->job->tree->upper, path, (struct owned){ 0, 0700 });
}

static int make_upper(struct creation *c)
{
	const struct oci_job *job = c->job;
	char path[PATH_TEXT_MAX];
	int r;

	(void)snprintf(path, sizeof(path), "%s/data", job->id);
	if ((job->flags & KEEPER_CREATE_REUSE) == 0) {
		if (mkdirat(job->tree->upper, job->id, 0700) < 0)
			return -errno;
		c->upper_made = true;
		r = dir_make_at(job->tree->upper, path, (struct owned){ ids_root(job->ids), 0755 });
		if (r < 0)
			return r;
	} else if (faccessat(job->tree->upper, path, F_OK, 0) < 0) {
		return -errno;
	}
	return renew_work(c);
}

/* With the host's network its resolver is the sandbox's too. Absent on the host: the skeleton's
 * empty one stays. */
static int copy_resolver(const struct creation *c)
{
	const struct owned as = { ids_root(c->job->ids), 0644 };
	char path[PATH_TEXT_MAX], text[8192];
	CLEANUP_FD int host = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
	CLEANUP_FD int etc = -1;
	ssize_t n;
	int r;

	n = host < 0 ? -1 : read(host, text, sizeof(text) - 1);
	if (n < 0)
		return 0;
	text[n] = '\0';
	(void)snprintf(path, sizeof(path), "%s/data/etc", c->job->id);
	r = dir_make_at(c->job->tree->upper, path, (struct owned){ as.uid, 0755 });
	if (r < 0)
		return r;
	/* since the last stop it is the sandbox's: perhaps a link, out to the host's own */
	etc = beneath_open(c->job->tree->upper, path, O_RDONLY | O_DIRECTORY);
	if (etc < 0)
		return etc;
	if (unlinkat(etc, "resolv.conf", 0) < 0 && errno != ENOENT)
		return -errno;
	return file_make_at(etc, "resolv.conf", text, as);
}

static int mount_root(struct creation *c)
{
	static char lowers[KEEPER_LOWERS_MAX][PATH_TEXT_MAX];
	const char *list[KEEPER_LOWERS_MAX + 2];
	const struct oci_job *job = c->job;
	char upper[PATH_TEXT_MAX], work[PATH_TEXT_MAX];
	struct overlay o = { list, upper, work };
	size_t i;

	for (i = 0; i < job->n_lowers; i++) {
		(void)snprintf(lowers[i], sizeof(lowers[i]), TREE_STATE "/templates/%s",
			       job->lowers[i]);
		list[i] = lowers[i];
	}
	list[i++] = TREE_SKELETON;
	list[i] = NULL;
	(void)snprintf(upper, sizeof(upper), TREE_STATE "/upper/%s/data", job->id);
	(void)snprintf(work, sizeof(work), TREE_STATE "/upper/%s/work", job->id);
	if (mkdirat(job->tree->merged, job->id, 0755) < 0 && errno != EEXIST)
		return -errno;
	return overlay_mount(&o, c->merged);
}

static int write_bundle(struct creation *c)
{
	const struct oci_job *job = c->job;
	const struct bundle b = { .ids = job->ids,
				  .root = c->merged,
				  .init = TREE_INIT,
				  .network_host = job->flags & KEEPER_CREATE_NETWORK_HOST,
				  .shm_bytes = job->limits.shm_bytes };
	CLEANUP_FD int dir = -1;
	struct json j;
	int r;

	r = dir_make_at(job->tree->bundle, job->id, (struct owned){ 0, 0700 });
	if (r < 0)
		return r;
	dir = dir_open_at(job->tree->bundle, job->id);
	if (dir < 0)
		return dir;
	json_init(&j);
	bundle_config(&j, &b);
	r = json_finish(&j)
		    ? file_make_at(dir, "config.json", json_finish(&j), (struct owned){ 0, 0600 })
		    : -ENOMEM;
	json_deinit(&j);
	return r;
}

/* ---- running crun ---- */

/* Moves three descriptors to 3, 4, 5 without one overwriting another. */
static int place_fds(const int *fds)
{
	int high[INIT_FD_COUNT];
	size_t i;

	for (i = 0; i < INIT_FD_COUNT; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 64);
		if (high[i] < 0)
			return -errno;
	}
	for (i = 0; i < INIT_FD_COUNT; i++)
		if (dup2(high[i], INIT_FD_SOCKET + (int)i) < 0)
			return -errno;
	return 0;
}

static void __attribute__((noreturn)) child_failed(const char *what, int error)
{
	(void)dprintf(2, "%s: %s\n", what, strerror(-error)); /* becomes the reason */
	_exit(126);
}

struct start_fds {
	int in;
	int out;
	int to_init[INIT_FD_COUNT];
};

static void __attribute__((noreturn))
exec_crun(const struct creation *c, const struct start_fds *fds)
{
	static char pid_file[PATH_TEXT_MAX + 8];
	const struct oci_job *job = c->job;
	/* no keyring: an owner has only 200 keys */
	const char *argv[] = {
		"crun",       "--root",   TREE_CRUN,          "--cgroup-manager=disabled",
		"run",        "--detach", "--no-new-keyring", "--preserve-fds=3",
		"--pid-file", pid_file,   "--bundle",         c->bundle,
		job->name,    NULL
	};
	const char *envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	int memfd, r;

	(void)snprintf(pid_file, sizeof(pid_file), "%s/pid", c->bundle);
	memfd = fcntl(job->runtime->memfd, F_DUPFD_CLOEXEC, 64);
	if (memfd < 0 || dup2(fds->in, 0) < 0 || dup2(fds->out, 1) < 0 || dup2(fds->out, 2) < 0)
		child_failed("stdio", -errno);
	r = cgroup_join(job->cgroups, job->name);
	if (r < 0)
		child_failed("cgroup", r);
	r = place_fds(fds->to_init);
	if (r < 0)
		child_failed("descriptors", r);
	(void)setrlimit(RLIMIT_NOFILE, job->nofile); /* lowering to what we were given */
	(void)signal(SIGPIPE, SIG_DFL);
	(void)execveat(memfd, "", (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)envp,
		       AT_EMPTY_PATH);
	/* a script's interpreter has to open it again */
	if (errno == ENOENT && fcntl(memfd, F_SETFD, 0) == 0)
		(void)execveat(memfd, "", (char *const *)(uintptr_t)argv,
			       (char *const *)(uintptr_t)envp, AT_EMPTY_PATH);
	child_failed("runtime", -errno);
}

static int make_pipe(int *ret_read, int *ret_write)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*ret_read = fds[0];
	*ret_write = fds[1];
	return 0;
}

/* The program is read by each init from its start: a description of its own. */
static int reopen_seccomp(int fd)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int start_crun(struct creation *c, pid_t *ret)
{
	CLEANUP_FD int in_read = -1, in_write = -1, out_write = -1, ready_write = -1;
	CLEANUP_FD int seccomp = reopen_seccomp(c->job->seccomp);
	struct start_fds fds;
	int r;

	if (seccomp < 0)
		return seccomp;
	if ((r = make_pipe(&in_read, &in_write)) < 0 ||
	    (r = make_pipe(&c->output, &out_write)) < 0 ||
	    (r = make_pipe(&c->ready, &ready_write)) < 0)
		return r;
	fds = (struct start_fds){ in_read, out_write, { c->job->socket, seccomp, ready_write } };
	*ret = fork();
	if (*ret < 0)
		return -errno;
	if (*ret == 0)
		exec_crun(c, &fds);
	return 0;
}

/* Keeps the last words of the runtime; more than fits is dropped. */
static void hear(struct creation *c)
{
	char *end = c->result.reason + sizeof(c->result.reason) - 1;
	char buf[512];
	ssize_t n;

	n = read(c->output, buf, sizeof(buf));
	if (n <= 0) {
		c->output = close_fd(c->output);
		return;
	}
	if (n > end - (c->result.reason + c->said))
		n = end - (c->result.reason + c->said);
	memcpy(c->result.reason + c->said, buf, (size_t)n);
	c->said += (size_t)n;
	c->result.reason[c->said] = '\0';
}

/* Waits until FD is readable or the deadline, listening to the runtime meanwhile. */
static int wait_readable(struct creation *c, int fd)
{
	struct pollfd p[2];
	int64_t left;
	int n;

	for (;;) {
		left = c->deadline - clock_now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		p[0] = (struct pollfd){ fd, POLLIN, 0 };
		p[1] = (struct pollfd){ c->output, POLLIN, 0 };
		n = poll(p, 2, (int)left);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && p[1].revents != 0)
			hear(c);
		if (n > 0 && p[0].revents != 0)
			return 0;
	}
}

static int wait_crun(struct creation *c, pid_t pid)
{
	CLEANUP_FD int pidfd = pidfd_open(pid, 0);
	int r, status;

	if (pidfd < 0)
		return -errno;
	r = wait_readable(c, pidfd);
	if (r < 0)
		return r;
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (c->output >= 0) {
		(void)fcntl(c->output, F_SETFL, O_NONBLOCK); /* cannot fail on a pipe */
		hear(c);
	}
	while (c->said > 0 && c->result.reason[c->said - 1] == '\n')
		c->result.reason[--c->said] = '\0';
	return -EPROTO;
}

/* The pid that crun wrote, if it is a child of ours (crun is gone, we adopted it). */
static int read_pid(struct creation *c)
{
	char path[PATH_TEXT_MAX], text[32];
	siginfo_t info;
	ssize_t n;
	long pid;

	(void)snprintf(path, sizeof(path), "%s/pid", c->job->id);
	n = file_get_at(c->job->tree->bundle, path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	pid = strtol(text, NULL, 10);
	if (pid <= 1 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return -ECHILD;
	c->result.pid = (pid_t)pid;
	return 0;
}

static int wait_ready(struct creation *c)
{
	char byte;
	int r;

	r = wait_readable(c, c->ready);
	if (r < 0)
		return r;
	return read(c->ready, &byte, 1) == 1 ? 0 : -EPIPE;
}

static int raise_fences(struct creation *c)
{
	CLEANUP_FD int pidfd = pidfd_open(c->result.pid, 0);
	struct stat program;
	int r;

	if (pidfd < 0)
		return -errno;
	if (fstat(c->job->seccomp, &program) < 0)
		return -errno;
	if (program.st_size > 0) {
		r = fence_check_seccomp(c->result.pid);
		if (r < 0)
			return fail(c, r, "init did not load its seccomp filter");
	}
	return fence_raise(pidfd, (c->job->flags & KEEPER_CREATE_NETWORK_HOST) == 0);
}

static int create(struct creation *c)
{
	pid_t crun = -1;
	int r;

	if ((r = make_upper(c)) < 0)
		return fail(c, r, "writable layer");
	if ((c->job->flags & KEEPER_CREATE_NETWORK_HOST) && (r = copy_resolver(c)) < 0)
		return fail(c, r, "resolv.conf");
	if ((r = mount_root(c)) < 0)
		return fail(c, r, "overlay");
	if ((r = write_bundle(c)) < 0)
		return fail(c, r, "bundle");
	if ((r = start_crun(c, &crun)) < 0)
		return fail(c, r, "starting the runtime");
	if ((r = wait_crun(c, crun)) < 0)
		return fail(c, r, "the runtime failed");
	if ((r = read_pid(c)) < 0)
		return fail(c, r, "the runtime's pid file");
	if ((r = wait_ready(c)) < 0)
		return fail(c, r, "init did not come up");
	if ((r = raise_fences(c)) < 0)
		return fail(c, r, "closing the sandbox");
	return 0;
}

/* ---- afterwards ---- */

static void remove_scaffold(const struct oci_job *job, const char *merged)
{
	(void)umount2(merged, MNT_DETACH); /* EINVAL: not mounted */
	(void)unlinkat(job->tree->merged, job->id, AT_REMOVEDIR);
	trash_remove_flat(job->tree->bundle, job->id);
	trash_remove_flat(job->tree->crun, job->name);
}

static void name_paths(struct creation *c, const struct oci_job *job)
{
	c->job = job;
	(void)snprintf(c->merged, sizeof(c->merged), TREE_PATH "/merged/%s", job->id);
	(void)snprintf(c->bundle, sizeof(c->bundle), TREE_PATH "/bundle/%s", job->id);
}

int oci_discard_upper(const struct tree *t, const char *id)
{
	return trash_move(t, t->upper, id);
}

void oci_create(void *arg)
{
	static struct creation c = { .ready = -1, .output = -1 };
	const struct oci_job *job = arg;

	name_paths(&c, job);
	c.deadline = clock_now_ms() + job->timeout_ms;
	if (create(&c) == 0) {
		c.result.reason[0] = '\0'; /* warnings */
		worker_answer(&c.result);
		remove_scaffold(job, c.merged);
		return;
	}
	worker_kill_children();
	remove_scaffold(job, c.merged);
	if (c.upper_made || (job->flags & KEEPER_CREATE_DISCARD))
		(void)oci_discard_upper(job->tree, job->id); /* swept at the next start */
	c.result.pid = 0;
	worker_answer(&c.result);
}

void oci_clean(void *arg)
{
	struct creation c = { .ready = -1, .output = -1 };
	const struct oci_job *job = arg;

	name_paths(&c, job);
	remove_scaffold(job, c.merged);
	if ((job->flags & KEEPER_CREATE_REUSE) == 0 || (job->flags & KEEPER_CREATE_DISCARD))
		(void)oci_discard_upper(job->tree, job->id); /* swept at the next start */
	worker_answer(&c.result);
}
