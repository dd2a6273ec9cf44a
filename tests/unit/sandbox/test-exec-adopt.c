/* SPDX-License-Identifier: Apache-2.0 */
/* What a daemon makes of commands that an earlier one began. */
#undef NDEBUG
#include <assert.h>
#include <check.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "exec-harness.h"
#include "macro.h"
#include "sandbox/exec-internal.h"
#include "sandbox/init-client.h"

#define STRANGER 99

static void say_running(uint64_t number)
{
	struct init_running m = { .exec = number, .pid = 5 };

	say(&m, INIT_RUNNING, sizeof(m));
}

static void say_one_runs(void)
{
	say_running(OLD_EXEC);
	say_running(STRANGER);
}

static void say_all_ended(void)
{
	say_running(OLD_EXEC); /* it ends just then */
	say_exited(OLD_EXEC, 3, 0, 0);
	say_exited(STRANGER, 0, 0, 0);
}

static void say_young_runs(void)
{
	say_running(YOUNG_EXEC);
}

static void begin(void (*known)(void))
{
	box_runs = true;
	stored.never_begun = true;
	say_known = known;
	setup();
	ck_assert_uint_eq(exec_running_in(&manager, &box), 2);
	exec_table_adopt(&manager, &box);
	init_client_end_rest(box.init);
}

static const struct exec_facts *facts_of(const char *id)
{
	return exec_facts(exec_find(&manager, 7, id, NULL));
}

static void hear_about(enum init_message_type type, uint64_t number)
{
	const struct init_exec_ref *m = hear(type);

	ck_assert_uint_eq(m->exec, number);
}

START_TEST(one_runs_on)
{
	begin(say_one_runs);
	ck_assert_int_eq(facts_of("old")->state, EXEC_STATE_RUNNING);
	ck_assert_int_eq(facts_of("old")->pid, 5);
	ck_assert_ptr_null(exec_find(&manager, 7, "young", NULL));
	ck_assert_uint_eq(rows, 1); /* nor has it a row */
	ck_assert_uint_eq(exec_running_in(&manager, &box), 1);
	hear_about(INIT_KILL, STRANGER);
	say_exited(STRANGER, -1, SIGKILL, 0);
	say_gone(STRANGER, 0);
	hear_about(INIT_ACK, STRANGER);
	say_exited(OLD_EXEC, 4, 0, 0);
	ck_assert_int_eq(facts_of("old")->state, EXEC_STATE_ENDED);
	ck_assert_int_eq(facts_of("old")->result.exit_code, 4);
	ck_assert_int_eq(facts_of("old")->result.cause, EXEC_CAUSE_EXITED);
	hear_about(INIT_ACK, OLD_EXEC);
	teardown();
}
END_TEST

START_TEST(one_ended_meanwhile)
{
	begin(say_all_ended);
	ck_assert_int_eq(facts_of("old")->state, EXEC_STATE_ENDED);
	ck_assert_int_eq(facts_of("old")->result.exit_code, 3);
	hear_about(INIT_KILL, STRANGER); /* what it left may live */
	say_gone(STRANGER, 0);
	hear_about(INIT_ACK, STRANGER);
	hear_about(INIT_ACK, OLD_EXEC);
	teardown();
}
END_TEST

START_TEST(one_was_begun_and_one_is_lost)
{
	begin(say_young_runs);
	ck_assert_int_eq(facts_of("young")->state, EXEC_STATE_RUNNING);
	ck_assert_int_eq(facts_of("old")->state, EXEC_STATE_ENDED);
	ck_assert_int_eq(facts_of("old")->result.cause, EXEC_CAUSE_SANDBOX_LOST);
	hear_nothing();
	exec_end(exec_find(&manager, 7, "young", NULL), EXEC_CAUSE_CANCELLED);
	ck_assert_int_eq(((const struct init_signal *)hear(INIT_SIGNAL))->signal, SIGTERM);
	hear_about(INIT_KILL, YOUNG_EXEC); /* after its grace, which the row has */
	teardown();
}
END_TEST

/* It cannot be told yet, but is not forgotten. */
START_TEST(a_cancel_before)
{
	box_runs = true;
	say_known = say_one_runs;
	setup();
	exec_end(exec_find(&manager, 7, "old", NULL), EXEC_CAUSE_CANCELLED);
	hear_nothing();
	exec_table_adopt(&manager, &box);
	hear_about(INIT_SIGNAL, OLD_EXEC);
	say_exited(OLD_EXEC, -1, SIGTERM, 0);
	ck_assert_int_eq(facts_of("old")->result.cause, EXEC_CAUSE_CANCELLED);
	teardown();
}
END_TEST

/* Its client had to wait for it. The patience is not lived through: its timer is looked at, and
 * its time made to come. */
static struct exec *begin_waited_for(void)
{
	struct timeval due, now;
	struct exec *e;

	box_runs = true;
	stored.waited_for = true;
	say_known = say_one_runs;
	setup();
	exec_table_adopt(&manager, &box);
	e = exec_find(&manager, 7, "old", NULL);
	ck_assert(evtimer_pending(&e->events->client, &due));
	(void)evutil_gettimeofday(&now, NULL);
	evutil_timersub(&due, &now, &due);
	ck_assert(due.tv_sec <= RETURN_MS / 1000 && due.tv_sec > RETURN_MS / 2000);
	return e;
}

START_TEST(its_client_does_not_come_back)
{
	struct exec *e = begin_waited_for();

	event_active(&e->events->client, EV_TIMEOUT, 0);
	turn();
	hear_about(INIT_SIGNAL, OLD_EXEC);
	say_exited(OLD_EXEC, -1, SIGTERM, 0);
	ck_assert_int_eq(facts_of("old")->result.cause, EXEC_CAUSE_CANCELLED);
	teardown();
}
END_TEST

START_TEST(its_client_comes_back)
{
	static const struct exec_follower follower = { 0 };
	struct exec *e = begin_waited_for();
	struct exec_follow *place;

	ck_assert_int_eq(exec_follow(e, &follower, NULL, &place), 0);
	ck_assert(!evtimer_pending(&e->events->client, NULL));
	turn();
	hear_nothing();
	ck_assert_ptr_null(exec_unfollow(place));
	say_exited(OLD_EXEC, 0, 0, 0);
	ck_assert_int_eq(facts_of("old")->result.cause, EXEC_CAUSE_EXITED);
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exec-adopt");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, one_runs_on);
	tcase_add_test(t, one_ended_meanwhile);
	tcase_add_test(t, one_was_begun_and_one_is_lost);
	tcase_add_test(t, a_cancel_before);
	tcase_add_test(t, its_client_does_not_come_back);
	tcase_add_test(t, its_client_comes_back);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
