/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Parameters: from a JSON object to the struct of params.h that the method's table describes. */

#include <stddef.h>

#include "arena.h"
#include "error.h"
#include "methods.h"

struct json_object;

/* What the decoder has to know of the request. */
struct decode_context {
	struct arena *arena; /* lists go there; strings stay in the JSON, which must live as long */
	size_t fd_count;     /* descriptors that the request took */
	/* Why descriptor INDEX may not be used, or NULL. May itself be NULL: all may. */
	const char *(*fd_refused)(unsigned index, void *userdata);
	void *userdata;
};

/* Fills *RET with a struct of m->params_size in the arena (NULL when the method has no parameters).
 * PARAMS may be NULL: none were given. Returns 0, or -1 with *RETERR: -32602 or, for what this
 * version has not built, -32005, both with the dotted field ("limits.memoryBytes", "command[2]").
 */
int decode_params(const struct method *m, struct json_object *params,
		  const struct decode_context *context, const void **ret, struct error *reterr);
