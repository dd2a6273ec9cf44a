/* SPDX-License-Identifier: Apache-2.0 */
/* events: one line for each, until a signal. When the daemon goes away it is waited for, and the
 * last cursor is where it goes on: no line is missing and none comes twice. */

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json-value.h"
#include "macro.h"
#include "message.h"
#include "refusal.h"
#include "rpc-params.h"
#include "verbs.h"

#define CURSOR_SIZE 80

struct watch {
	struct ctl *ctl;
	char cursor[CURSOR_SIZE]; /* behind what was printed; "": nothing yet */
	bool failed;
};

/* ---- one line ---- */

static const char *subject(struct json_object *event)
{
	const char *sandbox = json_value_string(event, "sandbox");
	const char *loop = json_value_string(event, "loopId");

	return sandbox ? sandbox : loop ? loop : "-";
}

/* " key=value" of what has one. */
static int add_facts(FILE *f, struct json_object *data)
{
	json_object_object_foreach (data, key, value) {
		if (!value)
			continue;
		if (fprintf(f, " %s=%s", key,
			    json_object_is_type(value, json_type_string)
				    ? json_object_get_string(value)
				    : json_object_to_json_string(value)) < 0)
			return -1;
	}
	return 0;
}

static char *line_of(struct json_object *event)
{
	struct json_object *data = json_value_object(event, "data");
	const char *at = json_value_string(event, "at");
	const char *type = json_value_string(event, "type");
	const char *exec = json_value_string(event, "execId");
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int r = 0;

	if (!f)
		return NULL;
	(void)fprintf(f, "%s  %-16s %s", at ? at : "-", type ? type : "-", subject(event));
	if (exec)
		(void)fprintf(f, " exec=%s", exec);
	if (data)
		r = add_facts(f, data);
	if (fclose(f) == 0 && r == 0)
		return text;
	free(text);
	return NULL;
}

static int print_event(const struct watch *w, struct json_object *event)
{
	CLEANUP_STR char *line = NULL;
	size_t size;

	if (w->ctl->json)
		return ctl_print_json(event, false);
	line = line_of(event);
	if (!line)
		return ctl_transport_error(w->ctl, -ENOMEM);
	size = strlen(message_clean(line));
	line[size] = '\n'; /* instead of its NUL */
	if (message_write(STDOUT_FILENO, line, size + 1) == 0)
		return 0;
	message_error(NULL, "writing to stdout: %s", strerror(errno));
	return -1;
}

static void keep_cursor(struct watch *w, const char *cursor)
{
	if (cursor && strlen(cursor) < CURSOR_SIZE)
		(void)snprintf(w->cursor, CURSOR_SIZE, "%s", cursor);
}

static void on_gap(struct watch *w, struct json_object *gap)
{
	const char *from = json_value_string(gap, "from"), *to = json_value_string(gap, "to");

	if (w->ctl->json && ctl_print_json(gap, false) < 0)
		w->failed = true;
	message_note("events from %s to %s are not kept any more", from ? from : "?",
		     to ? to : "?");
	keep_cursor(w, to);
}

static void on_notification(struct sandboxd_client *c, const char *method, const char *params,
			    size_t params_size, void *userdata)
{
	CLEANUP_JSON struct json_object *event = json_value_parse(params, params_size);
	struct watch *w = userdata;

	(void)c;
	if (w->failed)
		return;
	if (strcmp(method, "events.gap") == 0) {
		on_gap(w, event);
	} else if (strcmp(method, "events.event") == 0) {
		w->failed = print_event(w, event) < 0;
		keep_cursor(w, json_value_string(event, "cursor"));
	}
}

/* ---- the subscription ---- */

static struct json_object *make_params(const struct watch *w)
{
	const struct options *o = &w->ctl->options;
	struct json_object *params = params_from_options(o);
	struct json_object *types = NULL;

	for (size_t i = 0; params && i < o->n_given; i++) {
		if (o->given[i].row->id != OPTION_TYPE)
			continue;
		if (!types) {
			types = json_object_new_array();
			json_object_object_add(params, "types", types);
		}
		(void)json_object_array_add(types, json_object_new_string(o->given[i].text));
	}
	if (params && w->cursor[0])
		json_object_object_add(params, "cursor", json_object_new_string(w->cursor));
	return params;
}

/* 0, SANDBOXD_REFUSED (told), or negative errno (not told). */
static int subscribe(struct watch *w)
{
	CLEANUP(sandboxd_error_clear) struct sandboxd_error e = SANDBOXD_ERROR_INIT;
	CLEANUP_JSON struct json_object *params = make_params(w);
	CLEANUP_JSON struct json_object *result = NULL;
	CLEANUP_STR char *text = NULL;
	int r = -ENOMEM;

	if (params)
		r = sandboxd_call(w->ctl->client, "events.subscribe",
				  json_object_to_json_string(params), NULL, 0, &text, &e);
	if (r == SANDBOXD_REFUSED)
		refusal_tell(w->ctl, &e);
	if (r != 0)
		return r;
	result = json_value_parse(text, strlen(text));
	if (!w->cursor[0])
		keep_cursor(w, json_value_string(result, "cursor"));
	return 0;
}

/* Until the connection ends, or we cannot print. */
static int follow(struct watch *w)
{
	int r;

	do {
		r = sandboxd_dispatch(w->ctl->client, -1);
	} while (!w->failed && (r >= 0 || r == -EINTR));
	return r;
}

static bool is_gone(int r)
{
	return r == -ECONNRESET || r == -EPIPE;
}

int verb_events(struct ctl *ctl)
{
	static const struct sandboxd_callbacks callbacks = { .on_notification = on_notification };
	struct watch w = { .ctl = ctl };
	int r;

	if (ctl_connect(ctl) < 0)
		return ctl->verb->failure;
	sandboxd_set_callbacks(ctl->client, &callbacks, &w);
	do {
		r = subscribe(&w);
		if (r == 0)
			r = follow(&w);
		if (is_gone(r) && !w.failed) {
			r = sandboxd_reconnect(ctl->client, SANDBOXD_RECONNECT_MS);
			if (r == 0)
				r = -ECONNRESET; /* once more */
		}
	} while (is_gone(r) && !w.failed);
	if (r < 0 && !w.failed)
		(void)ctl_transport_error(ctl, r);
	return ctl->verb->failure;
}
