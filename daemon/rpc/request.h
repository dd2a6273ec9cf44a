/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One call in flight: what a method handler holds until it answered.
 *
 * A handler gets the request with its decoded parameters and owns it from then on: exactly one
 * request_reply() or request_fail() ends it (both free it). A request outlives its connection; what
 * is sent to a dead one is dropped. Knows nothing of sandboxes. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

struct json_object;
struct request;

/* Decoded parameters (params.h), filled by the gate. Live until the request is ended. */
const void *request_params(const struct request *r);

uid_t request_uid(const struct request *r); /* SO_PEERCRED of its connection */
pid_t request_pid(const struct request *r); /* the same: who connected; it may be gone */

/* The id as JSON text, for requestId in notifications. NULL for a notification. */
struct json_object *request_id(const struct request *r); /* borrowed */

/* Descriptor INDEX of those this request took from the queue; ownership goes to the caller. -1 when
 * it does not exist or was taken. */
int request_take_fd(struct request *r, unsigned index);
size_t request_fd_count(const struct request *r);

/* Ends the request. RESULT's reference goes to the request. E is cleared. */
void request_reply(struct request *r, struct json_object *result);
void request_fail(struct request *r, struct error *e);
/* As request_reply(), with one more member of RESULT (which has others), NAME, the text DATA: of
 * that nothing stays in memory when it was sent. */
void request_reply_secret(struct request *r, struct json_object *result, const char *name,
			  const void *data, size_t size);

/* A notification to the same client, before the reply. PARAMS' reference is taken. */
void request_notify(struct request *r, const char *method, struct json_object *params);

/* For streams: false while more than RPC_OUTPUT_HIGH bytes wait to be sent; on_drain is called once
 * when they are below RPC_OUTPUT_LOW again. A dead connection is never full. */
bool request_writable(const struct request *r);

/* Who wants to hear of the request's fate while it is in flight. Never called after it was ended,
 * nor from inside a call into the request. Any may be NULL. */
struct request_watch {
	void (*on_cancel)(struct request *r,
			  void *userdata); /* rpc.cancel: answer -32009 when done */
	void (*on_disconnect)(struct request *r,
			      void *userdata); /* client gone; a reply is still due */
	void (*on_drain)(struct request *r, void *userdata);
};
void request_watch(struct request *r, const struct request_watch *watch, void *userdata);
