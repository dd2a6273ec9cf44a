/* SPDX-License-Identifier: Apache-2.0 */
/* A spool belongs to its list until it is finished or removed. DATA events are merged: one is sent
 * at once, the next at least SPOOL_NOTIFY_MS later and only when the link takes it, so a fast
 * producer costs a slow sandboxd nothing. */

#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "dumpable.h"
#include "files.h"
#include "hash.h"
#include "keeper-wire.h"
#include "macro.h"
#include "mask.h"
#include "spool-stream.h"

#define SPOOL_NOTIFY_MS 4
#define SPOOL_RETRY_MS 500
#define SPOOL_SHOW_MS 50   /* a few bytes that may begin a secret wait so long for the next */
#define SPOOL_FULL_MS 5000 /* a full disk at the end: time to make room before bytes are lost */
#define SPOOL_PIPE_SIZE (1 << 20)
#define SPOOL_BIG_MAX 8    /* execs with large pipes: an owner has 64 MiB of them in all */
#define SPOOL_PUMPS_MAX 64 /* chunks taken at the end without looking at others */

static const char *const stream_names[KEEPER_STREAM_MAX] = { "stdout", "stderr", "output" };

struct spool_stream {
	struct spool *spool;
	struct stream stream;
	struct watch watch;
	char file[NAME_LENGTH_MAX + 16];
};

struct spool {
	LIST_ENTRY(spool) in_all;
	LIST_ENTRY(spool) by_exec;
	struct spools *all;
	struct spool_stream streams[KEEPER_STREAM_MAX];
	struct timer notify;
	struct timer retry;
	struct timer finish;
	struct timer show;
	struct spool_cover *cover; /* NULL: nothing is to be covered yet */
	struct keeper_stream_state told[KEEPER_STREAM_MAX];
	bool dirty;
	bool finishing;
	bool patient; /* finishing, but the disk is full: some time more */
	bool remove;
	int stdin_end; /* held for a daemon that comes back; -1 */
	uint64_t finish_serial;
	char exec[NAME_LENGTH_MAX + 1];
	char sandbox[NAME_LENGTH_MAX + 1];
};

static void fill_states(const struct spool *s, struct keeper_stream_state *states)
{
	const struct stream *t;
	size_t i;

	for (i = 0; i < KEEPER_STREAM_MAX; i++) {
		t = &s->streams[i].stream;
		states[i].end = t->end;
		states[i].start = t->start;
		states[i].eof = !t->used || t->eof;
		states[i].error = t->error;
	}
}

static void send_data(struct spool *s)
{
	struct wire_message *m;
	struct keeper_spool_data *data;

	s->dirty = false;
	m = link_begin(s->all->link, KEEPER_SPOOL_DATA, 0, sizeof(*data));
	data = (struct keeper_spool_data *)(void *)m->data;
	fill_states(s, data->streams);
	memcpy(s->told, data->streams, sizeof(s->told));
	(void)wire_add_string(m, offsetof(struct keeper_spool_data, exec), s->exec); /* short */
	link_send(s->all->link);
	timer_set(s->all->loop, &s->notify, SPOOL_NOTIFY_MS);
}

/* A full disk is tried again and again; it is told once. */
static bool news(const struct spool *s)
{
	struct keeper_stream_state now[KEEPER_STREAM_MAX];

	fill_states(s, now);
	return memcmp(now, s->told, sizeof(now)) != 0;
}

static void notify(struct spool *s)
{
	s->dirty = news(s);
	if (s->dirty && !s->notify.armed && !link_busy(s->all->link))
		send_data(s);
}

static void on_notify(void *userdata)
{
	struct spool *s = userdata;

	if (s->dirty)
		notify(s);
}

void spools_flush(struct spools *all)
{
	struct spool *s;

	LIST_FOREACH (s, &all->list, in_all)
		if (s->dirty)
			notify(s);
}

static void close_stream(struct spool_stream *t)
{
	loop_forget(t->spool->all->loop, &t->watch);
	stream_deinit(&t->stream);
}

static void unlink_files(const struct spools *all, const char *exec)
{
	char name[NAME_LENGTH_MAX + 16];
	size_t i;

	for (i = 0; i < KEEPER_STREAM_MAX; i++) {
		(void)snprintf(name, sizeof(name), "%s.%s", exec, stream_names[i]);
		(void)unlinkat(all->dir, name, 0); /* most have only some of them */
	}
}

