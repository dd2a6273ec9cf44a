/* SPDX-License-Identifier: Apache-2.0 */
/* What init answers to these requests is not waited for: it does them in order, and remembers
 * itself that an exec has not got its file. */

#include "sandbox/secret-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "init-wire.h"
#include "keeper-wire.h"
#include "sandbox/config.h"
#include "sandbox/exec-internal.h"
#include "sandbox/exec-secrets.h"
#include "sandbox/init-client.h"
#include "sandbox/keeper-client.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/spool-mask.h"
#include "sandbox/tool.h"
#include "secret/lease.h"
#include "secret/value.h"
#include "util/strings.h"

#define SEED_MODE 0644
#define SECRET_MODE 0600

/* ---- where ---- */

static size_t directory_length(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash ? (size_t)(slash - file) : 0; /* the parser wants one */
}

static bool is_below(const char *path, const char *directory, size_t length)
{
	return length > 0 && strncmp(path, directory, length) == 0 && path[length] == '/';
}

/* Whether what OF names lies in the directory of another one, or in that of an earlier one. */
static bool is_covered(const struct tool_profile *p, const struct tool_secret *of)
{
	const size_t length = directory_length(of->file);
	const struct tool_secret *other;
	bool earlier = true;
	size_t n;

	for (other = p->secrets.first; other; other = other->next) {
		if (other == of) {
			earlier = false;
			continue;
		}
		if (!other->file)
			continue;
		n = directory_length(other->file);
		if (n < length ? is_below(of->file, other->file, n)
			       : earlier && n == length && strncmp(of->file, other->file, n) == 0)
			return true;
	}
	return false;
}

int secret_file_directories(const struct sandbox *s, struct string_list *ret)
{
	const struct tool_profile *p = tool_find(s->manager->config, s->facts.tool);
	const struct tool_secret *secret;
	int r = 0;

	if (!p || s->hidden || sandbox_runtime(s) == RUNTIME_HOST)
		return 0; /* in the host's own home nothing is mounted */
	for (secret = p->secrets.first; r == 0 && secret; secret = secret->next) {
		CLEANUP_STR char *path = NULL;

		if (!secret->file || is_covered(p, secret))
			continue;
		path = string_format(TOOL_HOME "/%.*s", (int)directory_length(secret->file),
				     secret->file);
		r = path ? string_list_add(ret, path) : -ENOMEM;
	}
	return r;
}

static bool lies_in(const char *path, const struct string_list *directories)
{
	size_t i;

	for (i = 0; i < directories->count; i++)
		if (is_below(path, directories->items[i], strlen(directories->items[i])))
			return true;
	return false;
}

int secret_file_check(const struct sandbox *s, const char *path, struct error *reterr)
{
	CLEANUP_STRINGS struct string_list directories = { 0 };
	CLEANUP_STR char *full = string_format(TOOL_HOME "/%s", path);
	int r = full ? secret_file_directories(s, &directories) : -ENOMEM;

	if (r < 0)
		return error_set_errno(reterr, r, "a secret's file cannot be made");
	if (lies_in(full, &directories) && strlen(full) < INIT_FILE_PATH_MAX)
		return 0;
	if (sandbox_runtime(s) == RUNTIME_HOST)
		return error_set(reterr, ERROR_UNAVAILABLE, "secrets",
				 "hand it over in a variable or on stdin",
				 "on the runtime host a secret cannot become a file");
	return error_set(reterr, ERROR_INVALID_PARAMS, "secrets",
			 directories.count > 0 ? "a file below the directory of one of the tool's "
						 "own secrets, a variable, or stdin"
					       : "a variable, or stdin: this sandbox's tool has no "
						 "secret that is a file",
			 "%.256s is not in a directory that is memory", full);
}

/* ---- what init is asked ---- */

static int make_memfd(const struct bytes *value)
{
	const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	CLEANUP_FD int fd = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, value->data, value->size);
	if (n != (ssize_t)value->size)
		return n < 0 ? -errno : -ENOSPC;
	return fcntl(fd, F_ADD_SEALS, seals) < 0 ? -errno : TAKE_FD(fd);
}

static int put(struct init_client *c, struct init_put_file *request, const char *path,
	       const struct bytes *value)
{
	int fd = -1;

	if (strlen(path) >= sizeof(request->path) || value->size > INIT_FILE_SIZE_MAX)
		return -EMSGSIZE;
	(void)strcpy(request->path, path);
	request->uid = request->gid = SANDBOX_ID_AGENT;
	request->size = value->size;
	if (value->size > 0)
		fd = make_memfd(value);
	if (fd < 0 && value->size > 0)
		return fd;
	return init_client_put_file(c, request, fd);
}

