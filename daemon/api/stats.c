/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.stats and system.df. What is not known is null: a number that is made up helps nobody. */

#include "sandbox/stats.h"

#include <json-c/json.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/values.h"
#include "params.h"
#include "sandbox/config.h"
#include "sandbox/exec.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "util/space.h"
#include "util/time.h"

/* Freed with its answer. */
struct asking {
	struct request *request;
	struct manager *manager;
	struct sandbox *sandbox; /* referenced; NULL for df */
};

static struct asking *asking_new(struct request *r, struct manager *m, struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct asking *a = malloc(sizeof(*a));

	if (!a) {
		(void)error_set_errno(&e, -ENOMEM, "it cannot be measured");
		request_fail(r, &e);
		return NULL;
	}
	*a = (struct asking){ r, m, s ? sandbox_ref(s) : NULL };
	return a;
}

static void asking_free(struct asking *a)
{
	(void)sandbox_unref(a->sandbox);
	free(a);
}

static void add_known(struct json_object *o, const char *key, bool known, uint64_t value)
{
	json_object_object_add(o, key, known ? json_object_new_int64((int64_t)value) : NULL);
}

static struct json_object *value_stats(const struct asking *a, const struct stats *s)
{
	const struct keeper_counters *c = &s->counters;
	struct json_object *o = json_object_new_object();

	value_add_string(o, "sandbox", sandbox_name(a->sandbox));
	value_add_string(o, "id", sandbox_id(a->sandbox));
	value_add_string(o, "state", sandbox_state_to_string(sandbox_state(a->sandbox)));
	json_object_object_add(o, "at", value_time(time_realtime_ms()));
	add_known(o, "cpuMs", s->known & KEEPER_KNOWN_CPU, c->cpu_usec / 1000);
	add_known(o, "memoryBytes", s->known & KEEPER_KNOWN_MEMORY, c->memory_bytes);
	add_known(o, "peakMemoryBytes", s->known & KEEPER_KNOWN_MEMORY_PEAK, c->memory_peak_bytes);
	add_known(o, "pids", s->known & KEEPER_KNOWN_PIDS, c->pids);
	add_known(o, "oomKills", s->known & KEEPER_KNOWN_OOM_KILLS, c->oom_kills);
	value_add_int(o, "execs", (int64_t)exec_running_in(a->manager, a->sandbox));
	add_known(o, "diskBytes", s->known & KEEPER_KNOWN_DISK, s->disk_bytes);
	return o;
}

static void on_stats(const struct stats *s, struct error *e, void *userdata)
{
	struct asking *a = userdata;

	if (s)
		request_reply(a->request, value_stats(a, s));
	else
		request_fail(a->request, e);
	asking_free(a);
}

void method_sandbox_stats(struct request *r, void *userdata)
{
	const struct sandbox_stats_params *p = request_params(r);
	CLEANUP_ERROR struct error e = { 0 };
	struct sandbox *s = sandbox_find(userdata, request_uid(r), p->sandbox, &e);
	struct asking *a;

	if (!s) {
		request_fail(r, &e);
		return;
	}
	a = asking_new(r, userdata, s);
	if (a && sandbox_stats(s, p->disk, on_stats, a, &e) < 0) {
		request_fail(r, &e);
		asking_free(a);
	}
}

static struct json_object *value_disk(const struct manager *m, const struct stats *s)
{
	struct json_object *o = json_object_new_object();
	uint64_t spool_max = exec_table_spool_max(m);
	struct space space;
	bool known = space_look(m->state_fd, m->config->min_free, &space) == 0;

	value_add_int(o, "sandboxBytes", (int64_t)s->disk_bytes);
	value_add_int(o, "spoolBytes", (int64_t)s->spool_bytes);
	add_known(o, "spoolMaxBytes", spool_max > 0, spool_max);
	value_add_int(o, "trashBytes", (int64_t)s->trash_bytes);
	add_known(o, "freeBytes", known, known ? space.free_bytes : 0);
	add_known(o, "minFreeBytes", known, known ? space.floor_bytes : 0);
	return o;
}

static void on_disk(const struct stats *s, struct error *e, void *userdata)
{
	struct asking *a = userdata;

	if (s)
		request_reply(a->request, value_disk(a->manager, s));
	else
		request_fail(a->request, e);
	asking_free(a);
}

void method_system_df(struct request *r, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct asking *a = asking_new(r, userdata, NULL);

	if (a && disk_usage(userdata, request_uid(r), on_disk, a, &e) < 0) {
		request_fail(r, &e);
		asking_free(a);
	}
}
