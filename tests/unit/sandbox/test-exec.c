/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "exec-harness.h"
#include "macro.h"
#include "sandbox/config.h"
#include "sandbox/exec.h"
#include "sandbox/init-client.h"
#include "sandbox/keeper-client.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "store/execs.h"
#include "util/fd.h"
#include "util/time.h"

START_TEST(own_descriptors_go_straight_to_init)
{
	uint64_t number;

	start(null_fd());
	(void)hear(INIT_EXEC); /* the very next thing */
	number = ((const struct init_exec *)(const void *)said->data)->exec;
	ck_assert_uint_eq(((const struct init_exec *)(const void *)said->data)->flags,
			  INIT_EXEC_HAS_STDOUT | INIT_EXEC_HAS_STDERR);
	ck_assert_uint_eq(said->n_fds, 2);
	wire_message_done(said);
	say_started(number, INIT_START_OK, 0);
	ck_assert_int_eq(exec_facts(exec)->pid, 42);
	ck_assert_uint_eq(leases_ended, 0);
	say_exited(number, 3, 0, 0);
	expect(EXEC_CAUSE_EXITED, 3, 0);
	ck_assert_uint_eq(leases_ended, 1);
	ck_assert_uint_eq(exec_facts(exec)->result.cpu_ms, 5);
	ck_assert_uint_eq(exec_facts(exec)->streams, 0);
	ck_assert_uint_eq(spool.finishes, 0);
	(void)hear(INIT_ACK);
}
END_TEST

START_TEST(captured_output)
{
	uint64_t number = start_running(-1);

	ck_assert_uint_eq(exec_facts(exec)->streams, 3);
	say_exited(number, 0, 0, 0);
	wait_ended();
	expect(EXEC_CAUSE_EXITED, 0, 0);
	ck_assert_uint_eq(spool.finishes, 1);
	while (rows != 2) { /* the one of the last run and this one */
		turn();
		(void)usleep(500);
	}
}
END_TEST

START_TEST(keeper_refuses)
{
	spool.error = -ENOSPC;
	start(-1);
	wait_ended();
	expect(EXEC_CAUSE_NEVER_STARTED, -1, 0);
	ck_assert_int_eq(exec_facts(exec)->result.start_errno, ENOSPC);
	ck_assert_uint_eq(started, 0);
}
END_TEST

START_TEST(signals_and_oom)
{
	uint64_t number = start_running(null_fd());

	box.oom_kills = (uint64_t)_i;
	say_exited(number, -1, SIGKILL, 0);
	expect(_i > 0 ? EXEC_CAUSE_OOM : EXEC_CAUSE_SIGNALED, -1, SIGKILL);
	ck_assert_uint_eq(exec_facts(exec)->result.oom_kills, (uint64_t)_i);
}
END_TEST

START_TEST(cannot_be_started)
{
	uint64_t number = start_and_hear(null_fd());

	say_started(number, INIT_START_NOT_FOUND, ENOENT);
	expect(EXEC_CAUSE_NEVER_STARTED, -1, 0);
	ck_assert_uint_eq(exec_facts(exec)->result.start_error, INIT_START_NOT_FOUND);
	ck_assert_int_eq(exec_facts(exec)->result.start_errno, ENOENT);
	ck_assert_uint_eq(started, 0);
}
END_TEST

START_TEST(too_big_is_a_result)
{
	char *big = calloc(1, EXEC_ARGS_BYTES_MAX + 1);
	const char *argv[] = { big, NULL };

	memset(big, 'x', EXEC_ARGS_BYTES_MAX);
	params.command = (struct strings){ argv, 1 };
	start(null_fd());
	ck_assert_uint_eq(ended, 0); /* never from inside the call */
	turn();
	expect(EXEC_CAUSE_NEVER_STARTED, -1, 0);
	ck_assert_uint_eq(exec_facts(exec)->result.start_error, INIT_START_TOO_BIG);
	free(big);
}
END_TEST

START_TEST(leftovers_are_drained_and_killed)
{
	const int64_t before = loop_ms();
	uint64_t number = start_running(_i == 0 ? null_fd() : -1);

	say_exited(number, 0, 0, 2);
	ck_assert_uint_eq(ended, 0);
	ck_assert_uint_eq(((const struct init_exec_ref *)hear(INIT_KILL))->exec, number);
	if (_i == 0) /* nobody tells when its pipes are empty */
		ck_assert_int_ge(loop_ms() - before, EXEC_DRAIN_MS);
	say_gone(number, 2);
	wait_ended();
	expect(EXEC_CAUSE_EXITED, 0, 0);
	ck_assert_uint_eq(exec_facts(exec)->result.leftovers, 2);
	ck_assert_uint_eq(spool.finishes, (unsigned)_i);
	(void)hear(INIT_ACK);
}
END_TEST

