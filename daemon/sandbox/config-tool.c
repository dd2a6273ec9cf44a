/* SPDX-License-Identifier: Apache-2.0 */
/* [tool NAME]. The built-in tools are such sections, too (tools.conf), read before any file: so
 * what they can do, configuration alone can.
 *
 * Two kinds of keys have lists. Words (prompt, run, with, hosts) are said at once, and the last one
 * counts. Lines (install, check, secret, seed) are said one by one, and a file that says one begins
 * anew, so that a section in sandboxd.conf replaces a built-in recipe instead of adding to it. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/config-keys.h"
#include "sandbox/config.h"
#include "sandbox/tool-profile.h"
#include "util/path.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define OVERLAYS_MAX 16 /* of one tool */

/* ---- values ---- */

static int set_version(const char *value, void *field)
{
	return tool_version_is_good(value) ? config_set_text(value, field) : -EINVAL;
}

static int set_node(const char *value, void *field)
{
	if (strcmp(value, TOOL_NODE_NONE) != 0 && !tool_version_is_good(value))
		return -EINVAL;
	return config_set_text(value, field);
}

static bool is_package_part(const char *text, size_t length)
{
	return length > 0 && text[0] != '.' && text[0] != '-' &&
	       strspn(text, LETTERS DIGITS "._-") >= length;
}

/* "name" or "@scope/name": a path, an address or a version would be another kind of package. */
static int set_npm(const char *value, void *field)
{
	const char *slash = strchr(value, '/');

	if (slash && (value[0] != '@' || !is_package_part(value + 1, (size_t)(slash - value) - 1)))
		return -EINVAL;
	if (!is_package_part(slash ? slash + 1 : value, strlen(slash ? slash + 1 : value)))
		return -EINVAL;
	return config_set_text(value, field);
}

static int set_words(const char *value, void *field)
{
	CLEANUP_STRINGS struct string_list words = { 0 };
	struct string_list *list = field;
	int r = string_list_split(&words, value);

	if (r < 0)
		return r;
	string_list_deinit(list);
	*list = words;
	words = (struct string_list){ 0 };
	return 0;
}

/* argv: its first word is a program. */
static int set_command(const char *value, void *field)
{
	const char *blank = value + strspn(value, " \t");

	return *blank == '{' || *blank == '\0' ? -EINVAL : set_words(value, field);
}

static int set_hosts(const char *value, void *field)
{
	if (strspn(value, LETTERS DIGITS " \t.:*-") != strlen(value))
		return -EINVAL;
	return set_words(value, field);
}

static int set_env(const char *value, void *field)
{
	size_t length = strcspn(value, "=");
	CLEANUP_STR char *key = strndup(value, length);

	if (!key)
		return -ENOMEM;
	if (!value[length] || !tool_may_set(key))
		return -EINVAL;
	return string_list_set_env(field, key, value + length + 1);
}

static int set_overlay(const char *value, void *field)
{
	const char *path = tool_below_home(value);
	struct string_list *list = field;
	size_t i;

	if (value[0] == '\0') {
		string_list_deinit(list);
		return 0;
	}
	if (!path)
		return -EINVAL;
	for (i = 0; i < list->count; i++)
		if (strcmp(list->items[i], path) == 0)
			return 0;
	return list->count < OVERLAYS_MAX ? string_list_add(list, path) : -E2BIG;
}

static int set_positive(const char *value, void *field)
{
	int64_t ms, *duration = field;
	int r = config_set_duration(value, &ms);

	if (r < 0)
		return r;
	if (ms <= 0)
		return -ERANGE;
	*duration = ms;
	return 0;
}

static int set_bin(const char *value, void *field)
{
	return value[0] ? config_set_path(value, field) : config_set_text(value, field);
}

/* ---- lines ---- */

static int add_line(const struct tool_profile *p, struct tool_lines *l, const char *value)
{
	if (l->file != p->n_files || value[0] == '\0')
		string_list_deinit(&l->lines);
	l->file = p->n_files;
	return value[0] ? string_list_add(&l->lines, value) : 0;
}

static int set_install(void *object, const char *argument, const char *value)
{
	struct tool_profile *p = object;

	(void)argument;
	return add_line(p, &p->install, value);
}

static int set_check(void *object, const char *argument, const char *value)
{
	struct tool_profile *p = object;

	(void)argument;
	return add_line(p, &p->check, value);
}

static int set_seed(void *object, const char *argument, const char *value)
{
	const char *path = tool_below_home(argument);
	struct tool_profile *p = object;
	struct tool_seed *seed;

	if (!path)
		return -EINVAL;
	seed = tool_profile_seed(p, path);
	return seed ? add_line(p, &seed->content, value) : -ENOMEM;
}

static int set_secret(void *object, const char *argument, const char *value)
{
	struct tool_profile *p = object;
	struct tool_secret *s = NULL;
	int r = value[0] ? tool_secret_parse(value, &s) : 0;

	(void)argument;
	if (r < 0)
		return r;
	if (p->secrets.file != p->n_files || !s)
		tool_secrets_deinit(&p->secrets);
	p->secrets.file = p->n_files;
	return s ? tool_secrets_add(&p->secrets, s) : 0;
}

