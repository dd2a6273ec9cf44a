/* SPDX-License-Identifier: Apache-2.0 */
/* A table is filled by the configuration or by one call and is not changed afterwards; whoever runs
 * something under it holds a reference.
 *
 * Directories that stay writable are a form of read-only: naming some means it, and "rw" beside
 * them is a contradiction, not a wider permission. */

#include "sandbox/stage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "macro.h"
#include "sandbox/config.h"
#include "sandbox/tool.h"
#include "util/log.h"
#include "util/quantity.h"

#define FIELD_SIZE 64
#define LIST_SEPARATOR ','
#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* A profile, and what was said of it in the section or call at hand. */
struct entry {
	struct stage stage; /* first: stages_section() hands it out */
	bool access_given;
	bool writable_given;
	bool wrong;
	char *path; /* where the configuration speaks of it; NULL: nowhere */
	unsigned line;
	unsigned tools_line;
};

struct stages {
	unsigned references;
	size_t count;
	struct entry entries[STAGES_MAX];
};

static const struct {
	const char *name;
	enum stage_access access;
	const char *writable;
} presets[] = {
	{ "planner", STAGE_ACCESS_RO, NULL },     { "test-writer", STAGE_ACCESS_RO, "tests" },
	{ "implementor", STAGE_ACCESS_RW, NULL }, { "reviewer", STAGE_ACCESS_RO, NULL },
	{ "judge", STAGE_ACCESS_RW, NULL },
};

/* By enum stage_access and enum network_mode. */
static const char *const access_names[] = { NULL, "rw", "ro" };
static const char *const network_names[] = { "", "none", "gateway", "host" };

static void entry_deinit(struct entry *e)
{
	free(e->stage.name);
	string_list_deinit(&e->stage.writable);
	string_list_deinit(&e->stage.tools);
	free(e->path);
}

struct stages *stages_ref(struct stages *s)
{
	s->references++;
	return s;
}

struct stages *stages_unref(struct stages *s)
{
	size_t i;

	if (!s || --s->references > 0)
		return NULL;
	for (i = 0; i < s->count; i++)
		entry_deinit(&s->entries[i]);
	free(s);
	return NULL;
}

static int table_new(struct stages **ret)
{
	struct stages *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->references = 1;
	*ret = s;
	return 0;
}

/* ---- the parts of a profile ---- */

static bool name_is_good(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length <= NAME_LENGTH_MAX && strspn(name, NAME_LETTERS) > 0 &&
	       strspn(name, NAME_LETTERS "._+-") == length;
}

/* Relative, without "..", "." and empty parts, and not git's own. Nor a pattern: it would be made
 * as a directory of that name. */
static bool path_is_good(const char *path)
{
	size_t length;

	if (strlen(path) > STAGE_PATH_MAX || strpbrk(path, "*?["))
		return false;
	for (;; path += length + 1) {
		length = strcspn(path, "/");
		if (length == 0 || (length <= 2 && memcmp(path, "..", length) == 0) ||
		    (length == 4 && memcmp(path, ".git", length) == 0))
			return false;
		if (path[length] == '\0')
			return true;
	}
}

/* Appends PATH, without a slash at its end ("tests/"), unless it is there. */
static int add_path(struct string_list *l, const char *path)
{
	CLEANUP_STR char *copy = strdup(path);
	size_t i, length = strlen(path);

	if (!copy)
		return -ENOMEM;
	if (length > 1 && copy[length - 1] == '/')
		copy[length - 1] = '\0';
	if (!path_is_good(copy))
		return -EINVAL;
	for (i = 0; i < l->count; i++)
		if (strcmp(l->items[i], copy) == 0)
			return 0;
	return l->count == STAGE_WRITABLE_MAX ? -E2BIG : string_list_take(l, TAKE_PTR(copy));
}

static int add_tool(struct string_list *l, const char *name)
{
	size_t i;

	if (!name_is_good(name))
		return -EINVAL;
	for (i = 0; i < l->count; i++)
		if (strcmp(l->items[i], name) == 0)
			return 0;
	return l->count == STAGE_TOOLS_MAX ? -E2BIG : string_list_add(l, name);
}

