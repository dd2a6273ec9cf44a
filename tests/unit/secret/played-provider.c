/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "played-provider.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/manager.h"
#include "token-server.h"

struct secret_value *kept;
bool replace_fails, replace_waits, lease_later;
struct replacing replacing;
struct provider fake;

static struct secret_value *value_of(const void *text, size_t size)
{
	struct secret_value *v;
	uint8_t *data;

	assert(secret_value_new(size, &v, &data) == 0);
	memcpy(data, text, size);
	return v;
}

void keep(const char *text)
{
	(void)secret_value_unref(kept);
	kept = value_of(text, strlen(text));
}

void keep_login(unsigned n, int64_t from_ms, int64_t life_ms)
{
	char tokens[512], text[600];

	token_login(tokens, sizeof(tokens), n, from_ms, life_ms);
	(void)snprintf(text, sizeof(text), "{\"tokens\":{\"id_token\":\"\",%s}}", tokens);
	keep(text);
}

/* One that does not answer at once. */
struct provider_pending {
	struct event *event;
	provider_done *done;
	void *userdata;
};

static void fake_cancel(struct provider_pending *p)
{
	event_free(p->event);
	free(p);
}

static void on_later(evutil_socket_t fd, short what, void *userdata)
{
	struct provider_pending *p = userdata, copy = *p;
	struct provider_grant grant = { .value = secret_value_ref(kept) };

	(void)fd;
	(void)what;
	fake_cancel(p);
	copy.done(&grant, NULL, copy.userdata);
}

static int fake_lease(const struct provider_call *call, provider_done *done, void *userdata,
		      struct provider_grant *ret, struct provider_pending **ret_pending,
		      struct error *reterr)
{
	struct provider_pending *p;

	assert(strcmp(call->name, NAME) == 0 && call->owner == OWNER && call->ttl_ms > 0);
	if (!kept)
		return error_set(reterr, ERROR_NOT_FOUND, "secret", NULL, "not there");
	if (!lease_later) {
		*ret = (struct provider_grant){ .value = secret_value_ref(kept) };
		return 1;
	}
	p = malloc(sizeof(*p));
	assert(p);
	*p = (struct provider_pending){ event_new(call->m->base, -1, EV_TIMEOUT, on_later, p), done,
					userdata };
	event_active(p->event, EV_TIMEOUT, 0);
	*ret_pending = p;
	return 0;
}

void replacing_end(void)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct replacing r = replacing;

	replacing = (struct replacing){ 0 };
	if (replace_fails) {
		(void)secret_value_unref(r.value);
		(void)error_set(&e, ERROR_LIMIT_REACHED, NULL, NULL, "the disk is full");
	} else {
		(void)secret_value_unref(kept);
		kept = r.value;
	}
	r.done(replace_fails ? &e : NULL, r.userdata);
}

static void on_replacing(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	(void)userdata;
	replacing_end();
}

static int fake_replace(const struct provider_call *call, const struct bytes *value,
			provider_replaced *done, void *userdata, struct error *reterr)
{
	const struct timeval now = { 0, 0 };

	(void)reterr;
	assert(strcmp(call->name, NAME) == 0 && call->owner == OWNER && !replacing.done);
	replacing = (struct replacing){ value_of(value->data, value->size), done, userdata };
	if (!replace_waits)
		assert(event_base_once(call->m->base, -1, EV_TIMEOUT, on_replacing, NULL, &now) ==
		       0);
	return 0;
}

static bool fake_has(const struct provider_call *call)
{
	(void)call;
	return kept;
}

const struct provider *provider_of(struct manager *manager, uid_t peer, const char *name,
				   struct provider_call *ret, struct error *reterr)
{
	(void)reterr;
	*ret = (struct provider_call){ .m = manager, .owner = peer, .name = name };
	return &fake;
}

bool provider_has(struct manager *manager, uid_t peer, const char *name)
{
	(void)manager;
	(void)peer;
	(void)name;
	return kept;
}

void fake_begin(void)
{
	fake = (struct provider){ "fake", fake_lease, fake_cancel, NULL, fake_replace, fake_has };
}

void fake_end(void)
{
	kept = secret_value_unref(kept);
}
