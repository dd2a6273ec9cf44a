/* SPDX-License-Identifier: Apache-2.0 */
/* A cursor is the log's id and the number of an event: "k2f7qxwa-1041". It stands behind that one.
 * The id tells cursors of another state directory, or of one that was emptied, from ours. */

#include "sandbox/event-reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "sandbox/event-log.h"
#include "sandbox/manager.h"
#include "store/events.h"
#include "util/log.h"
#include "util/pairs.h"
#include "util/strings.h"

#define READ_AT_ONCE 128
#define OLDEST "oldest"

struct event_reader {
	struct manager *manager;
	uid_t peer;
	int64_t at;
	char *loop_id;
	char *sandbox;
	char *tool;
	char *state;
	struct pairs labels;
	struct string_list types;
};

/* A read under way. */
struct reading {
	struct event_reader *reader;
	const struct event_sink *sink;
	void *userdata;
	int64_t n;
};

static void write_cursor(const struct manager *m, int64_t seq,
			 char cursor[static EVENT_CURSOR_SIZE])
{
	(void)snprintf(cursor, EVENT_CURSOR_SIZE, "%s-%lld", event_log_id(m), (long long)seq);
}

void event_reader_cursor(const struct event_reader *r, char cursor[static EVENT_CURSOR_SIZE])
{
	write_cursor(r->manager, r->at, cursor);
}

/* ---- the cursor that was given ---- */

static int refuse_cursor(struct manager *m, int64_t floor, const char *why, struct error *reterr)
{
	char oldest[EVENT_CURSOR_SIZE];

	write_cursor(m, floor, oldest);
	(void)error_set(reterr, ERROR_INVALID_STATE, "cursor",
			"go on from data.oldest and list what there is, as some events are lost",
			"%s", why);
	error_set_oldest(reterr, oldest);
	return -1;
}

static int parse_cursor(struct manager *m, const char *text, int64_t floor, int64_t *ret,
			struct error *reterr)
{
	const char *dash = strchr(text, '-');
	size_t length = dash ? (size_t)(dash - text) : 0;
	long long seq;
	char *end;

	errno = 0;
	seq = dash && dash[1] >= '0' && dash[1] <= '9' ? strtoll(dash + 1, &end, 10) : -1;
	if (length == 0 || seq < 0 || errno != 0 || *end)
		return error_set(reterr, ERROR_INVALID_PARAMS, "cursor",
				 "one that an event or events.subscribe gave, or \"" OLDEST "\"",
				 "this is no cursor");
	if (strlen(event_log_id(m)) != length || strncmp(text, event_log_id(m), length) != 0 ||
	    seq > event_log_last(m))
		return refuse_cursor(m, floor, "the cursor is of another log", reterr);
	if (seq < floor)
		return refuse_cursor(m, floor, "events behind this cursor are not kept any more",
				     reterr);
	*ret = seq;
	return 0;
}

static int place(struct event_reader *r, const char *cursor, struct error *reterr)
{
	int64_t floor = event_log_floor(r->manager, r->peer);

	if (!cursor)
		r->at = event_log_last(r->manager);
	else if (strcmp(cursor, OLDEST) == 0)
		r->at = floor;
	else
		return parse_cursor(r->manager, cursor, floor, &r->at, reterr);
	return 0;
}

/* ---- what is wanted ---- */

/* "exec" is all of exec.*. */
static bool type_matches(const char *type, const char *wanted)
{
	size_t length = strlen(wanted);

	return strncmp(type, wanted, length) == 0 && (type[length] == '\0' || type[length] == '.');
}

static bool has_type(const struct event_reader *r, const char *type)
{
	size_t i;

	for (i = 0; i < r->types.count; i++)
		if (type_matches(type, r->types.items[i]))
			return true;
	return r->types.count == 0;
}

static bool has_labels(const struct event_reader *r, struct bytes packed)
{
	struct pairs labels = { 0 };
	bool has;

	if (r->labels.count == 0)
		return true;
	has = pairs_unpack(packed, &labels) == 0 && pairs_include(&labels, &r->labels);
	pairs_deinit(&labels);
	return has;
}

static bool is(const char *wanted, const char *text)
{
	return !wanted || string_equal(wanted, text);
}

