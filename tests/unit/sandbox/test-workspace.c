/* SPDX-License-Identifier: Apache-2.0 */
/* Workspaces and what git keeps for them: good ones are accepted, forged ones are not. */

#include <check.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper-wire.h"
#include "sandbox/claim.h"
#include "sandbox/git.h"
#include "sandbox/workspace.h"

static char top[64];

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *format, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	ck_assert_msg(system(command) == 0, "failed: %s", command);
}

/* top/main is a repository, top/wt a worktree of it, top/other another one, top/plain no
 * repository. */
static void setup(void)
{
	(void)strcpy(top, "/tmp/sandboxd-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	run("cd %s && mkdir plain && git init -q main && cd main && "
	    "git -c user.name=t -c user.email=t@t commit -q --allow-empty -m one && "
	    "git worktree add -q ../wt 2>/dev/null && git worktree add -q ../other 2>/dev/null",
	    top);
}

static void teardown(void)
{
	run("rm -rf %s", top);
}

static int open_workspace(struct workspace **ret, const char *name, struct error *e)
{
	char path[128];
	struct workspace_params p = { .path = path };
	struct workspace_policy policy = { .peer = getuid(), .state_dir = "/nonexistent/state" };

	(void)snprintf(path, sizeof(path), name[0] == '/' ? "%.0s%s" : "%s/%s", top, name);
	return workspace_open(ret, &p, "workspace", &policy, e);
}

static void expect_refused(const char *name, enum error_kind kind)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct workspace *w = NULL;

	ck_assert_int_eq(open_workspace(&w, name, &e), -1);
	ck_assert_msg(e.kind == kind, "%s: %s", name, e.message);
	ck_assert_str_eq(e.field, "workspace");
	ck_assert_ptr_nonnull(e.hint);
}

START_TEST(test_kinds)
{
	static const struct {
		const char *name;
		enum git_kind kind;
	} rows[] = { { "plain", GIT_NONE }, { "main", GIT_REPOSITORY }, { "wt", GIT_WORKTREE } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP_ERROR struct error e = { 0 };
		struct workspace *w = NULL;

		ck_assert_msg(open_workspace(&w, rows[i].name, &e) == 0, "%s", e.message);
		ck_assert_int_eq((int)workspace_git(w)->kind, (int)rows[i].kind);
		ck_assert_uint_eq(workspace_owner(w), getuid());
		workspace_free(w);
	}
}
END_TEST

START_TEST(test_worktree_names_its_repository)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct workspace *w = NULL;
	char common[128];

	ck_assert_int_eq(open_workspace(&w, "wt", &e), 0);
	(void)snprintf(common, sizeof(common), "%s/main/.git", top);
	ck_assert_str_eq(workspace_git(w)->common, common);
	ck_assert_str_eq(workspace_git(w)->name, "wt");
	workspace_free(w);
}
END_TEST

START_TEST(test_link_is_resolved)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct workspace *w = NULL;
	char real[128];

	run("ln -s wt %s/link", top);
	ck_assert_int_eq(open_workspace(&w, "link/../wt/.", &e), 0);
	(void)snprintf(real, sizeof(real), "%s/wt", top);
	ck_assert_str_eq(workspace_path(w), real);
	workspace_free(w);
}
END_TEST

START_TEST(test_places_never_lent)
{
	static const char *const places[] = { "/",    "/etc",  "/usr/lib", "/proc/self", "/sys",
					      "/dev", "/home", "/root",    "/tmp",       "/var" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		CLEANUP_ERROR struct error e = { 0 };
		struct workspace *w = NULL;

		ck_assert_int_eq(open_workspace(&w, places[i], &e), -1);
		ck_assert_msg(e.kind == ERROR_DENIED, "%s: %s", places[i], e.message);
	}
}
END_TEST

START_TEST(test_missing_and_wrong_kinds)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct workspace *w = NULL;
	struct workspace_params relative = { .path = "wt" };
	struct workspace_policy policy = { .peer = getuid() };

	run("touch %s/file", top);
	expect_refused("absent", ERROR_NOT_FOUND);
	expect_refused("file", ERROR_NOT_FOUND);
	ck_assert_int_eq(workspace_open(&w, &relative, "workspace", &policy, &e), -1);
	ck_assert_int_eq((int)e.kind, (int)ERROR_INVALID_PARAMS);
}
END_TEST

START_TEST(test_own_directories)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct workspace *w = NULL;
	char path[128], below[160];
	struct workspace_params p = { .path = path };
	struct workspace_policy policy = { .peer = getuid(), .runtime_dir = below };

	(void)snprintf(path, sizeof(path), "%s/plain", top);
	(void)snprintf(below, sizeof(below), "%s/run", path);
	ck_assert_int_eq(workspace_open(&w, &p, "workspace", &policy, &e), -1);
	ck_assert_int_eq((int)e.kind, (int)ERROR_DENIED);
	policy.runtime_dir = top;
	ck_assert_int_eq(workspace_open(&w, &p, "workspace", &policy, &e), -1);
	ck_assert_int_eq((int)e.kind, (int)ERROR_DENIED);
}
END_TEST

START_TEST(test_not_the_peers)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct workspace *w = NULL;
	char path[128];
	struct workspace_params p = { .path = path };
	struct workspace_policy policy = { .peer = getuid() + 1 };

	(void)snprintf(path, sizeof(path), "%s/plain", top);
	ck_assert_int_eq(workspace_open(&w, &p, "workspace", &policy, &e), -1);
	ck_assert_int_eq((int)e.kind, (int)ERROR_DENIED);
}
END_TEST

