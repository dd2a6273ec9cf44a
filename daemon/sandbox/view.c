/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of one user in one sandbox reach each other through /proc (root, cwd, fd) and ptrace,
 * so one with a narrow view would write through one with a wide view. Hence at any time all execs
 * of a sandbox have the same view; one with another has to wait until they are over. Processes that
 * an exec left behind on purpose count until the sandbox stops.
 *
 * A view is made for directories as they were found. When one was removed, made anew or moved
 * since, the next exec gets a new view; those that run keep theirs.
 *
 * A run's views are shared by its execs, which may outlive it in the table. Its namespaces are
 * closed when it ends: they would hold the sandbox's file system, which a start mounts again. */

#include "sandbox/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bounds.h"
#include "init-wire.h"
#include "keeper-wire.h"
#include "macro.h"
#include "sandbox/config.h"
#include "sandbox/exec.h"
#include "sandbox/keeper-client.h"
#include "sandbox/runtime.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/stage.h"
#include "util/fd.h"
#include "util/log.h"

_Static_assert(STAGE_WRITABLE_MAX <= KEEPER_VIEW_WRITABLE_MAX, "they fit a request");

/* Which directory it is: a new one may get an old one's number. */
struct stamp {
	bool known;
	uint32_t major;
	uint32_t minor;
	uint64_t inode;
	int64_t born_s;
	uint32_t born_ns;
};

/* An exec that waits for a view. */
struct waiter {
	struct waiter *next;
	view_done *done;
	void *userdata;
};

struct view {
	unsigned references;
	char *key; /* what it allows, as text; equal keys see the same */
	uint32_t flags;
	char *workspace;
	struct string_list writable;
	struct stamp stamps[STAGE_WRITABLE_MAX];
	bool made;
	struct waiter *waiters; /* while it is being made */
	int mounts;
	int network;
};

struct views {
	unsigned references;
	size_t users;  /* execs that are not over */
	char *key;     /* what they see; "": the sandbox's own */
	char *left_by; /* the exec that left processes behind; NULL: none did */
	struct view *cache[SANDBOX_VIEWS_MAX];
	size_t next; /* to be replaced */
};

/* ---- the objects ---- */

static void close_view(struct view *v)
{
	v->made = false;
	v->mounts = close_fd(v->mounts);
	v->network = close_fd(v->network);
}

static struct view *view_unref(struct view *v)
{
	if (!v || --v->references > 0)
		return NULL;
	close_view(v);
	string_list_deinit(&v->writable);
	free(v->workspace);
	free(v->key);
	free(v);
	return NULL;
}

static struct view *view_ref(struct view *v)
{
	v->references++;
	return v;
}

static struct views *views_unref(struct views *run)
{
	size_t i;

	if (!run || --run->references > 0)
		return NULL;
	for (i = 0; i < SANDBOX_VIEWS_MAX; i++)
		run->cache[i] = view_unref(run->cache[i]);
	free(run->key);
	free(run->left_by);
	free(run);
	return NULL;
}

static struct views *views_of(struct sandbox *s)
{
	if (!s->views) {
		s->views = calloc(1, sizeof(*s->views));
		if (s->views)
			s->views->references = 1;
	}
	return s->views;
}

void views_drop(struct sandbox *s)
{
	size_t i;

	for (i = 0; s->views && i < SANDBOX_VIEWS_MAX; i++) {
		if (s->views->cache[i])
			close_view(s->views->cache[i]);
		s->views->cache[i] = view_unref(s->views->cache[i]);
	}
	s->views = views_unref(s->views);
}

void sandbox_set_stages(struct sandbox *s, struct stages *stages)
{
	struct stages *before = s->stages;

	s->stages = stages ? stages_ref(stages) : NULL;
	(void)stages_unref(before);
}

/* ---- which profile ---- */

static const struct stage *look_up(const struct sandbox *s, const char *name)
{
	const struct stage *stage = name ? stages_find(s->stages, name) : NULL;

	return stage || !name ? stage : stages_find(s->manager->config->stages, name);
}

int64_t sandbox_stage_timeout(const struct sandbox *s, const char *name)
{
	const struct stage *stage = look_up(s, name);

	return stage ? stage->timeout_ms : -1;
}

