/* SPDX-License-Identifier: Apache-2.0 */
/* Leases with a real database; the provider, the holders and the clock are played here. */
#undef NDEBUG
#include <assert.h>
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "played-clock.h"
#include "sandbox/config.h"
#include "sandbox/manager.h"
#include "secret/audit.h"
#include "secret/lease-internal.h"
#include "store/leases.h"
#include "store/store.h"
#include "util/time.h"

#define OWNER 1000
#define HOUR_MS (3600 * INT64_C(1000))

static struct config config = { .secrets = { .max_ttl_ms = 24 * HOUR_MS } };
static struct manager m = { .config = &config };
static char dir[32];
static char path[64];

/* ---- the holders ---- */

static bool lives = true;
static unsigned killed, told[3];

const char *lease_holder_to_string(enum lease_holder h)
{
	return h == LEASE_HOLDER_CLIENT ? "client" : "exec";
}

int lease_holder_from_string(const char *text, enum lease_holder *ret)
{
	*ret = strcmp(text, "client") == 0 ? LEASE_HOLDER_CLIENT : LEASE_HOLDER_EXEC;
	return 0;
}

bool lease_holder_lives(struct manager *manager, const struct lease *l)
{
	(void)manager;
	return l->facts.holder == LEASE_HOLDER_CLIENT || lives;
}

bool lease_is_in(const struct lease *l, const struct lease_request *place)
{
	return strcmp(l->facts.holder_id, place->holder_id) == 0;
}

void lease_holder_update(struct manager *manager, const struct lease *l, struct secret_value *v)
{
	(void)manager;
	(void)l;
	(void)v;
}

void lease_holder_kill(struct manager *manager, const struct lease *l)
{
	(void)manager;
	(void)l;
	killed++;
}

void lease_tell_end(struct manager *manager, const struct lease *l, enum lease_end why)
{
	(void)manager;
	(void)l;
	told[why]++;
}

/* ---- the provider ---- */

static struct {
	bool late; /* answers when play() says so */
	bool refuses;
	bool empty;
	const char *remote_id;
	int64_t expires_at_ms;
	provider_done *done;
	void *userdata;
	unsigned asked, cancelled;
	char revoked[64];
} play;

static struct provider_grant grant(void)
{
	struct provider_grant g = { .expires_at_ms = play.expires_at_ms };
	uint8_t *data;

	assert(secret_value_new(play.empty ? 0 : 6, &g.value, &data) == 0);
	memcpy(data, "hidden", secret_value_size(g.value));
	(void)snprintf(g.remote_id, sizeof(g.remote_id), "%s",
		       play.remote_id ? play.remote_id : "");
	return g;
}

static int fake_lease(const struct provider_call *call, provider_done *done, void *userdata,
		      struct provider_grant *ret, struct provider_pending **ret_pending,
		      struct error *reterr)
{
	play.asked++;
	assert(strcmp(call->name, "token") == 0 && call->owner == OWNER && call->ttl_ms > 0);
	if (play.refuses)
		return error_set(reterr, ERROR_UNAVAILABLE, NULL, NULL, "not today");
	if (!play.late) {
		*ret = grant();
		return 1;
	}
	play.done = done;
	play.userdata = userdata;
	*ret_pending = (struct provider_pending *)&play;
	return 0;
}

static void fake_cancel(struct provider_pending *p)
{
	assert((void *)p == &play);
	play.cancelled++;
}

static void fake_revoke(const struct provider_call *call, const char *remote_id)
{
	(void)call;
	(void)snprintf(play.revoked, sizeof(play.revoked), "%s", remote_id);
}

static const struct provider fake = {
	.name = "fake", .lease = fake_lease, .cancel = fake_cancel, .revoke = fake_revoke
};

const struct provider *provider_of(struct manager *manager, uid_t peer, const char *name,
				   struct provider_call *ret, struct error *reterr)
{
	(void)reterr;
	*ret = (struct provider_call){ .m = manager, .owner = peer, .name = name };
	return &fake;
}

bool provider_has(struct manager *manager, uid_t peer, const char *name)
{
	(void)manager;
	(void)peer;
	(void)name;
	return true;
}

static void answer_late(bool well)
{
	struct error e = { 0 };
	struct provider_grant g;

	if (well) {
		g = grant();
		play.done(&g, NULL, play.userdata);
		return;
	}
	(void)error_set(&e, ERROR_TIMEOUT, NULL, NULL, "too late");
	play.done(NULL, &e, play.userdata);
	error_clear(&e);
}

