/* SPDX-License-Identifier: Apache-2.0 */
/* Events wait in memory until they are in the database: a timer writes them, or a batch with the
 * row of what they tell of. Only then readers see them, so that a number that somebody has seen is
 * never given to another event, whenever the daemon dies.
 *
 * They are written in order. While the disk is full they wait; of too many the oldest are lost, and
 * one of type EVENT_TYPE_LOST in their place says so.
 *
 * Each peer has its own share of the log: who makes much happen pushes out nothing of others. What
 * is deleted leaves a floor, so that a reader who comes back from before it is told. */

#include "sandbox/event-log.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "macro.h"
#include "sandbox/config.h"
#include "sandbox/manager.h"
#include "store/events.h"
#include "store/store.h"
#include "util/id.h"
#include "util/log.h"
#include "util/pairs.h"
#include "util/strings.h"
#include "util/time.h"

#define WRITE_DELAY_US 20000
#define RETRY_SECONDS 1
#define WRITE_AT_ONCE 256
#define TRIM_AT_ONCE 512
#define SWEEP_MIN_MS 1000
#define SWEEP_MAX_MS (3600 * 1000)

_Static_assert(EVENT_PEER_EVERYBODY == STORE_EVENT_EVERYBODY, "the same in the store");

struct pending {
	struct store_event row; /* points into data */
	TAILQ_ENTRY(pending) link;
	char data[];
};

/* What a peer has in the log. */
struct event_peer {
	int64_t peer;
	int64_t count;
	int64_t floor;
	LIST_ENTRY(event_peer) link;
};

struct event_log {
	struct manager *manager;
	char id[SHORT_ID_SIZE]; /* of this log: in its cursors */
	int64_t next;
	int64_t stored; /* the newest on disk */
	TAILQ_HEAD(, pending) pending;
	size_t n_pending;
	int64_t lost_from; /* what is to be told as lost; 0: nothing */
	int64_t lost_to;
	bool in_batch;
	bool lost_written; /* these two: by the batch under way */
	size_t written;
	LIST_HEAD(, event_peer) peers;
	LIST_HEAD(, event_listener) listeners;
	struct event timer;
	struct event tell;
	struct event sweep;
	void (*writer)(void *userdata);
	void *writer_userdata;
};

/* ---- notes ---- */

static struct event_fact *add_fact(struct event_note *n, const char *key)
{
	struct event_fact *f;

	if (n->n_facts == EVENT_FACTS_MAX)
		return NULL;
	f = &n->facts[n->n_facts++];
	*f = (struct event_fact){ .key = key };
	return f;
}

void event_note_text(struct event_note *n, const char *key, const char *text)
{
	struct event_fact *f = add_fact(n, key);

	if (f)
		f->text = text;
}

void event_note_number(struct event_note *n, const char *key, int64_t number)
{
	struct event_fact *f = add_fact(n, key);

	if (f) {
		f->kind = EVENT_FACT_NUMBER;
		f->number = number;
	}
}

void event_note_time(struct event_note *n, const char *key, int64_t realtime_ms)
{
	struct event_fact *f = add_fact(n, key);

	if (f) {
		f->kind = EVENT_FACT_TIME;
		f->number = realtime_ms;
	}
}

/* ---- facts as bytes: key NUL, a letter for the kind, text NUL ---- */

static const char letters[] = {
	[EVENT_FACT_TEXT] = 's', [EVENT_FACT_NUMBER] = 'n', [EVENT_FACT_TIME] = 't'
};
#define LETTER_NULL '0'

static void value_of(const struct event_fact *f, char number[static 24], char *ret_letter,
		     const char **ret_text)
{
	*ret_letter = letters[f->kind];
	*ret_text = f->text;
	if (f->kind != EVENT_FACT_TEXT) {
		(void)snprintf(number, 24, "%lld", (long long)f->number);
		*ret_text = number;
	} else if (!f->text) {
		*ret_letter = LETTER_NULL;
		*ret_text = "";
	}
}

/* Returns how many bytes they take; written to OUT unless that is NULL. */
static size_t pack_facts(const struct event_note *n, char *out)
{
	size_t i, at = 0, key_size, size;
	const char *text;
	char number[24];
	char letter;

	for (i = 0; i < n->n_facts; i++) {
		value_of(&n->facts[i], number, &letter, &text);
		key_size = strlen(n->facts[i].key) + 1;
		size = strlen(text) + 1;
		if (out) {
			memcpy(out + at, n->facts[i].key, key_size);
			out[at + key_size] = letter;
			memcpy(out + at + key_size + 1, text, size);
		}
		at += key_size + 1 + size;
	}
	return at;
}

