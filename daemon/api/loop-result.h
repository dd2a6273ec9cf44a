/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Loop, Receipt and LoopRunResult (docs/rpc.md) as JSON. Each returns a new object, NULL when
 * memory is out. */

struct exec;
struct json_object;
struct loop;
struct loop_run_result;

struct json_object *value_loop(const struct loop *l);
/* Of a loop that is destroyed. */
struct json_object *value_receipt(const struct loop *l);
/* E is the tool's. */
struct json_object *value_loop_run_result(const struct loop_run_result *r, const struct exec *e);
