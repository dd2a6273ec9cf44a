/* SPDX-License-Identifier: Apache-2.0 */
/* secret.*: objects keep the daemon's answer, and their strings point into it. A value in one is
 * overwritten before it is freed; what json-c and the socket had of it on the way is not. */

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "json-value.h"
#include "list.h"
#include "macro.h"
#include "sandboxd/client.h"

static void add_ttl(struct json_object *params, int64_t ttl_ms)
{
	if (params)
		json_object_object_add(params, "ttlMs", json_object_new_int64(ttl_ms));
}

/* ---- the store ---- */

int sandboxd_secret_set(struct sandboxd_client *c, const char *name, const void *data, size_t size,
			struct sandboxd_error *reterr)
{
	CLEANUP_JSON struct json_object *params = params_new("secret", name);
	struct json_object *bytes = json_value_from_bytes(data, size), *value = bytes;

	if (!params || !bytes) {
		json_object_put(bytes);
		return -ENOMEM;
	}
	if (json_object_is_type(bytes, json_type_string)) {
		value = json_object_new_object();
		if (!value) {
			json_object_put(bytes);
			return -ENOMEM;
		}
		json_object_object_add(value, "text", bytes);
	}
	json_object_object_add(params, "value", value);
	return client_call(c, "secret.set", TAKE_PTR(params), NULL, 0, NULL, reterr);
}

int sandboxd_secret_remove(struct sandboxd_client *c, const char *name,
			   struct sandboxd_error *reterr)
{
	return client_call(c, "secret.remove", params_new("secret", name), NULL, 0, NULL, reterr);
}

struct secret_object {
	struct sandboxd_secret public; /* first: what the user frees is this */
	struct json_object *json;
};

/* Takes JSON. */
static int secret_new(struct sandboxd_secret **ret, struct json_object *json)
{
	struct secret_object *s = calloc(1, sizeof *s);
	int r = s ? -EBADMSG : -ENOMEM;

	if (!s || !json_value_string(json, "secret")) {
		json_object_put(json);
		free(s);
		return r;
	}
	s->json = json;
	s->public = (struct sandboxd_secret){
		.name = json_value_string(json, "secret"),
		.provider = json_value_string(json, "provider"),
		.updated_at = json_value_string(json, "updatedAt"),
		.json = json_value_text(json),
		.size = json_value_int(json, "sizeBytes", -1),
		.available = json_value_bool(json, "available"),
	};
	*ret = &s->public;
	return 0;
}

static void secret_free(struct sandboxd_secret *s)
{
	struct secret_object *o = (struct secret_object *)(void *)s;

	json_object_put(o->json);
	free(o);
}

void sandboxd_secret_list_free(struct sandboxd_secret **list, size_t count)
{
	if (!list)
		return;
	for (size_t i = 0; i < count; i++)
		secret_free(list[i]);
	free(list);
}

static int make_secret(void *items, size_t i, struct json_object *json)
{
	struct sandboxd_secret **list = items;

	return secret_new(&list[i], json);
}

static void free_secret_list(void *items, size_t count)
{
	sandboxd_secret_list_free(items, count);
}

int sandboxd_secret_list(struct sandboxd_client *c, struct sandboxd_secret ***ret,
			 size_t *ret_count, struct sandboxd_error *reterr)
{
	static const struct client_list list = { .method = "secret.list",
						 .array = "secrets",
						 .key = "secret",
						 .make = make_secret,
						 .free = free_secret_list };
	void *items;
	int r = client_list(c, &list, &items, ret_count, reterr);

	if (r == 0)
		*ret = items;
	return r;
}

/* ---- leases ---- */

struct lease_object {
	struct sandboxd_lease public; /* first: what the user frees is this */
	struct json_object *json;
	void *decoded; /* a value that came in base64 */
};

/* json-c's string, which is ours alone: it is freed next. */
static void forget_string(struct json_object *value)
{
	if (json_object_is_type(value, json_type_string))
		explicit_bzero((void *)(uintptr_t)json_object_get_string(value),
			       (size_t)json_object_get_string_len(value));
}

static void forget_value(struct json_object *json)
{
	struct json_object *value = NULL, *base64 = NULL;

	if (!json_object_object_get_ex(json, "value", &value))
		return;
	if (json_object_object_get_ex(value, "base64", &base64))
		value = base64;
	forget_string(value);
}

struct sandboxd_lease *sandboxd_lease_free(struct sandboxd_lease *l)
{
	struct lease_object *o = (struct lease_object *)(void *)l;

	if (!o)
		return NULL;
	if (o->decoded)
		explicit_bzero(o->decoded, o->public.value_size);
	free(o->decoded);
	forget_value(o->json);
	json_object_put(o->json);
	free(o);
	return NULL;
}

