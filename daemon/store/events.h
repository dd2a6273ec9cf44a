/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What happened, in order. Numbers are never used again: those of deleted events are remembered as
 * floors, one for each peer. */

#include <stdint.h>

#include "params.h"

struct store;

#define STORE_EVENT_EVERYBODY (-1) /* as a peer */

/* Strings and blobs are borrowed; NULL: none. */
struct store_event {
	int64_t seq;
	int64_t at_ms; /* CLOCK_REALTIME */
	int64_t peer;  /* a uid, or STORE_EVENT_EVERYBODY */
	const char *type;
	const char *loop_id;
	const char *sandbox;
	const char *sandbox_id;
	const char *exec_id;
	const char *tool;
	const char *state;
	struct bytes labels; /* pairs_pack() */
	struct bytes facts;  /* sandbox/event-log.h */
};

int store_event_insert(struct store *s, const struct store_event *row);
/* Calls FN for at most LIMIT events behind AFTER. Returns 0, FN's first non-zero result, or
 * negative errno. FN must not write to the store. */
typedef int store_event_row(const struct store_event *row, void *userdata);
int store_event_load(struct store *s, int64_t after, int64_t limit, store_event_row *fn,
		     void *userdata);

/* The oldest events of PEER, at most LIMIT; FN as above. */
typedef int store_event_age(int64_t seq, int64_t at_ms, void *userdata);
int store_event_oldest(struct store *s, int64_t peer, int64_t limit, store_event_age *fn,
		       void *userdata);
/* Deletes PEER's events up to UPTO, which becomes its floor. */
int store_event_delete(struct store *s, int64_t peer, int64_t upto);

/* What is known of a peer: how many events it has and its floor, in two calls or one (then the
 * other number is 0). FN as above. */
struct store_event_peer {
	int64_t peer;
	int64_t count;
	int64_t last;  /* number of its newest event */
	int64_t floor; /* 0: none */
};
typedef int store_event_peer_row(const struct store_event_peer *row, void *userdata);
int store_event_peers(struct store *s, store_event_peer_row *fn, void *userdata);
