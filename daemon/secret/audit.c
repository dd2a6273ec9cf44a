/* SPDX-License-Identifier: Apache-2.0 */
/* The log's place in the daemon: its key comes from the vault, its head goes to the database soon
 * after each entry and to the journal now and then. Whoever can write all three can still lie; that
 * is what the journal's copy on another machine is for. */

#include "secret/audit.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "sandbox/manager.h"
#include "secret/audit-log.h"
#include "secret/audit-read.h"
#include "secret/audit-share.h"
#include "secret/vault.h"
#include "store/store.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/time.h"

#define META "audit" /* first, count and hash of what was saved last */
#define KEY_CONTEXT "auditlog"
#define SAVE_DELAY_US 200000
#define TELL_ENTRIES 200         /* the journal hears of the head after so many */
#define TELL_MS (10 * 60 * 1000) /* or with the first after so long */
#define STEPS_AT_ONCE 4          /* a quarter of a millisecond */
#define READINGS_PER_UID_MAX 16

_Static_assert(VAULT_KEY_BYTES == AUDIT_KEY_BYTES, "the vault makes its key");

struct audit_reading {
	struct audit *audit;
	uid_t peer;
	bool is_check;
	union {
		struct audit_check check;
		struct audit_list list;
	};
	audit_verified *verified;
	audit_listed *listed;
	void *userdata;
	TAILQ_ENTRY(audit_reading) link;
};

struct audit {
	struct manager *manager;
	struct audit_log log; /* fd -1: not open yet */
	struct audit_shares shares;
	int64_t told_count;
	int64_t told_at_ms;    /* CLOCK_BOOTTIME */
	int64_t checked_at_ms; /* the last whole check, and what it found */
	int64_t checked_bad;
	struct event saver;
	struct event step;
	TAILQ_HEAD(, audit_reading) readings;
};

/* ---- the head elsewhere ---- */

static int save(const struct audit_anchor *a, void *userdata)
{
	const struct audit *audit = userdata;
	char text[2 * 24 + AUDIT_HASH_SIZE];

	(void)snprintf(text, sizeof(text), "%" PRId64 " %" PRId64 " %s", a->first, a->head.count,
		       a->head.hash);
	return store_meta_set(audit->manager->store, META, text);
}

static int load(const struct audit *a, struct audit_anchor *ret)
{
	CLEANUP_STR char *text = NULL;
	struct audit_anchor found = { 0 };
	int r = store_meta_get(a->manager->store, META, &text);

	*ret = (struct audit_anchor){ 0 };
	if (r < 0 || !text)
		return r;
	if (sscanf(text, "%" SCNd64 " %" SCNd64 " %64[0-9a-f]", &found.first, &found.head.count,
		   found.head.hash) == 3 &&
	    found.first > 0 && found.head.count >= found.first &&
	    strlen(found.head.hash) == AUDIT_HASH_SIZE - 1)
		*ret = found;
	else
		log_warning("what the database has of the audit log cannot be read, ignoring it");
	return 0;
}

static void tell(struct audit *a)
{
	const struct audit_mark *head = &a->log.now.head;

	if (head->count == a->told_count)
		return;
	log_notice("audit log: head %" PRId64 ":%s", head->count, head->hash);
	a->told_count = head->count;
	a->told_at_ms = time_boottime_ms();
}

static void arm_saver(struct audit *a)
{
	static const struct timeval delay = { .tv_usec = SAVE_DELAY_US };

	if (!event_pending(&a->saver, EV_TIMEOUT, NULL))
		(void)event_add(&a->saver, &delay); /* no memory: with the next entry */
}

static void on_saver(evutil_socket_t fd, short what, void *userdata)
{
	struct audit *a = userdata;

	(void)fd;
	(void)what;
	if (save(&a->log.now, a) < 0)
		arm_saver(a); /* what failed was logged there */
	if (a->log.now.head.count - a->told_count >= TELL_ENTRIES ||
	    time_boottime_ms() - a->told_at_ms >= TELL_MS)
		tell(a);
}

