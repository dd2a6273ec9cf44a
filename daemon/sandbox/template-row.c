/* SPDX-License-Identifier: Apache-2.0 */
/* A row in the table is a row in the database, apart from moments inside one function. The table
 * owns its rows; a row owns its waiters and, while it is building, its build. */

#include "sandbox/template-row.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "macro.h"
#include "sandbox/event.h"
#include "sandbox/sandbox.h"
#include "sandbox/template-build.h"
#include "sandbox/template-debian.h"
#include "sandbox/tool-steps.h"
#include "util/fd.h"
#include "util/strings.h"

#define OS_RELEASE_MAX (64 * 1024)
#define ORPHAN_STATE "removed" /* in the database only */

static const char *const state_names[] = {
	[TEMPLATE_STATE_READY] = "ready",
	[TEMPLATE_STATE_BUILDING] = "building",
	[TEMPLATE_STATE_FAILED] = "failed",
};
_Static_assert(ARRAY_SIZE(state_names) == TEMPLATE_STATE_MAX, "every state has a name");

const char *template_state_to_string(enum template_state s)
{
	return state_names[s];
}

/* ---- digests ---- */

/* What the host template is made of changes with the host's packages and architecture. */
static void digest_host(char ret[static SHA256_TEXT_SIZE])
{
	struct sha256 h;
	struct utsname name;
	struct stat st;
	CLEANUP_STR char *text = NULL;
	size_t size = 0;

	sha256_init(&h);
	sha256_add_text(&h, HOST_TEMPLATE);
	if (uname(&name) == 0)
		sha256_add_text(&h, name.machine);
	if (fd_read_file(AT_FDCWD, "/etc/os-release", OS_RELEASE_MAX, &text, &size) == 0)
		sha256_add(&h, text, size);
	if (stat("/var/lib/dpkg/status", &st) == 0)
		sha256_add(&h, &st.st_mtim, sizeof(st.st_mtim));
	sha256_end_text(&h, ret);
}

int template_digest(const struct tool_choice *choice, char ret[static SHA256_TEXT_SIZE])
{
	const struct tool_profile *profile = choice->profile;
	CLEANUP_TOOL_STEPS struct tool_steps steps = { 0 };
	struct sha256 h;
	struct utsname name;
	int r = tool_steps_make(&steps, choice);

	if (r < 0)
		return r;

	sha256_init(&h);
	sha256_add_text(&h, profile->name);
	sha256_add_text(&h, choice->version);
	sha256_add_text(&h, choice->node);
	sha256_add_text(&h, profile->base);
	sha256_add_text(&h, uname(&name) == 0 ? name.machine : NULL);
	for (size_t i = 0; i < steps.count; i++) {
		sha256_add_text(&h, steps.items[i].profile->npm);
		sha256_add_text(&h, steps.items[i].version);
		sha256_add_text(&h, steps.items[i].node);
		sha256_add_text(&h, steps.items[i].script);
	}
	sha256_end_text(&h, ret);
	return 0;
}

void row_free(struct row *row)
{
	struct waiter *w;

	if (!row)
		return;
	while ((w = LIST_FIRST(&row->waiters))) {
		LIST_REMOVE(w, link);
		free(w);
	}
	(void)build_free(row->build);
	debian_free(row->debian);
	row_free_save(row);
	free(row->name);
	free(row->digest);
	free(row->base);
	free(row->tool);
	free(row->version);
	free(row->layer);
	free(row->stale_layer);
	string_list_deinit(&row->lowers);
	free(row);
}
DEFINE_CLEANUP(struct row *, row_free);

void row_drop(struct row *row)
{
	TAILQ_REMOVE(&row->table->rows, row, link);
	row_free(row);
}

struct row *row_find(const struct template_table *t, uid_t owner, const char *name)
{
	struct row *row;

	TAILQ_FOREACH (row, &t->rows, link)
		if (row->owner == owner && !row->orphan && string_equal(row->name, name))
			return row;
	return NULL;
}

bool row_is_saved(const struct row *row)
{
	return !strchr(row->name, '@');
}

int row_layers(const struct row *row, struct string_list *ret)
{
	int r = string_list_add(ret, row->layer);

	for (size_t i = 0; r == 0 && i < row->lowers.count; i++)
		r = string_list_add(ret, row->lowers.items[i]);
	return r;
}

int row_store(const struct row *row, bool fresh)
{
	char *lowers = NULL;
	size_t size = 0;
	int r = strings_pack((const char *const *)row->lowers.items, row->lowers.count, &lowers,
			     &size);
	const struct store_template stored = {
		.name = row->name,
		.owner = row->owner,
		.peer = row->peer,
		.digest = row->digest,
		.base = row->base,
		.tool = row->tool,
		.version = row->version,
		.layer = row->layer,
		.size_bytes = row->size_bytes,
		.created_at_ms = row->created_at_ms,
		.state = row->orphan ? ORPHAN_STATE : state_names[row->state],
		.lowers = { lowers, size },
	};
	struct store *store = row->table->manager->store;

	if (r == 0)
		r = fresh ? store_template_insert(store, &stored)
			  : store_template_update(store, &stored);
	free(lowers);
	return r;
}

