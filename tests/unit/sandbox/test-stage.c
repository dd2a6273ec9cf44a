/* SPDX-License-Identifier: Apache-2.0 */
/* Stage profiles: built in, from the configuration, from a call, and their way through the store.
 */

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "sandbox/config.h"
#include "sandbox/stage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct config *config;
static char file[] = "/tmp/test-stage-XXXXXX";

static void setup(void)
{
	ck_assert_int_eq(config_new(&config, getuid()), 0);
}

static void teardown(void)
{
	config_unref(config);
}

static void expect(const struct stages *s, const char *name, enum stage_access access,
		   const char *writable)
{
	const struct stage *stage = stages_find(s, name);

	ck_assert_ptr_nonnull(stage);
	ck_assert_int_eq(stage->access, access);
	ck_assert_uint_eq(stage->writable.count, writable ? 1 : 0);
	if (writable)
		ck_assert_str_eq(stage->writable.items[0], writable);
}

START_TEST(knows_the_stages_of_a_loop)
{
	expect(config->stages, "planner", STAGE_ACCESS_RO, NULL);
	expect(config->stages, "reviewer", STAGE_ACCESS_RO, NULL);
	expect(config->stages, "test-writer", STAGE_ACCESS_RO, "tests");
	expect(config->stages, "implementor", STAGE_ACCESS_RW, NULL);
	expect(config->stages, "judge", STAGE_ACCESS_RW, NULL);
	ck_assert_uint_eq(stages_count(config->stages), 5);
	ck_assert_ptr_null(stages_find(config->stages, "Reviewer"));
	ck_assert_ptr_null(stages_find(config->stages, ""));
	ck_assert_ptr_null(stages_find(NULL, "reviewer"));
}
END_TEST

/* ---- the configuration ---- */

