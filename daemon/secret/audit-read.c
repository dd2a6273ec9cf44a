/* SPDX-License-Identifier: Apache-2.0 */
#include "secret/audit-read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro.h"

/* ---- the check ---- */

int audit_check_begin(struct audit_check *c, const struct audit_log *l,
		      const struct audit_mark *given)
{
	int r;

	*c = (struct audit_check){ .head = l->now.head, .from = l->now.first };
	if (given) {
		c->given = *given;
		c->has_given = true;
	}
	r = audit_walk_begin(l, 0, l->now.head.count, &c->walk);
	if (r < 0)
		return r;
	if (c->walk.n_files == 0 || c->walk.files[0] != l->now.first) {
		c->walk.at.count = l->now.first - 1;
		c->walk.fault = AUDIT_FAULT_MISSING;
	}
	return 0;
}

static void compare(const struct audit_mark *at, void *userdata)
{
	struct audit_check *c = userdata;

	if (c->has_given && at->count == c->given.count && strcmp(at->hash, c->given.hash) != 0)
		c->contradicts = true;
}

bool audit_check_step(struct audit_check *c, const struct audit_log *l)
{
	if (c->walk.fault != AUDIT_FAULT_NONE)
		return false;
	if (!audit_walk_step(l, &c->walk, compare, c)) {
		if (c->walk.fault == AUDIT_FAULT_NONE &&
		    strcmp(c->walk.at.hash, c->head.hash) != 0) {
			c->walk.at.count--; /* the last one is not what we wrote */
			c->walk.fault = AUDIT_FAULT_CHANGED;
		}
		return false;
	}
	return !c->contradicts;
}

void audit_check_end(struct audit_check *c)
{
	audit_walk_end(&c->walk);
}

/* ---- the list ---- */

int audit_list_begin(struct audit_list *l, const struct audit_log *log)
{
	int r = audit_log_files(log, &l->files, &l->n_files);

	l->fd = -1;
	if (r < 0)
		return r;
	l->lines = calloc(l->limit, sizeof(*l->lines));
	if (!l->lines) {
		free(TAKE_PTR(l->files));
		return -ENOMEM;
	}
	if (l->after < 0)
		l->next = l->n_files;
	else
		while (l->next + 1 < l->n_files && l->files[l->next + 1] <= l->after)
			l->next++;
	return 0;
}

void audit_list_end(struct audit_list *l)
{
	while (l->count > 0)
		free(l->lines[--l->count]);
	free(TAKE_PTR(l->lines));
	free(TAKE_PTR(l->files));
	l->fd = close_fd(l->fd);
}

static bool list_fail(struct audit_list *l, int error)
{
	l->error = error;
	return false;
}

/* Returns whether more are wanted. */
static bool take(struct audit_list *l, const char *text, size_t size)
{
	struct audit_line line;
	char *copy;

	if (!audit_line_read(text, size, &line) || (!l->everybody && line.uid != l->uid) ||
	    line.seq <= l->after)
		return true;
	copy = malloc(size + 1);
	if (!copy)
		return list_fail(l, -ENOMEM);
	memcpy(copy, text, size); /* TEXT may end where its buffer does */
	copy[size] = '\0';
	l->lines[l->count] = copy;
	return ++l->count < l->limit;
}

/* Opens the next one. False: there is none. */
static bool open_file(struct audit_list *l, const struct audit_log *log)
{
	const bool back = l->after < 0;
	struct stat st;

	l->fd = close_fd(l->fd);
	if (back ? l->next == 0 : l->next == l->n_files)
		return false;
	l->fd = audit_log_open_file(log, l->files[back ? --l->next : l->next++]);
	if (l->fd < 0) { /* given up meanwhile, or not readable: audit_check() tells */
		l->fd = -1;
		return true;
	}
	if (fstat(l->fd, &st) < 0)
		return list_fail(l, -errno);
	l->offset = back ? st.st_size : 0;
	return true;
}

static bool step_forward(struct audit_list *l, const struct audit_log *log)
{
	char piece[AUDIT_LINE_MAX];
	const char *at = piece, *end;
	ssize_t n = pread(l->fd, piece, sizeof(piece), l->offset);

	if (n < 0)
		return list_fail(l, -errno);
	while ((end = memchr(at, '\n', (size_t)(piece + n - at)))) {
		if (!take(l, at, (size_t)(end - at)))
			return false;
		at = end + 1;
	}
	l->offset += at > piece ? at - piece : n; /* what is too long is none of ours */
	return n > 0 || open_file(l, log);
}

static bool step_back(struct audit_list *l, const struct audit_log *log)
{
	char piece[AUDIT_LINE_MAX];
	int64_t size = l->offset < AUDIT_LINE_MAX ? l->offset : AUDIT_LINE_MAX;
	ssize_t n = pread(l->fd, piece, (size_t)size, l->offset - size);
	const char *end = piece + size, *tail, *newline;

	if (n < 0)
		return list_fail(l, -errno);
	if (n < size || size == 0)
		return open_file(l, log);
	while (end > piece) {
		tail = end[-1] == '\n' ? end - 1 : end;
		newline = memrchr(piece, '\n', (size_t)(tail - piece));
		if (!newline && l->offset > size)
			break; /* it begins before the piece */
		end = newline ? newline + 1 : piece;
		if (!take(l, end, (size_t)(tail - end)))
			return false;
	}
	l->offset -= end < piece + size ? piece + size - end : size;
	return true;
}

static void turn_round(struct audit_list *l)
{
	char *line;

	for (size_t i = 0; i < l->count / 2; i++) {
		line = l->lines[i];
		l->lines[i] = l->lines[l->count - 1 - i];
		l->lines[l->count - 1 - i] = line;
	}
}

bool audit_list_step(struct audit_list *l, const struct audit_log *log)
{
	const bool back = l->after < 0;

	if (l->fd < 0 ? open_file(l, log) : back ? step_back(l, log) : step_forward(l, log))
		return true;
	if (back)
		turn_round(l);
	return false;
}
