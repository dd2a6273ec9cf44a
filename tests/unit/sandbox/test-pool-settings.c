/* SPDX-License-Identifier: Apache-2.0 */
/* [pool NAME], what pool.set left in the database, and which of them counts. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/config.h"
#include "sandbox/manager.h"
#include "sandbox/pool-settings.h"
#include "sandbox/template.h"
#include "store/pools.h"
#include "store/store.h"
#include "util/path.h"

#define HOUR (60 * 60 * 1000)

static char dir[64];
static char file[96];
static char db[96];
static struct manager m;

static void setup(void)
{
	strcpy(dir, "/tmp/test-pool-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(file, sizeof(file), "%s/sandboxd.conf", dir);
	(void)snprintf(db, sizeof(db), "%s/state.db", dir);
	m = (struct manager){ .uid = 1000 };
	ck_assert_int_eq(store_open(&m.store, db, false), 0);
	ck_assert_int_eq(pool_settings_table_new(&m, &m.pool_settings), 0);
}

static void teardown(void)
{
	pool_settings_table_free(m.pool_settings);
	store_free(m.store);
	config_unref((struct config *)(uintptr_t)m.config);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir), 0);
}

/* Returns how many problems there were. */
static unsigned load(const char *text)
{
	FILE *f = fopen(file, "we");
	struct config *c = NULL;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	config_unref((struct config *)(uintptr_t)m.config);
	ck_assert_int_eq(config_new(&c, 1000), 0);
	ck_assert_int_eq(config_load(c, file), 0);
	m.config = c;
	return c->problems;
}

static void expect(const char *name, uint32_t min, uint32_t max, int64_t max_age_ms,
		   enum pool_source source)
{
	struct pool_settings s = pool_settings_find(&m, 1000, name);

	ck_assert_msg(s.min == min && s.max == max && s.max_age_ms == max_age_ms,
		      "%s: %u to %u, %lld", name, s.min, s.max, (long long)s.max_age_ms);
	ck_assert_str_eq(pool_source_to_string(pool_settings_source(&m, 1000, name)),
			 pool_source_to_string(source));
}

static void set(uid_t owner, const char *name, const char *full, uint32_t min)
{
	const struct store_pool row = { owner, name, min, 20, -1 };

	ck_assert_int_eq(pool_settings_store(&m, &row, full), 0);
}

static void restart(void)
{
	pool_settings_table_free(m.pool_settings);
	store_free(m.store);
	ck_assert_int_eq(store_open(&m.store, db, false), 0);
	ck_assert_int_eq(pool_settings_table_new(&m, &m.pool_settings), 0);
}

/* The name that a tool alone has in full. */
static const char *full_name(const char *name)
{
	static char full[TEMPLATE_NAME_SIZE];

	template_full_name(m.config, name, full);
	return full;
}

START_TEST(nobody_said_anything)
{
	ck_assert_uint_eq(load("[limits]\npool_memory = 100M\n"), 0);
	expect("host", 0, POOL_MAX_DEFAULT, HOUR, POOL_SOURCE_DEFAULT);
	ck_assert_uint_eq(config_pool_room(m.config), 100 * 1024 * 1024 / SPARE_MEMORY_BYTES);
}
END_TEST

START_TEST(memory_is_a_share_of_the_machine)
{
	uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	ck_assert_uint_eq(load(""), 0);
	ck_assert_uint_gt(m.config->pool_memory_bytes, 0);
	ck_assert_uint_le(m.config->pool_memory_bytes, 256u << 20);
	ck_assert_uint_le(m.config->pool_memory_bytes, all / 16);
}
END_TEST