/* ---- tables ---- */

static struct entry *find(struct stages *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (strcmp(s->entries[i].stage.name, name) == 0)
			return &s->entries[i];
	return NULL;
}

static int add(struct stages *s, const char *name, struct entry **ret)
{
	struct entry *e;

	if (s->count == STAGES_MAX)
		return -E2BIG;
	e = &s->entries[s->count];
	*e = (struct entry){ .stage = { .access = STAGE_ACCESS_RW, .timeout_ms = -1 } };
	e->stage.name = strdup(name);
	if (!e->stage.name)
		return -ENOMEM;
	s->count++;
	*ret = e;
	return 0;
}

int stages_new(struct stages **ret)
{
	CLEANUP(stages_unrefp) struct stages *s = NULL;
	struct entry *e = NULL;
	size_t i;
	int r = table_new(&s);

	for (i = 0; r == 0 && i < ARRAY_SIZE(presets); i++) {
		r = add(s, presets[i].name, &e);
		if (r < 0)
			break;
		e->stage.access = presets[i].access;
		if (presets[i].writable)
			r = add_path(&e->stage.writable, presets[i].writable);
	}
	if (r == 0)
		*ret = TAKE_PTR(s);
	return r;
}

const struct stage *stages_find(const struct stages *s, const char *name)
{
	size_t i;

	for (i = 0; s && i < s->count; i++)
		if (strcmp(s->entries[i].stage.name, name) == 0)
			return &s->entries[i].stage;
	return NULL;
}

size_t stages_count(const struct stages *s)
{
	return s->count;
}

const struct stage *stages_at(const struct stages *s, size_t i)
{
	return &s->entries[i].stage;
}

static bool same_list(const struct string_list *a, const struct string_list *b)
{
	size_t i;

	for (i = 0; a->count == b->count && i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return a->count == b->count;
}

static bool same_stage(const struct stage *a, const struct stage *b)
{
	return strcmp(a->name, b->name) == 0 && a->access == b->access &&
	       a->timeout_ms == b->timeout_ms && a->network == b->network &&
	       same_list(&a->writable, &b->writable) && same_list(&a->tools, &b->tools);
}

bool stages_equal(const struct stages *a, const struct stages *b)
{
	size_t i;

	for (i = 0; a->count == b->count && i < a->count; i++)
		if (!same_stage(&a->entries[i].stage, &b->entries[i].stage))
			return false;
	return a->count == b->count;
}

/* ---- from a call ---- */

struct reader {
	const struct config *config;
	struct error *reterr;
	size_t index; /* of the entry at hand */
};

/* FIELD of the entry, which may be the item ITEM of a list. */
static const char *field_of(const struct reader *r, const char *field, ssize_t item,
			    char text[static FIELD_SIZE])
{
	if (item >= 0)
		(void)snprintf(text, FIELD_SIZE, "stages[%zu].%s[%zd]", r->index, field, item);
	else
		(void)snprintf(text, FIELD_SIZE, "stages[%zu].%s", r->index, field);
	return text;
}

static int copy_list(struct string_list *to, const struct string_list *from)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < from->count; i++)
		r = string_list_add(to, from->items[i]);
	return r;
}

/* What the entry does not say. */
static int inherit(struct stage *s, const struct stage *base)
{
	int r;

	s->access = base->access;
	s->timeout_ms = base->timeout_ms;
	s->network = base->network;
	r = copy_list(&s->writable, &base->writable);
	return r < 0 ? r : copy_list(&s->tools, &base->tools);
}

static int read_writable(struct reader *r, struct stage *s, const struct strings *paths)
{
	char field[FIELD_SIZE];
	size_t i;
	int error;

	for (i = 0; i < paths->count; i++) {
		error = add_path(&s->writable, paths->items[i]);
		if (error == -ENOMEM)
			return error_set_errno(r->reterr, error, "the stages could not be kept");
		if (error < 0)
			return error_set(r->reterr,
					 error == -E2BIG ? ERROR_LIMIT_REACHED
							 : ERROR_INVALID_PARAMS,
					 field_of(r, "writable", (ssize_t)i, field),
					 error == -E2BIG
						 ? "name a directory above them"
						 : "a path below the workspace, such as tests, "
						   "without \"..\", .git and patterns",
					 error == -E2BIG ? "stage %s leaves too many directories "
							   "writable"
							 : "stage %s cannot leave that directory "
							   "writable",
					 s->name);
	}
	return 0;
}

