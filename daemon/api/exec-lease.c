/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing has begun while this waits, so a client that goes, whatever he said of his disconnect, is
 * a client whose command never ran. */

#include "api/exec-lease.h"

#include <errno.h>
#include <stdlib.h>

#include "api/api.h"
#include "macro.h"
#include "sandbox/exec-secrets.h"
#include "sandbox/journal.h"

struct leasing {
	struct request *request;
	struct manager *manager;
	struct journal_call call; /* its key is the request's */
	bool keyed;
	struct exec_secrets *secrets;
	exec_lease_go *go;
};

/* Takes the request away from L, which is gone. */
static struct request *leasing_free(struct leasing *l)
{
	struct request *r = l->request;

	exec_secrets_free(l->secrets);
	free(l);
	return r;
}

static void give_up(struct request *r, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };

	(void)error_set(&e, ERROR_CANCELLED, NULL, NULL, "the call was cancelled");
	(void)leasing_free(userdata); /* the same request */
	request_fail(r, &e);
}

static void on_leased(struct exec_secrets *secrets, struct error *e, void *userdata)
{
	static const struct request_watch none = { 0 };
	CLEANUP_ERROR struct error error = { 0 };
	struct leasing *l = userdata;
	struct request *r = l->request;
	int result = -1;

	(void)secrets; /* ours */
	error_move(&error, e);
	request_watch(r, &none, NULL);
	if (error.kind == ERROR_NONE)
		result = l->go(r, l->manager, l->keyed ? &l->call : NULL, TAKE_PTR(l->secrets),
			       &error);
	(void)leasing_free(l); /* R is whoever's it is now */
	if (result < 0)
		request_fail(r, &error);
}

int exec_lease_wait(struct request *r, struct manager *m, const struct journal_call *call,
		    struct exec_secrets *secrets, exec_lease_go *go, struct error *reterr)
{
	static const struct request_watch watch = { .on_cancel = give_up,
						    .on_disconnect = give_up };
	struct leasing *l;

	if (!secrets || exec_secrets_ready(secrets))
		return 1;
	l = calloc(1, sizeof(*l));
	if (!l) {
		exec_secrets_free(secrets);
		return error_set_errno(reterr, -ENOMEM, "the secrets cannot be waited for");
	}
	*l = (struct leasing){
		.request = r, .manager = m, .keyed = call != NULL, .secrets = secrets, .go = go
	};
	if (call)
		l->call = *call;
	exec_secrets_wait(secrets, on_leased, l);
	request_watch(r, &watch, l);
	return 0;
}
