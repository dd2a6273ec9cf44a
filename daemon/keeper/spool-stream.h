/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One stream of a spool: a pipe or pty on one side, a file on the other. No event loop here. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_CHUNK (1u << 20)

struct masks;

struct stream {
	bool used;
	bool pty;
	bool eof;
	int source; /* read end or pty master; -1 when closed */
	int file;   /* -1 until the first byte */
	int error;  /* negative errno while appending fails */
	uint64_t start;
	uint64_t end;
	uint64_t max_bytes;
	uint64_t hold;    /* bytes from here on stay; KEEPER_HOLD_NONE: as max_bytes says */
	uint64_t extra;   /* so much more than max_bytes may be held */
	int between[2];   /* a pipe of our own for a fast producer; -1 until there is one */
	size_t n_between; /* bytes in it */
	uint8_t *pending; /* read from a pty, not yet written */
	size_t n_pending;
	const struct masks
		*masks; /* what must not get into the file; borrowed; NULL: nothing yet */
	uint8_t *held;  /* may be the beginning of such a thing */
	size_t n_held;
	size_t n_shown; /* of them, which are in the file all the same */
};

void stream_init(struct stream *s);
void stream_deinit(struct stream *s);

/* As much as may be kept is there and held: the producer has to wait. */
bool stream_is_held(const struct stream *s);

/* The writer is dead: what it left in the pipe is taken although nobody reads along any more, and
 * nothing is punched out for it that is still to be read. What others write is not. */
void stream_let_go(struct stream *s);

/* Moves what is there, at most one chunk. DIR and NAME say where the file is made. BUFFER holds
 * STREAM_CHUNK bytes. Returns bytes moved (> 0), 0 when nothing is there now or the stream has
 * ended (s->eof), or negative errno when the file took nothing (s->error is set; data stays). */
int64_t stream_pump(struct stream *s, int dir, const char *name, uint8_t *buffer);

/* Whether there is held so little that it gives nothing away, and is not in the file. */
bool stream_can_show(const struct stream *s);
/* Puts it there: its producer may wait for an answer to it. What is a secret's after all is covered
 * in the file later. Returns whether there is more in the file. */
bool stream_show(struct stream *s, int dir, const char *name);

/* Nothing comes after what was pumped: what was held gets into the file. */
void stream_flush(struct stream *s, int dir, const char *name);
