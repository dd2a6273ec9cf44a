/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How long each step of a create took: for the log, at level debug (docs/bench.md). */

#include <stdint.h>

#include "keeper-wire.h"

struct sandbox;

/* In this order. A claim of a spare goes from RECORDED to CLAIM; START begins at RECORDED. */
enum launch_step {
	LAUNCH_STEP_BEGUN,
	LAUNCH_STEP_CHECKED,  /* the request */
	LAUNCH_STEP_RECORDED, /* in the store */
	LAUNCH_STEP_ASKED,    /* the keeper */
	LAUNCH_STEP_CREATED,  /* the keeper has answered */
	LAUNCH_STEP_HELLO,    /* of init */
	LAUNCH_STEP_CLAIM,    /* sent */
	LAUNCH_STEP_CLAIMED,
	LAUNCH_STEP_RUNNING, /* as the store knows */
	LAUNCH_STEP_MAX
};

struct launch {
	int64_t step_us[LAUNCH_STEP_MAX]; /* when each was done, CLOCK_MONOTONIC; 0: not */
	int64_t keeper_us[KEEPER_STEP_MAX];
};

void launch_step(struct launch *l, enum launch_step step);
/* One line of the log; the op at the head of S is its create or start. */
void launch_log(const struct sandbox *s);
