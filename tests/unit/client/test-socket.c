/* SPDX-License-Identifier: Apache-2.0 */
/* Where a client looks for the daemon. */

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "macro.h"
#include "sandboxd/client.h"

static char buffer[128];

static void expect(const char *given, unsigned index, const char *format)
{
	char path[128];

	(void)snprintf(path, sizeof path, "%s%u%s", format, geteuid(), "/sandboxd.sock");
	ck_assert_int_eq(sandboxd_socket_candidate(given, index, buffer, sizeof buffer), 0);
	ck_assert_str_eq(buffer, path);
}

START_TEST(named_ones_are_the_only_ones)
{
	setenv("SANDBOXD_SOCKET", "/env.sock", 1);
	ck_assert_int_eq(sandboxd_socket_candidate("/a.sock", 0, buffer, sizeof buffer), 0);
	ck_assert_str_eq(buffer, "/a.sock");
	ck_assert_int_eq(sandboxd_socket_candidate("/a.sock", 1, buffer, sizeof buffer), -ENOENT);
	ck_assert_int_eq(sandboxd_socket_candidate(NULL, 0, buffer, sizeof buffer), 0);
	ck_assert_str_eq(buffer, "/env.sock");
	ck_assert_int_eq(sandboxd_socket_candidate(NULL, 1, buffer, sizeof buffer), -ENOENT);
	unsetenv("SANDBOXD_SOCKET");
}
END_TEST

START_TEST(usual_places_in_order)
{
	char run_user[64];

	unsetenv("SANDBOXD_SOCKET");
	setenv("XDG_RUNTIME_DIR", "/xdg", 1);
	ck_assert_int_eq(sandboxd_socket_candidate(NULL, 0, buffer, sizeof buffer), 0);
	ck_assert_str_eq(buffer, "/xdg/sandboxd/sandboxd.sock");
	(void)snprintf(run_user, sizeof run_user, "/run/user/%u/sandboxd/sandboxd.sock", geteuid());
	ck_assert_int_eq(sandboxd_socket_candidate(NULL, 1, buffer, sizeof buffer), 0);
	ck_assert_str_eq(buffer, run_user);
	ck_assert_int_eq(sandboxd_socket_candidate(NULL, 2, buffer, sizeof buffer), 0);
	ck_assert_str_eq(buffer, "/run/sandboxd/sandboxd.sock");
	expect(NULL, 3, "/tmp/sandboxd-");
	ck_assert_int_eq(sandboxd_socket_candidate(NULL, 4, buffer, sizeof buffer), -ENOENT);
	unsetenv("XDG_RUNTIME_DIR");
	ck_assert_int_eq(sandboxd_socket_candidate("", 0, buffer, sizeof buffer), 0);
	ck_assert_str_eq(buffer, run_user);
}
END_TEST

START_TEST(too_long_a_path)
{
	char path[200];

	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	ck_assert_int_eq(sandboxd_socket_candidate(path, 0, buffer, sizeof buffer), -ENAMETOOLONG);
}
END_TEST

START_TEST(connects_where_a_daemon_listens)
{
	char dir[] = "/tmp/test-socket-XXXXXX";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct sandboxd_client *client = NULL;
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s/s", dir);
	ck_assert_int_eq(sandboxd_connect(&client, address.sun_path), -ENOENT);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(sandboxd_connect(&client, address.sun_path), -ECONNREFUSED);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(sandboxd_connect(&client, address.sun_path), 0);
	ck_assert_str_eq(sandboxd_client_path(client), address.sun_path);
	sandboxd_client_free(client);
	unlink(address.sun_path);
	rmdir(dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("socket");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, named_ones_are_the_only_ones);
	tcase_add_test(tcase, usual_places_in_order);
	tcase_add_test(tcase, too_long_a_path);
	tcase_add_test(tcase, connects_where_a_daemon_listens);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
