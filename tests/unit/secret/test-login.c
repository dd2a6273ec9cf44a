/* SPDX-License-Identifier: Apache-2.0 */
/* Logins and their broker, against a token server on loopback that takes a refresh token once. The
 * broker is the real one, and so is the vault that its key comes from; provider and clock are
 * played. */
#undef NDEBUG
#include <assert.h>
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/broker-wire.h"
#include "played-clock.h"
#include "played-provider.h"
#include "played-unit.h"
#include "sandbox/config.h"
#include "sandbox/manager.h"
#include "secret/login.h"
#include "secret/vault.h"
#include "token-server.h"
#include "util/fd.h"
#include "util/path.h"
#include "util/time.h"

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)
#define MANY 50

static struct config config;
static struct manager m = { .config = &config };
static char dir[64], endpoint[64];
static int idle_events;

/* ---- who leases ---- */

static struct answer {
	unsigned granted;
	unsigned failed;
	char text[600];        /* the last value */
	int64_t expires_at_ms; /* its grant's */
	enum error_kind kind;  /* the last error */
	char message[400];
	char hint[200];
} answer;

static void note(struct provider_grant *g, const struct error *e)
{
	if (g) {
		(void)snprintf(answer.text, sizeof(answer.text), "%s",
			       (const char *)secret_value_data(g->value));
		answer.expires_at_ms = g->expires_at_ms;
		g->value = secret_value_unref(g->value);
		answer.granted++;
		return;
	}
	answer.failed++;
	answer.kind = e->kind;
	(void)snprintf(answer.message, sizeof(answer.message), "%s", e->message);
	(void)snprintf(answer.hint, sizeof(answer.hint), "%s", e->hint ? e->hint : "");
}

static void on_answer(struct provider_grant *g, struct error *e, void *userdata)
{
	(void)userdata;
	note(g, e);
}

/* Begins a lease; what was there before does not count. NULL: it was answered at once. */
static struct login_pending *lease(void)
{
	const struct provider_call call = {
		.m = &m, .owner = OWNER, .name = NAME, .ttl_ms = HOUR_MS
	};
	CLEANUP_ERROR struct error e = { 0 };
	struct login_pending *p = NULL;
	struct provider_grant g;
	int r = login_lease(&fake, &call, on_answer, NULL, &g, &p, &e);

	if (r != 0)
		note(r == 1 ? &g : NULL, &e);
	return p;
}

static void turn(void)
{
	assert(event_base_loop(m.base, EVLOOP_ONCE) == 0);
}

static void wait_for_answers(unsigned n)
{
	while (answer.granted + answer.failed < n)
		turn();
	assert(answer.granted + answer.failed == n);
}

static void lease_now(void)
{
	answer = (struct answer){ 0 };
	(void)lease();
	wait_for_answers(1);
}

/* What failed a moment ago is tried again. */
static void lease_later_on(void)
{
	clock_slept_ms += 5001;
	lease_now();
}

/* The copy of access token N, without any refresh token. */
static void check_copy(unsigned n)
{
	char access[32];

	(void)snprintf(access, sizeof(access), "access-%u.", n);
	ck_assert_msg(strstr(answer.text, access) != NULL, "%s", answer.text);
	ck_assert_ptr_nonnull(strstr(answer.text, "\"refresh_token\":\"\""));
	ck_assert_ptr_null(strstr(answer.text, "refresh-"));
}

static void check_failed(enum error_kind kind, const char *part)
{
	ck_assert_uint_eq(answer.failed, 1);
	ck_assert_msg(answer.kind == kind && strstr(answer.message, part), "%u %s", answer.kind,
		      answer.message);
	ck_assert_ptr_null(strstr(answer.message, "refresh-"));
	ck_assert_ptr_null(strstr(answer.message, "access-"));
}

static bool is_kept(unsigned n)
{
	char refresh[32];

	(void)snprintf(refresh, sizeof(refresh), "\"refresh-%u\"", n);
	return strstr((const char *)secret_value_data(kept), refresh);
}

