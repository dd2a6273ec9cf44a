/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes are spliced: pages are copied once, in the kernel, and what the file did not take stays in
 * the pipe, so a full disk blocks the producer and loses nothing. Splicing to a file holds the
 * pipe's lock for as long as the file takes, and the producer waits: the pages of a fast one are
 * first moved, not copied, into a pipe between, and it fills its own again meanwhile. A pty cannot
 * be spliced everywhere, so it is read, and what was not written waits in `pending`. So is a pipe
 * whose bytes have to be looked at (mask.h).
 *
 * Beyond max_bytes the oldest bytes are punched out, some at a time: offsets never change. */

#include "spool-stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "keeper-wire.h"
#include "macro.h"
#include "mask.h"

#define PUNCH_MIN (1u << 20)
#define BLOCK 4096u
#define FAST (256u * 1024)         /* so much at once: a fast producer */
#define BETWEEN_SIZE (512u * 1024) /* half its pipe: the other half is being filled */
#define HOLD_MIN (64u * 1024)
#define PTY_MAX (64 * 1024) /* more than a pty ever holds */

void stream_init(struct stream *s)
{
	memset(s, 0, sizeof(*s));
	s->source = s->file = s->between[0] = s->between[1] = -1;
	s->hold = KEEPER_HOLD_NONE;
}

void stream_deinit(struct stream *s)
{
	s->source = close_fd(s->source);
	s->file = close_fd(s->file);
	s->between[0] = close_fd(s->between[0]);
	s->between[1] = close_fd(s->between[1]);
	s->n_between = 0;
	free(s->pending);
	s->pending = NULL;
	s->n_pending = 0;
	masks_memory_free(s->held, KEEPER_MASK_MAX);
	s->held = NULL;
	s->n_held = s->n_shown = 0;
}

/* A reader that waits for the rest of a character must get it, however small the spool. */
static uint64_t room(const struct stream *s)
{
	return s->max_bytes > HOLD_MIN ? s->max_bytes : HOLD_MIN;
}

bool stream_is_held(const struct stream *s)
{
	return s->max_bytes > 0 && s->end >= s->hold && s->end - s->hold >= room(s) + s->extra;
}

void stream_let_go(struct stream *s)
{
	uint64_t held = s->end >= s->hold ? s->end - s->hold : 0;
	int waiting = 0;

	if (s->source < 0)
		return;
	if (s->pty) /* not all that the kernel has is counted by FIONREAD */
		waiting = PTY_MAX;
	else
		(void)ioctl(s->source, FIONREAD, &waiting); /* cannot fail on a pipe */
	s->extra = (uint64_t)waiting + s->n_pending + s->n_between + s->n_held +
		   1; /* and one, to see the end behind it */
	if (held > room(s))
		s->extra += held - room(s);
}

static int open_file(struct stream *s, int dir, const char *name)
{
	if (s->file >= 0)
		return 0;
	s->file = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return s->file < 0 ? -errno : 0;
}

/* A file system without holes (none of the usual ones): everything older goes. */
static int punch(const struct stream *s, uint64_t to)
{
	if (fallocate(s->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)s->start,
		      (off_t)(to - s->start)) == 0)
		return 0;
	return ftruncate(s->file, 0) < 0 ? -errno : 1;
}

static void drop_oldest(struct stream *s)
{
	uint64_t slack = s->max_bytes / 8 > PUNCH_MIN ? s->max_bytes / 8 : PUNCH_MIN;
	uint64_t to;
	int r;

	if (s->max_bytes == 0 || s->end - s->start <= s->max_bytes + slack)
		return;
	to = s->end - s->max_bytes;
	if (to > s->hold)
		to = s->hold;
	to = to / BLOCK * BLOCK;
	if (to <= s->start)
		return;
	r = punch(s, to);
	if (r >= 0)
		s->start = r == 1 ? s->end : to;
}

static int64_t failed(struct stream *s, int error)
{
	s->error = error;
	return error;
}

static int64_t appended(struct stream *s, int64_t n)
{
	s->error = 0;
	s->end += (uint64_t)n;
	drop_oldest(s);
	return n;
}

/* Only data makes a file. Returns 1 when there is some; else 0, with eof set at the end. */
static int data_waits(struct stream *s)
{
	struct pollfd p = { s->source, POLLIN, 0 };

	if (poll(&p, 1, 0) <= 0)
		return 0;
	if (p.revents & POLLIN)
		return 1;
	s->eof = true; /* POLLHUP alone: no writer and nothing left */
	return 0;
}

/* Without one it is only slower. */
static void open_between(struct stream *s)
{
	if (pipe2(s->between, O_CLOEXEC | O_NONBLOCK) < 0)
		return;
	(void)fcntl(s->between[1], F_SETPIPE_SZ, BETWEEN_SIZE); /* over quota: it stays small */
}

