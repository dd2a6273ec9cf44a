/* SPDX-License-Identifier: Apache-2.0 */
/* libsandboxd's secrets: what is sent, and what is made of the answers. */

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake-server.h"
#include "macro.h"
#include "sandboxd/client.h"

#define CALL(id, method, params)                                                                   \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\",\"params\":" params "}"
#define LEASE                                                                                      \
	"\"leaseId\":\"l\",\"secret\":\"tok\",\"holder\":{\"kind\":\"client\",\"id\":null},"       \
	"\"createdAt\":\"2026-01-01T00:00:00.000Z\",\"expiresAt\":\"2026-01-01T01:00:00.000Z\","   \
	"\"renew\":false"

static struct fake_server server;

static void setup(void)
{
	fake_server_init(&server);
}

static void teardown(void)
{
	fake_server_deinit(&server);
}

static void hear(const char *want)
{
	CLEANUP_STR char *line = NULL;
	int fds[64];
	size_t n_fds;

	line = fake_server_hear(&server, fds, &n_fds);
	ck_assert_str_eq(line, want);
	ck_assert_uint_eq(n_fds, 0);
}

START_TEST(store)
{
	fake_server_say(&server, "{\"id\":1,\"result\":{}}\n");
	ck_assert_int_eq(sandboxd_secret_set(server.client, "tok", "v\n", 2, NULL), 0);
	fake_server_say(&server, "{\"id\":2,\"result\":{}}\n");
	ck_assert_int_eq(sandboxd_secret_set(server.client, "tok", "\0\1\2", 3, NULL), 0);
	fake_server_say(&server, "{\"id\":3,\"result\":{}}\n");
	ck_assert_int_eq(sandboxd_secret_remove(server.client, "tok", NULL), 0);
	hear(CALL("1", "secret.set", "{\"secret\":\"tok\",\"value\":{\"text\":\"v\\n\"}}"));
	hear(CALL("2", "secret.set", "{\"secret\":\"tok\",\"value\":{\"base64\":\"AAEC\"}}"));
	hear(CALL("3", "secret.remove", "{\"secret\":\"tok\"}"));
}
END_TEST

START_TEST(listing)
{
	struct sandboxd_secret **list;
	size_t count;

	fake_server_say(&server,
			"{\"id\":1,\"result\":{\"secrets\":[{\"secret\":\"a\",\"provider\":"
			"\"store\","
			"\"available\":true,\"sizeBytes\":7,\"updatedAt\":\"t\"},"
			"{\"secret\":\"b\",\"provider\":\"env\",\"available\":false}]}}\n");
	ck_assert_int_eq(sandboxd_secret_list(server.client, &list, &count, NULL), 0);
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(list[0]->name, "a");
	ck_assert_str_eq(list[0]->provider, "store");
	ck_assert_str_eq(list[0]->updated_at, "t");
	ck_assert(list[0]->size == 7 && list[0]->available);
	ck_assert(list[1]->size == -1 && !list[1]->available);
	ck_assert_ptr_null(list[1]->updated_at);
	sandboxd_secret_list_free(list, count);
	fake_server_say(&server, "{\"id\":2,\"result\":{\"secrets\":[{\"provider\":\"env\"}]}}\n");
	ck_assert_int_eq(sandboxd_secret_list(server.client, &list, &count, NULL), -EBADMSG);
	hear(CALL("1", "secret.list", "{\"limit\":1000}"));
}
END_TEST

START_TEST(lease)
{
	const struct sandboxd_lease_options options = {
		.secret = "tok", .ttl_ms = 60000, .sandbox = "s", .renew = 1, .reveal = 1
	};
	struct sandboxd_lease *l = NULL;

	fake_server_say(&server, "{\"id\":1,\"result\":{" LEASE ",\"value\":\"v\"}}\n");
	ck_assert_int_eq(sandboxd_secret_lease(server.client, &options, &l, NULL), 0);
	ck_assert_str_eq(l->id, "l");
	ck_assert_str_eq(l->secret, "tok");
	ck_assert_str_eq(l->expires_at, "2026-01-01T01:00:00.000Z");
	ck_assert_uint_eq(l->value_size, 1);
	ck_assert_mem_eq(l->value, "v", 1);
	ck_assert_ptr_null(sandboxd_lease_free(l));
	hear(CALL("1", "secret.lease",
		  "{\"secret\":\"tok\",\"ttlMs\":60000,\"sandbox\":\"s\",\"renew\":true,"
		  "\"reveal\":true}"));

	fake_server_say(&server,
			"{\"id\":2,\"result\":{" LEASE ",\"value\":{\"base64\":\"AAEC\"}}}\n");
	ck_assert_int_eq(sandboxd_secret_renew(server.client, "l", 5, &l, NULL), 0);
	ck_assert_uint_eq(l->value_size, 3);
	ck_assert_mem_eq(l->value, "\0\1\2", 3);
	(void)sandboxd_lease_free(l);
	hear(CALL("2", "secret.renew", "{\"leaseId\":\"l\",\"ttlMs\":5}"));
}
END_TEST

