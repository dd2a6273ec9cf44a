/* SPDX-License-Identifier: Apache-2.0 */
/* What a daemon that comes back learns from init: what runs, what has ended, which numbers are
 * used, and that init waits as long as it was told. */

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

#define EXECS_MAX 512

static struct harness h;

/* What one listing said. */
struct listing {
	struct init_hello_reply reply;
	uint64_t running[EXECS_MAX];
	uint32_t n_running;
	uint64_t exited[EXECS_MAX];
	uint32_t n_exited;
};

static void start(enum harness_kind kind)
{
	harness_start(&h, kind, -1, 0);
}

static void start_binary(void)
{
	start(HARNESS_BINARY);
}

static void start_library(void)
{
	start(HARNESS_LIBRARY);
}

static void stop(void)
{
	harness_stop(&h);
}

static uint64_t run(const char *script)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	const struct harness_exec e = { .argv = argv, .uid = 1000, .gid = 1000 };

	return harness_exec(&h, &e);
}

static void say_hello(uint64_t orphan_ms)
{
	struct init_hello *m;

	wire_begin(&h.message, INIT_WIRE_VERSION, INIT_HELLO, 5, sizeof(*m));
	m = (struct init_hello *)(void *)h.message.data;
	m->orphan_ms = orphan_ms;
	harness_send(&h);
}

static void take_event(struct listing *l)
{
	const struct init_running *running = (const void *)h.message.data;
	const struct init_exited *exited = (const void *)h.message.data;

	if (wire_head(&h.message)->type == INIT_RUNNING) {
		ck_assert_uint_lt(l->n_running, EXECS_MAX);
		ck_assert_int_gt(running->pid, 1);
		l->running[l->n_running++] = running->exec;
	} else {
		ck_assert_int_eq(wire_head(&h.message)->type, INIT_EXITED);
		ck_assert_uint_lt(l->n_exited, EXECS_MAX);
		l->exited[l->n_exited++] = exited->exec;
	}
}

/* As a new daemon, which is SLOW_MS late to read. */
static void come_back(struct listing *l, unsigned slow_ms)
{
	memset(l, 0, sizeof(*l));
	(void)close(h.socket);
	h.socket = harness_connect(&h);
	say_hello(60000);
	(void)usleep(slow_ms * 1000);
	l->reply = *(struct init_hello_reply *)harness_expect(&h, INIT_HELLO);
	for (;;) {
		ck_assert_int_eq(wire_receive(h.socket, &h.message), 1);
		if (wire_head(&h.message)->type == INIT_LISTED)
			break;
		take_event(l);
	}
}

START_TEST(listing)
{
	static struct listing l;
	uint64_t runs, ended, forgotten;

	come_back(&l, 0);
	ck_assert_uint_eq(l.reply.next_exec, 0);
	ck_assert_uint_eq(l.reply.n_running + l.reply.n_exited + l.n_running + l.n_exited, 0);
	runs = run("exec sleep 1000");
	ended = run("exit 3");
	(void)harness_exited(&h, ended);
	forgotten = run("exit 4");
	(void)harness_exited(&h, forgotten);
	harness_ref(&h, INIT_ACK, forgotten);
	come_back(&l, 0);
	ck_assert_uint_eq(l.reply.next_exec, forgotten + 1);
	ck_assert_uint_eq(l.reply.n_running, 1);
	ck_assert_uint_eq(l.reply.n_exited, 1);
	ck_assert_uint_eq(l.n_running, 1);
	ck_assert_uint_eq(l.running[0], runs);
	ck_assert_uint_eq(l.n_exited, 1);
	ck_assert_uint_eq(l.exited[0], ended);
	harness_ref(&h, INIT_KILL, runs); /* it can still be ended */
	ck_assert_uint_eq(harness_exited(&h, runs).exec, runs);
	(void)harness_expect(&h, INIT_GONE);
}
END_TEST

/* More than a socket holds, to a daemon that is slow. */
START_TEST(many)
{
	static struct listing l;
	uint32_t i;

	for (i = 0; i < 200; i++)
		(void)run("exec sleep 1000");
	for (i = 0; i < 312; i++)
		(void)harness_exited(&h, run("exit 0"));
	come_back(&l, 100);
	ck_assert_uint_eq(l.reply.n_running, 200);
	ck_assert_uint_eq(l.reply.n_exited, 312);
	ck_assert_uint_eq(l.n_running, 200);
	ck_assert_uint_eq(l.n_exited, 312);
}
END_TEST

/* A plain HELLO asks for nothing but ends, as before. */
START_TEST(plain_hello)
{
	uint64_t ended;

	(void)run("exec sleep 1000");
	ended = run("exit 0");
	(void)harness_exited(&h, ended);
	wire_begin(&h.message, INIT_WIRE_VERSION, INIT_HELLO, 6, sizeof(struct wire_header));
	harness_send(&h);
	ck_assert_uint_eq(((struct wire_header *)harness_expect(&h, INIT_HELLO))->size,
			  sizeof(struct wire_header));
	ck_assert_uint_eq(((struct init_exited *)harness_expect(&h, INIT_EXITED))->exec, ended);
	harness_ref(&h, INIT_ACK, ended);
}
END_TEST

START_TEST(waits_as_long_as_told)
{
	static struct harness other;

	harness_start(&other, HARNESS_BINARY, -1, 0);
	h = other;
	say_hello(200);
	(void)harness_expect(&h, INIT_HELLO);
	(void)harness_expect(&h, INIT_LISTED);
	(void)shutdown(h.socket, SHUT_RDWR);
	harness_wait_end(&h);
}
END_TEST

static TCase *cases(const char *name, void (*setup)(void))
{
	TCase *c = tcase_create(name);

	tcase_add_checked_fixture(c, setup, stop);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, listing);
	tcase_add_test(c, many);
	tcase_add_test(c, plain_hello);
	return c;
}

int main(void)
{
	Suite *suite = suite_create("init-adopt");
	TCase *alone = tcase_create("alone");
	SRunner *runner;
	int failed;

	if (geteuid() != 0)
		return 77; /* the maps are root's to write */
	tcase_set_timeout(alone, 120);
	tcase_add_test(alone, waits_as_long_as_told);
	suite_add_tcase(suite, cases("binary", start_binary));
	suite_add_tcase(suite, cases("library", start_library));
	suite_add_tcase(suite, alone);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