static void spool_free(struct spool *s)
{
	struct spools *all = s->all;
	size_t i;

	LIST_REMOVE(s, in_all);
	LIST_REMOVE(s, by_exec);
	all->count--;
	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		close_stream(&s->streams[i]);
	s->stdin_end = close_fd(s->stdin_end);
	timer_cancel(all->loop, &s->notify);
	timer_cancel(all->loop, &s->retry);
	timer_cancel(all->loop, &s->finish);
	timer_cancel(all->loop, &s->show);
	spool_cover_leave(s->cover);
	free(s);
	all->on_change(all->userdata);
}

static bool all_ended(const struct spool *s)
{
	size_t i;

	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		if (s->streams[i].stream.used && !s->streams[i].stream.eof)
			return false;
	return true;
}

/* Answers the FINISH and frees S. */
static void finish(struct spool *s)
{
	struct keeper_spool_finish_reply *reply;
	struct wire_message *m;

	m = link_begin(s->all->link, KEEPER_SPOOL_FINISH, s->finish_serial, sizeof(*reply));
	reply = (struct keeper_spool_finish_reply *)(void *)m->data;
	fill_states(s, reply->streams);
	link_send(s->all->link);
	if (s->remove)
		unlink_files(s->all, s->exec);
	spool_free(s);
}

/* One chunk. Returns false when nothing more is to be had now. */
static bool pump(struct spool_stream *t)
{
	struct spool *s = t->spool;
	int64_t n;

	if (stream_is_held(&t->stream)) { /* spools_hold() goes on */
		loop_forget(s->all->loop, &t->watch);
		return false;
	}
	n = stream_pump(&t->stream, s->all->dir, t->file, s->all->buffer);
	if (n < 0) { /* the producer blocks on the full pipe until there is room again */
		loop_forget(s->all->loop, &t->watch);
		if (!s->retry.armed)
			timer_set(s->all->loop, &s->retry, SPOOL_RETRY_MS);
	}
	if (t->stream.eof) {
		loop_forget(s->all->loop, &t->watch);
		t->stream.source = close_fd(t->stream.source);
	}
	if (n != 0 || t->stream.eof)
		s->dirty = true;
	if (stream_can_show(&t->stream))
		timer_set(s->all->loop, &s->show, SPOOL_SHOW_MS);
	return n > 0;
}

/* What the producer wrote is still in a pipe, for want of space. */
static bool is_full(const struct spool *s)
{
	const struct stream *t;
	size_t i;

	for (i = 0; i < KEEPER_STREAM_MAX; i++) {
		t = &s->streams[i].stream;
		if (t->source >= 0 && (t->error == -ENOSPC || t->error == -EDQUOT))
			return true;
	}
	return false;
}

static void after_pump(struct spool *s)
{
	if (s->finishing && all_ended(s)) {
		finish(s);
	} else if (s->patient && !is_full(s)) { /* there is room: the rest, and the end */
		s->patient = false;
		timer_set(s->all->loop, &s->finish, 0);
	} else if (s->dirty && !s->finishing) {
		notify(s);
	}
}

static void on_readable(void *userdata, uint32_t events)
{
	struct spool_stream *t = userdata;

	(void)events;
	(void)pump(t);
	after_pump(t->spool);
}

static void on_retry(void *userdata)
{
	struct spool *s = userdata;
	struct spool_stream *t;
	size_t i;

	for (i = 0; i < KEEPER_STREAM_MAX; i++) {
		t = &s->streams[i];
		if (t->stream.source < 0 || t->watch.active)
			continue;
		t->watch.fd = t->stream.source;
		if (pump(t) || t->stream.error == 0)
			(void)loop_watch(s->all->loop, &t->watch, EPOLLIN);
	}
	after_pump(s);
}

static void on_show(void *userdata)
{
	struct spool *s = userdata;
	size_t i;

	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		if (stream_show(&s->streams[i].stream, s->all->dir, s->streams[i].file))
			s->dirty = true;
	after_pump(s);
}

/* Time is up: what is in the pipes now still counts. */
static void on_finish_time(void *userdata)
{
	struct spool *s = userdata;
	size_t i, n;

	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		for (n = 0; n < SPOOL_PUMPS_MAX && s->streams[i].stream.source >= 0; n++)
			if (!pump(&s->streams[i]))
				break;
	if (!s->patient && is_full(s)) {
		s->patient = true;
		timer_set(s->all->loop, &s->finish, SPOOL_FULL_MS);
	} else {
		for (i = 0; i < KEEPER_STREAM_MAX; i++)
			stream_flush(&s->streams[i].stream, s->all->dir, s->streams[i].file);
		finish(s);
	}
}

