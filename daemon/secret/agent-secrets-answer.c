/* SPDX-License-Identifier: Apache-2.0 */
/* A value goes from where it was received to a secret's memory, and is blotted out before json-c
 * sees the line: so json-c, which judges the rest, has no copy of it. */

#include "secret/agent-secrets-answer.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "codec.h"
#include "secret/json-text.h"
#include "util/strings.h"

#define REQUEST_ID 1                   /* one call per connection */
#define CODE_SECRET_NOT_FOUND (-32000) /* its own number for it */

/* ---- requests ---- */

static char *request_line(const char *method, struct json_object *params)
{
	struct json_object *o = json_object_new_object();
	char *line = NULL;

	if (o && params) {
		json_object_object_add(o, "jsonrpc", json_object_new_string("2.0"));
		json_object_object_add(o, "id", json_object_new_int(REQUEST_ID));
		json_object_object_add(o, "method", json_object_new_string(method));
		json_object_object_add(o, "params", json_object_get(params));
		line = string_format("%s\n", json_object_to_json_string_ext(
						     o, JSON_C_TO_STRING_PLAIN |
								JSON_C_TO_STRING_NOSLASHESCAPE));
	}
	(void)json_object_put(o); /* 1: it was the last reference */
	(void)json_object_put(params);
	return line;
}

/* Its durations are Go's: "1h". */
static void format_ttl(int64_t ms, char text[static 32])
{
	const int64_t seconds = (ms + 999) / 1000;

	if (seconds % 3600 == 0)
		(void)snprintf(text, 32, "%" PRId64 "h", seconds / 3600);
	else if (seconds % 60 == 0)
		(void)snprintf(text, 32, "%" PRId64 "m", seconds / 60);
	else
		(void)snprintf(text, 32, "%" PRId64 "s", seconds);
}

char *agent_secrets_lease_line(const char *remote_name, int64_t ttl_ms)
{
	struct json_object *params = json_object_new_object();
	char ttl[32];

	if (!params)
		return NULL;
	format_ttl(ttl_ms, ttl);
	json_object_object_add(params, "secret_name", json_object_new_string(remote_name));
	json_object_object_add(params, "client_id", json_object_new_string(AGENT_SECRETS_CLIENT));
	json_object_object_add(params, "ttl", json_object_new_string(ttl));
	return request_line("secrets.lease", params);
}

char *agent_secrets_revoke_line(const char *lease_id)
{
	struct json_object *params = json_object_new_object();

	if (!params)
		return NULL;
	json_object_object_add(params, "lease_id", json_object_new_string(lease_id));
	return request_line("secrets.revoke", params);
}

char *agent_secrets_health_line(void)
{
	return request_line("secrets.health", json_object_new_object());
}

/* ---- checks ---- */

static int refuse(const char *what, const char *name, struct error *reterr)
{
	return error_set(reterr, ERROR_UNAVAILABLE, NULL,
			 "look at its version: sandboxd knows the protocol of agent-secrets 0.5",
			 "agent-secrets gave a bad answer about %s: %s", name, what);
}

static struct json_object *member(struct json_object *o, const char *key, enum json_type type)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) && json_object_is_type(value, type) ? value
											     : NULL;
}

static bool string_is(struct json_object *o, const char *key, const char *wanted)
{
	struct json_object *value = member(o, key, json_type_string);

	return value && strcmp(json_object_get_string(value), wanted) == 0;
}

/* The message stays unsaid: nobody knows what a provider puts in it. */
static int read_error(struct json_object *e, const char *name, struct error *reterr)
{
	struct json_object *code = member(e, "code", json_type_int);

	if (!code || !member(e, "message", json_type_string))
		return refuse("error has no code or no message", name, reterr);
	if (json_object_get_int64(code) == CODE_SECRET_NOT_FOUND)
		return error_set(reterr, ERROR_NOT_FOUND, "secret", "secrets add NAME",
				 "agent-secrets has no such secret: %s", name);
	return error_set(reterr, ERROR_UNAVAILABLE, NULL, "secrets status",
			 "agent-secrets refused %s with error %" PRId64, name,
			 json_object_get_int64(code));
}

/* The envelope. Returns the result, borrowed from *RET_JSON, which the caller frees in any case;
 * NULL with *RETERR. */
static struct json_object *read_result(const char *line, size_t size, const char *name,
				       struct json_object **ret_json, struct error *reterr)
{
	CLEANUP(codec_freep) struct codec *codec = NULL;
	struct json_object *id, *e, *result;
	bool has_error, has_result;

	if (codec_new(&codec) < 0) {
		(void)error_set_errno(reterr, -ENOMEM, "no memory for the answer about %s", name);
		return NULL;
	}
	result = NULL;
	if (codec_parse(codec, line, size, ret_json, NULL) <= 0)
		(void)refuse("it is no JSON", name, reterr);
	else if (!json_object_is_type(*ret_json, json_type_object) ||
		 !string_is(*ret_json, "jsonrpc", "2.0"))
		(void)refuse("it is no JSON-RPC 2.0", name, reterr);
	else if (!(id = member(*ret_json, "id", json_type_int)) ||
		 json_object_get_int64(id) != REQUEST_ID)
		(void)refuse("id is of another request", name, reterr);
	else {
		has_error = json_object_object_get_ex(*ret_json, "error", &e) && e;
		has_result = json_object_object_get_ex(*ret_json, "result", &result) && result;
		if (has_error == has_result)
			(void)refuse("it has not one of result and error", name, reterr);
		else if (has_error)
			(void)read_error(e, name, reterr);
		else if (!json_object_is_type(result, json_type_object))
			(void)refuse("result is no object", name, reterr);
		else
			return result;
	}
	return NULL;
}

/* ---- a lease ---- */