/* ---- the log ---- */

static int open_log(struct audit *a)
{
	struct audit_anchor anchor;
	int r = load(a, &anchor);

	return r < 0 ? r : audit_log_open(&a->log, &anchor);
}

static int cannot_record(const struct audit *a, int r, const char *what, struct error *reterr)
{
	char dir[512];

	if (r != -ENOTDIR && r != -EACCES && r != -EPERM)
		return store_refuse(r, what, reterr);
	fd_describe(a->manager->state_fd, dir, sizeof(dir));
	return error_set(reterr, ERROR_UNAVAILABLE, NULL,
			 "it must be a directory of sandboxd's own: move away what is there",
			 "%s cannot be recorded in %s/" AUDIT_DIRECTORY ": %s", what, dir,
			 strerror(-r));
}

static int ready(struct audit *a, struct error *reterr)
{
	int r;

	if (a->log.fd >= 0)
		return 0;
	if (vault_derive(a->manager->vault, KEY_CONTEXT, a->log.key, reterr) < 0)
		return -1;
	r = open_log(a);
	if (r < 0)
		return cannot_record(a, r, "the use of secrets", reterr);
	tell(a);
	return 0;
}

/* What runs as PID now: whoever connected may have become something else, or be gone. */
static const char *find_exe(pid_t pid, char *path, size_t size)
{
	char link[32];
	ssize_t n;

	if (pid <= 0)
		return NULL;
	(void)snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	n = readlink(link, path, size - 1);
	if (n < 0)
		return NULL;
	path[n] = '\0';
	return path;
}

/* NULL: UID needs none, for who owns the daemon can as well remove the log; or no memory. */
static struct audit_share *share_of(struct manager *m, uid_t uid)
{
	return uid == m->uid ? NULL : audit_share_get(&m->audit->shares, uid, time_boottime_ms());
}

int audit_check(struct manager *m, uid_t uid, struct error *reterr)
{
	const struct audit_share *s = share_of(m, uid);

	if (!s || s->left > 0)
		return 0;
	return error_set(reterr, ERROR_LIMIT_REACHED, NULL,
			 "wait a while: each second there is room for one more",
			 "uid %u has done so much with secrets that the audit log has no room for "
			 "more of it",
			 (unsigned)uid);
}

/* It is written whatever else was. */
static bool has_happened(const struct audit_entry *e)
{
	static const char *const actions[] = { "release", "expire", "revoke", "refresh" };

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (strcmp(e->action, actions[i]) == 0)
			return true;
	return false;
}

int audit_write(struct manager *m, const struct audit_entry *e, struct error *reterr)
{
	struct audit_share *share;
	struct audit *a = m->audit;
	char exe[512];
	int r;

	if (ready(a, reterr) < 0 || (!has_happened(e) && audit_check(m, e->uid, reterr) < 0))
		return -1;
	share = share_of(m, e->uid);
	if (share)
		share->left--;
	r = audit_log_append(&a->log, e, find_exe(e->pid, exe, sizeof(exe)));
	if (r < 0)
		return cannot_record(a, r, "the use of a secret", reterr);
	arm_saver(a);
	return 0;
}

/* ---- reading ---- */

static const char *reason_of(enum audit_fault fault)
{
	static const char *const names[] = {
		[AUDIT_FAULT_MISSING] = "missing", [AUDIT_FAULT_DAMAGED] = "damaged",
		[AUDIT_FAULT_CHANGED] = "changed", [AUDIT_FAULT_KEY] = "key",
		[AUDIT_FAULT_READ] = "unreadable",
	};

	return names[fault];
}