enum network_mode sandbox_stage_network(const struct sandbox *s, const char *name)
{
	const struct stage *stage = look_up(s, name);

	return stage && stage->network != NETWORK_UNSET ? stage->network : s->facts.network;
}

static int refuse(struct error *reterr, enum error_kind kind, const char *stage, const char *what,
		  const char *hint)
{
	return error_set(reterr, kind, "stage", hint, "stage %s %s", stage, what);
}

static int refuse_unknown(const struct sandbox *s, const char *name, struct error *reterr)
{
	const struct stages *tables[] = { s->stages, s->manager->config->stages };
	CLEANUP_STR char *hint = strdup("one of");
	char *longer;
	size_t i, k;

	for (i = 0; hint && i < ARRAY_SIZE(tables); i++) {
		for (k = 0; hint && k < stages_count(tables[i]); k++) {
			const char *known = stages_at(tables[i], k)->name;

			if (i > 0 && stages_find(s->stages, known))
				continue; /* the loop's own counts */
			longer = string_format("%s %s", hint, known);
			free(hint);
			hint = longer;
		}
	}
	return refuse(reterr, ERROR_INVALID_PARAMS, name, "is not one of this loop's", hint);
}

static int find_stage(const struct sandbox *s, const char *name, const struct stage **ret,
		      struct error *reterr)
{
	*ret = look_up(s, name);
	if (!*ret && name && s->stages)
		return refuse_unknown(s, name, reterr);
	return 0; /* none, or free text where nobody named the stages */
}

static bool is_tool(const char *tool, const char *name)
{
	size_t length = tool ? strcspn(tool, "@") : 0;

	return length == strlen(name) && strncmp(tool, name, length) == 0;
}

static int check_tool(const struct sandbox *s, const struct stage *stage, struct error *reterr)
{
	size_t i;

	for (i = 0; i < stage->tools.count; i++)
		if (s->facts.tool && is_tool(s->facts.tool, stage->tools.items[i]))
			return 0;
	if (stage->tools.count == 0)
		return 0;
	return refuse(reterr, ERROR_DENIED, stage->name, "is not for the tool of this sandbox",
		      "a sandbox of one of the stage's tools");
}

/* ---- which view ---- */

static bool any_writable(const struct sandbox *s)
{
	size_t i;

	for (i = 0; i < s->facts.workspaces.count; i++)
		if (!s->facts.workspaces.items[i].read_only)
			return true;
	return false;
}

static int flags_of(const struct sandbox *s, const struct stage *stage, uint32_t *ret,
		    struct error *reterr)
{
	const struct workspaces_params *w = &s->facts.workspaces;

	*ret = 0;
	if (stage->network == NETWORK_NONE && s->facts.network != NETWORK_NONE)
		*ret |= KEEPER_VIEW_NO_NETWORK;
	else if (stage->network != NETWORK_UNSET && stage->network != s->facts.network)
		return refuse(reterr, ERROR_DENIED, stage->name,
			      "wants a network that its sandbox does not have",
			      "a sandbox with that network");
	if (stage->writable.count > 0 && (w->count == 0 || w->items[0].read_only))
		return refuse(reterr, ERROR_INVALID_STATE, stage->name,
			      "writes into a workspace, and there is none to be written to",
			      "a sandbox with a writable workspace");
	if (stage->access == STAGE_ACCESS_RO && any_writable(s))
		*ret |= KEEPER_VIEW_READ_ONLY;
	return 0;
}

static int check_runtime(const struct sandbox *s, const struct stage *stage, struct error *reterr)
{
	if (runtime_can(sandbox_runtime(s), RUNTIME_CAN_STAGE))
		return 0;
	return refuse(reterr, ERROR_UNAVAILABLE, stage->name,
		      "cannot be restricted in the runtime of this sandbox",
		      "the runtime crun or runc");
}

static char *make_key(const struct stage *stage, uint32_t flags)
{
	char *key = strdup(flags & KEEPER_VIEW_NO_NETWORK ? "network none" : "network");
	char *longer;
	size_t i;

	if (key && (flags & KEEPER_VIEW_READ_ONLY)) {
		longer = string_format("%s, read-only", key);
		free(key);
		key = longer;
	}
	for (i = 0; key && i < stage->writable.count; i++) {
		longer = string_format("%s but /%s", key, stage->writable.items[i]);
		free(key);
		key = longer;
	}
	return key;
}

