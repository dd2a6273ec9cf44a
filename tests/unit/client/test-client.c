/* SPDX-License-Identifier: Apache-2.0 */
/* libsandboxd against a daemon that says exactly what a test wants, and stops where it wants. */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake-server.h"
#include "macro.h"
#include "sandboxd/client.h"

static struct fake_server server;

static void setup(void)
{
	fake_server_init(&server);
}

static void teardown(void)
{
	fake_server_deinit(&server);
}

/* ---- calls ---- */

START_TEST(call_returns_result)
{
	CLEANUP_STR char *result = NULL;
	CLEANUP_STR char *line = NULL;
	int fds[64];
	size_t n_fds;

	fake_server_say(&server, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":[1,\"/x\"]}}\n");
	ck_assert_int_eq(sandboxd_call(server.client, "system.ping", "{\n\"k\": 1}", NULL, 0,
				       &result, NULL),
			 0);
	ck_assert_str_eq(result, "{\"a\":[1,\"/x\"]}");
	line = fake_server_hear(&server, fds, &n_fds);
	ck_assert_str_eq(line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"system.ping\","
			       "\"params\":{\"k\":1}}");
	ck_assert_uint_eq(n_fds, 0);
}
END_TEST

START_TEST(call_is_refused)
{
	struct sandboxd_error e = SANDBOXD_ERROR_INIT;

	fake_server_say(&server, "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32602,"
				 "\"message\":\"m\",\"data\":{\"kind\":\"invalid_params\","
				 "\"field\":\"limits.pids\",\"hint\":\"h\"}}}\n");
	ck_assert_int_eq(sandboxd_call(server.client, "x", NULL, NULL, 0, NULL, &e),
			 SANDBOXD_REFUSED);
	ck_assert_int_eq(e.code, -32602);
	ck_assert_str_eq(e.kind, "invalid_params");
	ck_assert_str_eq(e.message, "m");
	ck_assert_str_eq(e.field, "limits.pids");
	ck_assert_str_eq(e.hint, "h");
	sandboxd_error_clear(&e);
	ck_assert_ptr_null(e.message);
}
END_TEST

START_TEST(bad_arguments_send_nothing)
{
	static const char *const params[] = { "[]", "{", "1", "{} x", "" };
	char byte;

	for (size_t i = 0; i < ARRAY_SIZE(params); i++)
		ck_assert_int_eq(sandboxd_call(server.client, "x", params[i], NULL, 0, NULL, NULL),
				 -EINVAL);
	ck_assert_int_eq(sandboxd_call(server.client, "", NULL, NULL, 0, NULL, NULL), -EINVAL);
	ck_assert_int_eq(recv(server.fd, &byte, 1, MSG_DONTWAIT), -1);
}
END_TEST

/* ---- order, slices, ends ---- */

struct seen {
	int calls;
	int status;
	char text[64];
	uint64_t id;
};

static void on_reply(struct sandboxd_client *c, const struct sandboxd_reply *reply, void *userdata)
{
	struct seen *seen = userdata;

	(void)c;
	seen->calls++;
	seen->status = reply->status;
	seen->id = reply->id;
	if (reply->result)
		strncpy(seen->text, reply->result, sizeof seen->text - 1);
}

static void send_one(struct seen *seen)
{
	struct sandboxd_request r = { .method = "m" };

	memset(seen, 0, sizeof *seen);
	ck_assert_int_eq(sandboxd_send(server.client, &r, on_reply, seen, NULL), 0);
}

START_TEST(replies_in_any_order)
{
	struct seen a;
	struct seen b;
	struct seen c;

	send_one(&a);
	send_one(&b);
	send_one(&c);
	ck_assert_uint_eq(sandboxd_in_flight(server.client), 3);
	fake_server_say(&server, "{\"id\":3,\"result\":3}\n{\"id\":1,\"result\":1}\n");
	ck_assert_int_eq(sandboxd_dispatch(server.client, -1), 2);
	ck_assert_str_eq(a.text, "1");
	ck_assert_str_eq(c.text, "3");
	ck_assert_int_eq(b.calls, 0);
	send_one(&a);
	fake_server_say(&server, "{\"id\":4,\"result\":4}\n{\"id\":2,\"result\":2}\n");
	ck_assert_int_eq(sandboxd_dispatch(server.client, 1000), 2);
	ck_assert_str_eq(a.text, "4");
	ck_assert_str_eq(b.text, "2");
	ck_assert_uint_eq(sandboxd_in_flight(server.client), 0);
}
END_TEST