static void set_up(void)
{
	const char *libexec = getenv("SANDBOXD_TEST_LIBEXEC");

	ck_assert_ptr_nonnull(libexec);
	strcpy(dir, "/tmp/test-login-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	m.state_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(m.state_fd, 0);
	m.libexec_dir = libexec;
	m.base = event_base_new();
	config = (struct config){ .secrets = { .key.kind = SECRET_KEY_AUTO,
					       .default_ttl_ms = HOUR_MS,
					       .max_ttl_ms = 24 * HOUR_MS,
					       .oauth_endpoint = endpoint,
					       .oauth_client_id = strdup("test-client") } };
	ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	ck_assert_int_eq(vault_new(m.base, m.state_fd, &config, &m.vault), 0);
	ck_assert_int_eq(login_table_new(&m, &m.logins), 0);
	fake_begin();
	clock_set_ms = clock_slept_ms = 0;
	answer = (struct answer){ 0 };
	token_server_start(m.base, endpoint, sizeof(endpoint));
	idle_events = event_base_get_num_events(m.base, EVENT_BASE_COUNT_ADDED);
}

static void tear_down(void)
{
	/* refreshes, and brokers that are to be reaped */
	while (event_base_get_num_events(m.base, EVENT_BASE_COUNT_ADDED) > idle_events)
		turn();
	login_table_free(m.logins);
	vault_free(m.vault);
	token_server_stop();
	event_base_free(m.base);
	fake_end();
	free(config.secrets.oauth_client_id);
	m.state_fd = close_fd(m.state_fd);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir), 0);
}

/* What the broker kept is of no use once the provider has it. */
static void check_nothing_stored(void)
{
	ck_assert_int_lt(faccessat(m.state_fd, "logins/1000-" NAME, F_OK, 0), 0);
}

/* ---- tests ---- */

START_TEST(others_pass)
{
	keep("sk-a-token");
	lease_now();
	ck_assert_str_eq(answer.text, "sk-a-token");
	ck_assert_int_eq(answer.expires_at_ms, 0);
	keep("{\"tokens\":{\"refresh_token\":\"planted\"");
	lease_now();
	check_failed(ERROR_UNAVAILABLE, "no whole auth.json");
	ck_assert_uint_eq(server.requests, 0);
}
END_TEST

/* Its lease ends before Codex would want to refresh it. */
START_TEST(current)
{
	int64_t now = time_realtime_ms();

	keep_login(1, now, HOUR_MS);
	lease_now();
	check_copy(1);
	ck_assert_int_le(answer.expires_at_ms, now + HOUR_MS - 5 * MINUTE_MS);
	ck_assert_int_gt(answer.expires_at_ms, now + HOUR_MS - 5 * MINUTE_MS - 1000);
	ck_assert_uint_eq(server.requests, 0);
	ck_assert(is_kept(1));
}
END_TEST

START_TEST(many_at_once)
{
	unsigned i;

	keep_login(1, time_realtime_ms() - HOUR_MS, HOUR_MS - MINUTE_MS);
	for (i = 0; i < MANY; i++)
		ck_assert_ptr_nonnull(lease());
	wait_for_answers(MANY);
	ck_assert_uint_eq(answer.granted, MANY);
	check_copy(2);
	ck_assert_uint_eq(server.requests, 1);
	ck_assert(is_kept(2));
	check_nothing_stored();
}
END_TEST

START_TEST(once_per_expiry)
{
	unsigned i, round;

	keep_login(1, time_realtime_ms(), HOUR_MS);
	for (round = 1; round <= 4; round++) {
		answer = (struct answer){ 0 };
		for (i = 0; i < 5; i++)
			(void)lease();
		wait_for_answers(5);
		lease_now(); /* and one that comes later */
		check_copy(round);
		ck_assert_uint_eq(server.requests, round - 1);
		clock_set_ms += HOUR_MS - 9 * MINUTE_MS; /* near its end */
	}
	ck_assert_uint_eq(server.burnt, 0);
}
END_TEST

/* From a provider that has to wait for its disk. */
START_TEST(slow_provider)
{
	unsigned i;

	lease_later = true;
	keep("sk-a-token");
	lease_now();
	ck_assert_str_eq(answer.text, "sk-a-token");
	login_cancel(lease());
	keep_login(1, 0, 0);
	answer = (struct answer){ 0 };
	for (i = 0; i < MANY; i++)
		ck_assert_ptr_nonnull(lease());
	wait_for_answers(MANY);
	ck_assert_uint_eq(answer.granted, MANY);
	check_copy(2);
	ck_assert_uint_eq(server.requests, 1);
	ck_assert(is_kept(2));
	check_nothing_stored();
}
END_TEST

