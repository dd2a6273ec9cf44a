/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where method ids meet functions. rpc.* is answered by the server itself; the rest
 * that is missing here is not available in this version. */

#include "api/api.h"

#include "methods.h"

method_handler *const api_handlers[METHOD_MAX] = {
	[METHOD_SYSTEM_PING] = method_system_ping,
	[METHOD_SYSTEM_INFO] = method_system_info,
	[METHOD_SYSTEM_DOCTOR] = method_system_doctor,
	[METHOD_LOOP_CREATE] = method_loop_create,
	[METHOD_LOOP_RUN] = method_loop_run,
	[METHOD_LOOP_GET] = method_loop_get,
	[METHOD_LOOP_LIST] = method_loop_list,
	[METHOD_LOOP_CANCEL] = method_loop_cancel,
	[METHOD_LOOP_DESTROY] = method_loop_destroy,
	[METHOD_SANDBOX_CREATE] = method_sandbox_create,
	[METHOD_SANDBOX_GET] = method_sandbox_get,
	[METHOD_SANDBOX_LIST] = method_sandbox_list,
	[METHOD_SANDBOX_STOP] = method_sandbox_stop,
	[METHOD_SANDBOX_START] = method_sandbox_start,
	[METHOD_SANDBOX_PAUSE] = method_sandbox_pause,
	[METHOD_SANDBOX_RESUME] = method_sandbox_resume,
	[METHOD_SANDBOX_STATS] = method_sandbox_stats,
	[METHOD_SYSTEM_DF] = method_system_df,
	[METHOD_SANDBOX_REMOVE] = method_sandbox_remove,
	[METHOD_SANDBOX_SAVE] = method_sandbox_save,
	[METHOD_EXEC_RUN] = method_exec_run,
	[METHOD_EXEC_ATTACH] = method_exec_attach,
	[METHOD_EXEC_WAIT] = method_exec_wait,
	[METHOD_EXEC_GET] = method_exec_get,
	[METHOD_EXEC_LIST] = method_exec_list,
	[METHOD_EXEC_READ] = method_exec_read,
	[METHOD_EXEC_WRITE] = method_exec_write,
	[METHOD_EXEC_CLOSE_STDIN] = method_exec_close_stdin,
	[METHOD_EXEC_RESIZE] = method_exec_resize,
	[METHOD_EXEC_SIGNAL] = method_exec_signal,
	[METHOD_EXEC_CANCEL] = method_exec_cancel,
	[METHOD_TEMPLATE_LIST] = method_template_list,
	[METHOD_TEMPLATE_GET] = method_template_get,
	[METHOD_TEMPLATE_BUILD] = method_template_build,
	[METHOD_TEMPLATE_REMOVE] = method_template_remove,
	[METHOD_POOL_LIST] = method_pool_list,
	[METHOD_POOL_SET] = method_pool_set,
	[METHOD_AUDIT_LIST] = method_audit_list,
	[METHOD_AUDIT_VERIFY] = method_audit_verify,
	[METHOD_EVENTS_SUBSCRIBE] = method_events_subscribe,
	[METHOD_EVENTS_UNSUBSCRIBE] = method_events_unsubscribe,
};