/* ---- the audit log ---- */

static bool audit_fails, audit_is_full;
static char audited[512]; /* "action result pid" of each */

int audit_write(struct manager *manager, const struct audit_entry *e, struct error *reterr)
{
	const size_t n = strlen(audited);

	assert(manager == &m && e->uid == OWNER && strcmp(e->secret, "token") == 0);
	assert(strcmp(e->provider, "fake") == 0 && e->lease[0]);
	if (audit_fails)
		return error_set(reterr, ERROR_LIMIT_REACHED, NULL, NULL, "the disk is full");
	(void)snprintf(audited + n, sizeof(audited) - n, "%s %s%s|", e->action, e->result,
		       e->pid > 0 ? " by a peer" : "");
	return 0;
}

int audit_check(struct manager *manager, uid_t uid, struct error *reterr)
{
	assert(manager == &m && uid == OWNER);
	return audit_is_full ? error_set(reterr, ERROR_LIMIT_REACHED, NULL, NULL, "too much") : 0;
}

/* ---- asking ---- */

static struct {
	unsigned calls;
	struct lease *lease;
	char value[16];
	enum error_kind error;
} heard;

static void on_done(struct lease *l, struct secret_value *v, struct error *e, void *userdata)
{
	assert(userdata == &heard && !l == !!e);
	heard.calls++;
	heard.lease = l;
	heard.error = e ? e->kind : ERROR_NONE;
	(void)snprintf(heard.value, sizeof(heard.value), "%s",
		       v ? (const char *)secret_value_data(v) : "");
}

static struct lease_request request(int64_t ttl_ms, enum lease_holder holder, bool renew)
{
	return (struct lease_request){ .owner = OWNER,
				       .pid = 7,
				       .secret = "token",
				       .ttl_ms = ttl_ms,
				       .holder = holder,
				       .holder_peer = OWNER,
				       .holder_id = holder == LEASE_HOLDER_EXEC ? "e1" : NULL,
				       .stage = "coder",
				       .renew = renew };
}

/* What lease_acquire() returns; the value is looked at, and dropped. */
static int acquire(const struct lease_request *q, struct lease **ret, struct error *e)
{
	struct lease_pending *p = NULL;
	struct secret_value *v = NULL;
	int r = lease_acquire(&m, q, on_done, &heard, ret, &v, &p, e);

	if (r == 1) {
		assert(strcmp((const char *)secret_value_data(v), "hidden") == 0);
		(void)secret_value_unref(v);
	}
	return r;
}

static struct lease *get(int64_t ttl_ms, enum lease_holder holder, bool renew)
{
	const struct lease_request q = request(ttl_ms, holder, renew);
	struct lease *l = NULL;

	assert(acquire(&q, &l, NULL) == 1);
	return l;
}

static int count_row(const struct store_lease *row, void *userdata)
{
	assert(strcmp(row->secret, "token") == 0);
	++*(unsigned *)userdata;
	return 0;
}

static unsigned rows(void)
{
	unsigned n = 0;

	assert(store_lease_load(m.store, count_row, &n) == 0);
	return n;
}

static bool count_lease(const struct lease *l, void *userdata)
{
	(void)l;
	++*(unsigned *)userdata;
	return true;
}

static unsigned leases(uid_t peer)
{
	unsigned n = 0;

	assert(lease_each(&m, peer, NULL, count_lease, &n, NULL) == 0);
	return n;
}

static void turn(int64_t ms)
{
	const struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	assert(event_base_loopexit(m.base, &tv) == 0 && event_base_dispatch(m.base) >= 0);
}

/* Of a command that has ended they go a moment later. */
static void expect_rows(unsigned n)
{
	while (rows() > n)
		turn(20);
	ck_assert_uint_eq(rows(), n);
}

static void restart(void)
{
	lease_table_free(m.leases);
	m.leases = NULL;
	ck_assert_int_eq(lease_table_new(&m, &m.leases), 0);
}