static struct spool *find(const struct spools *all, const char *exec)
{
	struct spool *s;

	LIST_FOREACH (s, &all->by_exec[hash_id(exec, SPOOL_BUCKETS)], by_exec)
		if (strcmp(s->exec, exec) == 0)
			return s;
	return NULL;
}

static struct spool *spool_new(struct spools *all, const char *exec, const char *sandbox,
			       uint64_t max_bytes)
{
	struct spool *s = calloc(1, sizeof(*s));
	size_t i;

	if (!s)
		return NULL;
	s->all = all;
	s->stdin_end = -1;
	s->notify = (struct timer){ .on_time = on_notify, .userdata = s };
	s->retry = (struct timer){ .on_time = on_retry, .userdata = s };
	s->finish = (struct timer){ .on_time = on_finish_time, .userdata = s };
	s->show = (struct timer){ .on_time = on_show, .userdata = s };
	(void)snprintf(s->exec, sizeof(s->exec), "%s", exec);
	(void)snprintf(s->sandbox, sizeof(s->sandbox), "%s", sandbox);
	s->cover = spool_cover_use(spool_cover_find(&all->covers, sandbox));
	for (i = 0; i < KEEPER_STREAM_MAX; i++) {
		s->streams[i].spool = s;
		stream_init(&s->streams[i].stream);
		s->streams[i].stream.max_bytes = max_bytes;
		s->streams[i].watch = (struct watch){ .fd = -1,
						      .on_ready = on_readable,
						      .userdata = &s->streams[i] };
		(void)snprintf(s->streams[i].file, sizeof(s->streams[i].file), "%s.%s", exec,
			       stream_names[i]);
	}
	LIST_INSERT_HEAD(&all->list, s, in_all);
	LIST_INSERT_HEAD(&all->by_exec[hash_id(s->exec, SPOOL_BUCKETS)], s, by_exec);
	all->count++;
	return s;
}

/* A pipe whose inode belongs to keeper id UID: opening /dev/stderr again is allowed to its owner.
 * Returns the write end. */
static int make_pipe(uint32_t uid, bool big, int *ret_read)
{
	int fds[2], r = 0;

	(void)setfsgid(uid);
	(void)setfsuid(uid);
	if (pipe2(fds, O_CLOEXEC) < 0)
		r = -errno;
	(void)setfsuid(0);
	(void)setfsgid(0);
	dumpable_restore();
	if (r < 0)
		return r;
	if (big)
		(void)fcntl(fds[1], F_SETPIPE_SZ, SPOOL_PIPE_SIZE); /* over quota: it stays small */
	(void)fcntl(fds[0], F_SETFL, O_NONBLOCK);                   /* cannot fail on a pipe */
	*ret_read = fds[0];
	return fds[1];
}

/* Watches SOURCE (taken over) as stream I. */
static int start_stream(struct spool *s, size_t i, int source, bool pty)
{
	struct spool_stream *t = &s->streams[i];

	t->stream.used = true;
	t->stream.pty = pty;
	t->stream.masks = s->cover ? s->cover->masks : NULL;
	t->stream.source = source;
	t->watch.fd = source;
	return loop_watch(s->all->loop, &t->watch, EPOLLIN);
}

static int open_pipes(struct spool *s, const struct keeper_spool_open *request,
		      struct wire_message *reply)
{
	int source, sink, r;
	size_t i;

	for (i = 0; i < KEEPER_STREAM_MAX; i++) {
		if ((request->streams & (1u << i)) == 0)
			continue;
		sink = make_pipe(request->uid, s->all->count <= SPOOL_BIG_MAX, &source);
		if (sink < 0)
			return sink;
		r = wire_add_fd(reply, sink);
		if (r >= 0)
			r = start_stream(s, i, source, false);
		else
			(void)close_fd(source);
		if (r < 0)
			return r;
	}
	return 0;
}

static int open_pty(struct spool *s, struct wire_message *m)
{
	int master = wire_take_fd(m, 0);
	struct stat st;
	int r;

	if (master < 0)
		return -EBADF;
	if (fstat(master, &st) < 0 || !S_ISCHR(st.st_mode) || !isatty(master) ||
	    fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK) < 0) {
		(void)close_fd(master);
		return -ENOTTY;
	}
	r = start_stream(s, KEEPER_STREAM_OUTPUT, master, true);
	if (r < 0)
		(void)close_fd(s->streams[KEEPER_STREAM_OUTPUT].stream.source);
	return r;
}

