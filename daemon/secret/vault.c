/* SPDX-License-Identifier: Apache-2.0 */
/* Changes wait in a queue. One child at a time writes the whole file as it will be with all that
 * wait then (the batch), and when it is on disk the table becomes what was written; if it cannot
 * be, the table stays as it is. So what is seen has always been on disk.
 */

#include "secret/vault.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "sandbox/config.h"
#include "secret/vault-internal.h"
#include "util/child.h"
#include "util/fault.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/table.h"
#include "util/time.h"

static void change_free(struct change *c)
{
	if (!c)
		return;
	free(c->name);
	vault_secret_free(c->secret);
	free(c);
}
DEFINE_CLEANUP(struct change *, change_free);

/* Answers all of LIST, which is nobody's any more. E empty: they are done. */
static void answer(struct change *list, const struct error *e)
{
	struct change *c;

	while ((c = list)) {
		CLEANUP_ERROR struct error own = { 0 };

		list = c->next;
		if (e->kind != ERROR_NONE)
			(void)error_set(&own, e->kind, e->field, e->hint, "%s", e->message);
		c->done(own.kind != ERROR_NONE ? &own : NULL, c->userdata);
		change_free(c);
	}
}

/* ---- writing ---- */

void vault_child_ended(struct child *c, bool exited, int status, void *userdata)
{
	struct vault *v = userdata;

	(void)c;
	v->outcome = exited ? -status : -EIO;
	event_active(v->settle, 0, 0); /* the child is not to be freed from inside */
}

struct copying {
	struct table *to;
	int r;
};

static bool copy_one(void *value, void *userdata)
{
	const struct vault_entry *e = &((struct vault_secret *)value)->facts;
	struct copying *c = userdata;
	char key[VAULT_SECRET_KEY_SIZE];

	vault_secret_key(e->owner, e->name, key);
	c->r = table_add(c->to, key, value);
	return c->r == 0;
}

/* Makes `next`: the table with the changes of BATCH. Owns nothing of what is in it. */
static int build_next(struct vault *v, struct change *batch)
{
	struct copying copying = { .to = &v->next };
	char key[VAULT_SECRET_KEY_SIZE];
	struct change *c;

	table_each(&v->secrets, copy_one, &copying);
	for (c = batch; c && copying.r == 0; c = c->next) {
		vault_secret_key(c->owner, c->name, key);
		c->replaced = table_remove(&v->next, key);
		if (c->secret)
			copying.r = table_add(&v->next, key, c->secret);
	}
	return copying.r;
}

struct content {
	uint8_t *data;
	size_t size;
};

/* In a child: 0 is the state directory. */
static int write_content(void *argument)
{
	const struct content *c = argument;

	return -vault_file_write(STDIN_FILENO, VAULT_FILE, c->data, c->size);
}

/* The queue becomes the batch. Returns 0, or negative errno with the queue as it was. */
static int write_queue(struct vault *v)
{
	const struct child_config config = { .base = v->base,
					     .fds = &v->state_fd,
					     .n_fds = 1,
					     .ended = vault_child_ended,
					     .userdata = v };
	struct content content = { 0 };
	int r = build_next(v, v->queue);

	if (r == 0)
		r = vault_encode(&v->header, secret_value_data(v->key), &v->next, &content.data,
				 &content.size);
	if (r == 0)
		r = child_fork(&v->child, &config, write_content, &content);
	free(content.data);
	if (r == 0)
		v->batch = TAKE_PTR(v->queue);
	else
		table_deinit(&v->next);
	return r;
}

static void cannot_write(int r, struct error *reterr)
{
	(void)error_set_errno(reterr, r, "the store of secrets cannot be written");
}

/* What the batch made superfluous goes: the old, or, if it could not be written, the new. */
static void settle_batch(struct vault *v)
{
	struct change *c;

	if (v->outcome != 0) {
		table_deinit(&v->next);
		return;
	}
	table_deinit(&v->secrets);
	v->secrets = v->next;
	v->next = (struct table){ 0 };
	for (c = v->batch; c; c = c->next) {
		vault_secret_free(c->replaced);
		c->secret = NULL; /* the table's, or already freed as one replaced */
	}
	FAULT_POINT("vault.written");
}