int row_new(struct row **ret, struct template_table *t, const struct store_template *from)
{
	CLEANUP(row_freep) struct row *row = calloc(1, sizeof(*row));
	int r;

	if (!row)
		return -ENOMEM;
	LIST_INIT(&row->waiters);
	row->table = t;
	row->owner = from->owner;
	row->peer = from->peer;
	row->size_bytes = from->size_bytes;
	row->created_at_ms = from->created_at_ms;
	r = string_copy(from->name, &row->name);
	if (r == 0)
		r = strings_unpack(from->lowers.data, from->lowers.size, &row->lowers);
	if (r == 0)
		r = string_copy(from->digest, &row->digest);
	if (r == 0)
		r = string_copy(from->base, &row->base);
	if (r == 0)
		r = string_copy(from->tool, &row->tool);
	if (r == 0)
		r = string_copy(from->version, &row->version);
	if (r == 0)
		r = string_copy(from->layer, &row->layer);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(row);
	return 0;
}

static int on_stored_row(const struct store_template *stored, void *userdata)
{
	struct template_table *t = userdata;
	struct row *row;
	int r = row_new(&row, t, stored);

	if (r < 0)
		return r;
	row->state = string_equal(stored->state, state_names[TEMPLATE_STATE_READY])
			     ? TEMPLATE_STATE_READY
			     : TEMPLATE_STATE_FAILED; /* the daemon died while it was built */
	/* a half saved one has no recipe to try again by */
	row->orphan = string_equal(stored->state, ORPHAN_STATE) ||
		      (row->state == TEMPLATE_STATE_FAILED && row_is_saved(row));
	TAILQ_INSERT_TAIL(&t->rows, row, link);
	return 0;
}

struct users {
	const struct row *row;
	bool stopped;
	const struct sandbox *found;
};

static bool has_layer(const struct string_list *l, const char *layer)
{
	for (size_t i = 0; i < l->count; i++)
		if (string_equal(l->items[i], layer))
			return true;
	return false;
}

static bool look_for_sandbox(struct sandbox *s, void *userdata)
{
	struct users *u = userdata;
	const struct sandbox_facts *facts = sandbox_facts(s);

	if (!sandbox_is_spare(s) && facts->owner == u->row->owner &&
	    has_layer(sandbox_layers(s), u->row->layer) &&
	    (u->stopped || facts->state == SANDBOX_STATE_CREATING ||
	     facts->state == SANDBOX_STATE_RUNNING || facts->state == SANDBOX_STATE_PAUSED))
		u->found = s;
	return !u->found;
}

static const struct row *find_row_on(const struct row *row)
{
	const struct row *other;

	TAILQ_FOREACH (other, &row->table->rows, link)
		if (other != row && other->owner == row->owner && !other->orphan &&
		    (string_equal(other->layer, row->layer) ||
		     has_layer(&other->lowers, row->layer)))
			return other;
	return NULL;
}

void row_tell_event(const struct row *row, const char *name, const char *state, const char *reason)
{
	const struct template_row_name t = { row->owner, name ? name : row->name, row->tool };

	event_template(row->table->manager, &t, state, reason);
}

bool row_in_use(const struct row *row, bool stopped, struct row_user *ret)
{
	struct users u = { .row = row, .stopped = stopped };
	const struct answer *a;

	*ret = (struct row_user){ 0 };
	manager_each_sandbox(row->table->manager, look_for_sandbox, &u);
	ret->sandbox = u.found;
	LIST_FOREACH (a, &row->table->answers, link)
		if (has_layer(&a->layers, row->layer))
			ret->coming = true;
	if (stopped)
		ret->row = find_row_on(row);
	return ret->sandbox || ret->coming || ret->row;
}

int row_refuse_in_use(const struct row *row, const struct row_user *user, struct error *reterr)
{
	if (user->sandbox)
		error_set(reterr, ERROR_CONFLICT, NULL,
			  "stop or remove the sandboxes that use it first",
			  "the template %s is in use by sandbox %s", row->name,
			  sandbox_name(user->sandbox));
	else if (user->row)
		error_set(reterr, ERROR_CONFLICT, NULL,
			  "remove the templates that stand on it first",
			  "the template %s is in use by template %s", row->name, user->row->name);
	else
		error_set(reterr, ERROR_CONFLICT, NULL, "try again in a moment",
			  "the template %s is in use by a sandbox that is being made", row->name);
	error_set_resource(reterr, "template %s", row->name);
	return -1;
}

bool row_layer_exists(const struct row *row)
{
	CLEANUP_STR char *path =
		string_format("owners/%u/templates/%s", (unsigned)row->owner, row->layer);
	struct stat st;

	return !path ||
	       fstatat(row->table->manager->state_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
	       errno != ENOENT;
}

/* ---- the table ---- */

int template_table_new(struct manager *m, struct template_table **ret)
{
	struct template_table *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->manager = m;
	TAILQ_INIT(&t->rows);
	LIST_INIT(&t->answers);
	LIST_INIT(&t->pairings);
	digest_host(t->host_digest);
	r = store_template_list(m->store, on_stored_row, t);
	if (r < 0) {
		template_table_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void template_table_free(struct template_table *t)
{
	struct pairing *p;
	struct answer *a;
	struct row *row;

	if (!t)
		return;
	while ((p = LIST_FIRST(&t->pairings)))
		pairing_free(p);
	while ((a = LIST_FIRST(&t->answers)))
		answer_free(a);
	while ((row = TAILQ_FIRST(&t->rows)))
		row_drop(row);
	free(t);
}
