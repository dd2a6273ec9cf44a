/* SPDX-License-Identifier: Apache-2.0 */
/* A file of the host. It may be on a disk that hangs, so that a copy of this process reads and
 * writes it; the exit status says how that went: an errno.
 *
 * Where somebody else than root can change what a path leads to, root's copy would read any file
 * for him. It acts as that user then. */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/config-secret.h"
#include "sandbox/manager.h"
#include "secret/provider.h"
#include "secret/run.h"
#include "util/strings.h"

#define LINKS_MAX 40 /* as the kernel has it */

struct provider_pending {
	struct manager *m;
	char *name;
	char *path;
	provider_done *done; /* of a lease, or */
	provider_replaced *replaced;
	void *userdata;
	struct run *run;
};

static void pending_free(struct provider_pending *p)
{
	if (!p)
		return;
	if (p->replaced)
		p->m->provider_writes--;
	run_cancel(p->run);
	free(p->name);
	free(p->path);
	free(p);
}
DEFINE_CLEANUP(struct provider_pending *, pending_free);

static struct provider_pending *pending_new(const struct provider_call *call, void *userdata)
{
	struct provider_pending *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->m = call->m;
	p->userdata = userdata;
	p->name = strdup(call->name);
	p->path = strdup(call->config->path);
	if (p->name && p->path)
		return p;
	pending_free(p);
	return NULL;
}

/* ---- what the copies do ---- */

