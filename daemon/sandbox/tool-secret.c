/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/tool-secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/tool-profile.h"
#include "secret/value.h"
#include "util/path.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define DIGITS "0123456789"
#define BLANKS " \t"

bool tool_may_set(const char *variable)
{
	static const char *const ours[] = { "PATH", "HOME", "USER", "LOGNAME" };
	size_t i, length = strspn(variable, LETTERS DIGITS);

	for (i = 0; i < ARRAY_SIZE(ours); i++)
		if (string_equal(variable, ours[i]))
			return false;
	return length > 0 && variable[length] == '\0' && !strchr(DIGITS, variable[0]);
}

const char *tool_below_home(const char *path)
{
	CLEANUP_STR char *full = NULL;
	const char *rest;

	if (string_starts(path, "~/"))
		rest = path + 2;
	else if (string_starts(path, TOOL_HOME "/"))
		rest = path + strlen(TOOL_HOME "/");
	else
		return NULL;
	full = string_format("/%s", rest);
	return full && rest[0] && path_is_clean(full) ? rest : NULL;
}

static void secret_free(struct tool_secret *s)
{
	if (!s)
		return;
	string_list_deinit(&s->names);
	free(s->env);
	free(s->file);
	free(s);
}
DEFINE_CLEANUP(struct tool_secret *, secret_free);

/* TEXT, "NAME|NAME", is cut up. */
static int add_names(struct string_list *names, char *text)
{
	char *name, *end;
	int r = 0;

	while (r == 0 && (name = strsep(&text, "|"))) {
		name += strspn(name, BLANKS);
		end = name + strcspn(name, BLANKS);
		if (end[strspn(end, BLANKS)] != '\0')
			return -EINVAL;
		*end = '\0';
		r = secret_name_is_good(name) ? string_list_add(names, name) : -EINVAL;
	}
	return r;
}

/* A directory of its own is what a file in memory needs. */
static int set_file(struct tool_secret *s, const char *path)
{
	const char *below = tool_below_home(path);

	return below && strchr(below, '/') ? string_copy(below, &s->file) : -EINVAL;
}

static int set_form(struct tool_secret *s, const char *text)
{
	CLEANUP_STRINGS struct string_list words = { 0 };
	int r = string_list_split(&words, text);

	if (r < 0)
		return r;
	if (words.count != 2)
		return -EINVAL;
	if (string_equal(words.items[0], "file"))
		return set_file(s, words.items[1]);
	if (!string_equal(words.items[0], "env") || !tool_may_set(words.items[1]))
		return -EINVAL;
	return string_copy(words.items[1], &s->env);
}

int tool_secret_parse(const char *text, struct tool_secret **ret)
{
	CLEANUP(secret_freep) struct tool_secret *s = calloc(1, sizeof(*s));
	const char *arrow = strstr(text, "->");
	CLEANUP_STR char *names = arrow ? strndup(text, (size_t)(arrow - text)) : NULL;
	int r;

	if (!arrow)
		return -EINVAL;
	if (!s || !names)
		return -ENOMEM;
	r = add_names(&s->names, names);
	if (r == 0)
		r = set_form(s, arrow + 2);
	if (r == 0)
		*ret = TAKE_PTR(s);
	return r;
}

int tool_secrets_add(struct tool_secrets *l, struct tool_secret *s)
{
	struct tool_secret **at = &l->first;
	size_t count = 0;

	for (; *at; at = &(*at)->next)
		count++;
	if (count == TOOL_SECRETS_MAX) {
		secret_free(s);
		return -E2BIG;
	}
	*at = s;
	return 0;
}

const struct tool_secret *tool_secrets_find(const struct tool_secrets *l, const char *name)
{
	const struct tool_secret *s = l->first;
	size_t i;

	for (; s; s = s->next)
		for (i = 0; i < s->names.count; i++)
			if (string_equal(s->names.items[i], name))
				return s;
	return NULL;
}

void tool_secrets_deinit(struct tool_secrets *l)
{
	struct tool_secret *s;

	while ((s = l->first)) {
		l->first = s->next;
		secret_free(s);
	}
}
