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

/* The status alone, said on stderr where it needs to be; TEXT is an ExecResult. */
int result_status(struct ctl *ctl, const char *text, size_t size);
/* Before anything is run: --result-file can be written, else it is said. Returns 0 or negative
 * errno. */
int result_check_file(struct ctl *ctl);
/* Prints TEXT with -o json and writes --result-file; STATUS, or 125 when that failed. */
int result_write(struct ctl *ctl, const char *text, size_t size, int status);
