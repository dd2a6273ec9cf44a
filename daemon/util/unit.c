/* SPDX-License-Identifier: Apache-2.0 */
/* One connection to the bus for each start, gone with its answer: services are started rarely, and
 * a bus that is restarted in between is no case of its own. Nothing here waits: the bus is a
 * descriptor and a time in the event loop.
 *
 * In order: JobRemoved is listened for, the unit is asked for, its job's end comes, then its main
 * process is asked for. An answer only marks the object (finish()); the caller is told when the bus
 * has returned from calling us and was closed. */

#include "util/unit.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-login.h>

#include "util/fd.h"
#include "util/strings.h"
#include "util/time.h"

#define SLICE "sandboxd.slice"
#define SERVICE "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER SERVICE ".Manager"
#define UNIT_START_MS 30000 /* a machine that is busy starting */

struct unit_start {
	sd_bus *bus;
	struct event ready;
	struct event timer;
	int64_t deadline_ms; /* CLOCK_MONOTONIC */
	enum unit_manager manager;
	char *name;
	char *job; /* its object path, once it is known */
	bool finished;
	int error;
	char *reason;
	pid_t pid;
	int pidfd;
	unit_started *done;
	void *userdata;
};

/* ---- ourselves ---- */

enum unit_manager unit_manager_of_self(bool is_root)
{
	const char *executed = getenv("SYSTEMD_EXEC_PID");
	CLEANUP_STR char *unit = NULL;

	if (!executed || strtol(executed, NULL, 10) != getpid() || sd_booted() <= 0)
		return UNIT_MANAGER_NONE;
	if (is_root)
		return sd_pid_get_unit(0, &unit) >= 0 ? UNIT_MANAGER_SYSTEM : UNIT_MANAGER_NONE;
	return sd_pid_get_user_unit(0, &unit) >= 0 ? UNIT_MANAGER_USER : UNIT_MANAGER_NONE;
}

static int open_bus(enum unit_manager manager, sd_bus **ret)
{
	int r = manager == UNIT_MANAGER_USER ? sd_bus_open_user(ret) : sd_bus_open_system(ret);

	return r < 0 ? r : 0;
}

int unit_manager_reach(enum unit_manager manager)
{
	sd_bus *bus = NULL;
	int r = open_bus(manager, &bus);

	(void)sd_bus_close_unref(bus);
	return r;
}

/* ---- the end ---- */

static void finish(struct unit_start *u, int error, const char *reason)
{
	if (u->finished)
		return;
	u->finished = true;
	u->error = error;
	u->reason = reason ? strdup(reason) : NULL; /* without memory: the error alone */
}

static void close_bus(struct unit_start *u)
{
	(void)event_del(&u->ready);
	(void)event_del(&u->timer);
	u->bus = sd_bus_close_unref(u->bus);
}

static void tell(struct unit_start *u)
{
	close_bus(u);
	u->done(u, u->error, u->reason, u->pid, TAKE_FD(u->pidfd), u->userdata);
}

/* ---- the bus in the event loop ---- */

/* How long the bus wants to wait at most, and we do. */
static struct timeval next_time(struct unit_start *u)
{
	int64_t now = time_monotonic_ms(), left = u->deadline_ms - now;
	uint64_t at_us = UINT64_MAX;

	if (sd_bus_get_timeout(u->bus, &at_us) > 0 && at_us / 1000 < INT64_MAX &&
	    (int64_t)(at_us / 1000) - now < left)
		left = (int64_t)(at_us / 1000) - now;
	if (left < 0)
		left = 0;
	return (struct timeval){ .tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 };
}

static int arm(struct unit_start *u, struct event_base *base, event_callback_fn on_ready)
{
	struct timeval delay = next_time(u);
	int events = sd_bus_get_events(u->bus);
	short wanted = 0;

	if (events < 0)
		return events;
	if ((events & POLLIN) != 0)
		wanted |= EV_READ;
	if ((events & POLLOUT) != 0)
		wanted |= EV_WRITE;
	(void)event_del(&u->ready);
	if (event_assign(&u->ready, base, sd_bus_get_fd(u->bus), wanted, on_ready, u) < 0 ||
	    event_add(&u->ready, NULL) < 0 || event_add(&u->timer, &delay) < 0)
		return -ENOMEM;
	return 0;
}

