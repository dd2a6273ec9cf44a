/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whether running commands still do something: output, processor time, input and output of their
 * processes, by the kernel's counters. One that does nothing for [limits] stall_after is told as
 * exec.stalled. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct activity; /* of the daemon: the timer */
struct exec;
struct manager;
struct sandbox;

/* Of one exec, while it runs. */
struct exec_activity {
	pid_t pid; /* its leader as we see it; 0: not found yet */
	uint64_t since;
	uint64_t uts;      /* tells its other processes; 0: nothing does */
	int64_t at_ms;     /* CLOCK_MONOTONIC: the last look */
	int64_t output_at; /* exec_facts.last_output_at_ms then */
	int64_t moved_ms;  /* CLOCK_MONOTONIC: when it did something last, as far as was seen */
	uint64_t cpu_ms;   /* of its processes, then */
	uint64_t io_bytes;
	uint64_t base_cpu_ms; /* these three when it moved last */
	uint64_t base_io_bytes;
	uint64_t base_processes; /* a digest of which there were */
	int64_t cpu_milli; /* thousandths of a processor between the last looks; -1: not known */
	bool stalled;      /* and was told so */
};

/* What a stalled one waits for; NULL: not known. */
struct exec_wait {
	const char *leader;  /* process_waits_on() of its leader */
	const char *name;    /* of the process that it started last, that started last, …; */
	const char *process; /* NULL: it has none. What that waits for. */
};

/* E begins: the timer runs while commands do. */
void exec_activity_begin(struct exec *e);
/* E has ended. */
void exec_activity_end(struct exec *e);
/* Looks at all execs of S now, unless that was just done. */
void exec_activity_look(struct sandbox *s);
/* How E was at the last look; NULL: it does not run, or there was none. */
const struct exec_activity *exec_activity_of(const struct exec *e);

int activity_new(struct manager *m, struct activity **ret);
void activity_free(struct activity *a); /* accepts NULL */