static int read_tools(struct reader *r, struct stage *s, const struct strings *tools)
{
	struct tool_choice choice;
	char field[FIELD_SIZE];
	size_t i;
	int error;

	for (i = 0; i < tools->count; i++) {
		(void)field_of(r, "tools", (ssize_t)i, field);
		if (!name_is_good(tools->items[i]))
			return error_set(r->reterr, ERROR_INVALID_PARAMS, field,
					 "a tool's name, without a version",
					 "stage %s names a tool that is none", s->name);
		if (tool_choose(r->config, tools->items[i], field, &choice, r->reterr) < 0)
			return -1;
		error = add_tool(&s->tools, tools->items[i]);
		if (error < 0)
			return error_set_errno(r->reterr, error, "the stages could not be kept");
	}
	return 0;
}

static int read_access(struct reader *r, struct stage *s, const struct stage_params *p)
{
	char field[FIELD_SIZE];

	if (p->writable.count > 0 && p->access == STAGE_ACCESS_RW)
		return error_set(r->reterr, ERROR_INVALID_PARAMS,
				 field_of(r, "writable", -1, field),
				 "\"workspace\": \"ro\", or no \"writable\"",
				 "stage %s can write everywhere, naming directories has no meaning",
				 s->name);
	if (p->access != STAGE_ACCESS_UNSET || p->writable.count > 0) {
		s->access = p->access == STAGE_ACCESS_RW ? STAGE_ACCESS_RW : STAGE_ACCESS_RO;
		string_list_deinit(&s->writable);
	}
	return read_writable(r, s, &p->writable);
}

static int read_stage(struct reader *r, struct stages *s, const struct stage_params *p)
{
	const struct stage *base = stages_find(r->config->stages, p->name);
	char field[FIELD_SIZE];
	struct entry *e = NULL;
	int error;

	if (find(s, p->name))
		return error_set(r->reterr, ERROR_INVALID_PARAMS, field_of(r, "name", -1, field),
				 "each name once", "stage %s is there twice", p->name);
	error = add(s, p->name, &e);
	if (error == -E2BIG)
		return error_set(r->reterr, ERROR_LIMIT_REACHED, "stages", NULL,
				 "there cannot be more than %d stages", STAGES_MAX);
	if (error == 0 && base)
		error = inherit(&e->stage, base);
	if (error < 0)
		return error_set_errno(r->reterr, error, "the stages could not be kept");
	if (p->timeout_ms > 0)
		e->stage.timeout_ms = p->timeout_ms;
	if (p->network != NETWORK_UNSET)
		e->stage.network = p->network;
	if (p->tools.count > 0)
		string_list_deinit(&e->stage.tools);
	if (read_access(r, &e->stage, p) < 0)
		return -1;
	return read_tools(r, &e->stage, &p->tools);
}

int stages_from_params(struct stages **ret, const struct config *config,
		       const struct stages_params *params, struct error *reterr)
{
	CLEANUP(stages_unrefp) struct stages *s = NULL;
	struct reader r = { .config = config, .reterr = reterr };
	int error = table_new(&s);

	if (error < 0)
		return error_set_errno(reterr, error, "the stages could not be kept");
	for (r.index = 0; r.index < params->count; r.index++)
		if (read_stage(&r, s, &params->items[r.index]) < 0)
			return -1;
	*ret = TAKE_PTR(s);
	return 0;
}

/* ---- for the store ----
 *
 * Of each: name, access, network, timeout, how many directories, they, how many tools, they. */

static int pack_list(struct string_list *to, const struct string_list *from)
{
	int r = string_list_take(to, string_format("%zu", from->count));

	return r < 0 ? r : copy_list(to, from);
}

