/* SPDX-License-Identifier: Apache-2.0 */
/* A spool goes with its sandbox, so logs are taken while that is there: of each of its last
 * EXECS_MAX commands the last characters. All of it has a cap, in a loop and in the database. */

#include "loop/kept.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loop/artifacts-output.h"
#include "loop/git-head.h"
#include "loop/git-refs.h"
#include "loop/loop-internal.h"
#include "loop/run-text.h"
#include "sandbox/exec.h"
#include "sandbox/sandbox.h"
#include "sandbox/workspace.h"
#include "store/loops.h"
#include "store/store.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/time.h"

#define EXECS_MAX 64         /* of each sandbox */
#define EXEC_CHARACTERS 8192 /* of each stream of each command */
#define TEXT_CHARACTERS 262144
#define COMMAND_CHARACTERS 200
#define REFS_MAX 1000              /* that are named */
#define KEPT_BYTES_MAX (256 << 20) /* of all loops; the oldest go */

/* ---- logs ---- */

struct logs {
	FILE *log;
	FILE *out;
	FILE *err;
	const char *sandbox;
	size_t skip; /* commands of it that are too long ago */
};

/* The arguments with blanks between them; NULL: no memory. */
static char *command_line(const struct exec_facts *f)
{
	CLEANUP_STR char *line = malloc(f->command_size + 1);
	size_t i, n = f->command_size > 0 ? f->command_size - 1 : 0; /* without the last NUL */

	if (!line)
		return NULL;
	for (i = 0; i < n; i++)
		line[i] = f->command[i] == '\0' || f->command[i] == '\n' ? ' ' : f->command[i];
	if (n > COMMAND_CHARACTERS)
		n = COMMAND_CHARACTERS;
	return run_text_tail(line, n, COMMAND_CHARACTERS);
}

/* The last characters of STREAM, under a line that says whose they are. */
static void add_tail(FILE *to, const struct exec *e, enum keeper_spool_stream stream)
{
	const struct exec_facts *f = exec_facts(e);
	uint64_t size = f->stream[stream].end - f->stream[stream].start;
	CLEANUP_FD int fd = size > 0 ? exec_open_spool(e, stream) : -1;
	char bytes[EXEC_CHARACTERS];
	CLEANUP_STR char *text = NULL;

	if (fd < 0)
		return;
	if (size > sizeof(bytes))
		size = sizeof(bytes);
	size = fd_read_at(fd, bytes, size, f->stream[stream].end - size);
	text = run_text_tail(bytes, size, EXEC_CHARACTERS);
	if (!text || text[0] == '\0')
		return;
	(void)fprintf(to, "== exec %s\n%s%s", f->id, text,
		      text[strlen(text) - 1] == '\n' ? "" : "\n");
}

static bool add_exec(struct exec *e, void *userdata)
{
	const struct exec_facts *f = exec_facts(e);
	CLEANUP_STR char *line = NULL, *ending = NULL;
	struct logs *logs = userdata;
	char at[TIME_TEXT_SIZE];

	if (logs->skip > 0) {
		logs->skip--;
		return true;
	}
	time_format(f->created_at_ms, at);
	line = command_line(f);
	ending = run_text_ending(&f->result, f->result.duration_ms);
	(void)fprintf(logs->log, "%s exec %s in %s%s%s: %s: %s\n", at, f->id, logs->sandbox,
		      f->stage ? ", stage " : "", f->stage ? f->stage : "", line ? line : "?",
		      f->state == EXEC_STATE_ENDED && ending ? ending : "did not end");
	add_tail(logs->out, e, KEEPER_STREAM_STDOUT);
	add_tail(logs->out, e, KEEPER_STREAM_OUTPUT);
	add_tail(logs->err, e, KEEPER_STREAM_STDERR);
	return true;
}

static bool count_exec(struct exec *e, void *userdata)
{
	size_t *n = userdata;

	(void)e;
	(*n)++;
	return true;
}

static int save_text(const struct loop *l, enum store_kept kind, const char *data, size_t size)
{
	CLEANUP_STR char *text = run_text_tail(data, size, TEXT_CHARACTERS);

	if (!text)
		return -ENOMEM;
	return store_loop_keep(l->manager->store, l->facts.peer, l->facts.id, kind,
			       (struct bytes){ text, strlen(text) });
}