START_TEST(sections_are_read)
{
	ck_assert_uint_eq(load("[pool host]\nmin = 2\nmax = 5\nmax_age = 15min\n"
			       "[pool claude@1.2.3]\nmax_age = never\n"
			       "[pool mine:2]\nmax_age = 0\n[pool debian]\nmin = 1\n"),
			  0);
	expect("host", 2, 5, 15 * 60 * 1000, POOL_SOURCE_CONFIGURATION);
	expect("claude@1.2.3", 0, POOL_MAX_DEFAULT, -1, POOL_SOURCE_CONFIGURATION);
	expect("mine:2", 0, POOL_MAX_DEFAULT, -1, POOL_SOURCE_CONFIGURATION);
	expect("mine", 0, POOL_MAX_DEFAULT, HOUR, POOL_SOURCE_DEFAULT);
	expect("debian@bookworm", 1, POOL_MAX_DEFAULT, HOUR, POOL_SOURCE_CONFIGURATION);
}
END_TEST

START_TEST(a_tool_is_its_pinned_version)
{
	ck_assert_uint_eq(load("[tool claude]\nversion = 7.7.7\n[pool claude]\nmin = 1\n"
			       "[pool claude@7.7.7]\nmin = 2\n[pool codex]\nmin = 3\n"
			       "[pool shell]\nmin = 4\n"),
			  0);
	ck_assert_str_eq(full_name("claude"), "claude@7.7.7");
	ck_assert_str_eq(full_name("claude@1"), "claude@1");
	ck_assert_str_eq(full_name("shell"), "host");
	ck_assert_str_eq(full_name("host"), "host");
	ck_assert_str_eq(full_name("mine:1"), "mine:1");
	/* the one that says the version wins */
	expect("claude@7.7.7", 2, POOL_MAX_DEFAULT, HOUR, POOL_SOURCE_CONFIGURATION);
	expect("claude@7.7.8", 0, POOL_MAX_DEFAULT, HOUR, POOL_SOURCE_DEFAULT);
	expect(full_name("codex"), 3, POOL_MAX_DEFAULT, HOUR, POOL_SOURCE_CONFIGURATION);
	expect("host", 4, POOL_MAX_DEFAULT, HOUR, POOL_SOURCE_CONFIGURATION);
}
END_TEST

START_TEST(wrong_sections_are_problems)
{
	static const char *const wrong[] = {
		"[pool host]\nmin = -1\n",
		"[pool host]\nmin = two\n",
		"[pool host]\nmin = 1.5\n",
		"[pool host]\nmin =\n",
		"[pool host]\nmax = 4294967296\n",
		"[pool host]\nmax_age = 5\n",
		"[pool host]\nmax_age = 10ms\n",
		"[pool host]\nmax_age = 500d\n",
		"[pool host]\nsize = 3\n",
		"[pool host]\nmin = 3\nmax = 2\n",
		"[pool host]\nmin = 33\n",
		"[limits]\npool_memory = 5760K\n[pool host]\nmax = 11\n",
		"[limits]\npool_memory = 5760K\n[pool host]\nmin = 11\n",
		"[pool .hidden]\nmin = 1\n",
		"[pool a:b:c]\nmin = 1\n",
		"[pool a@]\nmin = 1\n",
		"[pool]\nmin = 1\n",
		"[limits]\npool_memory = -1\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		ck_assert_msg(load(wrong[i]) == 1, "%s", wrong[i]);
		ck_assert_uint_eq(pool_settings_find(&m, 1000, "host").min, 0);
	}
}
END_TEST

/* What is wrong with one key leaves the others. */
START_TEST(a_section_keeps_what_is_right)
{
	ck_assert_uint_eq(load("[pool host]\nmin = x\nmax = 7\n"), 1);
	expect("host", 0, 7, HOUR, POOL_SOURCE_CONFIGURATION);
	ck_assert_uint_eq(load("[pool host]\nmin = 3\n[pool x]\nmin = 9\nmax = 1\n"), 1);
	expect("host", 3, POOL_MAX_DEFAULT, HOUR, POOL_SOURCE_CONFIGURATION);
	expect("x", 0, POOL_MAX_DEFAULT, HOUR, POOL_SOURCE_DEFAULT);
}
END_TEST

