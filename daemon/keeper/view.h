/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A second view of a running sandbox: a mount namespace in which everything that is not the
 * sandbox's own is read-only, but for directories of one workspace, and, if wanted, a network
 * namespace with nothing but lo. Commands enter it before they start. */

#include <stddef.h>
#include <sys/types.h>

#include "release.h"
#include "wire.h"

#define VIEW_OWN_MAX 16
#define VIEW_REASON_MAX 512

/* The file systems that were made for the sandbox, as found before anything ran in it. */
struct view_own {
	size_t count;
	dev_t devices[VIEW_OWN_MAX];
};

/* Inside the sandbox, before its first command. Returns 0 or negative errno. */
int view_note_own(struct view_own *own);
/* Another one. Returns 0 or -E2BIG. */
int view_add_own(struct view_own *own, dev_t device);

void view_drop_own(struct view_own *own, dev_t device);

struct view_target {
	int pidfd;
	const struct view_own *own;
	const struct release *release; /* what was claimed: the workspaces as they are */
};

/* M is a received KEEPER_VIEW. Returns 0 and the namespaces in *RET_MOUNTS and *RET_NETWORK (-1:
 * not asked for), or negative errno with a sentence in REASON. */
int view_make(const struct view_target *t, const struct wire_message *m, int *ret_mounts,
	      int *ret_network, char *reason);
