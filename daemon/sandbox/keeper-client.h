/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* sandboxd's side of keeper-wire.h: one keeper process per workspace owner, started on first use.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "keeper-wire.h"

struct keeper_client;
struct keeper_table;
struct manager;

/* Every reply ends in one of these: ERROR is 0 or negative errno (-ECONNRESET: the keeper is gone),
 * M the whole reply (NULL when there is none); fds not taken from it are closed afterwards. */
typedef void keeper_reply(struct keeper_client *k, int error, struct wire_message *m,
			  void *userdata);

/* Sends REQUEST (made with wire_begin; serial is filled in here; its fds are closed when sent).
 * DONE is called exactly once, never from inside this call. Returns 0 or negative errno (then DONE
 * is not called). */
int keeper_client_call(struct keeper_client *k, struct wire_message *request, keeper_reply *done,
		       void *userdata);

/* Convenience for the exec side. EXEC is the exec id (file name of its spool). */
struct spool_request {
	const char *exec;
	const char *sandbox; /* its id */
	uint32_t streams;    /* 1 << enum keeper_spool_stream */
	uid_t uid;           /* as the sandbox sees it; translated here */
	int pty;             /* master, taken over; -1 */
	int keep_stdin;      /* write end of stdin for the keeper to hold, taken over; -1 */
	int masks;           /* spool-mask.h, taken over; -1: nothing more is to be covered */
	uint64_t max_bytes;
};
int keeper_client_spool_open(struct keeper_client *k, const struct spool_request *request,
			     keeper_reply *done, void *userdata);
int keeper_client_spool_finish(struct keeper_client *k, const char *exec, uint32_t wait_ms,
			       bool remove, keeper_reply *done, void *userdata);
/* See struct keeper_spool_hold; whether it came in time is nobody's business. */
int keeper_client_spool_hold(struct keeper_client *k, const char *exec,
			     const uint64_t offset[KEEPER_STREAM_MAX]);
int keeper_client_spool_adopt(struct keeper_client *k, const char *exec, keeper_reply *done,
			      void *userdata);
/* The keeper's copy of what leads to its stdin is not needed any more. */
int keeper_client_spool_drop_stdin(struct keeper_client *k, const char *exec);
/* There is more that no spool of SANDBOX must hold: MASKS as in struct spool_request, never -1.
 * STAYS: see struct keeper_spool_mask. */
int keeper_client_spool_mask(struct keeper_client *k, const char *sandbox, int masks, bool stays,
			     keeper_reply *done, void *userdata);
int keeper_client_spool_remove(struct keeper_client *k, const char *exec);

/* ---- for sandbox*.c and main.c ---- */

/* For building one request within a call; shared by all, 192 KB each time would be much. */
struct wire_message *keeper_scratch(struct manager *m);
uint32_t keeper_client_controllers(const struct keeper_client *k); /* those that work */
pid_t keeper_client_pid(const struct keeper_client *k); /* ours to reap: it stays its own */
enum keeper_map keeper_client_map(const struct keeper_client *k);
/* Whose it is, on the host. */
void keeper_client_owner(const struct keeper_client *k, uint32_t *ret_uid, uint32_t *ret_gid);
/* Mode shifted: the user namespace through which workspaces are shown (made at first use). Returns
 * an fd (borrowed), -1 in the other modes, or another negative errno. */
int keeper_client_idmap(struct keeper_client *k);

int keeper_table_new(struct manager *m, struct keeper_table **ret);
void keeper_table_free(struct manager *m);
/* Connects to all keepers of an earlier daemon. What they have and nobody knows ends. */
void keeper_table_find(struct manager *m);
/* Whether there is one for OWNER. */
bool keeper_table_has(const struct manager *m, uid_t owner);
/* True while one of them has not said what it has. */
bool keeper_table_is_finding(const struct manager *m);
/* Asks every keeper to end, but (IDLE_ONLY) those that have sandboxes; true while one of these
 * lives. */
bool keeper_table_shutdown(struct manager *m, bool idle_only);
size_t keeper_table_count(const struct manager *m);

/* Offsets that KEEPER_SPOOL_DATA brings go to the manager's exec table: exec.h,
 * exec_on_spool_data(). */
