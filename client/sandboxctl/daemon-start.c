/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon-start.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "daemon-process.h"
#include "macro.h"
#include "message.h"
#include "verbs.h"

#define START_TIMEOUT_MS 15000
#define START_INTERVAL_MS 10
#define SOCKET_NAME "sandboxd.sock"
#define LOCK_SUFFIX ".lock"

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

char *daemon_start_log_path(const struct ctl *ctl)
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
		if (poll(&p, 1, START_INTERVAL_MS) > 0) /* unless another one has the state */
			return sandboxd_connect(&ctl->client, ctl->socket) == 0 ? 0 : -ECHILD;
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
	message_unreachable("see: sandboxctl daemon logs", "sandboxd %s",
			    r == -ECHILD ? "ended while it started" : "does not answer");
	return -1;
}

/* Those who want a daemon at the same time start one after the other; the second then finds it. The
 * daemon does not inherit it. Returns the lock, or negative errno. */
static int lock_start(const char *log)
{
	CLEANUP_STR char *path = NULL;
	CLEANUP_FD int fd = -1;

	if (asprintf(&path, "%s" LOCK_SUFFIX, log) < 0)
		return -ENOMEM;
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return -errno;
	return TAKE_FD(fd);
}

static int start(const struct daemon_start *s)
{
	CLEANUP_STR char *program = daemon_process_program();
	CLEANUP_STR char *path = daemon_start_log_path(s->ctl);
	CLEANUP_FD int log = -1, lock = -1;

	if (!program || !path) {
		message_error("install it, or put it in PATH", "cannot find %s",
			      program ? "a state directory" : "sandboxd");
		return -1;
	}
	log = open_log(path);
	lock = log < 0 ? log : lock_start(path);
	if (lock < 0) {
		message_error(NULL, "%s: %s", path, strerror(-lock));
		return -1;
	}
	if (sandboxd_connect(&s->ctl->client, s->ctl->socket) == 0)
		return 0; /* somebody was faster */
	return start_and_wait(s, program, path, log);
}

int daemon_start(struct ctl *ctl)
{
	struct daemon_start s = { .ctl = ctl };

	if (choose_runtime_dir(ctl, s.runtime_dir, sizeof s.runtime_dir) < 0 ||
	    set_socket(ctl, s.runtime_dir) < 0)
		return -1;
	return start(&s);
}
