/* SPDX-License-Identifier: Apache-2.0 */
/* What a daemon that comes back asks: LIST and ADOPT. */

#include "adopt.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "files.h"
#include "link.h"
#include "macro.h"

/* ---- LIST ---- */

static bool add_name(struct wire_message *m, const char *name, uint32_t *count)
{
	uint32_t offset;

	if (wire_add_bytes(m, name, strlen(name) + 1, &offset) < 0)
		return false;
	(*count)++;
	return true;
}

static bool list_sandboxes(const struct keeper *k, struct wire_message *m, uint32_t *count)
{
	const struct ended *e;
	const struct box *b;

	for (b = k->boxes.first; b; b = b->next)
		if (!add_name(m, b->job.id, count))
			return false;
	for (e = k->ended.first; e; e = e->next)
		if (!add_name(m, e->id, count))
			return false;
	return true;
}

struct name_sink {
	struct wire_message *message;
	uint32_t count;
};

static bool list_spool(const char *exec, void *userdata)
{
	struct name_sink *sink = userdata;

	return add_name(sink->message, exec, &sink->count);
}

void adopt_list(struct keeper *k, const struct wire_header *h)
{
	struct wire_message *m =
		link_begin(&k->link, h->type, h->serial, sizeof(struct keeper_list_reply));
	struct keeper_list_reply *reply = (struct keeper_list_reply *)(void *)m->data;
	struct name_sink sink = { .message = m };

	reply->names_offset = sizeof(*reply);
	reply->truncated = !list_sandboxes(k, m, &reply->n_sandboxes) ||
			   !spools_each(&k->spools, list_spool, &sink);
	reply->n_spools = sink.count;
	reply->names_size = m->size - sizeof(*reply);
	link_send(&k->link);
}

/* ---- ADOPT ---- */

static void reply_ended(struct keeper *k, const struct wire_header *h, const struct ended *e)
{
	struct wire_message *m =
		link_begin(&k->link, h->type, h->serial, sizeof(struct keeper_adopt_reply));
	struct keeper_adopt_reply *reply = (struct keeper_adopt_reply *)(void *)m->data;

	reply->flags = KEEPER_ADOPT_ENDED;
	reply->exit_code = e->exit_code;
	reply->signal = e->signal;
	reply->counters = e->counters;
	link_send(&k->link);
}

static void reply_box(struct keeper *k, const struct wire_header *h, const struct box *b)
{
	struct wire_message *m =
		link_begin(&k->link, h->type, h->serial, sizeof(struct keeper_adopt_reply));
	struct keeper_adopt_reply *reply = (struct keeper_adopt_reply *)(void *)m->data;
	int oom;

	reply->pid = b->pid;
	if (b->state != BOX_RUNNING)
		reply->flags |= KEEPER_ADOPT_ENDING;
	if (b->claimed)
		reply->flags |= KEEPER_ADOPT_CLAIMED;
	if (b->freeze.frozen)
		reply->flags |= KEEPER_ADOPT_FROZEN;
	oom = cgroup_open_oom(&k->cgroups, b->job.name, &reply->memory_version);
	if (oom >= 0)
		(void)wire_add_fd(m, oom); /* the first one fits */
	link_send(&k->link);
}

static void reply_error(struct keeper *k, const struct wire_header *h, int error)
{
	struct wire_message *m =
		link_begin(&k->link, h->type, h->serial, sizeof(struct keeper_adopt_reply));

	wire_head(m)->error = error;
	link_send(&k->link);
}

/* One of a keeper that died. */
static int take_over(struct keeper *k, const char *id, struct wire_message *m, struct box **ret)
{
	const struct keeper_adopt *a = (const void *)m->data;
	struct runtime_job job = { .kind = runtime_kind(a->runtime),
				   .tree = &k->tree,
				   .ids = k->ids,
				   .cgroups = &k->cgroups,
				   .limits = a->limits,
				   .socket = -1,
				   .dial = -1 };

	if (!job.kind)
		return -EINVAL;
	(void)snprintf(job.id, sizeof(job.id), "%s", id);
	(void)snprintf(job.name, sizeof(job.name), "%s-%s", k->instance, id);
	return box_take_over(k, &job, wire_take_fd(m, 0), ret);
}

void adopt_sandbox(struct keeper *k, const char *id, struct wire_message *m)
{
	const struct wire_header h = *wire_head(m);
	struct box *b = box_find(k, id);
	struct ended e;
	int r = 0;

	if (!b && ended_take(&k->ended, id, &e)) {
		reply_ended(k, &h, &e);
		return;
	}
	if (!b)
		r = m->n_fds == 1 ? take_over(k, id, m, &b) : -ESRCH;
	if (r < 0)
		reply_error(k, &h, r);
	else
		reply_box(k, &h, b);
}
