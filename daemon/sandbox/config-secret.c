/* SPDX-License-Identifier: Apache-2.0 */
/* [secrets] and [secret NAME]. A section that is wrong stays, and nothing is leased of it: without
 * it the name would mean a secret of the store. */

#include "sandbox/config-secret.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/config-keys.h"
#include "sandbox/config.h"
#include "secret/value.h"
#include "util/path.h"
#include "util/quantity.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define USERS_MAX 256

/* ---- values ---- */

/* The word after PREFIX and blanks; NULL: VALUE does not begin so, or has no such word. */
static const char *word_after(const char *value, const char *prefix)
{
	size_t length = strlen(prefix), blanks;

	if (!string_starts(value, prefix))
		return NULL;
	blanks = strspn(value + length, " \t");
	return blanks > 0 && value[length + blanks] ? value + length + blanks : NULL;
}

/* systemd's rule: one file name. */
static int set_credential(const char *value, void *field)
{
	if (strspn(value, LETTERS DIGITS "_.-") != strlen(value) || !value[0] || value[0] == '.' ||
	    strlen(value) > SECRET_NAME_MAX)
		return -EINVAL;
	return config_set_text(value, field);
}

static const struct {
	const char *word;
	int (*set)(const char *value, void *field); /* what follows the word */
} key_forms[] = {
	[SECRET_KEY_NONE] = { "none", NULL },
	[SECRET_KEY_AUTO] = { "auto", NULL },
	[SECRET_KEY_FILE] = { "key-file", config_set_path },
	[SECRET_KEY_CREDENTIAL] = { "key-credential", set_credential },
	[SECRET_KEY_PASSPHRASE_FILE] = { "passphrase-file", config_set_path },
	[SECRET_KEY_PASSPHRASE_CREDENTIAL] = { "passphrase-credential", set_credential },
};

const char *secret_key_word(enum secret_key_kind kind)
{
	return key_forms[kind].word;
}

static int set_key(const char *value, void *field)
{
	struct secret_key_source *key = field;
	const char *where;
	size_t kind;
	int r;

	if (strcmp(value, secret_key_word(SECRET_KEY_AUTO)) == 0) {
		free(TAKE_PTR(key->where));
		key->kind = SECRET_KEY_AUTO;
		return 0;
	}
	for (kind = SECRET_KEY_FILE; kind < ARRAY_SIZE(key_forms); kind++) {
		where = word_after(value, key_forms[kind].word);
		if (!where)
			continue;
		r = key_forms[kind].set(where, &key->where);
		if (r == 0)
			key->kind = (enum secret_key_kind)kind;
		return r;
	}
	return -EINVAL;
}

/* "https://…"; plain http only to this machine, where tests have their server. */
static int set_endpoint(const char *value, void *field)
{
	static const char *const starts[] = { "https://", "http://127.0.0.1:", "http://[::1]:" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(starts); i++)
		if (string_starts(value, starts[i]) && value[strlen(starts[i])])
			return config_set_text(value, field);
	return -EINVAL;
}

static int set_filled(const char *value, void *field)
{
	return value[0] ? config_set_text(value, field) : -EINVAL;
}

static int set_provider(const char *value, void *field)
{
	static const char *const known[] = { "store",   "env",     "file",
					     "systemd", "command", "agent-secrets" };
	const char **provider = field;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(value, known[i]) == 0) {
			*provider = known[i];
			return 0;
		}
	}
	return -EINVAL;
}

static int set_variable(const char *value, void *field)
{
	if (strspn(value, LETTERS DIGITS "_") != strlen(value) || !value[0] ||
	    strchr(DIGITS, value[0]))
		return -EINVAL;
	return config_set_text(value, field);
}

/* argv: its first word is a program. */
static int set_command(const char *value, void *field)
{
	CLEANUP_STRINGS struct string_list words = { 0 };
	struct string_list *list = field;
	int r = string_list_split(&words, value);

	if (r < 0)
		return r;
	if (words.count == 0 || !words.items[0][0])
		return -EINVAL;
	string_list_deinit(list);
	*list = words;
	words = (struct string_list){ 0 };
	return 0;
}