/* ---- directories ---- */

static int look_at(const char *workspace, const char *path, struct stamp *ret)
{
	const unsigned mask = STATX_TYPE | STATX_INO | STATX_BTIME;
	CLEANUP_FD int base = fd_open_no_links(AT_FDCWD, workspace, O_PATH | O_DIRECTORY);
	CLEANUP_FD int fd = -1;
	struct statx st;

	*ret = (struct stamp){ 0 };
	if (base < 0)
		return 0; /* not ours to see: the keeper looks */
	fd = fd_open_beneath(base, path, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return fd == -ELOOP || fd == -ENOTDIR ? -ENOTDIR : 0;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, mask, &st) < 0)
		return 0;
	if (!S_ISDIR(st.stx_mode))
		return -ENOTDIR;
	*ret = (struct stamp){ .known = true,
			       .major = st.stx_dev_major,
			       .minor = st.stx_dev_minor,
			       .inode = st.stx_ino,
			       .born_s = st.stx_btime.tv_sec,
			       .born_ns = st.stx_btime.tv_nsec };
	return 0;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
	return a->known && b->known && a->major == b->major && a->minor == b->minor &&
	       a->inode == b->inode && a->born_s == b->born_s && a->born_ns == b->born_ns;
}

static int look_at_all(const struct sandbox *s, const struct stage *stage,
		       struct stamp stamps[STAGE_WRITABLE_MAX], struct error *reterr)
{
	size_t i;

	for (i = 0; i < stage->writable.count; i++)
		if (look_at(s->facts.workspaces.items[0].path, stage->writable.items[i],
			    &stamps[i]) < 0)
			return refuse(reterr, ERROR_INVALID_STATE, stage->name,
				      "is to write to what is a file or a symbolic link in the "
				      "workspace",
				      "a directory, or nothing: it is made then");
	return 0;
}

static bool is_current(const struct view *v, const struct stamp *stamps)
{
	size_t i;

	if (v->waiters)
		return true; /* the keeper is about to look */
	for (i = 0; i < v->writable.count; i++)
		if (!same_stamp(&v->stamps[i], &stamps[i]))
			return false;
	return v->made;
}

/* ---- the cache ---- */

static struct view *view_new(const struct sandbox *s, const struct stage *stage, uint32_t flags,
			     char *key)
{
	struct view *v = calloc(1, sizeof(*v));
	size_t i;
	int r = 0;

	if (!v) {
		free(key);
		return NULL;
	}
	v->references = 1;
	v->key = key;
	v->flags = flags;
	v->mounts = v->network = -1;
	if (stage->writable.count > 0)
		r = string_copy(s->facts.workspaces.items[0].path, &v->workspace);
	for (i = 0; r == 0 && i < stage->writable.count; i++)
		r = string_list_add(&v->writable, stage->writable.items[i]);
	return r < 0 ? view_unref(v) : v;
}

static void keep(struct views *run, struct view *v)
{
	size_t i;

	for (i = 0; i < SANDBOX_VIEWS_MAX; i++)
		if (!run->cache[i] || strcmp(run->cache[i]->key, v->key) == 0)
			break;
	if (i == SANDBOX_VIEWS_MAX) {
		i = run->next;
		run->next = (run->next + 1) % SANDBOX_VIEWS_MAX;
	}
	(void)view_unref(run->cache[i]);
	run->cache[i] = view_ref(v);
}

static struct view *find_view(struct views *run, const char *key)
{
	size_t i;

	for (i = 0; i < SANDBOX_VIEWS_MAX; i++)
		if (run->cache[i] && strcmp(run->cache[i]->key, key) == 0)
			return run->cache[i];
	return NULL;
}

/* KEY is taken over. */
static struct view *get_view(struct sandbox *s, const struct stage *stage, uint32_t flags,
			     char *key, const struct stamp *stamps)
{
	struct view *v = find_view(s->views, key);

	if (v && is_current(v, stamps)) {
		free(key);
		return view_ref(v);
	}
	v = view_new(s, stage, flags, key);
	if (!v)
		return NULL;
	memcpy(v->stamps, stamps, sizeof(v->stamps));
	keep(s->views, v);
	return v;
}

