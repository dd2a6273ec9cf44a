/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The files of the audit log: one that is written, and the full ones before it, in a directory of
 * their own. Each has the number of its first entry as its name. Knows nothing of the daemon. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "secret/audit-line.h"

#define AUDIT_FILE_MAX (4 * 1024 * 1024) /* bytes of one, about 12000 entries */
#define AUDIT_FILES_MAX 64               /* that are kept */
#define AUDIT_FILE_NAME_SIZE 32
#define AUDIT_PATH_SIZE 96

/* What is remembered of the log elsewhere. */
struct audit_anchor {
	int64_t first;          /* the oldest entry that is kept; 0: nothing is remembered */
	struct audit_mark head; /* as it was not long ago */
};

/* Stores A; 0 or negative errno. */
typedef int audit_save(const struct audit_anchor *a, void *userdata);

struct audit_log {
	int parent_fd;              /* borrowed */
	const char *name;           /* of the directory in it; made where there is none */
	int dir_fd;                 /* that; -1 */
	int fd;                     /* the file that is written; -1 */
	char path[AUDIT_PATH_SIZE]; /* below parent_fd, */
	dev_t dev;                  /* and which file that is: */
	ino_t ino;
	uint8_t key[AUDIT_KEY_BYTES]; /* filled by who makes it */
	struct audit_anchor now;
	int64_t file_bytes; /* its size */
	int64_t file_max;
	size_t files_max;
	audit_save *save;
	void *userdata;
};

/* Goes on with the log in L's directory, of which ANCHOR is remembered. If what is there does not
 * lead to ANCHOR it is left as it is and named in the daemon's log, and a new file goes on from
 * ANCHOR: the gap between them stays for audit_verify() to see. Reads the newest file, or those
 * since ANCHOR. L has its parent and name, key, limits and save, and no file. Returns 0 or negative
 * errno. */
int audit_log_open(struct audit_log *l, const struct audit_anchor *anchor);
void audit_log_close(struct audit_log *l); /* and forgets the key */

/* Appends one entry: it is with the kernel when this returns, though perhaps not on the disk.
 * Returns 0 or negative errno; then nothing was written. */
int audit_log_append(struct audit_log *l, const struct audit_entry *e, const char *exe);

/* ---- reading ---- */

/* Before it: somebody may have removed the directory, or put another in its place. Returns 0 or
 * negative errno. */
int audit_log_look(struct audit_log *l);

/* The first numbers of the files that belong to the log, ascending. *RET is freed by the caller.
 * Returns 0 or negative errno. */
int audit_log_files(const struct audit_log *l, int64_t **ret, size_t *ret_count);
/* Opens the file whose first entry is FIRST, or negative errno. */
int audit_log_open_file(const struct audit_log *l, int64_t first);
void audit_log_file_name(int64_t first, char name[static AUDIT_FILE_NAME_SIZE]);

enum audit_fault {
	AUDIT_FAULT_NONE,
	AUDIT_FAULT_MISSING, /* there is nothing where it should be */
	AUDIT_FAULT_DAMAGED, /* a line that is none of ours */
	AUDIT_FAULT_CHANGED, /* it, or what is before it, is not what was written */
	AUDIT_FAULT_KEY,     /* written under another key */
	AUDIT_FAULT_READ,    /* it cannot be read */
};

/* A walk along the chain. */
struct audit_walk {
	int64_t *files; /* owned */
	size_t n_files;
	size_t next; /* file */
	int fd;
	int64_t offset;       /* in it */
	bool at_begin;        /* its first line is next */
	bool anchored;        /* AT is to be followed: false at the start of the oldest file */
	struct audit_mark at; /* what was found true */
	int64_t upto;         /* where it ends; entries that come meanwhile are not looked at */
	enum audit_fault fault;
};

/* From the first file of the log, or the one that holds entry FROM, to the entry UPTO. Returns 0 or
 * negative errno; audit_walk_end() must follow if it is 0. */
int audit_walk_begin(const struct audit_log *l, int64_t from, int64_t upto, struct audit_walk *ret);
void audit_walk_end(struct audit_walk *w);
/* Checks a piece, less than a millisecond of work. SEEN (may be NULL) is called for each entry that
 * is true. False: it is over, at w->at, because of w->fault. */
typedef void audit_seen(const struct audit_mark *at, void *userdata);
bool audit_walk_step(const struct audit_log *l, struct audit_walk *w, audit_seen *seen,
		     void *userdata);
