/* SPDX-License-Identifier: Apache-2.0 */
/* A list of who holds what; a path is in it once for each exec. There are few of them. */

#include "init/lent.h"

#include <errno.h>
#include <string.h>

#include "bounds.h"
#include "init/files.h"
#include "init/payload.h"

static bool path_ok(const char path[static INIT_FILE_PATH_MAX])
{
	return memchr(path, '\0', INIT_FILE_PATH_MAX) && path[0] == '/' &&
	       payload_path_ok(path + 1);
}

bool lent_request_ok(const struct init_put_file *m, size_t n_fds)
{
	return path_ok(m->path) && m->size <= INIT_FILE_SIZE_MAX && n_fds == (m->size > 0) &&
	       (m->flags & ~(uint32_t)INIT_PUT_FIRST) == 0 && (m->exec != 0 || m->flags == 0) &&
	       (m->mode & ~0777u) == 0;
}

static struct lent_hold *find(struct lent *l, uint64_t exec, const char *path)
{
	size_t i;

	for (i = 0; i < l->count; i++)
		if (l->holds[i].exec == exec && strcmp(l->holds[i].path, path) == 0)
			return &l->holds[i];
	return NULL;
}

static int hold(struct lent *l, const struct init_put_file *m)
{
	struct lent_hold *h = find(l, m->exec, m->path);

	if (m->exec == 0 || h)
		return 0;
	if (l->count == LENT_MAX)
		return -ENOSPC;
	h = &l->holds[l->count++];
	h->exec = m->exec;
	h->uid = m->uid;
	h->gid = m->gid;
	memcpy(h->path, m->path, sizeof(h->path));
	return 0;
}

/* The last entry takes its place. Without another holder the file goes. */
static void release(struct lent *l, struct lent_hold *h)
{
	const struct lent_hold gone = *h;
	size_t i;

	*h = l->holds[--l->count];
	for (i = 0; i < l->count; i++)
		if (strcmp(l->holds[i].path, gone.path) == 0)
			return;
	(void)files_remove(&(struct files_place){ gone.path, gone.uid, gone.gid });
}

static int put(struct lent *l, const struct init_put_file *m, const char *data, bool runs)
{
	const struct files_place place = { m->path, m->uid, m->gid };
	int r;

	if (m->exec != 0 && (m->flags & INIT_PUT_FIRST) == 0 && !runs)
		return -ESRCH; /* it has ended meanwhile, and the file is gone */
	r = hold(l, m);
	return r < 0 ? r : files_put(&place, m->mode, data, (size_t)m->size);
}

int lent_put(struct lent *l, const struct init_put_file *m, const char *data, bool runs)
{
	int r = put(l, m, data, runs);

	if (r < 0 && (m->flags & INIT_PUT_FIRST) != 0) {
		l->failed = m->exec;
		l->error = r;
	}
	return r;
}

int lent_drop(struct lent *l, uint64_t exec, const char *path)
{
	struct lent_hold *h = find(l, exec, path);

	if (!h)
		return -ENOENT;
	release(l, h);
	return 0;
}

int lent_check(const struct lent *l, uint64_t exec)
{
	return l->failed == exec ? l->error : 0;
}

void lent_end(struct lent *l, uint64_t exec)
{
	size_t i;

	for (i = l->count; i-- > 0;)
		if (l->holds[i].exec == exec)
			release(l, &l->holds[i]);
}

void lent_end_strays(struct lent *l, bool (*runs)(uint64_t exec, void *userdata), void *userdata)
{
	size_t i;

	for (i = l->count; i-- > 0;)
		if (!runs(l->holds[i].exec, userdata))
			release(l, &l->holds[i]);
}