bool event_fact_next(struct bytes *rest, struct event_fact *ret)
{
	const char *p = rest->data, *value;
	const char *end = p + rest->size;
	size_t size = strnlen(p, rest->size);

	value = p + size + 2;
	if (rest->size < 3 || value >= end || !memchr(value, '\0', (size_t)(end - value)))
		return false; /* the end, or a row that is not ours */
	*ret = (struct event_fact){ .key = p, .text = value };
	if (value[-1] == LETTER_NULL)
		ret->text = NULL;
	else if (value[-1] == letters[EVENT_FACT_NUMBER])
		ret->kind = EVENT_FACT_NUMBER;
	else if (value[-1] == letters[EVENT_FACT_TIME])
		ret->kind = EVENT_FACT_TIME;
	if (ret->kind != EVENT_FACT_TEXT)
		ret->number = strtoll(value, NULL, 10);
	value += strlen(value) + 1;
	*rest = (struct bytes){ value, (size_t)(end - value) };
	return true;
}

/* ---- peers ---- */

static struct event_peer *peer_find(const struct event_log *l, int64_t peer)
{
	struct event_peer *p;

	LIST_FOREACH (p, &l->peers, link)
		if (p->peer == peer)
			return p;
	return NULL;
}

static struct event_peer *peer_make(struct event_log *l, int64_t peer)
{
	struct event_peer *p = peer_find(l, peer);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->peer = peer;
	LIST_INSERT_HEAD(&l->peers, p, link);
	return p;
}

int64_t event_log_floor(const struct manager *m, uid_t peer)
{
	const struct event_peer *p;
	int64_t floor = 0;

	LIST_FOREACH (p, &m->events->peers, link)
		if ((peer == 0 || p->peer == peer || p->peer == EVENT_PEER_EVERYBODY) &&
		    p->floor > floor)
			floor = p->floor;
	return floor;
}

/* ---- retention ---- */

struct cut {
	int64_t left;   /* so many more are too many */
	int64_t before; /* what is older goes */
	int64_t upto;   /* 0: nothing goes */
	int64_t n;
};

static int cut_one(int64_t seq, int64_t at_ms, void *userdata)
{
	struct cut *c = userdata;

	if (c->left <= 0 && at_ms >= c->before)
		return 1;
	c->left--;
	c->upto = seq;
	c->n++;
	return 0;
}

/* Returns whether there may be more to do at once. */
static bool trim(struct event_log *l, struct event_peer *p)
{
	const struct config *config = l->manager->config;
	struct store *s = l->manager->store;
	struct cut c = { .left = p->count - (int64_t)config->events_max,
			 .before = time_realtime_ms() - config->events_kept_ms };

	if (store_event_oldest(s, p->peer, TRIM_AT_ONCE, cut_one, &c) < 0 || c.n == 0)
		return false; /* logged there; tried again with the next sweep */
	if (store_batch_begin(s) < 0)
		return false;
	(void)store_event_delete(s, p->peer, c.upto); /* what fails rolls it back */
	if (store_batch_end(s) < 0)
		return false;
	p->count -= c.n;
	p->floor = c.upto;
	return c.n == TRIM_AT_ONCE;
}

static void arm_sweep(struct event_log *l, bool soon)
{
	int64_t ms = l->manager->config->events_kept_ms / 4;
	struct timeval delay = { 0 };

	if (!soon) {
		ms = ms < SWEEP_MIN_MS ? SWEEP_MIN_MS : ms > SWEEP_MAX_MS ? SWEEP_MAX_MS : ms;
		delay = (struct timeval){ .tv_sec = ms / 1000,
					  .tv_usec = (suseconds_t)(ms % 1000) * 1000 };
	}
	(void)event_add(&l->sweep, &delay); /* no memory: with the next event */
}

static void on_sweep(evutil_socket_t fd, short what, void *userdata)
{
	struct event_log *l = userdata;
	struct event_peer *p;
	bool more = false;

	(void)fd;
	(void)what;
	LIST_FOREACH (p, &l->peers, link)
		more |= trim(l, p);
	arm_sweep(l, more);
}

/* One more of ROW's peer is on disk. */
static void count(struct event_log *l, int64_t peer)
{
	struct event_peer *p = peer_make(l, peer);
	const int64_t max = (int64_t)l->manager->config->events_max;

	if (p && ++p->count > max + max / 16)
		arm_sweep(l, true);
}