static int pack_stage(struct string_list *l, const struct stage *s)
{
	int r = string_list_add(l, s->name);

	if (r == 0)
		r = string_list_add(l, access_names[s->access]);
	if (r == 0)
		r = string_list_add(l, network_names[s->network]);
	if (r == 0)
		r = string_list_take(l, string_format("%" PRId64, s->timeout_ms));
	if (r == 0)
		r = pack_list(l, &s->writable);
	return r < 0 ? r : pack_list(l, &s->tools);
}

int stages_pack(const struct stages *s, char **ret, size_t *ret_size)
{
	CLEANUP_STRINGS struct string_list l = { 0 };
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < s->count; i++)
		r = pack_stage(&l, &s->entries[i].stage);
	return r < 0 ? r : strings_pack((const char *const *)l.items, l.count, ret, ret_size);
}

struct unpacker {
	struct string_list list;
	size_t at;
};

static const char *next_text(struct unpacker *u)
{
	return u->at < u->list.count ? u->list.items[u->at++] : NULL;
}

static int next_word(struct unpacker *u, const char *const *words, size_t count, int *ret)
{
	const char *text = next_text(u);
	size_t i;

	for (i = 0; text && i < count; i++) {
		if (words[i] && strcmp(words[i], text) == 0) {
			*ret = (int)i;
			return 0;
		}
	}
	return -EBADMSG;
}

static int next_count(struct unpacker *u, int64_t max, int64_t *ret)
{
	const char *text = next_text(u);

	return text && quantity_count(text, ret) == 0 && *ret <= max ? 0 : -EBADMSG;
}

static int unpack_list(struct unpacker *u, struct string_list *l, int64_t max,
		       int (*add_item)(struct string_list *l, const char *item))
{
	const char *text;
	int64_t count;
	int r = next_count(u, max, &count);

	for (; r == 0 && count > 0; count--) {
		text = next_text(u);
		r = text ? add_item(l, text) : -EBADMSG;
	}
	return r == 0 || r == -ENOMEM ? r : -EBADMSG;
}

static int unpack_timeout(struct unpacker *u, struct stage *s)
{
	const char *text = next_text(u);

	s->timeout_ms = -1;
	if (!text)
		return -EBADMSG;
	return strcmp(text, "-1") == 0 || quantity_count(text, &s->timeout_ms) == 0 ? 0 : -EBADMSG;
}

static int unpack_stage(struct unpacker *u, struct stages *s)
{
	const char *name = next_text(u);
	struct entry *e = NULL;
	int access, network, r;

	if (!name || !name_is_good(name) || find(s, name))
		return -EBADMSG;
	r = add(s, name, &e);
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	if (next_word(u, access_names, ARRAY_SIZE(access_names), &access) < 0 ||
	    next_word(u, network_names, ARRAY_SIZE(network_names), &network) < 0 ||
	    unpack_timeout(u, &e->stage) < 0)
		return -EBADMSG;
	e->stage.access = (enum stage_access)access;
	e->stage.network = (enum network_mode)network;
	r = unpack_list(u, &e->stage.writable, STAGE_WRITABLE_MAX, add_path);
	if (r == 0)
		r = unpack_list(u, &e->stage.tools, STAGE_TOOLS_MAX, add_tool);
	if (r == 0 && e->stage.access == STAGE_ACCESS_RW && e->stage.writable.count > 0)
		r = -EBADMSG;
	return r;
}

int stages_unpack(struct stages **ret, const void *block, size_t size)
{
	CLEANUP(stages_unrefp) struct stages *s = NULL;
	struct unpacker u = { 0 };
	int r = table_new(&s);

	if (r == 0)
		r = strings_unpack(block, size, &u.list);
	while (r == 0 && u.at < u.list.count)
		r = unpack_stage(&u, s);
	string_list_deinit(&u.list);
	if (r == 0)
		*ret = TAKE_PTR(s);
	return r;
}

/* ---- for the configuration ---- */

