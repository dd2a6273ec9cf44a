/* SPDX-License-Identifier: Apache-2.0 */
/* daemon start|stop|status|logs: of the service where systemd has our units, else of one's own. */

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon-process.h"
#include "daemon-start.h"
#include "macro.h"
#include "message.h"
#include "service.h"
#include "verbs.h"

#define STOP_TIMEOUT_MS 60000
#define STATUS_NOT_RUNNING 3

/* Nobody has said anything that only a daemon of one's own can do. */
static bool by_service(const struct ctl *ctl)
{
	const struct options *o = &ctl->options;

	return !options_have(o, OPTION_CONFIG) && !options_have(o, OPTION_STATE_DIR) &&
	       !options_have(o, OPTION_RUNTIME_DIR) && !ctl_is_named(ctl) && service_exists();
}

/* ---- start ---- */

int verb_daemon_start(struct ctl *ctl)
{
	if (by_service(ctl)) {
		if (service_start() < 0)
			return ctl->verb->failure;
		if (ctl_connect(ctl) < 0)
			return ctl->verb->failure;
	} else if (sandboxd_connect(&ctl->client, ctl->socket) == 0) {
		message_note("sandboxd is running already");
		return 0;
	} else if (daemon_start(ctl) < 0) {
		return ctl->verb->failure;
	}
	printf("sandboxd is running at %s\n", sandboxd_client_path(ctl->client));
	return 0;
}

/* ---- stop ---- */

static int terminate(int process)
{
	struct pollfd p = { .fd = process, .events = POLLIN };

	if (syscall(SYS_pidfd_send_signal, process, SIGTERM, NULL, 0) < 0)
		return errno == ESRCH ? 0 : -errno;
	return poll(&p, 1, STOP_TIMEOUT_MS) > 0 ? 0 : -ETIMEDOUT;
}

int verb_daemon_stop(struct ctl *ctl)
{
	CLEANUP_FD int process = -1;
	pid_t pid = 0;
	int r;

	if (by_service(ctl) && service_is_active())
		return service_stop() < 0 ? ctl->verb->failure : 0;
	r = sandboxd_connect(&ctl->client, ctl->socket);
	if (r == -ENOENT || r == -ECONNREFUSED) {
		message_note("sandboxd is not running");
		return 0;
	}
	if (r == 0)
		r = process = daemon_process_of(ctl->client, &pid);
	if (r >= 0)
		r = terminate(process);
	if (r == 0)
		return 0;
	if (r == -EPERM)
		message_error("stop it as its owner", "sandboxd (pid %d) is not ours", pid);
	else
		message_error(NULL, "cannot stop sandboxd: %s", strerror(-r));
	return ctl->verb->failure;
}

/* ---- status, logs ---- */

int verb_daemon_status(struct ctl *ctl)
{
	CLEANUP_JSON struct json_object *info = NULL;
	struct json_object *version = NULL;
	CLEANUP_FD int process = -1;
	pid_t pid = 0;
	int r;

	if (by_service(ctl) && service_is_waiting()) { /* asking would start it */
		puts("sandboxd is not running, its socket waits for a client");
		return STATUS_NOT_RUNNING;
	}
	r = sandboxd_connect(&ctl->client, ctl->socket);
	/* -EACCES: the system's daemon is not for us, one of our own would be */
	if (r == -ENOENT || r == -ECONNREFUSED || (r == -EACCES && !ctl_is_named(ctl))) {
		puts("sandboxd is not running");
		return STATUS_NOT_RUNNING;
	}
	if (r < 0) {
		ctl_connect_failed(ctl, r);
		return ctl->verb->failure;
	}
	if (ctl_call(ctl, "system.info", json_object_new_object(), &info) < 0)
		return ctl->verb->failure;
	if (ctl->json)
		return ctl_print_json(info, false) < 0 ? ctl->verb->failure : 0;
	process = daemon_process_of(ctl->client, &pid);
	(void)json_object_object_get_ex(info, "version", &version);
	printf("sandboxd %s is running, pid %d, at %s\n",
	       version ? json_object_get_string(version) : "?", pid,
	       sandboxd_client_path(ctl->client));
	return 0;
}

int verb_daemon_logs(struct ctl *ctl)
{
	bool follow = options_have(&ctl->options, OPTION_FOLLOW);
	CLEANUP_STR char *path = daemon_start_log_path(ctl);
	bool journal = by_service(ctl) && service_is_active();

	if (!journal && path && access(path, R_OK) == 0)
		execlp("tail", "tail", "-n", "+1", follow ? "-F" : "--", path, NULL);
	else if (geteuid() == 0)
		execlp("journalctl", "journalctl", "--unit=sandboxd", "--no-pager",
		       follow ? "--follow" : "--quiet", NULL);
	else
		execlp("journalctl", "journalctl", "--user", "--unit=sandboxd", "--no-pager",
		       follow ? "--follow" : "--quiet", NULL);
	message_error(NULL, "no log at %s, and no journal", path ? path : "?");
	return ctl->verb->failure;
}