static const struct config_key keys[] = {
	CONFIG_KEY("version", set_version, tool_profile, version),
	CONFIG_KEY("node_version", set_node, tool_profile, node_version),
	CONFIG_KEY("registry", config_set_text, tool_profile, registry),
	CONFIG_KEY("npm", set_npm, tool_profile, npm),
	CONFIG_KEY("with", set_words, tool_profile, with),
	CONFIG_KEY("env", set_env, tool_profile, env),
	CONFIG_KEY("hosts", set_hosts, tool_profile, hosts),
	CONFIG_KEY("overlay", set_overlay, tool_profile, overlays),
	CONFIG_KEY("prompt", set_command, tool_profile, prompt),
	CONFIG_KEY("login", config_set_text, tool_profile, login),
	CONFIG_KEY("model_flag", config_set_text, tool_profile, model_flag),
	CONFIG_KEY("run", set_command, tool_profile, run),
	CONFIG_KEY("timeout", set_positive, tool_profile, timeout_ms),
	CONFIG_KEY("build_timeout", set_positive, tool_profile, build_timeout_ms),
	CONFIG_KEY("bin", set_bin, tool_profile, bin),
	{ .name = "install", .set_in = set_install },
	{ .name = "check", .set_in = set_check },
	{ .name = "secret", .set_in = set_secret },
	{ .name = "seed", .set_in = set_seed, .has_argument = true },
};

/* ---- sections ---- */

static struct tool_profile *find(const struct config *c, const char *name)
{
	struct tool_profile *p;

	for (p = c->tools; p && strcmp(p->name, name) != 0; p = p->next)
		;
	return p;
}

/* Template names are tools' names, too. */
static bool is_tool_name(const char *name)
{
	CLEANUP_STR char *checked = NULL;

	return config_set_name(name, &checked) == 0 && strlen(name) <= TOOL_NAME_MAX &&
	       strcmp(name, "host") != 0 && strcmp(name, "debian") != 0;
}

static int note_file(struct tool_profile *p, const struct config_place *place)
{
	char *copy;

	if (p->file && strcmp(p->file, place->path) == 0)
		return 0;
	copy = strdup(place->path);
	if (!copy)
		return -ENOMEM;
	free(p->file);
	p->file = copy;
	p->line = place->line;
	p->n_files++;
	return 0;
}

static int make(struct config *c, const char *name, const struct config_place *place, void **ret)
{
	struct tool_profile **at, *p = find(c, name);

	if (!p) {
		if (!is_tool_name(name))
			return -EINVAL;
		p = tool_profile_new(name);
		if (!p)
			return -ENOMEM;
		for (at = &c->tools; *at; at = &(*at)->next)
			;
		*at = p;
	}
	*ret = p;
	return note_file(p, place);
}

static bool has_word(const struct string_list *words, const char *word)
{
	size_t i;

	for (i = 0; i < words->count; i++)
		if (strcmp(words->items[i], word) == 0)
			return true;
	return false;
}

static bool seeds_anything(const struct tool_profile *p)
{
	const struct tool_seed *seed;

	for (seed = p->seeds; seed; seed = seed->next)
		if (seed->content.lines.count > 0)
			return true;
	return false;
}

static bool installs_anything(const struct tool_profile *p)
{
	return p->npm || p->install.lines.count > 0;
}

/* Of the tools in its layer. NULL: nothing. */
static const char *what_is_wrong_with(const struct config *c, const struct tool_profile *p)
{
	const struct tool_profile *other;
	size_t i;

	for (i = 0; i < p->with.count; i++) {
		other = find(c, p->with.items[i]);
		if (!other || other == p)
			return "is with a tool that is not there";
		if (!installs_anything(other) || !other->version)
			return "is with a tool that has nothing to install";
		if (other->with.count > 0)
			return "is with a tool that is with others itself";
	}
	return NULL;
}

static const char *what_is_wrong(const struct config *c, const struct tool_profile *p)
{
	if (p->has_layer && !p->version)
		return "has no version";
	if (!p->has_layer && p->prompt.count == 0 && p->run.count == 0)
		return "has nothing to install and nothing to run";
	if (has_word(&p->prompt, "{model}") && !(p->model_flag && p->model_flag[0]))
		return "has {model} in its prompt and no model_flag";
	return what_is_wrong_with(c, p);
}

static void finish(struct config *c)
{
	struct tool_profile *p;

	for (p = c->tools; p; p = p->next) {
		const struct config_place place = { p->file, p->line };

		p->has_layer = installs_anything(p) || seeds_anything(p) || p->with.count > 0;
		p->needs_hosts = p->hosts.count > 0;
		p->broken = what_is_wrong(c, p);
		if (p->broken)
			config_problem(c, &place, "tool %s %s", p->name, p->broken);
	}
}

static void release(struct config *c)
{
	struct tool_profile *p;

	while ((p = c->tools)) {
		c->tools = p->next;
		tool_profile_free(p);
	}
}

const struct config_section config_section_tool = {
	.name = "tool",
	.keys = keys,
	.n_keys = ARRAY_SIZE(keys),
	.make = make,
	.finish = finish,
	.release = release,
};
