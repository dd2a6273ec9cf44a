/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* init's loop: connections, requests, events. See init-wire.h for the protocol. */

#include "init/dial.h"
#include "init/jobs.h"
#include "init/leftovers.h"
#include "init/lent.h"
#include "init/spawn.h"
#include "init/standstill.h"
#include "init/tree.h"
#include "wire.h"

/* Everything init has. Half a megabyte that is mostly never touched: keep it in .bss. */
struct server {
	int listener;
	int signals; /* signalfd: SIGCHLD */
	int null;    /* /dev/null, opened before anybody could replace it */
	int connections[INIT_CONNECTIONS_MAX];
	bool congested; /* the controller's socket was full: it gets the rest before it may ask more
			 */
	int controller; /* index of a connection, or -1 */
	bool listing;   /* the controller is to hear of everything, then INIT_LISTED */
	uint64_t next_exec; /* greater than every number so far */
	int64_t alone_since_ms;
	int64_t orphan_ms;   /* how long without a controller, once there was one */
	int64_t patience_ms; /* and now */
	bool shutdown;
	struct tree tree;
	struct jobs jobs;
	struct killer killer;
	struct standstill standstill;
	struct lent lent;
	struct wire_message in;
	struct wire_message out;
	_Alignas(64) uint8_t stack[SPAWN_STACK_SIZE]; /* of the vforked child */
};

/* Raises the fence, opens what is needed and says so on INIT_FD_READY. The three inherited
 * descriptors are taken over. With DIAL there are none: it connects, and that says that it is
 * ready. Returns 0, or negative errno and in *RET_WHAT what failed; then the
 * caller must end the process. */
int server_init(struct server *s, const struct dial *dial, const char **ret_what);

/* Serves until INIT_SHUTDOWN or until nobody has controlled it for too long; then the caller ends,
 * and the kernel ends the sandbox. */
void server_run(struct server *s);

/* One turn of that: sleeps at most *DELAY ms (-1: until something happens), handles what is there,
 * sets *DELAY for the next. False: the end. */
bool server_turn(struct server *s, int *delay);
