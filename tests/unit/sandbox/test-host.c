/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration, owners, cgroups, places: what is read from the host. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/cgroup-place.h"
#include "sandbox/cgroup.h"
#include "sandbox/config.h"
#include "sandbox/owner.h"
#include "sandbox/place.h"
#include "sandbox/tool.h"
#include "util/path.h"

static char dir[64];
static char file[96];

static void setup(void)
{
	strcpy(dir, "/tmp/test-host-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(file, sizeof(file), "%s/sandboxd.conf", dir);
}

static void teardown(void)
{
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir), 0);
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static struct config *load(const char *text)
{
	struct config *c = NULL;

	write_text(file, text);
	ck_assert_int_eq(config_new(&c, 1000), 0);
	ck_assert_int_eq(config_load(c, file), 0);
	return c;
}

/* ---- configuration ---- */

START_TEST(every_key_is_read)
{
	struct config *c = load("# comment\n[daemon]\nlog_level = debug\ndurable = full\n"
				"socket_group=staff\nallow_host = yes\nlibexec_dir=/x/y\n"
				"seccomp_profile=/p\n[limits]\nmemory = 512M\nshm = 1M\n"
				"cpus = 1.5\npids = 99\nsandboxes_per_user = 3\n"
				"[runtime crun]\npath = /opt/crun\ntimeout = 2min\n"
				"[runtime mine]\ntype = runc\npath = /opt/runc\n"
				"[daemon]\nruntime = mine\n[network]\ndefault = host\n"
				"[tool claude]\nversion = 1.2.3\nbuild_timeout = 15min\n");
	const struct tool_profile *t = tool_find(c, "claude");

	ck_assert_uint_eq(c->problems, 0);
	ck_assert_int_eq(c->log_level, LOG_LEVEL_DEBUG);
	ck_assert(c->durable && c->allow_host);
	ck_assert_str_eq(c->socket_group, "staff");
	ck_assert_str_eq(c->libexec_dir, "/x/y");
	ck_assert_str_eq(c->seccomp_profile, "/p");
	ck_assert_uint_eq(c->limits.memory_bytes, 512u << 20);
	ck_assert_uint_eq(c->limits.cpu_milli, 1500);
	ck_assert_uint_eq(c->limits.pids, 99);
	ck_assert_uint_eq(c->sandboxes_per_uid, 3);
	ck_assert_str_eq(config_runtime(c, "crun")->path, "/opt/crun");
	ck_assert_int_eq(config_runtime(c, "crun")->timeout_ms, 120000);
	ck_assert_int_eq(config_runtime(c, "runsc")->type, RUNTIME_RUNSC);
	ck_assert_int_eq(config_runtime(c, "mine")->type, RUNTIME_RUNC);
	ck_assert_str_eq(config_runtime(c, "mine")->path, "/opt/runc");
	ck_assert_str_eq(c->runtime, "mine");
	ck_assert_int_eq(c->network_default, NETWORK_HOST);
	ck_assert_ptr_nonnull(t);
	ck_assert_str_eq(t->version, "1.2.3");
	ck_assert_int_eq(t->build_timeout_ms, 900000);
	config_unref(c);
}
END_TEST

START_TEST(problems_are_counted_and_defaults_stay)
{
	struct config *c =
		load("[daemon]\nlog_level = loud\nunknown = 1\n[nowhere]\na = b\n"
		     "[limits]\npids = -4\nnonsense\n[runtime crun]\npath = relative\ntimeout = 0\n"
		     "[network]\ndefault = gateway\n[tool x]\ncolour = red\n");

	ck_assert_uint_eq(c->problems, 9);
	ck_assert_int_eq(config_runtime(c, "crun")->timeout_ms, 30000);
	ck_assert_int_eq(c->log_level, LOG_LEVEL_INFO);
	ck_assert_uint_eq(c->limits.pids, 4096);
	ck_assert_ptr_null(config_runtime(c, "crun")->path);
	ck_assert_int_eq(c->network_default, NETWORK_NONE);
	config_unref(c);
}
END_TEST

