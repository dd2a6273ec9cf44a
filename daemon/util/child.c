/* SPDX-License-Identifier: Apache-2.0 */
/* Each child has one event on its pidfd. child_free() of a living child kills it and leaves the
 * object "detached": the event alone owns it then, reaps the process and frees it. A process that
 * somebody else started is only watched: it is another's to reap, and nobody learns how it ended.
 */

#include "util/child.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_FDS_MAX 8
/* Copies go above every target number, so that no dup2 overwrites one. */
#define CHILD_FD_FLOOR 16
#define CHILD_BROKEN 255 /* how a copy of us ends that could not begin */

struct child {
	struct event *event;
	pid_t pid;
	int pidfd;
	bool foreign; /* not our child */
	bool reaped;  /* or, if foreign, seen to have ended */
	child_ended *ended;
	void *userdata;
};

static void child_destroy(struct child *c)
{
	if (!c)
		return;
	if (c->event)
		event_free(c->event);
	(void)close_fd(c->pidfd);
	free(c);
}
DEFINE_CLEANUP(struct child *, child_destroy);

static void on_exit_event(evutil_socket_t fd, short events, void *userdata)
{
	struct child *c = userdata;
	siginfo_t info = { .si_pid = 0 };

	(void)events;
	if (!c->foreign &&
	    (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0))
		return;
	c->reaped = true;
	(void)event_del(c->event); /* a pidfd of a dead process stays readable */
	if (c->ended)
		c->ended(c, info.si_code == CLD_EXITED, info.si_status, c->userdata);
	else
		child_destroy(c);
}

static int add_fds(posix_spawn_file_actions_t *actions, const struct child_config *config,
		   int copies[CHILD_FDS_MAX])
{
	size_t i;

	for (i = 0; i < config->n_fds; i++) {
		int fd = config->fds[i];

		if (fd >= 0)
			copies[i] = fcntl(fd, F_DUPFD_CLOEXEC, CHILD_FD_FLOOR);
		else
			copies[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (copies[i] < 0)
			return -errno;
		if (posix_spawn_file_actions_adddup2(actions, copies[i], (int)i) != 0)
			return -ENOMEM;
	}
	return 0;
}

static int spawn(const struct child_config *config, const posix_spawn_file_actions_t *actions,
		 pid_t *ret)
{
	posix_spawnattr_t attributes;
	sigset_t all, none;
	int r;

	if (posix_spawnattr_init(&attributes) != 0)
		return -ENOMEM;
	(void)sigfillset(&all);
	(void)sigemptyset(&none);
	(void)posix_spawnattr_setsigdefault(&attributes, &all);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
							    POSIX_SPAWN_SETSID);
	/* posix_spawn's prototype lacks const for historical reasons only */
	r = -posix_spawn(ret, config->argv[0], actions, &attributes,
			 (char *const *)(uintptr_t)config->argv,
			 config->envp ? (char *const *)(uintptr_t)config->envp : environ);
	(void)posix_spawnattr_destroy(&attributes);
	return r;
}

static int spawn_with_fds(const struct child_config *config, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	int copies[CHILD_FDS_MAX];
	size_t i;
	int r;

	if (config->n_fds > CHILD_FDS_MAX)
		return -EINVAL;
	for (i = 0; i < CHILD_FDS_MAX; i++)
		copies[i] = -1;
	if (posix_spawn_file_actions_init(&actions) != 0)
		return -ENOMEM;
	r = add_fds(&actions, config, copies);
	if (r == 0)
		r = spawn(config, &actions, ret);
	(void)posix_spawn_file_actions_destroy(&actions);
	for (i = 0; i < CHILD_FDS_MAX; i++)
		(void)close_fd(copies[i]);
	return r;
}