int stages_section(struct stages *s, const char *name, struct stage **ret)
{
	struct entry *e = find(s, name);
	int r;

	if (!e) {
		if (!name_is_good(name))
			return -EINVAL;
		r = add(s, name, &e);
		if (r < 0)
			return r;
	}
	*ret = &e->stage;
	return 0;
}

static struct entry *entry_of(void *stage)
{
	return stage;
}

void stage_set_place(struct stage *stage, const char *path, unsigned line)
{
	struct entry *e = entry_of(stage);

	free(e->path);
	e->path = strdup(path); /* NULL: a problem is told without it */
	e->line = line;
}

const char *stage_tools_place(const struct stage *stage, unsigned *ret_line)
{
	const struct entry *e = (const void *)stage;

	*ret_line = e->tools_line;
	return e->path ? e->path : "?";
}

void stage_mark_wrong(struct stage *stage)
{
	entry_of(stage)->wrong = true;
}

void stages_close_wrong(struct stages *s)
{
	size_t i;

	for (i = 0; i < s->count; i++) {
		struct stage *stage = &s->entries[i].stage;

		if (!s->entries[i].wrong)
			continue;
		stage->access = STAGE_ACCESS_RO;
		string_list_deinit(&stage->writable);
		stage->network = NETWORK_NONE;
		log_warning("stage %s is read-only and without network until that is mended",
			    stage->name);
	}
}

/* The preset's directories count as long as nothing else is said. */
int stage_set_workspace(const char *value, void *stage)
{
	struct entry *e = entry_of(stage);
	bool rw = strcmp(value, "rw") == 0;

	if ((!rw && strcmp(value, "ro") != 0) || (rw && e->writable_given))
		return -EINVAL;
	e->stage.access = rw ? STAGE_ACCESS_RW : STAGE_ACCESS_RO;
	e->access_given = true;
	if (!e->writable_given)
		string_list_deinit(&e->stage.writable);
	return 0;
}

/* Calls ADD_ITEM with each part of VALUE between commas, without the spaces around it. */
static int split(const char *value, struct string_list *l,
		 int (*add_item)(struct string_list *l, const char *item))
{
	CLEANUP_STR char *copy = strdup(value);
	char *item, *end, *next = copy;
	int r = copy ? 0 : -ENOMEM;

	while (r == 0 && next) {
		item = next + strspn(next, " \t");
		next = strchr(item, LIST_SEPARATOR);
		end = next ? next++ : item + strlen(item);
		while (end > item && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		*end = '\0';
		r = add_item(l, item);
	}
	return r;
}

int stage_set_writable(const char *value, void *stage)
{
	CLEANUP_STRINGS struct string_list l = { 0 };
	struct entry *e = entry_of(stage);
	int r;

	if (e->access_given && e->stage.access == STAGE_ACCESS_RW)
		return -EINVAL;
	r = split(value, &l, add_path);
	if (r < 0)
		return r;
	string_list_deinit(&e->stage.writable);
	e->stage.writable = l;
	l = (struct string_list){ 0 };
	e->stage.access = STAGE_ACCESS_RO;
	e->writable_given = true;
	return 0;
}

int stage_set_tools(const char *value, void *stage)
{
	CLEANUP_STRINGS struct string_list l = { 0 };
	struct entry *e = entry_of(stage);
	int r = split(value, &l, add_tool);

	if (r < 0)
		return r;
	string_list_deinit(&e->stage.tools);
	e->stage.tools = l;
	e->tools_line = e->line;
	l = (struct string_list){ 0 };
	return 0;
}

int stage_set_timeout(const char *value, void *stage)
{
	int64_t ms;
	int r = quantity_duration(value, &ms);

	if (r < 0 || ms < 1)
		return -EINVAL;
	entry_of(stage)->stage.timeout_ms = ms;
	return 0;
}

int stage_set_network(const char *value, void *stage)
{
	enum network_mode mode = NETWORK_UNSET;

	if (strcmp(value, "none") == 0)
		mode = NETWORK_NONE;
	else if (strcmp(value, "host") == 0)
		mode = NETWORK_HOST;
	else
		return -EINVAL;
	entry_of(stage)->stage.network = mode;
	return 0;
}
