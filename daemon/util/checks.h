/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the host must offer, and what mends it: for system.doctor and for sandboxctl doctor, which
 * runs the same file without a daemon. libc only; some checks start a program and wait for it, so
 * the daemon runs them in a process of its own. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum check_severity { CHECK_REQUIRED, CHECK_OPTIONAL };

#define CHECK_FIX_MAX 8

struct check {
	const char *name; /* static */
	bool ok;
	bool skipped; /* it could not be looked at: OK says nothing */
	enum check_severity severity;
	char detail[200];               /* what was found */
	const char *hint;               /* static; NULL when ok or skipped */
	const char *fix[CHECK_FIX_MAX]; /* argv, NULL-terminated; fix[0] NULL: there is no one
					   command */
	char text[128];                 /* what fix points to, where it is not static */
};

/* What is looked at. NULL: not looked at (no daemon has told). */
struct checks_scope {
	uid_t uid;
	const char *state_dir;
	const char *runtime_dir;
	/* Programs of the runtimes; NULL: searched in PATH. */
	const char *crun;
	const char *runc;
	const char *runsc;
	const char *runtime;     /* which one is used where nobody says; NULL: crun */
	uint64_t min_free;       /* [limits] min_free */
	const char *libexec_dir; /* where sandbox-keeper and sandbox-init are */
};

#define CHECKS_MAX 28

/* Fills CHECKS and returns how many. May take some tens of milliseconds. */
size_t checks_run(const struct checks_scope *scope, struct check checks[static CHECKS_MAX]);
