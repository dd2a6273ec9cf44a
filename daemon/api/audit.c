/* SPDX-License-Identifier: Apache-2.0 */
/* audit.list and audit.verify. Both read in small steps, and can be cancelled. */

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/values.h"
#include "params.h"
#include "secret/audit.h"
#include "text.h"

/* One of them under way; freed with its answer. */
struct asking {
	struct request *request;
	struct audit_reading *reading;
};

/* Nobody waits for it any more. */
static void on_gone(struct request *r, void *userdata)
{
	struct asking *a = userdata;
	CLEANUP_ERROR struct error e = { 0 };

	audit_reading_end(a->reading);
	free(a);
	(void)error_set(&e, ERROR_CANCELLED, NULL, NULL, "the call was cancelled");
	request_fail(r, &e);
}

/* BEGUN: what was begun for A, or not, with E. */
static void wait_for(struct asking *a, int begun, struct error *e)
{
	static const struct request_watch watch = { .on_cancel = on_gone,
						    .on_disconnect = on_gone };

	if (begun == 0) {
		request_watch(a->request, &watch, a);
		return;
	}
	request_fail(a->request, e);
	free(a);
}

static struct asking *asking_new(struct request *r)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct asking *a = calloc(1, sizeof(*a));

	if (a) {
		a->request = r;
		return a;
	}
	(void)error_set_errno(&e, -ENOMEM, "the audit log cannot be read");
	request_fail(r, &e);
	return NULL;
}

/* ---- list ---- */

/* NULL: somebody changed it, and it is not JSON any more. audit.verify tells. */
static struct json_object *parse_line(const char *line)
{
	const size_t size = strlen(line);
	struct json_object *o = NULL;

	if (utf8_valid_length(line, size) == size)
		o = json_tokener_parse(line);
	if (json_object_is_type(o, json_type_object))
		return o;
	json_object_put(o);
	return NULL;
}

static void on_listed(char *const *lines, size_t count, struct error *e, void *userdata)
{
	struct asking *a = userdata;
	struct request *r = a->request;
	struct json_object *result, *entries, *entry;

	free(a);
	if (e) {
		request_fail(r, e);
		return;
	}
	entries = json_object_new_array();
	for (size_t i = 0; i < count; i++) {
		entry = parse_line(lines[i]);
		if (entry)
			(void)json_object_array_add(entries, entry); /* memory */
	}
	result = json_object_new_object();
	json_object_object_add(result, "entries", entries);
	request_reply(r, result);
}

void method_audit_list(struct request *r, void *userdata)
{
	const struct audit_list_params *p = request_params(r);
	const struct audit_query query = { request_uid(r), p->limit, p->after };
	CLEANUP_ERROR struct error e = { 0 };
	struct asking *a = asking_new(r);

	if (a)
		wait_for(a, audit_list(userdata, &query, on_listed, a, &a->reading, &e), &e);
}

/* ---- verify ---- */

static struct json_object *value_mark(const struct audit_mark *mark)
{
	struct json_object *o = json_object_new_object();

	value_add_int(o, "count", mark->count);
	value_add_string(o, "hash", mark->hash);
	return o;
}

static struct json_object *value_problem(const struct audit_report *report)
{
	struct json_object *o;

	if (report->bad == 0)
		return NULL;
	o = json_object_new_object();
	value_add_int(o, "entry", report->bad);
	value_add_string(o, "file", report->file);
	value_add_string(o, "reason", report->reason);
	value_add_string(o, "against", report->by_given ? "noted" : "head");
	return o;
}

static void on_verified(const struct audit_report *report, struct error *e, void *userdata)
{
	struct asking *a = userdata;
	struct request *r = a->request;
	struct json_object *o;

	free(a);
	if (!report) {
		request_fail(r, e);
		return;
	}
	o = json_object_new_object();
	json_object_object_add(o, "ok", json_object_new_boolean(report->bad == 0));
	value_add_int(o, "first", report->first);
	value_add_int(o, "checked", report->checked);
	json_object_object_add(o, "head", value_mark(&report->head));
	json_object_object_add(o, "problem", value_problem(report));
	request_reply(r, o);
}

static int read_noted(const struct audit_noted_params *p, struct audit_mark *ret,
		      struct error *reterr)
{
	if (strlen(p->hash) != AUDIT_HASH_SIZE - 1 ||
	    strspn(p->hash, "0123456789abcdef") != AUDIT_HASH_SIZE - 1)
		return error_set(reterr, ERROR_INVALID_PARAMS, "noted.hash",
				 "64 digits of 0-9 and a-f, as in head.hash of an earlier answer",
				 "this is no hash of an audit log");
	ret->count = p->count;
	memcpy(ret->hash, p->hash, AUDIT_HASH_SIZE);
	return 0;
}

void method_audit_verify(struct request *r, void *userdata)
{
	const struct audit_verify_params *p = request_params(r);
	const struct audit_mark *given = NULL;
	CLEANUP_ERROR struct error e = { 0 };
	struct audit_mark noted;
	struct asking *a;

	if (p->noted.given) {
		if (read_noted(&p->noted, &noted, &e) < 0) {
			request_fail(r, &e);
			return;
		}
		given = &noted;
	}
	a = asking_new(r);
	if (a)
		wait_for(a,
			 audit_verify(userdata, request_uid(r), given, on_verified, a, &a->reading,
				      &e),
			 &e);
}