static int64_t pump_between(struct stream *s)
{
	int64_t sum = 0;
	off_t at;
	ssize_t n;

	if (s->n_between == 0) {
		n = splice(s->source, NULL, s->between[1], NULL, BETWEEN_SIZE, SPLICE_F_NONBLOCK);
		s->eof = n == 0;
		if (n <= 0)
			return n == 0 || errno == EAGAIN || errno == EINTR ? 0 : failed(s, -errno);
		s->n_between = (size_t)n;
	}
	while (s->n_between > 0) {
		at = (off_t)s->end;
		n = splice(s->between[0], NULL, s->file, &at, s->n_between, SPLICE_F_MOVE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failed(s, n < 0 ? -errno : -EIO);
		s->n_between -= (size_t)n;
		sum += appended(s, n);
	}
	return sum;
}

static int64_t pump_pipe(struct stream *s, int dir, const char *name)
{
	off_t at = (off_t)s->end;
	ssize_t n;
	int r;

	if (s->file < 0 && data_waits(s) == 0)
		return 0;
	r = open_file(s, dir, name);
	if (r < 0)
		return failed(s, r);
	if (s->between[0] >= 0)
		return pump_between(s);
	n = splice(s->source, NULL, s->file, &at, STREAM_CHUNK, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n >= (ssize_t)FAST)
		open_between(s);
	if (n > 0)
		return appended(s, n);
	if (n == 0)
		s->eof = true;
	else if (errno != EAGAIN && errno != EINTR)
		return failed(s, -errno);
	return 0;
}

static int64_t write_pending(struct stream *s, int dir, const char *name)
{
	int r = open_file(s, dir, name);
	ssize_t n;

	if (r < 0)
		return failed(s, r);
	n = pwrite(s->file, s->pending, s->n_pending, (off_t)s->end);
	if (n < 0)
		return errno == EINTR ? 0 : failed(s, -errno);
	s->n_pending -= (size_t)n;
	memmove(s->pending, s->pending + n, s->n_pending);
	if (s->n_pending == 0) {
		free(s->pending);
		s->pending = NULL;
	}
	return appended(s, n);
}

/* SIZE bytes at DATA go to the file, now or later. */
static int64_t write_later(struct stream *s, int dir, const char *name, const uint8_t *data,
			   size_t size)
{
	s->pending = malloc(size);
	if (!s->pending)
		return failed(s, -ENOMEM); /* these bytes are lost, and it is said */
	memcpy(s->pending, data, size);
	s->n_pending = size;
	return write_pending(s, dir, name);
}

static int64_t pump_pty(struct stream *s, int dir, const char *name, uint8_t *buffer)
{
	ssize_t n;

	if (s->n_pending > 0)
		return write_pending(s, dir, name);
	n = read(s->source, buffer, STREAM_CHUNK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) { /* EIO: the last process closed the other side */
		s->eof = true;
		return 0;
	}
	return write_later(s, dir, name, buffer, (size_t)n);
}

/* ---- with masks ---- */

/* Looks at the SIZE bytes at BUFFER, held ones first, and writes what is settled. */
static int64_t settle(struct stream *s, int dir, const char *name, uint8_t *buffer, size_t size)
{
	size_t done = masks_apply(s->masks, buffer, size, s->eof);
	size_t shown = s->n_shown < done ? s->n_shown : done;

	s->n_held = size - done;
	memcpy(s->held, buffer + done, s->n_held);
	explicit_bzero(buffer + done, s->n_held);
	/* Shown bytes have their place. If that fails, too few for a secret stay. */
	if (shown > 0)
		(void)!pwrite(s->file, buffer, shown, (off_t)(s->end - s->n_shown));
	s->n_shown -= shown;
	return done > shown ? write_later(s, dir, name, buffer + shown, done - shown) : 0;
}

static int64_t pump_masked(struct stream *s, int dir, const char *name, uint8_t *buffer)
{
	int64_t moved = 0;
	size_t held;
	ssize_t n;

	if (s->n_pending > 0)
		return write_pending(s, dir, name);
	if (!s->held)
		s->held = masks_memory(KEEPER_MASK_MAX);
	if (!s->held)
		return failed(s, -ENOMEM); /* the bytes stay in the pipe */
	while (moved == 0 && s->n_pending == 0 && !s->eof) {
		held = s->n_held;
		n = read(s->source, buffer + held, STREAM_CHUNK - held);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		s->eof = n <= 0; /* a pty says EIO */
		memcpy(buffer, s->held, held);
		moved = settle(s, dir, name, buffer, held + (n > 0 ? (size_t)n : 0));
	}
	if (s->n_pending > 0)
		s->eof = false; /* found again when that is written */
	return moved;
}

bool stream_can_show(const struct stream *s)
{
	return s->n_held > s->n_shown && s->n_held < KEEPER_MASK_MIN && s->n_pending == 0;
}

bool stream_show(struct stream *s, int dir, const char *name)
{
	ssize_t n = -1;

	if (stream_can_show(s) && open_file(s, dir, name) == 0)
		n = pwrite(s->file, s->held + s->n_shown, s->n_held - s->n_shown, (off_t)s->end);
	if (n <= 0)
		return false; /* with what comes next */
	s->n_shown += (size_t)n;
	s->end += (uint64_t)n;
	return true;
}

void stream_flush(struct stream *s, int dir, const char *name)
{
	CLEANUP_STR char *rest = NULL;
	size_t n = s->n_held;

	if (n == 0 || s->n_pending > 0)
		return;
	rest = malloc(n);
	if (!rest)
		return;
	memcpy(rest, s->held, n);
	s->eof = true;
	(void)settle(s, dir, name, (uint8_t *)rest, n); /* an error is in the stream */
}

int64_t stream_pump(struct stream *s, int dir, const char *name, uint8_t *buffer)
{
	s->error = 0;                      /* set again by what fails now */
	if (s->masks && s->n_between == 0) /* what is between came before them */
		return pump_masked(s, dir, name, buffer);
	return s->pty ? pump_pty(s, dir, name, buffer) : pump_pipe(s, dir, name);
}
