/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which tools have their secrets, as the daemon says it in secret.list. */

struct ctl;
struct json_object;

/* The list, a new reference; NULL: no daemon answers within some seconds, or it does not say. None
 * is started for it. */
struct json_object *tools_ready_ask(struct ctl *ctl);
