/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A request that follows an exec to its end: exec.run and exec.attach. */

#include <stdbool.h>
#include <stdint.h>

#include "params.h"

struct error;
struct event_base;
struct exec;
struct request;

struct exec_stream_config {
	struct event_base *base;
	bool is_run;                       /* cancelling the request cancels the exec */
	bool joins;                        /* a run whose exec an earlier call has started */
	bool send_data;                    /* exec.data notifications */
	bool detach;                       /* answered with an Exec when it has started */
	bool keep;                         /* the exec outlives its client */
	const struct offsets_params *from; /* NULL: all that is kept */
	/* Instead of the answer with an ExecResult or an error: what is done with R, whose watch is
	 * gone. E is empty when the exec has ended and all of it was sent. NULL: the usual. */
	void (*done)(struct request *r, struct error *e, void *userdata);
	void *userdata;
};

/* Takes R over and answers it in time: exec.started first, then the data, then the result. E is
 * referenced. Without memory R is failed and, for a run, E ended. */
void exec_stream_begin(struct request *r, struct exec *e, const struct exec_stream_config *config);
