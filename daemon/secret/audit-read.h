/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reads the audit log in small steps: a check of all of it, or a list. */

#include "secret/audit-log.h"

struct audit_check {
	struct audit_walk walk;
	struct audit_mark head; /* of the log when it began */
	struct audit_mark given;
	bool has_given;
	bool contradicts; /* the entry is true, but not what was given */
	int64_t from;     /* the first that was looked at */
};

/* GIVEN (may be NULL): what somebody noted of an earlier head; it is to be on the way. Returns 0 or
 * negative errno; audit_check_end() must follow if it is 0. */
int audit_check_begin(struct audit_check *c, const struct audit_log *l,
		      const struct audit_mark *given);
bool audit_check_step(struct audit_check *c, const struct audit_log *l); /* false: it is over */
void audit_check_end(struct audit_check *c);

struct audit_list {
	bool everybody;
	uid_t uid; /* else: whose */
	size_t limit;
	int64_t after;  /* go on behind this one; -1: the newest there are */
	int64_t *files; /* owned, as what is below */
	size_t n_files;
	size_t next;
	int fd;
	int64_t offset;
	char **lines; /* in order of numbers, when it is over */
	size_t count;
	int error;
};

/* The first four fields are set. As above. */
int audit_list_begin(struct audit_list *l, const struct audit_log *log);
bool audit_list_step(struct audit_list *l, const struct audit_log *log);
void audit_list_end(struct audit_list *l);
