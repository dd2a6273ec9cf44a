/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* rpc.discover: the tables of methods.c as an OpenRPC document. */

struct json_object;

/* A fresh document that the caller owns; NULL: no memory. */
struct json_object *discover_document(void);
/* The same as text, to be freed. */
char *discover_text(void);
