/* SPDX-License-Identifier: Apache-2.0 */
/* Nested repositories: what an agent made or steered is renamed, what was there before is not. */

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "macro.h"
#include "quarantine.h"

#define GIT "git -c user.name=a -c user.email=a@a -c protocol.file.allow=always "

static char top[64];
static struct timespec claimed;

static void run(const char *script)
{
	char command[1024];

	(void)snprintf(command, sizeof(command), "cd %s && { %s; }", top, script);
	ck_assert_msg(system(command) == 0, "failed: %s", command);
}

/* Files are stamped with the coarse clock, whose ticks come late on a busy machine. */
static void let_the_clock_tick(void)
{
	const struct timespec tick = { .tv_nsec = 20 * 1000 * 1000 };
	struct timespec before, now;

	ck_assert_int_eq(clock_gettime(CLOCK_REALTIME_COARSE, &before), 0);
	do {
		(void)nanosleep(&tick, NULL);
		ck_assert_int_eq(clock_gettime(CLOCK_REALTIME_COARSE, &now), 0);
	} while (now.tv_sec == before.tv_sec && now.tv_nsec == before.tv_nsec);
}

static void make_top(void)
{
	(void)strcpy(top, "/tmp/sandboxd-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	run("git init -q . && git init -q old/repo && mkdir -p deep/er");
}

static void claim(void)
{
	let_the_clock_tick();
	ck_assert_int_eq(clock_gettime(CLOCK_REALTIME_COARSE, &claimed), 0);
	let_the_clock_tick();
}

static void setup(void)
{
	make_top();
	claim();
}

/* .git files and links that name what is inside. */
static void setup_named(void)
{
	make_top();
	run(GIT "init -q old/super && cd old/super && " GIT "commit -q --allow-empty -m x && " GIT
		"clone -q . ../origin && " GIT "submodule -q add ../origin sub && " GIT
		"commit -q -m sub && " GIT "worktree add -q ../tree && " GIT
		"clone -q --bare . ../bare && cd ../bare && " GIT "worktree add -q ../bare-tree &&"
		"cd .. && mkdir linked && ln -s ../super/.git/modules/sub linked/.git");
	claim();
}

static void teardown(void)
{
	run("rm -rf \"$PWD\"");
}

static int release_with(bool own)
{
	CLEANUP_FD int dir = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(dir, 0);
	return quarantine_nested_git(dir, top, own, &claimed);
}

static int release(void)
{
	return release_with(false);
}

START_TEST(test_own)
{
	run("rm -rf .git && git init -q .");
	ck_assert_int_eq(release(), 0);
	ck_assert_int_eq(release_with(true), 1);
	run("test ! -e .git");
}
END_TEST

START_TEST(test_untouched_stay)
{
	run("touch deep/er/file && git status >/dev/null");
	ck_assert_int_eq(release(), 0);
	run("test -d .git && test -d old/repo/.git");
}
END_TEST

START_TEST(test_commits_in_an_old_repository_are_fine)
{
	run("for d in repo super super/sub tree bare-tree; do "
	    "(cd old/$d && " GIT "commit -q --allow-empty -m x) || exit 1; done");
	ck_assert_int_eq(release(), 0);
	run("for d in repo super super/sub tree bare-tree; do "
	    "git -C old/$d config user.name x && git -C old/$d config branch.x.merge y && "
	    "git -C old/$d config extensions.worktreeConfig true || exit 1; done");
	ck_assert_int_eq(release(), 0);
	run("touch new old/new old/super/new && mkdir old/super/.git/modules/x");
	ck_assert_int_eq(release(), 0);
}
END_TEST

/* In the tick of the claim nobody can tell who was first: what it says counts. */
START_TEST(test_made_in_the_tick_of_the_claim)
{
	const long half_a_tick = 5 * 1000 * 1000;
	struct stat st;
	char path[128];

	run("git init -q deep/er && git -C deep/er config user.name x");
	run("git init -q deep && git -C deep config core.fsmonitor /tmp/evil");
	run("touch deep/.git/config deep/er/.git/config");
	(void)snprintf(path, sizeof(path), "%s/deep/er/.git/config", top);
	ck_assert_int_eq(stat(path, &st), 0);
	claimed = st.st_ctim;
	claimed.tv_nsec -= half_a_tick;
	if (claimed.tv_nsec < 0) {
		claimed.tv_nsec += 1000 * 1000 * 1000;
		claimed.tv_sec--;
	}
	ck_assert_int_eq(release(), 1);
	run("test -d deep/er/.git && test -d deep/.git.quarantined");
}
END_TEST

START_TEST(test_what_another_claim_made_stays)
{
	run("for g in old/repo/.git old/super/.git; do "
	    ">$g/config.worktree && echo . >$g/commondir || exit 1; done");
	run("touch old/new old/repo/new old/super/new");
	ck_assert_int_eq(release(), 0);
	run("rm -r old/repo/.git/hooks && mkdir old/repo/.git/hooks");
	ck_assert_int_eq(release(), 0);
}
END_TEST

/* Each makes one nested .git that must not be left to the host's git. */
static const char *const attacks[] = {
	"git init -q sub",
	"mkdir sub && echo 'gitdir: ../x' > sub/.git",
	"ln -s ../old/repo/.git deep/.git",
	"git init -q deep/er",
	"git init -q sub && touch -d '2001-01-01' sub/.git sub/.git/config",
	"git -C old/repo config core.fsmonitor /tmp/evil",
	"echo '#!/bin/sh' > old/repo/.git/hooks/post-checkout",
	"echo /tmp/evil > old/repo/.git/commondir",
	"printf '[core]\nfsmonitor=x\n' > old/repo/.git/config.worktree",
	"mkfifo old/repo/.git/config.worktree",
	"mkdir h && touch h/post-checkout && rm -r old/repo/.git/hooks && mv h old/repo/.git/hooks",
	"git init -q hidden && mv hidden/.git deep/er/.git && rmdir hidden",
};

/* These stay, but what they name is steered: how many are renamed. */
static const struct {
	const char *script;
	int renamed;
} named[] = {
	/* sub/.git, linked/.git */
	{ "echo x >>old/super/.git/modules/sub/config", 2 },
	{ "cp -a old/super/.git/modules/sub evil && rm -rf old/super/.git/modules/sub && "
	  "echo x >>evil/config && mv evil old/super/.git/modules/sub",
	  2 },
	/* tree/.git */
	{ "echo x >old/super/.git/worktrees/tree/config.worktree", 1 },
	{ "echo /tmp/evil >old/super/.git/worktrees/tree/commondir", 1 },
	/* bare-tree/.git */
	{ "echo x >>old/bare/config", 1 },
	{ "touch old/bare/hooks/post-checkout", 1 },
};

START_TEST(test_named)
{
	run(named[_i].script);
	ck_assert_int_eq(release(), named[_i].renamed);
	run("test -d .git && test -d old/super/.git");
	ck_assert_int_eq(release(), 0);
}
END_TEST

/* It was made before this claim, by an earlier agent, under a name that is not looked at. */
static const char *const evil_configs[] = {
	"[core] fsmonitor = /tmp/evil ;]",
	"[remote \"x\"] vcs = evil #]",
	"[core]\n\tfsmonitor = /tmp/evil",
	"[include]\n\tpath = /tmp/evil",
};

START_TEST(test_moved)
{
	char script[256];

	run("git init -q store && mv store/.git store/evil");
	(void)snprintf(script, sizeof(script), "printf '%s\\n' >store/evil/config",
		       evil_configs[_i]);
	run(script);
	claim();
	run("mv store/evil deep/.git");
	ck_assert_int_eq(release(), 1);
}
END_TEST

/* What the owner adds to his repository is named by a file that is new. */
START_TEST(test_worktrees_and_submodules_of_the_owner)
{
	run(GIT "commit -q --allow-empty -m x && " GIT "worktree add -q in/side/tree && " GIT
		"-C old/repo commit -q --allow-empty -m x && " GIT
		"submodule -q add ./old/repo in/sub");
	ck_assert_int_eq(release(), 0);
	run("git -C in/sub status && git -C in/side/tree status");
	ck_assert_int_eq(release_with(true), 2);
}
END_TEST

/* None of these is what it looks like. */
static const char *const forged[] = {
	"../.git/modules/../../evil", "../.git/evil",
	"../../.git/modules/x",       "./../.git/modules/x",
	"../link/../.git/modules/x",  "../.git/worktrees",
	"/tmp/.git/modules/x",
};

START_TEST(test_forged)
{
	char script[256];

	(void)snprintf(script, sizeof(script), "mkdir -p d && echo 'gitdir: %s' >d/.git",
		       forged[_i]);
	run(script);
	ck_assert_int_eq(release(), 1);
}
END_TEST

START_TEST(test_links)
{
	run("ln -s old/precious old/repo/.git/index; mkdir -p old/repo/.git/logs; "
	    "ln -s ../precious old/repo/.git/logs/HEAD");
	ck_assert_int_eq(release(), 0);
	run("test -d old/repo/.git && test ! -L old/repo/.git/index && "
	    "test ! -L old/repo/.git/logs/HEAD && test -L old/linked/.git");
}
END_TEST

START_TEST(test_attacks)
{
	run(attacks[_i]);
	ck_assert_int_eq(release(), 1);
	run("test -d .git");
	ck_assert_int_eq(release(), 0);
}
END_TEST

START_TEST(test_name_is_taken)
{
	run("mkdir sub && touch sub/.git.quarantined && git init -q sub");
	ck_assert_int_eq(release(), 1);
	run("test -f sub/.git.quarantined && test -d sub/.git.quarantined.1");
}
END_TEST

START_TEST(test_depth)
{
	run("d=.; for i in $(seq 900); do d=$d/d; done; mkdir -p $d && git init -q $d");
	ck_assert_int_eq(release(), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quarantine");
	TCase *tc = tcase_create("quarantine");
	TCase *nested = tcase_create("named");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(nested, setup_named, teardown);
	tcase_set_timeout(nested, 60);
	tcase_add_test(tc, test_own);
	tcase_add_test(tc, test_untouched_stay);
	tcase_add_test(nested, test_commits_in_an_old_repository_are_fine);
	tcase_add_test(tc, test_made_in_the_tick_of_the_claim);
	tcase_add_test(nested, test_what_another_claim_made_stays);
	tcase_add_loop_test(tc, test_attacks, 0, (int)ARRAY_SIZE(attacks));
	tcase_add_loop_test(nested, test_named, 0, (int)ARRAY_SIZE(named));
	tcase_add_loop_test(tc, test_moved, 0, (int)ARRAY_SIZE(evil_configs));
	tcase_add_test(tc, test_worktrees_and_submodules_of_the_owner);
	tcase_add_loop_test(tc, test_forged, 0, (int)ARRAY_SIZE(forged));
	tcase_add_test(nested, test_links);
	tcase_add_test(tc, test_name_is_taken);
	tcase_add_test(tc, test_depth);
	suite_add_tcase(suite, tc);
	suite_add_tcase(suite, nested);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
