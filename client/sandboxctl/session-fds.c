/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro.h"
#include "message.h"
#include "session.h"

static const char *const names[SESSION_FDS_MAX] = { "stdin", "stdout", "stderr" };

static void pass(struct session_fds *f, struct json_object *params, const char *name, int fd,
		 bool owned)
{
	struct json_object *place = json_object_new_object();

	json_object_object_add(place, "fd", json_object_new_int((int)f->count));
	json_object_object_add(params, name, place);
	f->fds[f->count] = fd;
	f->owned[f->count++] = owned;
}

/* `>file 2>&1`: two pipes would lose the order of what the command wrote. */
static bool same_file(int a, int b)
{
	struct stat sa;
	struct stat sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

static int pass_pumped(struct session_fds *f, struct json_object *params, int fd)
{
	struct pump *p = &f->pumps[f->n_pumps];
	int end = -1;
	int r;

	if (fd == STDERR_FILENO && f->n_pumps > 0 && f->pumps[f->n_pumps - 1].to == STDOUT_FILENO &&
	    same_file(STDOUT_FILENO, STDERR_FILENO)) {
		end = fcntl(f->fds[f->count - 1], F_DUPFD_CLOEXEC, 3);
		r = end < 0 ? -errno : 0;
	} else {
		r = fd == STDIN_FILENO ? pump_to_command(p, fd, &end)
				       : pump_from_command(p, fd, &end);
		if (r == 0)
			f->n_pumps++;
	}
	if (r < 0) {
		message_error(NULL, "a pipe for %s: %s", names[fd], strerror(-r));
		return -1;
	}
	pass(f, params, names[fd], end, true);
	return 0;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

int session_fds_prepare(struct session_fds *f, struct json_object *params, bool with_stdin)
{
	memset(f, 0, sizeof *f);
	for (int fd = with_stdin ? STDIN_FILENO : STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
		if (pump_is_passable(fd))
			pass(f, params, names[fd], fd, false);
		else if (is_open(fd) && pass_pumped(f, params, fd) < 0)
			return -1;
	}
	/* a command that ends without reading all must not end us: its status is still to come */
	if (f->n_pumps > 0)
		(void)signal(SIGPIPE, SIG_IGN);
	return 0;
}

void session_fds_deinit(struct session_fds *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->owned[i])
			close_fd(f->fds[i]);
	for (size_t i = 0; i < f->n_pumps; i++)
		pump_deinit(&f->pumps[i]);
	f->count = f->n_pumps = 0;
}