static void on_ready(evutil_socket_t fd, short events, void *userdata)
{
	struct unit_start *u = userdata;
	int r;

	(void)fd;
	(void)events;
	do
		r = sd_bus_process(u->bus, NULL);
	while (r > 0 && !u->finished);
	if (r < 0)
		finish(u, r, "the connection to the bus has ended");
	else if (time_monotonic_ms() >= u->deadline_ms)
		finish(u, -ETIMEDOUT, "systemd does not start it");
	if (!u->finished) {
		r = arm(u, event_get_base(&u->timer), on_ready);
		if (r < 0)
			finish(u, r, "the bus cannot be watched");
	}
	if (u->finished)
		tell(u);
}

/* ---- answers ---- */

/* An error reply ends it all. */
static bool failed(struct unit_start *u, sd_bus_message *m)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);

	if (e)
		finish(u, -sd_bus_message_get_errno(m), e->message ? e->message : e->name);
	return u->finished;
}

/* Between its answer and our pidfd the process may have ended and its number be another's. */
static int hold(struct unit_start *u, uint32_t pid)
{
	CLEANUP_STR char *unit = NULL;
	CLEANUP_FD int fd = -1;
	int r;

	if (pid <= 1 || pid > INT32_MAX)
		return -ESRCH;
	fd = pidfd_open((pid_t)pid, 0);
	if (fd < 0)
		return -errno;
	r = u->manager == UNIT_MANAGER_USER ? sd_pid_get_user_unit((pid_t)pid, &unit)
					    : sd_pid_get_unit((pid_t)pid, &unit);
	if (r < 0)
		return r;
	if (strcmp(unit, u->name) != 0)
		return -ESRCH;
	u->pid = (pid_t)pid;
	u->pidfd = TAKE_FD(fd);
	return 0;
}

static int on_main_pid(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
	struct unit_start *u = userdata;
	uint32_t pid = 0;
	int r;

	(void)e;
	if (failed(u, m))
		return 0;
	r = sd_bus_message_read(m, "v", "u", &pid);
	if (r >= 0)
		r = hold(u, pid);
	finish(u, r < 0 ? r : 0, r < 0 ? "it has ended again" : NULL);
	return 0;
}

static int ask_main_pid(struct unit_start *u)
{
	CLEANUP_STR char *path = NULL;
	int r;

	r = sd_bus_path_encode(MANAGER_PATH "/unit", u->name, &path);
	if (r < 0)
		return r;
	return sd_bus_call_method_async(u->bus, NULL, SERVICE, path,
					"org.freedesktop.DBus.Properties", "Get", on_main_pid, u,
					"ss", SERVICE ".Service", "MainPID");
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
	struct unit_start *u = userdata;
	const char *job = NULL, *result = NULL;
	char text[128];
	int r;

	(void)e;
	if (u->finished || !u->job ||
	    sd_bus_message_read(m, "uoss", NULL, &job, NULL, &result) < 0 ||
	    strcmp(job, u->job) != 0)
		return 0;
	if (strcmp(result, "done") != 0) {
		(void)snprintf(text, sizeof(text), "systemd could not start it: %s", result);
		finish(u, -EIO, text);
		return 0;
	}
	r = ask_main_pid(u);
	if (r < 0)
		finish(u, r, "systemd cannot be asked for its process");
	return 0;
}

static int on_unit(sd_bus_message *m, void *userdata, sd_bus_error *e)
{
	struct unit_start *u = userdata;
	const char *job = NULL;
	int r;

	(void)e;
	if (failed(u, m))
		return 0;
	r = sd_bus_message_read(m, "o", &job);
	u->job = r < 0 ? NULL : strdup(job);
	if (!u->job)
		finish(u, r < 0 ? r : -ENOMEM, "systemd's answer cannot be used");
	return 0;
}

/* ---- the request ---- */

static int add_strings(sd_bus_message *m, const char *const *list)
{
	return sd_bus_message_append_strv(m, (char **)(uintptr_t)list);
}

