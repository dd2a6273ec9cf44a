/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* When to look how much a sandbox has written, and what follows from it. Numbers only; disk-watch.c
 * looks and acts. */

#include <stdbool.h>
#include <stdint.h>

#define DISK_RULE_SLACK (1u << 20) /* removing files may take some blocks first */

struct disk_rule {
	uint64_t cap;     /* limits.diskBytes */
	uint64_t used;    /* at the last look */
	uint64_t free;    /* of the file system, just before it */
	uint64_t allowed; /* when over the cap: what was there when that was found; else 0 */
	int64_t at_ms;    /* when it began, CLOCK_MONOTONIC */
	int64_t took_ms;
	bool known;    /* there was a look */
	bool settling; /* commands are being ended, and may write until they are */
};

/* One look: begun at AT_MS with FREE bytes free, it found USED. BUSY: commands run. SETTLED: when
 * it began none ran that was being ended. */
struct disk_look {
	uint64_t used;
	uint64_t free;
	int64_t at_ms;
	int64_t took_ms;
	bool busy;
	bool settled;
};

enum disk_verdict {
	DISK_FINE,
	DISK_END_COMMANDS, /* they write beyond the cap */
	DISK_STOP,         /* something else does */
};

/* An empty sandbox, when FREE bytes are free. */
void disk_rule_init(struct disk_rule *r, uint64_t cap, uint64_t free, int64_t now_ms);
/* It starts with what it had written: that is found by the first look, and held against nobody. */
void disk_rule_restart(struct disk_rule *r);
enum disk_verdict disk_rule_look(struct disk_rule *r, const struct disk_look *look);
/* Whether a look may find something new: enough has changed on the file system. */
bool disk_rule_due(const struct disk_rule *r, uint64_t free_now, int64_t now_ms);
/* Milliseconds until that is to be asked next. */
int64_t disk_rule_wait(const struct disk_rule *r, bool busy);
