/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* sandboxd's side of init-wire.h: one connection to the init of one running sandbox. */

#include <stdbool.h>
#include <stdint.h>

#include "init-wire.h"

struct event_base;
struct init_client;

/* Ready: HELLO was answered (error 0) or will not be (negative errno). Lost: the connection ended;
 * the client is dead, all pending callbacks were called with -ECONNRESET before. Neither is called
 * from inside a call into the client. */
struct init_client_watch {
	void (*on_ready)(struct init_client *c, int error, void *userdata);
	void (*on_lost)(struct init_client *c, void *userdata);
	/* An exec has not started after INIT_SLOW_MS, and again each time; NULL: no matter. */
	void (*on_slow)(void *userdata);
	int64_t start_ms; /* an exec not started after this: it is lost; 0: INIT_START_MS */
};

/* Connects to the named socket at PATH and sends HELLO. ORPHAN_MS: how long it lives on when we are
 * gone. Returns 0 or negative errno. */
int init_client_new(struct init_client **ret, struct event_base *base, const char *path,
		    int64_t orphan_ms, const struct init_client_watch *watch, void *userdata);
/* The same on CONNECTION, which is taken over. */
int init_client_new_connected(struct init_client **ret, struct event_base *base, int connection,
			      int64_t orphan_ms, const struct init_client_watch *watch,
			      void *userdata);
struct init_client *
init_client_free(struct init_client *c);          /* returns NULL; callbacks are not called */
void init_client_shutdown(struct init_client *c); /* asks init to end the sandbox */

/* The sandbox stands still, or (HELD false) goes on: what it is asked meanwhile waits here, and
 * that it starts nothing is not held against it. */
void init_client_hold(struct init_client *c, bool held);
/* Asks init to stop everybody in the sandbox with a signal, or to let them go on. DONE is called
 * once from the loop, also when the connection ends, but not after init_client_free(), nor when
 * something else was asked meanwhile. DONE may be NULL. Returns 0 or negative errno. */
typedef void init_client_stopped(int error, void *userdata);
int init_client_stop_all(struct init_client *c, bool stop, init_client_stopped *done,
			 void *userdata);

/* Asks init whether it is there. DONE is called once from the loop, also when the connection ends,
 * but not after init_client_free(), nor when it was asked again meanwhile: then the last one hears
 * of whatever answer comes first. Returns 0 or negative errno. */
typedef void init_client_answered(int error, void *userdata);
int init_client_ping(struct init_client *c, init_client_answered *done, void *userdata);

/* What an exec hears. STARTED once (start_error or pid; master >= 0 is the receiver's), then EXITED
 * once, then GONE for each kill. */
struct init_exec_watch {
	void (*on_started)(void *userdata, const struct init_started *started, int master);
	void (*on_exited)(void *userdata, const struct init_exited *exited);
	void (*on_gone)(void *userdata, uint32_t killed);
	void (*on_lost)(void *userdata); /* init is gone; nothing else will come */
};

/* A number for an exec, never used before in the sandbox's life. */
uint64_t init_client_number(struct init_client *c);
/* Sends a request made with wire_begin(..., INIT_EXEC, ...) as number EXEC; header.serial is filled
 * in here, the message's fds are closed when sent. WATCH and USERDATA must live until
 * init_client_forget(). Returns 0 or negative errno (-EAGAIN never: it queues). */
int init_client_exec(struct init_client *c, struct wire_message *m,
		     const struct init_exec_watch *watch, void *userdata, uint64_t exec);
int init_client_signal(struct init_client *c, uint64_t exec, int signal,
		       enum init_signal_target target);
int init_client_kill(struct init_client *c, uint64_t exec); /* answered by on_gone */
/* Sends the ACK and drops the watch: for one that has ended, init takes it as an offence else. */
void init_client_forget(struct init_client *c, uint64_t exec);
/* Drops the watch only: the sandbox is about to go. */
void init_client_abandon(struct init_client *c, uint64_t exec);

/* REQUEST's header is filled in here. DATA, a sealed memfd or -1, is taken over. Nobody is told
 * what comes of it. Return 0 or negative errno. */
int init_client_put_file(struct init_client *c, const struct init_put_file *request, int data);
int init_client_drop_file(struct init_client *c, const struct init_drop_file *request);

/* ---- what it knew before HELLO ---- */

/* An exec that an earlier daemon began. */
struct init_adopted {
	int32_t pid; /* as the sandbox sees it; 0: not told */
	bool exited;
	struct init_exited end; /* then nothing more is told of it but GONE */
};
/* Takes EXEC over: WATCH and USERDATA as in init_client_exec(), STARTED is past. Returns 0, -ESRCH
 * (init does not know it: it was never forked, or is acknowledged) or -ENOMEM. */
int init_client_adopt(struct init_client *c, uint64_t exec, const struct init_exec_watch *watch,
		      void *userdata, struct init_adopted *ret);
/* Kills and forgets all that nobody has taken over. */
void init_client_end_rest(struct init_client *c);
