/* SPDX-License-Identifier: Apache-2.0 */
/* {"tokens": {"id_token", "access_token", "refresh_token", …}, "last_refresh", …}. The text stays
 * as it is, but for the strings that are put in their place: the file is Codex's, and whatever else
 * is in it. Codex itself takes a login without "refresh_token" for a broken one, so a copy has an
 * empty one. */

#include "secret/codex-auth.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secret/json-text.h"
#include "util/time.h"

#define JWT_PAYLOAD_MAX 8192 /* bytes, decoded; one of Codex has 2 KiB */

/* A JSON string as it is written, without its quotes. AT NULL: it is not there. */
struct span {
	const char *at;
	size_t size;
};

enum token { TOKEN_ID, TOKEN_ACCESS, TOKEN_REFRESH, TOKEN_MAX };
static const char *const token_keys[] = {
	[TOKEN_ID] = "id_token",
	[TOKEN_ACCESS] = "access_token",
	[TOKEN_REFRESH] = "refresh_token",
};

struct codex_auth {
	struct secret_value *value;
	struct span tokens[TOKEN_MAX];
	struct span last_refresh;
};

/* Nothing is written there: what is handed to FN is looked at only. */
static bool each(const struct secret_value *v, json_member_seen *fn, void *userdata)
{
	return json_text_each((char *)(uintptr_t)secret_value_data(v), secret_value_size(v), fn,
			      userdata);
}

/* The token that M has; TOKEN_MAX: none. */
static enum token find_token(const struct json_member *m)
{
	enum token i;

	for (i = 0; i < TOKEN_MAX; i++)
		if (m->string && json_member_is(m, token_keys[i]))
			break;
	return i;
}

static struct span span_of(const struct json_member *m)
{
	return (struct span){ m->string, m->string_size };
}

/* ---- reading ---- */

struct login_seen {
	struct codex_auth *auth;
	bool in_tokens;
	bool odd; /* a key that may be any, or one that is there twice: whose is the token then? */
};

static bool see_login(const struct json_member *m, void *userdata)
{
	struct login_seen *s = userdata;
	enum token token;

	if (memchr(m->key, '\\', m->key_size))
		s->odd = true;
	if (m->depth == 1)
		s->in_tokens = json_member_is(m, "tokens");
	if (m->depth == 1 && json_member_is(m, "last_refresh"))
		s->auth->last_refresh = span_of(m);
	token = m->depth == 2 && s->in_tokens ? find_token(m) : TOKEN_MAX;
	if (token == TOKEN_MAX)
		return true;
	if (s->auth->tokens[token].at)
		s->odd = true;
	s->auth->tokens[token] = span_of(m);
	return true;
}

static bool looks_like_login(const struct secret_value *v)
{
	static const char mark[] = "\"refresh_token\"";
	const char *text = (const char *)secret_value_data(v);

	return text[strspn(text, " \t\r\n")] == '{' &&
	       memmem(text, secret_value_size(v), mark, sizeof(mark) - 1);
}

int codex_auth_read(struct secret_value *v, struct codex_auth **ret)
{
	CLEANUP(codex_auth_freep) struct codex_auth *a = NULL;
	struct login_seen seen = { 0 };

	if (!looks_like_login(v))
		return CODEX_AUTH_OTHER;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->value = secret_value_ref(v);
	seen.auth = a;
	if (!each(v, see_login, &seen) || seen.odd)
		return CODEX_AUTH_BROKEN;
	if (a->tokens[TOKEN_REFRESH].size == 0)
		return CODEX_AUTH_OTHER;
	if (!a->tokens[TOKEN_ACCESS].at)
		return CODEX_AUTH_BROKEN;
	*ret = TAKE_PTR(a);
	return 0;
}

void codex_auth_free(struct codex_auth *a)
{
	if (!a)
		return;
	(void)secret_value_unref(a->value);
	free(a);
}

void codex_auth_id(const struct codex_auth *a, uint8_t ret[CODEX_LOGIN_ID_BYTES])
{
	const struct span *t = &a->tokens[TOKEN_REFRESH];

	(void)crypto_generichash(ret, CODEX_LOGIN_ID_BYTES, (const uint8_t *)t->at, t->size, NULL,
				 0); /* cannot fail */
}

/* ---- times ---- */

static bool see_claim(const struct json_member *m, void *userdata)
{
	struct codex_times *t = userdata;
	int64_t *place = json_member_is(m, "iat") ? &t->issued_ms : &t->expires_ms;
	const char *text = m->key + m->key_size + 1; /* behind its quote */
	long long seconds;
	char *end;

	if (m->depth != 1 || (place == &t->expires_ms && !json_member_is(m, "exp")))
		return true;
	text += strspn(text, " \t\r\n:");
	errno = 0;
	seconds = strtoll(text, &end, 10);
	if (end == text || !*end || !strchr(",} \t\r\n", *end))
		return true; /* no whole number: it does not say */
	if (seconds < 0)
		seconds = 0;
	*place = errno || seconds > CODEX_NO_EXPIRY / 1000 ? CODEX_NO_EXPIRY : seconds * 1000;
	return true;
}

struct codex_times codex_auth_times(const struct codex_auth *a)
{
	const struct span *t = &a->tokens[TOKEN_ACCESS];
	struct codex_times times = { .expires_ms = t->size > 0 ? CODEX_NO_EXPIRY : 0 };
	const char *begin = memchr(t->at, '.', t->size), *end = NULL;
	char claims[JWT_PAYLOAD_MAX];
	size_t size = 0;

