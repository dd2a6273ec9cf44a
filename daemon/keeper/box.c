/* SPDX-License-Identifier: Apache-2.0 */
/* A box is freed in one place, leave(), which is reached once the worker is gone and init is reaped
 * (in either order) and then goes through: cgroups, restoring workspaces, unmaking files, answers.
 * Each step that has to wait returns and is entered again by its event. */

#include "box.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "claim.h"
#include "clock.h"
#include "files.h"
#include "hash.h"
#include "keeper.h"
#include "macro.h"
#include "record.h"
#include "runtime-runsc.h"

#define CGROUP_RETRY_MS 5
#define CGROUP_TRIES 400 /* 2 s; then the empty directory is left and nothing else */

static void leave(struct box *b);

/* ---- all of them ---- */

static size_t bucket_of_pid(pid_t pid)
{
	return (size_t)pid % BOX_BUCKETS;
}

struct box *box_find(const struct keeper *k, const char *id)
{
	struct box *b = k->boxes.by_id[hash_id(id, BOX_BUCKETS)];

	for (; b && strcmp(b->job.id, id) != 0; b = b->next_by_id)
		;
	return b;
}

static void enter(struct keeper *k, struct box *b)
{
	struct box **bucket = &k->boxes.by_id[hash_id(b->job.id, BOX_BUCKETS)];

	b->next_by_id = *bucket;
	*bucket = b;
	b->next = k->boxes.first;
	if (b->next)
		b->next->previous = b;
	k->boxes.first = b;
}

static void enter_pid(struct box *b)
{
	struct box **bucket = &b->keeper->boxes.by_pid[bucket_of_pid(b->pid)];

	b->next_by_pid = *bucket;
	*bucket = b;
}

/* Takes the box out whose init was PID. NULL: it was none. */
static struct box *take_pid(struct keeper *k, pid_t pid)
{
	struct box **at = &k->boxes.by_pid[bucket_of_pid(pid)], *b;

	for (; *at && (*at)->pid != pid; at = &(*at)->next_by_pid)
		;
	b = *at;
	if (b)
		*at = b->next_by_pid;
	return b;
}

static void leave_all(struct box *b)
{
	struct boxes *all = &b->keeper->boxes;
	struct box **at = &all->by_id[hash_id(b->job.id, BOX_BUCKETS)];

	for (; *at != b; at = &(*at)->next_by_id)
		;
	*at = b->next_by_id;
	*(b->previous ? &b->previous->next : &all->first) = b->next;
	if (b->next)
		b->next->previous = b->previous;
}

static void box_free(struct box *b)
{
	struct keeper *k = b->keeper;

	leave_all(b);
	loop_forget(&k->loop, &b->end);
	timer_cancel(&k->loop, &b->retry);
	box_freeze_cancel(b);
	release_deinit(&b->release);
	claim_mounts_deinit(&b->mounts);
	spool_cover_end(&k->spools.covers, b->job.id);
	(void)close_fd(b->job.socket);
	(void)close_fd(b->pidfd);
	free(b->reason);
	free(b);
	keeper_touch(k);
}

static void reply_create(struct box *b, int connection)
{
	struct keeper *k = b->keeper;
	struct keeper_create_reply *reply;
	struct wire_message *m;
	int oom;

	m = link_begin(&k->link, KEEPER_CREATE, b->create_serial, sizeof(*reply));
	reply = (struct keeper_create_reply *)(void *)m->data;
	reply->header.error = b->error;
	reply->init_fd = -1;
	if (b->error == 0) {
		reply->pid = b->pid;
		memcpy(reply->step_us, b->job.step_us, sizeof(reply->step_us));
		oom = cgroup_open_oom(&k->cgroups, b->job.name, &reply->memory_version);
		if (oom >= 0)
			(void)wire_add_fd(m, oom); /* the first one fits */
		if (connection >= 0)
			reply->init_fd = wire_add_fd(m, connection);
	} else if (b->reason) {
		(void)wire_add_string(m, offsetof(struct keeper_create_reply, reason), b->reason);
	}
	link_send(&k->link);
}

static void reply_end(struct box *b, const struct box_end *end)
{
	struct keeper_counters_reply *reply;
	struct wire_message *m;

	m = link_begin(&b->keeper->link, end->type, end->serial, sizeof(*reply));
	reply = (struct keeper_counters_reply *)(void *)m->data;
	reply->counters = b->counters;
	link_send(&b->keeper->link);
}

