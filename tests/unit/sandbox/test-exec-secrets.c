/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a command's secrets on the way to init: exec-secrets.c and exec-start.c. */
#undef NDEBUG
#include <assert.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec-harness.h"
#include "macro.h"
#include "sandbox/exec-internal.h"
#include "sandbox/exec-secrets.h"
#include "sandbox/exec-table.h"
#include "secret/value.h"

#define TOKEN "planted-token-of-this-test"

static struct secret_value *value(const char *text)
{
	struct secret_value *v = NULL;
	uint8_t *data;

	ck_assert_int_eq(secret_value_new(strlen(text), &v, &data), 0);
	memcpy(data, text, strlen(text));
	return v;
}

static void fill(struct exec_secret *s, enum exec_secret_form form, const char *where,
		 const char *text)
{
	s->form = form;
	s->name = strdup("token");
	s->where = where ? strdup(where) : NULL;
	s->value = value(text);
	(void)snprintf(s->lease, sizeof(s->lease), "a-lease");
}

/* One secret, leased. */
static struct exec_secrets *bundle(enum exec_secret_form form, const char *where)
{
	struct exec_secrets *b = calloc(1, sizeof(*b));

	assert(b);
	b->manager = &manager;
	b->exec_id = strdup("chosen");
	b->items = calloc(1, sizeof(*b->items));
	assert(b->items && b->exec_id);
	b->count = 1;
	fill(&b->items[0], form, where, TOKEN "\n");
	return b;
}

static int begin(struct exec_secrets *b, int fd, struct error *e)
{
	const struct exec_start_more more = { .secrets = b };
	int fds[3] = { -1, fd, fd < 0 ? -1 : dup(fd) };

	return exec_start_with(&manager, &box, &params, fds, &more, &exec, e);
}

/* The payload of the request that init hears. */
static bool holds(const void *data, size_t size, const char *text)
{
	return memmem(data, size, text, strlen(text)) != NULL;
}

START_TEST(a_variable_replaces_the_sandboxs_own)
{
	CLEANUP_ERROR struct error e = { 0 };
	const struct init_exec *m;

	ck_assert_int_eq(begin(bundle(EXEC_SECRET_ENV, "A"), null_fd(), &e), 0);
	ck_assert_str_eq(exec_facts(exec)->id, "chosen");
	m = hear(INIT_EXEC);
	ck_assert_uint_eq(m->flags & INIT_EXEC_SECRET, INIT_EXEC_SECRET);
	ck_assert_uint_eq(m->envc, 1);
	ck_assert(memmem(said->data, said->size, "A=" TOKEN, sizeof("A=" TOKEN)) != NULL);
	ck_assert(!holds(said->data, said->size, "A=1"));
	wire_message_done(said);
}
END_TEST

START_TEST(nothing_of_it_stays_here)
{
	CLEANUP_ERROR struct error e = { 0 };
	const struct wire_message *built = exec_table_message(manager.execs);
	const struct init_exec *m;

	ck_assert_int_eq(begin(bundle(EXEC_SECRET_ENV, "TOKEN"), null_fd(), &e), 0);
	ck_assert(!holds(built->data, sizeof(built->data), TOKEN));
	m = hear(INIT_EXEC);
	ck_assert_uint_eq(m->envc, 2);
	ck_assert_ptr_nonnull(exec->secrets->items[0].value);
	wire_message_done(said);
	say_started(m->exec, INIT_START_OK, 0);
	ck_assert_ptr_null(exec->secrets->items[0].value);
	ck_assert_uint_eq(leases_given_back, 0); /* they are the exec's */
}
END_TEST

START_TEST(the_spool_is_told_until_it_is_open)
{
	CLEANUP_ERROR struct error e = { 0 };

	ck_assert_int_eq(begin(bundle(EXEC_SECRET_ENV, "TOKEN"), -1, &e), 0);
	ck_assert_uint_eq(spool.masked, 1);
	ck_assert_int_ge(exec->masks, 0); /* the next keeper may have to be told, too */
	say_started(((const struct init_exec *)hear(INIT_EXEC))->exec, INIT_START_OK, 0);
	ck_assert_int_eq(exec->masks, -1);
	wire_message_done(said);
}
END_TEST

START_TEST(it_can_be_what_the_command_reads)
{
	CLEANUP_ERROR struct error e = { 0 };
	const struct init_exec *m;
	char text[64] = { 0 };

	ck_assert_int_eq(begin(bundle(EXEC_SECRET_STDIN, NULL), null_fd(), &e), 0);
	m = hear(INIT_EXEC);
	ck_assert_uint_eq(m->flags & INIT_EXEC_HAS_STDIN, INIT_EXEC_HAS_STDIN);
	ck_assert(!holds(said->data, said->size, TOKEN));
	ck_assert_int_eq(read(said->fds[0], text, sizeof(text)), strlen(TOKEN "\n"));
	ck_assert_str_eq(text, TOKEN "\n");
	ck_assert_int_eq(read(said->fds[0], text, sizeof(text)), 0);
	wire_message_done(said);
}
END_TEST

START_TEST(what_cannot_start_gives_its_leases_back)
{
	CLEANUP_ERROR struct error e = { 0 };

	params.work_dir = "relative";
	ck_assert_int_eq(begin(bundle(EXEC_SECRET_ENV, "TOKEN"), null_fd(), &e), -1);
	ck_assert_str_eq(e.field, "workDir");
	ck_assert_uint_eq(leases_given_back, 1);
	hear_nothing();
}
END_TEST

START_TEST(what_was_revoked_meanwhile_does_not_start)
{
	CLEANUP_ERROR struct error e = { 0 };

	lease_is_gone = true;
	ck_assert_int_eq(begin(bundle(EXEC_SECRET_ENV, "TOKEN"), null_fd(), &e), -1);
	ck_assert_int_eq(e.kind, ERROR_INVALID_STATE);
	ck_assert_str_eq(e.field, "secrets");
	ck_assert(!strstr(e.message, TOKEN));
	hear_nothing();
}
END_TEST

START_TEST(one_that_is_too_big_is_a_result)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct exec_secrets *b = bundle(EXEC_SECRET_ENV, "TOKEN");
	uint8_t *data;

	(void)secret_value_unref(b->items[0].value);
	ck_assert_int_eq(secret_value_new(SECRET_VALUE_MAX, &b->items[0].value, &data), 0);
	memset(data, 'x', SECRET_VALUE_MAX);
	ck_assert_int_eq(begin(b, null_fd(), &e), 0);
	turn();
	ck_assert_int_eq(exec_facts(exec)->state, EXEC_STATE_ENDED);
	ck_assert_int_eq(exec_facts(exec)->result.cause, EXEC_CAUSE_NEVER_STARTED);
	ck_assert_uint_eq(exec_facts(exec)->result.start_error, INIT_START_TOO_BIG);
	ck_assert_ptr_null(exec->secrets->items[0].value);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("exec-secrets");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_variable_replaces_the_sandboxs_own);
	tcase_add_test(t, nothing_of_it_stays_here);
	tcase_add_test(t, the_spool_is_told_until_it_is_open);
	tcase_add_test(t, it_can_be_what_the_command_reads);
	tcase_add_test(t, what_cannot_start_gives_its_leases_back);
	tcase_add_test(t, what_was_revoked_meanwhile_does_not_start);
	tcase_add_test(t, one_that_is_too_big_is_a_result);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