static int check_open(const struct spools *all, const struct keeper_spool_open *request,
		      const char *exec, const char *sandbox)
{
	const uint32_t known = (1u << KEEPER_STREAM_MAX) - 1;

	if (!name_good(exec) || !name_good(sandbox) ||
	    (request->streams == 0 && !request->keep_stdin) ||
	    (request->pty && request->keep_stdin) || (request->streams & ~known) != 0 ||
	    !ids_exists(all->ids, request->uid))
		return -EINVAL;
	return find(all, exec) ? -EEXIST : 0;
}

/* None of SANDBOX holds what FD says, from now on. Returns 0 or negative errno. */
static int cover_all_of(struct spools *all, const char *sandbox, int fd, bool stays)
{
	struct spool_cover *c;
	struct spool *s;
	int r = spool_cover_add(&all->covers, sandbox, fd, &c);
	size_t i;

	if (r < 0)
		return r;
	c->stays = c->stays || stays;
	if (r == 0)
		return 0;
	LIST_FOREACH (s, &all->list, in_all) {
		if (strcmp(s->sandbox, sandbox) != 0)
			continue;
		s->cover = spool_cover_use(c);
		for (i = 0; i < KEEPER_STREAM_MAX; i++)
			s->streams[i].stream.masks = c->masks;
	}
	return 0;
}

/* The last descriptor of M, behind a pty's master or a stdin. */
static int take_masks(struct spools *all, const struct keeper_spool_open *request,
		      const char *sandbox, struct wire_message *m)
{
	const size_t before = request->pty || request->keep_stdin ? 1 : 0;
	CLEANUP_FD int fd = -1;

	if (!request->has_masks)
		return 0;
	fd = wire_take_fd(m, before);
	return fd < 0 ? -EBADF : cover_all_of(all, sandbox, fd, false);
}

void spools_open(struct spools *all, struct wire_message *m)
{
	const struct keeper_spool_open *request = (const void *)m->data;
	struct wire_message *reply = link_begin(all->link, KEEPER_SPOOL_OPEN,
						request->header.serial, sizeof(struct wire_header));
	struct spool *s = NULL;
	bool bad = false;
	const char *exec = wire_string(m, request->exec, &bad);
	const char *sandbox = wire_string(m, request->sandbox, &bad);
	int r;

	r = bad ? -EBADMSG : check_open(all, request, exec, sandbox);
	if (r == 0)
		r = take_masks(all, request, sandbox, m);
	if (r == 0) {
		s = spool_new(all, exec, sandbox, request->max_bytes);
		r = s ? 0 : -ENOMEM;
	}
	if (r == 0 && request->keep_stdin)
		r = s->stdin_end = wire_take_fd(m, 0);
	if (r >= 0)
		r = request->pty ? open_pty(s, m) : open_pipes(s, request, reply);
	if (r < 0) {
		wire_message_done(reply);
		if (s)
			spool_free(s);
	}
	wire_head(reply)->error = r;
	link_send(all->link);
	all->on_change(all->userdata);
}

/* Lets a producer go on that is not held any more. */
static void go_on(struct spool *s)
{
	struct spool_stream *t;
	size_t i;

	for (i = 0; i < KEEPER_STREAM_MAX; i++) {
		t = &s->streams[i];
		if (t->stream.source < 0 || t->watch.active || t->stream.error < 0 ||
		    stream_is_held(&t->stream))
			continue;
		t->watch.fd = t->stream.source;
		(void)loop_watch(s->all->loop, &t->watch, EPOLLIN); /* as in on_retry() */
	}
}

/* Lets every producer's last words in. */
static void release(struct spool *s)
{
	size_t i;

	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		stream_let_go(&s->streams[i].stream);
	go_on(s);
}

void spools_hold(struct spools *all, struct wire_message *m)
{
	const struct keeper_spool_hold *request = (const void *)m->data;
	bool bad = false;
	const char *exec = wire_string(m, request->exec, &bad);
	struct spool *s = bad || !exec ? NULL : find(all, exec);
	size_t i;

	for (i = 0; s && !s->finishing && i < KEEPER_STREAM_MAX; i++)
		s->streams[i].stream.hold = request->offset[i];
	if (s)
		go_on(s);
	link_reply(all->link, KEEPER_SPOOL_HOLD, request->header.serial, s ? 0 : -ENOENT);
}

