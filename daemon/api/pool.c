/* SPDX-License-Identifier: Apache-2.0 */
/* pool.list and pool.set. */

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/values.h"
#include "params.h"
#include "sandbox/pool-set.h"
#include "sandbox/pool-settings.h"

static struct json_object *value_hit_rate(const struct pool_facts *p)
{
	uint64_t all = p->claims_warm + p->claims_cold;

	/* three digits are enough, and a client need not see 0.9473684210526315 */
	return all > 0 ? json_object_new_double((double)(p->claims_warm * 1000 / all) / 1000)
		       : NULL;
}

/* docs/rpc.md, Pool. */
static struct json_object *value_pool(const struct manager *m, const struct pool_facts *p)
{
	const enum pool_source source = pool_settings_source(m, p->owner, p->template_name);
	const struct pool_settings *s = &p->settings;
	struct json_object *o = json_object_new_object();

	value_add_string(o, "template", p->template_name);
	value_add_int(o, "owner", p->owner);
	value_add_int(o, "min", s->min);
	value_add_int(o, "max", s->max);
	json_object_object_add(o, "maxAgeMs",
			       s->max_age_ms < 0 ? NULL : json_object_new_int64(s->max_age_ms));
	value_add_string(o, "source", pool_source_to_string(source));
	value_add_int(o, "target", p->target);
	value_add_int(o, "ready", p->ready);
	value_add_int(o, "starting", p->starting);
	value_add_int(o, "warm", (int64_t)p->claims_warm);
	value_add_int(o, "cold", (int64_t)p->claims_cold);
	json_object_object_add(o, "hitRate", value_hit_rate(p));
	value_add_int(o, "stale", (int64_t)p->stale);
	value_add_int(o, "expired", (int64_t)p->expired);
	value_add_int(o, "failures", (int64_t)p->failures);
	value_add_int(o, "failuresInRow", p->failures_in_row);
	json_object_object_add(o, "retryAt", value_time(p->retry_at_ms));
	json_object_object_add(o, "reason", value_string(p->reason ? p->reason : pool_note(m)));
	return o;
}

/* ---- list ---- */

struct listing {
	const struct pool_list_params *params;
	struct pool_facts *items;
	size_t count;
	size_t room;
	bool failed;
};

static bool collect(const struct pool_facts *p, void *userdata)
{
	struct listing *l = userdata;
	struct pool_facts *items;

	if (l->params->after && strcmp(p->template_name, l->params->after) <= 0)
		return true;
	if (l->count == l->room) {
		l->room = l->room > 0 ? l->room * 2 : 16;
		items = reallocarray(l->items, l->room, sizeof(*items));
		if (!items) {
			l->failed = true;
			return false;
		}
		l->items = items;
	}
	l->items[l->count++] = *p;
	return true;
}

static int by_template(const void *a, const void *b)
{
	const struct pool_facts *x = a, *y = b;
	int order = strcmp(x->template_name, y->template_name);

	return order ? order : (x->owner > y->owner) - (x->owner < y->owner);
}

/* Pools of one template stand together: a list does not end between them, or `after` would skip
 * the rest. */
static size_t cut(const struct listing *l)
{
	size_t n = (size_t)l->params->limit;

	if (n >= l->count)
		return l->count;
	while (n < l->count &&
	       strcmp(l->items[n].template_name, l->items[n - 1].template_name) == 0)
		n++;
	return n;
}

void method_pool_list(struct request *r, void *userdata)
{
	struct listing l = { .params = request_params(r) };
	struct json_object *result, *list;
	struct error e = { 0 };
	size_t n;

	pool_each(userdata, request_uid(r), collect, &l);
	if (l.failed) {
		free(l.items);
		error_set_errno(&e, -ENOMEM, "pools cannot be listed");
		request_fail(r, &e);
		return;
	}
	if (l.count)
		qsort(l.items, l.count, sizeof(*l.items), by_template);
	n = cut(&l);
	list = json_object_new_array();
	for (size_t i = 0; i < n; i++)
		(void)json_object_array_add(list, value_pool(userdata, &l.items[i])); /* memory */
	free(l.items);
	result = json_object_new_object();
	json_object_object_add(result, "pools", list);
	request_reply(r, result);
}

/* ---- set ---- */

void method_pool_set(struct request *r, void *userdata)
{
	struct pool_facts facts;
	struct error e = { 0 };

	if (pool_set(userdata, request_uid(r), request_params(r), &facts, &e) < 0)
		request_fail(r, &e);
	else
		request_reply(r, value_pool(userdata, &facts));
}
