/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Exec and ExecResult (docs/rpc.md) as JSON. */

#include <stdbool.h>

struct exec;
struct json_object;

/* Both return a new object, NULL when memory is out. */
struct json_object *value_exec_result(const struct exec *e, bool with_text);
/* With its result when it has ended; TEXT: what it wrote, too. */
struct json_object *value_exec(const struct exec *e, bool with_text);
/* The params of exec.started, but for requestId. */
struct json_object *value_exec_started(const struct exec *e);

/* The result of E, which has ended, as text; without what it wrote where that is much. NULL when
 * memory is out; freed by the caller. */
char *value_exec_result_text(const struct exec *e);

/* "stdout" and its kin, by enum keeper_spool_stream. */
const char *stream_to_string(unsigned stream);
