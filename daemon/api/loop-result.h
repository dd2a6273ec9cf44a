/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Loop and Receipt (docs/rpc.md) as JSON. Each returns a new object, NULL when memory is out. */

struct json_object;
struct loop;

struct json_object *value_loop(const struct loop *l);
/* Of a loop that is destroyed. */
struct json_object *value_receipt(const struct loop *l);
