/* SPDX-License-Identifier: Apache-2.0 */
/* Every process of an exec descends from its leader and can neither leave nor forge the leader's
 * UTS namespace. When the leader is dead, each living process of the exec hangs below a child of
 * init that carries the same mark: so "nothing is left" is decided by init's children alone, which
 * only init can reap. Killing walks all of /proc, again and again, until that is true. */

#include "init/leftovers.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

#define FREEZE_AFTER_MS 200 /* a kill that takes longer fights a fork bomb */
#define COUNT_MS_MAX 50     /* for the count of what is left; init has other work */
#define ROOT_ROUNDS 8
#define IDLE_MS_MAX 20

enum verdict { VERDICT_NONE, VERDICT_FOUND, VERDICT_AGAIN };

static pid_t next_child(struct tree *t)
{
	return t->children.fd >= 0 ? scan_text(&t->children) : scan_directory(&t->processes);
}

static void rewind_children(struct tree *t)
{
	scan_rewind(t->children.fd >= 0 ? &t->children : &t->processes);
}

/* One look at init's children. *SIZE is how many there were before and then are now: nobody but us
 * removes one and new ones come last, so an unchanged count means that no zombie among them handed
 * children over to init meanwhile. */
static enum verdict look_for_root(struct tree *t, struct jobs *j, uint64_t mark, size_t *size)
{
	size_t count = 0, dead = 0, dying = 0;
	uint64_t its = 0;
	pid_t pid;
	bool settled;
	int r;

	rewind_children(t);
	while ((pid = next_child(t)) > 0) {
		count++;
		if (pid == getpid() || jobs_find_leader(j, pid))
			continue;
		r = tree_mark(t, pid, &its);
		if (r == -EACCES || (r == 0 && its == mark))
			return VERDICT_FOUND;
		dead += r == -ENOENT;
		dying += r == -EAGAIN;
	}
	settled = dying == 0 && (dead == 0 || count == *size);
	*size = count;
	return settled ? VERDICT_NONE : VERDICT_AGAIN;
}

static bool has_root(struct tree *t, struct jobs *j, uint64_t mark)
{
	enum verdict v = VERDICT_AGAIN;
	size_t size = SIZE_MAX;
	int i;

	for (i = 0; i < ROOT_ROUNDS && v == VERDICT_AGAIN; i++)
		v = look_for_root(t, j, mark, &size);
	return v != VERDICT_NONE; /* never calm: something lives */
}

uint32_t leftovers_alive(struct tree *t, struct jobs *j, const struct job *job)
{
	const int64_t end = clock_now_ms() + COUNT_MS_MAX;
	uint32_t count = 0;
	uint64_t its = 0;
	pid_t pid;
	int r;

	if (job->mark == 0 || !has_root(t, j, job->mark))
		return 0;
	scan_rewind(&t->processes);
	while ((pid = scan_directory(&t->processes)) > 0 && clock_now_ms() < end) {
		if (pid == getpid() || jobs_find_leader(j, pid))
			continue;
		r = tree_mark(t, pid, &its);
		count += r == -EACCES || (r == 0 && its == job->mark);
	}
	return count > 0 ? count : 1;
}

void leftovers_signal(struct tree *t, const struct job *job, int signal)
{
	uint64_t its = 0;
	pid_t pid;

	scan_rewind(&t->processes);
	while ((pid = scan_directory(&t->processes)) > 0)
		if (pid != getpid() && tree_mark(t, pid, &its) == 0 && its == job->mark)
			(void)kill(pid, signal); /* it may be gone by now */
}

/* The job under way that PID is to die for. One whose mark nobody can read may belong to any, and
 * dies with the first, unless it is the leader of another. */
static struct job *owner_of(struct jobs *j, pid_t pid, uint64_t mark, bool readable)
{
	const struct job *leader = jobs_find_leader(j, pid);
	struct job *job;
	size_t i;

	for (i = 0; i < j->count; i++) {
		job = &j->entries[i];
		if (!job->killing)
			continue;
		if (readable ? job->mark == mark && mark != 0 : !leader || leader == job)
			return job;
	}
	return NULL;
}

static void count_victim(struct killer *k, struct job *job, pid_t pid)
{
	uint8_t *byte = &k->seen[((unsigned)pid / 8) % sizeof(k->seen)];
	uint8_t bit = (uint8_t)(1u << ((unsigned)pid % 8));

	if ((*byte & bit) != 0)
		return;
	*byte |= bit;
	k->progress = true;
	if (!job->running || pid != job->pid)
		job->killed++;
}

