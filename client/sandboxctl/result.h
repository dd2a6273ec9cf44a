/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* From an ExecResult to an exit status. */

#include <stddef.h>

struct ctl;

#define STATUS_TIMEOUT 124
#define STATUS_FAILURE 125
#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND 127

/* The exit status for the ExecResult in TEXT: the command's own, 128+n after signal n, 124 when it
 * timed out, 126, 127; 125 for what is no command's doing. Says on stderr what the status cannot,
 * prints the result with -o json, and writes --result-file. */
int result_finish(struct ctl *ctl, const char *text, size_t size);
