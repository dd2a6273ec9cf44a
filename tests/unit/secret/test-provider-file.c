/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are read and replaced by a copy of this process; variables of the environment, and
 * credentials of systemd's. */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro.h"
#include "sandbox/config.h"
#include "sandbox/manager.h"
#include "secret/provider-env.h"
#include "secret/provider.h"
#include "util/fd.h"

static struct manager manager;
static struct config config;
static char dir[48], path[64];

struct outcome {
	bool over;
	bool well;
	size_t size;
	char value[64];
	enum error_kind kind;
	char message[256];
};

static void take_grant(struct outcome *o, struct provider_grant *g)
{
	o->over = o->well = true;
	o->size = secret_value_size(g->value);
	(void)snprintf(o->value, sizeof(o->value), "%s", (const char *)secret_value_data(g->value));
	g->value = secret_value_unref(g->value);
}

static void take_error(struct outcome *o, const struct error *e)
{
	o->over = true;
	o->kind = e->kind;
	(void)snprintf(o->message, sizeof(o->message), "%s", e->message);
}

static void on_done(struct provider_grant *g, struct error *e, void *userdata)
{
	if (g)
		take_grant(userdata, g);
	else
		take_error(userdata, e);
}

static void on_replaced(struct error *e, void *userdata)
{
	struct outcome *o = userdata;

	if (e) {
		take_error(o, e);
		return;
	}
	o->over = o->well = true;
}

static void setup(void)
{
	memset(&manager, 0, sizeof(manager));
	memset(&config, 0, sizeof(config));
	(void)snprintf(dir, sizeof(dir), "/tmp/sandboxd-unit-file-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/auth.json", dir);
	manager.config = &config;
	manager.base = event_base_new();
	ck_assert_ptr_nonnull(manager.base);
}

static void teardown(void)
{
	env_secrets_free(TAKE_PTR(manager.env_secrets));
	(void)event_base_dispatch(manager.base); /* until what was killed is reaped */
	ck_assert_uint_eq(manager.provider_commands, 0);
	ck_assert_uint_eq(manager.provider_writes, 0);
	event_base_free(manager.base);
	(void)unlink(path);
	ck_assert_int_eq(rmdir(dir), 0); /* nothing is left beside it */
}

static struct provider_call call_of(struct config_secret *section)
{
	section->name = (char *)(uintptr_t) "tok";
	return (struct provider_call){
		.m = &manager, .config = section, .name = "tok", .ttl_ms = 1000
	};
}

static void write_path(const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	ck_assert_int_eq(close(fd), 0);
}

static void wait_for(const struct outcome *o)
{
	while (!o->over)
		ck_assert_int_eq(event_base_loop(manager.base, EVLOOP_ONCE), 0);
}

static struct outcome lease_file(const char *where)
{
	struct config_secret section = { .path = (char *)(uintptr_t)where };
	const struct provider_call call = call_of(&section);
	struct provider_pending *p;
	struct provider_grant g;
	struct outcome o = { 0 };

	ck_assert_int_eq(provider_file.lease(&call, on_done, &o, &g, &p, NULL), 0);
	ck_assert(!o.over);
	wait_for(&o);
	ck_assert_int_eq(o.well, provider_file.has(&call));
	return o;
}

/* ---- file ---- */

START_TEST(a_file)
{
	static const char *const texts[] = { "planted", "planted\n", "{\"error\": \"planted\"}\n" };
	struct outcome o;

	write_path(texts[_i], 0600);
	o = lease_file(path);
	ck_assert_msg(o.well, "%s", o.message);
	ck_assert_str_eq(o.value, texts[_i]); /* byte by byte */
}
END_TEST

START_TEST(the_biggest_file)
{
	struct outcome o;

	write_path("", 0600);
	ck_assert_int_eq(truncate(path, SECRET_VALUE_MAX), 0);
	o = lease_file(path);
	ck_assert_msg(o.well, "%s", o.message);
	ck_assert_uint_eq(o.size, SECRET_VALUE_MAX);
	ck_assert_int_eq(truncate(path, SECRET_VALUE_MAX + 1), 0);
	o = lease_file(path);
	ck_assert(!o.well);
	ck_assert_int_eq(o.kind, ERROR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(o.message, "more than 1048576"));
}
END_TEST

START_TEST(no_file)
{
	struct outcome o;

	if (_i == 1) /* nobody writes to it: opening or reading it would wait for ever */
		ck_assert_int_eq(mkfifo(path, 0600), 0);
	o = lease_file(_i == 2 ? dir : path);
	ck_assert(!o.well);
	ck_assert_int_eq(o.kind, ERROR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(o.message, _i == 0 ? strerror(ENOENT) : strerror(EISDIR)));
}
END_TEST

START_TEST(a_file_of_others)
{
	struct outcome o;

	if (getuid() == 0)
		return; /* root may read everything */
	write_path("planted", 0);
	o = lease_file(path);
	ck_assert(!o.well);
	ck_assert_ptr_nonnull(strstr(o.message, strerror(EACCES)));
}
END_TEST

