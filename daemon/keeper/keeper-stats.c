/* SPDX-License-Identifier: Apache-2.0 */
/* STATS: the counters of the cgroup at once, the rest by a worker. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "keeper.h"
#include "usage.h"

struct stats_request {
	struct keeper *keeper;
	struct keeper_stats_reply reply;
	struct usage_job job;
};

static void send_reply(struct keeper *k, const struct keeper_stats_reply *reply)
{
	const struct wire_header *h = &reply->header;
	struct wire_message *m = link_begin(&k->link, h->type, h->serial, sizeof(*reply));
	struct keeper_stats_reply *to = (struct keeper_stats_reply *)(void *)m->data;

	to->header.error = h->error;
	to->counters = reply->counters;
	to->known = reply->known;
	to->disk_bytes = reply->disk_bytes;
	to->spool_bytes = reply->spool_bytes;
	to->trash_bytes = reply->trash_bytes;
	link_send(&k->link);
}

static void take_counters(const struct keeper *k, const struct box *b,
			  struct keeper_stats_reply *reply)
{
	static const struct {
		uint32_t controller, known;
	} map[] = { { KEEPER_CONTROLLER_MEMORY, KEEPER_KNOWN_MEMORY | KEEPER_KNOWN_OOM_KILLS },
		    { KEEPER_CONTROLLER_PIDS, KEEPER_KNOWN_PIDS },
		    { KEEPER_CONTROLLER_CPUACCT, KEEPER_KNOWN_CPU } };
	size_t i;

	cgroup_read(&k->cgroups, b->job.name, &reply->counters);
	for (i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (k->cgroups.controllers & map[i].controller)
			reply->known |= map[i].known;
	if (reply->counters.memory_peak_bytes > 0) /* older kernels do not count it under v2 */
		reply->known |= KEEPER_KNOWN_MEMORY_PEAK;
}

/* What the cgroup did not know and the processes did. */
static void take_sums(struct keeper_stats_reply *reply, const struct worker_result *r)
{
	struct keeper_counters *c = &reply->counters;

	if (r->pids == 0)
		return; /* its processes could not be seen */
	if ((reply->known & KEEPER_KNOWN_MEMORY) == 0)
		c->memory_bytes = r->memory_bytes;
	if ((reply->known & KEEPER_KNOWN_CPU) == 0)
		c->cpu_usec = r->cpu_usec;
	if ((reply->known & KEEPER_KNOWN_PIDS) == 0)
		c->pids = r->pids;
	reply->known |= KEEPER_KNOWN_MEMORY | KEEPER_KNOWN_CPU | KEEPER_KNOWN_PIDS;
}

static void on_answer(void *owner, const struct worker_result *result)
{
	struct stats_request *u = owner;
	struct keeper_stats_reply *reply = &u->reply;

	if (result->error == 0 && u->job.init > 0)
		take_sums(reply, result);
	if (result->error == 0 && u->job.disk) {
		reply->known |= KEEPER_KNOWN_DISK;
		reply->disk_bytes = result->size_bytes;
		reply->spool_bytes = result->spool_bytes;
		reply->trash_bytes = result->trash_bytes;
	}
	send_reply(u->keeper, reply);
}

static void on_end(void *owner)
{
	struct stats_request *u = owner;

	u->keeper->stats--;
	free(u);
}

static int start(struct stats_request *u)
{
	struct keeper *k = u->keeper;
	struct worker_job job = keeper_worker_job(k, -1);
	int r;

	job.run = usage_measure;
	job.arg = &u->job;
	job.timeout_ms = KEEPER_STATS_MAX_MS;
	job.on_answer = on_answer;
	job.on_end = on_end;
	job.owner = u;
	r = worker_start(&k->workers, &job, NULL);
	if (r == 0)
		k->stats++;
	return r;
}

void keeper_stats(struct keeper *k, const struct wire_header *h, const char *id, uint32_t flags)
{
	const uint32_t from_processes = KEEPER_KNOWN_MEMORY | KEEPER_KNOWN_CPU | KEEPER_KNOWN_PIDS;
	const struct box *b = box_find(k, id);
	struct stats_request *u = calloc(1, sizeof(*u));
	int r = u ? 0 : -ENOMEM;

	if (r == 0) {
		u->keeper = k;
		u->reply.header = *h;
		u->job.tree = &k->tree;
		u->job.disk = (flags & KEEPER_STATS_DISK) != 0;
		(void)snprintf(u->job.id, sizeof(u->job.id), "%s", id);
		if (b && b->state == BOX_RUNNING) {
			take_counters(k, b, &u->reply);
			if ((u->reply.known & from_processes) != from_processes)
				u->job.init = b->pid;
		}
		if (!u->job.disk && u->job.init == 0) {
			send_reply(k, &u->reply);
			free(u);
			return;
		}
		r = k->stats < KEEPER_STATS_AT_ONCE ? start(u) : -EBUSY;
	}
	if (r < 0) {
		struct keeper_stats_reply refused = { .header = *h };

		refused.header.error = r;
		send_reply(k, &refused);
		free(u);
	}
}