/* Where the walk has stopped. A tail that is cut off is missed at the end of its own file. */
static void find_file(const struct audit_walk *w, char name[static AUDIT_FILE_NAME_SIZE])
{
	bool before = w->fault == AUDIT_FAULT_MISSING && w->at_begin && w->next > 1;
	bool unread = w->next == 0 || (w->fault == AUDIT_FAULT_READ && w->fd < 0);

	audit_log_file_name(unread ? w->at.count + 1 : w->files[w->next - (before ? 2 : 1)], name);
}

static void report(struct audit_reading *r)
{
	const struct audit_check *c = &r->check;
	const struct audit_walk *w = &c->walk;
	char name[AUDIT_FILE_NAME_SIZE];
	struct audit_report report = {
		.first = c->from,
		.checked = w->at.count - c->from + 1,
		.head = c->head,
	};

	if (c->contradicts) {
		report.bad = c->given.count;
		report.by_given = true;
		report.checked--;
	} else if (w->fault != AUDIT_FAULT_NONE) {
		report.bad = w->at.count + 1;
	} else if (c->has_given && c->given.count > c->head.count) {
		report.bad = c->head.count + 1;
		report.by_given = true;
	}
	if (report.bad > 0) {
		find_file(w, name);
		report.file = name;
		report.reason = c->contradicts    ? "changed"
				: report.by_given ? "missing"
						  : reason_of(w->fault);
	}
	if (!report.by_given) {
		r->audit->checked_at_ms = time_realtime_ms();
		r->audit->checked_bad = report.bad;
	}
	r->verified(&report, NULL, r->userdata);
}

static void arm_step(struct audit *a)
{
	static const struct timeval at_once = { 0 }; /* by the clock: what is ready comes first */

	if (!TAILQ_EMPTY(&a->readings) && !event_pending(&a->step, EV_TIMEOUT, NULL))
		(void)event_add(&a->step, &at_once); /* no memory: with the next one */
}

static bool step(struct audit_reading *r)
{
	const struct audit_log *l = &r->audit->log;
	bool more = true;

	for (unsigned i = 0; more && i < STEPS_AT_ONCE; i++)
		more = r->is_check ? audit_check_step(&r->check, l) : audit_list_step(&r->list, l);
	return more;
}

static void finish(struct audit_reading *r)
{
	CLEANUP_ERROR struct error e = { 0 };

	if (r->is_check) {
		report(r);
	} else if (r->list.error < 0) {
		(void)error_set_errno(&e, r->list.error, "the audit log cannot be read");
		r->listed(NULL, 0, &e, r->userdata);
	} else {
		r->listed(r->list.lines, r->list.count, NULL, r->userdata);
	}
	audit_reading_end(r);
}

/* One piece of one of them, in turn. */
static void on_step(evutil_socket_t fd, short what, void *userdata)
{
	struct audit *a = userdata;
	struct audit_reading *r = TAILQ_FIRST(&a->readings);

	(void)fd;
	(void)what;
	if (!r)
		return;
	if (step(r)) {
		TAILQ_REMOVE(&a->readings, r, link);
		TAILQ_INSERT_TAIL(&a->readings, r, link);
	} else {
		finish(r);
	}
	arm_step(a);
}

void audit_reading_end(struct audit_reading *r)
{
	TAILQ_REMOVE(&r->audit->readings, r, link);
	if (r->is_check)
		audit_check_end(&r->check);
	else
		audit_list_end(&r->list);
	free(r);
}

static int count_readings(const struct audit *a, uid_t peer, struct error *reterr)
{
	const struct audit_reading *r;
	unsigned n = 0;

	TAILQ_FOREACH (r, &a->readings, link)
		n += r->peer == peer;
	if (n < READINGS_PER_UID_MAX)
		return 0;
	return error_set(reterr, ERROR_LIMIT_REACHED, NULL, "wait for one of them to end",
			 "the audit log is being read %u times for you already", n);
}

static struct audit_reading *reading_new(struct audit *a, uid_t peer, struct error *reterr)
{
	struct audit_reading *r;
	int error;