void spools_finish(struct spools *all, struct wire_message *m)
{
	const struct keeper_spool_finish *request = (const void *)m->data;
	bool bad = false;
	const char *exec = wire_string(m, request->exec, &bad);
	struct spool *s = bad || !exec ? NULL : find(all, exec);

	if (!s || s->finishing) {
		link_reply(all->link, KEEPER_SPOOL_FINISH, request->header.serial,
			   bad ? -EBADMSG
			   : s ? -EALREADY
			       : -ENOENT);
		return;
	}
	release(s);
	s->stdin_end = close_fd(s->stdin_end);
	s->finishing = true;
	s->remove = request->remove != 0;
	s->finish_serial = request->header.serial;
	if (all_ended(s))
		finish(s);
	else
		timer_set(all->loop, &s->finish, request->wait_ms);
}

/* ---- for a daemon that came back ---- */

/* The one that M, a struct keeper_spool_ref, names; NULL: there is none, or it is being closed. */
static struct spool *find_open(const struct spools *all, const struct wire_message *m)
{
	const struct keeper_spool_ref *request = (const void *)m->data;
	bool bad = false;
	const char *exec = wire_string(m, request->exec, &bad);
	struct spool *s = bad || !exec ? NULL : find(all, exec);

	return s && !s->finishing ? s : NULL;
}

/* Adds a copy of FD to M: 1, or 0 when there is none or no room. */
static uint32_t add_copy(struct wire_message *m, int fd)
{
	int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy >= 0 && wire_add_fd(m, copy) >= 0;
}

void spools_adopt(struct spools *all, struct wire_message *m)
{
	const struct wire_header h = *wire_head(m);
	const struct spool *s = find_open(all, m);
	const struct stream *output;
	struct keeper_spool_adopt_reply *reply;
	struct wire_message *out;

	out = link_begin(all->link, h.type, h.serial, sizeof(*reply));
	reply = (struct keeper_spool_adopt_reply *)(void *)out->data;
	if (s) {
		output = &s->streams[KEEPER_STREAM_OUTPUT].stream;
		fill_states(s, reply->streams);
		reply->has_stdin = add_copy(out, s->stdin_end);
		reply->has_pty = output->pty ? add_copy(out, output->source) : 0;
	} else {
		reply->header.error = -ENOENT;
	}
	link_send(all->link);
}

void spools_drop_stdin(struct spools *all, struct wire_message *m)
{
	const struct wire_header h = *wire_head(m);
	struct spool *s = find_open(all, m);

	if (s)
		s->stdin_end = close_fd(s->stdin_end);
	link_reply(all->link, h.type, h.serial, s ? 0 : -ENOENT);
}

void spools_mask(struct spools *all, struct wire_message *m)
{
	const struct keeper_spool_mask *request = (const void *)m->data;
	CLEANUP_FD int fd = wire_take_fd(m, 0);
	bool bad = false;
	const char *sandbox = wire_string(m, request->sandbox, &bad);
	int r = bad || !name_good(sandbox) || fd < 0
			? -EINVAL
			: cover_all_of(all, sandbox, fd, request->stays != 0);

	link_reply(all->link, KEEPER_SPOOL_MASK, request->header.serial, r);
}

bool spools_each(const struct spools *all, bool (*fn)(const char *exec, void *userdata),
		 void *userdata)
{
	const struct spool *s;

	LIST_FOREACH (s, &all->list, in_all)
		if (!fn(s->exec, userdata))
			return false;
	return true;
}

void spools_remove(struct spools *all, struct wire_message *m)
{
	const struct keeper_spool_ref *request = (const void *)m->data;
	bool bad = false;
	const char *exec = wire_string(m, request->exec, &bad);
	struct spool *s;
	int r = bad || !name_good(exec) ? -EINVAL : 0;

	if (r == 0) {
		s = find(all, exec);
		if (s && s->finishing) {
			s->remove = true;
		} else if (s) {
			spool_free(s);
			unlink_files(all, exec);
		} else {
			unlink_files(all, exec);
		}
	}
	link_reply(all->link, KEEPER_SPOOL_REMOVE, request->header.serial, r);
}

int spools_init(struct spools *s, struct loop *loop, struct link *link, const struct ids *ids)
{
	memset(s, 0, sizeof(*s));
	s->loop = loop;
	s->link = link;
	s->ids = ids;
	s->dir = -1;
	s->buffer = malloc(STREAM_CHUNK);
	return s->buffer ? 0 : -ENOMEM;
}

void spools_deinit(struct spools *s)
{
	while (!LIST_EMPTY(&s->list))
		spool_free(LIST_FIRST(&s->list));
	spool_covers_deinit(&s->covers);
	free(s->buffer);
	s->buffer = NULL;
}
