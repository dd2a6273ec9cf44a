/* SPDX-License-Identifier: Apache-2.0 */
/* events.subscribe and events.unsubscribe. A subscription lives as long as its connection, or until
 * it is ended; it reads the log at the pace at which the client reads. Whatever happens (there is
 * more, there is room again), `again` is activated, and pump() looks at what there is. */

#include <errno.h>
#include <event2/event.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/values.h"
#include "bounds.h"
#include "codec.h"
#include "params.h"
#include "rpc/channel.h"
#include "sandbox/event-log.h"
#include "sandbox/event-reader.h"
#include "sandbox/manager.h"

struct subscription {
	struct channel *channel;
	struct event_reader *reader;
	struct event *again;
	struct event_listener listener;
	bool listens;
};

static void subscription_free(struct subscription *s)
{
	if (s->listens)
		event_log_unlisten(&s->listener);
	if (s->again)
		event_free(s->again);
	event_reader_free(s->reader);
	channel_free(s->channel);
	free(s);
}

/* ---- events as JSON ---- */

static struct json_object *value_fact(const struct event_fact *f)
{
	if (f->kind == EVENT_FACT_NUMBER)
		return json_object_new_int64(f->number);
	if (f->kind == EVENT_FACT_TIME)
		return value_time(f->number);
	return f->text ? codec_text(f->text, strlen(f->text)) : NULL;
}

static struct json_object *value_facts(struct bytes rest)
{
	struct json_object *o = json_object_new_object();
	struct event_fact f;

	while (o && event_fact_next(&rest, &f))
		json_object_object_add(o, f.key, value_fact(&f));
	return o;
}

static void on_event(const struct event_seen *e, void *userdata)
{
	struct subscription *s = userdata;
	struct json_object *o = json_object_new_object();

	if (o) {
		value_add_string(o, "subscription", channel_name(s->channel));
		value_add_string(o, "cursor", e->cursor);
		json_object_object_add(o, "at", value_time(e->at_ms));
		value_add_string(o, "type", e->type);
		value_add_string(o, "loopId", e->loop_id);
		value_add_string(o, "sandbox", e->sandbox);
		value_add_string(o, "execId", e->exec_id);
		json_object_object_add(o, "data", value_facts(e->facts));
	}
	channel_notify(s->channel, "events.event", o);
}

static void on_gap(const char *from, const char *to, void *userdata)
{
	struct subscription *s = userdata;
	struct json_object *o = json_object_new_object();

	if (o) {
		value_add_string(o, "subscription", channel_name(s->channel));
		value_add_string(o, "from", from);
		value_add_string(o, "to", to);
	}
	channel_notify(s->channel, "events.gap", o);
}

/* ---- the flow ---- */

static bool wants(void *userdata)
{
	const struct subscription *s = userdata;

	return channel_writable(s->channel);
}

static void pump(evutil_socket_t fd, short what, void *userdata)
{
	static const struct event_sink sink = { wants, on_event, on_gap };
	struct subscription *s = userdata;

	(void)fd;
	(void)what;
	if (event_reader_read(s->reader, &sink, s))
		event_active(s->again, 0, 0); /* behind the others */
}

static void wake(void *userdata)
{
	struct subscription *s = userdata;

	event_active(s->again, 0, 0);
}

static void on_closed(void *userdata)
{
	subscription_free(userdata);
}

/* ---- the methods ---- */

static int prepare(struct subscription *s, struct request *r, struct manager *m,
		   struct error *reterr)
{
	static const struct channel_watch watch = { wake, on_closed };
	int result;

	if (event_reader_new(&s->reader, m, request_uid(r), request_params(r), reterr) < 0)
		return -1;
	s->again = event_new(m->base, -1, 0, pump, s);
	result = s->again ? channel_new(&s->channel, r, &watch, s) : -ENOMEM;
	if (result == -EMFILE)
		return error_set(reterr, ERROR_LIMIT_REACHED, NULL,
				 "end one with events.unsubscribe, or use another connection",
				 "this connection has %d subscriptions already",
				 CHANNELS_PER_CONNECTION_MAX);
	if (result < 0)
		return error_set_errno(reterr, result, "events cannot be sent");
	s->listener = (struct event_listener){ .on_events = wake, .userdata = s };
	event_log_listen(m, &s->listener);
	s->listens = true;
	return 0;
}

void method_events_subscribe(struct request *r, void *userdata)
{
	struct subscription *s = calloc(1, sizeof(*s));
	CLEANUP_ERROR struct error e = { 0 };
	char cursor[EVENT_CURSOR_SIZE];
	struct json_object *result;

	if (!s) {
		(void)error_set_errno(&e, -ENOMEM, "events cannot be sent");
		request_fail(r, &e);
		return;
	}
	if (prepare(s, r, userdata, &e) < 0) {
		subscription_free(s);
		request_fail(r, &e);
		return;
	}
	event_reader_cursor(s->reader, cursor);
	result = json_object_new_object();
	value_add_string(result, "subscription", channel_name(s->channel));
	value_add_string(result, "cursor", cursor);
	request_reply(r, result);
	wake(s); /* the first event comes behind the answer */
}

void method_events_unsubscribe(struct request *r, void *userdata)
{
	const struct events_unsubscribe_params *p = request_params(r);
	struct subscription *s = channel_find(r, p->subscription);
	CLEANUP_ERROR struct error e = { 0 };

	(void)userdata;
	if (!s) {
		(void)error_set(&e, ERROR_NOT_FOUND, "subscription",
				"one of this connection's, from events.subscribe",
				"this connection has no such subscription");
		request_fail(r, &e);
		return;
	}
	subscription_free(s);
	request_reply(r, NULL);
}