/* ---- entering and leaving ---- */

static int check_others(struct sandbox *s, const char *key, struct error *reterr)
{
	const struct views *run = s->views;
	const char *other;

	if ((run->users == 0 && !run->left_by) || strcmp(run->key, key) == 0)
		return 0;
	other = exec_any_in(s->manager, s);
	if (run->users > 0)
		(void)error_set(reterr, ERROR_INVALID_STATE, "stage",
				"wait for its end, or cancel it",
				"exec %s runs in this sandbox and may write elsewhere than this "
				"one",
				other ? other : "?");
	else
		(void)error_set(reterr, ERROR_INVALID_STATE, "stage",
				"stop and start the sandbox, or leave no processes behind",
				"exec %s left processes in this sandbox that may write elsewhere "
				"than this one",
				run->left_by);
	error_set_resource(reterr, "exec %s", run->users > 0 && other ? other : run->left_by);
	return -1;
}

static int set_key(struct views *run, const char *key)
{
	char *copy;

	if (run->key && strcmp(run->key, key) == 0)
		return 0;
	copy = strdup(key);
	if (!copy)
		return -ENOMEM;
	free(run->key);
	run->key = copy;
	return 0;
}

/* The profile's view, or NULL in *RET: it sees what the sandbox sees. */
static int choose_view(struct sandbox *s, const struct stage *stage, struct view **ret,
		       struct error *reterr)
{
	struct stamp stamps[STAGE_WRITABLE_MAX] = { { 0 } };
	uint32_t flags;
	char *key;

	*ret = NULL;
	if (!stage)
		return 0;
	if (check_tool(s, stage, reterr) < 0 || flags_of(s, stage, &flags, reterr) < 0)
		return -1;
	if (flags == 0)
		return 0;
	if (check_runtime(s, stage, reterr) < 0 || look_at_all(s, stage, stamps, reterr) < 0)
		return -1;
	key = make_key(stage, flags);
	*ret = key ? get_view(s, stage, flags, key, stamps) : NULL;
	return *ret ? 0 : error_set_errno(reterr, -ENOMEM, "the stage's view cannot be made");
}

int view_enter(struct sandbox *s, const char *stage_name, struct view_use *ret,
	       struct error *reterr)
{
	const struct stage *stage;
	struct views *run = views_of(s);
	struct view *v = NULL;
	int r;

	if (!run)
		return error_set_errno(reterr, -ENOMEM, "the exec could not be made");
	if (find_stage(s, stage_name, &stage, reterr) < 0 || choose_view(s, stage, &v, reterr) < 0)
		return -1;
	r = check_others(s, v ? v->key : "", reterr);
	if (r == 0 && set_key(run, v ? v->key : "") < 0)
		r = error_set_errno(reterr, -ENOMEM, "the exec could not be made");
	if (r < 0) {
		(void)view_unref(v);
		return -1;
	}
	run->users++;
	run->references++;
	*ret = (struct view_use){ run, v, stage ? stage->timeout_ms : -1 };
	return 0;
}

void view_leave(struct view_use *use, const char *left_by)
{
	if (!use->views)
		return;
	use->views->users--;
	if (left_by && !use->views->left_by)
		use->views->left_by = strdup(left_by);
	use->view = view_unref(use->view);
	use->views = views_unref(use->views);
}

/* ---- making and using ---- */

bool view_ready(const struct view_use *use)
{
	return !use->view || use->view->made;
}

struct making {
	struct sandbox *sandbox; /* referenced */
	struct views *views;     /* referenced */
	struct view *view;       /* referenced */
};

static void making_free(struct making *k)
{
	(void)view_unref(k->view);
	(void)views_unref(k->views);
	(void)sandbox_unref(k->sandbox);
	free(k);
}

/* Only a namespace can be entered; what else the keeper may have sent is refused by init. */
static int take_namespaces(struct view *v, struct wire_message *m)
{
	size_t wanted = 0, i = 0;

	wanted += (v->flags & KEEPER_VIEW_READ_ONLY) != 0;
	wanted += (v->flags & KEEPER_VIEW_NO_NETWORK) != 0;
	if (!m || m->n_fds != wanted)
		return -EPROTO;
	close_view(v);
	if (v->flags & KEEPER_VIEW_READ_ONLY)
		v->mounts = wire_take_fd(m, i++);
	if (v->flags & KEEPER_VIEW_NO_NETWORK)
		v->network = wire_take_fd(m, i);
	v->made = true;
	return 0;
}

