/* SPDX-License-Identifier: Apache-2.0 */
/* As with secrets that are being leased: nothing has begun while this waits, so a client that goes
 * is a client whose command never ran. */

#include "api/exec-wait.h"

#include <stddef.h>

#include "error.h"
#include "rpc/request.h"

static void give_up(struct request *r, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };

	sandbox_await_forget(userdata, r);
	(void)error_set(&e, ERROR_CANCELLED, NULL, NULL, "the call was cancelled");
	request_fail(r, &e);
}

bool exec_wait_for_sandbox(struct request *r, struct sandbox *s, sandbox_done *again)
{
	static const struct request_watch watch = { .on_cancel = give_up,
						    .on_disconnect = give_up };

	if (!s || !sandbox_await(s, again, r))
		return false;
	request_watch(r, &watch, s); /* S lives at least until AGAIN */
	return true;
}

void exec_wait_ended(struct request *r)
{
	static const struct request_watch none = { 0 };

	request_watch(r, &none, NULL);
}