static void tell_ended(struct box *b)
{
	struct keeper_ended *event;
	struct wire_message *m;

	m = link_begin(&b->keeper->link, KEEPER_ENDED, 0, sizeof(*event));
	event = (struct keeper_ended *)(void *)m->data;
	event->exit_code = WIFEXITED(b->status) ? WEXITSTATUS(b->status) : -1;
	event->signal = WIFSIGNALED(b->status) ? WTERMSIG(b->status) : 0;
	event->counters = b->counters;
	ended_note(&b->keeper->ended, b->job.id, event);
	(void)wire_add_string(m, offsetof(struct keeper_ended, id), b->job.id); /* short */
	link_send(&b->keeper->link);
}

/* ---- leaving ---- */

static void on_retry(void *userdata)
{
	leave(userdata);
}

/* 1 when it has to be tried again. */
static int remove_cgroups(struct box *b)
{
	const struct cgroups *c = &b->keeper->cgroups;

	if (!b->counted && b->pid > 0)
		cgroup_read(c, b->job.name, &b->counters);
	b->counted = true;
	if (cgroup_remove(c, b->job.name) == 0 || b->tries++ >= CGROUP_TRIES)
		return 0;
	cgroup_kill(c, b->job.name);
	timer_set(&b->keeper->loop, &b->retry, CGROUP_RETRY_MS);
	return 1;
}

static void on_worker_end(void *owner)
{
	struct box *b = owner;

	b->worker = NULL;
	leave(b);
}

static bool wants_give_back(const struct box *b)
{
	size_t i;

	for (i = 0; i < b->n_ends; i++)
		if (b->ends[i].give_back)
			return true;
	return false;
}

/* Starts RUN on ARG for the box. 1 when it has to be waited for. */
static int start_worker(struct box *b, struct worker_job *job)
{
	job->on_answer = keeper_ignore_answer;
	job->on_end = on_worker_end;
	job->owner = b;
	return worker_start(&b->keeper->workers, job, &b->worker) == 0;
}

static int restore(struct box *b)
{
	const struct release_root *root;
	struct worker_job job;

	if (b->restored)
		return 0;
	b->restored = true;
	/* before what the agent changed is looked for: these files are new, too */
	release_unmake(&b->release);
	b->release.give_back = wants_give_back(b);
	if (!release_hand_over(&b->release))
		return 0;
	job = keeper_worker_job(b->keeper, -1);
	STAILQ_FOREACH (root, &b->release.roots, entry)
		if (job.n_fds < WORKER_FDS_MAX)
			job.fds[job.n_fds++] = root->fd;
	job.run = release_restore;
	job.arg = &b->release;
	return start_worker(b, &job);
}

static int tidy_up(struct box *b)
{
	struct worker_job job;

	if (!b->worker_killed)
		return 0;
	b->worker_killed = false;
	job = keeper_worker_job(b->keeper, -1);
	job.run = b->job.kind->clean;
	job.arg = &b->job;
	return start_worker(b, &job);
}

static void answer_all(struct box *b)
{
	struct keeper *k = b->keeper;
	size_t i;

	if (b->create_failed)
		reply_create(b, -1);
	else if (b->n_ends == 0 && !k->ending && !b->silent)
		tell_ended(b);
	for (i = 0; i < b->n_ends; i++) {
		if (b->ends[i].type == KEEPER_REMOVE)
			(void)runtime_discard_upper(&k->tree, b->job.id); /* may be gone: failed */
		reply_end(b, &b->ends[i]);
	}
	if (b->n_ends > 0 || b->create_failed)
		keeper_empty_trash(k);
}

static void leave(struct box *b)
{
	if (b->state != BOX_LEAVING || b->worker)
		return;
	if (tidy_up(b) || remove_cgroups(b) || restore(b))
		return;
	if (b->claimed)
		record_remove(&b->keeper->tree, b->job.id);
	answer_all(b);
	box_free(b);
}

/* ---- making ---- */

/* Only init can be waiting there: nothing else runs inside before it is told to. -1: it listens
 * itself (or is gone). */
static int accept_init(struct box *b)
{
	int fd = b->job.dial < 0 ? -1 : accept4(b->job.dial, NULL, NULL, SOCK_CLOEXEC);

	b->job.dial = close_fd(b->job.dial);
	return fd;
}