/* ---- writing ---- */

static void arm_write(struct event_log *l, bool failed)
{
	const struct timeval delay = { .tv_sec = failed ? RETRY_SECONDS : 0,
				       .tv_usec = failed ? 0 : WRITE_DELAY_US };

	if (!event_pending(&l->timer, EV_TIMEOUT, NULL))
		(void)event_add(&l->timer, &delay); /* no memory: with the next one */
}

static int insert_lost(struct event_log *l)
{
	struct event_note note = { 0 };
	char facts[64];
	struct store_event row = { .seq = l->lost_to,
				   .at_ms = time_realtime_ms(),
				   .peer = EVENT_PEER_EVERYBODY,
				   .type = EVENT_TYPE_LOST,
				   .facts.data = facts };
	int r;

	event_note_number(&note, "from", l->lost_from);
	row.facts.size = pack_facts(&note, facts);
	r = store_event_insert(l->manager->store, &row);
	l->lost_written = r == 0;
	return r;
}

/* In order, until one fails. */
static void insert(struct event_log *l)
{
	struct pending *p;
	int r = 0;

	l->written = 0;
	l->lost_written = false;
	if (l->lost_from > 0)
		r = insert_lost(l);
	TAILQ_FOREACH (p, &l->pending, link) {
		if (r < 0 || l->written == WRITE_AT_ONCE)
			return;
		r = store_event_insert(l->manager->store, &p->row);
		if (r == 0)
			l->written++;
	}
}

static void drop_first(struct event_log *l)
{
	struct pending *p = TAILQ_FIRST(&l->pending);

	TAILQ_REMOVE(&l->pending, p, link);
	l->n_pending--;
	free(p);
}

/* The batch is on disk. */
static void settle(struct event_log *l)
{
	struct pending *p;

	if (l->lost_written) {
		l->stored = l->lost_to;
		l->lost_from = l->lost_to = 0;
		count(l, EVENT_PEER_EVERYBODY);
		event_active(&l->tell, 0, 0);
	}
	for (; l->written > 0; l->written--) {
		p = TAILQ_FIRST(&l->pending);
		l->stored = p->row.seq;
		count(l, p->row.peer);
		drop_first(l);
		event_active(&l->tell, 0, 0);
	}
}

static bool is_empty(const struct event_log *l)
{
	return TAILQ_EMPTY(&l->pending) && l->lost_from == 0;
}

void event_log_batch_begin(struct manager *m)
{
	struct event_log *l = m->events;

	if (store_in_batch(m->store) || store_batch_begin(m->store) < 0)
		return; /* then what follows is written one by one */
	l->in_batch = true;
	insert(l);
}

int event_log_batch_end(struct manager *m)
{
	struct event_log *l = m->events;
	int r;

	if (!l->in_batch)
		return 0;
	l->in_batch = false;
	r = store_batch_end(m->store);
	if (r == 0)
		settle(l);
	if (is_empty(l))
		(void)event_del(&l->timer);
	else
		arm_write(l, r < 0);
	return r;
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
	struct event_log *l = userdata;

	(void)fd;
	(void)what;
	if (l->writer)
		l->writer(l->writer_userdata);
	if (is_empty(l))
		return;
	event_log_batch_begin(l->manager);
	(void)event_log_batch_end(l->manager); /* tried again */
	if (!is_empty(l))
		arm_write(l, true);
}

void event_log_set_writer(struct manager *m, void (*fn)(void *userdata), void *userdata)
{
	m->events->writer = fn;
	m->events->writer_userdata = userdata;
}

/* ---- adding ---- */

static const char *put(char **at, const char *text)
{
	const char *there = *at;
	size_t size;

	if (!text)
		return NULL;
	size = strlen(text) + 1;
	memcpy(*at, text, size);
	*at += size;
	return there;
}