static void load(const char *text)
{
	char path[sizeof(file)];
	FILE *f;
	int fd;

	(void)snprintf(path, sizeof(path), "%s", file);
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	f = fdopen(fd, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(config_load(config, path), 0);
	(void)unlink(path);
}

START_TEST(sections_change_and_add_profiles)
{
	const struct stage *s;

	load("[stage reviewer]\ntimeout = 10min\n"
	     "[stage test-writer]\nwritable = spec/, docs/api ,spec\ntools = shell, claude\n"
	     "[stage judge]\nworkspace = ro\nnetwork = none\n"
	     "[stage documenter]\nwritable = docs\n"
	     "[stage planner]\nworkspace = rw\n");
	ck_assert_uint_eq(config->problems, 0);
	expect(config->stages, "reviewer", STAGE_ACCESS_RO, NULL);
	ck_assert_int_eq(stages_find(config->stages, "reviewer")->timeout_ms, 600000);
	s = stages_find(config->stages, "test-writer");
	ck_assert_int_eq(s->access, STAGE_ACCESS_RO);
	ck_assert_uint_eq(s->writable.count, 2);
	ck_assert_str_eq(s->writable.items[0], "spec");
	ck_assert_str_eq(s->writable.items[1], "docs/api");
	ck_assert_uint_eq(s->tools.count, 2);
	ck_assert_str_eq(s->tools.items[1], "claude");
	expect(config->stages, "judge", STAGE_ACCESS_RO, NULL);
	ck_assert_int_eq(stages_find(config->stages, "judge")->network, NETWORK_NONE);
	expect(config->stages, "documenter", STAGE_ACCESS_RO, "docs");
	expect(config->stages, "planner", STAGE_ACCESS_RW, NULL);
}
END_TEST

/* Read-only in full drops what a preset leaves writable. */
START_TEST(a_section_can_close_what_a_preset_opens)
{
	load("[stage test-writer]\nworkspace = ro\n");
	ck_assert_uint_eq(config->problems, 0);
	expect(config->stages, "test-writer", STAGE_ACCESS_RO, NULL);
}
END_TEST

START_TEST(wrong_sections_are_problems)
{
	static const char *const wrong[] = {
		"[stage a b]\nworkspace = ro\n",
		"[stage ]\nworkspace = ro\n",
		"[stage]\nworkspace = ro\n",
		"[stage ../x]\nworkspace = ro\n",
		"[stage x]\nworkspace = readonly\n",
		"[stage x]\nworkspace =\n",
		"[stage x]\nwritable = /tests\n",
		"[stage x]\nwritable = tests,../src\n",
		"[stage x]\nwritable = tests//unit\n",
		"[stage x]\nwritable = ./tests\n",
		"[stage x]\nwritable = .git\n",
		"[stage x]\nwritable = a/.git/hooks\n",
		"[stage x]\nwritable = tests,\n",
		"[stage x]\nwritable =\n",
		"[stage x]\nwritable = a,b,c,d,e,f,g,h,i\n",
		"[stage x]\nworkspace = rw\nwritable = tests\n",
		"[stage x]\nwritable = tests\nworkspace = rw\n",
		"[stage x]\ntools = emacs\n",
		"[stage x]\ntools = claude@1\n",
		"[stage x]\ntimeout = -1s\n",
		"[stage x]\ntimeout = 0s\n",
		"[stage x]\ntimeout = soon\n",
		"[stage x]\nnetwork = gateway\n",
		"[stage x]\ncolour = red\n",
	};
	const struct stage *x;
	size_t i;

	for (i = 0; i < COUNT(wrong); i++) {
		teardown();
		setup();
		load(wrong[i]);
		ck_assert_msg(config->problems == 1, "%u problems with %s", config->problems,
			      wrong[i]);
		x = stages_find(config->stages, "x");
		if (x && x->tools.count == 0) {
			ck_assert_int_eq(x->access, STAGE_ACCESS_RO);
			ck_assert_uint_eq(x->writable.count, 0);
			ck_assert_int_eq(x->network, NETWORK_NONE);
		}
	}
}
END_TEST

START_TEST(a_wrong_key_opens_nothing)
{
	load("[stage x]\nworkspce = ro\nworkspace = rw\nnetwork = host\n");
	ck_assert_uint_eq(config->problems, 1);
	expect(config->stages, "x", STAGE_ACCESS_RO, NULL);
	ck_assert_int_eq(stages_find(config->stages, "x")->network, NETWORK_NONE);
}
END_TEST

/* ---- a call ---- */

static struct strings list(const char *const *items)
{
	struct strings l = { items, 0 };

	while (items[l.count])
		l.count++;
	return l;
}

static int read_params(const struct stage_params *items, size_t count, struct stages **ret,
		       struct error *e)
{
	const struct stages_params params = { items, count };

	error_clear(e);
	return stages_from_params(ret, config, &params, e);
}

START_TEST(a_call_inherits_what_it_does_not_say)
{
	static const char *const docs[] = { "docs/", NULL };
	const struct stage_params items[] = {
		{ .name = "reviewer", .timeout_ms = 5000 },
		{ .name = "test-writer", .timeout_ms = -1, .network = NETWORK_NONE },
		{ .name = "planner", .timeout_ms = -1, .writable = list(docs) },
		{ .name = "mine", .timeout_ms = -1 },
		{ .name = "implementor", .timeout_ms = -1, .access = STAGE_ACCESS_RO },
	};
	CLEANUP_ERROR struct error e = { 0 };
	struct stages *s = NULL;

	ck_assert_int_eq(read_params(items, COUNT(items), &s, &e), 0);
	ck_assert_uint_eq(stages_count(s), COUNT(items));
	expect(s, "reviewer", STAGE_ACCESS_RO, NULL);
	ck_assert_int_eq(stages_find(s, "reviewer")->timeout_ms, 5000);
	expect(s, "test-writer", STAGE_ACCESS_RO, "tests");
	ck_assert_int_eq(stages_find(s, "test-writer")->network, NETWORK_NONE);
	expect(s, "planner", STAGE_ACCESS_RO, "docs");
	expect(s, "mine", STAGE_ACCESS_RW, NULL);
	expect(s, "implementor", STAGE_ACCESS_RO, NULL);
	ck_assert_ptr_null(stages_find(s, "judge")); /* that one is the configuration's */
	stages_unref(s);
}
END_TEST

static void refused(const struct stage_params *items, size_t count, const char *field,
		    enum error_kind kind)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct stages *s = NULL;

	ck_assert_int_eq(read_params(items, count, &s, &e), -1);
	ck_assert_ptr_null(s);
	ck_assert_int_eq(e.kind, kind);
	ck_assert_str_eq(e.field, field);
}