static void on_created(void *owner, const struct worker_result *result)
{
	struct box *b = owner;

	b->job.socket = close_fd(b->job.socket);
	b->error = result->error;
	b->pid = result->pid;
	if (result->error == 0) {
		memcpy(b->job.step_us, result->step_us, sizeof(b->job.step_us));
		enter_pid(b);
		b->pidfd = pidfd_open(b->pid, 0); /* -1: it is gone already and will be reaped */
		reply_create(b, accept_init(b));
		if (b->state == BOX_CREATING)
			b->state = BOX_RUNNING;
		else
			box_kill(b);
		return;
	}
	b->create_failed = true;
	b->pid = 0;
	if (b->n_ends > 0)
		b->error = -ECANCELED;
	/* a worker that answered has cleaned up after itself */
	b->worker_killed = result->error == -EIO || result->error == -ETIMEDOUT;
	if (result->reason[0] != '\0')
		b->reason = strdup(result->reason); /* no memory: the error alone */
	b->state = BOX_LEAVING;
}

static int explain(struct box *b, const char *what, int error)
{
	if (asprintf(&b->reason, "%s: %s", what, strerror(-error)) < 0)
		b->reason = NULL;
	return error;
}

static int start_creating(struct box *b, const char *program)
{
	struct keeper *k = b->keeper;
	struct worker_job job = keeper_worker_job(k, b->job.socket);
	int r;

	b->job.program = program;
	b->job.step_us[KEEPER_STEP_RECEIVED] = clock_now_us();
	if (b->job.kind->has_program && !b->job.kind->by_path) {
		r = runtimes_get(&k->runtimes, program, &b->job.runtime);
		if (r < 0)
			return explain(b, program, r);
		job.fds[job.n_fds++] = b->job.runtime->memfd;
	}
	r = cgroup_make(&k->cgroups, b->job.name, &b->job.limits);
	if (r < 0)
		return explain(b, "cgroup", r);
	b->job.step_us[KEEPER_STEP_CGROUP] = clock_now_us();
	if (b->job.kind->listen) {
		r = b->job.dial = b->job.kind->listen(&b->job);
		if (r < 0)
			return explain(b, "socket for init", r);
		job.fds[job.n_fds++] = b->job.dial;
	}
	job.run = b->job.kind->create;
	job.arg = &b->job;
	/* the worker has its own, shorter limit; this is for one that hangs itself */
	job.timeout_ms = (int64_t)b->job.timeout_ms + KEEPER_SLACK_MS;
	job.on_answer = on_created;
	job.on_end = on_worker_end;
	job.owner = b;
	return worker_start(&k->workers, &job, &b->worker);
}

static struct box *box_new(struct keeper *k, const struct runtime_job *job)
{
	struct box *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->keeper = k;
	b->job = *job;
	b->job.dial = -1;
	b->pidfd = -1;
	b->end.fd = -1;
	b->retry = (struct timer){ .on_time = on_retry, .userdata = b };
	box_freeze_init(b);
	enter(k, b);
	release_init(&b->release, &k->releases, b->job.id);
	keeper_touch(k);
	return b;
}

int box_prepare(struct keeper *k, const char *id, struct wire_message *m, char *reason)
{
	struct runtime_job job = { .kind = &runtime_runsc, .tree = &k->tree, .socket = -1 };
	struct claim_target target;
	struct box *b;
	int r;

	(void)snprintf(job.id, sizeof(job.id), "%s", id);
	(void)snprintf(job.name, sizeof(job.name), "%s-%s", k->instance, id);
	/* for the record of what is made */
	if (mkdirat(k->tree.upper, id, 0700) < 0 && errno != EEXIST)
		return -errno;
	b = box_new(k, &job);
	if (!b)
		return -ENOMEM;
	b->state = BOX_PREPARED;
	b->claimed = true;
	target = (struct claim_target){ .tree = &k->tree,
					.id = b->job.id,
					.pidfd = -1,
					.mounts = &b->mounts,
					.release = &b->release };
	r = claim_run(&target, m, reason);
	if (r < 0) { /* its caller is answered; nobody else is to be */
		b->silent = true;
		box_kill(b);
	}
	return r;
}

void box_create(struct keeper *k, uint64_t serial, const struct runtime_job *job,
		const char *program)
{
	struct box *b = box_find(k, job->id);
	int r;

	if (b) {
		b->job = *job;
		b->job.dial = -1;
		b->job.mounts = &b->mounts;
		b->state = BOX_CREATING;
	} else {
		b = box_new(k, job);
	}
	if (!b) {
		(void)close_fd(job->socket);
		link_reply_text(&k->link, KEEPER_CREATE, serial, -ENOMEM,
				(struct link_text){ sizeof(struct keeper_create_reply), 0, NULL });
		return;
	}
	b->create_serial = serial;
	r = start_creating(b, program);
	b->job.n_lowers = 0; /* the worker has them */
	if (r < 0) {
		b->error = r;
		b->create_failed = true;
		b->state = BOX_LEAVING;
		leave(b);
	}
}

