/* SPDX-License-Identifier: Apache-2.0 */
/* libsandboxd and a daemon that goes away and comes back: another process with a socket, which
 * reads a line, and then says what its script has for it or hangs up. */

#include <check.h>
#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "call.h"
#include "macro.h"
#include "methods.h"
#include "sandboxd/client.h"

#define LINES_MAX 16
#define AWAY_US 60000

/* What becomes of one request. */
struct step {
	enum { SAY, HANG_UP, GO_AWAY } what; /* GO_AWAY: nobody listens for a while */
	const char *says;                    /* before that; %lld is the request's id */
};

struct stage {
	char dir[32];
	char path[64];
	pid_t child;
	int heard; /* what it read, line by line */
	struct sandboxd_client *client;
};

static struct stage stage;

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, path, strlen(path) + 1);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

static long long id_of(const char *line)
{
	struct json_object *message = json_tokener_parse(line);
	long long id = json_object_get_int64(json_object_object_get(message, "id"));

	json_object_put(message);
	return id;
}

/* Returns false at the end of the connection. */
static bool play_one(int conn, int heard, const struct step *step)
{
	char line[4096];
	char says[4096];
	ssize_t n = recv(conn, line, sizeof line - 1, 0);

	if (n <= 0)
		return false;
	line[n] = '\0';
	(void)!write(heard, line, (size_t)n);
	if (step->says) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		int size = snprintf(says, sizeof says, step->says, id_of(line));
#pragma GCC diagnostic pop

		(void)send(conn, says, (size_t)size, MSG_NOSIGNAL);
	}
	return true;
}

/* The other process. */
static void play(int listener, int heard, const struct step *step)
{
	while (step->says || step->what != SAY) {
		int conn = accept(listener, NULL, NULL);

		while ((step->says || step->what != SAY) && play_one(conn, heard, step)) {
			if (step++->what == SAY)
				continue;
			if (step[-1].what == GO_AWAY)
				close_fd(listener);
			close_fd(conn);
			conn = -1;
			if (step[-1].what == GO_AWAY) {
				(void)unlink(stage.path);
				(void)usleep(AWAY_US);
				listener = listen_at(stage.path);
			}
			break;
		}
		close_fd(conn);
	}
}