static int put_secret(const struct exec *e, uint32_t flags, const char *path,
		      const struct bytes *value)
{
	struct init_put_file request = { .exec = e->init_exec,
					 .flags = flags,
					 .mode = SECRET_MODE };
	CLEANUP_STR char *full = string_format(TOOL_HOME "/%s", path);
	struct init_client *c = sandbox_init(e->sandbox);

	if (!c)
		return -ECONNRESET;
	return full ? put(c, &request, full, value) : -ENOMEM;
}

static int drop_secret(const struct exec *e, const char *path)
{
	struct init_drop_file request = { .exec = e->init_exec };
	CLEANUP_STR char *full = string_format(TOOL_HOME "/%s", path);
	struct init_client *c = sandbox_init(e->sandbox);

	if (!full || strlen(full) >= sizeof(request.path))
		return full ? -EMSGSIZE : -ENOMEM;
	(void)strcpy(request.path, full);
	return c ? init_client_drop_file(c, &request) : -ECONNRESET;
}

/* ---- those of an exec ---- */

static const struct exec_secret *find_file(const struct exec_secrets *b, const char *where)
{
	size_t i;

	for (i = 0; i < b->count; i++)
		if (b->items[i].form == EXEC_SECRET_FILE && strcmp(b->items[i].where, where) == 0)
			return &b->items[i];
	return NULL;
}

struct taking {
	const struct sandbox *sandbox;
	const struct exec_secrets *bundle;
	const struct lease_facts *taken; /* what a command has already; NULL: nothing */
};

/* Leases, and not the bundles of commands, for those of an earlier daemon's have none. */
static bool look_at(const struct lease *l, void *userdata)
{
	const struct lease_facts *f = lease_facts(l);
	struct taking *t = userdata;
	const struct sandbox *s = t->sandbox;
	const struct exec_secret *mine = f->file ? find_file(t->bundle, f->file) : NULL;
	const struct exec *e;

	if (!mine || (mine->owner == f->owner && string_equal(mine->name, f->secret)))
		return true;
	e = exec_find(s->manager, f->holder_peer, f->holder_id, NULL);
	if (e && e->sandbox == s && e->phase != EXEC_PHASE_ENDED)
		t->taken = f;
	return !t->taken;
}

int secret_files_check_free(const struct sandbox *s, const struct exec_secrets *b,
			    struct error *reterr)
{
	struct taking t = { .sandbox = s, .bundle = b };

	if (b)
		(void)lease_each(s->manager, 0, NULL, look_at, &t, NULL); /* 0: no cursor */
	if (!t.taken)
		return 0;
	return error_set(reterr, ERROR_CONFLICT, "secrets", "another file, or when that has ended",
			 "another command has the secret %s in ~/%s", t.taken->secret,
			 t.taken->file);
}

int secret_files_lend(const struct exec *e)
{
	const size_t n = e->secrets ? e->secrets->count : 0;
	const struct exec_secret *s;
	struct bytes value;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < n; i++) {
		s = &e->secrets->items[i];
		if (s->form != EXEC_SECRET_FILE)
			continue;
		value = (struct bytes){ secret_value_data(s->value), secret_value_size(s->value) };
		r = put_secret(e, INIT_PUT_FIRST, s->where, &value);
	}
	if (r < 0)
		secret_files_withdraw(e);
	return r;
}

void secret_files_withdraw(const struct exec *e)
{
	const size_t n = e->secrets ? e->secrets->count : 0;
	size_t i;

	for (i = 0; i < n; i++)
		if (e->secrets->items[i].form == EXEC_SECRET_FILE)
			(void)drop_secret(e, e->secrets->items[i].where); /* -ECONNRESET: gone */
}

/* ---- another value ---- */

/* Under way while the keeper is told what is not to be in the spool, or while the exec is adopted.
 */
struct late_file {
	struct exec *exec;          /* referenced; NULL: it waits there */
	struct secret_value *value; /* NULL: it is over */
	char *path;
	char lease[LEASE_ID_SIZE];
	struct late_file *next; /* that waits */
};

static void update_free(struct late_file *u)
{
	(void)exec_unref(u->exec);
	(void)secret_value_unref(u->value);
	free(u->path);
	free(u);
}

static struct late_file *update_new(struct exec *e, const char *lease, const char *path,
				    struct secret_value *v)
{
	struct late_file *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->path = strdup(path);
	if (!u->path) {
		free(u);
		return NULL;
	}
	(void)snprintf(u->lease, sizeof(u->lease), "%s", lease); /* an id fits */
	u->exec = e ? exec_ref(e) : NULL;
	u->value = v ? secret_value_ref(v) : NULL;
	return u;
}

static void log_kept(const struct exec *e, int error, const char *path)
{
	log_errno(LOG_LEVEL_WARNING, error, "exec %s: its secret in ~/%s stays as it was",
		  e->facts.id, path);
}

