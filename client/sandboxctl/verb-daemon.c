/* SPDX-License-Identifier: Apache-2.0 */
/* daemon start|stop|status|logs: for a machine without a service manager, and for trying things. */

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "daemon-process.h"
#include "macro.h"
#include "message.h"
#include "verbs.h"

#define START_TIMEOUT_MS 15000
#define START_INTERVAL_MS 10
#define STOP_TIMEOUT_MS 60000
#define STATUS_NOT_RUNNING 3
#define SOCKET_NAME "sandboxd.sock"

struct daemon_start {
	struct ctl *ctl;
	char runtime_dir[256]; /* "": the daemon's default */
};

/* --state-dir, or the default. Freed with free(). */
static char *state_dir(const struct ctl *ctl)
{
	const char *given = options_text(&ctl->options, OPTION_STATE_DIR);

	return given ? strdup(given) : daemon_process_state_dir();
}

static char *log_path(const struct ctl *ctl)
{
	CLEANUP_STR char *dir = state_dir(ctl);
	char *path;

	return dir && asprintf(&path, "%s/daemon.log", dir) >= 0 ? path : NULL;
}

/* Every directory up to the file: the daemon makes them too, but its log comes first. */
static int make_parents(const char *file)
{
	mode_t mode = geteuid() == 0 ? 0711 : 0700;

	for (const char *slash = strchr(file + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		CLEANUP_STR char *dir = strndup(file, (size_t)(slash - file));

		if (!dir)
			return -ENOMEM;
		if (mkdir(dir, mode) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static int open_log(const char *path)
{
	int r = make_parents(path);
	int fd;

	if (r < 0)
		return r;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/* ---- start ---- */

static int too_long(const char *dir)
{
	message_error("a socket's path has at most 107 bytes", "--runtime-dir %s", dir);
	return -1;
}

/* Which runtime directory the daemon is told: --runtime-dir, or that of the socket which is asked
 * for; empty: its own default. */
static int choose_runtime_dir(const struct ctl *ctl, char *buffer, size_t size)
{
	static const char name[] = "/" SOCKET_NAME;
	const char *dir = options_text(&ctl->options, OPTION_RUNTIME_DIR);
	char path[128] = "?";
	size_t n;

	buffer[0] = '\0';
	if (dir && snprintf(buffer, size, "%s", dir) < (int)size)
		return 0;
	if (dir)
		return too_long(dir);
	if (sandboxd_socket_candidate(ctl->socket, 1, path, sizeof path) != -ENOENT)
		return 0; /* nobody named one */
	n = sandboxd_socket_candidate(ctl->socket, 0, path, sizeof path) == 0 ? strlen(path) : 0;
	if (n < sizeof name || strcmp(path + n - sizeof name + 1, name) != 0) {
		message_error("name one that ends in /" SOCKET_NAME ", or use --runtime-dir",
			      "a daemon cannot be started for the socket %s", path);
		return -1;
	}
	(void)snprintf(buffer, size, "%.*s", (int)(n - sizeof name + 1),
		       path); /* shorter than PATH */
	return 0;
}

/* The socket to wait for. */
static int set_socket(struct ctl *ctl, const char *dir)
{
	int n;

	if (dir[0] == '\0')
		return 0;
	n = snprintf(ctl->socket_buffer, sizeof ctl->socket_buffer, "%s/" SOCKET_NAME, dir);
	if (n < 0 || (size_t)n >= sizeof ctl->socket_buffer)
		return too_long(dir);
	ctl->socket = ctl->socket_buffer;
	return 0;
}

static size_t add_argument(char **argv, size_t n, const char *name, const char *value)
{
	if (!value || value[0] == '\0')
		return n;
	argv[n++] = (char *)(uintptr_t)name;
	argv[n++] = (char *)(uintptr_t)value;
	return n;
}

static int spawn(const struct daemon_start *s, char *program, int log)
{
	const struct options *o = &s->ctl->options;
	char *argv[8] = { program };
	size_t n = 1;
	int r;

	n = add_argument(argv, n, "--config", options_text(o, OPTION_CONFIG));
	n = add_argument(argv, n, "--state-dir", options_text(o, OPTION_STATE_DIR));
	n = add_argument(argv, n, "--runtime-dir", s->runtime_dir);
	argv[n] = NULL;
	r = daemon_process_spawn(argv, log);
	if (r < 0)
		message_error(NULL, "%s: %s", program, strerror(-r));
	return r;
}

/* There is no event for "somebody listens now" that works with every way of starting a daemon; so
 * we look, and its early end is seen at once. */
static int wait_until_ready(struct ctl *ctl, int process)
{
	int64_t deadline = clock_now_ms() + START_TIMEOUT_MS;

	while (clock_now_ms() < deadline) {
		struct pollfd p = { .fd = process, .events = POLLIN };

		if (sandboxd_connect(&ctl->client, ctl->socket) == 0 &&
		    sandboxd_call(ctl->client, "system.ping", NULL, NULL, 0, NULL, NULL) == 0)
			return 0;
		ctl->client = sandboxd_client_free(ctl->client);
		if (poll(&p, 1, START_INTERVAL_MS) > 0)
			return -ECHILD;
	}
	return -ETIMEDOUT;
}

/* What the daemon said, from where its log was when it started. */
static void show_log(const char *path, off_t from)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buffer[4096];
	ssize_t n = fd < 0 ? -1 : pread(fd, buffer, sizeof buffer, from);

	if (n > 0)
		(void)message_write(STDERR_FILENO, buffer, (size_t)n); /* nobody left to tell */
}

static int start_and_wait(const struct daemon_start *s, char *program, const char *path, int log)
{
	off_t from = lseek(log, 0, SEEK_END);
	CLEANUP_FD int process = spawn(s, program, log);
	int r;

	if (process < 0)
		return -1;
	r = wait_until_ready(s->ctl, process);
	if (r == 0)
		return 0;
	show_log(path, from);
	message_error("see: sandboxctl daemon logs", "sandboxd %s",
		      r == -ECHILD ? "ended while it started" : "does not answer");
	return -1;
}

static int start(const struct daemon_start *s)
{
	CLEANUP_STR char *program = daemon_process_program();
	CLEANUP_STR char *path = log_path(s->ctl);
	CLEANUP_FD int log = -1;

	if (!program || !path) {
		message_error("install it, or put it in PATH", "cannot find %s",
			      program ? "a state directory" : "sandboxd");
		return -1;
	}
	log = open_log(path);
	if (log < 0) {
		message_error(NULL, "%s: %s", path, strerror(-log));
		return -1;
	}
	return start_and_wait(s, program, path, log);
}

int verb_daemon_start(struct ctl *ctl)
{
	struct daemon_start s = { .ctl = ctl };
	int r = choose_runtime_dir(ctl, s.runtime_dir, sizeof s.runtime_dir);

	if (r < 0 || set_socket(ctl, s.runtime_dir) < 0)
		return ctl->verb->failure;
	if (sandboxd_connect(&ctl->client, ctl->socket) == 0) {
		message_note("sandboxd is running already");
		return 0;
	}
	if (start(&s) < 0)
		return ctl->verb->failure;
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
	int r = sandboxd_connect(&ctl->client, ctl->socket);

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

	if (sandboxd_connect(&ctl->client, ctl->socket) < 0) {
		puts("sandboxd is not running");
		return STATUS_NOT_RUNNING;
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
	CLEANUP_STR char *path = log_path(ctl);

	if (path && access(path, R_OK) == 0)
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
