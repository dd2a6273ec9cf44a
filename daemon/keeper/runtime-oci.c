/* SPDX-License-Identifier: Apache-2.0 */
/* Runs in a worker (worker.h): blocking, and on failure it kills its children, which are all that
 * the runtime started. What it leaves in the keeper's namespace (overlay mount, bundle, state) is
 * only needed until init runs and is removed after the answer, so nothing grows with the number of
 * sandboxes.
 *
 * crun refuses hybrid cgroups, so the keeper's tree covers them. runc insists on seeing some: it
 * runs in a mount namespace of its own in which the tree has been moved away. It would make a
 * cgroup below the one that it is born in and move the sandbox there, where our limits count but
 * our counters do not; a read-only file system it forgives when it is told to be rootless. */

#include "runtime-oci.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bundle.h"
#include "creation.h"
#include "fence.h"
#include "files.h"
#include "macro.h"
#include "root.h"
#include "trash.h"

#define MOVED_TREE "/tmp" /* is everywhere, and no bundle takes anything from it */
#define ARGUMENTS_MAX 20

/* How a program that speaks OCI is called. */
struct oci {
	struct runtime_kind kind;
	const char *tree;           /* where it sees the keeper's tree */
	const char *empty;          /* what it can cover directories in /proc with; NULL */
	const char *const *options; /* before the verb, after --root */
};

static const struct oci *oci_of(const struct creation *c)
{
	return (const struct oci *)c->job->kind; /* its first member */
}

/* TREE/DIR/ID as the runtime sees it. */
static void seen_path(const struct creation *c, const char *dir, char path[CREATION_PATH_MAX])
{
	(void)snprintf(path, CREATION_PATH_MAX, "%s/%s/%s", oci_of(c)->tree, dir, c->job->id);
}

static int write_bundle(struct creation *c)
{
	const struct runtime_job *job = c->job;
	char root[CREATION_PATH_MAX], init[CREATION_PATH_MAX];
	const struct bundle b = { .ids = job->ids,
				  .own_root = root_is_own(job),
				  .root = root,
				  .init = init,
				  .empty = oci_of(c)->empty,
				  .network_host = job->flags & KEEPER_CREATE_NETWORK_HOST,
				  .shm_bytes = job->limits.shm_bytes };
	CLEANUP_FD int dir = -1;
	int r;

	seen_path(c, "merged", root);
	(void)snprintf(init, sizeof(init), "%s/init/init", oci_of(c)->tree);
	r = dir_make_at(job->tree->bundle, job->id, (struct owned){ 0, 0700 });
	if (r < 0)
		return r;
	dir = dir_open_at(job->tree->bundle, job->id);
	if (dir < 0)
		return dir;
	return bundle_write(dir, "config.json", &b);
}

/* ---- running it ---- */

static int uncover(const char *tree)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	if (strcmp(tree, TREE_PATH) == 0)
		return 0;
	if (unshare(CLONE_NEWNS) < 0 || mount(TREE_PATH, tree, NULL, MS_MOVE, NULL) < 0 ||
	    mount_setattr(AT_FDCWD, TREE_PATH, AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return -errno;
	return 0;
}

static void run_program(const struct creation *c, const struct creation_fds *fds)
{
	static char root[CREATION_PATH_MAX], bundle[CREATION_PATH_MAX];
	static char pid_file[CREATION_PATH_MAX + 8];
	const struct oci *oci = oci_of(c);
	const char *const tail[] = {
		"run",        "--detach", "--no-new-keyring", "--preserve-fds=3",
		"--pid-file", pid_file,   "--bundle",         bundle,
		c->job->name, NULL
	};
	const char *argv[ARGUMENTS_MAX] = { oci->kind.name, "--root", root };
	size_t i, n = 3;
	int r;

	(void)snprintf(root, sizeof(root), "%s/" TREE_RUNTIME_NAME, oci->tree);
	seen_path(c, "bundle", bundle);
	(void)snprintf(pid_file, sizeof(pid_file), "%s/pid", bundle);
	for (i = 0; oci->options[i]; i++)
		argv[n++] = oci->options[i];
	for (i = 0; tail[i]; i++) /* no keyring: an owner has only 200 keys */
		argv[n++] = tail[i];
	creation_prepare_child(c, fds);
	/* if all of the keeper is killed: else it would finish what nobody knows */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = uncover(oci->tree);
	if (r < 0)
		creation_child_failed("mount namespace", r);
	creation_execute(c, argv);
}

static int raise_fences(struct creation *c)
{
	CLEANUP_FD int pidfd = pidfd_open(c->result.pid, 0);
	int r;

	if (pidfd < 0)
		return -errno;
	r = creation_check_seccomp(c);
	if (r < 0)
		return r;
	return fence_raise(pidfd, (c->job->flags & KEEPER_CREATE_NETWORK_HOST) == 0);
}

static int create(struct creation *c)
{
	int r;

	if ((r = root_make_upper(c)) < 0)
		return creation_fail(c, r, "writable layer");
	if ((c->job->flags & KEEPER_CREATE_NETWORK_HOST) && (r = root_copy_resolver(c)) < 0)
		return creation_fail(c, r, "resolv.conf");
	creation_step(c, KEEPER_STEP_UPPER);
	if ((r = root_mount(c)) < 0)
		return creation_fail(c, r, "overlay");
	creation_step(c, KEEPER_STEP_ROOT);
	if ((r = write_bundle(c)) < 0)
		return creation_fail(c, r, "bundle");
	creation_step(c, KEEPER_STEP_BUNDLE);
	if ((r = creation_run_program(c, run_program)) < 0)
		return r;
	if ((r = creation_wait_ready(c)) < 0)
		return creation_fail(c, r, "init did not come up");
	creation_step(c, KEEPER_STEP_INIT);
	if ((r = raise_fences(c)) < 0)
		return creation_fail(c, r, "closing the sandbox");
	creation_step(c, KEEPER_STEP_FENCED);
	return 0;
}

/* ---- afterwards ---- */

static void remove_scaffold(const struct creation *c)
{
	const struct runtime_job *job = c->job;

	if (c->result.pid > 0 && c->result.error == 0) {
		root_copy_up(c);
		root_prepare_upper(job);
	}
	(void)umount2(c->merged, MNT_DETACH); /* EINVAL: not mounted */
	(void)unlinkat(job->tree->merged, job->id, AT_REMOVEDIR);
	trash_remove_flat(job->tree->bundle, job->id);
	trash_remove_flat(job->tree->runtime, job->name);
}

static void oci_create(void *arg)
{
	creation_run(arg, create, remove_scaffold);
}

static void oci_clean(void *arg)
{
	creation_clean(arg, remove_scaffold);
}

#define OCI_KIND(text)                                                                             \
	{                                                                                          \
		.name = (text), .has_program = true, .filtered = true, .enters = true,             \
		.create = oci_create, .clean = oci_clean                                           \
	}

static const struct oci crun = {
	.kind = OCI_KIND("crun"),
	.tree = TREE_PATH,
	.empty = TREE_PATH "/empty",
	.options = (const char *const[]){ "--cgroup-manager=disabled", NULL },
};

static const struct oci runc = {
	.kind = OCI_KIND("runc"),
	.tree = MOVED_TREE,
	.empty = NULL, /* it refuses mounts in /proc */
	.options = (const char *const[]){ "--rootless=true", NULL },
};

const struct runtime_kind *const runtime_crun = &crun.kind;
const struct runtime_kind *const runtime_runc = &runc.kind;