static const char *const no_leases[] = {
	"{\"id\":1,\"result\":{}}\n",
	"{\"id\":1,\"result\":[]}\n",
	"{\"id\":1,\"result\":{\"leaseId\":7,\"secret\":\"tok\",\"expiresAt\":\"t\"}}\n",
	"{\"id\":1,\"result\":{" LEASE ",\"value\":{\"base64\":\"*\"}}}\n",
};

START_TEST(no_lease)
{
	const struct sandboxd_lease_options options = { .secret = "tok", .ttl_ms = 1 };
	struct sandboxd_lease *l = NULL;

	fake_server_say(&server, no_leases[_i]);
	ck_assert_int_eq(sandboxd_secret_lease(server.client, &options, &l, NULL), -EBADMSG);
	ck_assert_ptr_null(l);
}
END_TEST

START_TEST(leases)
{
	struct sandboxd_lease **list = NULL;
	size_t n = 0;

	fake_server_say(&server,
			"{\"id\":1,\"result\":{\"leases\":[{" LEASE
			",\"holder\":{\"kind\":\"exec\",\"id\":\"e\"},\"sandbox\":\"s\"},{" LEASE
			",\"holder\":{\"kind\":\"client\",\"id\":null}}]}}\n");
	ck_assert_int_eq(sandboxd_lease_list(server.client, "tok", &list, &n, NULL), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(list[0]->holder, "exec");
	ck_assert_str_eq(list[0]->holder_id, "e");
	ck_assert_str_eq(list[0]->sandbox, "s");
	ck_assert_str_eq(list[1]->holder, "client");
	ck_assert(!list[1]->holder_id && !list[1]->sandbox && !list[1]->value);
	sandboxd_lease_list_free(list, n);
	fake_server_say(&server, "{\"id\":2,\"result\":{\"leases\":[{" LEASE "},{}]}}\n");
	ck_assert_int_eq(sandboxd_lease_list(server.client, NULL, &list, &n, NULL), -EBADMSG);
	hear(CALL("1", "secret.leases", "{\"limit\":1000,\"secret\":\"tok\"}"));
	hear(CALL("2", "secret.leases", "{\"limit\":1000}"));
}
END_TEST

START_TEST(revoking)
{
	struct sandboxd_revoked revoked = { 0 };

	fake_server_say(&server, "{\"id\":1,\"result\":{\"revoked\":3,\"running\":1}}\n");
	ck_assert_int_eq(sandboxd_secret_revoke(server.client, "l", 1, &revoked, NULL), 0);
	ck_assert(revoked.leases == 3 && revoked.running == 1);
	fake_server_say(&server, "{\"id\":2,\"result\":{\"revoked\":0,\"running\":0}}\n");
	ck_assert_int_eq(sandboxd_secret_revoke_all(server.client, 0, NULL, NULL), 0);
	hear(CALL("1", "secret.revoke", "{\"leaseId\":\"l\",\"kill\":true}"));
	hear(CALL("2", "secret.revokeAll", "{}"));
}
END_TEST

START_TEST(exec_with_secrets)
{
	const char *const command[] = { "true", NULL };
	const char *const secrets[] = { "tok", "other=VARIABLE", NULL };
	struct sandboxd_exec_options options = SANDBOXD_EXEC_OPTIONS_INIT;
	struct sandboxd_exec_result *result = NULL;
	CLEANUP_STR char *line = NULL;
	int fds[64];
	size_t n_fds;

	options.sandbox = "s";
	options.command = command;
	options.secrets = secrets;
	fake_server_say(&server, "{\"id\":1,\"result\":{\"execId\":\"e\",\"cause\":\"exited\","
				 "\"exitCode\":0}}\n");
	ck_assert_int_eq(sandboxd_exec_run(server.client, &options, &result, NULL), 0);
	(void)sandboxd_exec_result_free(result);
	line = fake_server_hear(&server, fds, &n_fds);
	ck_assert_ptr_nonnull(
		strstr(line, "\"secrets\":[\"tok\",{\"name\":\"other\",\"env\":\"VARIABLE\"}]"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("secret");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, store);
	tcase_add_test(tcase, listing);
	tcase_add_test(tcase, lease);
	tcase_add_loop_test(tcase, no_lease, 0, ARRAY_SIZE(no_leases));
	tcase_add_test(tcase, revoking);
	tcase_add_test(tcase, leases);
	tcase_add_test(tcase, exec_with_secrets);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