START_TEST(wrong_calls_name_the_field)
{
	static const char *const up[] = { "tests", "../src", NULL };
	static const char *const absolute[] = { "/tests", NULL };
	static const char *const git[] = { "sub/.git", NULL };
	static const char *const many[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", NULL };
	static const char *const tests[] = { "tests", NULL };
	static const char *const unknown[] = { "shell", "emacs", NULL };
	static const char *const version[] = { "claude@1.2", NULL };
	const struct stage_params fine = { .name = "a", .timeout_ms = -1 };
	const struct {
		struct stage_params stage;
		const char *field;
		enum error_kind kind;
	} wrong[] = {
		{ { .name = "x", .writable = list(up) },
		  "stages[1].writable[1]",
		  ERROR_INVALID_PARAMS },
		{ { .name = "x", .writable = list(absolute) },
		  "stages[1].writable[0]",
		  ERROR_INVALID_PARAMS },
		{ { .name = "x", .writable = list(git) },
		  "stages[1].writable[0]",
		  ERROR_INVALID_PARAMS },
		{ { .name = "x", .writable = list(many) },
		  "stages[1].writable[8]",
		  ERROR_LIMIT_REACHED },
		{ { .name = "x", .access = STAGE_ACCESS_RW, .writable = list(tests) },
		  "stages[1].writable",
		  ERROR_INVALID_PARAMS },
		{ { .name = "x", .tools = list(unknown) }, "stages[1].tools[1]", ERROR_NOT_FOUND },
		{ { .name = "x", .tools = list(version) },
		  "stages[1].tools[0]",
		  ERROR_INVALID_PARAMS },
		{ { .name = "a" }, "stages[1].name", ERROR_INVALID_PARAMS },
	};
	size_t i;

	for (i = 0; i < COUNT(wrong); i++) {
		const struct stage_params items[] = { fine, wrong[i].stage };

		refused(items, 2, wrong[i].field, wrong[i].kind);
	}
}
END_TEST

START_TEST(a_table_has_an_end)
{
	struct stage_params items[STAGES_MAX + 1];
	char names[STAGES_MAX + 1][8];
	CLEANUP_ERROR struct error e = { 0 };
	struct stages *s = NULL;
	size_t i;

	for (i = 0; i < COUNT(items); i++) {
		(void)snprintf(names[i], sizeof(names[i]), "s%zu", i);
		items[i] = (struct stage_params){ .name = names[i], .timeout_ms = -1 };
	}
	ck_assert_int_eq(read_params(items, STAGES_MAX, &s, &e), 0);
	stages_unref(s);
	refused(items, STAGES_MAX + 1, "stages", ERROR_LIMIT_REACHED);
}
END_TEST

/* ---- the store ---- */

START_TEST(comes_back_from_the_store)
{
	struct stages *back = NULL;
	char *block = NULL;
	size_t size = 0, i, k;

	load("[stage documenter]\nwritable = docs, a b\ntools = shell\ntimeout = 2s\nnetwork = "
	     "host\n");
	ck_assert_int_eq(stages_pack(config->stages, &block, &size), 0);
	ck_assert_int_eq(stages_unpack(&back, block, size), 0);
	ck_assert_uint_eq(stages_count(back), stages_count(config->stages));
	for (i = 0; i < stages_count(back); i++) {
		const struct stage *a = stages_at(config->stages, i), *b = stages_at(back, i);

		ck_assert_str_eq(a->name, b->name);
		ck_assert_int_eq(a->access, b->access);
		ck_assert_int_eq(a->network, b->network);
		ck_assert_int_eq(a->timeout_ms, b->timeout_ms);
		ck_assert_uint_eq(a->tools.count, b->tools.count);
		ck_assert_uint_eq(a->writable.count, b->writable.count);
		for (k = 0; k < a->writable.count; k++)
			ck_assert_str_eq(a->writable.items[k], b->writable.items[k]);
	}
	stages_unref(back);
	/* whatever else is in a row is refused, not believed */
	for (i = 1; i < size; i++) {
		back = NULL;
		if (stages_unpack(&back, block, i) == 0)
			ck_assert_uint_lt(stages_count(back), stages_count(config->stages));
		stages_unref(back);
	}
	free(block);
}
END_TEST

START_TEST(a_wrong_row_is_refused)
{
#define ROW(text)                                                                                  \
	{                                                                                          \
		text, sizeof(text)                                                                 \
	}
	static const struct {
		const char *data;
		size_t size;
	} wrong[] = {
		ROW("x"),
		ROW("x\0ro\0\0-1\0"
		    "0"),
		ROW("x\0wo\0\0-1\0"
		    "0\0"
		    "0"),
		ROW("x\0ro\0moon\0-1\0"
		    "0\0"
		    "0"),
		ROW("x\0ro\0\0-2\0"
		    "0\0"
		    "0"),
		ROW("x\0ro\0\0-1\0"
		    "2\0tests\0"
		    "0"),
		ROW("x\0ro\0\0-1\0"
		    "1\0../src\0"
		    "0"),
		ROW("x\0ro\0\0-1\0"
		    "99\0tests\0"
		    "0"),
		ROW("x\0rw\0\0-1\0"
		    "1\0tests\0"
		    "0"),
		ROW("a b\0ro\0\0-1\0"
		    "0\0"
		    "0"),
		ROW("x\0ro\0\0-1\0"
		    "0\0"
		    "0\0x\0ro\0\0-1\0"
		    "0\0"
		    "0"),
	};
	struct stages *s;
	size_t i;

	for (i = 0; i < COUNT(wrong); i++) {
		s = NULL;
		ck_assert_msg(stages_unpack(&s, wrong[i].data, wrong[i].size) == -EBADMSG,
			      "row %zu was taken", i);
		ck_assert_ptr_null(s);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stage");
	TCase *tc = tcase_create("stage");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, knows_the_stages_of_a_loop);
	tcase_add_test(tc, sections_change_and_add_profiles);
	tcase_add_test(tc, a_section_can_close_what_a_preset_opens);
	tcase_add_test(tc, wrong_sections_are_problems);
	tcase_add_test(tc, a_wrong_key_opens_nothing);
	tcase_add_test(tc, a_call_inherits_what_it_does_not_say);
	tcase_add_test(tc, wrong_calls_name_the_field);
	tcase_add_test(tc, a_table_has_an_end);
	tcase_add_test(tc, comes_back_from_the_store);
	tcase_add_test(tc, a_wrong_row_is_refused);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
