/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One build of the debian template, by the keeper (KEEPER_ROOT_BUILD). */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "util/sha256.h"

struct debian;
struct manager;

struct debian_config {
	struct manager *manager;
	uid_t owner;             /* whose keeper and templates directory */
	const char *suite;       /* copied, as are the layers */
	const char *layer;       /* directory to be made */
	const char *stale_layer; /* one that is removed first; NULL: none */
	/* A sentence, from time to time. */
	void (*on_progress)(const char *message, void *userdata);
	/* Once, never from inside debian_new(): with E NULL the layer is there, else nothing of it
	 * is. The build is gone when this returns. */
	void (*on_ended)(uint64_t size_bytes, struct error *e, void *userdata);
	void *userdata;
};

/* The suite of "debian" or "debian@SUITE" (borrowed), or NULL: NAME is another template's. */
const char *debian_suite(const char *name);
/* Whether that can be built: 0, or -1 with *RETERR (field template). */
int debian_check(const char *suite, struct error *reterr);
void debian_digest(const char *suite, char ret[static SHA256_TEXT_SIZE]);

/* Returns 0, or -1 with *RETERR. */
int debian_new(struct debian **ret, const struct debian_config *config, struct error *reterr);
/* Nobody wants it any more: on_ended follows with CANCELLED, or, when it was nearly done, without.
 */
void debian_cancel(struct debian *d);
/* Only when the daemon ends. */
void debian_free(struct debian *d);
