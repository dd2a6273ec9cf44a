/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where RPC and sandboxes meet: one handler per method, and the table of them. Every handler is
 * `void method_<area>_<name>(struct request *r, void *userdata)` with userdata = struct manager *,
 * owns R from then on and ends it exactly once. The only place that knows both JSON and sandboxes.
 */

#include "rpc/request.h"
#include "rpc/server.h"

/* By enum method_id; NULL: not available in this version. */
extern method_handler *const api_handlers[];

/* system.c */
void method_system_ping(struct request *r, void *userdata);
void method_system_info(struct request *r, void *userdata);
void method_system_doctor(struct request *r, void *userdata);

/* loop.c */
void method_loop_create(struct request *r, void *userdata);
void method_loop_run(struct request *r, void *userdata); /* loop-run.c */
void method_loop_get(struct request *r, void *userdata);
void method_loop_list(struct request *r, void *userdata);
void method_loop_cancel(struct request *r, void *userdata);
void method_loop_destroy(struct request *r, void *userdata);

/* sandbox.c */
void method_sandbox_create(struct request *r, void *userdata);
void method_sandbox_get(struct request *r, void *userdata);
void method_sandbox_list(struct request *r, void *userdata);
void method_sandbox_save(struct request *r, void *userdata);
void method_sandbox_stop(struct request *r, void *userdata);
void method_sandbox_start(struct request *r, void *userdata);
void method_sandbox_pause(struct request *r, void *userdata);
void method_sandbox_resume(struct request *r, void *userdata);
void method_sandbox_remove(struct request *r, void *userdata);

/* stats.c */
void method_sandbox_stats(struct request *r, void *userdata);
void method_system_df(struct request *r, void *userdata);

/* exec.c */
void method_exec_run(struct request *r, void *userdata);
void method_exec_attach(struct request *r, void *userdata);
void method_exec_wait(struct request *r, void *userdata);
void method_exec_get(struct request *r, void *userdata);
void method_exec_list(struct request *r, void *userdata);
void method_exec_read(struct request *r, void *userdata);
void method_exec_write(struct request *r, void *userdata);
void method_exec_close_stdin(struct request *r, void *userdata);
void method_exec_resize(struct request *r, void *userdata);
void method_exec_signal(struct request *r, void *userdata);
void method_exec_cancel(struct request *r, void *userdata);

/* secret.c */
void method_secret_set(struct request *r, void *userdata);
void method_secret_list(struct request *r, void *userdata);
void method_secret_remove(struct request *r, void *userdata);

/* lease.c */
void method_secret_lease(struct request *r, void *userdata);
void method_secret_renew(struct request *r, void *userdata);
void method_secret_revoke(struct request *r, void *userdata);
void method_secret_revoke_all(struct request *r, void *userdata);
void method_secret_leases(struct request *r, void *userdata);

/* template.c */
void method_template_list(struct request *r, void *userdata);
void method_template_get(struct request *r, void *userdata);
void method_template_build(struct request *r, void *userdata);
void method_template_remove(struct request *r, void *userdata);

/* pool.c */
void method_pool_list(struct request *r, void *userdata);
void method_pool_set(struct request *r, void *userdata);

/* audit.c */
void method_audit_list(struct request *r, void *userdata);
void method_audit_verify(struct request *r, void *userdata);

/* events.c */
void method_events_subscribe(struct request *r, void *userdata);
void method_events_unsubscribe(struct request *r, void *userdata);
