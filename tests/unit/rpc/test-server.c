/* SPDX-License-Identifier: Apache-2.0 */
/* Who may connect, how many, and what happens without descriptors. */
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bounds.h"
#include "fixture.h"
#include "macro.h"

#define PING "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"system.ping\"}"
#define WAIT "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"exec.wait\",\"params\":{\"execId\":\"e\"}}"

static struct fixture f;

static void open_all(void)
{
	fixture_open(&f);
}

static void close_all(void)
{
	fixture_close(&f);
}

START_TEST(turns_away_who_is_not_admitted)
{
	struct client c;

	f.refuse_peers = true;
	client_open(&c, &f);
	client_expect_error(&c, "null", -32006, NULL);
	client_expect_end(&c);
	ck_assert_uint_eq(server_connection_count(f.server), 0);
	client_close(&c);
}
END_TEST

START_TEST(serves_many_at_once)
{
	static struct client clients[100];

	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		client_open(&clients[i], &f);
	ck_assert_uint_eq(server_connection_count(f.server), ARRAY_SIZE(clients));
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		client_send(&clients[i], PING);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		client_expect_result(&clients[i], "1");
		client_close(&clients[i]);
	}
	fixture_run(&f);
	ck_assert_uint_eq(server_connection_count(f.server), 0);
}
END_TEST

START_TEST(does_not_let_one_client_starve_another)
{
	struct client busy, other;

	client_open(&busy, &f);
	client_open(&other, &f);
	for (int i = 0; i < 2000; i++)
		client_send(&busy, PING);
	client_send(&other, PING);
	/* A few turns must do, not the whole of the busy one's requests. */
	for (int i = 0; i < 3; i++)
		event_base_loop(f.base, EVLOOP_NONBLOCK);
	ck_assert_int_eq(poll(&(struct pollfd){ .fd = other.fd, .events = POLLIN }, 1, 0), 1);
	client_close(&busy);
	client_close(&other);
}
END_TEST

/* Peers of the daemon's own uid count, unless it is root's: so this runs as somebody else. */
START_TEST(bounds_connections_of_one_user)
{
	static struct client clients[RPC_CONNECTIONS_PER_UID_MAX + 1];

	if (getuid() == 0) {
		ck_assert_int_eq(chown(f.dir, 65534, 65534), 0);
		ck_assert_int_eq(chown(f.path, 65534, 65534), 0);
		ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
	}
	for (size_t i = 0; i < RPC_CONNECTIONS_PER_UID_MAX; i++)
		client_open(&clients[i], &f);
	client_open(&clients[RPC_CONNECTIONS_PER_UID_MAX], &f);
	client_expect_error(&clients[RPC_CONNECTIONS_PER_UID_MAX], "null", -32007, NULL);
	client_expect_end(&clients[RPC_CONNECTIONS_PER_UID_MAX]);
	client_close(&clients[0]);
	client_close(&clients[RPC_CONNECTIONS_PER_UID_MAX]);
	fixture_run(&f);
	client_open(&clients[0], &f);
	client_send(&clients[0], PING);
	client_expect_result(&clients[0], "1");
	for (size_t i = 0; i < RPC_CONNECTIONS_PER_UID_MAX; i++)
		client_close(&clients[i]);
}
END_TEST

START_TEST(pauses_when_there_are_no_descriptors)
{
	struct rlimit old, low = { 0 };
	struct timespec start, end;
	struct client c;

	/* A client's socket, and nothing left for the server's. */
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	c.fd = fcntl(0, F_DUPFD_CLOEXEC, 3);
	low.rlim_cur = (rlim_t)c.fd + 1;
	close_fd(c.fd);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	client_open(&c, &f);
	ck_assert_uint_eq(server_connection_count(f.server), 0);
	/* The listener is readable all the time, and yet one turn of the loop waits. */
	clock_gettime(CLOCK_MONOTONIC, &start);
	event_base_loop(f.base, EVLOOP_ONCE);
	clock_gettime(CLOCK_MONOTONIC, &end);
	ck_assert_int_ge((end.tv_sec - start.tv_sec) * 1000 +
				 (end.tv_nsec - start.tv_nsec) / 1000000,
			 RPC_ACCEPT_RETRY_MS / 2);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	client_send(&c, PING);
	client_expect_result(&c, "1");
	client_close(&c);
}
END_TEST

START_TEST(stops_accepting_and_finishes)
{
	struct client c;

	client_open(&c, &f);
	client_send(&c, WAIT);
	fixture_run(&f);
	server_stop_accepting(f.server);
	ck_assert_uint_eq(server_requests_in_flight(f.server), 1);
	fixture_release(&f);
	ck_assert(!server_is_flushed(f.server));
	fixture_run(&f);
	ck_assert(server_is_flushed(f.server));
	client_expect_result(&c, "1");
	client_close(&c);
}
END_TEST

START_TEST(goes_before_its_requests)
{
	struct client c;

	client_open(&c, &f);
	client_send(&c, WAIT);
	fixture_run(&f);
	server_free(f.server);
	f.server = NULL;
	ck_assert_uint_eq(f.disconnected, 1);
	fixture_release(&f);
	client_expect_end(&c);
	client_close(&c);
}
END_TEST

/* valgrind plays RLIMIT_NOFILE itself: it accepts, and then closes what is beyond. */
static bool on_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload");
}

int main(void)
{
	Suite *s = suite_create("rpc/server");
	TCase *t = tcase_create("server");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, open_all, close_all);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, turns_away_who_is_not_admitted);
	tcase_add_test(t, serves_many_at_once);
	tcase_add_test(t, does_not_let_one_client_starve_another);
	if (!on_valgrind())
		tcase_add_test(t, pauses_when_there_are_no_descriptors);
	tcase_add_test(t, stops_accepting_and_finishes);
	tcase_add_test(t, goes_before_its_requests);
	/* The last one: without forks nobody is root after it. */
	tcase_add_test(t, bounds_connections_of_one_user);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
