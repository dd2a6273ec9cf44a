/* SPDX-License-Identifier: Apache-2.0 */
/* A string_list grows by doubling and always keeps one NULL behind its last item. */

#include "util/strings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

char *string_format(const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	return n < 0 ? NULL : text;
}

bool string_equal(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return strcmp(a, b) == 0;
}

bool string_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

int string_copy(const char *text, char **ret)
{
	char *copy = NULL;

	if (text) {
		copy = strdup(text);
		if (!copy)
			return -ENOMEM;
	}
	*ret = copy;
	return 0;
}

static int list_grow(struct string_list *l)
{
	size_t room = l->room ? l->room * 2 : 8;
	char **items;

	if (l->count + 1 < l->room)
		return 0;
	items = reallocarray(l->items, room, sizeof(*items));
	if (!items)
		return -ENOMEM;
	l->items = items;
	l->room = room;
	return 0;
}

int string_list_take(struct string_list *l, char *text)
{
	int r = text ? list_grow(l) : -ENOMEM;

	if (r < 0) {
		free(text);
		return r;
	}
	l->items[l->count++] = text;
	l->items[l->count] = NULL;
	return 0;
}

int string_list_add(struct string_list *l, const char *text)
{
	return string_list_take(l, strdup(text));
}

int string_list_set_env(struct string_list *l, const char *key, const char *value)
{
	size_t length = strlen(key);
	char *text = string_format("%s=%s", key, value);
	size_t i;

	for (i = 0; text && i < l->count; i++) {
		if (strncmp(l->items[i], key, length) != 0 || l->items[i][length] != '=')
			continue;
		free(l->items[i]);
		l->items[i] = text;
		return 0;
	}
	return string_list_take(l, text);
}

/* Copies the word at *TEXT without its quotes to WORD, which has room for the rest of it. */
static int take_word(const char **text, char *word)
{
	const char *p = *text, *end;

	while (*p && !strchr(" \t", *p)) {
		if (*p != '\'' && *p != '"') {
			*word++ = *p++;
			continue;
		}
		end = strchr(p + 1, *p);
		if (!end)
			return -EINVAL;
		word = mempcpy(word, p + 1, (size_t)(end - p) - 1);
		p = end + 1;
	}
	*word = '\0';
	*text = p;
	return 0;
}

int string_list_split(struct string_list *l, const char *text)
{
	CLEANUP_STR char *word = malloc(strlen(text) + 1);
	int r = word ? 0 : -ENOMEM;

	for (text += strspn(text, " \t"); r == 0 && *text; text += strspn(text, " \t")) {
		r = take_word(&text, word);
		if (r == 0)
			r = string_list_add(l, word);
	}
	return r;
}

void string_list_deinit(struct string_list *l)
{
	strings_free(l->items);
	*l = (struct string_list){ 0 };
}

void strings_free(char **items)
{
	char **p;

	for (p = items; p && *p; p++)
		free(*p);
	free(items);
}

int strings_pack(const char *const *items, size_t count, char **ret, size_t *ret_size)
{
	size_t size = 0;
	char *block, *p;
	size_t i;

	for (i = 0; i < count; i++)
		size += strlen(items[i]) + 1;
	block = malloc(size + 1);
	if (!block)
		return -ENOMEM;
	p = block;
	for (i = 0; i < count; i++)
		p = stpcpy(p, items[i]) + 1;
	*ret = block;
	*ret_size = size;
	return 0;
}

int strings_unpack(const void *block, size_t size, struct string_list *l)
{
	const char *p = block, *end;
	int r;

	for (; size > 0; p = end + 1) {
		end = memchr(p, '\0', size);
		if (!end)
			return -EBADMSG;
		size -= (size_t)(end - p) + 1;
		r = string_list_add(l, p);
		if (r < 0)
			return r;
	}
	return 0;
}
