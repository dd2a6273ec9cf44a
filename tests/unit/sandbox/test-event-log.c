/* SPDX-License-Identifier: Apache-2.0 */
/* The event log against a real database: order, who sees what, restarts, a disk that takes nothing,
 * retention. */
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bounds.h"
#include "sandbox/config.h"
#include "sandbox/event-log.h"
#include "sandbox/event-reader.h"
#include "sandbox/manager.h"
#include "store/store.h"
#include "util/path.h"

#define ME 1000
#define ANOTHER 1001

static char dir[64];
static char db[96];
static struct manager m;
static struct config *config;

static void start(void)
{
	ck_assert_int_eq(store_open(&m.store, db, false), 0);
	ck_assert_int_eq(event_log_new(&m, &m.events), 0);
}

static void stop(void)
{
	event_log_free(m.events);
	m.events = NULL;
	store_free(m.store);
}

static void setup(void)
{
	strcpy(dir, "/tmp/test-events-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(db, sizeof(db), "%s/state.db", dir);
	ck_assert_int_eq(config_new(&config, ME), 0);
	m = (struct manager){ .config = config, .uid = ME, .base = event_base_new() };
	ck_assert_ptr_nonnull(m.base);
	start();
}

static void teardown(void)
{
	stop();
	event_base_free(m.base);
	config_unref(config);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir), 0);
}

/* ---- what is written ---- */

static void add(int64_t peer, const char *type, int64_t number)
{
	struct event_note n = { .type = type, .peer = peer };

	event_note_number(&n, "number", number);
	event_log_add(&m, &n);
}

static void add_many(int64_t peer, int64_t from, int64_t to)
{
	for (; from <= to; from++)
		add(peer, "test.event", from);
}

static void on_enough(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	(void)userdata;
	(void)event_base_loopbreak(m.base);
}

