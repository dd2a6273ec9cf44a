/* SPDX-License-Identifier: Apache-2.0 */
/* epoll, one event at a time: a callback may then forget any other watch without a stale event
 * behind it, and level-triggered readiness rotates, so nobody starves. Children are told by
 * SIGCHLD and waitpid(-1), because as subreaper we also get those that nobody registered. */

#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "macro.h"

/* True: WHICH, or one of all (-1), had ended. */
static bool reap(struct loop *l, pid_t which)
{
	int status;
	pid_t pid;

	do
		pid = waitpid(which, &status, WNOHANG);
	while (pid < 0 && errno == EINTR);
	if (pid > 0)
		l->on_child(l->userdata, pid, status);
	return pid > 0;
}

/* Several that end at once may be one signal. The kernel finds the one that this names directly,
 * and looks through all the others (a thousand inits) to say that no more have ended. */
static void on_signal(void *userdata, uint32_t events)
{
	struct loop *l = userdata;
	struct signalfd_siginfo info;
	bool ended = false;

	(void)events;
	while (read(l->signals.fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		ended = ended || info.ssi_signo == SIGCHLD;
		if (info.ssi_signo == SIGCHLD)
			(void)reap(l, (pid_t)info.ssi_pid);
		else
			l->on_terminate(l->userdata);
	}
	while (ended && reap(l, -1))
		;
}

int loop_init(struct loop *l)
{
	sigset_t set;

	l->timers = NULL;
	l->stop = false;
	l->signals = (struct watch){ .fd = -1, .on_ready = on_signal, .userdata = l };
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0)
		return -errno;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	l->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (l->signals.fd < 0)
		return -errno;
	return loop_watch(l, &l->signals, EPOLLIN);
}

void loop_deinit(struct loop *l)
{
	l->signals.fd = close_fd(l->signals.fd);
	l->epoll = close_fd(l->epoll);
}

static int control(struct loop *l, int op, struct watch *w, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = w };

	return epoll_ctl(l->epoll, op, w->fd, &e) < 0 ? -errno : 0;
}

int loop_watch(struct loop *l, struct watch *w, uint32_t events)
{
	int r = control(l, EPOLL_CTL_ADD, w, events);

	w->active = r == 0;
	return r;
}

int loop_change(struct loop *l, struct watch *w, uint32_t events)
{
	return control(l, EPOLL_CTL_MOD, w, events);
}

void loop_forget(struct loop *l, struct watch *w)
{
	if (w->active)
		(void)control(l, EPOLL_CTL_DEL, w, 0); /* it was added; nothing else can fail */
	w->active = false;
}

void timer_cancel(struct loop *l, struct timer *t)
{
	struct timer **at;

	if (!t->armed)
		return;
	for (at = &l->timers; *at; at = &(*at)->next)
		if (*at == t) {
			*at = t->next;
			break;
		}
	t->armed = false;
	t->next = NULL;
}

void timer_set(struct loop *l, struct timer *t, int64_t ms)
{
	struct timer **at;

	timer_cancel(l, t);
	t->at = clock_now_ms() + ms;
	t->armed = true;
	for (at = &l->timers; *at && (*at)->at <= t->at; at = &(*at)->next)
		;
	t->next = *at;
	*at = t;
}

static void run_timers(struct loop *l)
{
	int64_t now = clock_now_ms();
	struct timer *t;

	while (l->timers && l->timers->at <= now) {
		t = l->timers;
		timer_cancel(l, t);
		t->on_time(t->userdata);
	}
}

/* One round that waits for at most MS (-1: as long as the timers say). */
static int loop_once(struct loop *l, int ms)
{
	struct epoll_event e;
	struct watch *w;
	int64_t wait;
	int n;

	if (l->timers) {
		wait = l->timers->at - clock_now_ms();
		wait = wait < 0 ? 0 : wait;
		if (ms < 0 || wait < ms)
			ms = (int)(wait > 3600000 ? 3600000 : wait);
	}
	n = epoll_wait(l->epoll, &e, 1, ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 1) {
		w = e.data.ptr;
		w->on_ready(w->userdata, e.events);
	}
	run_timers(l);
	return 0;
}

int loop_run(struct loop *l)
{
	int r = 0;

	while (!l->stop && r >= 0)
		r = loop_once(l, -1);
	return r;
}
