/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reading a command line by the tables of verbs.c. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_id {
	OPTION_NONE, /* nobody asks for it by id: it only becomes a parameter */
	OPTION_HELP,
	OPTION_SOCKET,
	OPTION_OUTPUT,
	OPTION_VERSION,
	OPTION_NAME,
	OPTION_TEMPLATE,
	OPTION_NETWORK,
	OPTION_POLICY,
	OPTION_ALLOW_HOST,
	OPTION_RUNTIME,
	OPTION_QUIET,
	OPTION_ENV_FILE,
	OPTION_INTERACTIVE,
	OPTION_TTY,
	OPTION_DETACH,
	OPTION_TIMEOUT,
	OPTION_SECRET,
	OPTION_SECRET_FILE,
	OPTION_SECRET_STDIN,
	OPTION_KEEP_LEFTOVERS,
	OPTION_RESULT_FILE,
	OPTION_FOLLOW,
	OPTION_FROM,
	OPTION_SIGNAL,
	OPTION_CONFIG,
	OPTION_STATE_DIR,
	OPTION_RUNTIME_DIR,
	OPTION_TOOL,
	OPTION_WORKDIR,
	OPTION_VERIFY,
	OPTION_WATCH,
	OPTION_FORCE,
	OPTION_DRY_RUN,
	OPTION_NO_AUTOSTART,
	OPTION_TYPE,
	OPTION_NOTED,
	OPTION_RAW,
	OPTION_ALL,
	OPTION_FILE,
	OPTION_HOLDER,
	OPTION_TTL,
};

enum option_kind {
	OPTION_KIND_FLAG,
	OPTION_KIND_STRING,
	OPTION_KIND_SIZE,
	OPTION_KIND_DURATION,
	OPTION_KIND_CPUS,
	OPTION_KIND_COUNT,
	OPTION_KIND_ENV,  /* K=V, or K with our own value; may be repeated */
	OPTION_KIND_PAIR, /* K=V; may be repeated */
};

/* A table of these ends with a row without name. PARAM: where the value goes in the RPC's params
 * ("limits.memoryBytes"), NULL: the verb takes care of it, and OF is what the daemon calls it. */
struct option_row {
	const char *name;
	enum option_id id;
	char letter; /* or 0 */
	enum option_kind kind;
	const char *argument; /* for help; NULL: takes none */
	const char *param;
	const char *help;
	const char *of;
};

#define OPTION_ROWS_MAX 40

enum operand_style {
	OPERANDS_ANYWHERE,   /* options may follow operands; what is behind -- are operands too */
	OPERANDS_END_OPTIONS /* all behind the first operand belongs to a command */
};

struct option_given {
	const struct option_row *row;
	const char *text;
	int64_t number; /* of kinds that are one */
};

struct options {
	struct option_given *given;
	size_t n_given;
	const char **operands; /* borrowed from argv; ends with NULL */
	size_t n_operands;
	size_t n_before_dashes; /* operands before -- */
	int end;                /* index in argv of what was not read (OPERANDS_END_OPTIONS) */
};

/* Reads ARGV (its first is skipped). On a mistake prints one line and returns -EINVAL. O is to be
 * deinited in any case. */
int options_parse(struct options *o, const struct option_row *rows, enum operand_style style,
		  int argc, char **argv);
void options_deinit(struct options *o);

bool options_have(const struct options *o, enum option_id id);
/* Of the last one given; NULL, FALLBACK when none was. */
const char *options_text(const struct options *o, enum option_id id);
int64_t options_number(const struct options *o, enum option_id id, int64_t fallback);
