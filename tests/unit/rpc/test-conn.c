/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes and descriptors: framing, the queue, output that nobody reads, clients that go away. */
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "bounds.h"
#include "fixture.h"
#include "macro.h"

#define CALL(id, method) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\"}"
#define CALL_WITH(id, method, params)                                                              \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\",\"params\":" params "}"
#define RUN(id, members)                                                                           \
	CALL_WITH(id, "exec.run", "{\"sandbox\":\"a\",\"command\":[\"true\"]" members "}")
#define STDIN_FD(id) RUN(id, ",\"fds\":1,\"stdin\":{\"fd\":0}")

static struct fixture f;
static struct client c;

static void open_all(void)
{
	fixture_open(&f);
	client_open(&c, &f);
}

static void close_all(void)
{
	client_close(&c);
	fixture_close(&f);
}

static void expect_alive(void)
{
	client_send(&c, CALL("\"alive\"", "system.ping"));
	client_expect_result(&c, "\"alive\"");
}

/* ---- framing ---- */

START_TEST(takes_lines_in_any_pieces)
{
	const char *lines = CALL("1", "system.ping") "\n" CALL("2", "system.ping") "\n";

	for (size_t i = 0; i < strlen(lines); i++) {
		client_send_bytes(&c, lines + i, 1);
		event_base_loop(f.base, EVLOOP_NONBLOCK);
	}
	client_expect_result(&c, "1");
	client_expect_result(&c, "2");
}
END_TEST

START_TEST(waits_for_the_rest_of_a_line)
{
	static const char line[] = CALL("1", "system.ping");

	client_send_bytes(&c, line, 20);
	client_expect_silence(&c);
	client_send(&c, &line[20]);
	client_expect_result(&c, "1");
}
END_TEST

static void send_filler(size_t size)
{
	static char filler[1 << 20];

	memset(filler, 'x', sizeof(filler));
	while (size > 0) {
		size_t n = size < sizeof(filler) ? size : sizeof(filler);

		client_send_bytes(&c, filler, n);
		size -= n;
	}
}

/* A ping whose line is SIZE bytes long, padded by a member that nobody looks at. */
static void send_padded_ping(size_t size)
{
	const char *head = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"system.ping\",\"pad\":\"";

	client_send_bytes(&c, head, strlen(head));
	send_filler(size - strlen(head) - 2);
	client_send(&c, "\"}");
}

START_TEST(takes_a_line_up_to_the_limit)
{
	send_padded_ping(RPC_LINE_MAX);
	client_expect_result(&c, "1");
	send_padded_ping(RPC_LINE_MAX + 1);
	client_expect_error(&c, "null", -32600, NULL);
	expect_alive();
}
END_TEST

START_TEST(skips_a_line_of_100_mib)
{
	struct rusage usage;

	send_filler(100 * 1024 * 1024);
	client_send(&c, "");
	client_expect_error(&c, "null", -32600, NULL);
	expect_alive();
	ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
	/* The line was never kept: twice its limit, and what a sanitizer needs. */
	ck_assert_int_lt(usage.ru_maxrss, 400 * 1024);
}
END_TEST

START_TEST(bounds_the_values_in_a_line)
{
	size_t size = 2 * (RPC_CONTAINERS_MAX + 2);
	char *line = malloc(size + 1);

	memset(line, '[', 1);
	for (size_t i = 1; i + 1 < size; i += 2)
		memcpy(line + i, "[]", 2);
	line[size - 1] = ']';
	client_send_bytes(&c, line, size);
	client_send(&c, "");
	client_expect_error(&c, "null", -32700, NULL);
	free(line);
	expect_alive();
}
END_TEST

/* ---- output that nobody reads ---- */

START_TEST(answers_10000_requests_that_nobody_reads_at_first)
{
	char line[128];

	for (int i = 0; i < 10000; i++) {
		(void)snprintf(line, sizeof(line), CALL("%d", "system.ping"), i);
		client_send(&c, line);
	}
	for (int i = 0; i < 10000; i++) {
		(void)snprintf(line, sizeof(line), "%d", i);
		client_expect_result(&c, line);
	}
}
END_TEST

