/* SPDX-License-Identifier: Apache-2.0 */
/* Freezing a box. The kernel may take some milliseconds, in which the keeper has other work. */

#include <errno.h>

#include "box.h"
#include "clock.h"
#include "keeper.h"

#define FREEZE_STEP_MS 2

static void finish(struct box *b, int error)
{
	struct box_freeze *f = &b->freeze;

	timer_cancel(&b->keeper->loop, &f->again);
	link_reply(&b->keeper->link, f->type, f->serial, error);
	f->type = 0;
}

static void thaw(struct box *b)
{
	/* nothing can be done if that fails; the cgroup is gone then */
	(void)cgroup_freeze_begin(&b->keeper->cgroups, b->job.name, false);
	b->freeze.frozen = false;
}

static void look(void *userdata)
{
	struct box *b = userdata;
	struct box_freeze *f = &b->freeze;
	bool freeze = f->type == KEEPER_FREEZE;
	int r = cgroup_freeze_done(&b->keeper->cgroups, b->job.name, freeze);

	if (r == 0 && clock_now_ms() < f->until) {
		timer_set(&b->keeper->loop, &f->again, FREEZE_STEP_MS);
		return;
	}
	if (r == 0)
		r = -ETIMEDOUT;
	if (r < 0 && freeze)
		thaw(b);
	if (r > 0)
		f->frozen = freeze;
	finish(b, r < 0 ? r : 0);
}

void box_freeze_init(struct box *b)
{
	b->freeze.again = (struct timer){ .on_time = look, .userdata = b };
}

void box_freeze(struct box *b, uint16_t type, uint64_t serial)
{
	struct box_freeze *f = &b->freeze;
	bool freeze = type == KEEPER_FREEZE;
	int r = f->type == 0 ? 0 : -EBUSY;

	if (r == 0)
		r = cgroup_freeze_begin(&b->keeper->cgroups, b->job.name, freeze);
	if (r < 0) {
		link_reply(&b->keeper->link, type, serial, r);
		return;
	}
	f->frozen = true; /* until it is known to be thawed */
	f->type = type;
	f->serial = serial;
	f->until = clock_now_ms() + KEEPER_FREEZE_MAX_MS;
	look(b);
}

void box_thaw_to_die(struct box *b)
{
	if (b->freeze.type != 0)
		finish(b, -ESRCH);
	if (b->freeze.frozen)
		thaw(b);
}

void box_freeze_cancel(struct box *b)
{
	if (b->freeze.type != 0)
		finish(b, -ESRCH);
}
