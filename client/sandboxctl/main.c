/* SPDX-License-Identifier: Apache-2.0 */
/* sandboxctl: what comes before a verb, and the verb. No locale, no environment but what is needed:
 * the time that this process takes is part of every command that somebody runs in a sandbox. */

#include <stdio.h>
#include <string.h>

#include "help.h"
#include "macro.h"
#include "message.h"
#include "verbs.h"

static int take_common(struct ctl *ctl, const struct options *o)
{
	const char *output = options_text(o, OPTION_OUTPUT);

	if (options_have(o, OPTION_SOCKET))
		ctl->socket = options_text(o, OPTION_SOCKET);
	if (options_have(o, OPTION_NO_AUTOSTART))
		ctl->no_autostart = true;
	if (!output)
		return 0;
	if (strcmp(output, "json") != 0 && strcmp(output, "table") != 0) {
		message_error("it is table or json", "-o %s", output);
		return -1;
	}
	ctl->json = strcmp(output, "json") == 0;
	message_errors_as_json(ctl->json);
	return 0;
}

static int usage_status(const struct verb *verb)
{
	return verb->failure == 1 ? STATUS_WRONG_USAGE : verb->failure;
}

static int check_operands(const struct ctl *ctl)
{
	const struct verb *verb = ctl->verb;
	size_t n = ctl->options.n_operands;

	if (n >= verb->min_operands && n <= verb->max_operands)
		return 0;
	message_error(NULL, "usage: sandboxctl %s [OPTIONS]%s%s", verb->name,
		      verb->operands[0] ? " " : "", verb->operands);
	return -1;
}

/* The verb's rows and those of every verb, in one table. */
static void join_rows(struct option_row *rows, const struct option_row *own)
{
	size_t n = 0;

	while (own->name && n + 5 < OPTION_ROWS_MAX)
		rows[n++] = *own++;
	for (const struct option_row *row = common_options; row->name; row++)
		rows[n++] = *row;
	rows[n] = (struct option_row){ .name = NULL };
}

static int run_verb(struct ctl *ctl, int argc, char **argv)
{
	struct option_row rows[OPTION_ROWS_MAX];

	join_rows(rows, ctl->verb->options);
	if (options_parse(&ctl->options, rows, ctl->verb->style, argc, argv) < 0)
		return usage_status(ctl->verb);
	if (options_have(&ctl->options, OPTION_HELP)) {
		help_verb(stdout, ctl->verb);
		return 0;
	}
	if (take_common(ctl, &ctl->options) < 0 || check_operands(ctl) < 0)
		return usage_status(ctl->verb);
	ctl->quiet = options_have(&ctl->options, OPTION_QUIET);
	return ctl->verb->run(ctl);
}

/* What there is to say without a verb, or with one that does not exist. */
static int no_verb(const struct options *o, int argc, char **argv)
{
	if (options_have(o, OPTION_VERSION)) {
		printf("sandboxctl %s\n", SANDBOXD_VERSION);
		return 0;
	}
	if (options_have(o, OPTION_HELP) || (argc > 0 && strcmp(argv[0], "help") == 0)) {
		help_all(stdout);
		return 0;
	}
	if (argc == 0) {
		help_all(stderr);
		return STATUS_WRONG_USAGE;
	}
	if (argc == 1 && help_group(stderr, argv[0]) == 0)
		return STATUS_WRONG_USAGE;
	if (argc == 2 && strcmp(argv[1], "--help") == 0 && help_group(stdout, argv[0]) == 0)
		return 0;
	if (argc > 1 && help_is_group(argv[0])) {
		message_error(NULL, "unknown verb %s %s: see sandboxctl %s --help", argv[0],
			      argv[1], argv[0]);
		return STATUS_WRONG_USAGE;
	}
	message_error("see sandboxctl --help", "unknown verb %s", argv[0]);
	return STATUS_WRONG_USAGE;
}

/* What stdio still holds must get out, or the status is a lie. */
static int flushed(const struct verb *verb, int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	message_error(NULL, "writing to stdout failed");
	return verb ? verb->failure : 1;
}

int main(int argc, char **argv)
{
	CLEANUP(options_deinit) struct options global = { .end = 0 };
	CLEANUP(ctl_deinit) struct ctl ctl = { .verb = NULL };
	int words;

	if (options_parse(&global, global_options, OPERANDS_END_OPTIONS, argc, argv) < 0)
		return STATUS_WRONG_USAGE;
	if (take_common(&ctl, &global) < 0)
		return STATUS_WRONG_USAGE;
	argc -= global.end;
	argv += global.end;
	ctl.verb = verb_find(argc, argv, &words);
	if (!ctl.verb || options_have(&global, OPTION_HELP) ||
	    options_have(&global, OPTION_VERSION))
		return flushed(NULL, no_verb(&global, argc, argv));
	return flushed(ctl.verb, run_verb(&ctl, argc - words + 1, argv + words - 1));
}
