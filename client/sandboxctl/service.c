/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "macro.h"

#define SYSTEMD_RUNS "/run/systemd/system"
#define SOCKET_UNIT "sandboxd.socket"
#define SERVICE_UNIT "sandboxd.service"
#define WORDS_MAX 8

/* A user's manager is there when its own socket is: without a login by PAM there is none. */
static bool manager_runs(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char path[256];
	int n;

	if (access(SYSTEMD_RUNS, F_OK) < 0)
		return false;
	if (geteuid() == 0)
		return true;
	if (!runtime || runtime[0] != '/')
		return false;
	n = snprintf(path, sizeof path, "%s/systemd/private", runtime);
	return n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0;
}

/* systemctl WORDS..., NULL at their end. Returns its status, or -1. */
static int systemctl(bool silent, const char *const words[])
{
	const char *argv[WORDS_MAX] = { "systemctl", geteuid() == 0 ? "--system" : "--user" };
	posix_spawn_file_actions_t actions;
	int r, status = -1;
	size_t n = 2;
	pid_t pid;

	while (*words && n + 1 < WORDS_MAX)
		argv[n++] = *words++;
	posix_spawn_file_actions_init(&actions);
	r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	for (int fd = STDOUT_FILENO; silent && r == 0 && fd <= STDERR_FILENO; fd++)
		r = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv,
				 environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r != 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool is_active(const char *unit)
{
	const char *const words[] = { "is-active", unit, NULL };

	return systemctl(true, words) == 0;
}

bool service_exists(void)
{
	const char *const words[] = { "cat", SOCKET_UNIT, NULL };

	return manager_runs() && systemctl(true, words) == 0;
}

bool service_is_active(void)
{
	return is_active(SOCKET_UNIT) || is_active(SERVICE_UNIT);
}

bool service_is_waiting(void)
{
	return is_active(SOCKET_UNIT) && !is_active(SERVICE_UNIT);
}

int service_listen(void)
{
	const char *const words[] = { "start", SOCKET_UNIT, NULL };

	return systemctl(false, words) == 0 ? 0 : -1;
}

int service_start(void)
{
	const char *const words[] = { "start", SOCKET_UNIT, SERVICE_UNIT, NULL };

	return systemctl(false, words) == 0 ? 0 : -1;
}

int service_stop(void)
{
	const char *const words[] = { "stop", SOCKET_UNIT, SERVICE_UNIT, NULL };

	return systemctl(false, words) == 0 ? 0 : -1;
}