START_TEST(leftovers_are_kept)
{
	uint64_t number;

	params.leftovers = LEFTOVERS_KEEP;
	number = start_running(-1);
	say_exited(number, 0, 0, 2);
	wait_ended();
	expect(EXEC_CAUSE_EXITED, 0, 0);
	ck_assert_uint_eq(exec_facts(exec)->result.leftovers, 2);
	(void)hear(INIT_ACK); /* and no kill */
}
END_TEST

START_TEST(timeout_terms_then_kills)
{
	const int64_t before = loop_ms();
	const struct init_signal *term;
	uint64_t number;

	params.timeout_ms = 30;
	number = start_running(null_fd());
	term = hear(INIT_SIGNAL);
	ck_assert_uint_eq(term->exec, number);
	ck_assert_int_eq(term->signal, SIGTERM);
	ck_assert_uint_eq(term->target, INIT_TARGET_GROUP);
	(void)hear(INIT_KILL);
	ck_assert_int_ge(loop_ms() - before, params.timeout_ms + GRACE_MS);
	say_exited(number, -1, SIGKILL, 1);
	ck_assert_uint_eq(ended, 0); /* not before all are dead */
	say_gone(number, 1);
	expect(EXEC_CAUSE_TIMEOUT, -1, SIGKILL);
	ck_assert_uint_eq(exec_facts(exec)->result.leftovers, 1);
}
END_TEST

START_TEST(timeout_and_it_ends_in_its_grace)
{
	uint64_t number;

	params.timeout_ms = 30;
	number = start_running(null_fd());
	(void)hear(INIT_SIGNAL);
	say_exited(number, 0, 0, 0);
	expect(EXEC_CAUSE_TIMEOUT, 0, 0);
	(void)hear(INIT_ACK);
}
END_TEST

START_TEST(cancelled_before_it_started)
{
	uint64_t number = start_and_hear(null_fd());

	exec_end(exec, EXEC_CAUSE_CANCELLED);
	exec_end(exec, EXEC_CAUSE_TIMEOUT); /* the first reason counts */
	hear_nothing();
	say_started(number, INIT_START_OK, 0);
	(void)hear(INIT_SIGNAL);
	say_exited(number, -1, SIGTERM, 0);
	expect(EXEC_CAUSE_CANCELLED, -1, SIGTERM);
}
END_TEST

START_TEST(cancelled_before_init_knows)
{
	start(-1);
	exec_end(exec, EXEC_CAUSE_CANCELLED);
	wait_ended();
	expect(EXEC_CAUSE_CANCELLED, -1, 0);
	hear_nothing();
}
END_TEST

START_TEST(init_dies)
{
	(void)start_running(_i == 0 ? null_fd() : -1);
	init_fd = close_fd(init_fd);
	wait_ended();
	expect(EXEC_CAUSE_SANDBOX_LOST, -1, 0);
	ck_assert(client_lost);
	ck_assert_uint_eq(slow, 0);
}
END_TEST

/* Its owner hears of it in time, and again. */
START_TEST(init_is_slow)
{
	uint64_t number = start_and_hear(null_fd());

	while (slow < 2 && !client_lost) {
		turn();
		(void)usleep(500);
	}
	ck_assert(!client_lost);
	say_started(number, INIT_START_OK, 0);
	say_exited(number, 0, 0, 0);
	expect(EXEC_CAUSE_EXITED, 0, 0);
}
END_TEST

START_TEST(sandbox_is_stopped)
{
	(void)start_running(null_fd());
	exec_table_sandbox_lost(&manager, &box, EXEC_CAUSE_CANCELLED);
	ck_assert_uint_eq(ended, 0); /* never from inside the call */
	turn();
	expect(EXEC_CAUSE_CANCELLED, -1, 0);
	hear_nothing(); /* an ACK for one that has not ended would cost the connection */
}
END_TEST

static void on_execs_ended(struct sandbox *s, void *userdata)
{
	ck_assert_ptr_eq(s, &box);
	*(bool *)userdata = true;
}

