/* SPDX-License-Identifier: Apache-2.0 */
/* A plain array: at most 512 entries, mostly a handful, and pages that were never used cost
 * nothing. */

#include "init/jobs.h"

#include <string.h>
#include <sys/wait.h>

struct job *jobs_add(struct jobs *j, uint64_t id, pid_t pid, uint64_t mark)
{
	struct job *job;
	size_t i;

	if (j->count == INIT_EXECS_MAX)
		return NULL;
	for (i = 0; i < j->count; i++)
		if (j->entries[i].mark == mark)
			j->entries[i].mark = 0;
	job = &j->entries[j->count++];
	memset(job, 0, sizeof(*job));
	job->id = id;
	job->pid = pid;
	job->mark = mark;
	job->running = true;
	return job;
}

struct job *jobs_find(struct jobs *j, uint64_t id)
{
	size_t i;

	for (i = 0; i < j->count; i++)
		if (j->entries[i].id == id)
			return &j->entries[i];
	return NULL;
}

struct job *jobs_find_leader(struct jobs *j, pid_t pid)
{
	size_t i;

	for (i = 0; i < j->count; i++)
		if (j->entries[i].running && j->entries[i].pid == pid)
			return &j->entries[i];
	return NULL;
}

void jobs_forget(struct jobs *j, struct job *job)
{
	if (job->exited.alive > 0)
		j->strays = true;
	j->count--;
	if (job != &j->entries[j->count])
		*job = j->entries[j->count];
}

static uint64_t microseconds(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

void job_end(struct job *job, int status, const struct rusage *usage)
{
	struct init_exited *e = &job->exited;

	job->running = false;
	job->fresh = true;
	e->exec = job->id;
	e->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	e->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	e->cpu_usec = microseconds(&usage->ru_utime) + microseconds(&usage->ru_stime);
	e->max_rss_bytes = (uint64_t)usage->ru_maxrss * 1024;
}