	if (ready(a, reterr) < 0 || count_readings(a, peer, reterr) < 0)
		return NULL;
	error = audit_log_look(&a->log);
	if (error < 0) {
		(void)error_set_errno(reterr, error, "the audit log cannot be read");
		return NULL;
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		(void)error_set_errno(reterr, -ENOMEM, "the audit log cannot be read");
		return NULL;
	}
	r->audit = a;
	r->peer = peer;
	return r;
}

static int reading_start(struct audit_reading *r, int begun, struct audit_reading **ret,
			 struct error *reterr)
{
	if (begun < 0) {
		free(r);
		return error_set_errno(reterr, begun, "the audit log cannot be read");
	}
	TAILQ_INSERT_TAIL(&r->audit->readings, r, link);
	arm_step(r->audit);
	*ret = r;
	return 0;
}

int audit_list(struct manager *m, const struct audit_query *q, audit_listed *done, void *userdata,
	       struct audit_reading **ret, struct error *reterr)
{
	struct audit_reading *r = reading_new(m->audit, q->peer, reterr);

	if (!r)
		return -1;
	r->listed = done;
	r->userdata = userdata;
	r->list = (struct audit_list){ .everybody = q->peer == 0,
				       .uid = q->peer,
				       .limit = (size_t)q->limit,
				       .after = q->after };
	return reading_start(r, audit_list_begin(&r->list, &m->audit->log), ret, reterr);
}

int audit_verify(struct manager *m, uid_t peer, const struct audit_mark *given,
		 audit_verified *done, void *userdata, struct audit_reading **ret,
		 struct error *reterr)
{
	struct audit_reading *r = reading_new(m->audit, peer, reterr);

	if (!r)
		return -1;
	if (given && given->count < m->audit->log.now.first) {
		free(r);
		return error_set(reterr, ERROR_INVALID_PARAMS, "count",
				 "a head noted when that was the newest, or later",
				 "entries before %" PRId64 " are not kept any more",
				 m->audit->log.now.first);
	}
	r->is_check = true;
	r->verified = done;
	r->userdata = userdata;
	return reading_start(r, audit_check_begin(&r->check, &m->audit->log, given), ret, reterr);
}

int audit_look(struct manager *m, struct audit_state *ret, struct error *reterr)
{
	const struct audit *a = m->audit;

	if (ready(m->audit, reterr) < 0)
		return -1;
	*ret = (struct audit_state){ .entries = a->log.now.head.count,
				     .checked_at_ms = a->checked_at_ms,
				     .bad = a->checked_bad };
	return 0;
}

/* ---- the object ---- */

int audit_new(struct manager *m, struct audit **ret)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct audit *a = calloc(1, sizeof(*a));
	int r = audit_line_init();

	if (!a || r < 0) {
		free(a);
		return a ? r : -ENOMEM;
	}
	a->manager = m;
	a->log = (struct audit_log){ .parent_fd = m->state_fd,
				     .name = AUDIT_DIRECTORY,
				     .dir_fd = -1,
				     .fd = -1,
				     .file_max = AUDIT_FILE_MAX,
				     .files_max = AUDIT_FILES_MAX,
				     .save = save,
				     .userdata = a };
	evtimer_assign(&a->saver, m->base, on_saver, a);
	evtimer_assign(&a->step, m->base, on_step, a);
	TAILQ_INIT(&a->readings);
	if (ready(a, &e) < 0)
		log_warning("no secret can be used now: %s", e.message ? e.message : "no memory");
	*ret = a;
	return 0;
}

void audit_free(struct audit *a)
{
	if (!a)
		return;
	while (!TAILQ_EMPTY(&a->readings))
		audit_reading_end(TAILQ_FIRST(&a->readings));
	if (a->log.fd >= 0) {
		(void)save(&a->log.now, a); /* logged there; the file is what counts */
		tell(a);
	}
	(void)event_del(&a->saver);
	(void)event_del(&a->step);
	audit_log_close(&a->log);
	audit_shares_deinit(&a->shares);
	free(a);
}