/* Three streams into memory, then into the database. */
int loop_kept_save_logs(const struct loop *l, const struct loop_member *members, size_t n)
{
	static const enum store_kept kinds[] = { STORE_KEPT_LOG, STORE_KEPT_STDOUT,
						 STORE_KEPT_STDERR };
	char *data[ARRAY_SIZE(kinds)] = { NULL };
	size_t i, size[ARRAY_SIZE(kinds)] = { 0 };
	FILE *f[ARRAY_SIZE(kinds)];
	int r = 0;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		f[i] = open_memstream(&data[i], &size[i]);
		if (!f[i])
			r = -ENOMEM;
	}
	for (i = 0; r == 0 && i < n; i++) {
		const struct sandbox *s = members[i].sandbox;
		struct logs logs = { f[0], f[1], f[2], sandbox_name(s), 0 };
		size_t count = 0;

		exec_table_each_in(l->manager, s, count_exec, &count);
		logs.skip = count > EXECS_MAX ? count - EXECS_MAX : 0;
		exec_table_each_in(l->manager, s, add_exec, &logs);
	}
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (f[i] && fclose(f[i]) != 0)
			r = -ENOMEM;
		if (r == 0)
			r = save_text(l, kinds[i], data[i], size[i]);
		free(data[i]);
	}
	return r;
}

/* ---- where it began ---- */

/* The commit, HEAD's branch or "", then the refs, as strings. Without refs: they are not known. */
static int pack_beginning(const char *sha, const struct git_refs *refs, char **ret,
			  size_t *ret_size)
{
	CLEANUP_STRINGS struct string_list all = { 0 };
	size_t i;
	int r = string_list_add(&all, sha);

	if (r == 0 && refs)
		r = string_list_add(&all, refs->head ? refs->head : "");
	for (i = 0; r == 0 && refs && i < refs->refs.count; i++)
		r = string_list_add(&all, refs->refs.items[i]);
	return r < 0 ? r : strings_pack((const char *const *)all.items, all.count, ret, ret_size);
}

static int save_beginning(const struct loop *l, const struct workspace *w)
{
	CLEANUP_REFS struct git_refs refs = { 0 };
	CLEANUP_STR char *block = NULL;
	char sha[GIT_SHA_SIZE] = "";
	size_t size = 0;
	bool known;
	int r;

	if (git_head_read(w, sha) < 0)
		sha[0] = '\0'; /* no commit yet, perhaps */
	r = git_refs_read(w, &refs);
	known = r == 0;
	if (r == -ENOENT)
		return 0; /* no repository */
	if (!known)
		(void)log_errno(LOG_LEVEL_INFO, r,
				"loop %s: refs of its repository are not compared", l->facts.id);
	r = pack_beginning(sha, known ? &refs : NULL, &block, &size);
	return r < 0 ? r
		     : store_loop_keep(l->manager->store, l->facts.peer, l->facts.id,
				       STORE_KEPT_BEGINNING, (struct bytes){ block, size });
}

void loop_kept_save_beginning(const struct loop *l)
{
	struct workspace *w = NULL;
	int r;

	if (loop_open_work_dir(l->manager, l->facts.peer, l->facts.work_dir, &w, NULL) < 0)
		return; /* the create says why */
	r = save_beginning(l, w);
	(void)workspace_free(w); /* returns NULL */
	if (r < 0)
		(void)log_errno(LOG_LEVEL_WARNING, r,
				"loop %s: its first commit cannot be stored, its patch will be "
				"counted from HEAD",
				l->facts.id);
}

/* NULL: it is not there. */
static char *load(const struct loop *l, enum store_kept kind, size_t *ret_size)
{
	char *data = NULL;
	int r = store_loop_kept(l->manager->store, l->facts.peer, l->facts.id, kind, &data,
				ret_size);

	if (r < 0 && r != -ENOENT && log_ratelimit())
		(void)log_errno(LOG_LEVEL_WARNING, r,
				"what was kept of loop %s cannot be read, going on without",
				l->facts.id);
	return data;
}

