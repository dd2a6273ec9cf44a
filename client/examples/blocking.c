/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one command in a sandbox of its own: blocking WORKSPACE COMMAND [ARG]...
 *
 *   cc blocking.c $(pkg-config --cflags --libs libsandboxd) */

#include <sandboxd/client.h>
#include <stdio.h>
#include <string.h>

#define FAILED 125

/* Says why, whether it was the daemon that refused or the connection that broke. */
static int fail(const char *what, int r, const struct sandboxd_error *e)
{
	if (r == SANDBOXD_REFUSED)
		fprintf(stderr, "%s: %s (%s)\n", what, e->message, e->hint ? e->hint : e->kind);
	else
		fprintf(stderr, "%s: %s\n", what, strerror(-r));
	return FAILED;
}

static int run(struct sandboxd_client *c, const char *sandbox, char **command)
{
	struct sandboxd_exec_options options = SANDBOXD_EXEC_OPTIONS_INIT;
	struct sandboxd_error e = SANDBOXD_ERROR_INIT;
	struct sandboxd_exec_result *result;
	int r, status;

	options.sandbox = sandbox;
	options.command = (const char *const *)command;
	options.timeout_ms = 60 * 1000;
	r = sandboxd_exec_run(c, &options, &result, &e);
	if (r != 0) {
		status = fail("exec", r, &e);
		sandboxd_error_clear(&e);
		return status;
	}
	fwrite(result->out, 1, result->out_size, stdout);
	fwrite(result->err, 1, result->err_size, stderr);
	if (result->start_message)
		fprintf(stderr, "%s\n", result->start_message);
	status = result->exit_code >= 0 ? result->exit_code : FAILED;
	sandboxd_exec_result_free(result);
	return status;
}

int main(int argc, char **argv)
{
	struct sandboxd_error e = SANDBOXD_ERROR_INIT;
	struct sandboxd_workspace workspace = { 0 };
	struct sandboxd_sandbox_options options = { 0 };
	struct sandboxd_sandbox *sandbox;
	struct sandboxd_client *c;
	int r, status;

	if (argc < 3) {
		fprintf(stderr, "usage: blocking WORKSPACE COMMAND [ARG]...\n");
		return FAILED;
	}
	r = sandboxd_connect(&c, NULL);
	if (r < 0)
		return fail("connect", r, NULL);
	workspace.path = argv[1];
	options.workspaces = &workspace;
	options.n_workspaces = 1;
	r = sandboxd_sandbox_create(c, &options, &sandbox, &e);
	if (r == 0) {
		status = run(c, sandbox->name, argv + 2);
		r = sandboxd_sandbox_remove(c, sandbox->name, 1, &e);
		if (r != 0)
			status = fail("remove", r, &e);
		sandboxd_sandbox_free(sandbox);
	} else {
		status = fail("create", r, &e);
	}
	sandboxd_error_clear(&e);
	sandboxd_client_free(c);
	return status;
}