/* Directories that were not there before are known now. */
static void stamp_made(struct view *v)
{
	size_t i;

	for (i = 0; i < v->writable.count; i++)
		if (!v->stamps[i].known)
			(void)look_at(v->workspace, v->writable.items[i], &v->stamps[i]);
}

static void log_reason(const struct making *k, int error, const struct wire_message *m)
{
	const struct keeper_reason_reply *reply = m ? (const void *)m->data : NULL;
	bool bad = false;
	const char *reason = NULL;

	if (reply && m->size >= sizeof(*reply))
		reason = wire_string(m, reply->reason, &bad);
	if (log_ratelimit())
		log_errno(LOG_LEVEL_WARNING, error, "sandbox %s: no view for a stage (%s)",
			  k->sandbox->facts.name, reason ? reason : "no reason given");
}

static void tell_waiters(struct view *v, int error)
{
	struct waiter *w = TAKE_PTR(v->waiters), *next;

	for (; w; w = next) {
		next = w->next;
		w->done(error, w->userdata);
		free(w);
	}
}

static void on_view(struct keeper_client *c, int error, struct wire_message *m, void *userdata)
{
	struct making *k = userdata;

	(void)c;
	if (error < 0)
		log_reason(k, error, m);
	else if (k->sandbox->views != k->views)
		error = -ECONNRESET; /* the run is over */
	else
		error = take_namespaces(k->view, m);
	if (error == 0)
		stamp_made(k->view);
	tell_waiters(k->view, error);
	making_free(k);
}

static int fill(struct wire_message *m, const struct sandbox *s, const struct view *v)
{
	struct keeper_view *request = (void *)m->data;
	size_t i, at;
	int r;

	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_VIEW, 0, sizeof(*request));
	request->flags = v->flags;
	request->n_writable = (uint32_t)v->writable.count;
	r = wire_add_string(m, offsetof(struct keeper_view, id), s->facts.id);
	if (r == 0)
		r = wire_add_string(m, offsetof(struct keeper_view, base), v->workspace);
	for (i = 0; r == 0 && i < v->writable.count; i++) {
		at = offsetof(struct keeper_view, writable) + i * sizeof(request->writable[0]);
		r = wire_add_string(m, at, v->writable.items[i]);
	}
	return r;
}

static int send_request(const struct view_use *use, struct sandbox *s)
{
	struct wire_message *m = keeper_scratch(s->manager);
	struct making *k;
	int r = fill(m, s, use->view);

	if (r < 0)
		return r;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->sandbox = sandbox_ref(s);
	k->views = use->views;
	k->views->references++;
	k->view = view_ref(use->view);
	r = keeper_client_call(s->keeper, m, on_view, k);
	if (r < 0)
		making_free(k);
	return r;
}

int view_make(const struct view_use *use, struct sandbox *s, view_done *done, void *userdata)
{
	struct view *v = use->view;
	struct waiter *w;
	int r;

	if (!s->keeper || s->views != use->views)
		return -ECONNRESET;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	r = v->waiters ? 0 : send_request(use, s); /* one request is enough for all */
	if (r < 0) {
		free(w);
		return r;
	}
	*w = (struct waiter){ v->waiters, done, userdata };
	v->waiters = w;
	return 0;
}

static int add_copy(struct wire_message *m, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (copy < 0)
		return -errno;
	return wire_add_fd(m, copy) < 0 ? -EMSGSIZE : 0;
}

int view_add(const struct view_use *use, struct wire_message *m)
{
	struct init_exec *request = (struct init_exec *)(void *)m->data;
	const struct view *v = use->view;
	int r = 0;

	if (!v)
		return 0;
	if (!v->made)
		return -ECONNRESET; /* the run ended */
	if (v->mounts >= 0) {
		request->flags |= INIT_EXEC_HAS_MOUNTS;
		r = add_copy(m, v->mounts);
	}
	if (r == 0 && v->network >= 0) {
		request->flags |= INIT_EXEC_HAS_NETWORK;
		r = add_copy(m, v->network);
	}
	return r;
}