START_TEST(memory_limits_what_is_not_said)
{
	ck_assert_uint_eq(load("[limits]\npool_memory = 5760K\n[pool host]\nmin = 3\n"), 0);
	expect("host", 3, 10, HOUR, POOL_SOURCE_CONFIGURATION);
	set(1000, "host", "host", 15);
	expect("host", 10, 10, -1, POOL_SOURCE_SET);
	ck_assert_uint_eq(load("[limits]\npool_memory = 0\n"), 0);
	expect("host", 0, 0, -1, POOL_SOURCE_SET);
	expect("mine", 0, 0, HOUR, POOL_SOURCE_DEFAULT);
}
END_TEST

START_TEST(what_was_set_wins)
{
	ck_assert_uint_eq(load("[pool host]\nmin = 2\nmax = 5\n"), 0);
	set(1000, "host", "host", 7);
	expect("host", 7, 20, -1, POOL_SOURCE_SET);
	/* of this owner alone */
	ck_assert_uint_eq(pool_settings_find(&m, 1001, "host").min, 2);
	set(1000, "host", "host", 8);
	restart();
	expect("host", 8, 20, -1, POOL_SOURCE_SET);
	ck_assert_int_eq(pool_settings_reset(&m, 1000, "host"), 0);
	ck_assert_int_eq(pool_settings_reset(&m, 1000, "host"), 0);
	expect("host", 2, 5, HOUR, POOL_SOURCE_CONFIGURATION);
	restart();
	expect("host", 2, 5, HOUR, POOL_SOURCE_CONFIGURATION);
}
END_TEST

START_TEST(the_last_one_counts)
{
	char full[TEMPLATE_NAME_SIZE];

	ck_assert_uint_eq(load("[tool claude]\nversion = 7.7.7\n"), 0);
	(void)snprintf(full, sizeof(full), "%s", full_name("claude"));
	set(1000, full, full, 1);
	set(1000, "claude", full, 2);
	expect(full, 2, 20, -1, POOL_SOURCE_SET);
	set(1000, full, full, 3);
	expect(full, 3, 20, -1, POOL_SOURCE_SET);
	restart();
	expect(full, 3, 20, -1, POOL_SOURCE_SET);
	set(1000, "claude", full, 4);
	restart();
	expect(full, 4, 20, -1, POOL_SOURCE_SET);
	/* an upgrade pins another */
	ck_assert_uint_eq(load("[tool claude]\nversion = 8.8.8\n"), 0);
	expect("claude@8.8.8", 4, 20, -1, POOL_SOURCE_SET);
	expect(full, 0, POOL_MAX_DEFAULT, HOUR, POOL_SOURCE_DEFAULT);
}
END_TEST

START_TEST(a_template_that_is_gone_is_forgotten)
{
	ck_assert_uint_eq(load("[tool claude]\nversion = 7.7.7\n"), 0);
	set(1000, "mine:1", "mine:1", 3);
	set(1000, "claude", "claude@7.7.7", 3);
	ck_assert_int_eq(pool_settings_forget(&m, 1001, "mine:1"), 0);
	expect("mine:1", 3, 20, -1, POOL_SOURCE_SET);
	ck_assert_int_eq(pool_settings_forget(&m, 1000, "mine:1"), 0);
	expect("mine:1", 0, POOL_MAX_DEFAULT, HOUR, POOL_SOURCE_DEFAULT);
	/* that of a tool is about its next layer, too */
	ck_assert_int_eq(pool_settings_forget(&m, 1000, "claude@7.7.7"), 0);
	expect("claude@7.7.7", 3, 20, -1, POOL_SOURCE_SET);
	restart();
	expect("mine:1", 0, POOL_MAX_DEFAULT, HOUR, POOL_SOURCE_DEFAULT);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("pool-settings");
	Suite *suite = suite_create("pool-settings");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, nobody_said_anything);
	tcase_add_test(t, memory_is_a_share_of_the_machine);
	tcase_add_test(t, sections_are_read);
	tcase_add_test(t, a_tool_is_its_pinned_version);
	tcase_add_test(t, wrong_sections_are_problems);
	tcase_add_test(t, a_section_keeps_what_is_right);
	tcase_add_test(t, memory_limits_what_is_not_said);
	tcase_add_test(t, what_was_set_wins);
	tcase_add_test(t, the_last_one_counts);
	tcase_add_test(t, a_template_that_is_gone_is_forgotten);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
