/* SPDX-License-Identifier: Apache-2.0 */
/* What the keeper writes for others to read: id maps, overlay options, cgroup limits, JSON and the
 * OCI configuration. */

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "cgroup.h"
#include "files.h"
#include "ids.h"
#include "json.h"
#include "macro.h"
#include "overlay.h"
#include "skeleton.h"

static const struct ids owner_ids = { KEEPER_MAP_OWNER, 1001, 1002, 100000, 200000, 65536, -1 };
static const struct ids single_ids = { KEEPER_MAP_SINGLE, 1001, 1002, 0, 0, 0, -1 };

static void expect_map(const struct ids *ids, bool gid, const char *text)
{
	char buf[128];

	ck_assert_int_eq(ids_map_text(ids, gid, buf, sizeof(buf)), (int)strlen(text));
	ck_assert_str_eq(buf, text);
	ck_assert_int_eq(ids_map_text(ids, gid, buf, strlen(text)), -ENOSPC);
}

START_TEST(test_map_text)
{
	struct ids shifted = owner_ids;

	expect_map(&owner_ids, false, "0 1001 1\n1 100000 65535\n");
	expect_map(&owner_ids, true, "0 1002 1\n1 200000 65535\n");
	expect_map(&single_ids, false, "0 1001 1\n");
	shifted.map = KEEPER_MAP_SHIFTED;
	expect_map(&shifted, false, "0 100000 65536\n");
}
END_TEST

static int check_with(struct ids ids, uid_t owner, uint32_t first, uint32_t count)
{
	ids.owner = owner;
	ids.sub_uid = first;
	ids.sub_count = count;
	return ids_check(&ids);
}

START_TEST(test_host_root_is_never_mapped)
{
	struct ids ids = owner_ids;

	ck_assert_int_eq(ids_check(&owner_ids), 0);
	ck_assert_int_eq(ids_check(&single_ids), 0);
	ck_assert_int_eq(check_with(owner_ids, 0, 100000, 65536), -EINVAL);
	ck_assert_int_eq(check_with(single_ids, 0, 0, 0), -EINVAL);
	ck_assert_int_eq(check_with(owner_ids, 1001, 0, 65536), -EINVAL);
	ck_assert_int_eq(check_with(owner_ids, 1001, 100000, 65534), -EINVAL);
	ck_assert_int_eq(check_with(owner_ids, 1001, 100000, 65535), 0);
	/* wraps around to 0 */
	ck_assert_int_eq(check_with(owner_ids, 1001, UINT32_MAX - 100, 65536), -EINVAL);
	ids.group = 0;
	ck_assert_int_eq(ids_check(&ids), -EINVAL);
}
END_TEST

START_TEST(test_ids_of_a_sandbox)
{
	ck_assert_uint_eq(skeleton_id(&owner_ids, 0), KEEPER_ID_ROOT);
	ck_assert_uint_eq(skeleton_id(&owner_ids, 999), 1000);
	ck_assert_uint_eq(skeleton_id(&owner_ids, 1000), KEEPER_ID_AGENT);
	ck_assert_uint_eq(skeleton_id(&owner_ids, 1001), 1001);
	ck_assert_uint_eq(skeleton_id(&single_ids, 0), 0);
	ck_assert(ids_exists(&owner_ids, 65535) && !ids_exists(&owner_ids, 65536));
	ck_assert(ids_exists(&single_ids, 0) && !ids_exists(&single_ids, 1));
	ck_assert_uint_eq(ids_fence(&owner_ids), KEEPER_ID_FENCE);
	ck_assert_uint_eq(ids_fence(&single_ids), 0);
}
END_TEST

