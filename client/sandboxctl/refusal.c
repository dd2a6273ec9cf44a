/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon names parameters: ttlMs, limits.memoryBytes, secrets[1].env. Who typed --ttl, --memory
 * or --secret knows none of them, and the table of the verb's options knows which is which. In a
 * sentence only such are replaced that can be no word of it. */

#include "refusal.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "message.h"
#include "util/quantity.h"
#include "verbs.h"

#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* How much of FIELD the parameter of ROW is: "env" of "env.PATH"; 0: it is another one. */
static size_t match(const struct option_row *row, const char *field)
{
	const char *param = row->param ? row->param : row->of;
	size_t n = param ? strlen(param) : 0;

	return n > 0 && strncmp(field, param, n) == 0 && strchr(".[", field[n]) ? n : 0;
}

/* The Nth that was given of those that FIELD may come from, for "secrets[N]"; else what is written
 * in the verb's table. */
static const struct option_row *row_of(const struct ctl *ctl, const char *field)
{
	const struct option_row *best = NULL, *row = ctl->verb->options;
	const char *bracket = strchr(field, '[');
	unsigned long skip = bracket ? strtoul(bracket + 1, NULL, 10) : 0;

	for (size_t i = 0; bracket && i < ctl->options.n_given; i++)
		if (match(ctl->options.given[i].row, field) > 0 && skip-- == 0)
			return ctl->options.given[i].row;
	for (; row->name; row++)
		if (match(row, field) > (best ? match(best, field) : 0))
			best = row;
	return best;
}

/* Freed with free(); NULL: it came from neither option nor operand (or no memory). */
static char *name_of(const struct ctl *ctl, const char *field)
{
	const struct option_row *row = row_of(ctl, field);
	const char *operand = ctl->verb->operands;
	char *name = NULL;

	if (row)
		return asprintf(&name, "--%s", row->name) < 0 ? NULL : name;
	if (!ctl->verb->operand_param || strcmp(ctl->verb->operand_param, field) != 0)
		return NULL;
	operand += strspn(operand, "["); /* "LEASE" of "[LEASE]..." */
	return strndup(operand, strcspn(operand, "]. "));
}

/* Freed with free(); NULL: not a parameter of this verb, or a word like any other. Only as a whole:
 * "sandbox.start" is none, though there is --sandbox. */
static char *name_of_word(const struct ctl *ctl, const char *word, size_t n)
{
	CLEANUP_STR char *field = strndup(word, n);
	const struct option_row *row;

	if (!field || !islower((unsigned char)field[0]) || !strpbrk(field, CAPITALS "."))
		return NULL;
	row = row_of(ctl, field);
	return row && match(row, field) < n ? NULL : name_of(ctl, field);
}

/* A number as one writes it behind the option. */
static void print_number(FILE *f, enum option_kind kind, int64_t number)
{
	char text[QUANTITY_TEXT_SIZE];

	if (kind == OPTION_KIND_DURATION)
		quantity_duration_text(number, text);
	else if (kind == OPTION_KIND_SIZE)
		quantity_size_text(number, text);
	else
		(void)snprintf(text, sizeof text, "%lld", (long long)number);
	(void)fputs(text, f);
}

/* The word of N bytes at WORD. */
static void print_word(FILE *f, const struct ctl *ctl, enum option_kind kind, const char *word,
		       size_t n)
{
	CLEANUP_STR char *name = name_of_word(ctl, word, n);

	if (n > 0 && n < 19 && strspn(word, "0123456789") == n)
		print_number(f, kind, strtoll(word, NULL, 10));
	else
		(void)fprintf(f, "%.*s", name ? INT_MAX : (int)n, name ? name : word);
}

/* Where a number stands there, it is one of KIND. Freed with free(); NULL: no memory. */
static char *in_our_words(const struct ctl *ctl, enum option_kind kind, const char *text)
{
	char *result = NULL;
	size_t size;
	FILE *f = open_memstream(&result, &size);

	while (f && *text) {
		size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_." CAPITALS);

		print_word(f, ctl, kind, text, n);
		text += n;
		if (*text) /* what ended the word */
			(void)fputc(*text++, f);
	}
	if (f && fclose(f) == 0)
		return result;
	free(result);
	return NULL;
}

void refusal_tell(const struct ctl *ctl, const struct sandboxd_error *e)
{
	const struct option_row *row = e->field ? row_of(ctl, e->field) : NULL;
	const enum option_kind kind = row ? row->kind : OPTION_KIND_STRING;
	CLEANUP_STR char *text = in_our_words(ctl, OPTION_KIND_STRING, e->message);
	CLEANUP_STR char *hint = e->hint ? in_our_words(ctl, kind, e->hint) : NULL;
	CLEANUP_STR char *own_name = e->field ? name_of(ctl, e->field) : NULL;
	/* what is no option needs no name: "there is no secret x"; but who speaks to the daemon
	 * itself knows its names */
	const char *name = row ? own_name : ctl->verb->run == verb_rpc ? e->field : NULL;

	if (ctl->json) {
		message_json(e);
		return;
	}
	if (text && name && !strstr(text, name))
		message_error(hint, "%s (%s)", text, name);
	else
		message_error(hint, "%s", text ? text : e->message);
}
