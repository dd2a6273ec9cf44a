/* SPDX-License-Identifier: Apache-2.0 */
/* Who follows an exec, and telling them. */

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "sandbox/exec-internal.h"
#include "sandbox/exec-table.h"
#include "sandbox/manager.h"

struct exec_follow {
	LIST_ENTRY(exec_follow) entry;
	struct exec *exec; /* referenced */
	const struct exec_follower *follower;
	void *userdata;
};

static void tell_one(struct exec *e, const struct exec_follow *f, enum exec_telling what)
{
	const struct exec_follower *to = f->follower;

	switch (what) {
	case EXEC_TELL_STARTED:
		if (to->on_started)
			to->on_started(e, f->userdata);
		return;
	case EXEC_TELL_OUTPUT:
		if (to->on_output)
			to->on_output(e, f->userdata);
		return;
	case EXEC_TELL_ENDED:
		if (to->on_ended)
			to->on_ended(e, f->userdata);
		return;
	}
}

void exec_tell(struct exec *e, enum exec_telling what)
{
	struct exec_follow *f;

	(void)exec_ref(e); /* the followers may be the last to hold it */
	for (f = LIST_FIRST(&e->followers); f; f = e->next_told) {
		e->next_told = LIST_NEXT(f, entry);
		tell_one(e, f, what);
	}
	e->next_told = NULL;
	(void)exec_unref(e);
}

int exec_follow(struct exec *e, const struct exec_follower *f, void *userdata,
		struct exec_follow **ret)
{
	struct exec_follow *place = calloc(1, sizeof(*place));

	if (!place)
		return -ENOMEM;
	place->exec = exec_ref(e);
	place->follower = f;
	place->userdata = userdata;
	if (e->events)
		(void)event_del(&e->events->client);
	LIST_INSERT_HEAD(&e->followers, place, entry);
	*ret = place;
	return 0;
}

struct exec_follow *exec_unfollow(struct exec_follow *f)
{
	if (!f)
		return NULL;
	if (f->exec->next_told == f)
		f->exec->next_told = LIST_NEXT(f, entry);
	LIST_REMOVE(f, entry);
	exec_table_unread(f->exec->manager->execs, f->exec);
	exec_await_return(f->exec);
	(void)exec_unref(f->exec);
	free(f);
	return NULL;
}