static void start(const struct step *script)
{
	int pipe_fds[2];
	int listener;

	strcpy(stage.dir, "/tmp/sbu-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(stage.dir));
	(void)snprintf(stage.path, sizeof stage.path, "%s/s", stage.dir);
	ck_assert_int_eq(pipe(pipe_fds), 0);
	listener = listen_at(stage.path);
	stage.child = fork();
	if (stage.child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		play(listener, pipe_fds[1], script);
		_exit(0);
	}
	close_fd(listener);
	close_fd(pipe_fds[1]);
	stage.heard = pipe_fds[0];
	ck_assert_int_eq(sandboxd_connect(&stage.client, stage.path), 0);
}

/* The script is over. Returns the methods that were called, each with a blank behind it. */
static const char *finish(char *buffer, size_t size)
{
	char text[LINES_MAX * 512] = "";
	size_t n = 0;
	ssize_t got;
	int status;

	stage.client = sandboxd_client_free(stage.client);
	while ((got = read(stage.heard, text + n, sizeof text - 1 - n)) > 0)
		n += (size_t)got;
	close_fd(stage.heard);
	ck_assert_int_eq(waitpid(stage.child, &status, 0), stage.child);
	ck_assert_int_eq(status, 0);
	(void)unlink(stage.path);
	(void)rmdir(stage.dir);
	buffer[0] = '\0';
	for (char *save, *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct json_object *message = json_tokener_parse(line);

		n = strlen(buffer);
		(void)snprintf(buffer + n, size - n, "%s ",
			       json_object_get_string(json_object_object_get(message, "method")));
		json_object_put(message);
	}
	return buffer;
}

#define RESULT(text) "{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":" text "}\n"
#define NOT_FOUND                                                                                  \
	"{\"jsonrpc\":\"2.0\",\"id\":%lld,\"error\":{\"code\":-32001,\"message\":\"no\","          \
	"\"data\":{\"kind\":\"not_found\"}}}\n"
#define EXITED RESULT("{\"execId\":\"x\",\"cause\":\"exited\",\"exitCode\":7,\"stdout\":\"out\"}")

START_TEST(what_asks_is_asked_again)
{
	static const struct step script[] = { { HANG_UP, NULL },
					      { GO_AWAY, NULL },
					      { SAY, RESULT("{\"sandboxes\":[]}") },
					      { SAY, NULL } };
	char called[256];
	char *result = NULL;

	start(script);
	ck_assert_int_eq(sandboxd_call(stage.client, "sandbox.list", NULL, NULL, 0, &result, NULL),
			 0);
	ck_assert_str_eq(result, "{\"sandboxes\":[]}");
	free(result);
	ck_assert_str_eq(finish(called, sizeof called), "sandbox.list sandbox.list sandbox.list ");
}
END_TEST

START_TEST(what_acts_is_not)
{
	static const struct step script[] = { { GO_AWAY, NULL },
					      { SAY, RESULT("{}") },
					      { SAY, NULL } };
	char called[256];

	start(script);
	ck_assert_int_eq(sandboxd_sandbox_stop(stage.client, "s", NULL), -ECONNRESET);
	/* but the next call connects */
	ck_assert_int_eq(sandboxd_call(stage.client, "system.ping", NULL, NULL, 0, NULL, NULL), 0);
	ck_assert_str_eq(finish(called, sizeof called), "sandbox.stop system.ping ");
}
END_TEST

START_TEST(not_when_told_so)
{
	static const struct step script[] = { { HANG_UP, NULL }, { SAY, NULL } };
	char called[256];

	start(script);
	sandboxd_set_reconnect(stage.client, 0);
	ck_assert_int_eq(sandboxd_call(stage.client, "system.ping", NULL, NULL, 0, NULL, NULL),
			 -ECONNRESET);
	ck_assert_int_eq(sandboxd_call(stage.client, "system.ping", NULL, NULL, 0, NULL, NULL),
			 -ECONNRESET);
	ck_assert_str_eq(finish(called, sizeof called), "system.ping ");
}
END_TEST

START_TEST(nobody_comes_back)
{
	static const struct step script[] = { { HANG_UP, NULL }, { SAY, NULL } };
	char called[256];

	start(script);
	sandboxd_set_reconnect(stage.client, 0);
	ck_assert_int_eq(sandboxd_call(stage.client, "system.ping", NULL, NULL, 0, NULL, NULL),
			 -ECONNRESET);
	ck_assert_int_eq(waitid(P_PID, (id_t)stage.child, NULL, WEXITED | WNOWAIT), 0);
	sandboxd_set_reconnect(stage.client, 50);
	ck_assert_int_eq(sandboxd_call(stage.client, "system.ping", NULL, NULL, 0, NULL, NULL),
			 -ECONNREFUSED);
	ck_assert_str_eq(finish(called, sizeof called), "system.ping ");
}
END_TEST

START_TEST(run_finds_its_command)
{
	static const struct step script[] = {
		{ GO_AWAY, NULL }, { HANG_UP, NULL }, { SAY, EXITED }, { SAY, NULL }
	};
	static const char *const command[] = { "true", NULL };
	struct sandboxd_exec_options o = SANDBOXD_EXEC_OPTIONS_INIT;
	struct sandboxd_exec_result *result = NULL;
	char called[256];

	o.sandbox = "s";
	o.command = command;
	start(script);
	ck_assert_int_eq(sandboxd_exec_run(stage.client, &o, &result, NULL), 0);
	ck_assert_int_eq(result->exit_code, 7);
	sandboxd_exec_result_free(result);
	ck_assert_str_eq(finish(called, sizeof called), "exec.run exec.wait exec.wait ");
}
END_TEST

static int run_that_is_forgotten(const char *key, struct sandboxd_exec_result **ret)
{
	static const char *const command[] = { "true", NULL };
	struct sandboxd_exec_options o = SANDBOXD_EXEC_OPTIONS_INIT;

	o.sandbox = "s";
	o.command = command;
	o.idempotency_key = key;
	return sandboxd_exec_run(stage.client, &o, ret, NULL);
}

START_TEST(run_is_repeated_with_a_key)
{
	static const struct step script[] = { { HANG_UP, NULL }, { SAY, NOT_FOUND },
					      { HANG_UP, NULL }, { SAY, NOT_FOUND },
					      { SAY, EXITED },   { SAY, NULL } };
	struct sandboxd_exec_result *result = NULL;
	char called[256];

	start(script);
	ck_assert_int_eq(run_that_is_forgotten("k", &result), 0);
	ck_assert_str_eq(result->cause, "exited");
	sandboxd_exec_result_free(result);
	ck_assert_str_eq(finish(called, sizeof called),
			 "exec.run exec.wait exec.run exec.wait exec.run ");
}
END_TEST

START_TEST(run_is_not_repeated_without)
{
	static const struct step script[] = { { HANG_UP, NULL },
					      { SAY, NOT_FOUND },
					      { SAY, NULL } };
	struct sandboxd_exec_result *result = NULL;
	char called[256];

	start(script);
	ck_assert_int_eq(run_that_is_forgotten(NULL, &result), -ECONNRESET);
	ck_assert_ptr_null(result);
	ck_assert_str_eq(finish(called, sizeof called), "exec.run exec.wait ");
}
END_TEST

/* Output in two pieces over two connections, the second with a piece that was there before. */
#define DATA(offset, data)                                                                         \
	"{\"jsonrpc\":\"2.0\",\"method\":\"exec.data\",\"params\":{\"execId\":\"x\","              \
	"\"stream\":\"stdout\",\"offset\":" offset ",\"data\":" data "}}\n"

static char shown[64];

static void on_output(struct sandboxd_client *c, const struct sandboxd_output *output,
		      void *userdata)
{
	(void)c;
	(void)userdata;
	ck_assert_uint_eq(output->offset, strlen(shown));
	strncat(shown, output->data, output->size);
}

START_TEST(attach_goes_on)
{
	static const struct sandboxd_callbacks callbacks = { .on_output = on_output };
	static const struct step script[] = {
		{ GO_AWAY, DATA("0", "\"abc\"") DATA("3", "{\"base64\":\"ZGU=\"}") },
		{ SAY, DATA("5", "\"fg\"") EXITED },
		{ SAY, NULL },
	};
	struct sandboxd_exec_result *result = NULL;
	char called[256];

	shown[0] = '\0';
	start(script);
	sandboxd_set_callbacks(stage.client, &callbacks, NULL);
	ck_assert_int_eq(sandboxd_exec_attach(stage.client, "x", "{\"stderr\":9}", &result, NULL),
			 0);
	sandboxd_exec_result_free(result);
	ck_assert_str_eq(shown, "abcdefg");
	ck_assert_str_eq(finish(called, sizeof called), "exec.attach exec.attach ");
}
END_TEST

static void note_status(struct sandboxd_client *c, const struct sandboxd_reply *reply,
			void *userdata)
{
	(void)c;
	*(int *)userdata = reply->status;
}

START_TEST(event_loops_decide_for_themselves)
{
	static const struct step script[] = { { GO_AWAY, NULL },
					      { SAY, RESULT("{}") },
					      { SAY, NULL } };
	const struct sandboxd_request request = { .method = "system.ping" };
	char called[256];
	int status = 1;
	int r;

	start(script);
	ck_assert_int_eq(sandboxd_reconnect(stage.client, 0), 0); /* nothing had ended */
	ck_assert_int_eq(sandboxd_send(stage.client, &request, note_status, &status, NULL), 0);
	while (sandboxd_dispatch(stage.client, -1) >= 0)
		;
	ck_assert_int_eq(status, -ECONNRESET);
	ck_assert_int_eq(sandboxd_send(stage.client, &request, note_status, &status, NULL),
			 -ECONNRESET);
	while ((r = sandboxd_reconnect(stage.client, 0)) == -ENOENT || r == -ECONNREFUSED)
		(void)usleep(1000);
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(sandboxd_send(stage.client, &request, note_status, &status, NULL), 0);
	while (status != 0)
		ck_assert_int_ge(sandboxd_dispatch(stage.client, -1), 0);
	ck_assert_str_eq(finish(called, sizeof called), "system.ping system.ping ");
}
END_TEST

/* The library has its own list; the daemon's table is the truth. */
START_TEST(the_list_is_the_tables)
{
	size_t n_asking = 0;
	size_t n_read_only = 0;

	for (; client_asking_methods[n_asking]; n_asking++) {
		const struct method *m = method_by_name(client_asking_methods[n_asking]);

		ck_assert_msg(m && (m->flags & METHOD_READ_ONLY), "%s",
			      client_asking_methods[n_asking]);
	}
	for (size_t i = 0; i < METHOD_MAX; i++)
		n_read_only += (methods[i].flags & METHOD_READ_ONLY) != 0;
	ck_assert_uint_eq(n_asking, n_read_only);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client-return");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, what_asks_is_asked_again);
	tcase_add_test(tcase, what_acts_is_not);
	tcase_add_test(tcase, not_when_told_so);
	tcase_add_test(tcase, nobody_comes_back);
	tcase_add_test(tcase, run_finds_its_command);
	tcase_add_test(tcase, run_is_repeated_with_a_key);
	tcase_add_test(tcase, run_is_not_repeated_without);
	tcase_add_test(tcase, attach_goes_on);
	tcase_add_test(tcase, event_loops_decide_for_themselves);
	tcase_add_test(tcase, the_list_is_the_tables);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
