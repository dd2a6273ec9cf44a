/* SPDX-License-Identifier: Apache-2.0 */
/* The child is a subreaper, so whatever it starts and loses comes back to it: killing "children
 * until there are none" is complete. When it ends, what it leaves alive on purpose (a sandbox's
 * init) becomes the keeper's child. A worker that hangs itself is killed by the keeper together
 * with its descendants as /proc shows them. */

#include "worker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dumpable.h"
#include "files.h"
#include "macro.h"

#define PROCESSES_MAX 65536
#define KILL_PASSES 3

struct worker {
	struct worker *next;
	struct workers *all;
	struct worker_job job;
	pid_t pid;
	bool answered;
	struct watch answer;
	struct timer timeout;
};

/* In the child: where worker_answer() writes. */
static int answer_fd = -1;
static pid_t keeper; /* whose child it is, if that lives */

/* ---- finding descendants ---- */

struct process {
	pid_t pid;
	pid_t parent;
	bool doomed;
};

/* The fourth field of stat, behind a name that may hold anything: so from the last parenthesis. */
static pid_t parent_of(int proc, const char *pid)
{
	char path[64], text[512];
	const char *p;

	if (strlen(pid) > 16)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/stat", pid);
	if (file_get_at(proc, path, text, sizeof(text)) <= 0)
		return -1;
	p = strrchr(text, ')');
	return p && strlen(p) > 4 ? (pid_t)strtol(p + 4, NULL, 10) : -1;
}

static size_t list_processes(struct process *list, size_t max)
{
	const struct dirent *e;
	DIR *d = opendir("/proc");
	size_t n = 0;

	if (!d)
		return 0;
	while (n < max && (e = readdir(d))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		list[n].pid = (pid_t)strtol(e->d_name, NULL, 10);
		list[n].parent = parent_of(dirfd(d), e->d_name);
		list[n++].doomed = false;
	}
	(void)closedir(d);
	return n;
}

static bool doom(struct process *list, size_t n, pid_t root)
{
	bool changed = false;
	size_t i, k;

	for (i = 0; i < n; i++) {
		if (list[i].doomed)
			continue;
		for (k = 0; k < n; k++)
			if (list[i].parent == root ||
			    (list[k].doomed && list[k].pid == list[i].parent))
				break;
		if (k < n) {
			list[i].doomed = true;
			changed = true;
		}
	}
	return changed;
}

/* SIGKILL to every descendant of ROOT (not to ROOT). Returns how many there were. */
static size_t kill_descendants(pid_t root)
{
	struct process *list = calloc(PROCESSES_MAX, sizeof(*list));
	size_t i, n, killed = 0;

	if (!list)
		return 0;
	n = list_processes(list, PROCESSES_MAX);
	while (doom(list, n, root))
		;
	for (i = 0; i < n; i++)
		if (list[i].doomed && kill(list[i].pid, SIGKILL) == 0)
			killed++;
	free(list);
	return killed;
}

void worker_kill_children(void)
{
	int status;
	pid_t pid;

	for (;;) {
		(void)kill_descendants(getpid());
		do
			pid = waitpid(-1, &status, 0);
		while (pid < 0 && errno == EINTR);
		if (pid < 0)
			return; /* ECHILD: none left */
	}
}

/* ---- the child ---- */

void worker_answer(const struct worker_result *result)
{
	ssize_t n;

	do
		n = write(answer_fd, result, sizeof(*result)); /* fits a pipe in one piece */
	while (n < 0 && errno == EINTR);
	answer_fd = close_fd(answer_fd);
}

bool worker_is_orphan(void)
{
	return getppid() != keeper;
}

