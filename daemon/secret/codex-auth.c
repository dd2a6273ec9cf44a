/* SPDX-License-Identifier: Apache-2.0 */
/* {"tokens": {"id_token", "access_token", "refresh_token", …}, "last_refresh", …}. Members that we
 * do not know stay as they are: the file is Codex's. Codex itself reads a login without
 * "refresh_token" as broken, so a copy has an empty one. */

#include "secret/codex-auth.h"

#include <errno.h>
#include <json-c/json.h>
#include <json-c/json_visit.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "util/time.h"

#define NESTING_MAX 32
#define JWT_PAYLOAD_MAX 8192 /* bytes, decoded; one of Codex has 2 KiB */

struct codex_auth {
	struct json_object *json;
	struct json_object *tokens; /* in it */
};

/* ---- json-c, and what it leaves in memory ---- */

static void wipe_string(struct json_object *o)
{
	/* its own buffer, and the object goes next */
	sodium_memzero((void *)(uintptr_t)json_object_get_string(o),
		       (size_t)json_object_get_string_len(o));
}

static int wipe_one(struct json_object *o, int flags, struct json_object *parent, const char *key,
		    size_t *index, void *userdata)
{
	(void)parent;
	(void)key;
	(void)index;
	(void)userdata;
	(void)flags;
	if (json_object_is_type(o, json_type_string))
		wipe_string(o);
	return JSON_C_VISIT_RETURN_CONTINUE;
}

static void wipe_json(struct json_object *o)
{
	if (!o)
		return;
	(void)json_c_visit(o, 0, wipe_one, NULL); /* our function never stops it */
	json_object_put(o);
}

static void wipe_jsonp(struct json_object **o)
{
	wipe_json(*o);
}

/* NULL: no JSON object, or no memory. */
static struct json_object *parse(const void *data, size_t size)
{
	struct json_tokener *t = json_tokener_new_ex(NESTING_MAX);
	struct json_object *o = NULL;

	if (!t)
		return NULL;
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	if (size <= SECRET_VALUE_MAX)
		o = json_tokener_parse_ex(t, data, (int)size);
	if (o && (json_tokener_get_error(t) != json_tokener_success ||
		  !json_object_is_type(o, json_type_object))) {
		wipe_json(o);
		o = NULL;
	}
	sodium_memzero(t->pb->buf, (size_t)t->pb->size); /* the last string that it put together */
	json_tokener_free(t);
	return o;
}

static struct json_object *parse_value(const struct secret_value *v)
{
	return parse(secret_value_data(v), secret_value_size(v));
}

/* As text, in memory of secrets. */
static int write_value(struct json_object *o, struct secret_value **ret)
{
	size_t size = 0;
	const char *text = json_object_to_json_string_length(o,
							     JSON_C_TO_STRING_PLAIN |
								     JSON_C_TO_STRING_NOSLASHESCAPE,
							     &size);
	uint8_t *data;
	int r;

	if (!text)
		return -ENOMEM;
	r = secret_value_new(size, ret, &data);
	if (r == 0)
		memcpy(data, text, size);
	sodium_memzero((void *)(uintptr_t)text, size); /* a buffer of O's, made anew each time */
	return r;
}

/* A string member that is not empty; NULL: there is none. */
static struct json_object *get_text(struct json_object *o, const char *key)
{
	struct json_object *v;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &v) ||
	    !json_object_is_type(v, json_type_string) || json_object_get_string_len(v) == 0)
		return NULL;
	return v;
}

