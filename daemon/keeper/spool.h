/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The spooler: output of execs comes through pipes that the keeper makes and is appended to files
 * in the owner's spool directory. It goes on when sandboxd does not listen. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "ids.h"
#include "link.h"
#include "loop.h"
#include "spool-cover.h"

struct spool;
LIST_HEAD(spool_list, spool);

#define SPOOL_BUCKETS 512

struct spools {
	struct loop *loop;
	struct link *link;
	const struct ids *ids;
	int dir;
	struct spool_list list;
	struct spool_list by_exec[SPOOL_BUCKETS];
	struct spool_covers covers;
	size_t count;
	uint8_t *buffer;                   /* for what cannot be spliced */
	void (*on_change)(void *userdata); /* count changed */
	void *userdata;
};

int spools_init(struct spools *s, struct loop *loop, struct link *link, const struct ids *ids);
/* Closes all of them; files stay. */
void spools_deinit(struct spools *s);

/* The requests; each is answered through the link, FINISH when it is finished. M holds at
 * least the request's struct. */
void spools_open(struct spools *s, struct wire_message *m);
void spools_finish(struct spools *s, struct wire_message *m);
void spools_remove(struct spools *s, struct wire_message *m);
void spools_hold(struct spools *s, struct wire_message *m);
void spools_adopt(struct spools *s, struct wire_message *m);
void spools_drop_stdin(struct spools *s, struct wire_message *m);
void spools_mask(struct spools *s, struct wire_message *m);
/* Calls FN with the name of each until it returns false. Returns whether it never did. */
bool spools_each(const struct spools *s, bool (*fn)(const char *exec, void *userdata),
		 void *userdata);

/* The link takes events again. */
void spools_flush(struct spools *s);
