/* SPDX-License-Identifier: Apache-2.0 */
/* getopt_long does the reading; its arrays are made from the rows for each call. Every option's
 * value is the index of its row, so that two verbs may use one letter for different things. */

#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "message.h"
#include "util/quantity.h"

#define VALUE_BASE 0x100

struct getopt_tables {
	struct option longs[OPTION_ROWS_MAX + 1];
	char shorts[2 * OPTION_ROWS_MAX + 4];
};

static void fill_tables(struct getopt_tables *t, const struct option_row *rows,
			enum operand_style style)
{
	char *s = t->shorts;

	*s++ = style == OPERANDS_END_OPTIONS ? '+' : '-';
	*s++ = ':';
	for (int i = 0; i < OPTION_ROWS_MAX && rows[i].name; i++) {
		t->longs[i] = (struct option){ rows[i].name,
					       rows[i].argument ? required_argument : no_argument,
					       NULL, VALUE_BASE + i };
		if (!rows[i].letter)
			continue;
		*s++ = rows[i].letter;
		if (rows[i].argument)
			*s++ = ':';
	}
}

/* getopt returns nothing that is in no row. */
static const struct option_row *row_of(const struct option_row *rows, int value)
{
	if (value >= VALUE_BASE)
		return &rows[value - VALUE_BASE];
	while (rows->name && rows->letter != value)
		rows++;
	return rows;
}

static const char *kind_hint(enum option_kind kind)
{
	switch (kind) {
	case OPTION_KIND_SIZE:
		return "a size is a number, with K, M, G or T: 512M";
	case OPTION_KIND_DURATION:
		return "a duration has units: 500ms, 30s, 15min, 1h30min";
	case OPTION_KIND_CPUS:
		return "a number of processors has at most three decimals: 1.5";
	case OPTION_KIND_COUNT:
		return "it must be a whole number, not below 0";
	case OPTION_KIND_ENV:
	case OPTION_KIND_PAIR:
		return "it must be NAME=VALUE";
	case OPTION_KIND_FLAG:
	case OPTION_KIND_STRING:
		break;
	}
	return NULL;
}

static int check_value(struct option_given *g)
{
	switch (g->row->kind) {
	case OPTION_KIND_SIZE:
		return quantity_size(g->text, &g->number);
	case OPTION_KIND_DURATION:
		return quantity_duration(g->text, &g->number);
	case OPTION_KIND_CPUS:
		return quantity_cpus(g->text, &g->number);
	case OPTION_KIND_COUNT:
		return quantity_count(g->text, &g->number);
	case OPTION_KIND_PAIR:
		return strchr(g->text, '=') && g->text[0] != '=' ? 0 : -EINVAL;
	case OPTION_KIND_ENV:
		return g->text[0] != '=' && g->text[0] != '\0' ? 0 : -EINVAL;
	case OPTION_KIND_FLAG:
	case OPTION_KIND_STRING:
		break;
	}
	return 0;
}

static int add_given(struct options *o, const struct option_row *row)
{
	struct option_given *g = &o->given[o->n_given];
	int r;

	*g = (struct option_given){ .row = row, .text = row->argument ? optarg : NULL };
	r = check_value(g);
	if (r == -ERANGE)
		return message_error("the number is too big", "--%s %s", row->name, optarg),
		       -EINVAL;
	if (r < 0)
		return message_error(kind_hint(row->kind), "--%s %s", row->name, optarg), -EINVAL;
	o->n_given++;
	return 0;
}

/* getopt says '?' or ':', optopt the letter, and argv[optind - 1] the word. */
static int refuse(int kind, char **argv)
{
	const char *word = argv[optind - 1];

	if (kind == ':')
		message_error("it needs a value", "%s", word);
	else if (optopt && optopt < VALUE_BASE)
		message_error("see --help", "unknown option -%c", optopt);
	else if (optopt)
		message_error("it takes no value", "%s", word);
	else
		message_error("see --help", "unknown option %s", word);
	return -EINVAL;
}

static int read_options(struct options *o, const struct option_row *rows,
			const struct getopt_tables *t, int argc, char **argv)
{
	int value;
	int r;

	while ((value = getopt_long(argc, argv, t->shorts, t->longs, NULL)) != -1) {
		if (value == '?' || value == ':')
			return refuse(value, argv);
		if (value == 1) { /* an operand, in its place */
			o->operands[o->n_operands++] = optarg;
			continue;
		}
		r = add_given(o, row_of(rows, value));
		if (r < 0)
			return r;
	}
	return 0;
}

int options_parse(struct options *o, const struct option_row *rows, enum operand_style style,
		  int argc, char **argv)
{
	struct getopt_tables t = { .shorts = "" };
	int r;

	*o = (struct options){ .end = argc };
	o->given = calloc((size_t)argc + 1, sizeof *o->given);
	o->operands = calloc((size_t)argc + 1, sizeof *o->operands);
	if (!o->given || !o->operands)
		return message_error(NULL, "out of memory"), -EINVAL;
	fill_tables(&t, rows, style);
	opterr = 0;
	optind = 0; /* glibc: start afresh, also with a new first character of the letters */
	r = read_options(o, rows, &t, argc, argv);
	if (r < 0)
		return r;
	o->end = optind;
	o->n_before_dashes = o->n_operands;
	for (int i = optind; i < argc; i++)
		o->operands[o->n_operands++] = argv[i];
	return 0;
}

void options_deinit(struct options *o)
{
	free(o->given);
	free(o->operands);
	*o = (struct options){ .end = 0 };
}

static const struct option_given *last_given(const struct options *o, enum option_id id)
{
	for (size_t i = o->n_given; i > 0; i--)
		if (o->given[i - 1].row->id == id)
			return &o->given[i - 1];
	return NULL;
}

bool options_have(const struct options *o, enum option_id id)
{
	return last_given(o, id) != NULL;
}

const char *options_text(const struct options *o, enum option_id id)
{
	const struct option_given *g = last_given(o, id);

	return g ? g->text : NULL;
}

int64_t options_number(const struct options *o, enum option_id id, int64_t fallback)
{
	const struct option_given *g = last_given(o, id);

	return g ? g->number : fallback;
}
