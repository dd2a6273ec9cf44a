/* SPDX-License-Identifier: Apache-2.0 */
/* What was written is never changed: a file whose end is not what is remembered is left, and the
 * next one goes on from what is remembered. So a cut tail or a rewrite is a gap in the chain for as
 * long as the files are kept, and nobody without the key can close it.
 *
 * A file begins under another name, and gets its own when its first line is in it. Before one is
 * begun the head is saved, so that the end of the last file is never behind what is remembered. */

#include "secret/audit-log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro.h"
#include "secret/audit.h"
#include "util/log.h"
#include "util/time.h"

#define NEW_FILE "new"
#define SUFFIX ".jsonl"
#define FILES_SEEN_MAX 4096 /* names that are looked at */

void audit_log_file_name(int64_t first, char name[static AUDIT_FILE_NAME_SIZE])
{
	(void)snprintf(name, AUDIT_FILE_NAME_SIZE, "%012" PRId64 SUFFIX, first);
}

int audit_log_open_file(const struct audit_log *l, int64_t first)
{
	char name[AUDIT_FILE_NAME_SIZE];
	int fd;

	audit_log_file_name(first, name);
	fd = openat(l->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* ---- which files there are ---- */

int audit_log_look(struct audit_log *l)
{
	int fd;

	if (mkdirat(l->parent_fd, l->name, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(l->parent_fd, l->name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	(void)close_fd(l->dir_fd);
	l->dir_fd = fd;
	return 0;
}

/* 0: NAME is none of the log's. */
static int64_t first_of(const char *name)
{
	char same[AUDIT_FILE_NAME_SIZE];
	int64_t first = strtoll(name, NULL, 10);

	if (first <= 0)
		return 0;
	audit_log_file_name(first, same);
	return strcmp(name, same) == 0 ? first : 0;
}

static int by_number(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int list_files(int dir_fd, int64_t **ret, size_t *ret_count)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int64_t *files;
	size_t n = 0;
	int r;

	if (!d) {
		r = -errno;
		(void)close_fd(fd);
		return r;
	}
	files = calloc(FILES_SEEN_MAX, sizeof(*files));
	while (files && n < FILES_SEEN_MAX && (entry = readdir(d))) {
		files[n] = first_of(entry->d_name);
		if (files[n] > 0)
			n++;
	}
	(void)closedir(d); /* only read from */
	if (!files)
		return -ENOMEM;
	qsort(files, n, sizeof(*files), by_number);
	*ret = files;
	*ret_count = n;
	return 0;
}

int audit_log_files(const struct audit_log *l, int64_t **ret, size_t *ret_count)
{
	int64_t *files = NULL;
	size_t n = 0, skip = 0;
	int r = list_files(l->dir_fd, &files, &n);

	if (r < 0)
		return r;
	while (skip < n && files[skip] < l->now.first)
		skip++; /* given up, and its removal was not finished */
	memmove(files, files + skip, (n - skip) * sizeof(*files));
	*ret = files;
	*ret_count = n - skip;
	return 0;
}

/* ---- the walk ---- */

int audit_walk_begin(const struct audit_log *l, int64_t from, int64_t upto, struct audit_walk *ret)
{
	struct audit_walk w = { .fd = -1, .upto = upto, .at.hash = AUDIT_HASH_NONE };
	int r = audit_log_files(l, &w.files, &w.n_files);

	if (r < 0)
		return r;
	while (w.next + 1 < w.n_files && w.files[w.next + 1] <= from)
		w.next++;
	w.at.count = w.next < w.n_files ? w.files[w.next] - 1 : 0;
	*ret = w;
	return 0;
}

void audit_walk_end(struct audit_walk *w)
{
	w->fd = close_fd(w->fd);
	free(TAKE_PTR(w->files));
}

static bool walk_fault(struct audit_walk *w, enum audit_fault fault)
{
	w->fault = fault;
	return false;
}

static bool next_file(const struct audit_log *l, struct audit_walk *w)
{
	w->fd = close_fd(w->fd);
	if (w->next == w->n_files)
		return walk_fault(w,
				  w->at.count < w->upto ? AUDIT_FAULT_MISSING : AUDIT_FAULT_NONE);
	w->fd = audit_log_open_file(l, w->files[w->next]);
	if (w->fd == -ENOENT && w->files[w->next] < l->now.first) {
		w->next++; /* it was given up meanwhile */
		w->anchored = false;
		w->fd = -1;
		return true;
	}
	if (w->fd < 0) {
		w->fd = -1;
		return walk_fault(w, AUDIT_FAULT_READ);
	}
	w->next++;
	w->offset = 0;
	w->at_begin = true;
	return true;
}

static enum audit_fault check_begin(const struct audit_log *l, struct audit_walk *w,
				    const struct audit_line *line)
{
	char key_id[AUDIT_KEY_ID_SIZE];

	if (!line->is_begin || line->seq != w->files[w->next - 1])
		return AUDIT_FAULT_CHANGED;
	audit_key_id(l->key, key_id);
	if (strcmp(line->key_id, key_id) != 0)
		return AUDIT_FAULT_KEY;
	if (!w->anchored) {
		w->at.count = line->seq - 1;
		memcpy(w->at.hash, line->previous, AUDIT_HASH_SIZE);
		w->anchored = true;
	}
	if (line->seq > w->at.count + 1)
		return AUDIT_FAULT_MISSING;
	return strcmp(line->previous, w->at.hash) == 0 ? AUDIT_FAULT_NONE : AUDIT_FAULT_CHANGED;
}

static enum audit_fault check_line(const struct audit_log *l, struct audit_walk *w,
				   const char *text, size_t size)
{
	struct audit_line line;
	enum audit_fault fault = AUDIT_FAULT_NONE;

	if (!audit_line_read(text, size, &line))
		return AUDIT_FAULT_DAMAGED;
	if (w->at_begin)
		fault = check_begin(l, w, &line);
	else if (line.seq > w->at.count + 1)
		return AUDIT_FAULT_MISSING;
	if (fault == AUDIT_FAULT_NONE &&
	    (line.seq != w->at.count + 1 || !audit_line_is_true(l->key, w->at.hash, text, size)))
		fault = AUDIT_FAULT_CHANGED;
	if (fault != AUDIT_FAULT_NONE)
		return fault;
	w->at_begin = false;
	w->at.count = line.seq;
	memcpy(w->at.hash, line.mac, AUDIT_HASH_SIZE);
	return AUDIT_FAULT_NONE;
}

bool audit_walk_step(const struct audit_log *l, struct audit_walk *w, audit_seen *seen,
		     void *userdata)
{
	char piece[AUDIT_LINE_MAX];
	const char *at = piece, *end;
	ssize_t n;

	if (w->at.count >= w->upto && w->anchored)
		return false;
	if (w->fd < 0)
		return next_file(l, w);
	n = pread(w->fd, piece, sizeof(piece), w->offset);
	if (n < 0)
		return walk_fault(w, AUDIT_FAULT_READ);
	if (n == 0 && !w->at_begin)
		return next_file(l, w);
	while ((end = memchr(at, '\n', (size_t)(piece + n - at)))) {
		w->fault = check_line(l, w, at, (size_t)(end - at));
		if (w->fault != AUDIT_FAULT_NONE)
			return false;
		if (seen)
			seen(&w->at, userdata);
		at = end + 1;
		if (w->at.count >= w->upto)
			return false;
	}
	w->offset += at - piece;
	return at > piece || walk_fault(w, AUDIT_FAULT_DAMAGED); /* an unfinished line, or none */
}

/* ---- files that are begun ---- */

static int save(const struct audit_log *l)
{
	return l->save(&l->now, l->userdata);
}

/* All of it or nothing. */
static int write_whole(int fd, const char *data, size_t size, int64_t before)
{
	ssize_t n = write(fd, data, size);
	int r = n < 0 ? -errno : -ENOSPC;

	if (n == (ssize_t)size)
		return 0;
	if (n > 0 && ftruncate(fd, before) < 0)
		log_warning("a part of an audit entry stays in the file, which is left");
	return r;
}

/* Files are kept for a while; what is given up is remembered before it goes. */
static void give_up_old(struct audit_log *l)
{
	char name[AUDIT_FILE_NAME_SIZE];
	int64_t *files = NULL;
	size_t n = 0, drop, i;

	if (list_files(l->dir_fd, &files, &n) < 0)
		return; /* with the next file */
	drop = n > l->files_max ? n - l->files_max : 0;
	if (drop > 0 && files[drop] > l->now.first) {
		l->now.first = files[drop];
		if (save(l) < 0)
			drop = 0;
	}
	if (drop > 0)
		log_notice("audit log: entries %" PRId64 " to %" PRId64 " are not kept any more",
			   files[0], files[drop] - 1);
	for (i = 0; i < drop; i++) {
		audit_log_file_name(files[i], name);
		(void)unlinkat(l->dir_fd, name, 0); /* with the next file */
	}
	free(files);
}

/* FD, which is called NAME, is written on; taken if that can be. Returns 0 or negative errno. */
static int use_file(struct audit_log *l, int *fd, const char *name)
{
	struct stat st;

	if (fstat(*fd, &st) < 0)
		return -errno;
	if (snprintf(l->path, sizeof(l->path), "%s/%s", l->name, name) >= (int)sizeof(l->path))
		return -ENAMETOOLONG;
	(void)close_fd(l->fd);
	l->fd = TAKE_FD(*fd);
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	l->file_bytes = st.st_size;
	return 0;
}

/* A new file that goes on from HEAD. */
static int begin_file(struct audit_log *l, struct audit_mark head)
{
	char line[AUDIT_LINE_MAX], name[AUDIT_FILE_NAME_SIZE];
	size_t size = audit_line_begin(l->key, &head, time_realtime_ms(), line);
	CLEANUP_FD int fd = -1;
	int r;

	fd = openat(l->dir_fd, NEW_FILE,
		    O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		    0600);
	if (fd < 0)
		return -errno;
	r = write_whole(fd, line, size, 0);
	if (r < 0)
		return r;
	audit_log_file_name(head.count, name);
	if (renameat(l->dir_fd, NEW_FILE, l->dir_fd, name) < 0)
		return -errno;
	r = use_file(l, &fd, name);
	if (r < 0)
		return r;
	l->now.head = head;
	if (l->now.first == 0)
		l->now.first = head.count;
	give_up_old(l);
	return 0;
}

/* ---- going on ---- */

/* Whether the walk passes what is remembered. */
struct passing {
	const struct audit_mark *mark;
	bool passed;
};

static bool is_mark(const struct audit_mark *a, const struct audit_mark *b)
{
	return a->count == b->count && strcmp(a->hash, b->hash) == 0;
}

static void look_for(const struct audit_mark *at, void *userdata)
{
	struct passing *p = userdata;

	p->passed |= is_mark(at, p->mark);
}

/* Follows what is there to its end. */
static int follow(struct audit_log *l, int64_t last, const struct audit_anchor *anchor,
		  struct audit_walk *w)
{
	struct passing p = { .mark = &anchor->head, .passed = anchor->first == 0 };
	int r = audit_walk_begin(l, anchor->first > 0 ? anchor->head.count : last, INT64_MAX, w);

	if (r < 0)
		return r;
	while (audit_walk_step(l, w, look_for, &p))
		;
	/* INT64_MAX is never reached: that nothing more is there is the good end */
	if (w->fault == AUDIT_FAULT_MISSING && w->next == w->n_files && w->fd < 0 && p.passed)
		w->fault = AUDIT_FAULT_NONE;
	else if (w->fault == AUDIT_FAULT_MISSING && !p.passed)
		w->fault = AUDIT_FAULT_CHANGED;
	return 0;
}

/* What is there ends as it should: it is written on. */
static int append_to(struct audit_log *l, int64_t first, const struct audit_mark *head)
{
	char name[AUDIT_FILE_NAME_SIZE];
	CLEANUP_FD int fd = -1;
	int r;

	audit_log_file_name(first, name);
	fd = openat(l->dir_fd, name, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = use_file(l, &fd, name);
	if (r == 0)
		l->now.head = *head;
	return r;
}

static int go_on(struct audit_log *l, const struct audit_anchor *anchor, const int64_t *files,
		 size_t n)
{
	struct audit_walk w = { .fd = -1 };
	struct audit_mark head =
		anchor->first > 0 ? anchor->head : (struct audit_mark){ 0, AUDIT_HASH_NONE };
	int r;

	if (n == 0)
		return begin_file(l, head);
	r = follow(l, files[n - 1], anchor, &w);
	if (r < 0)
		return r;
	if (w.fault == AUDIT_FAULT_NONE) {
		r = append_to(l, files[n - 1], &w.at);
	} else {
		if (anchor->first == 0)
			head = w.at;
		if (head.count < files[n - 1])
			head.count = files[n - 1]; /* its name is taken */
		log_error("the audit log is not as it was left after entry %lld: going on with "
			  "another file; `sandboxctl audit verify` has more",
			  (long long)w.at.count);
		r = begin_file(l, head);
	}
	audit_walk_end(&w);
	return r;
}

int audit_log_open(struct audit_log *l, const struct audit_anchor *anchor)
{
	int64_t *files = NULL;
	size_t n = 0;
	int r;

	l->now = *anchor;
	r = audit_log_look(l);
	if (r == 0)
		r = audit_log_files(l, &files, &n);
	if (r < 0)
		return r;
	if (l->now.first == 0 && n > 0)
		l->now.first = files[0];
	r = go_on(l, anchor, files, n);
	free(files);
	if (r == 0)
		r = save(l);
	if (r < 0)
		l->fd = close_fd(l->fd);
	return r;
}

void audit_log_close(struct audit_log *l)
{
	l->fd = close_fd(l->fd);
	l->dir_fd = close_fd(l->dir_fd);
	sodium_memzero(l->key, sizeof(l->key));
}

/* ---- appending ---- */

/* Whether the file is where and as we left it. */
static bool is_ours(const struct audit_log *l)
{
	struct stat st;

	return fstatat(l->parent_fd, l->path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_ino == l->ino && st.st_dev == l->dev && st.st_size == l->file_bytes;
}

static int make_room(struct audit_log *l, size_t size)
{
	int r;

	if (!is_ours(l)) {
		if (log_ratelimit())
			log_error("somebody changed the audit log after entry %lld: going on with "
				  "another file; `sandboxctl audit verify` has more",
				  (long long)l->now.head.count);
		r = audit_log_look(l);
		return r < 0 ? r : begin_file(l, l->now.head);
	}
	if (l->file_bytes + (int64_t)size <= l->file_max)
		return 0;
	r = save(l);
	if (r == 0)
		r = begin_file(l, l->now.head);
	if (r < 0 && log_ratelimit())
		(void)log_errno(LOG_LEVEL_WARNING, r, "the audit log stays in its file for now");
	return 0;
}

int audit_log_append(struct audit_log *l, const struct audit_entry *e, const char *exe)
{
	char line[AUDIT_LINE_MAX];
	struct audit_mark head;
	size_t size;
	int r = make_room(l, 512);

	if (r < 0)
		return r;
	head = l->now.head;
	size = audit_line_write(l->key, &head, time_realtime_ms(), e, exe, line);
	r = write_whole(l->fd, line, size, l->file_bytes);
	if (r < 0)
		return r;
	l->file_bytes += (int64_t)size;
	l->now.head = head;
	return 0;
}
