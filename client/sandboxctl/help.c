/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include <string.h>

#include "verbs.h"

#define OPTION_WIDTH 27
#define VERB_WIDTH 40

/* What does not fit beside its column stands above it. */
static void print_line(FILE *f, const char *left, int width, const char *right)
{
	if (strlen(left) > (size_t)width)
		fprintf(f, "  %s\n  %-*s  %s\n", left, width, "", right);
	else
		fprintf(f, "  %-*s  %s\n", width, left, right);
}

static void print_option(FILE *f, const struct option_row *row)
{
	char left[64];
	char letter[8] = "    ";

	if (row->letter)
		(void)snprintf(letter, sizeof letter, "-%c, ", row->letter);
	(void)snprintf(left, sizeof left, "%s--%s%s%s", letter, row->name, row->argument ? " " : "",
		       row->argument ? row->argument : "");
	print_line(f, left, OPTION_WIDTH, row->help ? row->help : "");
}

static void print_options(FILE *f, const struct option_row *rows)
{
	for (; rows->name; rows++)
		print_option(f, rows);
}

static void print_verb_line(FILE *f, const struct verb *verb)
{
	char left[64];

	(void)snprintf(left, sizeof left, "%s %s", verb->name, verb->operands);
	print_line(f, left, VERB_WIDTH, verb->summary);
}

void help_all(FILE *f)
{
	fprintf(f, "usage: sandboxctl [OPTIONS] VERB ...\n\n");
	for (size_t i = 0; i < verbs_count; i++)
		print_verb_line(f, &verbs[i]);
	fprintf(f, "\n");
	print_options(f, global_options);
	fprintf(f, "\nsandboxctl VERB --help says more about one.\n");
}

void help_verb(FILE *f, const struct verb *verb)
{
	fprintf(f, "usage: sandboxctl %s [OPTIONS]%s%s\n\n%s\n\n", verb->name,
		verb->operands[0] ? " " : "", verb->operands, verb->summary);
	print_options(f, verb->options);
	print_options(f, common_options);
}

int help_group(FILE *f, const char *group)
{
	size_t n = strlen(group);
	int found = -1;

	for (size_t i = 0; i < verbs_count; i++) {
		if (strncmp(verbs[i].name, group, n) != 0 || verbs[i].name[n] != ' ')
			continue;
		if (found < 0)
			fprintf(f, "usage: sandboxctl %s VERB ...\n\n", group);
		found = 0;
		print_verb_line(f, &verbs[i]);
	}
	return found;
}

bool help_is_group(const char *group)
{
	size_t n = strlen(group);

	for (size_t i = 0; i < verbs_count; i++)
		if (strncmp(verbs[i].name, group, n) == 0 && verbs[i].name[n] == ' ')
			return true;
	return false;
}