START_TEST(lines_arrive_in_pieces)
{
	static const char reply[] = "{\"id\":1,\"result\":\"h\303\244lt\"}\n";
	struct seen a;

	send_one(&a);
	for (size_t i = 0; i + 1 < sizeof reply; i++) {
		ck_assert_int_eq(sandboxd_dispatch(server.client, 0), 0);
		ck_assert_int_eq(a.calls, 0);
		ck_assert_int_eq(send(server.fd, reply + i, 1, 0), 1);
	}
	ck_assert_int_eq(sandboxd_dispatch(server.client, 0), 1);
	ck_assert_str_eq(a.text, "\"h\303\244lt\"");
}
END_TEST

START_TEST(server_dies_in_the_middle)
{
	struct seen a;
	struct seen b;

	send_one(&a);
	send_one(&b);
	fake_server_say(&server, "{\"id\":1,\"result\":1}\n{\"id\":2,\"res");
	fake_server_close(&server);
	ck_assert_int_eq(sandboxd_dispatch(server.client, -1), 1);
	ck_assert_int_eq(a.status, 0);
	ck_assert_int_eq(sandboxd_dispatch(server.client, -1), -ECONNRESET);
	ck_assert_int_eq(b.calls, 1);
	ck_assert_int_eq(b.status, -ECONNRESET);
	ck_assert_int_eq(sandboxd_dispatch(server.client, -1), -ECONNRESET);
	ck_assert_int_eq(sandboxd_call(server.client, "x", NULL, NULL, 0, NULL, NULL), -ECONNRESET);
}
END_TEST

/* The daemon says why it will not speak to us, and closes before it read anything. */
START_TEST(refused_connection_says_why)
{
	struct sandboxd_error e = SANDBOXD_ERROR_INIT;

	fake_server_say(&server, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32006,"
				 "\"message\":\"no\",\"data\":{\"kind\":\"denied\"}}}\n");
	fake_server_close(&server);
	ck_assert_int_eq(sandboxd_call(server.client, "x", NULL, NULL, 0, NULL, &e),
			 SANDBOXD_REFUSED);
	ck_assert_str_eq(e.kind, "denied");
	sandboxd_error_clear(&e);
	ck_assert_int_eq(sandboxd_call(server.client, "x", NULL, NULL, 0, NULL, &e), -ECONNRESET);
}
END_TEST

START_TEST(garbage_ends_the_connection)
{
	static const char *const lines[] = {
		"hello\n",
		"[]\n",
		"{\"id\":1}\n",
		"{\"result\":1}\n",
		"{\"id\":\"1\",\"result\":1}\n",
		"{\"id\":77,\"result\":1}\n",
		"\n",
	};
	struct seen a;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		send_one(&a);
		fake_server_say(&server, lines[i]);
		ck_assert_int_eq(sandboxd_dispatch(server.client, -1), -EBADMSG);
		ck_assert_int_eq(a.calls, 1);
		ck_assert_int_eq(a.status, -EBADMSG);
		fake_server_deinit(&server);
		fake_server_init(&server);
	}
}
END_TEST

START_TEST(dispatch_waits_no_longer_than_told)
{
	ck_assert_int_eq(sandboxd_dispatch(server.client, 0), 0);
	ck_assert_int_eq(sandboxd_dispatch(server.client, 10), 0);
}
END_TEST

static void on_reply_blocking(struct sandboxd_client *c, const struct sandboxd_reply *reply,
			      void *userdata)
{
	int *result = userdata;

	(void)reply;
	*result = sandboxd_call(c, "x", NULL, NULL, 0, NULL, NULL);
}