static bool matches(const struct event_reader *r, const struct store_event *row)
{
	if (r->peer != 0 && row->peer != r->peer && row->peer != EVENT_PEER_EVERYBODY)
		return false;
	return is(r->loop_id, row->loop_id) && is(r->tool, row->tool) && is(r->state, row->state) &&
	       (is(r->sandbox, row->sandbox) || is(r->sandbox, row->sandbox_id)) &&
	       has_type(r, row->type) && has_labels(r, row->labels);
}

/* ---- reading ---- */

static void tell_gap(struct reading *g, int64_t from, int64_t to)
{
	char first[EVENT_CURSOR_SIZE], last[EVENT_CURSOR_SIZE];

	write_cursor(g->reader->manager, from, first);
	write_cursor(g->reader->manager, to, last);
	g->sink->on_gap(first, last, g->userdata);
	g->reader->at = to;
}

static int read_lost(struct reading *g, const struct store_event *row)
{
	struct bytes rest = row->facts;
	struct event_fact from = { .number = row->seq };

	(void)event_fact_next(&rest, &from); /* of a damaged row: that one at least */
	tell_gap(g, from.number, row->seq);
	return 0;
}

static int read_one(const struct store_event *row, void *userdata)
{
	struct reading *g = userdata;
	char cursor[EVENT_CURSOR_SIZE];

	if (!g->sink->wants(g->userdata))
		return 1;
	g->n++;
	if (strcmp(row->type, EVENT_TYPE_LOST) == 0)
		return read_lost(g, row);
	g->reader->at = row->seq;
	if (!matches(g->reader, row))
		return 0;
	event_reader_cursor(g->reader, cursor);
	g->sink->on_event(
		&(struct event_seen){
			.cursor = cursor,
			.at_ms = row->at_ms,
			.type = row->type,
			.loop_id = row->loop_id,
			.sandbox = row->sandbox,
			.exec_id = row->exec_id,
			.facts = row->facts,
		},
		g->userdata);
	return 0;
}

bool event_reader_read(struct event_reader *r, const struct event_sink *sink, void *userdata)
{
	struct reading g = { .reader = r, .sink = sink, .userdata = userdata };
	int64_t floor = event_log_floor(r->manager, r->peer);
	int result;

	if (r->at >= event_log_last(r->manager) || !sink->wants(userdata))
		return false;
	if (r->at < floor)
		tell_gap(&g, r->at + 1, floor); /* he was slower than they are kept */
	result = store_event_load(r->manager->store, r->at, READ_AT_ONCE, read_one, &g);
	return result == 0 && g.n == READ_AT_ONCE; /* an error was logged: with the next event */
}

/* ---- the object ---- */

static int copy_params(struct event_reader *r, const struct events_subscribe_params *p)
{
	const struct filter_params *f = &p->filter;
	size_t i;
	int result;

	result = string_copy(f->loop_id, &r->loop_id);
	if (result == 0)
		result = string_copy(f->sandbox, &r->sandbox);
	if (result == 0)
		result = string_copy(f->tool, &r->tool);
	if (result == 0)
		result = string_copy(f->state, &r->state);
	if (result == 0)
		result = pairs_copy(&r->labels, &f->labels);
	for (i = 0; result == 0 && i < p->types.count; i++)
		result = string_list_add(&r->types, p->types.items[i]);
	return result;
}

int event_reader_new(struct event_reader **ret, struct manager *m, uid_t peer,
		     const struct events_subscribe_params *p, struct error *reterr)
{
	struct event_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return error_set_errno(reterr, -ENOMEM, "events cannot be read");
	r->manager = m;
	r->peer = peer;
	if (copy_params(r, p) < 0) {
		event_reader_free(r);
		return error_set_errno(reterr, -ENOMEM, "events cannot be read");
	}
	if (place(r, p->cursor, reterr) < 0) {
		event_reader_free(r);
		return -1;
	}
	*ret = r;
	return 0;
}

void event_reader_free(struct event_reader *r)
{
	if (!r)
		return;
	free(r->loop_id);
	free(r->sandbox);
	free(r->tool);
	free(r->state);
	pairs_deinit(&r->labels);
	string_list_deinit(&r->types);
	free(r);
}
