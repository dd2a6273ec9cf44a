/* SPDX-License-Identifier: Apache-2.0 */
/* sd_notify() waits while the manager's queue is full, which an event loop must not; so the few
 * lines of its protocol are here. Only READY and its like wait: a start that nobody hears of would
 * be ended. STATUS is sent when its text is another than before, looked at every few seconds. */

#include "sandbox/service.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "macro.h"
#include "sandbox/exec.h"
#include "sandbox/manager.h"
#include "sandbox/pool.h"
#include "sandbox/sandbox.h"
#include "util/log.h"
#include "util/strings.h"

#define STATUS_SECONDS 2
#define TEXT_MAX 512
#define PROBLEM_MAX 300

struct service {
	struct manager *manager;
	struct sockaddr_un address; /* sun_family 0: nobody wants to know */
	socklen_t address_size;
	int socket;
	uint64_t watchdog_usec; /* 0: none */
	struct event *status_timer;
	struct event *watchdog_timer;
	char status[TEXT_MAX]; /* the last that was sent */
	char *problem;         /* of the last reload */
};

/* False: the queue is full (only with MSG_DONTWAIT). */
static bool __attribute__((format(printf, 3, 4)))
notify(const struct service *s, int flags, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;
	int n;

	if (s->socket < 0)
		return true;
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0)
		return true;
	if ((size_t)n >= sizeof(text))
		n = (int)sizeof(text) - 1;
	if (sendto(s->socket, text, (size_t)n, flags | MSG_NOSIGNAL,
		   (const struct sockaddr *)&s->address, s->address_size) >= 0)
		return true;
	if (errno == EAGAIN)
		return false;
	if (log_ratelimit())
		(void)log_errno(LOG_LEVEL_WARNING, -errno, "telling the service manager, going on");
	return true;
}

/* ---- what runs ---- */

static bool add_ready(const struct pool_facts *p, void *userdata)
{
	size_t *ready = userdata;

	*ready += p->ready;
	return true;
}

static void describe(const struct service *s, char text[static TEXT_MAX])
{
	struct manager *m = s->manager;
	size_t running = manager_sandbox_count_in(m, SANDBOX_STATE_RUNNING);
	size_t execs = exec_table_running(m);
	size_t spares = 0;

	pool_each(m, 0, add_ready, &spares); /* a spare counts as being made until it is claimed */
	(void)snprintf(text, TEXT_MAX, "%zu sandbox%s %s, %zu command%s, %zu ready to be claimed",
		       running, running == 1 ? "" : "es", running == 1 ? "runs" : "run", execs,
		       execs == 1 ? "" : "s", spares);
	if (s->problem)
		(void)snprintf(text + strlen(text), TEXT_MAX - strlen(text),
			       "; the old configuration stays: %.*s", PROBLEM_MAX, s->problem);
}

static void update_status(struct service *s, int flags, const char *before)
{
	char text[TEXT_MAX];

	describe(s, text);
	if (!before[0] && strcmp(text, s->status) == 0)
		return;
	if (notify(s, flags, "%sSTATUS=%s", before, text)) /* else with the next look */
		memcpy(s->status, text, sizeof(text));
}

static void on_status_timer(evutil_socket_t fd, short events, void *userdata)
{
	struct service *s = userdata;

	(void)fd;
	(void)events;
	if (!s->manager->stopping)
		update_status(s, MSG_DONTWAIT, "");
}

static void on_watchdog_timer(evutil_socket_t fd, short events, void *userdata)
{
	const struct service *s = userdata;

	(void)fd;
	(void)events;
	(void)notify(s, MSG_DONTWAIT, "WATCHDOG=1"); /* again in half the time */
}

static int arm(struct service *s)
{
	const struct timeval status = { .tv_sec = STATUS_SECONDS };
	const uint64_t half = s->watchdog_usec / 2;
	const struct timeval watchdog = { .tv_sec = (time_t)(half / 1000000),
					  .tv_usec = (suseconds_t)(half % 1000000) };

	if (s->socket < 0)
		return 0;
	if (event_add(s->status_timer, &status) < 0)
		return -ENOMEM;
	return half > 0 && event_add(s->watchdog_timer, &watchdog) < 0 ? -ENOMEM : 0;
}

/* ---- what happens ---- */

void service_ready(struct service *s)
{
	if (arm(s) < 0)
		log_error("no memory for the service manager's timers: without its watchdog's this "
			  "daemon will be ended and started again");
	update_status(s, 0, "READY=1\n");
}

void service_stopping(struct service *s)
{
	(void)notify(s, 0, "STOPPING=1\nSTATUS=Stopping"); /* waits */
}

void service_reloading(struct service *s)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail on Linux */
	(void)notify(s, 0,                          /* waits */
		     "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Reading the configuration",
		     (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void service_reloaded(struct service *s, const char *problem)
{
	free(s->problem);
	s->problem = problem ? strdup(problem) : NULL; /* without memory: only in the log */
	update_status(s, 0, "READY=1\n");
}

/* ---- life ---- */

/* An address in the file system, or with @ an abstract one. Others (vsock) are not for us. */
static bool parse_address(struct service *s, const char *text)
{
	size_t n = text ? strlen(text) : 0;

	if (n < 2 || n >= sizeof(s->address.sun_path) || (text[0] != '/' && text[0] != '@'))
		return false;
	s->address.sun_family = AF_UNIX;
	memcpy(s->address.sun_path, text, n + 1);
	if (text[0] == '@')
		s->address.sun_path[0] = '\0';
	s->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n +
				      (text[0] == '/')); /* abstract: no NUL */
	return true;
}

int service_new(struct service **ret, struct manager *m)
{
	struct service *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->manager = m;
	s->socket = -1;
	if (sd_watchdog_enabled(1, &s->watchdog_usec) <= 0)
		s->watchdog_usec = 0;
	if (parse_address(s, getenv("NOTIFY_SOCKET"))) {
		s->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (s->socket < 0)
			log_errno(LOG_LEVEL_WARNING, -errno,
				  "cannot tell the service manager anything, going on");
	}
	(void)unsetenv("NOTIFY_SOCKET"); /* nobody we start is to speak for us */
	s->status_timer = event_new(m->base, -1, EV_PERSIST, on_status_timer, s);
	s->watchdog_timer = event_new(m->base, -1, EV_PERSIST, on_watchdog_timer, s);
	if (!s->status_timer || !s->watchdog_timer) {
		service_free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

void service_free(struct service *s)
{
	if (!s)
		return;
	if (s->status_timer)
		event_free(s->status_timer);
	if (s->watchdog_timer)
		event_free(s->watchdog_timer);
	(void)close_fd(s->socket);
	free(s->problem);
	free(s);
}
