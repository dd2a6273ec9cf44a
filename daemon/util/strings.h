/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Small string helpers; NULL-terminated vectors of owned strings. */

#include <stdbool.h>
#include <stddef.h>

#include "macro.h"

/* asprintf that leaves NULL on failure. */
char *string_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool string_equal(const char *a, const char *b); /* NULL equals NULL only */
bool string_starts(const char *text, const char *prefix);
/* strdup that keeps NULL. Returns 0 or -ENOMEM. */
int string_copy(const char *text, char **ret);

/* A growing vector; items[count] is NULL when it was ever grown. */
struct string_list {
	char **items;
	size_t count;
	size_t room;
};
int string_list_add(struct string_list *l, const char *text);
int string_list_take(struct string_list *l, char *text); /* TEXT is freed on failure */
/* Sets KEY=VALUE, replacing an earlier KEY=…. */
int string_list_set_env(struct string_list *l, const char *key, const char *value);
/* Adds the words of TEXT, which blanks part; '…' and "…" hold a word together, and there are no
 * escapes. Returns 0, -EINVAL (a quote without end), or -ENOMEM. */
int string_list_split(struct string_list *l, const char *text);
void string_list_deinit(struct string_list *l);
#define CLEANUP_STRINGS CLEANUP(string_list_deinit)

/* Frees a NULL-terminated vector and what it holds. */
void strings_free(char **items);

/* The strings of LIST, each with its NUL, in one block (a database blob), and back. */
int strings_pack(const char *const *items, size_t count, char **ret, size_t *ret_size);
int strings_unpack(const void *block, size_t size, struct string_list *l);