/* Of a token that lives for a minute half is near its end. */
START_TEST(short_lives)
{
	server.life_ms = MINUTE_MS;
	keep_login(1, time_realtime_ms(), MINUTE_MS);
	lease_now();
	check_copy(1);
	clock_set_ms = 35000;
	lease_now();
	check_copy(2);
	lease_now();
	ck_assert_uint_eq(server.requests, 1);
}
END_TEST

static void wait_for_request(void)
{
	while (server.held < 0)
		turn();
}

static void die_and_come_back(void)
{
	login_table_free(m.logins);
	ck_assert_int_eq(login_table_new(&m, &m.logins), 0);
}

/* The daemon dies while the server thinks. The next one's broker waits for the first. */
START_TEST(death_while_asking)
{
	struct login_pending *p;

	keep_login(1, 0, 0);
	server.hold = true;
	p = lease();
	wait_for_request();
	login_cancel(p);
	die_and_come_back();
	p = lease();
	ck_assert_ptr_nonnull(p);
	token_server_let_go();
	wait_for_answers(1);
	check_copy(2);
	ck_assert_uint_eq(server.requests, 1);
	ck_assert(is_kept(2));
	check_nothing_stored();
}
END_TEST

/* Or when the answer is there and the provider does not have it yet. */
START_TEST(death_before_replacing)
{
	struct login_pending *p;

	keep_login(1, 0, 0);
	replace_fails = replace_waits = true;
	p = lease();
	while (!replacing.done)
		turn();
	login_cancel(p);
	die_and_come_back();
	replacing_end(); /* its callback comes all the same */
	replace_fails = replace_waits = false;
	ck_assert(is_kept(1));
	ck_assert_ptr_nonnull(lease());
	wait_for_answers(1);
	check_copy(2);
	ck_assert_uint_eq(server.requests, 1);
	check_nothing_stored();
}
END_TEST

START_TEST(full_disk)
{
	keep_login(1, 0, 0);
	replace_fails = true;
	lease_now();
	check_failed(ERROR_LIMIT_REACHED, "the disk is full");
	lease_later_on();
	check_failed(ERROR_LIMIT_REACHED, "the disk is full");
	replace_fails = false;
	lease_later_on();
	check_copy(2);
	ck_assert_uint_eq(server.requests, 1);
}
END_TEST

/* The answer to one login is none to another. */
START_TEST(stale_answer)
{
	keep_login(1, 0, 0);
	replace_fails = true;
	lease_now();
	replace_fails = false;
	keep_login(7, 0, 0);
	server.valid = 7;
	lease_now();
	check_copy(8);
	ck_assert_uint_eq(server.requests, 2);
	ck_assert(is_kept(8));
}
END_TEST

static pid_t broker_pid(void)
{
	char path[64], text[64] = "";
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
	ck_assert_int_eq(fclose(f), 0);
	return (pid_t)atoi(text);
}

/* TERM and its kin do nothing; one that is killed is told of, and the next refresh works. */
START_TEST(killed_broker)
{
	keep_login(1, 0, 0);
	server.hold = true;
	ck_assert_ptr_nonnull(lease());
	wait_for_request();
	ck_assert_int_eq(kill(broker_pid(), SIGTERM), 0);
	ck_assert_int_eq(kill(broker_pid(), SIGINT), 0);
	token_server_let_go();
	wait_for_answers(1);
	check_copy(2);

	keep_login(2, 0, 0);
	server.hold = true;
	answer = (struct answer){ 0 };
	ck_assert_ptr_nonnull(lease());
	wait_for_request();
	ck_assert_int_eq(kill(broker_pid(), SIGKILL), 0);
	wait_for_answers(1);
	check_failed(ERROR_UNAVAILABLE, "ended without an answer");
	(void)close(server.held); /* it did not see to it */
	server.held = -1;
	server.hold = false;
	lease_later_on();
	check_copy(3);
}
END_TEST