/* Returns 0 or an errno. */
static int copy_all(int in, int out, size_t size)
{
	ssize_t n;

	while (size > 0) {
		n = sendfile(out, in, NULL, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO; /* it became shorter */
		size -= (size_t)n;
	}
	return 0;
}

/* The way to a file, from the root on. */
struct way {
	char path[PATH_MAX];
	size_t at;   /* where the last step that was judged ends */
	bool shared; /* anybody can have made the next one, as in /tmp */
	unsigned links;
};

/* It ends with the daemon as before. */
static int become(const struct stat *st)
{
	return setgroups(0, NULL) < 0 || setresgid(st->st_gid, st->st_gid, st->st_gid) < 0 ||
			       setresuid(st->st_uid, st->st_uid, st->st_uid) < 0 ||
			       prctl(PR_SET_PDEATHSIG, SIGKILL) < 0
		       ? errno
		       : 0;
}

/* Whose step it is can change all that is behind it. */
static int judge_step(struct way *w, const struct stat *st, bool last)
{
	if (st->st_uid != 0 && (!last || w->shared || S_ISLNK(st->st_mode)))
		return become(st);
	w->shared = (st->st_mode & 02) != 0 || ((st->st_mode & 020) != 0 && st->st_gid != 0);
	return !last && w->shared && (st->st_mode & S_ISVTX) == 0 ? EPERM : 0;
}

/* The step is a link of root's, with REST behind it: another way. */
static int follow(struct way *w, const char *rest)
{
	char target[PATH_MAX], whole[PATH_MAX];
	ssize_t n = readlink(w->path, target, sizeof(target));
	int folder = (int)(strrchr(w->path, '/') - w->path), r;

	if (n < 0 || ++w->links > LINKS_MAX)
		return n < 0 ? errno : ELOOP;
	r = snprintf(whole, sizeof(whole), "%.*s/%.*s%s%s", target[0] == '/' ? 0 : folder, w->path,
		     (int)n, target, rest[0] ? "/" : "", rest);
	if (r < 0 || (size_t)r >= sizeof(whole))
		return ENAMETOOLONG;
	memcpy(w->path, whole, (size_t)r + 1);
	w->at = 0;
	w->shared = false;
	return 0;
}

static int step(struct way *w)
{
	char *end = w->path + w->at + 1 + strcspn(w->path + w->at + 1, "/");
	const bool last = *end == '\0';
	struct stat st;
	int r;

	*end = '\0';
	if (lstat(w->path, &st) < 0)
		return errno;
	if (S_ISLNK(st.st_mode) && st.st_uid == 0)
		return follow(w, last ? "" : end + 1);
	r = judge_step(w, &st, last);
	*end = last ? '\0' : '/';
	w->at = (size_t)(end - w->path);
	return r;
}

/* Returns 0 or an errno: EPERM where anybody could change the way. */
static int act_as_owner(const char *path)
{
	struct way w = { 0 };
	int r = 0;

	if (snprintf(w.path, sizeof(w.path), "%s", path) >= (int)sizeof(w.path))
		return ENAMETOOLONG;
	while (r == 0 && geteuid() == 0 && w.path[w.at] != '\0')
		r = step(&w);
	return r;
}

static int read_main(void *argument)
{
	int r = act_as_owner(argument), fd;
	struct stat st;

	if (r != 0)
		return r;
	fd = open(argument, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return errno;
	if (!S_ISREG(st.st_mode))
		return EISDIR;
	if (st.st_size > SECRET_VALUE_MAX)
		return EFBIG;
	return copy_all(fd, STDOUT_FILENO, (size_t)st.st_size);
}

/* Standard input is the value. Whoever made the file keeps it. */
static int fill(int fd, const struct stat *old)
{
	struct stat st;
	int r;

	if (fstat(STDIN_FILENO, &st) < 0)
		return errno;
	r = copy_all(STDIN_FILENO, fd, (size_t)st.st_size);
	if (r != 0)
		return r;
	if ((st.st_uid != old->st_uid || st.st_gid != old->st_gid) &&
	    fchown(fd, old->st_uid, old->st_gid) < 0)
		return errno;
	if (fchmod(fd, old->st_mode & 0777) < 0 || fsync(fd) < 0)
		return errno;
	return 0;
}

static int sync_folder(char *path)
{
	char *slash = strrchr(path, '/');
	int fd;

	slash[slash == path ? 1 : 0] = '\0';
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? errno : 0;
}

/* What was read before the value was made is not there any more: this ends well even if the daemon
 * is killed meanwhile. */
static int write_main(void *argument)
{
	char new[4096 + 16], *path = argument;
	struct stat old;
	int fd, r = act_as_owner(path);

	(void)prctl(PR_SET_PDEATHSIG, 0); /* cannot fail */
	if (r != 0 || stat(path, &old) < 0)
		return r != 0 ? r : errno;
	r = snprintf(new, sizeof(new), "%s.new-XXXXXX", path);
	if (r < 0 || (size_t)r >= sizeof(new))
		return ENAMETOOLONG;
	fd = mkostemp(new, O_CLOEXEC);
	if (fd < 0)
		return errno;
	r = fill(fd, &old);
	if (r == 0 && rename(new, path) < 0)
		r = errno;
	if (r != 0) {
		(void)unlink(new); /* what is left of it is 0600 */
		return r;
	}
	return sync_folder(path);
}

/* ---- how it went ---- */

/* Returns 0, or -1 with *RETERR. */
static int judge(const struct provider_pending *p, const struct run_end *end, const char *verb,
		 struct error *reterr)
{
	if (end->late)
		return error_set(reterr, ERROR_TIMEOUT, "secret", "look at the disk it is on",
				 "the file of secret %s could not be %s within %d s", p->name, verb,
				 PROVIDER_TIMEOUT_MS / 1000);
	if (end->exited && end->status == EFBIG)
		return error_set(reterr, ERROR_UNAVAILABLE, "secret", NULL,
				 "the file of secret %s has more than %d bytes", p->name,
				 SECRET_VALUE_MAX);
	if (end->exited && end->status != 0)
		return error_set(reterr, ERROR_UNAVAILABLE, "secret",
				 end->status == EPERM
					 ? "no folder on the way to it may be writable for a group "
					   "or for all"
					 : "a file that the daemon's user, or whose folder it is "
					   "in, may read and write",
				 "%s, the file of secret %s, cannot be %s: %s", p->path, p->name,
				 verb, strerror(end->status));
	if (!end->exited || end->trouble < 0)
		return error_set(reterr, ERROR_UNAVAILABLE, "secret", NULL,
				 "the file of secret %s could not be %s", p->name, verb);
	return 0;
}

static void on_read(const struct run_end *end, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct provider_pending *p = userdata;
	struct provider_grant grant = { 0 };
	provider_done *done = p->done;
	void *done_userdata = p->userdata;
	int r = judge(p, end, "read", &e);

	if (r == 0 && gather_take(end->gather, end->gather->used, &grant.value) < 0)
		r = error_set_errno(&e, -ENOMEM, "no memory for secret %s", p->name);
	p->run = NULL; /* it goes by itself */
	pending_free(p);
	done(r < 0 ? NULL : &grant, r < 0 ? &e : NULL, done_userdata);
}

static void on_written(const struct run_end *end, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct provider_pending *p = userdata;
	provider_replaced *done = p->replaced;
	void *done_userdata = p->userdata;
	int r = judge(p, end, "written", &e);

	p->run = NULL;
	pending_free(p);
	done(r < 0 ? &e : NULL, done_userdata);
}

/* ---- the provider ---- */

static int begin(const struct provider_call *call, struct provider_pending *p,
		 struct run_config *config, struct error *reterr)
{
	int r = -ENOMEM;

	if (p) {
		config->m = call->m;
		config->argument = p->path;
		config->userdata = p;
		r = run_start(config, &p->run);
	}
	if (r == -ENOBUFS)
		return error_set(reterr, ERROR_LIMIT_REACHED, NULL, "lease fewer at once",
				 "%d files and commands of secrets are waited for already",
				 PROVIDER_COMMANDS_MAX);
	return r < 0 ? error_set_errno(reterr, r, "secret %s cannot be had", call->name) : 0;
}

static int file_lease(const struct provider_call *call, provider_done *done, void *userdata,
		      struct provider_grant *ret, struct provider_pending **ret_pending,
		      struct error *reterr)
{
	CLEANUP(pending_freep) struct provider_pending *p = pending_new(call, userdata);
	struct run_config config = { .copy = read_main, .input = -1, .ended = on_read };

	(void)ret; /* never at once */
	if (p)
		p->done = done;
	if (begin(call, p, &config, reterr) < 0)
		return -1;
	*ret_pending = TAKE_PTR(p);
	return 0;
}

/* The copy does not have our secrets' memory, so that it gets a file in memory. */
static int value_fd(const struct bytes *value)
{
	CLEANUP_FD int fd = memfd_create("value", MFD_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pwrite(fd, value->data, value->size, 0);
	if (n < 0)
		return -errno;
	return (size_t)n == value->size ? TAKE_FD(fd) : -EIO;
}

static int file_replace(const struct provider_call *call, const struct bytes *value,
			provider_replaced *done, void *userdata, struct error *reterr)
{
	CLEANUP(pending_freep) struct provider_pending *p = pending_new(call, userdata);
	struct run_config config = { .copy = write_main, .ended = on_written };
	CLEANUP_FD int fd = value_fd(value);

	if (fd < 0)
		return error_set_errno(reterr, fd, "secret %s cannot be written", call->name);
	config.input = fd;
	if (p) {
		p->replaced = done;
		p->m->provider_writes++; /* a clean stop waits for it */
	}
	if (begin(call, p, &config, reterr) < 0)
		return -1;
	p = NULL; /* on_written() ends it */
	return 0;
}

/* Looked at from the event loop: a name and its rights are a matter of microseconds, where the disk
 * does not hang. Of the value nothing is read. */
static bool file_has(const struct provider_call *call)
{
	const char *path = call->config->path;
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= SECRET_VALUE_MAX &&
	       faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0;
}

const struct provider provider_file = {
	.name = "file",
	.lease = file_lease,
	.cancel = pending_free,
	.replace = file_replace,
	.has = file_has,
};
