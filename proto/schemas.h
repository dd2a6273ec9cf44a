/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The result types of the protocol (docs/rpc.md, Types). Data for methods.c and discover.c.
 */

#include "methods.h"

extern const struct schema schema_system_info;
extern const struct schema schema_doctor;
extern const struct schema schema_sandbox;
extern const struct schema schema_sandbox_list;
extern const struct schema schema_stats;
extern const struct schema schema_disk;
extern const struct schema schema_exec;
extern const struct schema schema_exec_list;
extern const struct schema schema_exec_result;
extern const struct schema schema_exec_chunk;
extern const struct schema schema_template;
extern const struct schema schema_template_list;
extern const struct schema schema_audit_list;
extern const struct schema schema_audit_report;
extern const struct schema schema_lease;
extern const struct schema schema_lease_list;
extern const struct schema schema_revoked;
extern const struct schema schema_pool;
extern const struct schema schema_pool_list;
extern const struct schema schema_secret;
extern const struct schema schema_secret_list;
extern const struct schema schema_tool_ready;
extern const struct schema schema_loop;
extern const struct schema schema_loop_list;
extern const struct schema schema_receipt;
extern const struct schema schema_loop_run_result;
extern const struct schema schema_subscription;
extern const struct schema schema_openrpc;