/* A login that is dead is not tried again, until there is another. */
START_TEST(burnt)
{
	keep_login(1, 0, 0);
	server.valid = 9;
	lease_now();
	check_failed(ERROR_UNAVAILABLE, "(401 refresh_token_reused)");
	ck_assert_ptr_nonnull(strstr(answer.hint, "codex login"));
	lease_now();
	check_failed(ERROR_UNAVAILABLE, "(401 refresh_token_reused)");
	ck_assert_uint_eq(server.requests, 1);
	ck_assert_ptr_nonnull(strstr(login_refused(&m, OWNER, NAME)->hint, "codex login"));
	login_changed(&m, OWNER, NAME); /* it was set, if to the same */
	ck_assert_ptr_null(login_refused(&m, OWNER, NAME));
	lease_now();
	check_failed(ERROR_UNAVAILABLE, "(401 refresh_token_reused)");
	ck_assert_uint_eq(server.requests, 2);
	keep_login(9, 0, 0);
	lease_now();
	check_copy(10);
}
END_TEST

/* A program on the host was faster, and has put its new login where we look for it. */
START_TEST(refreshed_by_another)
{
	keep_login(1, 0, 0);
	server.hold = true;
	ck_assert_ptr_nonnull(lease());
	wait_for_request();
	server.valid = 2;
	keep_login(2, time_realtime_ms(), HOUR_MS);
	token_server_let_go();
	wait_for_answers(1);
	check_copy(2);
	ck_assert(is_kept(2));
}
END_TEST

/* The user set another login while the server thought: that one stays. */
START_TEST(set_meanwhile)
{
	keep_login(1, 0, 0);
	server.hold = true;
	ck_assert_ptr_nonnull(lease());
	wait_for_request();
	keep_login(40, time_realtime_ms(), HOUR_MS);
	token_server_let_go();
	wait_for_answers(1);
	check_copy(40);
	ck_assert(is_kept(40));
	check_nothing_stored();
}
END_TEST

START_TEST(removed_meanwhile)
{
	keep_login(1, 0, 0);
	server.hold = true;
	ck_assert_ptr_nonnull(lease());
	wait_for_request();
	kept = secret_value_unref(kept);
	token_server_let_go();
	wait_for_answers(1);
	check_failed(ERROR_NOT_FOUND, "not there");
	check_nothing_stored();
	keep("");
}
END_TEST

/* As long as the old one is good, a server that is not well refuses nobody. */
START_TEST(server_is_ill)
{
	server.status = 503;
	keep_login(1, time_realtime_ms() - HOUR_MS, HOUR_MS + 3 * MINUTE_MS);
	lease_now();
	check_copy(1);
	lease_now();
	check_copy(1);
	ck_assert_uint_eq(server.requests, 1); /* not each time */
	ck_assert_ptr_null(login_refused(&m, OWNER, NAME));
	clock_set_ms = 4 * MINUTE_MS;
	lease_now();
	check_failed(ERROR_UNAVAILABLE, "(503)");
	ck_assert_uint_eq(server.requests, 1);
	lease_later_on();
	check_failed(ERROR_UNAVAILABLE, "(503)");
	ck_assert_uint_eq(server.requests, 2);
	server.status = 0;
	lease_later_on();
	check_copy(2);
	ck_assert_uint_eq(server.requests, 3);
}
END_TEST

START_TEST(bad_answers)
{
	static const char *const bodies[] = { "", "[]", "{\"access_token\":7}", "<html>" };
	static char big[BROKER_ANSWER_MAX + 2];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bodies); i++) {
		keep_login(1, 0, 0);
		server.body = bodies[i];
		lease_later_on();
		check_failed(ERROR_UNAVAILABLE, "is no login");
		check_nothing_stored();
	}
	memset(big, ' ', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	server.body = big;
	lease_later_on();
	check_failed(ERROR_UNAVAILABLE, "too big");
	ck_assert(is_kept(1));
	server.body = NULL;
	lease_later_on();
	check_copy(2);
}
END_TEST