/* Answers last: who is answered may have the next change. */
static void on_settled(evutil_socket_t fd, short events, void *userdata)
{
	CLEANUP_ERROR struct error batch_error = { 0 };
	CLEANUP_ERROR struct error queue_error = { 0 };
	struct vault *v = userdata;
	struct change *batch, *queue = NULL;
	int r = v->outcome;

	(void)fd;
	(void)events;
	v->child = child_free(v->child);
	if (v->key_fd >= 0) {
		vault_key_found(v); /* nothing waits in a shut one */
		return;
	}
	settle_batch(v);
	batch = TAKE_PTR(v->batch);
	if (r < 0)
		cannot_write(r, &batch_error);
	r = v->queue ? write_queue(v) : 0;
	if (r < 0) {
		cannot_write(r, &queue_error);
		queue = TAKE_PTR(v->queue);
	}
	answer(batch, &batch_error);
	answer(queue, &queue_error);
}

/* ---- changes ---- */

static struct change *last_of(struct change *list, uid_t owner, const char *name)
{
	struct change *found = NULL;

	for (; list; list = list->next)
		if (list->owner == owner && strcmp(list->name, name) == 0)
			found = list;
	return found;
}

static struct vault_secret *find(const struct vault *v, uid_t owner, const char *name)
{
	char key[VAULT_SECRET_KEY_SIZE];

	if (!secret_name_is_good(name)) /* any other might not fit */
		return NULL;
	vault_secret_key(owner, name, key);
	return table_find(&v->secrets, key);
}

/* As it will be when all that waits is done. */
static struct vault_secret *find_ahead(const struct vault *v, uid_t owner, const char *name)
{
	const struct change *c = last_of(v->queue, owner, name);

	if (!c)
		c = last_of(v->batch, owner, name);
	return c ? c->secret : find(v, owner, name);
}

static int queue_change(struct vault *v, struct change *c, struct error *reterr)
{
	struct change **at;
	int r;

	for (at = &v->queue; *at; at = &(*at)->next)
		;
	*at = c;
	if (v->child)
		return 0;
	r = write_queue(v);
	if (r == 0)
		return 0;
	v->queue = NULL; /* nothing waits while nobody writes: it is C alone */
	change_free(c);
	cannot_write(r, reterr);
	return -1;
}

static int change_new(uid_t owner, const char *name, vault_done *done, void *userdata,
		      struct change **ret)
{
	CLEANUP(change_freep) struct change *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->owner = owner;
	c->done = done;
	c->userdata = userdata;
	c->name = strdup(name);
	if (!c->name)
		return -ENOMEM;
	*ret = TAKE_PTR(c);
	return 0;
}

struct use {
	uid_t owner;
	unsigned count; /* of the owner */
	size_t bytes;   /* the same */
	size_t of_all;  /* bytes of all users */
};

static void add_use(struct use *u, const struct vault_entry *e)
{
	size_t bytes = vault_sealed_size(e->size) + VAULT_SECRET_KEY_SIZE;

	u->of_all += bytes;
	if (e->owner != u->owner)
		return;
	u->count++;
	u->bytes += e->size;
}

static bool count_use(void *value, void *userdata)
{
	add_use(userdata, &((struct vault_secret *)value)->facts);
	return true;
}

/* What waits counts as if it replaced nothing: that is a limit of what may wait, too. */
static int check_limits(const struct vault *v, uid_t owner, const char *name, size_t size,
			struct error *reterr)
{
	const struct vault_secret *old = find(v, owner, name);
	const struct change *const lists[] = { v->queue, v->batch };
	struct use u = { .owner = owner };
	const struct change *c;
	size_t i;