START_TEST(no_blocking_call_in_a_callback)
{
	struct sandboxd_request r = { .method = "m" };
	int result = 0;

	ck_assert_int_eq(sandboxd_send(server.client, &r, on_reply_blocking, &result, NULL), 0);
	fake_server_say(&server, "{\"id\":1,\"result\":1}\n");
	ck_assert_int_eq(sandboxd_dispatch(server.client, -1), 1);
	ck_assert_int_eq(result, -EDEADLK);
}
END_TEST

/* ---- notifications ---- */

struct heard {
	int started;
	int others;
	size_t size;
	char data[64];
	uint64_t offset;
	uint64_t request;
};

static void on_started(struct sandboxd_client *c, const struct sandboxd_started *started,
		       void *userdata)
{
	struct heard *h = userdata;

	(void)c;
	ck_assert_str_eq(started->exec_id, "e1");
	ck_assert_int_eq(started->pid, 7);
	h->request = started->request;
	h->started++;
}

static void on_output(struct sandboxd_client *c, const struct sandboxd_output *output,
		      void *userdata)
{
	struct heard *h = userdata;

	(void)c;
	ck_assert_str_eq(output->stream, "stdout");
	ck_assert_uint_eq(output->offset, h->offset);
	memcpy(h->data + h->size, output->data, output->size);
	h->size += output->size;
	h->offset += output->size;
}

static void on_notification(struct sandboxd_client *c, const char *method, const char *params,
			    size_t size, void *userdata)
{
	struct heard *h = userdata;

	(void)c;
	ck_assert_str_eq(method, "events.event");
	ck_assert_str_eq(params, "{\"type\":\"x\"}");
	ck_assert_uint_eq(size, strlen(params));
	h->others++;
}

START_TEST(notifications_before_the_reply)
{
	static const struct sandboxd_callbacks callbacks = {
		.on_started = on_started,
		.on_output = on_output,
		.on_notification = on_notification,
	};
	struct sandboxd_exec_result *result = NULL;
	struct heard h = { .size = 0 };

	sandboxd_set_callbacks(server.client, &callbacks, &h);
	fake_server_say(
		&server,
		"{\"method\":\"exec.started\",\"params\":{\"execId\":\"e1\",\"requestId\":1,"
		"\"sandbox\":\"s\",\"pid\":7}}\n"
		"{\"method\":\"exec.data\",\"params\":{\"execId\":\"e1\",\"stream\":"
		"\"stdout\",\"offset\":0,\"data\":\"ab\\u0000\"}}\n"
		"{\"method\":\"events.event\",\"params\":{\"type\":\"x\"}}\n"
		"{\"method\":\"exec.data\",\"params\":{\"execId\":\"e1\",\"stream\":"
		"\"stdout\",\"offset\":3,\"data\":{\"base64\":\"/wD+\"}}}\n"
		"{\"id\":1,\"result\":{\"execId\":\"e1\",\"cause\":\"exited\",\"exitCode\":3,"
		"\"signal\":null,\"stdout\":{\"base64\":\"/w==\"},\"stderr\":\"x\"}}\n");
	ck_assert_int_eq(sandboxd_exec_attach(server.client, "e1", NULL, &result, NULL), 0);
	ck_assert_int_eq(h.started, 1);
	ck_assert_uint_eq(h.request, 1);
	ck_assert_int_eq(h.others, 1);
	ck_assert_uint_eq(h.size, 6);
	ck_assert_mem_eq(h.data, "ab\0\377\0\376", 6);
	ck_assert_int_eq(result->exit_code, 3);
	ck_assert_int_eq(result->signal, 0);
	ck_assert_uint_eq(result->out_size, 1);
	ck_assert_mem_eq(result->out, "\377", 1);
	ck_assert_uint_eq(result->err_size, 1);
	ck_assert_ptr_null(result->output);
	sandboxd_exec_result_free(result);
}
END_TEST