START_TEST(bad_endpoints)
{
	static const struct {
		const char *url;
		const char *why;
	} endpoints[] = {
		{ "http://127.0.0.1:1/x", "was not reached" },
		{ "http://example.org/oauth/token", "no https URL" },
		{ "http://127.0.0.1.example.org/", "no https URL" },
		{ "http://localhost@example.org/", "no https URL" },
		{ "ftp://127.0.0.1/", "no https URL" },
		{ "file:///etc/passwd", "no https URL" },
		{ "", "no https URL" },
		{ "https:", "no https URL" },
	};
	size_t i;

	keep_login(1, 0, 0);
	for (i = 0; i < ARRAY_SIZE(endpoints); i++) {
		(void)snprintf(endpoint, sizeof(endpoint), "%s", endpoints[i].url);
		lease_later_on();
		check_failed(ERROR_UNAVAILABLE, endpoints[i].why);
	}
	ck_assert_uint_eq(server.requests, 0);
}
END_TEST

START_TEST(no_way_back)
{
	fake.replace = NULL;
	keep_login(1, time_realtime_ms() - HOUR_MS, HOUR_MS + MINUTE_MS);
	lease_now();
	check_copy(1);
	clock_set_ms = 2 * MINUTE_MS;
	lease_now();
	check_failed(ERROR_UNAVAILABLE, "provider fake cannot take the new one");
	ck_assert_uint_eq(server.requests, 0);
}
END_TEST

/* Who waits is cut off; the refresh goes on, and whoever comes next has it. Nobody waits whom the
 * old token still helps. */
START_TEST(slow_server)
{
	keep_login(1, time_realtime_ms() - HOUR_MS, HOUR_MS + 3 * MINUTE_MS);
	server.hold = true;
	ck_assert_ptr_nonnull(lease());
	clock_set_ms = 4 * MINUTE_MS;
	wait_for_answers(1);
	check_failed(ERROR_TIMEOUT, "did not refresh");
	clock_set_ms = 0;
	answer = (struct answer){ 0 };
	ck_assert_ptr_null(lease());
	check_copy(1);
	clock_set_ms = 4 * MINUTE_MS;
	answer = (struct answer){ 0 };
	ck_assert_ptr_nonnull(lease());
	token_server_let_go();
	wait_for_answers(1);
	check_copy(2);
	ck_assert_uint_eq(server.requests, 1);
}
END_TEST

/* One that is a service, of which the manager says that it could not be started when it has
 * answered. */
START_TEST(late_word)
{
	m.units = UNIT_MANAGER_SYSTEM;
	keep_login(1, 0, 0);
	replace_waits = true;
	ck_assert_ptr_nonnull(lease());
	while (!replacing.done)
		turn();
	played_unit_says(-ETIMEDOUT);
	replacing_end();
	wait_for_answers(1);
	check_copy(2);
	ck_assert(is_kept(2));
	check_nothing_stored();
}
END_TEST

/* And one that really could not. */
START_TEST(no_service)
{
	m.units = UNIT_MANAGER_SYSTEM;
	keep_login(1, 0, 0);
	server.hold = true;
	ck_assert_ptr_nonnull(lease());
	played_unit_says(-EPERM);
	wait_for_answers(1);
	check_failed(ERROR_UNAVAILABLE, "systemd starts no broker");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("login");
	TCase *t = tcase_create("login");
	SRunner *r;
	int failed;

	if (sodium_init() < 0)
		return 99;
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, others_pass);
	tcase_add_test(t, current);
	tcase_add_test(t, many_at_once);
	tcase_add_test(t, once_per_expiry);
	tcase_add_test(t, slow_provider);
	tcase_add_test(t, short_lives);
	tcase_add_test(t, death_while_asking);
	tcase_add_test(t, death_before_replacing);
	tcase_add_test(t, full_disk);
	tcase_add_test(t, stale_answer);
	tcase_add_test(t, killed_broker);
	tcase_add_test(t, burnt);
	tcase_add_test(t, refreshed_by_another);
	tcase_add_test(t, set_meanwhile);
	tcase_add_test(t, removed_meanwhile);
	tcase_add_test(t, server_is_ill);
	tcase_add_test(t, bad_answers);
	tcase_add_test(t, bad_endpoints);
	tcase_add_test(t, no_way_back);
	tcase_add_test(t, slow_server);
	tcase_add_test(t, late_word);
	tcase_add_test(t, no_service);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