/* What save_beginning() stored. */
static int load_beginning(const struct loop *l, struct string_list *ret)
{
	CLEANUP_STR char *data = NULL;
	size_t size = 0;

	data = load(l, STORE_KEPT_BEGINNING, &size);
	return data ? strings_unpack(data, size, ret) : -ENOENT;
}

char *loop_kept_base(const struct loop *l)
{
	CLEANUP_STRINGS struct string_list lines = { 0 };

	if (load_beginning(l, &lines) < 0 || lines.count == 0 || lines.items[0][0] == '\0')
		return NULL;
	return strdup(lines.items[0]);
}

/* ---- refs ---- */

static int read_refs(const struct loop *l, struct git_refs *ret)
{
	struct workspace *w = NULL;
	int r;

	if (loop_open_work_dir(l->manager, l->facts.peer, l->facts.work_dir, &w, NULL) < 0)
		return -ENOENT;
	r = git_refs_read(w, ret);
	(void)workspace_free(w); /* returns NULL */
	return r;
}

int loop_kept_save_refs(const struct loop *l)
{
	CLEANUP_STRINGS struct string_list lines = { 0 }, changed = { 0 };
	CLEANUP_REFS struct git_refs before = { 0 }, now = { 0 };
	CLEANUP_STR char *block = NULL;
	size_t i, size = 0;
	int r = 0;

	if (load_beginning(l, &lines) < 0 || lines.count < 2 || read_refs(l, &now) < 0)
		return 0;
	for (i = 2; r == 0 && i < lines.count; i++)
		r = string_list_add(&before.refs, lines.items[i]);
	if (r == 0)
		r = git_refs_compare(&before, &now, lines.items[1], &changed);
	while (changed.count > REFS_MAX) {
		changed.count--;
		free(TAKE_PTR(changed.items[changed.count]));
	}
	if (r == 0)
		r = strings_pack((const char *const *)changed.items, changed.count, &block, &size);
	return r < 0 ? r
		     : store_loop_keep(l->manager->store, l->facts.peer, l->facts.id,
				       STORE_KEPT_REFS, (struct bytes){ block, size });
}

static void load_refs(const struct loop *l, struct loop_kept *k)
{
	CLEANUP_STR char *data = NULL;
	size_t size = 0;

	data = load(l, STORE_KEPT_REFS, &size);
	k->refs_known = data && strings_unpack(data, size, &k->refs) == 0;
}

/* ---- artifacts ---- */

int loop_kept_save_artifacts(const struct loop *l, const struct artifacts_result *r)
{
	CLEANUP_STR char *block = NULL;
	size_t size = 0;
	int e = artifacts_pack(r, &block, &size);

	if (e == 0)
		e = store_loop_keep(l->manager->store, l->facts.peer, l->facts.id,
				    STORE_KEPT_ARTIFACTS, (struct bytes){ block, size });
	if (e == 0)
		e = store_loop_kept_trim(l->manager->store, KEPT_BYTES_MAX);
	return e;
}

/* ---- reading ---- */

static char *load_text(const struct loop *l, enum store_kept kind)
{
	CLEANUP_STR char *data = NULL;
	size_t size = 0;

	data = load(l, kind, &size);
	return data ? run_text_tail(data, size, TEXT_CHARACTERS) : NULL;
}

void loop_kept_load(const struct loop *l, struct loop_kept *ret)
{
	CLEANUP_STR char *data = NULL;
	size_t size = 0;

	*ret = (struct loop_kept){ 0 };
	data = load(l, STORE_KEPT_ARTIFACTS, &size);
	if (data) {
		ret->looked = artifacts_parse(&ret->artifacts, data, size) == 0;
		if (!ret->looked)
			log_warning("what was kept of loop %s is damaged, going on without",
				    l->facts.id);
	}
	load_refs(l, ret);
	ret->log = load_text(l, STORE_KEPT_LOG);
	ret->out = load_text(l, STORE_KEPT_STDOUT);
	ret->err = load_text(l, STORE_KEPT_STDERR);
}

void loop_kept_deinit(struct loop_kept *k)
{
	artifacts_result_deinit(&k->artifacts);
	string_list_deinit(&k->refs);
	free(k->log);
	free(k->out);
	free(k->err);
	*k = (struct loop_kept){ 0 };
}