static void visit(struct killer *k, struct tree *t, struct jobs *j, pid_t pid)
{
	struct job *job;
	uint64_t mark = 0;
	int r;

	if (pid == getpid())
		return;
	r = tree_mark(t, pid, &mark);
	if (r < 0 && r != -EACCES)
		return;
	job = owner_of(j, pid, mark, r == 0);
	if (!job)
		return;
	(void)kill(pid, SIGKILL); /* gone already: so much the better */
	count_victim(k, job, pid);
}

/* Does JOB own everything that lives here? */
static bool is_alone(const struct jobs *j, const struct job *job)
{
	const struct job *other;
	size_t i;

	if (j->strays)
		return false;
	for (i = 0; i < j->count; i++) {
		other = &j->entries[i];
		if (other != job && (other->running || (other->exited.alive > 0 && !other->gone)))
			return false;
	}
	return true;
}

/* Marks the kills that are done. Returns whether others are still under way. */
static bool finish(struct tree *t, struct jobs *j)
{
	bool more = false;
	struct job *job;
	size_t i;

	for (i = 0; i < j->count; i++) {
		job = &j->entries[i];
		if (!job->killing)
			continue;
		job->gone = !job->running && (job->mark == 0 || !has_root(t, j, job->mark));
		job->killing = !job->gone;
		more = more || job->killing;
	}
	return more;
}

/* Everything that is to die is all there is: then it dies at once. Else everybody is stopped, so
 * that what forks faster than we kill, or leaves us no processor, holds still while we choose. One
 * system call either way, which no fork can outrun. Others sleep for some milliseconds, and one
 * that was stopped before wakes up: the price of an end that is certain. */
static void freeze(struct killer *k, const struct jobs *j)
{
	size_t i;

	if (getpid() != 1)
		return; /* never: there "everybody" is the whole machine */
	for (i = 0; i < j->count; i++)
		if (j->entries[i].killing && is_alone(j, &j->entries[i])) {
			(void)kill(-1, SIGKILL);
			return;
		}
	if (k->held)
		return; /* they do hold still */
	(void)kill(-1, SIGSTOP);
	k->frozen = true;
}

static void thaw(struct killer *k)
{
	if (k->frozen)
		(void)kill(-1, SIGCONT); /* frozen: so we are PID 1 */
	k->frozen = false;
	k->since_ms = clock_now_ms();
}

void leftovers_hold(struct killer *k, bool held)
{
	if (held)
		thaw(k);
	k->held = held;
}

static void begin_sweep(struct killer *k, struct tree *t)
{
	k->walking = true;
	k->progress = false;
	scan_rewind(&t->sweep);
}

/* What has its signal but is still dying deep in the kernel tells nobody when it is done: so the
 * delay grows while nothing new is found. */
static int end_sweep(struct killer *k)
{
	k->walking = false;
	k->idle = k->progress ? 0 : k->idle + 1;
	if (k->frozen)
		thaw(k);
	return k->idle < IDLE_MS_MAX ? k->idle : IDLE_MS_MAX;
}

void leftovers_kill(struct killer *k, struct job *job)
{
	if (!k->active) {
		k->active = true;
		k->walking = k->frozen = false;
		k->idle = 0;
		k->since_ms = clock_now_ms();
		memset(k->seen, 0, sizeof(k->seen));
	}
	job->killing = true;
	if (job->running) {
		(void)kill(-job->pid, SIGKILL); /* its group; none when it left it */
		(void)kill(job->pid, SIGKILL);
	}
}

int leftovers_step(struct killer *k, struct tree *t, struct jobs *j, unsigned budget)
{
	pid_t pid;

	if (!k->active)
		return -1;
	k->active = finish(t, j);
	if (!k->active) {
		thaw(k);
		return -1;
	}
	if (!k->frozen && k->idle == 0 && clock_now_ms() - k->since_ms > FREEZE_AFTER_MS) {
		freeze(k, j);
		k->walking = false;
	}
	if (!k->walking)
		begin_sweep(k, t);
	for (; budget > 0; budget--) {
		pid = scan_directory(&t->sweep);
		if (pid == 0)
			return end_sweep(k);
		visit(k, t, j, pid);
	}
	return 0;
}
