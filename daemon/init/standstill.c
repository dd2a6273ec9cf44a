/* SPDX-License-Identifier: Apache-2.0 */
/* A process that waits for what it started with vfork() shows as D for as long as that is stopped,
 * so D counts as standing still: what sleeps in the kernel stops on its way out. */

#include "init/standstill.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

#define STOP_MS_MAX 1000 /* a signal is taken in microseconds; a busy machine needs a turn each */
#define STOP_STEP_NS 1000000

static bool is_kept(const struct standstill *s, pid_t pid)
{
	size_t i;

	for (i = 0; i < s->n_kept; i++)
		if (s->kept[i] == pid)
			return true;
	return false;
}

static void note_stopped(struct standstill *s, struct tree *t)
{
	pid_t pid;

	s->n_kept = 0;
	scan_rewind(&t->processes);
	while ((pid = scan_directory(&t->processes)) > 0) {
		if (pid == getpid() || tree_state(t, pid) != 'T')
			continue;
		if (s->n_kept < STANDSTILL_KEPT_MAX)
			s->kept[s->n_kept] = pid;
		s->n_kept++;
	}
}

static bool all_stand_still(struct tree *t)
{
	pid_t pid;

	scan_rewind(&t->processes);
	while ((pid = scan_directory(&t->processes)) > 0)
		if (pid != getpid() && !tree_stands_still(t, pid))
			return false;
	return true;
}

int standstill_begin(struct standstill *s, struct tree *t)
{
	static const struct timespec step = { .tv_nsec = STOP_STEP_NS };
	const int64_t end = clock_now_ms() + STOP_MS_MAX;

	if (getpid() != 1)
		return -EOPNOTSUPP;
	if (s->on)
		return 0;
	note_stopped(s, t);
	s->on = true;
	for (;;) {
		(void)kill(-1, SIGSTOP); /* ESRCH: there is nobody */
		if (all_stand_still(t))
			return 0;
		if (clock_now_ms() > end)
			break;
		(void)nanosleep(&step, NULL); /* cut short: looked at once more */
	}
	standstill_end(s, t);
	return -ETIMEDOUT;
}

void standstill_end(struct standstill *s, struct tree *t)
{
	pid_t pid;

	if (!s->on)
		return;
	s->on = false;
	if (s->n_kept == 0 || s->n_kept > STANDSTILL_KEPT_MAX) {
		(void)kill(-1, SIGCONT); /* on: so we are PID 1 */
		return;
	}
	scan_rewind(&t->processes);
	while ((pid = scan_directory(&t->processes)) > 0)
		if (pid != getpid() && !is_kept(s, pid))
			(void)kill(pid, SIGCONT); /* it may have been killed meanwhile */
}