/* Takes JSON. */
static int lease_new(struct sandboxd_lease **ret, struct json_object *json)
{
	struct lease_object *o = calloc(1, sizeof *o);
	struct json_object *value = NULL, *holder = NULL;
	int r;

	if (!o) {
		forget_value(json);
		json_object_put(json);
		return -ENOMEM;
	}
	o->json = json;
	o->public = (struct sandboxd_lease){
		.id = json_value_string(json, "leaseId"),
		.secret = json_value_string(json, "secret"),
		.created_at = json_value_string(json, "createdAt"),
		.expires_at = json_value_string(json, "expiresAt"),
		.sandbox = json_value_string(json, "sandbox"),
	};
	if (json_object_object_get_ex(json, "holder", &holder)) {
		o->public.holder = json_value_string(holder, "kind");
		o->public.holder_id = json_value_string(holder, "id");
	}
	r = o->public.id && o->public.secret && o->public.expires_at ? 0 : -EBADMSG;
	if (r == 0 && json_object_object_get_ex(json, "value", &value))
		r = json_value_bytes(value, &o->public.value, &o->public.value_size, &o->decoded);
	if (r < 0) {
		sandboxd_lease_free(&o->public);
		return r;
	}
	*ret = &o->public;
	return 0;
}

int sandboxd_secret_lease(struct sandboxd_client *c, const struct sandboxd_lease_options *options,
			  struct sandboxd_lease **ret, struct sandboxd_error *reterr)
{
	struct json_object *params = params_new("secret", options->secret), *result = NULL;
	int r;

	add_ttl(params, options->ttl_ms);
	params_add_string(params, "execId", options->exec_id);
	params_add_string(params, "sandbox", options->sandbox);
	params_add_string(params, "loopId", options->loop_id);
	params_add_flag(params, "renew", options->renew);
	params_add_flag(params, "reveal", options->reveal);
	r = client_call(c, "secret.lease", params, NULL, 0, &result, reterr);
	return r == 0 ? lease_new(ret, result) : r;
}

int sandboxd_secret_renew(struct sandboxd_client *c, const char *lease_id, int64_t ttl_ms,
			  struct sandboxd_lease **ret, struct sandboxd_error *reterr)
{
	struct json_object *params = params_new("leaseId", lease_id), *result = NULL;
	int r;

	add_ttl(params, ttl_ms);
	r = client_call(c, "secret.renew", params, NULL, 0, &result, reterr);
	return r == 0 ? lease_new(ret, result) : r;
}

void sandboxd_lease_list_free(struct sandboxd_lease **list, size_t count)
{
	if (!list)
		return;
	for (size_t i = 0; i < count; i++)
		(void)sandboxd_lease_free(list[i]);
	free(list);
}

static int make_lease(void *items, size_t i, struct json_object *json)
{
	struct sandboxd_lease **list = items;

	return lease_new(&list[i], json);
}

static void free_lease_list(void *items, size_t count)
{
	sandboxd_lease_list_free(items, count);
}

int sandboxd_lease_list(struct sandboxd_client *c, const char *secret, struct sandboxd_lease ***ret,
			size_t *ret_count, struct sandboxd_error *reterr)
{
	const struct client_list list = { .method = "secret.leases",
					  .array = "leases",
					  .key = "leaseId",
					  .param = "secret",
					  .value = secret,
					  .make = make_lease,
					  .free = free_lease_list };
	void *items;
	int r = client_list(c, &list, &items, ret_count, reterr);

	if (r == 0)
		*ret = items;
	return r;
}

/* Takes PARAMS. */
static int end_leases(struct sandboxd_client *c, const char *method, struct json_object *params,
		      struct sandboxd_revoked *ret, struct sandboxd_error *reterr)
{
	CLEANUP_JSON struct json_object *result = NULL;
	int r = client_call(c, method, params, NULL, 0, &result, reterr);

	if (r == 0 && ret)
		*ret = (struct sandboxd_revoked){ .leases = json_value_int(result, "revoked", 0),
						  .running = json_value_int(result, "running", 0) };
	return r;
}

int sandboxd_secret_revoke(struct sandboxd_client *c, const char *lease_id, int kill,
			   struct sandboxd_revoked *ret, struct sandboxd_error *reterr)
{
	struct json_object *params = params_new("leaseId", lease_id);

	params_add_flag(params, "kill", kill);
	return end_leases(c, "secret.revoke", params, ret, reterr);
}

int sandboxd_secret_revoke_all(struct sandboxd_client *c, int kill, struct sandboxd_revoked *ret,
			       struct sandboxd_error *reterr)
{
	struct json_object *params = json_object_new_object();

	params_add_flag(params, "kill", kill);
	return end_leases(c, "secret.revokeAll", params, ret, reterr);
}