static int compare_int(const void *a, const void *b)
{
	int x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* Closes all but 0, 1, 2 and the listed ones: a pipe's write end kept here would hide its end. */
static void close_others(int *keep, size_t n)
{
	unsigned int from = 3;
	size_t i;

	qsort(keep, n, sizeof(*keep), compare_int);
	for (i = 0; i < n; i++) {
		if (keep[i] < (int)from)
			continue;
		if (keep[i] > (int)from)
			(void)close_range(from, (unsigned int)keep[i] - 1, 0);
		from = (unsigned int)keep[i] + 1;
	}
	(void)close_range(from, ~0U, 0);
}

static void __attribute__((noreturn)) run_child(const struct worker_job *job, int answer)
{
	int keep[WORKER_FDS_MAX + 1];
	sigset_t none;

	memcpy(keep, job->fds, sizeof(job->fds));
	keep[job->n_fds] = answer;
	close_others(keep, job->n_fds + 1);
	dumpable_begin();
	answer_fd = answer;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		_exit(1);
	job->run(job->arg);
	_exit(0);
}

/* ---- the keeper ---- */

static void give_answer(struct worker *w, const struct worker_result *result)
{
	w->answered = true;
	loop_forget(w->all->loop, &w->answer);
	w->answer.fd = close_fd(w->answer.fd);
	timer_cancel(w->all->loop, &w->timeout);
	w->job.on_answer(w->job.owner, result);
}

/* DEAD: it cannot answer any more. */
static void take_answer(struct worker *w, bool dead)
{
	struct worker_result result;
	ssize_t n;

	n = read(w->answer.fd, &result, sizeof(result));
	if (n < 0 && (errno == EAGAIN || errno == EINTR) && !dead)
		return;
	if (n != (ssize_t)sizeof(result)) {
		memset(&result, 0, sizeof(result));
		result.error = -EIO;
		(void)snprintf(result.reason, sizeof(result.reason),
			       "the keeper's worker was killed");
	}
	result.reason[sizeof(result.reason) - 1] = '\0';
	give_answer(w, &result);
}

static void on_answer(void *userdata, uint32_t events)
{
	(void)events;
	take_answer(userdata, false);
}

/* What is killed forks no more, but may have done so after the list was made: that is found by the
 * next pass, as a child of the worker by then. A runtime forks twice. */
void worker_kill(struct worker *w)
{
	int pass;

	for (pass = 0; pass < KILL_PASSES; pass++)
		(void)kill_descendants(w->pid);
	(void)kill(w->pid, SIGKILL);
}

static void on_timeout(void *userdata)
{
	struct worker *w = userdata;
	struct worker_result result = { .error = -ETIMEDOUT };

	(void)snprintf(result.reason, sizeof(result.reason), "no answer in %lld ms",
		       (long long)w->job.timeout_ms);
	worker_kill(w);
	give_answer(w, &result);
}

int worker_start(struct workers *all, const struct worker_job *job, struct worker **ret)
{
	struct worker *w = calloc(1, sizeof(*w));
	int fds[2], r;

	if (!w)
		return -ENOMEM;
	if (pipe2(fds, O_CLOEXEC) < 0) {
		r = -errno;
		free(w);
		return r;
	}
	w->all = all;
	w->job = *job;
	keeper = getpid();
	w->pid = fork();
	if (w->pid < 0) {
		r = -errno;
		(void)close_fd(fds[0]);
		(void)close_fd(fds[1]);
		free(w);
		return r;
	}
	if (w->pid == 0)
		run_child(job, fds[1]);
	(void)close_fd(fds[1]);
	(void)fcntl(fds[0], F_SETFL, O_NONBLOCK); /* cannot fail on a pipe */
	w->answer = (struct watch){ .fd = fds[0], .on_ready = on_answer, .userdata = w };
	w->timeout = (struct timer){ .on_time = on_timeout, .userdata = w };
	(void)loop_watch(all->loop, &w->answer, EPOLLIN); /* else: read when it is reaped */
	if (job->timeout_ms > 0)
		timer_set(all->loop, &w->timeout, job->timeout_ms);
	w->next = all->list;
	all->list = w;
	all->count++;
	if (ret)
		*ret = w;
	return 0;
}

void workers_poll(struct workers *all)
{
	struct worker *w, *next;

	for (w = all->list; w; w = next) {
		next = w->next;
		if (!w->answered)
			take_answer(w, false);
	}
}

bool workers_reap(struct workers *all, pid_t pid)
{
	struct worker **at, *w;

	for (at = &all->list; *at && (*at)->pid != pid; at = &(*at)->next)
		;
	w = *at;
	if (!w)
		return false;
	if (!w->answered)
		take_answer(w, true);
	*at = w->next;
	all->count--;
	w->job.on_end(w->job.owner);
	free(w);
	return true;
}