START_TEST(stops_reading_while_output_waits)
{
	struct json_object *reply;
	char line[128];
	int sent = 0, n;

	/* Each answer is 1 MiB: after a few the server must leave the rest in the socket. */
	for (;;) {
		n = snprintf(line, sizeof(line),
			     CALL_WITH("%d", "exec.read",
				       "{\"execId\":\"e\",\"stream\":\"stdout\"}") "\n",
			     sent);
		if (send(c.fd, line, (size_t)n, MSG_DONTWAIT) < 0)
			break;
		sent++;
		fixture_run(&f);
		ck_assert_int_lt(sent, 100000);
	}
	ck_assert_uint_le(server_requests_in_flight(f.server), 1);
	for (int i = 0; i < sent; i++) {
		reply = client_read(&c);
		ck_assert_int_eq(json_object_get_int(json_at(reply, "id")), i);
		json_object_put(reply);
	}
	expect_alive();
}
END_TEST

START_TEST(pauses_a_stream_that_is_not_read)
{
	client_send(&c, CALL_WITH("1", "exec.attach", "{\"execId\":\"e\"}"));
	fixture_run(&f);
	ck_assert_uint_gt(f.chunks_sent, 0);
	ck_assert_uint_lt(f.chunks_sent * STREAM_CHUNK_SIZE,
			  RPC_OUTPUT_HIGH + 4 * STREAM_CHUNK_SIZE + (1 << 20));
	for (int i = 0; i < STREAM_CHUNKS; i++) {
		struct json_object *chunk = client_read(&c);

		ck_assert_str_eq(json_text(chunk, "method"), "exec.data");
		json_object_put(chunk);
	}
	client_expect_result(&c, "1");
	ck_assert_uint_ge(f.drained, 2);
}
END_TEST

START_TEST(stops_reading_at_the_cap_of_requests)
{
	char line[128];

	for (int i = 0; i < RPC_IN_FLIGHT_MAX + 10; i++) {
		(void)snprintf(line, sizeof(line),
			       CALL_WITH("%d", "exec.wait", "{\"execId\":\"e\"}"), i);
		client_send(&c, line);
	}
	fixture_run(&f);
	ck_assert_uint_eq(server_requests_in_flight(f.server), RPC_IN_FLIGHT_MAX);
	for (int i = 0; i < RPC_IN_FLIGHT_MAX + 10; i++) {
		fixture_release(&f);
		fixture_run(&f);
		json_object_put(client_read(&c));
	}
	ck_assert_uint_eq(server_requests_in_flight(f.server), 0);
	expect_alive();
}
END_TEST

static void hold_requests(size_t n)
{
	char line[128];

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(line, sizeof(line),
			       CALL_WITH("%zu", "exec.wait", "{\"execId\":\"e\"}"), i);
		client_send(&c, line);
	}
	fixture_run(&f);
	ck_assert_uint_eq(f.held_count, n);
}

START_TEST(drops_a_client_that_lets_its_answers_pile_up)
{
	size_t size = 1 << 20, n = RPC_OUTPUT_MAX / size + 20;

	hold_requests(n);
	while (f.held_count > 0)
		fixture_release_with(&f, size);
	fixture_run(&f);
	ck_assert_uint_eq(server_connection_count(f.server), 0);
	client_close(&c);
	client_open(&c, &f);
	expect_alive();
}
END_TEST

/* ---- order ---- */

START_TEST(sends_notifications_before_the_reply)
{
	struct json_object *first;

	client_send(&c, RUN("7", ""));
	first = client_read(&c);
	ck_assert_str_eq(json_text(first, "method"), "exec.started");
	ck_assert_int_eq(json_object_get_int(json_at(first, "params.requestId")), 7);
	json_object_put(first);
	client_expect_result(&c, "7");
}
END_TEST

START_TEST(sends_what_one_turn_made_at_once)
{
	char bytes[4096];
	ssize_t n;

	client_send(&c, RUN("1", "") "\n" RUN("2", ""));
	fixture_run(&f);
	n = recv(c.fd, bytes, sizeof(bytes) - 1, MSG_DONTWAIT);
	ck_assert_int_gt(n, 0);
	bytes[n] = '\0';
	ck_assert_ptr_nonnull(strstr(bytes, "\"id\":2"));
}
END_TEST

/* ---- clients that go away ---- */

