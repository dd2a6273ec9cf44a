/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One build of a tool's layer: a sandbox of our own, the tool's steps in it, its changes saved. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "sandbox/tool.h"

struct build;
struct manager;

struct build_config {
	struct manager *manager;
	uid_t owner;               /* whose keeper and templates directory */
	uid_t peer;                /* who asked first */
	struct tool_choice choice; /* copied */
	const char *layer;         /* directory to be made; copied */
	const char *stale_layer;   /* one that is removed first; NULL: none; copied */
	/* A sentence, from time to time. */
	void (*on_progress)(const char *message, void *userdata);
	/* Once, never from inside build_new(): with E NULL the layer is there, else nothing of it
	 * is. The build is gone when this returns. */
	void (*on_ended)(uint64_t size_bytes, struct error *e, void *userdata);
	void *userdata;
};

/* Returns 0, or -1 with *RETERR. */
int build_new(struct build **ret, const struct build_config *config, struct error *reterr);
/* Nobody wants it any more: what runs is ended, on_ended follows with CANCELLED (or, when it was
 * nearly done, without). */
void build_cancel(struct build *b);
/* It has failed or was cancelled and is being cleaned up: nobody should wait for it any more. */
bool build_is_over(const struct build *b);
/* Only when the daemon ends. Returns NULL. */
struct build *build_free(struct build *b);