START_TEST(cancelled)
{
	struct config_secret section = { .path = path };
	const struct provider_call call = call_of(&section);
	struct provider_pending *p;
	struct provider_grant g;
	struct outcome o = { 0 };

	write_path("planted", 0600);
	ck_assert_int_eq(provider_file.lease(&call, on_done, &o, &g, &p, NULL), 0);
	provider_file.cancel(p);
	ck_assert_int_ge(event_base_loop(manager.base, EVLOOP_NONBLOCK), 0);
	ck_assert(!o.over);
}
END_TEST

static struct outcome replace(const char *text)
{
	const struct bytes value = { text, strlen(text) };
	struct config_secret section = { .path = path };
	const struct provider_call call = call_of(&section);
	struct outcome o = { 0 };

	ck_assert_int_eq(provider_file.replace(&call, &value, on_replaced, &o, NULL), 0);
	ck_assert(!o.over);
	wait_for(&o);
	return o;
}

START_TEST(replaced)
{
	struct stat before, after;
	struct outcome o;

	write_path("old and much longer than that", 0640);
	ck_assert_int_eq(stat(path, &before), 0);
	if (getuid() == 0) /* whose it is it stays */
		ck_assert_int_eq(chown(path, 1, 2), 0);
	o = replace("new");
	ck_assert_msg(o.well, "%s", o.message);
	ck_assert_int_eq(stat(path, &after), 0);
	ck_assert_uint_ne(before.st_ino, after.st_ino); /* at once, not byte by byte */
	ck_assert_uint_eq(after.st_mode & 07777, 0640);
	ck_assert_uint_eq(after.st_uid, getuid() == 0 ? 1 : before.st_uid);
	o = lease_file(path);
	ck_assert_str_eq(o.value, "new");
}
END_TEST

START_TEST(nothing_to_replace)
{
	struct outcome o = replace("new");

	ck_assert(!o.well);
	ck_assert_int_eq(o.kind, ERROR_UNAVAILABLE);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

/* ---- at once: env and systemd ---- */

static struct outcome lease_now(const struct provider *p, struct config_secret *section)
{
	const struct provider_call call = call_of(section);
	struct provider_pending *pending;
	struct provider_grant g = { 0 };
	struct outcome o = { 0 };
	struct error e = { 0 };

	if (p->lease(&call, on_done, &o, &g, &pending, &e) == 1)
		take_grant(&o, &g);
	else
		take_error(&o, &e);
	error_clear(&e);
	ck_assert_int_eq(o.well, p->has(&call));
	return o;
}

START_TEST(variable)
{
	struct config_secret section = { .name = (char *)(uintptr_t) "tok",
					 .provider = "env",
					 .variable = (char *)(uintptr_t) "SBT_PLANTED" };
	char text[] = "SBT_PLANTED=planted";
	struct outcome o;

	ck_assert_int_eq(putenv(text), 0); /* the environment is made of TEXT itself */
	config.secrets.list = &section;
	ck_assert_int_eq(env_secrets_new(&manager, &manager.env_secrets), 0);
	ck_assert_ptr_null(getenv("SBT_PLANTED"));
	ck_assert_ptr_null(strstr(text, "planted"));
	for (int i = 0; i < 2; i++) {
		o = lease_now(&provider_env, &section);
		ck_assert_msg(o.well, "%s", o.message);
		ck_assert_str_eq(o.value, "planted");
	}
	section.variable = (char *)(uintptr_t) "SBT_ANOTHER";
	o = lease_now(&provider_env, &section);
	ck_assert_int_eq(o.kind, ERROR_UNAVAILABLE);
	/* named by a configuration that was read later */
	ck_assert_int_eq(setenv("SBT_ANOTHER", "later", 1), 0);
	o = lease_now(&provider_env, &section);
	ck_assert_str_eq(o.value, "later");
	ck_assert_ptr_null(getenv("SBT_ANOTHER"));
}
END_TEST

START_TEST(credential)
{
	struct config_secret section = { .credential = (char *)(uintptr_t) "auth.json" };
	struct outcome o;

	ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	o = lease_now(&provider_systemd, &section);
	ck_assert_int_eq(o.kind, ERROR_UNAVAILABLE);
	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
	o = lease_now(&provider_systemd, &section);
	ck_assert_int_eq(o.kind, ERROR_UNAVAILABLE);
	write_path("planted\n", 0400);
	o = lease_now(&provider_systemd, &section);
	ck_assert_msg(o.well, "%s", o.message);
	ck_assert_str_eq(o.value, "planted\n");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("provider-file");
	Suite *s = suite_create("provider-file");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_file, 0, 3);
	tcase_add_test(t, the_biggest_file);
	tcase_add_loop_test(t, no_file, 0, 3);
	tcase_add_test(t, a_file_of_others);
	tcase_add_test(t, cancelled);
	tcase_add_test(t, replaced);
	tcase_add_test(t, nothing_to_replace);
	tcase_add_test(t, variable);
	tcase_add_test(t, credential);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