START_TEST(result_of_a_signal)
{
	static const char text[] = "{\"execId\":\"e\",\"cause\":\"signaled\",\"exitCode\":null,"
				   "\"signal\":\"SIGKILL\",\"stdout\":null}";
	static const char number[] = "{\"execId\":\"e\",\"cause\":\"signaled\",\"signal\":15}";
	struct sandboxd_exec_result *result;

	ck_assert_int_eq(sandboxd_exec_result_parse(text, strlen(text), &result), 0);
	ck_assert_int_eq(result->exit_code, -1);
	ck_assert_int_eq(result->signal, 9);
	ck_assert_ptr_null(result->out);
	sandboxd_exec_result_free(result);
	ck_assert_int_eq(sandboxd_exec_result_parse(number, strlen(number), &result), 0);
	ck_assert_int_eq(result->signal, 15);
	sandboxd_exec_result_free(result);
	ck_assert_int_eq(sandboxd_exec_result_parse("{}", 2, &result), -EBADMSG);
	ck_assert_int_eq(sandboxd_exec_result_parse("x", 1, &result), -EBADMSG);
}
END_TEST

/* ---- descriptors ---- */

START_TEST(fds_ride_with_their_line)
{
	CLEANUP_STR char *first = NULL;
	CLEANUP_STR char *second = NULL;
	int pass[2];
	int fds[64];
	size_t n_fds;
	struct seen a;

	ck_assert_int_eq(pipe(pass), 0);
	send_one(&a);
	ck_assert_int_eq(sandboxd_send(server.client,
				       &(struct sandboxd_request){ "m", "{\"x\":1}", pass, 2 },
				       on_reply, &a, NULL),
			 0);
	close(pass[0]);
	close(pass[1]);
	first = fake_server_hear(&server, fds, &n_fds);
	ck_assert_uint_eq(n_fds, 0);
	ck_assert_ptr_null(strstr(first, "fds"));
	second = fake_server_hear(&server, fds, &n_fds);
	ck_assert_uint_eq(n_fds, 2);
	ck_assert_ptr_nonnull(strstr(second, "\"fds\":2"));
	ck_assert_int_eq(write(fds[1], "y", 1), 1);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* With the socket full, lines wait with duplicates of their descriptors, and come in order. */
START_TEST(full_socket_queues_lines_and_fds)
{
	enum { LINES = 200 };
	CLEANUP_STR char *params = malloc(20000);
	struct sandboxd_request r = { "m", params, NULL, 1 };
	struct seen a = { .calls = 0 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	memset(params, ' ', 20000);
	memcpy(params, "{\"k\":\"", 6);
	memset(params + 6, 'x', 10000);
	memcpy(params + 10006, "\"}", 3);
	r.fds = &fd;
	for (int i = 0; i < LINES; i++)
		ck_assert_int_eq(sandboxd_send(server.client, &r, on_reply, &a, NULL), 0);
	ck_assert_int_eq(sandboxd_get_events(server.client), POLLIN | POLLOUT);
	close(fd);
	for (int i = 1; i <= LINES; i++) {
		CLEANUP_STR char *line = NULL;
		char id[32];
		int fds[64];
		size_t n_fds;

		(void)sandboxd_dispatch(server.client, 0);
		line = fake_server_hear(&server, fds, &n_fds);
		(void)snprintf(id, sizeof id, "\"id\":%d,", i);
		ck_assert_ptr_nonnull(strstr(line, id));
		ck_assert_uint_eq(n_fds, 1);
		close(fds[0]);
	}
	ck_assert_int_eq(sandboxd_get_events(server.client), POLLIN);
}
END_TEST

START_TEST(too_many_fds_and_too_big_lines)
{
	enum { SIZE = 17 * 1024 * 1024 };
	CLEANUP_STR char *params = malloc(SIZE);
	int fds[65] = { 0 };

	ck_assert_int_eq(sandboxd_call(server.client, "m", NULL, fds, 65, NULL, NULL), -EINVAL);
	memset(params, 'x', SIZE);
	memcpy(params, "{\"k\":\"", 6);
	memcpy(params + SIZE - 3, "\"}", 3);
	ck_assert_int_eq(sandboxd_call(server.client, "m", params, NULL, 0, NULL, NULL), -EMSGSIZE);
	ck_assert_uint_eq(sandboxd_in_flight(server.client), 0);
}
END_TEST

START_TEST(no_more_than_the_limit_in_flight)
{
	struct sandboxd_request r = { .method = "m" };

	for (int i = 0; i < 1024; i++)
		ck_assert_int_eq(sandboxd_send(server.client, &r, NULL, NULL, NULL), 0);
	ck_assert_int_eq(sandboxd_send(server.client, &r, NULL, NULL, NULL), -ENOBUFS);
}
END_TEST

/* ---- typed functions ---- */

START_TEST(typed_create_and_exec)
{
	static const char *const env[] = { "A=b=c", NULL };
	static const char *const command[] = { "echo", "x", NULL };
	struct sandboxd_workspace workspaces[] = { { "/w", 0 }, { "/x", 1 } };
	struct sandboxd_sandbox_options o = {
		.tool = "shell", .workspaces = workspaces, .n_workspaces = 2, .env = env, .pids = 9
	};
	struct sandboxd_exec_options e = SANDBOXD_EXEC_OPTIONS_INIT;
	struct sandboxd_exec_result *result = NULL;
	struct sandboxd_sandbox *sandbox = NULL;
	CLEANUP_STR char *create = NULL;
	CLEANUP_STR char *run = NULL;
	int fds[64];
	size_t n_fds;
	char name[33];
	int rest = 0;

	fake_server_say(&server, "{\"id\":1,\"result\":{\"name\":\"n\",\"id\":\"i\",\"network\":"
				 "{\"mode\":\"none\"},\"pid\":5}}\n");
	ck_assert_int_eq(sandboxd_sandbox_create(server.client, &o, &sandbox, NULL), 0);
	ck_assert_str_eq(sandbox->name, "n");
	ck_assert_str_eq(sandbox->network, "none");
	ck_assert_int_eq(sandbox->pid, 5);
	sandboxd_sandbox_free(sandbox);
	fake_server_say(&server, "{\"id\":2,\"result\":{\"execId\":\"e\",\"cause\":\"exited\","
				 "\"exitCode\":0}}\n");
	e.sandbox = "n";
	e.command = command;
	e.stdin_data = "in";
	e.stdin_size = 2;
	e.stdout_fd = STDERR_FILENO;
	ck_assert_int_eq(sandboxd_exec_run(server.client, &e, &result, NULL), 0);
	sandboxd_exec_result_free(result);
	create = fake_server_hear(&server, fds, &n_fds);
	ck_assert_str_eq(create,
			 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sandbox.create\",\"params\":{"
			 "\"tool\":\"shell\",\"workspace\":{\"path\":\"/w\"},\"extraWorkspaces\":["
			 "{\"path\":\"/x\",\"readOnly\":true}],\"limits\":{\"pids\":9},"
			 "\"env\":{\"A\":\"b=c\"}}}");
	run = fake_server_hear(&server, fds, &n_fds);
	ck_assert_uint_eq(n_fds, 1);
	close(fds[0]);
	/* its name, by which it is found after a lost connection */
	ck_assert_int_eq(sscanf(run,
				"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"exec.run\",\"params\":{"
				"\"execId\":\"x%32[0-9a-f]\",%n",
				name, &rest),
			 1);
	ck_assert_uint_eq(strlen(name), 32);
	ck_assert_str_eq(run + rest,
			 "\"sandbox\":\"n\",\"command\":[\"echo\",\"x\"],\"stdin\":{\"text\":"
			 "\"in\"},"
			 "\"stdout\":{\"fd\":0},\"fds\":1}}");
}
END_TEST

START_TEST(typed_read)
{
	struct sandboxd_chunk chunk;

	fake_server_say(&server, "{\"id\":1,\"result\":{\"data\":{\"base64\":\"AAEC\"},"
				 "\"nextOffset\":13,\"eof\":true}}\n");
	ck_assert_int_eq(sandboxd_exec_read(server.client, "e", "stdout", 10, 0, &chunk, NULL), 0);
	ck_assert_uint_eq(chunk.size, 3);
	ck_assert_mem_eq(chunk.data, "\0\1\2", 3);
	ck_assert_uint_eq(chunk.next, 13);
	ck_assert_int_eq(chunk.eof, 1);
	free(chunk.data);
}
END_TEST

START_TEST(list_of_nothing)
{
	struct sandboxd_sandbox **list = NULL;
	size_t count = 9;

	fake_server_say(&server, "{\"id\":1,\"result\":{\"sandboxes\":[]}}\n");
	ck_assert_int_eq(sandboxd_sandbox_list(server.client, &list, &count, NULL), 0);
	ck_assert_uint_eq(count, 0);
	sandboxd_sandbox_list_free(list, count);
}
END_TEST

static void hear_and_say(const char *params, const char *text)
{
	int fds[64];
	size_t n_fds;
	CLEANUP_STR char *line = fake_server_hear(&server, fds, &n_fds);

	ck_assert_ptr_nonnull(strstr(line, params));
	fake_server_say(&server, text);
}

/* A page with as many as were asked for is not the last one. */
START_TEST(list_of_two_pages)
{
	struct sandboxd_sandbox **list = NULL;
	size_t count = 0;
	CLEANUP_STR char *page = NULL;
	FILE *f = open_memstream(&page, &count);
	pid_t daemon;
	int status;

	(void)fputs("{\"id\":1,\"result\":{\"sandboxes\":[", f);
	for (int i = 0; i < 1000; i++)
		(void)fprintf(f, "%s{\"name\":\"n%d\",\"id\":\"i%d\"}", i ? "," : "", i, i);
	(void)fputs("]}}\n", f);
	ck_assert_int_eq(fclose(f), 0);
	daemon = fork();
	ck_assert_int_ge(daemon, 0);
	if (daemon == 0) {
		hear_and_say("{\"limit\":1000}", page);
		hear_and_say("{\"limit\":1000,\"after\":\"i999\"}",
			     "{\"id\":2,\"result\":{\"sandboxes\":[{\"name\":\"n1000\"}]}}\n");
		_exit(0);
	}
	fake_server_close(&server);
	ck_assert_int_eq(sandboxd_sandbox_list(server.client, &list, &count, NULL), 0);
	ck_assert_uint_eq(count, 1001);
	ck_assert_str_eq(list[999]->name, "n999");
	ck_assert_str_eq(list[1000]->name, "n1000");
	sandboxd_sandbox_list_free(list, count);
	ck_assert_int_eq(waitpid(daemon, &status, 0), daemon);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, call_returns_result);
	tcase_add_test(tcase, call_is_refused);
	tcase_add_test(tcase, bad_arguments_send_nothing);
	tcase_add_test(tcase, replies_in_any_order);
	tcase_add_test(tcase, lines_arrive_in_pieces);
	tcase_add_test(tcase, server_dies_in_the_middle);
	tcase_add_test(tcase, refused_connection_says_why);
	tcase_add_test(tcase, garbage_ends_the_connection);
	tcase_add_test(tcase, dispatch_waits_no_longer_than_told);
	tcase_add_test(tcase, no_blocking_call_in_a_callback);
	tcase_add_test(tcase, notifications_before_the_reply);
	tcase_add_test(tcase, result_of_a_signal);
	tcase_add_test(tcase, fds_ride_with_their_line);
	tcase_add_test(tcase, full_socket_queues_lines_and_fds);
	tcase_add_test(tcase, too_many_fds_and_too_big_lines);
	tcase_add_test(tcase, no_more_than_the_limit_in_flight);
	tcase_add_test(tcase, typed_create_and_exec);
	tcase_add_test(tcase, typed_read);
	tcase_add_test(tcase, list_of_nothing);
	tcase_add_test(tcase, list_of_two_pages);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
