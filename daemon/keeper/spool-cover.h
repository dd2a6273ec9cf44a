/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What no spool of a sandbox must hold. A secret that one command was lent others there can read,
 * from its file and perhaps from its environment; so all are looked at. When the last of them has
 * ended nobody knows it any more, and it is forgotten; but one who was lent it without having a
 * spool is not seen to end, and then it stays as long as the sandbox runs. */

#include <stdbool.h>
#include <sys/queue.h>

#include "bounds.h"

struct masks;

struct spool_cover {
	LIST_ENTRY(spool_cover) entry;
	struct masks *masks;
	unsigned spools; /* that point here */
	bool stays;      /* when the last one has gone */
	char sandbox[NAME_LENGTH_MAX + 1];
};

#define SPOOL_COVER_BUCKETS 64
LIST_HEAD(spool_cover_list, spool_cover);

struct spool_covers {
	struct spool_cover_list by_sandbox[SPOOL_COVER_BUCKETS];
};

/* That of SANDBOX, or NULL: nothing is to be covered yet. */
struct spool_cover *spool_cover_find(const struct spool_covers *all, const char *sandbox);
/* With what FD (mask.h; borrowed) says. Sets *RET, borrowed until its last spool leaves it. Returns
 * 1 if SANDBOX had none before, 0, -EBADMSG or another negative errno. */
int spool_cover_add(struct spool_covers *all, const char *sandbox, int fd,
		    struct spool_cover **ret);
/* SANDBOX has ended. */
void spool_cover_end(struct spool_covers *all, const char *sandbox);
/* A spool points to C, or not any more; NULL is fine. */
struct spool_cover *spool_cover_use(struct spool_cover *c);
void spool_cover_leave(struct spool_cover *c);
void spool_covers_deinit(struct spool_covers *all);