START_TEST(tells_requests_that_the_client_is_gone)
{
	client_send(&c, CALL_WITH("1", "exec.wait", "{\"execId\":\"e\"}"));
	fixture_run(&f);
	client_close(&c);
	fixture_run(&f);
	ck_assert_uint_eq(f.disconnected, 1);
	ck_assert_uint_eq(server_connection_count(f.server), 0);
	ck_assert_uint_eq(server_requests_in_flight(f.server), 1);
	fixture_release(&f); /* the answer goes nowhere */
	ck_assert_uint_eq(server_requests_in_flight(f.server), 0);
	client_open(&c, &f);
	expect_alive();
}
END_TEST

START_TEST(tells_a_request_that_begins_to_care_too_late)
{
	f.watch_late = true;
	hold_requests(1);
	client_close(&c);
	fixture_run(&f);
	ck_assert_uint_eq(f.disconnected, 0);
	fixture_watch(&f);
	ck_assert_uint_eq(f.disconnected, 0); /* not from inside the call */
	fixture_run(&f);
	ck_assert_uint_eq(f.disconnected, 1);
}
END_TEST

START_TEST(notices_a_client_that_goes_while_not_read_from)
{
	hold_requests(RPC_IN_FLIGHT_MAX);
	client_send(&c, CALL("\"x\"", "system.ping"));
	fixture_run(&f);
	client_close(&c);
	fixture_run(&f);
	ck_assert_uint_eq(f.disconnected, RPC_IN_FLIGHT_MAX);
	ck_assert_uint_eq(server_connection_count(f.server), 0);
}
END_TEST

START_TEST(answers_a_client_that_only_stopped_sending)
{
	client_send(&c, CALL_WITH("1", "exec.wait", "{\"execId\":\"e\"}"));
	ck_assert_int_eq(shutdown(c.fd, SHUT_WR), 0);
	client_expect_silence(&c);
	ck_assert_uint_eq(f.disconnected, 0);
	fixture_release(&f);
	client_expect_result(&c, "1");
	client_expect_end(&c);
	ck_assert_uint_eq(server_connection_count(f.server), 0);
}
END_TEST

START_TEST(notices_a_client_that_stopped_sending_and_then_goes)
{
	client_send(&c, CALL_WITH("1", "exec.wait", "{\"execId\":\"e\"}"));
	ck_assert_int_eq(shutdown(c.fd, SHUT_WR), 0);
	client_expect_silence(&c);
	client_close(&c);
	fixture_run(&f);
	ck_assert_uint_eq(f.disconnected, 1);
}
END_TEST

START_TEST(forgets_half_a_line_of_a_client_that_goes)
{
	client_send_bytes(&c, CALL("1", "system.ping"), 20);
	fixture_run(&f);
	client_close(&c);
	fixture_run(&f);
	ck_assert_uint_eq(server_connection_count(f.server), 0);
}
END_TEST

/* ---- descriptors ---- */

/* The read end of a pipe that holds TEXT. */
static int pipe_with(const char *text)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(write(fds[1], text, strlen(text)), (ssize_t)strlen(text));
	close_fd(fds[1]);
	return fds[0];
}

static void send_with_fds(const char *line, const int *fds, size_t n)
{
	client_send_fds(&c, line, fds, n);
	client_send(&c, "");
}

static void expect_text(const char *id, const char *text)
{
	struct json_object *reply = client_read(&c);

	if (json_at(reply, "method")) { /* exec.started */
		json_object_put(reply);
		reply = client_read(&c);
	}
	ck_assert_str_eq(json_text(reply, "id"), id);
	ck_assert_msg(json_text(reply, "result.text") != NULL, "%s",
		      json_object_to_json_string(reply));
	ck_assert_str_eq(json_text(reply, "result.text"), text);
	json_object_put(reply);
}