/* ---- ending ---- */

void box_kill(struct box *b)
{
	switch (b->state) {
	case BOX_PREPARED:
		b->worker_killed = true; /* its mounts are detached by who cleans up */
		b->job.flags |= KEEPER_CREATE_REUSE;
		b->state = BOX_LEAVING;
		leave(b);
		break;
	case BOX_CREATING:
		if (b->worker)
			worker_kill(b->worker);
		b->state = BOX_ENDING;
		break;
	case BOX_RUNNING:
	case BOX_ENDING:
		/* not reaped yet, so the pid is still its own */
		if (b->foreign)
			(void)pidfd_send_signal(b->pidfd, SIGKILL, NULL, 0);
		else if (b->pid > 0)
			(void)kill(b->pid, SIGKILL);
		box_thaw_to_die(b);
		b->state = BOX_ENDING;
		break;
	case BOX_LEAVING:
		break;
	}
}

void box_end(struct box *b, const struct box_end *end)
{
	if (b->n_ends == BOX_ENDS_MAX) {
		link_reply_text(&b->keeper->link, end->type, end->serial, -EBUSY,
				(struct link_text){ sizeof(struct keeper_counters_reply), 0,
						    NULL });
		return;
	}
	b->ends[b->n_ends++] = *end;
	if (b->state == BOX_RUNNING || b->state == BOX_CREATING || b->state == BOX_PREPARED)
		box_kill(b);
}

int box_undo(struct keeper *k, const char *id, struct wire_message *m, const struct box_end *end)
{
	struct runtime_job job = { .tree = &k->tree, .socket = -1 };
	char reason[CLAIM_REASON_MAX];
	struct claim_target target;
	struct box *b;
	int r;

	(void)snprintf(job.id, sizeof(job.id), "%s", id);
	(void)snprintf(job.name, sizeof(job.name), "%s-%s", k->instance, id);
	b = box_new(k, &job);
	if (!b)
		return -ENOMEM;
	b->state = BOX_LEAVING;
	b->claimed = true;
	target = (struct claim_target){
		.tree = &k->tree, .id = b->job.id, .pidfd = -1, .release = &b->release
	};
	r = claim_recall(&target, m, reason);
	if (r < 0) {
		(void)fprintf(stderr, "sandbox %s: %s\n", id, reason);
		box_free(b);
		return r;
	}
	b->ends[b->n_ends++] = *end;
	leave(b);
	return 0;
}

/* ---- one of another keeper ---- */

static void on_foreign_end(void *userdata, uint32_t events)
{
	struct box *b = userdata;

	(void)events;
	loop_forget(&b->keeper->loop, &b->end);
	b->status = SIGKILL; /* nobody knows, and that is the usual way */
	b->state = BOX_LEAVING;
	leave(b);
}

/* The pid that a pidfd is of, as our own pid namespace has it; -1: it has ended. */
static pid_t pid_of(int pidfd)
{
	char path[64], text[1024];
	const char *line;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	if (file_get_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return -1;
	line = strstr(text, "\nPid:");
	return line ? (pid_t)strtol(line + strlen("\nPid:"), NULL, 10) : -1;
}

int box_take_over(struct keeper *k, const struct runtime_job *job, int pidfd, struct box **ret)
{
	CLEANUP_FD int own = pidfd;
	const pid_t pid = pid_of(own);
	struct box *b;
	int r;

	if (pid <= 1)
		return -ESRCH;
	b = box_new(k, job);
	if (!b)
		return -ENOMEM;
	b->pid = pid;
	b->foreign = true;
	b->state = BOX_RUNNING;
	b->pidfd = TAKE_FD(own);
	b->end = (struct watch){ .fd = b->pidfd, .on_ready = on_foreign_end, .userdata = b };
	r = loop_watch(&k->loop, &b->end, EPOLLIN);
	if (r < 0) {
		box_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

bool box_reap(struct keeper *k, pid_t pid, int status)
{
	struct box *b = take_pid(k, pid);

	if (!b)
		return false;
	b->status = status;
	b->state = BOX_LEAVING;
	leave(b);
	return true;
}