START_TEST(test_overlay_options)
{
	const char *const lowers[] = { "/t/claude@1:2", "/skeleton", NULL };
	const struct overlay o = { lowers, "/u,p/data", "/u/work" };
	char buf[256];

	ck_assert_int_eq(overlay_options(&o, buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "lowerdir=/t/claude@1\\:2:/skeleton,upperdir=/u\\,p/data,"
			      "workdir=/u/work,volatile,userxattr");
	ck_assert_int_eq(overlay_options(&o, buf, strlen(buf)), -E2BIG);
}
END_TEST

/* All settings of a version as "file=value;" in their order. */
static void list_changes(uint32_t version, const struct keeper_limits *from,
			 const struct keeper_limits *to, char *buf, size_t size)
{
	struct cgroup_setting s;
	size_t i, used = 0;

	buf[0] = '\0';
	for (i = 0; cgroup_setting(version, i, from, to, &s) == 0; i++)
		if (s.file && s.value[0] != '\0')
			used += (size_t)snprintf(buf + used, size - used, "%s=%s;", s.file,
						 s.value);
}

static void list_settings(uint32_t version, const struct keeper_limits *limits, char *buf,
			  size_t size)
{
	list_changes(version, &(struct keeper_limits){ 0 }, limits, buf, size);
}

START_TEST(test_cgroup_settings)
{
	const struct keeper_limits some = { 1048576, 0, 1500, 64 }, tiny = { 0, 0, 1, 0 },
				   none = { 0, 0, 0, 0 };
	char buf[512];

	list_settings(1, &some, buf, sizeof(buf));
	ck_assert_str_eq(buf, "memory.limit_in_bytes=1048576;memory.memsw.limit_in_bytes=1048576;"
			      "memory.limit_in_bytes=1048576;cpu.cfs_quota_us=150000;pids.max=64;");
	list_settings(2, &some, buf, sizeof(buf));
	ck_assert_str_eq(buf, "memory.max=1048576;memory.swap.max=0;cpu.max=150000 100000;"
			      "pids.max=64;");
	list_settings(2, &tiny, buf, sizeof(buf));
	ck_assert_str_eq(buf, "cpu.max=1000 100000;");
	list_settings(1, &none, buf, sizeof(buf));
	ck_assert_str_eq(buf, "");
}
END_TEST

/* A spare is born with limits that its claimer need not want. */
START_TEST(test_cgroup_changes)
{
	const struct keeper_limits born = { 1048576, 0, 1500, 64 }, none = { 0, 0, 0, 0 },
				   other = { 2097152, 4096, 1500, 32 };
	char buf[512];

	list_changes(1, &born, &none, buf, sizeof(buf));
	ck_assert_str_eq(buf, "memory.limit_in_bytes=-1;memory.memsw.limit_in_bytes=-1;"
			      "memory.limit_in_bytes=-1;cpu.cfs_quota_us=-1;pids.max=max;");
	list_changes(2, &born, &none, buf, sizeof(buf));
	ck_assert_str_eq(buf, "memory.max=max;memory.swap.max=max;cpu.max=max;pids.max=max;");
	list_changes(1, &born, &other, buf, sizeof(buf));
	ck_assert_str_eq(buf, "memory.limit_in_bytes=2097152;memory.memsw.limit_in_bytes=2097152;"
			      "memory.limit_in_bytes=2097152;pids.max=32;");
	list_changes(2, &born, &other, buf, sizeof(buf));
	ck_assert_str_eq(buf, "memory.max=2097152;pids.max=32;");
	list_changes(1, &born, &born, buf, sizeof(buf));
	ck_assert_str_eq(buf, "");
	list_changes(2, &born, &born, buf, sizeof(buf));
	ck_assert_str_eq(buf, "");
}
END_TEST

START_TEST(test_json)
{
	struct json j;

	json_init(&j);
	json_begin(&j, NULL, '{');
	json_string(&j, "a\"", "\\ \n\x01 \xc3\xa4");
	json_begin(&j, "list", '[');
	json_number(&j, NULL, -5);
	json_begin(&j, NULL, '{');
	json_end(&j, '}');
	json_bool(&j, NULL, true);
	json_end(&j, ']');
	json_strings(&j, "empty", (const char *const[]){ NULL });
	json_end(&j, '}');
	ck_assert_str_eq(json_finish(&j), "{\"a\\\"\":\"\\\\ \\u000a\\u0001 \xc3\xa4\","
					  "\"list\":[-5,{},true],\"empty\":[]}");
	json_deinit(&j);
}
END_TEST

static char *config_text(const struct bundle *b)
{
	struct json j;

	json_init(&j);
	bundle_config(&j, b);
	ck_assert_ptr_nonnull(json_finish(&j));
	return j.data;
}

static char *config_of(const struct ids *ids, bool network_host, bool own_root)
{
	const struct bundle b = { .ids = ids,
				  .root = "/merged/\"x",
				  .init = "/init",
				  .network_host = network_host,
				  .own_root = own_root,
				  .shm_bytes = 4096 };

	return config_text(&b);
}

START_TEST(test_bundle)
{
	CLEANUP_STR char *text = config_of(&owner_ids, false, false);

	ck_assert_ptr_nonnull(strstr(text, "\"path\":\"/merged/\\\"x\""));
	ck_assert_ptr_nonnull(strstr(text, "\"args\":[\"/run/sandboxd/init\"]"));
	ck_assert_ptr_nonnull(strstr(text, "\"noNewPrivileges\":true"));
	ck_assert_ptr_nonnull(strstr(text, "{\"type\":\"network\"}"));
	ck_assert_ptr_nonnull(strstr(text, "\"size=4096\""));
	ck_assert_ptr_nonnull(strstr(text, "\"gid=5\""));
	ck_assert_ptr_nonnull(
		strstr(text, "\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":1000},"
			     "{\"containerID\":1001,\"hostID\":1001,\"size\":64534},"
			     "{\"containerID\":1000,\"hostID\":0,\"size\":1}]"));
	/* the fence id is not in it, and the filter is init's */
	ck_assert_ptr_null(strstr(text, "65535"));
	ck_assert_ptr_null(strstr(text, "seccomp"));
	ck_assert_ptr_nonnull(strstr(text, "\"source\":\"/usr\""));
}
END_TEST

