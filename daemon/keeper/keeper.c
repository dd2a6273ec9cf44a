/* SPDX-License-Identifier: Apache-2.0 */
/* Life and end of a keeper. Without a connection it goes on for as long as it was told to, so that
 * the next daemon finds everything as it was; if none comes, every sandbox is killed and cleaned
 * up, because nothing may run unowned for ever. It also ends by itself some time after its last
 * sandbox and spool, and without a connection at once. */

#include "keeper.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "keeper-wire.h"
#include "macro.h"
#include "trash.h"

#define END_MS 15000 /* for cleaning up at the end; killed processes leave in milliseconds */

void keeper_ignore_answer(void *owner, const struct worker_result *result)
{
	(void)owner;
	(void)result;
}

static void ignore_end(void *owner)
{
	(void)owner;
}

struct worker_job keeper_worker_job(const struct keeper *k, int extra)
{
	const struct tree *t = &k->tree;
	const int common[] = { t->root,   t->merged,  t->bundle, t->runtime, t->stage,
			       t->mounts, t->state,   t->upper,  t->trash,   t->templates,
			       t->spool,  k->seccomp, extra };
	struct worker_job job = { .on_answer = keeper_ignore_answer, .on_end = ignore_end };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(common); i++)
		if (common[i] >= 0)
			job.fds[job.n_fds++] = common[i];
	for (i = 0; i < k->cgroups.count; i++)
		job.fds[job.n_fds++] = k->cgroups.list[i].fd;
	return job;
}

/* ---- trash ---- */

static void maybe_stop(struct keeper *k)
{
	if (k->ending && !k->boxes.first && k->workers.count == 0)
		k->loop.stop = true;
}

static void on_trash_end(void *owner)
{
	struct keeper *k = owner;

	k->trash_busy = false;
	if (k->trash_dirty)
		keeper_empty_trash(k);
	maybe_stop(k);
}

void keeper_empty_trash(struct keeper *k)
{
	struct worker_job job;

	k->trash_dirty = k->trash_busy;
	if (k->trash_busy)
		return;
	job = keeper_worker_job(k, -1);
	job.run = trash_empty;
	job.arg = &k->tree;
	job.on_end = on_trash_end;
	job.owner = k;
	k->trash_busy = worker_start(&k->workers, &job, NULL) == 0;
}

/* ---- ending ---- */

void keeper_touch(struct keeper *k)
{
	if (k->boxes.first || k->spools.count > 0)
		timer_cancel(&k->loop, &k->idle);
	else if (k->orphan.armed)
		keeper_end(k);
	else if (!k->idle.armed)
		timer_set(&k->loop, &k->idle, KEEPER_IDLE_MS);
	maybe_stop(k);
}

static void stop_now(void *userdata)
{
	struct keeper *k = userdata;

	k->loop.stop = true;
}

void keeper_end(struct keeper *k)
{
	struct box *b, *next;

	if (k->ending)
		return;
	k->ending = true;
	timer_set(&k->loop, &k->give_up, END_MS);
	for (b = k->boxes.first; b; b = next) {
		next = b->next;
		box_kill(b);
	}
	maybe_stop(k);
}

/* Not while a worker has something to do: what is asked meanwhile would be refused. */
static void on_idle(void *userdata)
{
	struct keeper *k = userdata;

	if (k->workers.count > 0)
		timer_set(&k->loop, &k->idle, KEEPER_IDLE_MS);
	else
		keeper_end(k);
}

/* ---- events ---- */

static void on_child(void *userdata, pid_t pid, int status)
{
	struct keeper *k = userdata;

	if (workers_reap(&k->workers, pid)) {
		maybe_stop(k);
		return;
	}
	if (box_reap(k, pid, status))
		return;
	workers_poll(&k->workers);      /* its pid may be in an answer that was not read yet */
	(void)box_reap(k, pid, status); /* else: something that a runtime lost */
}

static void on_terminate(void *userdata)
{
	keeper_end(userdata);
}

static void on_request(void *userdata, struct wire_message *m)
{
	keeper_dispatch(userdata, m);
}

