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
	/* ITEM is taken. Returns 0 or negative errno, which ends it. */
	int (*add)(struct json_object *item, void *userdata);
	void *userdata;
};

/* Asks for page after page, until there are no more. Returns as sandboxd_call(). */
int client_list(struct sandboxd_client *c, const struct client_list *list,
		struct sandboxd_error *reterr);