static int find_user(const char *word, uid_t *ret)
{
	struct passwd passwd, *found = NULL;
	char buffer[4096];
	int64_t number;

	if (quantity_count(word, &number) == 0) {
		if (number >= UINT32_MAX)
			return -ERANGE;
		*ret = (uid_t)number;
		return 0;
	}
	if (getpwnam_r(word, &passwd, buffer, sizeof(buffer), &found) != 0 || !found)
		return -EINVAL;
	*ret = found->pw_uid;
	return 0;
}

/* "1000, alice" */
static int set_users(const char *value, void *field)
{
	struct config_secret_users found = { 0 }, *users = field;
	CLEANUP_STR char *copy = strdup(value);
	char *rest = NULL, *word;
	int r = 0;

	found.items = calloc(USERS_MAX, sizeof(*found.items));
	if (!copy || !found.items)
		r = -ENOMEM;
	for (word = copy ? strtok_r(copy, ", \t", &rest) : NULL; word && r == 0;
	     word = strtok_r(NULL, ", \t", &rest))
		r = found.count < USERS_MAX ? find_user(word, &found.items[found.count++]) : -E2BIG;
	if (r < 0) {
		free(found.items);
		return r;
	}
	free(users->items);
	*users = found;
	return 0;
}

/* ---- [secrets] ---- */

static const struct config_key secrets_keys[] = {
	CONFIG_KEY("max_ttl", config_set_life, config, secrets.max_ttl_ms),
	CONFIG_KEY("default_ttl", config_set_life, config, secrets.default_ttl_ms),
	CONFIG_KEY("agent_secrets_socket", config_set_path, config, secrets.agent_secrets_socket),
	CONFIG_KEY("oauth_endpoint", set_endpoint, config, secrets.oauth_endpoint),
	CONFIG_KEY("oauth_client_id", set_filled, config, secrets.oauth_client_id),
	CONFIG_KEY("key", set_key, config, secrets.key),
	CONFIG_KEY("old_key", set_key, config, secrets.old_key),
};

int config_add_secrets(struct config *c)
{
	struct config_secrets *s = &c->secrets;
	const char *home = getenv("HOME");

	s->key.kind = SECRET_KEY_AUTO;
	s->max_ttl_ms = SECRET_TTL_MAX_DEFAULT_MS;
	s->default_ttl_ms = SECRET_TTL_DEFAULT_MS;
	s->oauth_endpoint = strdup(SECRETS_OAUTH_ENDPOINT);
	s->oauth_client_id = strdup(SECRETS_OAUTH_CLIENT);
	if (home && path_is_clean(home)) {
		s->agent_secrets_socket =
			string_format("%s/.agent-secrets/agent-secrets.sock", home);
		if (!s->agent_secrets_socket)
			return -ENOMEM;
	}
	return s->oauth_endpoint && s->oauth_client_id ? 0 : -ENOMEM;
}

static void wrong_secrets(void *object)
{
	((struct config *)object)->secrets.wrong = true;
}

/* Who lowers the maximum alone need not say the default, too. A slip in `key` must not give the
 * vault another key than was meant. */
static void finish_secrets(struct config *c)
{
	if (c->secrets.default_ttl_ms > c->secrets.max_ttl_ms)
		c->secrets.default_ttl_ms = c->secrets.max_ttl_ms;
	if (c->secrets.wrong)
		c->secrets.old_key.kind = SECRET_KEY_NONE;
}

static void release_secrets(struct config *c)
{
	free(c->secrets.key.where);
	free(c->secrets.old_key.where);
	free(c->secrets.agent_secrets_socket);
	free(c->secrets.oauth_endpoint);
	free(c->secrets.oauth_client_id);
}

const struct config_section config_section_secrets = {
	.name = "secrets",
	.keys = secrets_keys,
	.n_keys = ARRAY_SIZE(secrets_keys),
	.wrong = wrong_secrets,
	.finish = finish_secrets,
	.release = release_secrets,
};

/* ---- [secret NAME] ---- */