/* Takes VALUE, which may be NULL (no memory). What was there is wiped. */
static int set_member(struct json_object *o, const char *key, struct json_object *value)
{
	struct json_object *old;

	if (!value)
		return -ENOMEM;
	if (json_object_object_get_ex(o, key, &old) && json_object_is_type(old, json_type_string))
		wipe_string(old);
	if (json_object_object_add(o, key, value) < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

static int set_refreshed(struct codex_auth *a, int64_t now_ms)
{
	char text[TIME_TEXT_SIZE];

	time_format(now_ms, text);
	return set_member(a->json, "last_refresh", json_object_new_string(text));
}

/* ---- the login ---- */

static bool looks_like_login(const char *text, size_t size)
{
	static const char mark[] = "\"refresh_token\"";

	return text[strspn(text, " \t\r\n")] == '{' && memmem(text, size, mark, sizeof(mark) - 1);
}

int codex_auth_read(const struct secret_value *v, struct codex_auth **ret)
{
	struct json_object *tokens;
	struct codex_auth *a;

	if (!looks_like_login((const char *)secret_value_data(v), secret_value_size(v)))
		return CODEX_AUTH_OTHER;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->json = parse_value(v);
	if (!a->json) {
		codex_auth_free(a);
		return CODEX_AUTH_BROKEN;
	}
	if (!json_object_object_get_ex(a->json, "tokens", &tokens) ||
	    !get_text(tokens, "refresh_token")) {
		codex_auth_free(a);
		return CODEX_AUTH_OTHER;
	}
	a->tokens = tokens;
	*ret = a;
	return 0;
}

void codex_auth_free(struct codex_auth *a)
{
	if (!a)
		return;
	wipe_json(a->json);
	free(a);
}

/* The middle part of TOKEN, decoded. NULL: it is no JWT. */
static struct json_object *jwt_claims(const char *token)
{
	const char *begin = strchr(token, '.');
	const char *end = begin ? strchr(begin + 1, '.') : NULL;
	uint8_t payload[JWT_PAYLOAD_MAX];
	struct json_object *claims = NULL;
	size_t size = 0;

	if (end &&
	    sodium_base642bin(payload, sizeof(payload), begin + 1, (size_t)(end - begin - 1), NULL,
			      &size, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0)
		claims = parse(payload, size);
	sodium_memzero(payload, sizeof(payload));
	return claims;
}

/* The claim KEY, seconds since 1970, in milliseconds; MISSING without it. */
static int64_t get_time(struct json_object *claims, const char *key, int64_t missing)
{
	struct json_object *v;
	int64_t seconds;

	if (!claims || !json_object_object_get_ex(claims, key, &v) ||
	    !json_object_is_type(v, json_type_int))
		return missing;
	seconds = json_object_get_int64(v);
	if (seconds < 0)
		return 0;
	return seconds > CODEX_NO_EXPIRY / 1000 ? CODEX_NO_EXPIRY : seconds * 1000;
}

struct codex_times codex_auth_times(const struct codex_auth *a)
{
	struct json_object *token = get_text(a->tokens, "access_token");
	CLEANUP(wipe_jsonp) struct json_object *claims = NULL;

	if (!token)
		return (struct codex_times){ 0 };
	claims = jwt_claims(json_object_get_string(token));
	return (struct codex_times){ .issued_ms = get_time(claims, "iat", 0),
				     .expires_ms = get_time(claims, "exp", CODEX_NO_EXPIRY) };
}

void codex_auth_id(const struct codex_auth *a, uint8_t ret[CODEX_LOGIN_ID_BYTES])
{
	struct json_object *token = get_text(a->tokens, "refresh_token");
	const char *text = json_object_get_string(token);

	(void)crypto_generichash(ret, CODEX_LOGIN_ID_BYTES, (const uint8_t *)text, strlen(text),
				 NULL, 0); /* cannot fail */
}

int codex_auth_copy(struct codex_auth *a, int64_t now_ms, struct secret_value **ret)
{
	int r = set_member(a->tokens, "refresh_token", json_object_new_string(""));

	if (r == 0)
		r = set_refreshed(a, now_ms);
	return r < 0 ? r : write_value(a->json, ret);
}

int codex_auth_request(const struct codex_auth *a, const char *client_id, struct secret_value **ret)
{
	CLEANUP(wipe_jsonp) struct json_object *o = json_object_new_object();
	struct json_object *token = get_text(a->tokens, "refresh_token");
	int r;

	if (!o)
		return -ENOMEM;
	r = set_member(o, "client_id", json_object_new_string(client_id));
	if (r == 0)
		r = set_member(o, "grant_type", json_object_new_string("refresh_token"));
	if (r == 0)
		r = set_member(o, "refresh_token",
			       json_object_new_string_len(json_object_get_string(token),
							  json_object_get_string_len(token)));
	if (r == 0)
		r = set_member(o, "scope", json_object_new_string("openid profile email"));
	return r < 0 ? r : write_value(o, ret);
}

/* ---- the answer ---- */

/* Copies the string KEY of FROM to A's tokens; one that is not there leaves the old. */
static int take_token(struct codex_auth *a, struct json_object *from, const char *key)
{
	struct json_object *v = get_text(from, key);

	if (!v)
		return 0;
	return set_member(a->tokens, key,
			  json_object_new_string_len(json_object_get_string(v),
						     json_object_get_string_len(v)));
}

int codex_auth_apply(struct codex_auth *a, const struct secret_value *answer, int64_t now_ms,
		     struct secret_value **ret)
{
	static const char *const keys[] = { "id_token", "access_token", "refresh_token" };
	CLEANUP(wipe_jsonp) struct json_object *o = parse_value(answer);
	size_t i;
	int r = 0;

	if (!o || !get_text(o, "access_token"))
		return CODEX_AUTH_OTHER;
	for (i = 0; i < ARRAY_SIZE(keys) && r == 0; i++)
		r = take_token(a, o, keys[i]);
	if (r == 0)
		r = set_refreshed(a, now_ms);
	return r < 0 ? r : write_value(a->json, ret);
}

void codex_answer_error(const struct secret_value *answer, char ret[static CODEX_ERROR_SIZE])
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
				      "0123456789";
	CLEANUP(wipe_jsonp) struct json_object *o = parse_value(answer);
	struct json_object *e = NULL, *code;
	const char *text;

	ret[0] = '\0';
	if (!o || !json_object_object_get_ex(o, "error", &e))
		return;
	code = json_object_is_type(e, json_type_string) ? get_text(o, "error")
							: get_text(e, "code");
	text = code ? json_object_get_string(code) : "";
	if (strlen(text) < CODEX_ERROR_SIZE && text[strspn(text, allowed)] == '\0')
		(void)snprintf(ret, CODEX_ERROR_SIZE, "%s", text);
}
