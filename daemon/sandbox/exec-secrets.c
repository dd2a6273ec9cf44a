/* SPDX-License-Identifier: Apache-2.0 */
/* The bundle belongs to whoever has it: first the call, then the exec. Leases name the exec by an
 * id that it is going to have, so that they end with it, also under a later daemon; until the
 * bundle is bound they are its own to end. */

#include "sandbox/exec-secrets.h"

#include <errno.h>
#include <stdlib.h>

#include "sandbox/spool-mask.h"
#include "secret/value.h"

void exec_secrets_cancel(struct exec_secrets *b)
{
	size_t i;

	for (i = 0; i < b->count; i++)
		if (b->items[i].pending)
			lease_forget(TAKE_PTR(b->items[i].pending));
	b->waiting = 0;
}

static void end_lease(const struct exec_secrets *b, const struct exec_secret *s)
{
	struct lease *l = s->lease[0] ? lease_find(b->manager, s->owner, s->lease, NULL) : NULL;

	if (l)
		lease_end(b->manager, l, LEASE_END_RELEASED, false);
}

void exec_secrets_forget(struct exec_secrets *b)
{
	size_t i;

	for (i = 0; b && i < b->count; i++)
		b->items[i].value = secret_value_unref(b->items[i].value);
}

void exec_secrets_free(struct exec_secrets *b)
{
	size_t i;

	if (!b)
		return;
	exec_secrets_cancel(b);
	exec_secrets_forget(b);
	for (i = 0; i < b->count; i++) {
		if (!b->bound)
			end_lease(b, &b->items[i]);
		free(b->items[i].name);
		free(b->items[i].where);
	}
	free(b->items);
	free(b->exec_id);
	free(b);
}

struct bytes exec_secret_text(const struct exec_secret *s)
{
	struct bytes text = { secret_value_data(s->value), secret_value_size(s->value) };

	if (text.size > 0 && ((const char *)text.data)[text.size - 1] == '\n')
		text.size--;
	return text;
}

size_t exec_secrets_variables(const struct exec_secrets *b, struct exec_variable *ret)
{
	size_t i, n = 0;

	for (i = 0; b && i < b->count; i++)
		if (b->items[i].form == EXEC_SECRET_ENV)
			ret[n++] = (struct exec_variable){ b->items[i].where,
							   exec_secret_text(&b->items[i]) };
	return n;
}

const struct exec_secret *exec_secrets_stdin(const struct exec_secrets *b)
{
	size_t i;

	for (i = 0; b && i < b->count; i++)
		if (b->items[i].form == EXEC_SECRET_STDIN)
			return &b->items[i];
	return NULL;
}

int exec_secrets_check(const struct exec_secrets *b, struct error *reterr)
{
	size_t i;

	for (i = 0; b && i < b->count; i++)
		if (!lease_find(b->manager, b->items[i].owner, b->items[i].lease, NULL))
			return error_set(reterr, ERROR_INVALID_STATE, "secrets", "the same again",
					 "the lease of %s ended before the command began",
					 b->items[i].name);
	return 0;
}

void exec_secrets_bind(struct exec_secrets *b)
{
	if (b)
		b->bound = true;
}

bool exec_secrets_have_file(const struct exec_secrets *b)
{
	size_t i;

	for (i = 0; b && i < b->count; i++)
		if (b->items[i].form == EXEC_SECRET_FILE)
			return true;
	return false;
}

int exec_secrets_masks(const struct exec_secrets *b, int *ret)
{
	struct bytes *values;
	size_t i;
	int r;

	if (!b)
		return 0;
	values = calloc(b->count, sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (i = 0; i < b->count; i++)
		values[i] = (struct bytes){ secret_value_data(b->items[i].value),
					    secret_value_size(b->items[i].value) };
	r = spool_mask_new(values, b->count, ret);
	free(values);
	return r;
}