/* Lets timers go off for a while. */
static void run_loop(int ms)
{
	struct timeval delay = { .tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	ck_assert_int_eq(event_base_once(m.base, -1, EV_TIMEOUT, on_enough, NULL, &delay), 0);
	(void)event_base_dispatch(m.base);
}

/* Until the event NUMBER of the log is on disk. */
static void write_until(int64_t number)
{
	int i;

	for (i = 0; i < 1000 && event_log_last(&m) < number; i++)
		run_loop(20);
	ck_assert_int_eq(event_log_last(&m), number);
}

/* From here on the disk takes no byte; or it does again. */
static void fill_disk(bool full)
{
	struct rlimit limit;

	(void)signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = full ? 1 : limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* ---- what is read ---- */

struct seen {
	int64_t numbers[8192];
	size_t n;
	size_t gaps;
	char gap_from[EVENT_CURSOR_SIZE];
	char gap_to[EVENT_CURSOR_SIZE];
	size_t room; /* it wants no more than these */
};

static struct seen seen;

static bool wants(void *userdata)
{
	const struct seen *s = userdata;

	return s->n < s->room;
}

static void on_event(const struct event_seen *e, void *userdata)
{
	struct bytes rest = e->facts;
	struct seen *s = userdata;
	struct event_fact f;

	ck_assert(event_fact_next(&rest, &f));
	ck_assert_str_eq(f.key, "number");
	s->numbers[s->n++] = f.number;
}

static void on_gap(const char *from, const char *to, void *userdata)
{
	struct seen *s = userdata;

	s->gaps++;
	strcpy(s->gap_from, from);
	strcpy(s->gap_to, to);
}

static const struct event_sink sink = { wants, on_event, on_gap };

static struct event_reader *reader(uid_t peer, const char *cursor)
{
	const struct events_subscribe_params p = { .cursor = cursor };
	struct event_reader *r = NULL;
	struct error e = { 0 };

	ck_assert_msg(event_reader_new(&r, &m, peer, &p, &e) == 0, "%s", e.message);
	return r;
}

static void read_all(struct event_reader *r)
{
	seen = (struct seen){ .room = 8192 };
	while (event_reader_read(r, &sink, &seen))
		;
}

static void read_from(uid_t peer, const char *cursor)
{
	struct event_reader *r = reader(peer, cursor);

	read_all(r);
	event_reader_free(r);
}

static void expect_range(int64_t from, int64_t to)
{
	size_t i;

	ck_assert_uint_eq(seen.n, (size_t)(to - from + 1));
	for (i = 0; i < seen.n; i++)
		ck_assert_int_eq(seen.numbers[i], from + (int64_t)i);
}

/* ---- tests ---- */

START_TEST(nobody_is_told_before_it_is_on_disk)
{
	add_many(ME, 1, 300);
	read_from(ME, "oldest");
	ck_assert_uint_eq(seen.n, 0);
	write_until(300);
	read_from(ME, "oldest");
	expect_range(1, 300);
}
END_TEST

START_TEST(each_sees_what_is_his)
{
	add(ME, "test.event", 1);
	add(ANOTHER, "test.event", 2);
	add(EVENT_PEER_EVERYBODY, "test.event", 3);
	write_until(3);
	read_from(ME, "oldest");
	ck_assert(seen.n == 2 && seen.numbers[0] == 1 && seen.numbers[1] == 3);
	read_from(ANOTHER, "oldest");
	ck_assert(seen.n == 2 && seen.numbers[0] == 2 && seen.numbers[1] == 3);
	read_from(0, "oldest");
	expect_range(1, 3);
}
END_TEST

START_TEST(a_reader_goes_on_where_it_was)
{
	struct event_reader *r = reader(ME, NULL);
	char cursor[EVENT_CURSOR_SIZE];

	add_many(ME, 1, 10);
	write_until(10);
	seen = (struct seen){ .room = 4 };
	while (event_reader_read(r, &sink, &seen))
		;
	expect_range(1, 4);
	event_reader_cursor(r, cursor);
	event_reader_free(r);
	stop();
	start();
	add_many(ME, 11, 12);
	write_until(12);
	read_from(ME, cursor);
	expect_range(5, 12);
}
END_TEST

START_TEST(what_waits_is_written_at_the_end)
{
	add_many(ME, 1, 5);
	stop();
	start();
	read_from(ME, "oldest");
	expect_range(1, 5);
}
END_TEST

START_TEST(a_full_disk_delays_events)
{
	fill_disk(true);
	add_many(ME, 1, 3);
	run_loop(100);
	ck_assert_int_eq(event_log_last(&m), 0);
	fill_disk(false);
	write_until(3);
	read_from(ME, "oldest");
	expect_range(1, 3);
	ck_assert_uint_eq(seen.gaps, 0);
}
END_TEST

START_TEST(too_many_for_a_full_disk_are_a_gap)
{
	char first[EVENT_CURSOR_SIZE], last[EVENT_CURSOR_SIZE];

	fill_disk(true);
	add_many(ME, 1, EVENTS_PENDING_MAX + 100);
	run_loop(100);
	fill_disk(false);
	write_until(EVENTS_PENDING_MAX + 100);
	read_from(ME, "oldest");
	expect_range(101, EVENTS_PENDING_MAX + 100);
	(void)snprintf(first, sizeof(first), "%s-1", event_log_id(&m));
	(void)snprintf(last, sizeof(last), "%s-100", event_log_id(&m));
	ck_assert_uint_eq(seen.gaps, 1);
	ck_assert_str_eq(seen.gap_from, first);
	ck_assert_str_eq(seen.gap_to, last);
}
END_TEST

START_TEST(an_event_and_its_row_are_stored_together)
{
	char *value = NULL;

	add(ME, "test.event", 1);
	event_log_batch_begin(&m);
	ck_assert_int_eq(store_meta_set(m.store, "row", "1"), 0);
	ck_assert_int_eq(event_log_batch_end(&m), 0);
	ck_assert_int_eq(event_log_last(&m), 1);
	fill_disk(true);
	add(ME, "test.event", 2);
	event_log_batch_begin(&m);
	(void)store_meta_set(m.store, "row", "2");
	ck_assert_int_lt(event_log_batch_end(&m), 0);
	fill_disk(false);
	ck_assert_int_eq(event_log_last(&m), 1);
	ck_assert_int_eq(store_meta_get(m.store, "row", &value), 0);
	ck_assert_str_eq(value, "1");
	free(value);
	write_until(2);
	read_from(ME, "oldest");
	expect_range(1, 2);
}
END_TEST

static void on_events(void *userdata)
{
	unsigned *told = userdata;

	++*told;
}

START_TEST(listeners_are_told)
{
	unsigned told = 0;
	struct event_listener l = { .on_events = on_events, .userdata = &told };

	event_log_listen(&m, &l);
	run_loop(50);
	ck_assert_uint_eq(told, 0);
	add(ME, "test.event", 1);
	write_until(1);
	run_loop(50);
	ck_assert_uint_eq(told, 1);
	event_log_unlisten(&l);
	add(ME, "test.event", 2);
	write_until(2);
	run_loop(50);
	ck_assert_uint_eq(told, 1);
}
END_TEST

START_TEST(much_of_one_pushes_out_nothing_of_another)
{
	const struct events_subscribe_params p = { .cursor = NULL };
	struct events_subscribe_params old = { 0 };
	struct event_reader *slow = NULL;
	char cursor[EVENT_CURSOR_SIZE];
	struct error e = { 0 };
	int64_t last_before;

	config->events_max = 64;
	add(ANOTHER, "test.event", 1);
	write_until(1);
	ck_assert_int_eq(event_reader_new(&slow, &m, ME, &p, &e), 0);
	event_reader_cursor(slow, cursor);
	add_many(ME, 2, 1000);
	write_until(1000);
	run_loop(200); /* the sweep */
	read_from(ANOTHER, "oldest");
	expect_range(1, 1);
	read_from(ME, "oldest");
	ck_assert_uint_ge(seen.n, 64);
	ck_assert_uint_le(seen.n, 64 + 64 / 16 + 1);
	ck_assert_int_eq(seen.numbers[seen.n - 1], 1000);
	last_before = seen.numbers[0];
	/* whoever was there all the time, but did not read */
	read_all(slow);
	ck_assert_uint_eq(seen.gaps, 1);
	expect_range(last_before, 1000);
	event_reader_free(slow);
	/* and whoever comes back */
	old.cursor = cursor;
	ck_assert_int_lt(event_reader_new(&slow, &m, ME, &old, &e), 0);
	ck_assert_int_eq(e.kind, ERROR_INVALID_STATE);
	read_from(ME, e.oldest);
	expect_range(last_before, 1000);
	error_clear(&e);
}
END_TEST

START_TEST(a_number_is_never_used_again)
{
	config->events_kept_ms = 0;
	add_many(ME, 1, 10);
	write_until(10);
	run_loop(50);
	stop();
	start();
	run_loop(100); /* sweeps all */
	read_from(ME, "oldest");
	ck_assert_uint_eq(seen.n, 0);
	stop();
	config->events_kept_ms = 3600 * 1000;
	start();
	ck_assert_int_eq(event_log_last(&m), 10);
	add(ME, "test.event", 11);
	write_until(11);
	read_from(ME, "oldest");
	expect_range(11, 11);
}
END_TEST

START_TEST(facts_come_back_as_they_were)
{
	struct event_note n = { .type = "test.facts", .peer = ME };
	char packed[] = "key\0stext\0none\0"
			"0\0number\0n-7\0time\0t123";
	struct bytes rest = { packed, sizeof(packed) };
	struct event_fact f;
	int i;

	ck_assert(event_fact_next(&rest, &f));
	ck_assert_str_eq(f.text, "text");
	ck_assert(event_fact_next(&rest, &f));
	ck_assert_ptr_null(f.text);
	ck_assert(event_fact_next(&rest, &f) && f.kind == EVENT_FACT_NUMBER && f.number == -7);
	ck_assert(event_fact_next(&rest, &f) && f.kind == EVENT_FACT_TIME && f.number == 123);
	ck_assert(!event_fact_next(&rest, &f));
	/* bytes that are none */
	for (i = 0; i < (int)sizeof(packed) - 1; i++) {
		rest = (struct bytes){ packed, (size_t)i };
		while (event_fact_next(&rest, &f))
			;
	}
	for (i = 0; i < EVENT_FACTS_MAX + 3; i++)
		event_note_number(&n, "number", i);
	ck_assert_uint_eq(n.n_facts, EVENT_FACTS_MAX);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("event-log");
	TCase *t = tcase_create("event-log");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, nobody_is_told_before_it_is_on_disk);
	tcase_add_test(t, each_sees_what_is_his);
	tcase_add_test(t, a_reader_goes_on_where_it_was);
	tcase_add_test(t, what_waits_is_written_at_the_end);
	tcase_add_test(t, a_full_disk_delays_events);
	tcase_add_test(t, too_many_for_a_full_disk_are_a_gap);
	tcase_add_test(t, an_event_and_its_row_are_stored_together);
	tcase_add_test(t, listeners_are_told);
	tcase_add_test(t, much_of_one_pushes_out_nothing_of_another);
	tcase_add_test(t, a_number_is_never_used_again);
	tcase_add_test(t, facts_come_back_as_they_were);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