/* Covered where there is a directory, else left to the runtime: always one of the two. */
START_TEST(test_bundle_hides)
{
	static const char *const hidden[] = { "/proc/acpi", "/proc/asound", "/proc/scsi",
					      "/sys/firmware", "/proc/kcore" };
	const struct bundle with = {
		.ids = &owner_ids, .root = "/", .init = "/init", .empty = "/empty"
	};
	CLEANUP_STR char *covering = config_text(&with);
	CLEANUP_STR char *masking = config_of(&owner_ids, false, false);
	char mount[96], mask[64];
	struct stat st;
	bool directory;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(hidden); i++) {
		directory = stat(hidden[i], &st) == 0 && S_ISDIR(st.st_mode);
		(void)snprintf(mount, sizeof(mount),
			       "{\"destination\":\"%s\",\"type\":\"bind\",\"source\":\"/empty\"",
			       hidden[i]);
		(void)snprintf(mask, sizeof(mask), "\"%s\"", hidden[i]);
		ck_assert_int_eq(strstr(covering, mount) != NULL, directory);
		ck_assert_int_eq(strstr(strstr(covering, "maskedPaths"), mask) != NULL, !directory);
		ck_assert_ptr_null(strstr(masking, mount));
		ck_assert_ptr_nonnull(strstr(strstr(masking, "maskedPaths"), mask));
	}
}
END_TEST

START_TEST(test_bundle_of_its_own_root)
{
	CLEANUP_STR char *text = config_of(&owner_ids, false, true);

	ck_assert_ptr_null(strstr(text, "\"source\":\"/usr"));
	ck_assert_ptr_null(strstr(text, "\"source\":\"/etc"));
	ck_assert_ptr_nonnull(strstr(text, "\"destination\":\"/proc\""));
}
END_TEST

START_TEST(test_bundle_of_one_id)
{
	CLEANUP_STR char *text = config_of(&single_ids, true, false);

	ck_assert_ptr_nonnull(
		strstr(text, "\"uidMappings\":[{\"containerID\":1000,\"hostID\":0,\"size\":1}]"));
	ck_assert_ptr_nonnull(strstr(text, "\"user\":{\"uid\":1000,\"gid\":1000}"));
	ck_assert_ptr_null(strstr(text, "gid=5"));
	ck_assert_ptr_null(strstr(text, "{\"type\":\"network\"}"));
	ck_assert_ptr_null(strstr(text, "sysfs"));
}
END_TEST

START_TEST(test_names)
{
	char longest[130];

	memset(longest, 'a', sizeof(longest));
	longest[128] = '\0';
	ck_assert(name_good("claude@2.1:x+y_z-1"));
	ck_assert(name_good(longest));
	longest[128] = 'a';
	longest[129] = '\0';
	ck_assert(!name_good(longest));
	ck_assert(!name_good(""));
	ck_assert(!name_good(NULL));
	ck_assert(!name_good("."));
	ck_assert(!name_good(".."));
	ck_assert(!name_good("a/b"));
	ck_assert(!name_good("-x"));
	ck_assert(!name_good("a b"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("keeper-config");
	TCase *tcase = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, test_map_text);
	tcase_add_test(tcase, test_host_root_is_never_mapped);
	tcase_add_test(tcase, test_ids_of_a_sandbox);
	tcase_add_test(tcase, test_overlay_options);
	tcase_add_test(tcase, test_cgroup_settings);
	tcase_add_test(tcase, test_cgroup_changes);
	tcase_add_test(tcase, test_json);
	tcase_add_test(tcase, test_bundle);
	tcase_add_test(tcase, test_bundle_hides);
	tcase_add_test(tcase, test_bundle_of_one_id);
	tcase_add_test(tcase, test_bundle_of_its_own_root);
	tcase_add_test(tcase, test_names);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
