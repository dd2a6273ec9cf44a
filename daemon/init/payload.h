/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What is behind struct init_exec: the strings and files of one exec. A pure parser over bytes that
 * a stranger may have written; keeps pointers into them. */

#include <stdbool.h>

#include "init-wire.h"

#define PAYLOAD_MAX                                                                                \
	((size_t)40 * 1024 * 1024) /* a request line's files and 1 MiB of argv+env, roomy */

struct payload_file {
	const char *path;
	const char *data;
	size_t size;
	uint32_t mode;
};

struct payload {
	const char *workdir; /* all strings point into the bytes that were parsed */
	char **argv;         /* NULL at the end; at least one string. Owns all three arrays. */
	char **envp;
	struct payload_file *files;
	size_t filec;
};

/* Is E itself plausible for a message of MESSAGE_SIZE bytes with N_FDS descriptors? */
bool payload_request_ok(const struct init_exec *e, size_t message_size, size_t n_fds);

/* Parses SIZE bytes at DATA. Returns 0, -EBADMSG or -ENOMEM; *P needs payload_deinit() after 0. */
int payload_parse(struct payload *p, const struct init_exec *e, char *data, size_t size);
void payload_deinit(struct payload *p);

/* The value of variable NAME, or NULL. */
const char *payload_getenv(const struct payload *p, const char *name);

/* Relative, below its start: no empty component, no "." or "..", shorter than PATH_MAX. */
bool payload_path_ok(const char *path);

/* PATH search: writes the next candidate for NAME to OUT and moves *REST on. False: no more. Too
 * long ones are skipped. *REST starts as the value of PATH. */
#define SEARCH_PATH_MAX 4096
bool payload_search_next(const char **rest, const char *name, char out[SEARCH_PATH_MAX]);