static void put_update(const struct exec *e, const char *path, const struct secret_value *v)
{
	const struct bytes value = { secret_value_data(v), secret_value_size(v) };
	int r = e->phase == EXEC_PHASE_ENDED ? 0 : put_secret(e, 0, path, &value);

	if (r < 0)
		log_kept(e, r, path);
}

static void on_masked(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	struct late_file *u = userdata;

	(void)k;
	(void)m;
	/* -ECONNRESET: nothing is kept of any output now, but by the next keeper */
	if (error < 0 && error != -ECONNRESET)
		log_kept(u->exec, error, u->path);
	else if (lease_find(u->exec->manager, 0, u->lease, NULL)) /* else the file is gone */
		put_update(u->exec, u->path, u->value);
	update_free(u);
}

/* Returns 0, or negative errno: the file cannot be written before. */
static int mask_first(struct exec *e, const char *lease, const char *path, struct secret_value *v)
{
	const struct bytes value = { secret_value_data(v), secret_value_size(v) };
	struct keeper_client *k = sandbox_keeper(e->sandbox);
	struct late_file *u;
	int masks = -1;
	int r = spool_mask_new(&value, 1, &masks);

	if (r < 0 || masks < 0 || !k) {
		(void)close_fd(masks);
		if (r == 0)
			put_update(e, path, v);
		return r;
	}
	u = update_new(e, lease, path, v);
	if (!u) {
		(void)close_fd(masks);
		return -ENOMEM;
	}
	r = keeper_client_spool_mask(k, sandbox_id(e->sandbox), masks, e->facts.streams == 0,
				     on_masked, u);
	if (r < 0)
		update_free(u);
	return r;
}

static int update_later(struct exec *e, const char *lease, const char *path, struct secret_value *v)
{
	struct late_file **last = &e->late_files;

	while (*last)
		last = &(*last)->next;
	*last = update_new(NULL, lease, path, v);
	return *last ? 0 : -ENOMEM;
}

void secret_file_update(struct exec *e, const char *lease, const char *path, struct secret_value *v)
{
	int r = 0;

	if (e->phase == EXEC_PHASE_ENDED)
		return;
	if (e->adopting)
		r = update_later(e, lease, path, v);
	else if (!e->watched)
		return;
	else if (!v)
		r = drop_secret(e, path);
	else
		r = mask_first(e, lease, path, v);
	if (r < 0)
		log_kept(e, r, path);
}

void secret_files_catch_up(struct exec *e)
{
	struct late_file *u;

	while ((u = e->late_files)) {
		e->late_files = u->next;
		secret_file_update(e, u->lease, u->path, u->value);
		update_free(u);
	}
}

void secret_files_forget(struct exec *e)
{
	struct late_file *u;

	while ((u = e->late_files)) {
		e->late_files = u->next;
		update_free(u);
	}
}

/* ---- seeds ---- */

/* As the layer's own: each line with its end. */
static int join_lines(const struct string_list *lines, char **ret)
{
	size_t i, size = 1;
	char *at;

	for (i = 0; i < lines->count; i++)
		size += strlen(lines->items[i]) + 1;
	*ret = at = malloc(size);
	if (!at)
		return -ENOMEM;
	for (i = 0; i < lines->count; i++) {
		at = stpcpy(at, lines->items[i]);
		*at++ = '\n';
	}
	*at = '\0';
	return 0;
}

static int put_seed(const struct sandbox *s, const struct tool_seed *seed, const char *path)
{
	struct init_put_file request = { .mode = SEED_MODE };
	CLEANUP_STR char *content = NULL;
	int r = join_lines(&seed->content.lines, &content);

	if (r < 0)
		return r;
	return put(s->init, &request, path, &(struct bytes){ content, strlen(content) });
}

static void put_seeds(const struct sandbox *s, const struct tool_profile *p,
		      const struct string_list *directories)
{
	const struct tool_seed *seed;
	int r;

	for (seed = p ? p->seeds : NULL; seed; seed = seed->next) {
		CLEANUP_STR char *path = string_format(TOOL_HOME "/%s", seed->path);

		if ((path && !lies_in(path, directories)) || seed->content.lines.count == 0)
			continue;
		r = path ? put_seed(s, seed, path) : -ENOMEM;
		if (r < 0)
			sandbox_log(s, LOG_LEVEL_WARNING, "~/%s is missing: %s", seed->path,
				    strerror(-r));
	}
}

void secret_file_seed(const struct sandbox *s)
{
	const struct config *config = s->manager->config;
	const struct tool_profile *p = tool_find(config, s->facts.tool);
	CLEANUP_STRINGS struct string_list directories = { 0 };

	if (!s->init || secret_file_directories(s, &directories) < 0 || directories.count == 0)
		return;
	for (size_t i = 0; i < p->with.count; i++)
		put_seeds(s, tool_find(config, p->with.items[i]), &directories);
	put_seeds(s, p, &directories);
}
