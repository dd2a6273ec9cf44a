/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper's word counts as far as it fits between asking it and its answer. */

#include "sandbox/launch.h"

#include <stdio.h>

#include "clock.h"
#include "sandbox/sandbox-internal.h"
#include "util/log.h"

#define LINE_SIZE 512

static const char *const names[LAUNCH_STEP_MAX] = {
	[LAUNCH_STEP_BEGUN] = "begun",       [LAUNCH_STEP_CHECKED] = "checked",
	[LAUNCH_STEP_RECORDED] = "recorded", [LAUNCH_STEP_ASKED] = "asked",
	[LAUNCH_STEP_CREATED] = "created",   [LAUNCH_STEP_HELLO] = "hello",
	[LAUNCH_STEP_CLAIM] = "claim",       [LAUNCH_STEP_CLAIMED] = "claimed",
	[LAUNCH_STEP_RUNNING] = "running",
};

static const char *const keeper_names[KEEPER_STEP_MAX] = {
	[KEEPER_STEP_RECEIVED] = "keeper.received", [KEEPER_STEP_CGROUP] = "keeper.cgroup",
	[KEEPER_STEP_WORKER] = "keeper.worker",     [KEEPER_STEP_UPPER] = "keeper.upper",
	[KEEPER_STEP_ROOT] = "keeper.root",         [KEEPER_STEP_BUNDLE] = "keeper.bundle",
	[KEEPER_STEP_RUNTIME] = "keeper.runtime",   [KEEPER_STEP_INIT] = "keeper.init",
	[KEEPER_STEP_FENCED] = "keeper.fenced",
};

struct line {
	int64_t last_us; /* when the step before was done; 0: there is none */
	size_t length;
	char text[LINE_SIZE];
};

/* Steps that were not taken, or not in this order, are left out. */
static void add(struct line *line, const char *name, int64_t at_us)
{
	int n;

	if (at_us <= 0 || at_us < line->last_us)
		return;
	if (line->last_us > 0) {
		n = snprintf(line->text + line->length, LINE_SIZE - line->length, " %s %lld", name,
			     (long long)(at_us - line->last_us));
		if (n < 0 || (size_t)n >= LINE_SIZE - line->length)
			return;
		line->length += (size_t)n;
	}
	line->last_us = at_us;
}

void launch_step(struct launch *l, enum launch_step step)
{
	l->step_us[step] = clock_now_us();
}

void launch_log(const struct sandbox *s)
{
	const struct launch *l = &s->ops->launch;
	struct line line = { .text = "" };
	size_t i, k;

	for (i = 0; i < LAUNCH_STEP_MAX; i++) {
		for (k = 0; i == LAUNCH_STEP_CREATED && k < KEEPER_STEP_MAX; k++)
			if (l->keeper_us[k] <= l->step_us[LAUNCH_STEP_CREATED])
				add(&line, keeper_names[k], l->keeper_us[k]);
		add(&line, names[i], l->step_us[i]);
	}
	log_debug("sandbox %s: %s launch, us of each step:%s", s->facts.name,
		  sandbox_launch_to_string(s->facts.launch), line.text);
}
