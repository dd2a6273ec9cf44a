/* SPDX-License-Identifier: Apache-2.0 */
/* A look walks over all files of a sandbox, so it waits for a reason: who is H bytes below the cap
 * cannot have passed it before the file system's free space has changed by about as much. Half of
 * that is taken, for the nearer the cap the smaller are the steps; and because others may free what
 * this one writes, some change is reason enough after FORCED_MS.
 *
 * Over the cap, what is there is not held against a later command, or none could remove it: only
 * growth is. */

#include "sandbox/disk-rule.h"

#define BYTES_PER_MS (1u << 20) /* about 1 GiB/s: as fast as something is thought to write */
#define WAIT_MIN_MS 200
#define WAIT_MAX_MS 5000
#define WAIT_IDLE_MS 2000 /* no command runs: what one has left behind may write */
#define WAIT_COST_MS 30000
#define FORCED_MS 30000
#define COST_FACTOR 10 /* a tenth of one processor at most */

void disk_rule_init(struct disk_rule *r, uint64_t cap, uint64_t free, int64_t now_ms)
{
	*r = (struct disk_rule){ .cap = cap, .free = free, .at_ms = now_ms, .known = true };
}

void disk_rule_restart(struct disk_rule *r)
{
	r->known = false;
	r->settling = false;
	r->allowed = 0;
}

static uint64_t limit_of(const struct disk_rule *r)
{
	uint64_t limit = r->allowed > 0 ? r->allowed + DISK_RULE_SLACK : 0;

	return limit > r->cap ? limit : r->cap;
}

static uint64_t headroom(const struct disk_rule *r)
{
	uint64_t limit = limit_of(r);

	return limit > r->used ? limit - r->used : 0;
}

enum disk_verdict disk_rule_look(struct disk_rule *r, const struct disk_look *look)
{
	bool first = !r->known, settling = r->settling;

	r->used = look->used;
	r->free = look->free;
	r->at_ms = look->at_ms;
	r->took_ms = look->took_ms;
	r->known = true;
	r->settling = false;
	if (look->used <= r->cap) {
		r->allowed = 0;
		return DISK_FINE;
	}
	if (settling)
		r->settling = !look->settled;
	/* a command that passed it and has ended is not to be had any more */
	if (first || settling || (!look->busy && r->allowed == 0)) {
		r->allowed = look->used;
		return DISK_FINE;
	}
	if (look->used <= limit_of(r)) {
		if (look->used < r->allowed)
			r->allowed = look->used; /* what was removed is not given back */
		return DISK_FINE;
	}
	r->allowed = look->used;
	r->settling = look->busy;
	return look->busy ? DISK_END_COMMANDS : DISK_STOP;
}

bool disk_rule_due(const struct disk_rule *r, uint64_t free_now, int64_t now_ms)
{
	uint64_t change = free_now > r->free ? free_now - r->free : r->free - free_now;

	if (!r->known || r->settling)
		return true;
	return change > 0 && (change >= headroom(r) / 2 || now_ms - r->at_ms >= FORCED_MS);
}

int64_t disk_rule_wait(const struct disk_rule *r, bool busy)
{
	uint64_t fill_ms = headroom(r) / BYTES_PER_MS;
	int64_t wait = fill_ms < WAIT_MAX_MS ? (int64_t)fill_ms : WAIT_MAX_MS;
	int64_t cost =
		r->took_ms < WAIT_COST_MS / COST_FACTOR ? r->took_ms * COST_FACTOR : WAIT_COST_MS;

	if (!busy && r->known && !r->settling)
		wait = WAIT_IDLE_MS;
	if (wait < WAIT_MIN_MS)
		wait = WAIT_MIN_MS;
	return wait > cost ? wait : cost;
}