START_TEST(runtimes_are_judged_as_a_whole)
{
	struct config *c =
		load("[daemon]\nruntime = nosuch\n[runtime a]\npath = /a\n"
		     "[runtime b]\ntype = crun\n[runtime c]\ntype = docker\npath = /c\n"
		     "[runtime runc]\ntype = crun\n[runtime host]\npath = /h\n"
		     "[runtime d/e]\ntype = crun\n[runtime]\npath = /x\n[runtimes f]\npath = /x\n");

	/* c has two: the type, and that it has none then */
	ck_assert_uint_eq(c->problems, 10);
	ck_assert_ptr_null(config_runtime(c, "a"));
	ck_assert_ptr_null(config_runtime(c, "b"));
	ck_assert_ptr_null(config_runtime(c, "c"));
	ck_assert_int_eq(config_runtime(c, "runc")->type, RUNTIME_RUNC);
	ck_assert_ptr_null(config_runtime(c, "host")->path);
	ck_assert_str_eq(c->runtime, "crun");
	config_unref(c);
}
END_TEST

START_TEST(drop_ins_win_in_order)
{
	struct config *c;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s.d", file);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s.d/20.conf", file);
	write_text(path, "[limits]\npids = 20\n");
	(void)snprintf(path, sizeof(path), "%s.d/10.conf", file);
	write_text(path, "[limits]\npids = 10\nmemory = 10M\n");
	(void)snprintf(path, sizeof(path), "%s.d/30.conf~", file);
	write_text(path, "[limits]\npids = 30\n");
	c = load("[limits]\npids = 1\nmemory = 1M\n");
	ck_assert_uint_eq(c->problems, 0);
	ck_assert_uint_eq(c->limits.pids, 20);
	ck_assert_uint_eq(c->limits.memory_bytes, 10u << 20);
	config_unref(c);
}
END_TEST

START_TEST(a_given_file_must_exist)
{
	struct config *c = NULL;

	ck_assert_int_eq(config_new(&c, 0), 0);
	ck_assert_str_eq(c->state_dir, "/var/lib/sandboxd");
	ck_assert_str_eq(c->runtime_dir, "/run/sandboxd");
	ck_assert_int_eq(config_load(c, "/nonexistent/file"), -ENOENT);
	ck_assert_int_eq(config_set_dir(&c->state_dir, "--state-dir", "/a/../b"), -EINVAL);
	ck_assert_int_eq(config_set_dir(&c->state_dir, "--state-dir", "rel"), 0);
	ck_assert_int_eq(c->state_dir[0], '/');
	config_unref(c);
}
END_TEST

/* ---- owners ---- */

START_TEST(sub_id_ranges)
{
	static const char text[] = "bob:100000:65536\nalice:5:10\nalice:200000:65535\n"
				   "1002:300000:65536\nbobby:1:99999999\nzero:0:65536\n"
				   "big:4294967000:65536\nbroken\nbroken:x:y\n";
	uint32_t first = 0;

	ck_assert(owner_find_range(text, "bob", 1000, 65535, &first));
	ck_assert_uint_eq(first, 100000);
	ck_assert(owner_find_range(text, "alice", 1001, 65535, &first));
	ck_assert_uint_eq(first, 200000);
	ck_assert(owner_find_range(text, "carol", 1002, 65536, &first));
	ck_assert_uint_eq(first, 300000);
	ck_assert(owner_find_range(text, NULL, 1002, 65536, &first));
	ck_assert(!owner_find_range(text, "alice", 1001, 65536, &first));
	ck_assert(!owner_find_range(text, "zero", 7, 65535, &first));
	ck_assert(!owner_find_range(text, "big", 7, 65535, &first));
	ck_assert(!owner_find_range(text, "broken", 7, 1, &first));
	ck_assert(!owner_find_range("", "bob", 1000, 1, &first));
}
END_TEST

START_TEST(host_ids_of_keeper_ids)
{
	const struct owner own = { .uid = 1000,
				   .gid = 100,
				   .map = KEEPER_MAP_OWNER,
				   .sub_uid = 100000,
				   .sub_gid = 200000 };
	const struct owner shifted = { .map = KEEPER_MAP_SHIFTED,
				       .sub_uid = 1878982656,
				       .sub_gid = 1878982656 };
	const struct owner single = { .uid = 1000, .gid = 100, .map = KEEPER_MAP_SINGLE };
	struct owner found;

	ck_assert_uint_eq(owner_host_uid(&own, 0), 1000);
	ck_assert_uint_eq(owner_host_uid(&own, 1), 100000);
	ck_assert_uint_eq(owner_host_gid(&own, 65535), 265534);
	ck_assert_uint_eq(owner_host_uid(&shifted, 0), 1878982656);
	ck_assert_uint_eq(owner_host_uid(&shifted, 65535), 1879048191);
	ck_assert_uint_eq(owner_host_uid(&single, 65535), 1000);
	ck_assert_int_eq(owner_lookup(&found, 0, 0), 0);
	ck_assert_int_eq(found.map, KEEPER_MAP_SHIFTED);
	ck_assert_uint_ne(found.sub_uid, 0);
	ck_assert_int_eq(owner_lookup(&found, 1001, 1000), -EPERM);
}
END_TEST

