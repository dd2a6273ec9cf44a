/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The lists of the protocol, page by page. */

#include "sandboxd/client.h"

struct json_object;

struct client_list {
	const char *method;
	const char *array; /* the member of the result that is the page */
	const char *key;   /* the member of an item after which the next page begins */
	const char *param; /* that says which items, as VALUE; NULL: all */
	const char *value;
	/* Makes object I of the array ITEMS, of pointers, from JSON, which it takes. Returns 0 or
	 * negative errno. */
	int (*make)(void *items, size_t i, struct json_object *json);
	void (*free)(void *items, size_t count); /* the objects and the array */
};

/* Asks for page after page, until there are no more. Returns as sandboxd_call(); *RET_ITEMS is what
 * LIST's free() frees, NULL where there are none. */
int client_list(struct sandboxd_client *c, const struct client_list *list, void **ret_items,
		size_t *ret_count, struct sandboxd_error *reterr);