static void on_writable(void *userdata)
{
	struct keeper *k = userdata;

	spools_flush(&k->spools);
}

static void on_orphan(void *userdata)
{
	(void)fprintf(stderr, "sandbox-keeper: no daemon has come back, ending all sandboxes\n");
	keeper_end(userdata);
}

static void on_closed(void *userdata)
{
	struct keeper *k = userdata;

	if (!k->greeted || k->orphan_ms == 0 || (!k->boxes.first && k->spools.count == 0))
		keeper_end(k);
	else
		timer_set(&k->loop, &k->orphan, k->orphan_ms);
}

/* A daemon that comes back, or a second try of one: whoever is last is right. */
static void on_connection(void *userdata, uint32_t events)
{
	struct keeper *k = userdata;
	int fd = accept4(k->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;  /* it went away again */
	if (k->ending) { /* too late: it starts another one */
		(void)close_fd(fd);
		return;
	}
	timer_cancel(&k->loop, &k->orphan);
	if (link_replace(&k->link, fd) < 0)
		on_closed(k);
}

static void on_spools(void *userdata)
{
	keeper_touch(userdata);
}

/* ---- start ---- */

static int start(struct keeper *k, int listener, int connection)
{
	struct rlimit many;
	int r;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || getrlimit(RLIMIT_NOFILE, &k->nofile) < 0)
		return -errno;
	/* Sandboxes share our session keyring: one that holds nothing. Without keyrings in the
	 * kernel there is nothing to hide. */
	(void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
	many = k->nofile;
	many.rlim_cur = many.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &many); /* raising to the hard limit is always allowed */
	r = loop_init(&k->loop);
	if (r < 0)
		return r;
	k->loop.on_child = on_child;
	k->loop.on_terminate = on_terminate;
	k->loop.userdata = k;
	guard_init(&k->guard, &k->loop);
	k->workers.loop = &k->loop;
	k->idle = (struct timer){ .on_time = on_idle, .userdata = k };
	k->give_up = (struct timer){ .on_time = stop_now, .userdata = k };
	k->orphan = (struct timer){ .on_time = on_orphan, .userdata = k };
	k->listener = (struct watch){ .fd = listener, .on_ready = on_connection, .userdata = k };
	k->link.on_request = on_request;
	k->link.on_writable = on_writable;
	k->link.on_closed = on_closed;
	k->link.userdata = k;
	r = spools_init(&k->spools, &k->loop, &k->link, k->ids);
	if (r < 0)
		return r;
	k->spools.on_change = on_spools;
	k->spools.userdata = k;
	r = tree_make(&k->tree, k->ids);
	if (r >= 0)
		r = loop_watch(&k->loop, &k->listener, EPOLLIN);
	return r < 0 ? r : link_init(&k->link, &k->loop, connection);
}

static void finish(struct keeper *k)
{
	tree_forget_upper(&k->tree);
	if (k->shutdown_serial != 0)
		link_reply(&k->link, KEEPER_SHUTDOWN, k->shutdown_serial, 0);
	worker_kill_children(); /* what hangs after END_MS, and what nobody knew */
	spools_deinit(&k->spools);
	link_deinit(&k->link);
	k->listener.fd = close_fd(k->listener.fd);
	ended_deinit(&k->ended);
	runtimes_deinit(&k->runtimes);
	cgroups_deinit(&k->cgroups);
	tree_deinit(&k->tree);
	k->seccomp = close_fd(k->seccomp);
	guard_deinit(&k->guard);
	loop_deinit(&k->loop);
}

int keeper_serve(struct keeper *k, const struct ids *ids, int listener, int connection)
{
	int r;

	k->ids = ids;
	k->seccomp = -1;
	k->link.fd = -1;
	k->loop.epoll = k->loop.signals.fd = -1;
	(void)umask(0022);
	tree_init(&k->tree);
	k->releases.tree = &k->tree;
	k->releases.guard = &k->guard;
	k->guard.watch.fd = -1;
	cgroups_init(&k->cgroups, ids);
	r = start(k, listener, connection);
	if (r >= 0) {
		keeper_touch(k);
		r = loop_run(&k->loop);
	}
	finish(k);
	return r;
}