static int add_command(sd_bus_message *m, const struct unit_config *config)
{
	int r;

	r = sd_bus_message_open_container(m, 'r', "sv");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", "ExecStart");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "a(sasb)");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sasb)");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'r', "sasb");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", config->argv[0]);
	if (r >= 0)
		r = add_strings(m, config->argv);
	if (r >= 0)
		r = sd_bus_message_append(m, "b", 0);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int add_environment(sd_bus_message *m, const struct unit_config *config)
{
	int r;

	r = sd_bus_message_open_container(m, 'r', "sv");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", "Environment");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'v', "as");
	if (r >= 0)
		r = add_strings(m, config->envp);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Its end is not that of what it started (KillMode), which another may take over; nor is an out of
 * memory among those (OOMPolicy). What it starts has its signals as they are by default. */
static int add_keeper(sd_bus_message *m)
{
	return sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)", "KillMode", "s", "process",
				     "OOMPolicy", "s", "continue", "Delegate", "b", 1, "TasksMax",
				     "t", UINT64_MAX, "IgnoreSIGPIPE", "b", 0);
}

/* A user's manager could not keep the file system from it. */
static int add_worker(sd_bus_message *m, const struct unit_config *config)
{
	uint64_t limit_us = (uint64_t)config->limit_ms * 1000;
	int r;

	r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)", "RuntimeMaxUSec", "t", limit_us,
				  "TimeoutStopUSec", "t", limit_us, "NoNewPrivileges", "b", 1,
				  "MemoryDenyWriteExecute", "b", 1);
	if (r >= 0 && config->manager == UNIT_MANAGER_SYSTEM)
		r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)", "CapabilityBoundingSet", "t",
					  UINT64_C(0), "ProtectSystem", "s", "strict",
					  "PrivateDevices", "b", 1, "ProtectProc", "s",
					  "invisible");
	return r;
}

static int add_descriptors(sd_bus_message *m, const struct unit_config *config)
{
	static const char *const names[] = { "StandardInputFileDescriptor",
					     "StandardOutputFileDescriptor",
					     "StandardErrorFileDescriptor" };
	size_t i;
	int r = 0;

	for (i = 0; r >= 0 && i < ARRAY_SIZE(names); i++)
		if (config->fds[i] >= 0)
			r = sd_bus_message_append(m, "(sv)", names[i], "h", config->fds[i]);
	return r;
}

static int add_properties(sd_bus_message *m, const struct unit_config *config)
{
	int r;

	r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)", "Description", "s", config->description,
				  "Slice", "s", SLICE, "Type", "s", "exec", "CollectMode", "s",
				  "inactive-or-failed");
	if (r >= 0)
		r = config->kind == UNIT_KEEPER ? add_keeper(m) : add_worker(m, config);
	if (r >= 0)
		r = add_descriptors(m, config);
	if (r >= 0)
		r = add_environment(m, config);
	return r < 0 ? r : add_command(m, config);
}

static int request(struct unit_start *u, const struct unit_config *config)
{
	__attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_method_call(u->bus, &m, SERVICE, MANAGER_PATH, MANAGER,
					   "StartTransientUnit");
	if (r >= 0)
		r = sd_bus_message_append(m, "ss", u->name, "fail");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sv)");
	if (r >= 0)
		r = add_properties(m, config);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_append(m, "a(sa(sv))", 0);
	return r < 0 ? r : sd_bus_call_async(u->bus, NULL, m, on_unit, u, 0);
}

int unit_start(struct unit_start **ret, const struct unit_config *config)
{
	struct unit_start *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	u->pidfd = -1;
	u->manager = config->manager;
	u->done = config->done;
	u->userdata = config->userdata;
	u->deadline_ms = time_monotonic_ms() + UNIT_START_MS;
	u->name = strdup(config->name);
	event_assign(&u->ready, config->base, -1, 0, on_ready, u);
	evtimer_assign(&u->timer, config->base, on_ready, u);
	r = u->name ? 0 : -ENOMEM;
	if (r == 0)
		r = open_bus(config->manager, &u->bus);
	if (r >= 0)
		r = sd_bus_match_signal_async(u->bus, NULL, SERVICE, MANAGER_PATH, MANAGER,
					      "JobRemoved", on_job_removed, NULL, u);
	if (r >= 0)
		r = request(u, config);
	if (r >= 0)
		r = arm(u, config->base, on_ready);
	if (r < 0) {
		(void)unit_start_free(u);
		return r;
	}
	*ret = u;
	return 0;
}

struct unit_start *unit_start_free(struct unit_start *u)
{
	if (!u)
		return NULL;
	close_bus(u);
	(void)close_fd(u->pidfd);
	free(u->name);
	free(u->job);
	free(u->reason);
	free(u);
	return NULL;
}