	table_each(&v->secrets, count_use, &u);
	for (i = 0; i < ARRAY_SIZE(lists); i++)
		for (c = lists[i]; c; c = c->next)
			if (c->secret)
				add_use(&u, &c->secret->facts);
	if (old) {
		u.count--;
		u.bytes -= old->facts.size;
		u.of_all -= old->facts.size;
	}
	if (u.count >= VAULT_SECRETS_PER_UID_MAX)
		return error_set(reterr, ERROR_LIMIT_REACHED, "secret", "remove some",
				 "there are %u secrets in the store already", u.count);
	if (u.bytes + size > VAULT_BYTES_PER_UID_MAX || u.of_all + size > VAULT_BYTES_MAX)
		return error_set(reterr, ERROR_LIMIT_REACHED, "value", "remove some",
				 "the store of secrets has no room for a value of %zu bytes", size);
	return 0;
}

static int check_value(const char *name, const struct bytes *value, struct error *reterr)
{
	if (!secret_name_is_good(name))
		return error_set(reterr, ERROR_INVALID_PARAMS, "secret",
				 "letters, digits, \"_\", \".\" and \"-\", no dot in front, at "
				 "most 64",
				 "that cannot be the name of a secret");
	/* the one at its end is no part of a value, and a lone one is a prompt without an answer */
	if (value->size == 0 || (value->size == 1 && *(const char *)value->data == '\n'))
		return error_set(reterr, ERROR_INVALID_PARAMS, "value",
				 "at least one byte that is no newline",
				 "a secret cannot be empty");
	if (value->size > SECRET_VALUE_MAX)
		return error_set(reterr, ERROR_INVALID_PARAMS, "value", "at most 1 MiB",
				 "the value is too long");
	return 0;
}

int vault_check_set(struct vault *v, uid_t owner, const char *name, const struct bytes *value,
		    struct error *reterr)
{
	if (check_value(name, value, reterr) < 0 || vault_check_open(v, reterr) < 0)
		return -1;
	return check_limits(v, owner, name, value->size, reterr);
}

int vault_set(struct vault *v, uid_t owner, const char *name, const struct bytes *value,
	      vault_done *done, void *userdata, struct error *reterr)
{
	CLEANUP(change_freep) struct change *c = NULL;
	struct vault_entry facts = { .owner = owner,
				     .name = name,
				     .size = value->size,
				     .updated_at_ms = time_realtime_ms() };
	const struct vault_secret *old;
	int r;

	if (vault_check_set(v, owner, name, value, reterr) < 0)
		return -1;
	old = find_ahead(v, owner, name);
	facts.created_at_ms = old ? old->facts.created_at_ms : facts.updated_at_ms;
	r = change_new(owner, name, done, userdata, &c);
	if (r == 0)
		r = vault_secret_new(&facts, value, secret_value_data(v->key), &c->secret);
	if (r < 0)
		return error_set_errno(reterr, r, "the secret cannot be stored");
	return queue_change(v, TAKE_PTR(c), reterr);
}

static int no_such(const char *name, struct error *reterr)
{
	CLEANUP_STR char *hint =
		secret_name_is_good(name)
			? string_format("sandboxctl secret set %s stores one", name)
			: NULL;

	return error_set(reterr, ERROR_NOT_FOUND, "secret", hint, "there is no secret %.*s",
			 SECRET_NAME_MAX, name);
}

int vault_remove(struct vault *v, uid_t owner, const char *name, vault_done *done, void *userdata,
		 struct error *reterr)
{
	struct change *c = NULL;
	int r;

	if (vault_check_open(v, reterr) < 0)
		return -1;
	if (!find_ahead(v, owner, name))
		return no_such(name, reterr);
	r = change_new(owner, name, done, userdata, &c);
	if (r < 0)
		return error_set_errno(reterr, r, "the secret cannot be removed");
	return queue_change(v, c, reterr);
}

/* ---- reading ---- */

int vault_get(struct vault *v, uid_t owner, const char *name, struct secret_value **ret,
	      struct error *reterr)
{
	const struct vault_secret *s;
	int r;

	if (vault_check_open(v, reterr) < 0)
		return -1;
	s = find(v, owner, name);
	if (!s)
		return no_such(name, reterr);
	r = vault_secret_open(s, secret_value_data(v->key), ret);
	if (r == 0)
		return 0;
	return r < 0 ? error_set_errno(reterr, r, "the secret cannot be read")
		     : vault_set_problem(v, r, reterr);
}