/* Each command forges the .git of top/wt, as an agent could have done before. */
static const char *const forgeries[] = {
	"echo 'gitdir: ../other/.git' > wt/.git",
	"echo \"gitdir: $PWD/main/.git/worktrees/other\" > wt/.git",
	"echo \"gitdir: $PWD/main/.git\" > wt/.git",
	"rm wt/.git && ln -s ../main/.git wt/.git",
	"rm wt/.git && mkfifo wt/.git",
	"ln -s main l && echo \"gitdir: $PWD/l/.git/worktrees/wt\" > wt/.git",
	"echo 'gitdir: /etc' > wt/.git",
	"echo nonsense > wt/.git",
	": > wt/.git",
	"head -c 100000 /dev/zero > wt/.git",
	"echo /etc > main/.git/worktrees/wt/commondir",
	"echo \"$PWD/other/.git\" > main/.git/worktrees/wt/gitdir",
	"mkdir -p wt/r/worktrees/wt wt/r/objects wt/r/refs && echo ../.. > "
	"wt/r/worktrees/wt/commondir "
	"&& echo \"$PWD/wt/.git\" > wt/r/worktrees/wt/gitdir && "
	"echo \"gitdir: $PWD/wt/r/worktrees/wt\" > wt/.git",
};

START_TEST(test_forged)
{
	run("cd %s && %s", top, forgeries[_i]);
	expect_refused("wt", ERROR_DENIED);
}
END_TEST

static const struct keeper_mount *find_mount(struct wire_message *m, const char *target)
{
	const struct keeper_claim *c = (const struct keeper_claim *)(void *)m->data;
	const char *text;
	bool bad = false;
	uint32_t i;

	for (i = c->n_mounts; i > 0; i--) {
		text = wire_string(m, c->mounts[i - 1].target, &bad);
		ck_assert(!bad && text);
		if (strcmp(text, target) == 0)
			return &c->mounts[i - 1];
	}
	return NULL;
}

static void expect_flags(struct wire_message *m, const char *below_top, uint32_t set,
			 uint32_t unset)
{
	const struct keeper_mount *mount;
	char target[192];

	(void)snprintf(target, sizeof(target), "%s/%s", top, below_top);
	mount = find_mount(m, target);
	ck_assert_msg(mount != NULL, "%s is not mounted", target);
	ck_assert_uint_eq(mount->flags & set, set);
	ck_assert_uint_eq(mount->flags & unset, 0);
}

START_TEST(test_claim_of_a_worktree)
{
	static struct wire_message m;
	CLEANUP_ERROR struct error e = { 0 };
	struct workspace *w = NULL;
	struct claim c = { .sandbox_id = "id",
			   .hostname = "h",
			   .workspaces = &w,
			   .n_workspaces = 1,
			   .lock_reason = "why",
			   .idmap = -1 };

	ck_assert_int_eq(open_workspace(&w, "wt", &e), 0);
	ck_assert_msg(claim_message(&m, &c, &e) == 0, "%s", e.message);
	expect_flags(&m, "wt", 0, KEEPER_MOUNT_READONLY);
	expect_flags(&m, "wt/.git", KEEPER_MOUNT_READONLY, 0);
	expect_flags(&m, "main/.git", KEEPER_MOUNT_READONLY, 0);
	expect_flags(&m, "main/.git/objects", 0, KEEPER_MOUNT_READONLY);
	expect_flags(&m, "main/.git/objects/info", KEEPER_MOUNT_READONLY, 0);
	expect_flags(&m, "main/.git/worktrees", KEEPER_MOUNT_EMPTY, 0);
	expect_flags(&m, "main/.git/worktrees/wt", 0, KEEPER_MOUNT_READONLY);
	expect_flags(&m, "main/.git/worktrees/wt/config.worktree",
		     KEEPER_MOUNT_READONLY | KEEPER_MOUNT_MAKE_FILE, 0);
	expect_flags(&m, "main/.git/worktrees/wt/locked",
		     KEEPER_MOUNT_READONLY | KEEPER_MOUNT_MAKE_FILE, 0);
	workspace_free(w);
}
END_TEST

START_TEST(test_claim_of_a_repository)
{
	static struct wire_message m;
	CLEANUP_ERROR struct error e = { 0 };
	struct workspace *w = NULL;
	struct claim c = { .sandbox_id = "id",
			   .hostname = "h",
			   .workspaces = &w,
			   .n_workspaces = 1,
			   .idmap = -1 };

	ck_assert_int_eq(open_workspace(&w, "main", &e), 0);
	ck_assert_int_eq(claim_message(&m, &c, &e), 0);
	expect_flags(&m, "main/.git", 0, KEEPER_MOUNT_READONLY);
	expect_flags(&m, "main/.git/config", KEEPER_MOUNT_READONLY, 0);
	expect_flags(&m, "main/.git/hooks", KEEPER_MOUNT_READONLY, 0);
	expect_flags(&m, "main/.git/commondir", KEEPER_MOUNT_READONLY | KEEPER_MOUNT_MAKE_FILE, 0);
	workspace_free(w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("workspace");
	TCase *tc = tcase_create("workspace");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_kinds);
	tcase_add_test(tc, test_worktree_names_its_repository);
	tcase_add_test(tc, test_link_is_resolved);
	tcase_add_test(tc, test_places_never_lent);
	tcase_add_test(tc, test_missing_and_wrong_kinds);
	tcase_add_test(tc, test_own_directories);
	tcase_add_test(tc, test_not_the_peers);
	tcase_add_loop_test(tc, test_forged, 0, (int)ARRAY_SIZE(forgeries));
	tcase_add_test(tc, test_claim_of_a_worktree);
	tcase_add_test(tc, test_claim_of_a_repository);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