static size_t open_descriptors(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

START_TEST(hands_descriptors_to_the_request_that_takes_them)
{
	CLEANUP_FD int first = pipe_with("first"), second = pipe_with("second");
	CLEANUP_FD int third = pipe_with("third");
	size_t before = open_descriptors();
	const int two[] = { first, second };

	/* Lines glued together, their descriptors in one message: the queue's order decides. */
	send_with_fds(STDIN_FD("1") "\n" CALL("9", "system.ping") "\n" STDIN_FD("2"), two, 2);
	expect_text("1", "first");
	client_expect_result(&c, "9");
	expect_text("2", "second");
	send_with_fds(STDIN_FD("3"), &third, 1);
	expect_text("3", "third");
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

START_TEST(takes_descriptors_that_come_before_the_end_of_a_long_line)
{
	CLEANUP_FD int fd = pipe_with("early");
	const char *head = "{\"pad\":\"";
	const char *tail = "\",\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"exec.run\",\"params\":{"
			   "\"sandbox\":\"a\",\"command\":[\"true\"],\"fds\":1,"
			   "\"stdin\":{\"fd\":0}}}";

	client_send_fds(&c, head, &fd, 1);
	send_filler(300000);
	client_send(&c, tail);
	expect_text("1", "early");
}
END_TEST

START_TEST(takes_none_when_there_are_fewer_than_declared)
{
	CLEANUP_FD int fd = pipe_with("kept");

	send_with_fds(RUN("1", ",\"fds\":2,\"stdin\":{\"fd\":0}"), &fd, 1);
	client_expect_error(&c, "1", -32602, "fds");
	client_send(&c, STDIN_FD("2"));
	expect_text("2", "kept");
}
END_TEST

START_TEST(closes_what_a_refused_request_declared)
{
	CLEANUP_FD int first = pipe_with("first"), second = pipe_with("second");
	size_t before = open_descriptors();
	const int two[] = { first, second };

	/* The next request must not get the first one's descriptor. */
	send_with_fds(CALL_WITH("1", "no.such", "{\"fds\":1}") "\n" STDIN_FD("2"), two, 2);
	client_expect_error(&c, "1", -32601, "method");
	expect_text("2", "second");
	send_with_fds("{\"id\":3,\"params\":{\"fds\":1}}\n" STDIN_FD("4"), two, 2);
	client_expect_error(&c, "3", -32600, "jsonrpc");
	json_object_put(client_read(&c));
	json_object_put(client_read(&c));
	ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

START_TEST(refuses_descriptors_in_a_batch)
{
	CLEANUP_FD int first = pipe_with("first"), second = pipe_with("second");
	const int two[] = { first, second };
	struct json_object *reply;

	send_with_fds("[" RUN("1", ",\"detach\":true,\"fds\":1") "]\n" STDIN_FD("2"), two, 2);
	reply = client_read(&c);
	ck_assert_str_eq(json_text(json_object_array_get_idx(reply, 0), "error.data.field"), "fds");
	json_object_put(reply);
	expect_text("2", "second");
}
END_TEST

START_TEST(refuses_the_same_descriptor_twice)
{
	CLEANUP_FD int fd = pipe_with("");

	send_with_fds(RUN("1", ",\"fds\":1,\"stdout\":{\"fd\":0},\"stderr\":{\"fd\":0}"), &fd, 1);
	client_expect_error(&c, "1", -32602, "stderr.fd");
}
END_TEST

START_TEST(refuses_kinds_of_descriptors)
{
	static const struct {
		const char *path;
		int flags;
	} kinds[] = { { "/tmp", O_RDONLY | O_DIRECTORY },
		      { "/proc/self/exe", O_RDONLY },
		      { "/dev/null", O_PATH },
		      { "/tmp", O_PATH } };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		CLEANUP_FD int fd = open(kinds[i].path, kinds[i].flags | O_CLOEXEC);

		ck_assert_int_ge(fd, 0);
		send_with_fds(RUN("1", ",\"fds\":1,\"stdout\":{\"fd\":0}"), &fd, 1);
		client_expect_error(&c, "1", -32602, "stdout.fd");
	}
	expect_alive();
}
END_TEST

START_TEST(lets_descriptors_wait_up_to_the_cap)
{
	CLEANUP_FD int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[RPC_FDS_MAX];

	for (int i = 0; i < RPC_FDS_MAX; i++)
		fds[i] = fd;
	send_with_fds(CALL("1", "system.ping"), fds, RPC_FDS_MAX);
	client_expect_result(&c, "1");
	client_send(&c, RUN("2", ",\"fds\":64"));
	expect_text("2", "");
	send_with_fds(CALL("3", "system.ping"), fds, RPC_FDS_MAX);
	client_expect_result(&c, "3");
	send_with_fds(CALL("4", "system.ping"), fds, 1);
	client_expect_error(&c, "null", -32600, "fds");
	client_expect_end(&c);
}
END_TEST

START_TEST(ends_a_connection_whose_descriptors_belong_to_no_line)
{
	static const char *const lines[] = { "garbage", "{\"fds\":1,\"fds\":1}", "7" };
	CLEANUP_FD int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	size_t before = open_descriptors();

	send_with_fds(lines[_i], &fd, 1);
	json_object_put(client_read(&c));
	client_expect_end(&c);
	fixture_run(&f);
	ck_assert_uint_eq(server_connection_count(f.server), 0);
	ck_assert_uint_eq(open_descriptors(), before - 1); /* and the server's end */
}
END_TEST

START_TEST(ends_a_connection_with_descriptors_on_a_line_too_long)
{
	CLEANUP_FD int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	client_send_fds(&c, "x", &fd, 1);
	send_filler(RPC_LINE_MAX);
	client_send(&c, "");
	client_expect_error(&c, "null", -32600, NULL);
	client_expect_end(&c);
}
END_TEST

START_TEST(closes_descriptors_of_a_client_that_goes)
{
	CLEANUP_FD int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	size_t before = open_descriptors();

	client_send_fds(&c, "{", &fd, 1);
	fixture_run(&f);
	client_close(&c);
	fixture_run(&f);
	ck_assert_uint_eq(open_descriptors(), before - 2);
}
END_TEST

static TCase *framing(void)
{
	TCase *t = tcase_create("framing");

	tcase_add_test(t, takes_lines_in_any_pieces);
	tcase_add_test(t, waits_for_the_rest_of_a_line);
	tcase_add_test(t, takes_a_line_up_to_the_limit);
	tcase_add_test(t, skips_a_line_of_100_mib);
	tcase_add_test(t, bounds_the_values_in_a_line);
	return t;
}

static TCase *output(void)
{
	TCase *t = tcase_create("output");

	tcase_add_test(t, answers_10000_requests_that_nobody_reads_at_first);
	tcase_add_test(t, stops_reading_while_output_waits);
	tcase_add_test(t, pauses_a_stream_that_is_not_read);
	tcase_add_test(t, stops_reading_at_the_cap_of_requests);
	tcase_add_test(t, drops_a_client_that_lets_its_answers_pile_up);
	tcase_add_test(t, sends_notifications_before_the_reply);
	tcase_add_test(t, sends_what_one_turn_made_at_once);
	return t;
}

static TCase *ends(void)
{
	TCase *t = tcase_create("ends");

	tcase_add_test(t, tells_requests_that_the_client_is_gone);
	tcase_add_test(t, tells_a_request_that_begins_to_care_too_late);
	tcase_add_test(t, notices_a_client_that_goes_while_not_read_from);
	tcase_add_test(t, answers_a_client_that_only_stopped_sending);
	tcase_add_test(t, notices_a_client_that_stopped_sending_and_then_goes);
	tcase_add_test(t, forgets_half_a_line_of_a_client_that_goes);
	return t;
}

static TCase *descriptors(void)
{
	TCase *t = tcase_create("descriptors");

	tcase_add_test(t, hands_descriptors_to_the_request_that_takes_them);
	tcase_add_test(t, takes_descriptors_that_come_before_the_end_of_a_long_line);
	tcase_add_test(t, takes_none_when_there_are_fewer_than_declared);
	tcase_add_test(t, closes_what_a_refused_request_declared);
	tcase_add_test(t, refuses_descriptors_in_a_batch);
	tcase_add_test(t, refuses_the_same_descriptor_twice);
	tcase_add_test(t, lets_descriptors_wait_up_to_the_cap);
	tcase_add_loop_test(t, ends_a_connection_whose_descriptors_belong_to_no_line, 0, 3);
	tcase_add_test(t, ends_a_connection_with_descriptors_on_a_line_too_long);
	tcase_add_test(t, closes_descriptors_of_a_client_that_goes);
	return t;
}

/* Closing such descriptors takes a raw clone, which valgrind cannot follow: it leaves the tag out.
 */
static TCase *strange_descriptors(void)
{
	TCase *t = tcase_create("strange descriptors");

	tcase_add_test(t, refuses_kinds_of_descriptors);
	tcase_set_tags(t, "clone");
	return t;
}

int main(void)
{
	TCase *cases[] = { framing(), output(), ends(), descriptors(), strange_descriptors() };
	Suite *s = suite_create("rpc/conn");
	SRunner *runner;
	int failed;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		tcase_add_checked_fixture(cases[i], open_all, close_all);
		tcase_set_timeout(cases[i], 120);
		suite_add_tcase(s, cases[i]);
	}
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