START_TEST(sandbox_is_to_stop)
{
	bool done = false;
	uint64_t number;

	params.grace_ms = 3600000; /* nobody waits that long for a stop */
	number = start_running(null_fd());
	ck_assert_int_eq(exec_table_end(&manager, &box, -1, on_execs_ended, &done), 1);
	(void)hear(INIT_SIGNAL);
	turn();
	ck_assert(!done);
	say_exited(number, -1, SIGTERM, 0);
	turn();
	ck_assert(done);
	expect(EXEC_CAUSE_CANCELLED, -1, SIGTERM);
	ck_assert_int_eq(exec_table_end(&manager, &box, -1, on_execs_ended, &done), 0);
}
END_TEST

START_TEST(sandbox_is_removed_while_it_runs)
{
	(void)start_running(-1);
	exec_table_sandbox_removed(&manager, &box);
	turn();
	ck_assert_uint_eq(ended, 1);
	ck_assert_ptr_null(exec_find(&manager, 7, exec_facts(exec)->id, NULL));
	ck_assert_uint_eq(exec_table_running(&manager), 0);
}
END_TEST

START_TEST(keeper_is_gone)
{
	uint64_t number = start_running(-1);

	box.has_keeper = false;
	say_exited(number, 0, 0, 0);
	expect(EXEC_CAUSE_EXITED, 0, 0);
}
END_TEST

START_TEST(init_is_a_stranger)
{
	uint64_t number = start_running(null_fd());

	say_started(number, INIT_START_OK, 0); /* again */
	say_started(number + 99, INIT_START_OK, 0);
	say_exited(number + 99, 1, 0, 0);
	say_gone(number, 9); /* nobody asked */
	ck_assert_uint_eq(started, 1);
	ck_assert_uint_eq(ended, 0);
	say_exited(number, 0, 0, 0);
	say_exited(number, 1, 0, 0);
	expect(EXEC_CAUSE_EXITED, 0, 0);
	ck_assert(!client_lost);
}
END_TEST

static const struct {
	uint16_t type;
	size_t size;
} nonsense[] = {
	{ INIT_EXITED, sizeof(struct init_exited) - 1 },
	{ INIT_EXITED, sizeof(struct wire_header) },
	{ INIT_STARTED, sizeof(struct init_started) + 8 },
	{ INIT_HELLO, sizeof(struct wire_header) }, /* a second one */
	{ INIT_EXEC, sizeof(struct init_exited) },
	{ 999, sizeof(struct wire_header) },
};

START_TEST(init_talks_nonsense)
{
	uint8_t message[256] __attribute__((aligned(8))) = { 0 };

	(void)start_running(null_fd());
	say(message, nonsense[_i].type, nonsense[_i].size);
	wait_ended();
	expect(EXEC_CAUSE_SANDBOX_LOST, -1, 0);
	ck_assert(client_lost);
}
END_TEST

START_TEST(init_does_not_read)
{
	CLEANUP_ERROR struct error e = { 0 };
	uint64_t number = start_running(null_fd());
	unsigned sent = 0, heard = 0;

	while (exec_signal(exec, SIGUSR1, &e) == 0)
		sent++;
	ck_assert_int_eq(e.kind, ERROR_LIMIT_REACHED);
	exec_end(exec, EXEC_CAUSE_CANCELLED);
	for (; heard < sent; heard++)
		ck_assert_int_eq(((const struct init_signal *)hear(INIT_SIGNAL))->signal, SIGUSR1);
	(void)hear(INIT_KILL); /* TERM was one too many, KILL is not */
	say_exited(number, -1, SIGKILL, 0);
	say_gone(number, 0);
	expect(EXEC_CAUSE_CANCELLED, -1, SIGKILL);
}
END_TEST

/* One that started may run for as long as it likes. */
START_TEST(init_does_not_hang)
{
	uint64_t number = start_running(null_fd());
	int64_t until = time_monotonic_ms() + 3 * start_ms;

	while (time_monotonic_ms() < until) {
		turn();
		(void)usleep(500);
	}
	ck_assert(!client_lost);
	say_exited(number, 0, 0, 0);
	expect(EXEC_CAUSE_EXITED, 0, 0);
}
END_TEST

/* Something inside stops what init starts, and init with it. */
START_TEST(init_hangs)
{
	(void)start_and_hear(null_fd());
	wait_ended();
	expect(EXEC_CAUSE_SANDBOX_LOST, -1, 0);
	ck_assert(client_lost);
}
END_TEST