struct value_search {
	char *string;
	size_t size;
	unsigned found;
};

static bool is_value(const struct json_member *m, void *userdata)
{
	struct value_search *s = userdata;

	if (json_member_is(m, "value") && m->string) {
		s->string = m->string;
		s->size = m->string_size;
		s->found++;
	}
	return true;
}

/* Takes the one value out of LINE; *RET stays NULL when there is none. NULL, or what is wrong. */
static const char *take_value(char *line, size_t size, struct secret_value **ret)
{
	struct value_search s = { 0 };
	uint8_t *data;
	ssize_t n;

	if (!json_text_each(line, size, is_value, &s))
		return "it is no JSON";
	if (s.found > 1)
		return "it has more than one value";
	if (s.found == 0)
		return NULL;
	n = json_text_decode(s.string, s.size, NULL);
	if (n < 0)
		return "value is no text";
	if (n == 0)
		return "value is empty";
	if (secret_value_new((size_t)n, ret, &data) < 0)
		return "there is no memory for the value";
	(void)json_text_decode(s.string, s.size, data); /* as it did before */
	memset(s.string, ' ', s.size);
	return NULL;
}

static bool is_digits(const char *text, size_t n)
{
	return strspn(text, "0123456789") >= n;
}

/* "Z", "+01:00". */
static bool parse_zone(const char *text, int64_t *ret_seconds)
{
	int hours, minutes;

	*ret_seconds = 0;
	if (strcmp(text, "Z") == 0)
		return true;
	if ((text[0] != '+' && text[0] != '-') || strlen(text) != 6 || !is_digits(text + 1, 2) ||
	    text[3] != ':' || !is_digits(text + 4, 2))
		return false;
	hours = (text[1] - '0') * 10 + text[2] - '0';
	minutes = (text[4] - '0') * 10 + text[5] - '0';
	*ret_seconds = (hours * 60 + minutes) * (text[0] == '-' ? -60 : 60);
	return hours < 24 && minutes < 60;
}

/* RFC 3339, with any number of digits behind the second. */
static bool parse_time(const char *text, int64_t *ret_ms)
{
	struct tm tm = { 0 };
	int64_t zone, ms = 0, weight = 100;
	const char *p;

	if (!is_digits(text, 4)) /* strptime takes signs and blanks */
		return false;
	p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (p && *p == '.') {
		if (!is_digits(++p, 1))
			return false;
		for (; *p >= '0' && *p <= '9'; p++, weight /= 10)
			ms += (*p - '0') * weight;
	}
	if (!p || !parse_zone(p, &zone))
		return false;
	*ret_ms = ((int64_t)timegm(&tm) - zone) * 1000 + ms;
	return true;
}

/* Printable, and short enough to be kept. */
static bool is_lease_id(const char *text, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return size > 0 && size < PROVIDER_REMOTE_ID_MAX;
}

/* NULL, or what is wrong. */
static const char *check_lease(struct json_object *result, int64_t now_ms,
			       struct provider_grant *grant)
{
	struct json_object *id = member(result, "lease_id", json_type_string);
	struct json_object *expires = member(result, "expires_at", json_type_string);

	if (!member(result, "value", json_type_string))
		return "value is no string";
	if (!grant->value)
		return "value is written in a strange way";
	if (!id || !is_lease_id(json_object_get_string(id), (size_t)json_object_get_string_len(id)))
		return "lease_id is no id";
	if (!expires || !parse_time(json_object_get_string(expires), &grant->expires_at_ms))
		return "expires_at is no time";
	if (grant->expires_at_ms <= now_ms)
		return "the lease has expired before it began";
	strcpy(grant->remote_id, json_object_get_string(id));
	return NULL;
}

int agent_secrets_read_lease(char *line, size_t size, const char *name, int64_t now_ms,
			     struct provider_grant *ret, struct error *reterr)
{
	struct provider_grant grant = { 0 };
	struct json_object *json = NULL, *result;
	const char *wrong = take_value(line, size, &grant.value);
	int r;

	result = wrong ? NULL : read_result(line, size, name, &json, reterr);
	if (result)
		wrong = check_lease(result, now_ms, &grant);
	r = wrong ? refuse(wrong, name, reterr) : (result ? 0 : -1);
	(void)json_object_put(json);
	if (r == 0)
		*ret = grant;
	else
		secret_value_unref(grant.value);
	return r;
}

/* ---- others ---- */

int agent_secrets_read_revoke(char *line, size_t size, const char *name, struct error *reterr)
{
	struct json_object *json = NULL, *success, *result;
	int r = -1;

	result = read_result(line, size, name, &json, reterr);
	success = result ? member(result, "success", json_type_boolean) : NULL;
	if (result && !success)
		(void)refuse("success is no truth value", name, reterr);
	else if (success && !json_object_get_boolean(success))
		(void)error_set(reterr, ERROR_UNAVAILABLE, NULL, "secrets revoke LEASE",
				"agent-secrets could not revoke a lease of %s", name);
	else if (success)
		r = 0;
	(void)json_object_put(json);
	return r;
}

int agent_secrets_read_health(char *line, size_t size, struct agent_secrets_health *ret,
			      struct error *reterr)
{
	struct json_object *json = NULL, *secrets, *leases, *result;
	int r = -1;

	result = read_result(line, size, "its health", &json, reterr);
	secrets = result ? member(result, "total_secrets", json_type_int) : NULL;
	leases = result ? member(result, "active_leases", json_type_int) : NULL;
	if (secrets && leases) {
		ret->secrets = json_object_get_int64(secrets);
		ret->leases = json_object_get_int64(leases);
		r = 0;
	} else if (result) {
		(void)refuse("a count is no number", "its health", reterr);
	}
	(void)json_object_put(json);
	return r;
}