static void setup(void)
{
	memset(&play, 0, sizeof(play));
	memset(&heard, 0, sizeof(heard));
	memset(told, 0, sizeof(told));
	killed = 0;
	clock_slept_ms = 0;
	lives = true;
	(void)snprintf(dir, sizeof(dir), "/tmp/sbt-lease-XXXXXX");
	assert(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/state.db", dir);
	assert(store_open(&m.store, path, false) == 0);
	m.base = event_base_new();
	assert(m.base && lease_table_new(&m, &m.leases) == 0);
}

static void teardown(void)
{
	char command[64];

	lease_table_free(m.leases);
	store_free(m.store);
	event_base_free(m.base);
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	assert(system(command) == 0); /* NOLINT(cert-env33-c): a test's own directory */
}

/* ---- what is tested ---- */

START_TEST(one_at_once)
{
	struct lease *l = get(HOUR_MS, LEASE_HOLDER_CLIENT, false);
	const struct lease_facts *f = lease_facts(l);
	struct error e = { 0 };

	ck_assert_int_eq(f->expires_at_ms - f->created_at_ms <= HOUR_MS, 1);
	ck_assert_int_gt(f->expires_at_ms - f->created_at_ms, HOUR_MS - 60000);
	ck_assert_ptr_eq(lease_find(&m, OWNER, f->id, NULL), l);
	ck_assert_ptr_eq(lease_find(&m, 0, f->id, NULL), l);
	ck_assert_ptr_null(lease_find(&m, 1001, f->id, &e));
	ck_assert_int_eq(e.kind, ERROR_NOT_FOUND);
	error_clear(&e);
	ck_assert_uint_eq(rows(), 1);
	ck_assert_uint_eq(leases(1001), 0);
	lease_end(&m, l, LEASE_END_RELEASED, false);
	ck_assert_uint_eq(rows(), 0);
	ck_assert_uint_eq(leases(OWNER), 0);
	ck_assert_uint_eq(told[LEASE_END_RELEASED], 0);
}
END_TEST

START_TEST(bad_ttl)
{
	static const int64_t bad[] = { 0, -1, LEASE_TTL_MIN_MS - 1, 24 * HOUR_MS + 1, INT64_MAX };
	const struct lease_request q = request(bad[_i], LEASE_HOLDER_CLIENT, false);
	struct lease *l = NULL;
	struct error e = { 0 };

	ck_assert_int_eq(acquire(&q, &l, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_INVALID_PARAMS);
	ck_assert_str_eq(e.field, "ttlMs");
	ck_assert_uint_eq(play.asked, 0);
	error_clear(&e);
}
END_TEST

START_TEST(refused)
{
	const struct lease_request q = request(HOUR_MS, LEASE_HOLDER_EXEC, false);
	struct lease *l = NULL;
	struct error e = { 0 };

	play.refuses = _i == 0;
	play.empty = _i == 1;
	play.expires_at_ms = _i == 2 ? time_realtime_ms() - 1 : 0;
	ck_assert_int_eq(acquire(&q, &l, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_UNAVAILABLE);
	ck_assert_uint_eq(rows(), 0);
	ck_assert_uint_eq(leases(0), 0);
	error_clear(&e);
}
END_TEST

START_TEST(all_is_audited)
{
	const struct lease_request q = request(HOUR_MS, LEASE_HOLDER_EXEC, false);
	struct lease *l = get(HOUR_MS, LEASE_HOLDER_EXEC, false);
	struct lease_pending *p = NULL;
	struct error e = { 0 };

	ck_assert_int_eq(lease_renew(&m, l, HOUR_MS, on_done, &heard, &p, NULL), 1);
	lease_end(&m, l, LEASE_END_RELEASED, false);
	lease_end(&m, get(HOUR_MS, LEASE_HOLDER_CLIENT, false), LEASE_END_REVOKED, false);
	play.refuses = true;
	ck_assert_int_eq(acquire(&q, &l, &e), -1);
	error_clear(&e);
	play.refuses = false;
	play.late = true;
	ck_assert_int_eq(acquire(&q, &l, NULL), 0);
	answer_late(false);
	ck_assert_str_eq(audited, "lease ok by a peer|renew ok by a peer|release ok|"
				  "lease ok by a peer|revoke ok|"
				  "lease unavailable by a peer|lease timeout by a peer|");
}
END_TEST

START_TEST(nothing_without_the_audit)
{
	const struct lease_request q = request(HOUR_MS, LEASE_HOLDER_EXEC, false);
	struct lease *l = get(HOUR_MS, LEASE_HOLDER_EXEC, false);
	const int64_t before = lease_facts(l)->expires_at_ms;
	struct lease_pending *p = NULL;
	struct lease *none = NULL;
	struct error e = { 0 };

	audit_fails = true;
	ck_assert_int_eq(acquire(&q, &none, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_LIMIT_REACHED);
	error_clear(&e);
	ck_assert_int_eq(lease_renew(&m, l, 2 * HOUR_MS, on_done, &heard, &p, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_LIMIT_REACHED);
	error_clear(&e);
	ck_assert_int_eq(lease_facts(l)->expires_at_ms, before);
	play.asked = 0;
	audit_is_full = true;
	ck_assert_int_eq(acquire(&q, &none, &e), -1);
	ck_assert_str_eq(e.message, "too much");
	error_clear(&e);
	ck_assert_uint_eq(play.asked, 0); /* nor is the provider asked */
	audit_is_full = false;
	play.late = true;
	ck_assert_int_eq(acquire(&q, &none, NULL), 0);
	answer_late(true);
	ck_assert_int_eq(heard.error, ERROR_LIMIT_REACHED);
	ck_assert_str_eq(heard.value, "");
	ck_assert_uint_eq(rows(), 1);
	ck_assert_uint_eq(leases(OWNER), 1);
	lease_end(&m, l, LEASE_END_REVOKED, false); /* an end needs nobody's leave */
	ck_assert_uint_eq(rows(), 0);
}
END_TEST

/* One of a command that has no row yet, either. */
START_TEST(brief)
{
	struct lease_request q = request(HOUR_MS, LEASE_HOLDER_EXEC, false);
	struct lease *l = NULL, *other = NULL;

	q.brief = true;
	ck_assert_int_eq(acquire(&q, &l, NULL), 1);
	ck_assert_int_eq(acquire(&q, &other, NULL), 1);
	ck_assert_uint_eq(rows(), 0);
	lease_end(&m, l, LEASE_END_RELEASED, false);
	while (rows() < 1)
		turn(20);
	ck_assert_uint_eq(rows(), 1);
	ck_assert_int_eq(acquire(&q, &l, NULL), 1);
	restart(); /* a clean one loses none */
	ck_assert_uint_eq(rows(), 2);
	ck_assert_uint_eq(leases(OWNER), 2);
	lease_end_for(&m, q.holder, q.holder_peer, q.holder_id, LEASE_END_RELEASED, false);
	expect_rows(0);
}
END_TEST

START_TEST(later)
{
	const struct lease_request q = request(HOUR_MS, LEASE_HOLDER_EXEC, false);
	struct lease *l = NULL;

	play.late = true;
	play.remote_id = "far-1";
	ck_assert_int_eq(acquire(&q, &l, NULL), 0);
	ck_assert_uint_eq(rows(), 0);
	answer_late(_i == 0);
	ck_assert_uint_eq(heard.calls, 1);
	ck_assert_uint_eq(rows(), _i == 0);
	if (_i == 0) {
		ck_assert_str_eq(heard.value, "hidden");
		lease_end(&m, heard.lease, LEASE_END_REVOKED, true);
		ck_assert_str_eq(play.revoked, "far-1");
		ck_assert_uint_eq(killed, 1);
		ck_assert_uint_eq(told[LEASE_END_REVOKED], 1);
	} else {
		ck_assert_int_eq(heard.error, ERROR_TIMEOUT);
	}
}
END_TEST

START_TEST(nobody_waits_any_more)
{
	const struct lease_request q = request(HOUR_MS, LEASE_HOLDER_EXEC, false);
	struct lease_pending *p = NULL;
	struct secret_value *v = NULL;
	struct lease *l = NULL;

	play.late = true;
	ck_assert_int_eq(lease_acquire(&m, &q, on_done, &heard, &l, &v, &p, NULL), 0);
	if (_i == 0)
		lease_forget(p);
	else /* who revokes all means those under way, too */
		ck_assert_uint_eq(lease_revoke_all(&m, OWNER, false).count, 0);
	ck_assert_uint_eq(play.cancelled, 1);
	ck_assert_uint_eq(heard.calls, _i == 0 ? 0 : 1);
	ck_assert_int_eq(heard.error, _i == 0 ? ERROR_NONE : ERROR_CANCELLED);
	ck_assert_uint_eq(rows(), 0);
}
END_TEST

START_TEST(too_many)
{
	const struct lease_request q = request(HOUR_MS, LEASE_HOLDER_CLIENT, false);
	struct lease *l = NULL;
	struct error e = { 0 };

	for (unsigned i = 0; i < LEASES_PER_UID_MAX; i++)
		(void)get(HOUR_MS, LEASE_HOLDER_CLIENT, false);
	ck_assert_int_eq(acquire(&q, &l, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_LIMIT_REACHED);
	error_clear(&e);
	ck_assert_uint_eq(lease_revoke_all(&m, 1001, false).count, 0);
	ck_assert_uint_eq(lease_revoke_all(&m, OWNER, true).count, LEASES_PER_UID_MAX);
	ck_assert_uint_eq(killed, LEASES_PER_UID_MAX);
	ck_assert_int_eq(acquire(&q, &l, NULL), 1);
}
END_TEST

START_TEST(ends_with_its_holder)
{
	(void)get(HOUR_MS, LEASE_HOLDER_EXEC, false);
	(void)get(HOUR_MS, LEASE_HOLDER_EXEC, true);
	(void)get(HOUR_MS, LEASE_HOLDER_CLIENT, false);
	lease_end_for(&m, LEASE_HOLDER_EXEC, 1001, "e1", LEASE_END_RELEASED, false);
	lease_end_for(&m, LEASE_HOLDER_EXEC, OWNER, "e2", LEASE_END_RELEASED, false);
	lease_end_for(&m, LEASE_HOLDER_LOOP, OWNER, "e1", LEASE_END_RELEASED, false);
	ck_assert_uint_eq(leases(OWNER), 3);
	lease_end_for(&m, LEASE_HOLDER_EXEC, OWNER, "e1", LEASE_END_RELEASED, false);
	ck_assert_uint_eq(leases(OWNER), 1);
	expect_rows(1);
}
END_TEST

START_TEST(revoked)
{
	const struct lease_request place = request(0, LEASE_HOLDER_EXEC, false);
	struct lease_revoked r;

	(void)get(HOUR_MS, LEASE_HOLDER_EXEC, false);
	(void)get(HOUR_MS, LEASE_HOLDER_EXEC, false);
	(void)get(HOUR_MS, LEASE_HOLDER_CLIENT, false);
	lives = _i < 2;
	ck_assert_uint_eq(lease_revoke_in(&m, 1001, &place, true).count, 0);
	r = lease_revoke_in(&m, OWNER, &place, _i == 0);
	ck_assert_uint_eq(r.count, 2);
	ck_assert_uint_eq(r.running, _i == 1 ? 2 : 0); /* what runs keeps what it has */
	ck_assert_uint_eq(killed, _i == 0 ? 2 : 0);
	ck_assert_uint_eq(told[LEASE_END_REVOKED], 2);
	ck_assert_uint_eq(rows(), 1);
	ck_assert_uint_eq(lease_revoke_all(&m, 0, false).count, 1); /* root */
}
END_TEST

START_TEST(expires_by_the_timer)
{
	const int64_t begin = time_monotonic_ms();

	(void)get(HOUR_MS, LEASE_HOLDER_CLIENT, false);
	(void)get(LEASE_TTL_MIN_MS, LEASE_HOLDER_EXEC, false);
	while (told[LEASE_END_EXPIRED] == 0)
		turn(20);
	ck_assert_int_ge(time_monotonic_ms() - begin, LEASE_TTL_MIN_MS - 1);
	ck_assert_uint_eq(rows(), 1);
	ck_assert_uint_eq(leases(OWNER), 1);
}
END_TEST

START_TEST(is_renewed_while_its_holder_lives)
{
	struct lease *l = get(2 * LEASE_TTL_MIN_MS, LEASE_HOLDER_EXEC, true);
	int64_t first = lease_facts(l)->expires_at_ms;

	play.late = _i == 1;
	while (play.asked < 2)
		turn(20);
	if (play.late)
		answer_late(true);
	ck_assert_uint_eq(heard.calls, 0); /* the daemon's own */
	ck_assert_int_gt(lease_facts(l)->expires_at_ms, first);
	play.late = false;
	lives = false;
	while (leases(OWNER) > 0)
		turn(20);
	ck_assert_uint_eq(told[LEASE_END_EXPIRED], 0);
	expect_rows(0);
}
END_TEST

START_TEST(renewal_fails_until_it_expires)
{
	(void)get(LEASE_TTL_MIN_MS, LEASE_HOLDER_EXEC, true);
	play.refuses = true;
	while (told[LEASE_END_EXPIRED] == 0)
		turn(20);
	ck_assert_uint_ge(play.asked, 2);
	ck_assert_uint_eq(rows(), 0);
}
END_TEST

START_TEST(renewed_by_hand)
{
	struct lease *l = get(HOUR_MS, LEASE_HOLDER_CLIENT, false);
	int64_t before = lease_facts(l)->expires_at_ms;
	struct lease_pending *p = NULL;
	struct error e = { 0 };

	ck_assert_int_eq(lease_renew(&m, l, 25 * HOUR_MS, on_done, &heard, &p, &e), -1);
	ck_assert_str_eq(e.field, "ttlMs");
	error_clear(&e);
	ck_assert_int_eq(lease_facts(l)->expires_at_ms, before);
	ck_assert_int_eq(lease_renew(&m, l, 2 * HOUR_MS, on_done, &heard, &p, &e), 1);
	ck_assert_int_gt(lease_facts(l)->expires_at_ms, before + HOUR_MS - 60000);
	play.expires_at_ms = time_realtime_ms() + 60000; /* the provider's word is the last */
	ck_assert_int_eq(lease_renew(&m, l, 2 * HOUR_MS, on_done, &heard, &p, &e), 1);
	ck_assert_int_eq(lease_facts(l)->expires_at_ms, play.expires_at_ms);
	play.late = true;
	ck_assert_int_eq(lease_renew(&m, l, 2 * HOUR_MS, on_done, &heard, &p, &e), 0);
	lease_end(&m, l, LEASE_END_REVOKED, false);
	ck_assert_uint_eq(heard.calls, 1);
	ck_assert_int_eq(heard.error, ERROR_CANCELLED);
	ck_assert_uint_eq(play.cancelled, 1);
}
END_TEST

START_TEST(a_new_daemon)
{
	struct lease *l;
	char id[64];

	play.remote_id = "far-2";
	l = get(HOUR_MS, LEASE_HOLDER_EXEC, true);
	(void)snprintf(id, sizeof(id), "%s", lease_facts(l)->id);
	(void)get(60000, LEASE_HOLDER_CLIENT, false);
	clock_slept_ms = _i == 1 ? 61000 : 0; /* the machine slept */
	lives = _i != 2;
	restart();
	l = lease_find(&m, OWNER, id, NULL);
	ck_assert_int_eq(!l, _i == 2);
	ck_assert_uint_eq(leases(OWNER), _i == 0 ? 2 : 1);
	expect_rows(_i == 0 ? 2 : 1);
	ck_assert_uint_eq(told[LEASE_END_EXPIRED], _i == 1);
	ck_assert_str_eq(play.revoked, _i == 0 ? "" : "far-2");
	if (!l)
		return;
	ck_assert_str_eq(l->stage, "coder");
	ck_assert_str_eq(l->remote_id, "far-2");
	ck_assert(lease_facts(l)->renew && lease_facts(l)->holder_peer == OWNER);
	ck_assert_str_eq(lease_facts(l)->holder_id, "e1");
}
END_TEST

START_TEST(over_before_the_timer_knows)
{
	const char *id = lease_facts(get(60000, LEASE_HOLDER_CLIENT, false))->id;

	clock_slept_ms = 60001;
	ck_assert_ptr_null(lease_find(&m, OWNER, id, NULL));
	ck_assert_uint_eq(leases(OWNER), 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("lease");
	Suite *s = suite_create("lease");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, one_at_once);
	tcase_add_loop_test(t, bad_ttl, 0, 5);
	tcase_add_loop_test(t, refused, 0, 3);
	tcase_add_test(t, all_is_audited);
	tcase_add_test(t, nothing_without_the_audit);
	tcase_add_test(t, brief);
	tcase_add_loop_test(t, later, 0, 2);
	tcase_add_loop_test(t, nobody_waits_any_more, 0, 2);
	tcase_add_test(t, too_many);
	tcase_add_test(t, ends_with_its_holder);
	tcase_add_loop_test(t, revoked, 0, 3);
	tcase_add_test(t, expires_by_the_timer);
	tcase_add_loop_test(t, is_renewed_while_its_holder_lives, 0, 2);
	tcase_add_test(t, renewal_fails_until_it_expires);
	tcase_add_test(t, renewed_by_hand);
	tcase_add_loop_test(t, a_new_daemon, 0, 3);
	tcase_add_test(t, over_before_the_timer_knows);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