START_TEST(ids)
{
	CLEANUP_ERROR struct error e = { 0 };
	int fds[3] = { -1, -1, -1 };
	struct exec *second = NULL;

	ck_assert_ptr_nonnull(exec_find(&manager, 7, "old", &e)); /* from the last run */
	ck_assert_int_eq(exec_facts(exec_find(&manager, 0, "old", &e))->result.cause,
			 EXEC_CAUSE_SANDBOX_LOST);
	ck_assert_ptr_null(exec_find(&manager, 8, "old", &e));
	ck_assert_int_eq(e.kind, ERROR_NOT_FOUND);
	params.exec_id = "mine";
	(void)start_running(null_fd());
	ck_assert_ptr_eq(exec_find(&manager, 7, "mine", &e), exec);
	ck_assert_int_eq(exec_start(&manager, &box, &params, fds, &second, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_ALREADY_EXISTS);
	box.facts.peer = 8; /* another's may have the same name */
	fds[1] = null_fd();
	ck_assert_int_eq(exec_start(&manager, &box, &params, fds, &second, &e), 0);
	ck_assert_ptr_eq(exec_find(&manager, 8, "mine", &e), second);
	ck_assert_ptr_eq(exec_find(&manager, 7, "mine", &e), exec);
	(void)exec_unref(second);
	box.hidden = true;
	ck_assert_ptr_null(exec_find(&manager, 7, "mine", &e));
	ck_assert_ptr_null(exec_find(&manager, 0, "mine", &e));
}
END_TEST

/* What is refused, and which parameter is named. */
START_TEST(refusals)
{
	static const struct file_params bad_file = { .path = "../x", .mode = 0600 };
	static const struct pair bad_pair = { "A=B", "c" };
	CLEANUP_ERROR struct error e = { 0 };
	int fds[3] = { -1, -1, -1 };
	const char *field = NULL;
	enum error_kind kind = ERROR_INVALID_PARAMS;

	switch (_i) {
	case 0:
		params.command.count = 0;
		field = "command";
		break;
	case 1:
		params.work_dir = "tmp";
		field = "workDir";
		break;
	case 2:
		params.user = "nobody";
		field = "user";
		break;
	case 3:
		params.files = (struct files_params){ &bad_file, 1 };
		field = "files[0].path";
		break;
	case 4:
		params.env = (struct pairs){ &bad_pair, 1 };
		field = "env";
		break;
	case 5:
		params.tty.given = true;
		fds[2] = null_fd();
		field = "stderr";
		break;
	case 6:
		params.capture = CAPTURE_MERGED;
		fds[1] = null_fd();
		field = "capture";
		break;
	case 7:
		params.user = "root";
		box.has_users = false;
		field = "user";
		kind = ERROR_UNAVAILABLE;
		break;
	default:
		box.init = init_client_free(box.init);
		kind = ERROR_INVALID_STATE;
		break;
	}
	ck_assert_int_eq(exec_start(&manager, &box, &params, fds, &exec, &e), -1);
	ck_assert_int_eq(e.kind, kind);
	if (field)
		ck_assert_str_eq(e.field, field);
	ck_assert_uint_eq(exec_table_running(&manager), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("exec");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, own_descriptors_go_straight_to_init);
	tcase_add_test(t, captured_output);
	tcase_add_test(t, keeper_refuses);
	tcase_add_loop_test(t, signals_and_oom, 0, 2);
	tcase_add_test(t, cannot_be_started);
	tcase_add_test(t, too_big_is_a_result);
	tcase_add_loop_test(t, leftovers_are_drained_and_killed, 0, 2);
	tcase_add_test(t, leftovers_are_kept);
	tcase_add_test(t, timeout_terms_then_kills);
	tcase_add_test(t, timeout_and_it_ends_in_its_grace);
	tcase_add_test(t, cancelled_before_it_started);
	tcase_add_test(t, cancelled_before_init_knows);
	tcase_add_loop_test(t, init_dies, 0, 2);
	tcase_add_test(t, sandbox_is_stopped);
	tcase_add_test(t, sandbox_is_to_stop);
	tcase_add_test(t, sandbox_is_removed_while_it_runs);
	tcase_add_test(t, keeper_is_gone);
	tcase_add_test(t, init_is_a_stranger);
	tcase_add_loop_test(t, init_talks_nonsense, 0, (int)ARRAY_SIZE(nonsense));
	tcase_add_test(t, init_does_not_read);
	tcase_add_test(t, ids);
	tcase_add_loop_test(t, refusals, 0, 9);
	suite_add_tcase(s, t);
	t = tcase_create("impatient");
	tcase_add_checked_fixture(t, setup_impatient, teardown);
	tcase_add_test(t, init_does_not_hang);
	tcase_add_test(t, init_hangs);
	suite_add_tcase(s, t);
	t = tcase_create("patient");
	tcase_add_checked_fixture(t, setup_patient, teardown);
	tcase_add_test(t, init_is_slow);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
