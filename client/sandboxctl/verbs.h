/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#define STATUS_WRONG_USAGE 2
/* The one table of verbs: dispatch, option parsing, --help and completion come from it. */

#include "ctl.h"
#include "table.h"

struct verb {
	const char *name;     /* "create", "template build" */
	const char *operands; /* for help */
	const char *summary;
	const struct option_row *options; /* without those that every verb has */
	size_t min_operands;
	size_t max_operands;
	enum operand_style style;
	int failure; /* exit status when we or the daemon failed */
	/* returns the exit status; the options are parsed and the operands counted */
	int (*run)(struct ctl *ctl);
	/* for the run functions that serve several verbs */
	const char *method;
	const char *operand_param; /* where an operand goes in the params */
	const char *list_key;
	const struct column *columns;
};

extern const struct verb verbs[];
extern const size_t verbs_count;
extern const struct option_row common_options[]; /* of every verb */
extern const struct option_row global_options[]; /* before the verb */

/* The verb that ARGV[0] (and [1]) name; *RET_WORDS is how many words that took. NULL: none. */
const struct verb *verb_find(int argc, char **argv, int *ret_words);

/* One file each. */
int verb_create(struct ctl *ctl);
int verb_run(struct ctl *ctl);
int verb_exec(struct ctl *ctl);
int verb_call(struct ctl *ctl); /* stop, start, rm, cancel, ...: one call for each operand */
int verb_list(struct ctl *ctl); /* ls, ps, loop ls, template ls, pool ls */
int verb_stats(struct ctl *ctl);
int verb_completion(struct ctl *ctl);
int verb_pool_set(struct ctl *ctl);
int verb_secret_lease(struct ctl *ctl);
int verb_secret_revoke(struct ctl *ctl);
int verb_df(struct ctl *ctl);
int verb_audit(struct ctl *ctl);
int verb_audit_verify(struct ctl *ctl);
int verb_events(struct ctl *ctl);
int verb_prune(struct ctl *ctl);
int verb_inspect(struct ctl *ctl);
int verb_logs(struct ctl *ctl);
int verb_attach(struct ctl *ctl);
int verb_kill(struct ctl *ctl);
int verb_wait(struct ctl *ctl);
int verb_secret_set(struct ctl *ctl);
int verb_secret_list(struct ctl *ctl);
int verb_save(struct ctl *ctl);
int verb_template_build(struct ctl *ctl);
int verb_loop_create(struct ctl *ctl);
int verb_loop_run(struct ctl *ctl);
int verb_loop_rm(struct ctl *ctl);
int verb_info(struct ctl *ctl);
int verb_doctor(struct ctl *ctl);
int verb_version(struct ctl *ctl);
int verb_rpc(struct ctl *ctl);
int verb_daemon_start(struct ctl *ctl);
int verb_daemon_stop(struct ctl *ctl);
int verb_daemon_status(struct ctl *ctl);
int verb_daemon_logs(struct ctl *ctl);
