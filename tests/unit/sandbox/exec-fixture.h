/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the exec side sees of the rest of the daemon, made up: one sandbox, a store that counts, a
 * keeper that answers from the loop. */

#include <stdbool.h>
#include <stdint.h>

#include "keeper-wire.h"
#include "sandbox/sandbox.h"

struct event_base;
struct init_client;

struct sandbox {
	struct init_client *init;
	bool has_keeper;
	bool has_users;
	bool hidden;
	bool runs; /* although its init is not connected yet */
	uint64_t oom_kills;
	struct sandbox_facts facts;
};

extern struct sandbox box;
extern char box_id[], box_name[];
extern unsigned rows;
extern unsigned told_started, told_ended; /* events */
extern unsigned leases_ended;             /* how often those of an exec were */
extern int batch_error;                   /* what the end of a batch answers */
extern int insert_error;                  /* and an insert */

#define OLD_EXEC 77 /* init's number of the one of the box that ran */
#define YOUNG_EXEC 78

/* Ended execs that an earlier daemon has stored: of the box, and of each of others beside it. */
#define OTHERS_MAX 600
struct stored_execs {
	bool waited_for;  /* the one of the box ends with its client */
	bool never_begun; /* and one of the box that may never have been */
	unsigned of_box;
	unsigned others;
	unsigned of_each;
};
extern struct stored_execs stored;
extern struct sandbox others[OTHERS_MAX];

extern unsigned leases_given_back; /* those of commands that never began */
extern bool lease_is_gone;

struct fake_spool {
	int error; /* what opening answers */
	uint32_t finishes;
	uint32_t masked; /* opened with something to cover */
};
extern struct fake_spool spool;

void keeper_begin(struct event_base *base);
void keeper_end(void);
