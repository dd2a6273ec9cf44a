/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The INIT_EXEC message: what a command needs, checked and packed. */

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "params.h"
#include "wire.h"

/* A variable whose value is copied nowhere else on its way. It holds no NUL. */
struct exec_variable {
	const char *name;
	struct bytes value;
};

struct exec_payload {
	const char *work_dir;
	struct strings command;
	char *const *env;                 /* "K=V", NULL-terminated */
	const struct exec_variable *more; /* and these: none of them is in env */
	size_t n_more;
	struct files_params files;
};

/* files[] must be plain paths below workDir. Returns 0, or -1 with *RETERR naming files[i].path. */
int exec_payload_check_files(const struct files_params *files, struct error *reterr);

/* argv and env together are small enough to be tried. */
bool exec_payload_fits(const struct exec_payload *p);

/* Begins M as INIT_EXEC and puts P in it, or beside it in a sealed memfd, which is then M's first
 * descriptor. Returns 0 or negative errno. */
int exec_payload_build(struct wire_message *m, const struct exec_payload *p);

/* "agent", "root" or "UID[:GID]" (NULL: agent). Returns 0, or -1 with *RETERR. */
int exec_parse_user(const char *text, uint32_t *ret_uid, uint32_t *ret_gid, struct error *reterr);