static const struct config_key secret_keys[] = {
	CONFIG_KEY("provider", set_provider, config_secret, provider),
	CONFIG_KEY("variable", set_variable, config_secret, variable),
	CONFIG_KEY("path", config_set_path, config_secret, path),
	CONFIG_KEY("credential", set_credential, config_secret, credential),
	CONFIG_KEY("command", set_command, config_secret, command),
	CONFIG_KEY("remote_name", set_filled, config_secret, remote_name),
	CONFIG_KEY("max_ttl", config_set_life, config_secret, max_ttl_ms),
	CONFIG_KEY("users", set_users, config_secret, users),
};

static void secret_free(struct config_secret *s)
{
	free(s->name);
	free(s->variable);
	free(s->path);
	free(s->credential);
	string_list_deinit(&s->command);
	free(s->remote_name);
	free(s->users.items);
	free(s->file);
	free(s);
}

static int append(struct config *c, const char *name, struct config_secret **ret)
{
	struct config_secret **at, *s;

	if (!secret_name_is_good(name))
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (s)
		s->name = strdup(name);
	if (!s || !s->name) {
		free(s);
		return -ENOMEM;
	}
	s->provider = "store";
	for (at = &c->secrets.list; *at; at = &(*at)->next)
		;
	*at = s;
	*ret = s;
	return 0;
}

static struct config_secret *find(const struct config *c, const char *name)
{
	struct config_secret *s;

	for (s = c->secrets.list; s && strcmp(s->name, name) != 0; s = s->next)
		;
	return s;
}

static int make(struct config *c, const char *name, const struct config_place *place, void **ret)
{
	struct config_secret *s = find(c, name);
	char *file;
	int r = s ? 0 : append(c, name, &s);

	if (r < 0)
		return r;
	file = strdup(place->path);
	if (!file)
		return -ENOMEM;
	free(s->file);
	s->file = file;
	s->line = place->line;
	*ret = s;
	return 0;
}

static void wrong(void *object)
{
	struct config_secret *s = object;

	s->wrong = true;
}

/* Another system's name for it, where nothing is said, is ours. */
static int fill_names(struct config_secret *s)
{
	char **name = NULL;

	if (strcmp(s->provider, "systemd") == 0)
		name = &s->credential;
	else if (strcmp(s->provider, "agent-secrets") == 0)
		name = &s->remote_name;
	if (name && !*name)
		*name = strdup(s->name);
	return !name || *name ? 0 : -ENOMEM;
}

/* NULL: nothing. */
static const char *what_is_wrong(const struct config_secret *s)
{
	const struct {
		const char *provider;
		bool said;
		const char *missing;
	} needs[] = {
		{ "env", s->variable, "is of the provider env and has no variable" },
		{ "file", s->path, "is of the provider file and has no path" },
		{ "command", s->command.count > 0,
		  "is of the provider command and has no command" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(needs); i++)
		if (!needs[i].said && strcmp(s->provider, needs[i].provider) == 0)
			return needs[i].missing;
	return NULL;
}

static void finish(struct config *c)
{
	struct config_secret *s;

	for (s = c->secrets.list; s; s = s->next) {
		const struct config_place place = { s->file, s->line };

		s->broken = fill_names(s) < 0 ? "found no memory" : what_is_wrong(s);
		if (s->broken)
			config_problem(c, &place, "secret %s %s", s->name, s->broken);
		else if (s->wrong) /* that was told already */
			s->broken = "has a key or a value that cannot be";
	}
}

static void release(struct config *c)
{
	struct config_secret *s;

	while ((s = c->secrets.list)) {
		c->secrets.list = s->next;
		secret_free(s);
	}
}

const struct config_section config_section_secret = {
	.name = "secret",
	.keys = secret_keys,
	.n_keys = ARRAY_SIZE(secret_keys),
	.make = make,
	.wrong = wrong,
	.finish = finish,
	.release = release,
};

const struct config_secret *config_secret_for(const struct config *c, uid_t daemon, uid_t peer,
					      const char *name)
{
	const struct config_secret *s = find(c, name);
	size_t i;

	if (!s || peer == daemon)
		return s;
	for (i = 0; i < s->users.count; i++)
		if (s->users.items[i] == peer)
			return s;
	return NULL;
}