	if (begin) {
		begin++;
		end = memchr(begin, '.', t->size - (size_t)(begin - t->at));
	}
	if (end &&
	    sodium_base642bin((uint8_t *)claims, sizeof(claims) - 1, begin, (size_t)(end - begin),
			      NULL, &size, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0) {
		claims[size] = '\0';
		(void)json_text_each(claims, size, see_claim, &times); /* as far as it goes */
	}
	sodium_memzero(claims, sizeof(claims));
	return times;
}

/* ---- putting together ---- */

struct edit {
	struct span old;
	struct span new;
};

static int by_place(const void *a, const void *b)
{
	const struct edit *first = a, *second = b;

	return (first->old.at > second->old.at) - (first->old.at < second->old.at);
}

static uint8_t *put(uint8_t *to, const char *from, size_t size)
{
	memcpy(to, from, size);
	return to + size;
}

/* V with N EDITS, which it sorts; those without a place do not count. */
static int splice(const struct secret_value *v, struct edit *edits, size_t n,
		  struct secret_value **ret)
{
	const char *from = (const char *)secret_value_data(v);
	const char *end = from + secret_value_size(v);
	size_t i, size = secret_value_size(v);
	uint8_t *to;
	int r;

	for (i = 0; i < n; i++)
		if (edits[i].old.at)
			size += edits[i].new.size - edits[i].old.size;
	r = secret_value_new(size, ret, &to);
	if (r < 0)
		return r;
	qsort(edits, n, sizeof(*edits), by_place);
	for (i = 0; i < n; i++) {
		if (!edits[i].old.at)
			continue;
		to = put(to, from, (size_t)(edits[i].old.at - from));
		to = put(to, edits[i].new.at, edits[i].new.size);
		from = edits[i].old.at + edits[i].old.size;
	}
	(void)put(to, from, (size_t)(end - from));
	return 0;
}

static struct span span_of_text(const char *text)
{
	return (struct span){ text, strlen(text) };
}

int codex_auth_copy(const struct codex_auth *a, int64_t now_ms, struct secret_value **ret)
{
	char now[TIME_TEXT_SIZE];
	struct edit edits[] = { { a->tokens[TOKEN_REFRESH], span_of_text("") },
				{ a->last_refresh, { now, 0 } } };

	time_format(now_ms, now);
	edits[1].new.size = strlen(now);
	return splice(a->value, edits, ARRAY_SIZE(edits), ret);
}

int codex_auth_request(const struct codex_auth *a, const char *client_id, struct secret_value **ret)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
				      "0123456789.:/-";
	const struct span parts[] = {
		span_of_text("{\"client_id\":\""),
		span_of_text(client_id),
		span_of_text("\",\"grant_type\":\"refresh_token\",\"refresh_token\":\""),
		a->tokens[TOKEN_REFRESH],
		span_of_text("\",\"scope\":\"openid profile email\"}"),
	};
	size_t i, size = 0;
	uint8_t *to;
	int r;

	if (client_id[strspn(client_id, allowed)] != '\0')
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		size += parts[i].size;
	r = secret_value_new(size, ret, &to);
	for (i = 0; i < ARRAY_SIZE(parts) && r == 0; i++)
		to = put(to, parts[i].at, parts[i].size);
	return r;
}

/* ---- the answer ---- */

static bool see_answer(const struct json_member *m, void *userdata)
{
	struct span *tokens = userdata;
	enum token i = m->depth == 1 ? find_token(m) : TOKEN_MAX;

	if (i < TOKEN_MAX && m->string_size > 0)
		tokens[i] = span_of(m);
	return true;
}

int codex_auth_apply(const struct codex_auth *a, const struct secret_value *answer, int64_t now_ms,
		     struct secret_value **ret)
{
	struct span tokens[TOKEN_MAX] = { 0 };
	struct edit edits[TOKEN_MAX + 1];
	char now[TIME_TEXT_SIZE];
	enum token i;

	if (!each(answer, see_answer, tokens) || !tokens[TOKEN_ACCESS].at)
		return CODEX_AUTH_BROKEN;
	for (i = 0; i < TOKEN_MAX; i++) /* one that did not come leaves the old */
		edits[i] = (struct edit){ a->tokens[i], tokens[i].at ? tokens[i] : a->tokens[i] };
	time_format(now_ms, now);
	edits[TOKEN_MAX] = (struct edit){ a->last_refresh, span_of_text(now) };
	return splice(a->value, edits, ARRAY_SIZE(edits), ret);
}

struct error_seen {
	bool in_error;
	struct span code;
};

/* {"error": "invalid_grant"}, or {"error": {"code": "refresh_token_reused"}}. */
static bool see_error(const struct json_member *m, void *userdata)
{
	struct error_seen *s = userdata;

	if (m->depth == 1)
		s->in_error = json_member_is(m, "error");
	if (m->string && s->in_error && (m->depth == 1 || json_member_is(m, "code")))
		s->code = span_of(m);
	return true;
}

void codex_answer_error(const struct secret_value *answer, char ret[static CODEX_ERROR_SIZE])
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
				      "0123456789";
	struct error_seen seen = { 0 };

	ret[0] = '\0';
	if (!each(answer, see_error, &seen) || seen.code.size >= CODEX_ERROR_SIZE ||
	    seen.code.size == 0)
		return;
	memcpy(ret, seen.code.at, seen.code.size);
	ret[seen.code.size] = '\0';
	if (ret[strspn(ret, allowed)] != '\0')
		ret[0] = '\0';
}
