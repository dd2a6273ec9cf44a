/* SPDX-License-Identifier: Apache-2.0 */
/* A stats_query lives from the question to its answer. For one sandbox it holds a reference; for
 * all it asks one owner's keeper after the other, and an owner whose keeper cannot be asked counts
 * as nothing. Where files are to be measured a keeper is started if there is none. */

#include "sandbox/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/keeper-client.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "util/log.h"

#define OWNERS_MAX 256

struct stats_query {
	struct manager *manager;
	struct sandbox *sandbox; /* NULL: all of the owners */
	bool disk;
	uid_t peer;
	uid_t owners[OWNERS_MAX];
	size_t n_owners;
	size_t at;
	struct stats sum;
	stats_done *done;
	void *userdata;
};

static void next_owner(struct stats_query *q);

static void end(struct stats_query *q, struct error *e)
{
	q->done(e ? NULL : &q->sum, e, q->userdata);
	(void)sandbox_unref(q->sandbox);
	free(q);
}

static void fail(struct stats_query *q, int r)
{
	CLEANUP_ERROR struct error e = { 0 };

	if (r == -EBUSY)
		(void)error_set(&e, ERROR_LIMIT_REACHED, NULL, "try again",
				"%d measurements are under way already", KEEPER_STATS_AT_ONCE);
	else
		(void)error_set(&e, ERROR_RUNTIME_FAILED, NULL, "try again",
				"the keeper does not answer: %s", strerror(-r));
	end(q, &e);
}

static void add(struct stats_query *q, const struct keeper_stats_reply *reply)
{
	q->sum.known |= reply->known;
	q->sum.counters = reply->counters; /* only of one */
	q->sum.disk_bytes += reply->disk_bytes;
	q->sum.spool_bytes += reply->spool_bytes;
	q->sum.trash_bytes += reply->trash_bytes;
}

static void on_answer(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	struct stats_query *q = userdata;

	(void)k;
	if (error == 0 && (!m || m->size < sizeof(struct keeper_stats_reply)))
		error = -EBADMSG;
	if (error == 0)
		add(q, (const void *)m->data);
	if (!q->sandbox)
		next_owner(q);
	else if (error < 0)
		fail(q, error);
	else
		end(q, NULL);
}

static int ask(struct stats_query *q, struct keeper_client *k)
{
	struct wire_message *m = keeper_scratch(q->manager);
	struct keeper_stats *request = (void *)m->data;
	int r = 0;

	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_STATS, 0, sizeof(*request));
	request->flags = q->disk ? KEEPER_STATS_DISK : 0;
	if (q->sandbox)
		r = wire_add_string(m, offsetof(struct keeper_stats, id), sandbox_id(q->sandbox));
	return r < 0 ? r : keeper_client_call(k, m, on_answer, q);
}

static void on_keeper(struct keeper_client *k, struct error *e, void *userdata)
{
	struct stats_query *q = userdata;
	int r = k ? ask(q, k) : 0;

	if (k && r == 0)
		return;
	if (!q->sandbox)
		next_owner(q);
	else if (!k)
		end(q, e);
	else
		fail(q, r);
}

/* ---- one ---- */

int sandbox_stats(struct sandbox *s, bool disk, stats_done *done, void *userdata,
		  struct error *reterr)
{
	struct keeper_client *k = sandbox_keeper(s);
	struct manager *m = sandbox_manager(s);
	struct stats_query *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return error_set_errno(reterr, -ENOMEM, "sandbox %s cannot be measured",
				       sandbox_name(s));
	*q = (struct stats_query){ .manager = m,
				   .sandbox = sandbox_ref(s),
				   .disk = disk,
				   .done = done,
				   .userdata = userdata };
	if (!k && !disk) {
		end(q, NULL); /* nothing is known of what does not run */
		return 0;
	}
	if (!k && manager_keeper(m, sandbox_owner(s), on_keeper, q, reterr) == 0)
		return 0;
	r = k ? ask(q, k) : 0;
	if (k && r == 0)
		return 0;
	(void)sandbox_unref(q->sandbox);
	free(q);
	return k ? error_set_errno(reterr, r, "the keeper cannot be asked") : -1;
}

/* ---- all ---- */

static void add_owner(struct stats_query *q, uid_t uid)
{
	char path[48];
	size_t i;

	for (i = 0; i < q->n_owners; i++)
		if (q->owners[i] == uid)
			return;
	(void)snprintf(path, sizeof(path), "owners/%u", (unsigned)uid);
	/* who has no files has nothing that takes space, and needs no keeper */
	if (q->n_owners == OWNERS_MAX || faccessat(q->manager->state_fd, path, F_OK, 0) < 0)
		return;
	q->owners[q->n_owners++] = uid;
}

static bool add_owner_of(struct sandbox *s, void *userdata)
{
	struct stats_query *q = userdata;
	const struct sandbox_facts *f = sandbox_facts(s);

	if (q->peer == 0 || f->peer == q->peer)
		add_owner(q, f->owner);
	return true;
}

static void next_owner(struct stats_query *q)
{
	CLEANUP_ERROR struct error e = { 0 };

	while (q->at < q->n_owners) {
		if (manager_keeper(q->manager, q->owners[q->at++], on_keeper, q, &e) == 0)
			return;
		error_clear(&e); /* logged there */
	}
	end(q, NULL);
}

int disk_usage(struct manager *m, uid_t peer, stats_done *done, void *userdata,
	       struct error *reterr)
{
	struct stats_query *q = calloc(1, sizeof(*q));

	if (!q)
		return error_set_errno(reterr, -ENOMEM, "the disk space cannot be measured");
	*q = (struct stats_query){
		.manager = m, .disk = true, .peer = peer, .done = done, .userdata = userdata
	};
	add_owner(q, m->is_root ? peer : m->uid);
	manager_each_sandbox(m, add_owner_of, q);
	next_owner(q);
	return 0;
}
