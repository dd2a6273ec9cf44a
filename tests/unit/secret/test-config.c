/* SPDX-License-Identifier: Apache-2.0 */
/* [secrets] and [secret NAME]. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/config.h"
#include "util/path.h"

#define HOUR_MS (60 * 60 * 1000)
#define DAEMON 1000

static char dir[64];
static struct config *c;

static void setup(void)
{
	strcpy(dir, "/tmp/test-secret-config-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	config_unref(c);
	c = NULL;
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir), 0);
}

/* Returns how many problems there were. */
static unsigned load(const char *text)
{
	char path[96];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/sandboxd.conf", dir);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	config_unref(c);
	ck_assert_int_eq(config_new(&c, DAEMON), 0);
	ck_assert_int_eq(config_load(c, path), 0);
	return c->problems;
}

static const struct config_secret *mine(const char *name)
{
	return config_secret_for(c, DAEMON, DAEMON, name);
}

START_TEST(defaults)
{
	ck_assert_int_eq(setenv("HOME", "/home/x", 1), 0);
	ck_assert_uint_eq(load(""), 0);
	ck_assert_int_eq(c->secrets.key.kind, SECRET_KEY_AUTO);
	ck_assert_int_eq(c->secrets.old_key.kind, SECRET_KEY_NONE);
	ck_assert_int_eq(c->secrets.max_ttl_ms, 24 * HOUR_MS);
	ck_assert_int_eq(c->secrets.default_ttl_ms, HOUR_MS);
	ck_assert_str_eq(c->secrets.agent_secrets_socket,
			 "/home/x/.agent-secrets/agent-secrets.sock");
	ck_assert_ptr_null(mine("a"));
}
END_TEST

START_TEST(settings)
{
	ck_assert_uint_eq(load("[secrets]\nmax_ttl = 30min\nkey = passphrase-file /etc/key\n"
			       "agent_secrets_socket = /run/a.sock\noauth_client_id = me\n"
			       "oauth_endpoint = http://127.0.0.1:99/token\n"),
			  0);
	ck_assert_int_eq(c->secrets.max_ttl_ms, HOUR_MS / 2);
	ck_assert_int_eq(c->secrets.default_ttl_ms, HOUR_MS / 2);
	ck_assert_int_eq(c->secrets.key.kind, SECRET_KEY_PASSPHRASE_FILE);
	ck_assert_str_eq(c->secrets.key.where, "/etc/key");
	ck_assert_str_eq(c->secrets.oauth_endpoint, "http://127.0.0.1:99/token");
	ck_assert_uint_eq(load("[secrets]\nkey = passphrase-credential k\n"), 0);
	ck_assert_int_eq(c->secrets.key.kind, SECRET_KEY_PASSPHRASE_CREDENTIAL);
	ck_assert_str_eq(c->secrets.key.where, "k");
	ck_assert_uint_eq(load("[secrets]\nkey = passphrase-file /k\nkey = auto\n"), 0);
	ck_assert_int_eq(c->secrets.key.kind, SECRET_KEY_AUTO);
	ck_assert_ptr_null(c->secrets.key.where);
	ck_assert_uint_eq(load("[secrets]\nkey = key-credential k\nold_key = key-file /k\n"), 0);
	ck_assert_int_eq(c->secrets.key.kind, SECRET_KEY_CREDENTIAL);
	ck_assert_str_eq(c->secrets.key.where, "k");
	ck_assert_int_eq(c->secrets.old_key.kind, SECRET_KEY_FILE);
	ck_assert_str_eq(c->secrets.old_key.where, "/k");
	/* not meant to be "auto", and not to become it */
	ck_assert_uint_eq(load("[secrets]\nkey = key-fil /k\nold_key = auto\n"), 1);
	ck_assert_int_eq(c->secrets.old_key.kind, SECRET_KEY_NONE);
}
END_TEST

START_TEST(sections)
{
	const struct config_secret *s;

	ck_assert_uint_eq(load("[secret a]\nprovider = command\n"
			       "command = secrets lease 'a b' --raw\nmax_ttl = 1h\n"
			       "[secret b]\nprovider = agent-secrets\n"
			       "[secret c]\nprovider = systemd\nusers = 1001, 1002\n"),
			  0);
	s = mine("a");
	ck_assert_str_eq(s->provider, "command");
	ck_assert_uint_eq(s->command.count, 4);
	ck_assert_str_eq(s->command.items[2], "a b");
	ck_assert_int_eq(s->max_ttl_ms, HOUR_MS);
	ck_assert_ptr_null(s->broken);
	ck_assert_ptr_null(config_secret_for(c, DAEMON, 1001, "a"));
	ck_assert_str_eq(mine("b")->remote_name, "b");
	ck_assert_str_eq(mine("c")->credential, "c");
	ck_assert_ptr_eq(config_secret_for(c, DAEMON, 1002, "c"), mine("c"));
	ck_assert_ptr_null(config_secret_for(c, DAEMON, 1003, "c"));
	ck_assert_ptr_null(config_secret_for(c, DAEMON, 0, "c"));
}
END_TEST

static const char *const bad[] = {
	"[secrets]\nkey = no\n",
	"[secrets]\nkey = passphrase-file\n",
	"[secrets]\nkey = passphrase-file relative\n",
	"[secrets]\nkey = key-file\n",
	"[secrets]\nold_key = key-credential .x\n",
	"[secrets]\nkey = passphrase-credential ../x\n",
	"[secrets]\nmax_ttl = 0s\n",
	"[secrets]\noauth_endpoint = http://example.com/\n",
	"[secrets]\nunknown = 1\n",
	"[secret a]\nprovider = none\n",
	"[secret a]\nunknown = 1\n",
	"[secret a]\nprovider = env\n",
	"[secret a]\nprovider = file\n",
	"[secret a]\nprovider = command\n",
	"[secret a]\nvariable = 1A\n",
	"[secret a]\npath = a\n",
	"[secret a]\nusers = nobody-has-this-name\n",
};

/* The name does not fall back to the store then. */
START_TEST(mistakes)
{
	ck_assert_uint_eq(load(bad[_i]), 1);
	if (strncmp(bad[_i], "[secret a]", 10) == 0)
		ck_assert_ptr_nonnull(mine("a")->broken);
}
END_TEST

START_TEST(bad_names)
{
	ck_assert_uint_eq(load("[secret .a]\nprovider = store\n"), 1);
	ck_assert_uint_eq(load("[secret a/b]\nprovider = store\n"), 1);
	ck_assert_uint_eq(load("[secret]\nprovider = store\n"), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("secret-config");
	TCase *t = tcase_create("secret-config");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, defaults);
	tcase_add_test(t, settings);
	tcase_add_test(t, sections);
	tcase_add_loop_test(t, mistakes, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(t, bad_names);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