bool vault_has(const struct vault *v, uid_t owner, const char *name)
{
	return find(v, owner, name) != NULL;
}

struct walk {
	uid_t owner;
	bool (*fn)(const struct vault_entry *, void *userdata);
	void *userdata;
};

static bool step(void *value, void *userdata)
{
	const struct vault_entry *e = &((struct vault_secret *)value)->facts;
	const struct walk *w = userdata;

	return e->owner != w->owner || w->fn(e, w->userdata);
}

int vault_each(struct vault *v, uid_t owner, bool (*fn)(const struct vault_entry *, void *userdata),
	       void *userdata, struct error *reterr)
{
	struct walk w = { owner, fn, userdata };

	if (vault_check_open(v, reterr) < 0)
		return -1;
	table_each(&v->secrets, step, &w);
	return 0;
}

int vault_derive(struct vault *v, const char context[8], uint8_t ret_key[VAULT_KEY_BYTES],
		 struct error *reterr)
{
	CLEANUP(secret_value_unrefp) struct secret_value *first = NULL;
	const struct vault_secret *s;
	int r = 0;

	if (vault_check_open(v, reterr) < 0)
		return -1;
	s = find(v, VAULT_FIRST_OWNER, VAULT_FIRST_NAME);
	if (s)
		r = vault_secret_open(s, secret_value_data(v->key), &first);
	if (r == 0 && first && secret_value_size(first) != VAULT_KEY_BYTES)
		r = VAULT_DAMAGED;
	if (r < 0)
		return error_set_errno(reterr, r, "The key of the store cannot be had");
	if (r > 0)
		return vault_set_problem(v, r, reterr);
	vault_subkey(secret_value_data(first ? first : v->key), context, ret_key);
	return 0;
}

/* ---- making and unmaking ---- */

/* What writers left that were killed with their daemon. */
static void sweep(int state_fd)
{
	int fd = openat(state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		(void)close_fd(fd);
		return;
	}
	while ((entry = readdir(dir)))
		if (string_starts(entry->d_name, VAULT_NEW_PREFIX))
			(void)unlinkat(state_fd, entry->d_name, 0); /* or the next start does */
	(void)closedir(dir);
}

static int copy_source(const struct secret_key_source *from, struct secret_key_source *to)
{
	to->kind = from->kind;
	return string_copy(from->where, &to->where);
}

int vault_new(struct event_base *base, int state_fd, const struct config *config,
	      struct vault **ret)
{
	CLEANUP(vault_freep) struct vault *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	v->base = base;
	v->state_fd = state_fd;
	v->key_fd = -1;
	v->settle = evtimer_new(base, on_settled, v);
	if (!v->settle || copy_source(&config->secrets.key, &v->sources.key) < 0 ||
	    copy_source(&config->secrets.old_key, &v->sources.old_key) < 0 || sodium_init() < 0)
		return -ENOMEM;
	sweep(state_fd);
	r = vault_open_now(v);
	if (r != 0)
		vault_shut(v, r);
	*ret = TAKE_PTR(v);
	return 0;
}

void vault_free(struct vault *v)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct change *list;

	if (!v)
		return;
	v->child = child_free(v->child);
	if (v->settle)
		event_free(v->settle);
	(void)close_fd(v->key_fd);
	(void)error_set(&e, ERROR_CANCELLED, NULL, NULL, "the daemon is stopping");
	while ((list = v->batch ? TAKE_PTR(v->batch) : TAKE_PTR(v->queue)))
		answer(list, &e);
	table_deinit(&v->next);
	vault_free_secrets(&v->secrets);
	secret_value_unref(v->key);
	free(v->sources.key.where);
	free(v->sources.old_key.where);
	free(v);
}

bool vault_was_lost(const struct vault *v)
{
	return v->was_lost && v->secrets.count == 0;
}

bool vault_is_busy(const struct vault *v)
{
	return v->batch != NULL;
}