/* Of C, which has a pid; ends it if it cannot. */
static int watch_own(struct child *c, const struct child_config *config)
{
	c->pidfd = pidfd_open(c->pid, 0);
	if (c->pidfd >= 0)
		c->event =
			event_new(config->base, c->pidfd, EV_READ | EV_PERSIST, on_exit_event, c);
	if (!c->event || event_add(c->event, NULL) < 0) {
		(void)kill(c->pid, SIGKILL); /* not reaped, so the number is still ours */
		(void)waitpid(c->pid, NULL, 0);
		return -ENOMEM;
	}
	return 0;
}

int child_start(struct child **ret, const struct child_config *config)
{
	CLEANUP(child_destroyp) struct child *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->pidfd = -1;
	c->ended = config->ended;
	c->userdata = config->userdata;
	r = spawn_with_fds(config, &c->pid);
	if (r == 0)
		r = watch_own(c, config);
	if (r == 0)
		*ret = TAKE_PTR(c);
	return r;
}

/* Ends the process if it cannot. */
static void take_fds(const struct child_config *config)
{
	int copies[CHILD_FDS_MAX];
	size_t i;

	for (i = 0; i < config->n_fds; i++) {
		copies[i] = config->fds[i] >= 0 ? fcntl(config->fds[i], F_DUPFD, CHILD_FD_FLOOR)
						: open("/dev/null", O_RDWR);
		if (copies[i] < 0)
			_exit(CHILD_BROKEN);
	}
	for (i = 0; i < config->n_fds; i++)
		if (dup2(copies[i], (int)i) < 0)
			_exit(CHILD_BROKEN);
	/* ours may be what somebody waits for the end of */
	if (close_range((unsigned)config->n_fds, ~0u, 0) < 0)
		_exit(CHILD_BROKEN);
}

static void __attribute__((noreturn))
be_copy(const struct child_config *config, pid_t parent, child_main *run, void *argument)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(CHILD_BROKEN);
	take_fds(config);
	_exit(run(argument));
}

int child_fork(struct child **ret, const struct child_config *config, child_main *run,
	       void *argument)
{
	CLEANUP(child_destroyp) struct child *c = calloc(1, sizeof(*c));
	pid_t parent = getpid();
	sigset_t all, before;
	int r;

	if (!c)
		return -ENOMEM;
	c->pidfd = -1;
	if (config->n_fds > CHILD_FDS_MAX)
		return -EINVAL;
	c->ended = config->ended;
	c->userdata = config->userdata;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before); /* our handlers write to our own pipes */
	c->pid = fork();
	if (c->pid == 0)
		be_copy(config, parent, run, argument);
	r = c->pid < 0 ? -errno : 0;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		r = watch_own(c, config);
	if (r == 0)
		*ret = TAKE_PTR(c);
	return r;
}

int child_watch(struct child **ret, const struct child_config *config, pid_t pid, int pidfd)
{
	CLEANUP(child_destroyp) struct child *c = calloc(1, sizeof(*c));

	if (!c) {
		(void)close_fd(pidfd);
		return -ENOMEM;
	}
	c->pid = pid;
	c->pidfd = pidfd;
	c->foreign = true;
	c->ended = config->ended;
	c->userdata = config->userdata;
	c->event = event_new(config->base, pidfd, EV_READ | EV_PERSIST, on_exit_event, c);
	if (!c->event || event_add(c->event, NULL) < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(c);
	return 0;
}

pid_t child_pid(const struct child *c)
{
	return c->pid;
}

int child_kill(struct child *c, int signal)
{
	if (c->reaped)
		return -ESRCH;
	return pidfd_send_signal(c->pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

struct child *child_free(struct child *c)
{
	if (!c)
		return NULL;
	if (c->reaped || c->foreign) {
		child_destroy(c);
		return NULL;
	}
	c->ended = NULL;
	(void)child_kill(c, SIGKILL); /* if it is gone, the event comes anyway */
	return NULL;
}

struct child *child_release(struct child *c)
{
	child_destroy(c);
	return NULL;
}