/* ---- cgroups ---- */

#define V1_MOUNTS                                                                                  \
	"30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"                                        \
	"31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n"       \
	"32 30 0:28 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"               \
	"33 30 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"                            \
	"34 30 0:30 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n"                          \
	"35 30 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"                            \
	"36 25 0:28 / /mnt/again rw - cgroup cgroup rw,memory\n"
#define V1_SELF "9:name=systemd:/\n5:memory:/a/b\n4:pids:/\n3:cpu,cpuacct:/c\n2:blkio:/x\n0::/u\n"

static void free_places(struct cgroup_place *places, size_t n)
{
	while (n > 0)
		cgroup_place_deinit(&places[--n]);
}

START_TEST(hybrid_means_version_1)
{
	struct cgroup_place places[KEEPER_CGROUPS_MAX];
	size_t n = cgroup_find_places(V1_SELF, V1_MOUNTS, places);

	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(places[0].dir, "/sys/fs/cgroup/cpu,cpuacct/c");
	ck_assert_uint_eq(places[0].controllers, KEEPER_CONTROLLER_CPU | KEEPER_CONTROLLER_CPUACCT);
	ck_assert_str_eq(places[1].dir, "/sys/fs/cgroup/memory/a/b");
	ck_assert_uint_eq(places[1].controllers, KEEPER_CONTROLLER_MEMORY);
	ck_assert_uint_eq(places[1].version, 1);
	ck_assert_str_eq(places[2].dir, "/sys/fs/cgroup/pids");
	free_places(places, n);
}
END_TEST

START_TEST(pure_version_2)
{
	struct cgroup_place places[KEEPER_CGROUPS_MAX];
	size_t n = cgroup_find_places("0::/system.slice/sandboxd.service\n",
				      "24 23 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 "
				      "cgroup2 rw,nsdelegate\n",
				      places);

	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(places[0].version, 2);
	ck_assert_str_eq(places[0].dir, "/sys/fs/cgroup/system.slice/sandboxd.service");
	ck_assert_str_eq(places[0].mount, "/sys/fs/cgroup");
	free_places(places, n);
}
END_TEST

START_TEST(cgroups_out_of_sight_are_left_alone)
{
	struct cgroup_place places[KEEPER_CGROUPS_MAX];
	size_t n;

	/* a mount of a part of the hierarchy: inside it, and beside it */
	n = cgroup_find_places("5:memory:/docker/abc/x\n",
			       "32 30 0:28 /docker/abc /sys/fs/cgroup/memory rw - cgroup c "
			       "rw,memory\n",
			       places);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(places[0].dir, "/sys/fs/cgroup/memory/x");
	free_places(places, n);
	n = cgroup_find_places("5:memory:/docker/abcd\n",
			       "32 30 0:28 /docker/abc /sys/fs/cgroup/memory rw - cgroup c "
			       "rw,memory\n",
			       places);
	ck_assert_uint_eq(n, 0);
	n = cgroup_find_places("0::/../other\n", "24 23 0:22 / /sys/fs/cgroup rw - cgroup2 c rw\n",
			       places);
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(cgroup_find_places("", "", places), 0);
	ck_assert_uint_eq(cgroup_find_places("nonsense\n:::\n", "x\n - \n", places), 0);
}
END_TEST

START_TEST(a_service_of_a_keeper_is_found_in_a_path)
{
	static const char unit[] = "/sandboxd.slice/sandbox-keeper-0-abcdefgh-ijklmnop.service";
	static const char *const below[] = { "", "/", "/keeper", "/sb1/x" };
	static const char *const others[] = { "/", "", "/system.slice/sandboxd.service",
					      "/sandboxd.slice/sandbox-keeper-0.slice/x",
					      "/x-sandbox-keeper-0.service" };
	char *found;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(below); i++) {
		char path[128];

		(void)snprintf(path, sizeof(path), "%s%s", unit, below[i]);
		found = cgroup_of_service(path);
		ck_assert_pstr_eq(found, unit);
		free(found);
	}
	for (i = 0; i < ARRAY_SIZE(others); i++)
		ck_assert_ptr_null(cgroup_of_service(others[i]));
}
END_TEST