static size_t size_of(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static struct pending *pending_new(const struct event_note *n, const struct bytes *labels)
{
	const size_t facts = pack_facts(n, NULL);
	struct pending *p;
	char *at;

	p = malloc(sizeof(*p) + size_of(n->type) + size_of(n->loop_id) + size_of(n->sandbox) +
		   size_of(n->sandbox_id) + size_of(n->exec_id) + size_of(n->tool) +
		   size_of(n->state) + labels->size + facts);
	if (!p)
		return NULL;
	at = p->data;
	p->row = (struct store_event){
		.at_ms = time_realtime_ms(),
		.peer = n->peer,
		.type = put(&at, n->type),
		.loop_id = put(&at, n->loop_id),
		.sandbox = put(&at, n->sandbox),
		.sandbox_id = put(&at, n->sandbox_id),
		.exec_id = put(&at, n->exec_id),
		.tool = put(&at, n->tool),
		.state = put(&at, n->state),
		.labels = { at, labels->size },
		.facts = { at + labels->size, facts },
	};
	if (labels->size > 0)
		memcpy(at, labels->data, labels->size);
	(void)pack_facts(n, at + labels->size);
	return p;
}

static void note_lost(struct event_log *l, int64_t seq)
{
	if (l->lost_from == 0)
		l->lost_from = seq;
	l->lost_to = seq;
}

void event_log_add(struct manager *m, const struct event_note *n)
{
	struct event_log *l = m->events;
	CLEANUP_STR char *labels = NULL;
	struct bytes packed = { 0 };
	struct pending *p = NULL;

	if (!n->labels || n->labels->count == 0 ||
	    pairs_pack(n->labels, &labels, &packed.size) == 0) {
		packed.data = labels;
		p = pending_new(n, &packed);
	}
	if (!p) { /* its number is not used; what it was about is in the lists */
		log_error("no memory to tell of an event, it is lost");
		return;
	}
	p->row.seq = l->next++;
	TAILQ_INSERT_TAIL(&l->pending, p, link);
	if (++l->n_pending > EVENTS_PENDING_MAX && !l->in_batch) {
		note_lost(l, TAILQ_FIRST(&l->pending)->row.seq);
		drop_first(l);
	}
	arm_write(l, false);
}

/* ---- readers ---- */

const char *event_log_id(const struct manager *m)
{
	return m->events->id;
}

int64_t event_log_last(const struct manager *m)
{
	return m->events->stored;
}

void event_log_listen(struct manager *m, struct event_listener *l)
{
	LIST_INSERT_HEAD(&m->events->listeners, l, link);
}

void event_log_unlisten(struct event_listener *l)
{
	LIST_REMOVE(l, link);
}

static void on_tell(evutil_socket_t fd, short what, void *userdata)
{
	const struct event_log *l = userdata;
	const struct event_listener *listener;

	(void)fd;
	(void)what;
	LIST_FOREACH (listener, &l->listeners, link)
		listener->on_events(listener->userdata);
}

/* ---- the object ---- */

static int load_id(struct event_log *l)
{
	struct store *s = l->manager->store;
	CLEANUP_STR char *text = NULL;
	int r = store_meta_get(s, STORE_META_EVENTS, &text);

	if (r < 0)
		return r;
	if (text && strlen(text) == SHORT_ID_SIZE - 1) {
		memcpy(l->id, text, SHORT_ID_SIZE);
		return 0;
	}
	r = id_make_short(l->id);
	return r < 0 ? r : store_meta_set(s, STORE_META_EVENTS, l->id);
}

static int load_peer(const struct store_event_peer *row, void *userdata)
{
	struct event_log *l = userdata;
	struct event_peer *p = peer_make(l, row->peer);

	if (!p)
		return -ENOMEM;
	p->count += row->count;
	if (row->floor > p->floor)
		p->floor = row->floor;
	if (row->last > l->stored)
		l->stored = row->last;
	if (row->floor > l->stored)
		l->stored = row->floor;
	return 0;
}

int event_log_new(struct manager *m, struct event_log **ret)
{
	struct event_log *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->manager = m;
	TAILQ_INIT(&l->pending);
	LIST_INIT(&l->peers);
	LIST_INIT(&l->listeners);
	evtimer_assign(&l->timer, m->base, on_timer, l);
	event_assign(&l->tell, m->base, -1, 0, on_tell, l);
	evtimer_assign(&l->sweep, m->base, on_sweep, l);
	r = load_id(l);
	if (r == 0)
		r = store_event_peers(m->store, load_peer, l);
	if (r < 0) {
		event_log_free(l);
		return r;
	}
	l->next = l->stored + 1;
	arm_sweep(l, true);
	*ret = l;
	return 0;
}

void event_log_free(struct event_log *l)
{
	struct event_peer *p;

	if (!l)
		return;
	if (l->manager->events && !is_empty(l))
		on_timer(-1, 0, l);
	(void)event_del(&l->timer);
	(void)event_del(&l->tell);
	(void)event_del(&l->sweep);
	while (!TAILQ_EMPTY(&l->pending))
		drop_first(l);
	while ((p = LIST_FIRST(&l->peers))) {
		LIST_REMOVE(p, link);
		free(p);
	}
	free(l);
}
