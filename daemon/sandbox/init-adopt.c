/* SPDX-License-Identifier: Apache-2.0 */
/* What an init knew before this daemon came: it lists that behind HELLO. Who has a row is taken
 * over, one by one; the rest is nobody's and is ended. */

#include <errno.h>
#include <stdlib.h>

#include "bounds.h"
#include "sandbox/init-internal.h"

static struct init_known *find_known(struct init_client *c, uint64_t exec)
{
	size_t i;

	for (i = 0; i < c->n_known; i++)
		if (c->known[i].exec == exec)
			return &c->known[i];
	return NULL;
}

static int add_known(struct init_client *c, uint64_t exec, struct init_known **ret)
{
	struct init_known *k = find_known(c, exec), *more;

	if (!k && c->n_known == INIT_EXECS_MAX)
		return -EBADMSG; /* more than it can have */
	if (!k) {
		more = realloc(c->known, (c->n_known + 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		c->known = more;
		k = &more[c->n_known++];
		*k = (struct init_known){ .exec = exec };
	}
	*ret = k;
	return 0;
}

int init_known_running(struct init_client *c, const struct init_running *r)
{
	struct init_known *k;
	int q = add_known(c, r->exec, &k);

	if (q == 0)
		k->pid = r->pid;
	return q;
}

int init_known_exited(struct init_client *c, const struct init_exited *e)
{
	struct init_known *k;
	int r = add_known(c, e->exec, &k);

	if (r == 0) {
		k->exited = true;
		k->end = *e;
	}
	return r;
}

int init_client_adopt(struct init_client *c, uint64_t exec, const struct init_exec_watch *watch,
		      void *userdata, struct init_adopted *ret)
{
	struct init_known *k = find_known(c, exec);
	struct watch *w;

	if (!k)
		return -ESRCH;
	w = init_watch_new(c, exec);
	if (!w)
		return -ENOMEM;
	w->watch = watch;
	w->userdata = userdata;
	w->exited = k->exited;
	*ret = (struct init_adopted){ .pid = k->pid, .exited = k->exited, .end = k->end };
	*k = c->known[--c->n_known];
	return 0;
}

void init_client_end_rest(struct init_client *c)
{
	struct init_known *k;
	struct watch *w;

	while (c->n_known > 0) {
		k = &c->known[--c->n_known];
		w = init_watch_new(c, k->exec);
		if (!w)
			continue; /* the next daemon does */
		w->exited = k->exited;
		w->stranger = true;
		(void)init_client_kill(c, k->exec); /* else it is going anyway */
	}
	free(c->known);
	c->known = NULL;
}