START_TEST(a_directory_of_an_owner_is_found_in_a_path)
{
	static const char *const others[] = { "/", "/a/sandboxd-abcdefgh/1000",
					      "/a/sandboxd-abcdefgh/100/x",
					      "/a/sandboxd-hgfedcba/1000/x",
					      "/a/xsandboxd-abcdefgh/1000/x" };
	char *found = cgroup_of_owner("/a/b/sandboxd-abcdefgh/1000/keeper", "abcdefgh", 1000);
	size_t i;

	ck_assert_pstr_eq(found, "/a/b/sandboxd-abcdefgh/1000");
	free(found);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		ck_assert_ptr_null(cgroup_of_owner(others[i], "abcdefgh", 1000));
}
END_TEST

START_TEST(cgroups_are_made_and_removed)
{
	const struct owner owner = { .uid = 12345,
				     .gid = 12345,
				     .map = KEEPER_MAP_OWNER,
				     .sub_uid = 100000,
				     .sub_gid = 100000 };
	struct keeper_cgroup out[KEEPER_CGROUPS_MAX];
	int fds[KEEPER_CGROUPS_MAX];
	struct cgroups *c = NULL;
	struct stat st;
	int i, n;

	ck_assert_int_eq(cgroups_new(&c, "testhost", geteuid() == 0, false, false), 0);
	n = cgroups_open_owner(c, &owner, out, fds);
	ck_assert_int_ge(n, 0);
	ck_assert(n > 0 || cgroups_controllers(c) == 0);
	for (i = 0; i < n; i++) {
		ck_assert_int_eq(fstat(fds[i], &st), 0);
		if (geteuid() == 0)
			ck_assert_uint_eq(st.st_uid, 165534);
		ck_assert(cgroups_hold(c, fds[i]));
		(void)close(fds[i]);
	}
	/* what a keeper might pass instead */
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert(!cgroups_hold(c, fds[0]));
	(void)close(fds[0]);
	(void)close(fds[1]);
	fds[0] = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ck_assert(!cgroups_hold(c, fds[0]));
	(void)close(fds[0]);
	ck_assert_int_eq(cgroups_remove_owner(c, 12345), 0);
	cgroups_free(c, false);
}
END_TEST

/* ---- places ---- */

START_TEST(places_are_made_and_locked_once)
{
	struct config *c = load("");
	struct stat st;
	char path[128];
	int lock;

	(void)snprintf(path, sizeof(path), "%s/a/state", dir);
	ck_assert_int_eq(config_set_dir(&c->state_dir, "--state-dir", path), 0);
	(void)snprintf(path, sizeof(path), "%s/run", dir);
	ck_assert_int_eq(config_set_dir(&c->runtime_dir, "--runtime-dir", path), 0);
	ck_assert_int_eq(place_make(c, getuid()), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, getuid() == 0 ? 0755 : 0700);
	lock = place_lock(c);
	ck_assert_int_ge(lock, 0);
	ck_assert_int_eq(place_lock(c), -EWOULDBLOCK);
	(void)close(lock);
	(void)snprintf(path, sizeof(path), "%s/%060d", dir, 0);
	ck_assert_int_eq(config_set_dir(&c->runtime_dir, "--runtime-dir", path), 0);
	ck_assert_int_eq(place_make(c, getuid()), -ENAMETOOLONG);
	config_unref(c);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("host");
	TCase *t = tcase_create("host");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, every_key_is_read);
	tcase_add_test(t, problems_are_counted_and_defaults_stay);
	tcase_add_test(t, runtimes_are_judged_as_a_whole);
	tcase_add_test(t, drop_ins_win_in_order);
	tcase_add_test(t, a_given_file_must_exist);
	tcase_add_test(t, sub_id_ranges);
	tcase_add_test(t, host_ids_of_keeper_ids);
	tcase_add_test(t, hybrid_means_version_1);
	tcase_add_test(t, pure_version_2);
	tcase_add_test(t, cgroups_out_of_sight_are_left_alone);
	tcase_add_test(t, a_service_of_a_keeper_is_found_in_a_path);
	tcase_add_test(t, a_directory_of_an_owner_is_found_in_a_path);
	tcase_add_test(t, cgroups_are_made_and_removed);
	tcase_add_test(t, places_are_made_and_locked_once);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
