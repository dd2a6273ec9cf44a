/* SPDX-License-Identifier: Apache-2.0 */
#include "result.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "macro.h"
#include "message.h"

static int start_status(const struct ctl *ctl, const struct sandboxd_exec_result *result)
{
	const char *kind = result->start_error;

	message_error(NULL, "%s: %s", ctl->command ? ctl->command : "the command",
		      result->start_message ? result->start_message : "it did not start");
	if (strcmp(kind, "not_found") == 0)
		return STATUS_NOT_FOUND;
	if (strcmp(kind, "not_executable") == 0)
		return STATUS_NOT_EXECUTABLE;
	return STATUS_FAILURE;
}

/* What ended it that was not itself: worth a line, since the number alone says little. */
static void tell_cause(const char *cause)
{
	static const char *const told[][2] = {
		{ "timeout", "the command timed out" },
		{ "oom", "the sandbox ran out of memory" },
		{ "lease_revoked", "a secret that the command used was revoked" },
		{ "disk_full",
		  "no space for what the command wrote: the disk, or the limit --disk" },
		{ "sandbox_lost", "the sandbox ended" },
		{ "never_started", "the command was never started" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(told); i++)
		if (strcmp(cause, told[i][0]) == 0)
			message_error(NULL, "%s", told[i][1]);
}

static int status_of(const struct ctl *ctl, const struct sandboxd_exec_result *result)
{
	if (result->start_error)
		return start_status(ctl, result);
	tell_cause(result->cause);
	if (strcmp(result->cause, "timeout") == 0)
		return STATUS_TIMEOUT;
	if (strcmp(result->cause, "sandbox_lost") == 0 || strcmp(result->cause, "disk_full") == 0)
		return STATUS_FAILURE;
	if (result->signal > 0)
		return 128 + result->signal;
	return result->exit_code >= 0 ? result->exit_code & 0xff : STATUS_FAILURE;
}

static int write_line(int fd, const char *text, size_t size)
{
	int r = message_write(fd, text, size);

	return r < 0 ? r : message_write(fd, "\n", 1);
}

static int write_result_file(const char *file, const char *text, size_t size)
{
	CLEANUP_FD int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int r = fd < 0 ? -errno : write_line(fd, text, size);

	if (r < 0)
		message_error(NULL, "%s: %s", file, strerror(-r));
	return r;
}

/* Without making it: it may lie in the workspace, where it would be a change. */
static int check_file(const char *file)
{
	const char *slash = strrchr(file, '/');
	CLEANUP_STR char *parent = slash ? strndup(file, (size_t)(slash + 1 - file)) : strdup(".");
	struct stat st;

	if (!parent)
		return -ENOMEM;
	if (stat(file, &st) < 0)
		return errno != ENOENT || access(parent, W_OK | X_OK) < 0 ? -errno : 0;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return access(file, W_OK) < 0 ? -errno : 0;
}

int result_check_file(struct ctl *ctl)
{
	const char *file = options_text(&ctl->options, OPTION_RESULT_FILE);
	int r = file ? check_file(file) : 0;

	if (r < 0)
		message_error(NULL, "%s: %s", file, strerror(-r));
	return r;
}

int result_status(struct ctl *ctl, const char *text, size_t size)
{
	struct sandboxd_exec_result *result;
	int status;
	int r = sandboxd_exec_result_parse(text, size, &result);

	if (r < 0) {
		ctl_transport_error(ctl, r);
		return STATUS_FAILURE;
	}
	status = status_of(ctl, result);
	sandboxd_exec_result_free(result);
	return status;
}

int result_write(struct ctl *ctl, const char *text, size_t size, int status)
{
	const char *file = options_text(&ctl->options, OPTION_RESULT_FILE);

	if (ctl->json && write_line(STDOUT_FILENO, text, size) < 0)
		status = STATUS_FAILURE;
	if (file && write_result_file(file, text, size) < 0)
		status = STATUS_FAILURE;
	return status;
}

int result_finish(struct ctl *ctl, const char *text, size_t size)
{
	return result_write(ctl, text, size, result_status(ctl, text, size));
}
