/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes are walked once with a cursor that can only shrink; every string must end inside them.
 * Counts are capped before anything is allocated for them. */

#include "init/payload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"

struct cursor {
	char *at;
	size_t left;
};

static char *take_string(struct cursor *c)
{
	char *text = c->at;
	const char *end = c->left > 0 ? memchr(c->at, '\0', c->left) : NULL;
	size_t size;

	if (!end)
		return NULL;
	size = (size_t)(end - text) + 1;
	c->at += size;
	c->left -= size;
	return text;
}

static int take_strings(struct cursor *c, char **ret, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		ret[i] = take_string(c);
		if (!ret[i])
			return -EBADMSG;
	}
	ret[count] = NULL;
	return 0;
}

static int take_file(struct cursor *c, struct payload_file *f)
{
	struct init_file head;

	if (c->left < sizeof(head))
		return -EBADMSG;
	memcpy(&head, c->at, sizeof(head)); /* it is not aligned */
	c->at += sizeof(head);
	c->left -= sizeof(head);
	f->mode = head.mode;
	f->path = take_string(c);
	if (!f->path || strlen(f->path) + 1 != head.path_size || !payload_path_ok(f->path) ||
	    head.data_size > c->left)
		return -EBADMSG;
	f->data = c->at;
	f->size = (size_t)head.data_size;
	c->at += f->size;
	c->left -= f->size;
	return 0;
}

static int fill(struct payload *p, const struct init_exec *e, struct cursor *c)
{
	uint32_t i;
	int r;

	p->workdir = take_string(c);
	if (!p->workdir || take_strings(c, p->argv, e->argc) < 0 ||
	    take_strings(c, p->envp, e->envc) < 0)
		return -EBADMSG;
	for (i = 0; i < e->filec; i++) {
		r = take_file(c, &p->files[i]);
		if (r < 0)
			return r;
	}
	return c->left == 0 ? 0 : -EBADMSG;
}

static size_t count_fds(uint32_t flags)
{
	return (size_t)((flags & INIT_EXEC_HAS_STDIN) != 0) +
	       (size_t)((flags & INIT_EXEC_HAS_STDOUT) != 0) +
	       (size_t)((flags & INIT_EXEC_HAS_STDERR) != 0) +
	       (size_t)((flags & INIT_EXEC_PAYLOAD_FD) != 0) +
	       (size_t)((flags & INIT_EXEC_HAS_MOUNTS) != 0) +
	       (size_t)((flags & INIT_EXEC_HAS_NETWORK) != 0);
}

bool payload_request_ok(const struct init_exec *e, size_t message_size, size_t n_fds)
{
	const uint32_t known = INIT_EXEC_TTY | INIT_EXEC_HAS_STDIN | INIT_EXEC_HAS_STDOUT |
			       INIT_EXEC_HAS_STDERR | INIT_EXEC_PAYLOAD_FD |
			       INIT_EXEC_STDERR_TO_STDOUT | INIT_EXEC_HAS_MOUNTS |
			       INIT_EXEC_HAS_NETWORK | INIT_EXEC_SECRET;

	if ((e->flags & ~known) != 0 || count_fds(e->flags) != n_fds)
		return false;
	if (e->argc == 0 || e->argc > ARGV_MAX || e->envc > ENV_MAX || e->filec > FILES_MAX)
		return false;
	if ((e->flags & INIT_EXEC_PAYLOAD_FD) != 0)
		return e->payload_offset == 0 && message_size == sizeof(*e) &&
		       e->payload_size > 0 && e->payload_size <= PAYLOAD_MAX;
	return e->payload_offset >= sizeof(*e) && e->payload_offset <= message_size &&
	       e->payload_size <= message_size - e->payload_offset;
}

int payload_parse(struct payload *p, const struct init_exec *e, char *data, size_t size)
{
	struct cursor c = { data, size };
	int r;

	/* The counts fit: each is capped by payload_request_ok(). */
	memset(p, 0, sizeof(*p));
	p->argv = calloc((size_t)e->argc + 1, sizeof(char *));
	p->envp = calloc((size_t)e->envc + 1, sizeof(char *));
	p->files = calloc((size_t)e->filec + 1, sizeof(*p->files));
	p->filec = e->filec;
	r = p->argv && p->envp && p->files ? fill(p, e, &c) : -ENOMEM;
	if (r < 0)
		payload_deinit(p);
	return r;
}

void payload_deinit(struct payload *p)
{
	free(p->argv);
	free(p->envp);
	free(p->files);
	memset(p, 0, sizeof(*p));
}

const char *payload_getenv(const struct payload *p, const char *name)
{
	size_t length = strlen(name);
	char *const *v;

	for (v = p->envp; *v; v++)
		if (strncmp(*v, name, length) == 0 && (*v)[length] == '=')
			return *v + length + 1;
	return NULL;
}

bool payload_path_ok(const char *path)
{
	size_t length;

	if (strlen(path) >= SEARCH_PATH_MAX)
		return false;
	for (;; path += length + 1) {
		length = strcspn(path, "/");
		if (length == 0 || (length == 1 && path[0] == '.') ||
		    (length == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		if (path[length] == '\0')
			return true;
	}
}

bool payload_search_next(const char **rest, const char *name, char out[SEARCH_PATH_MAX])
{
	size_t name_size = strlen(name) + 1;
	const char *dir;
	size_t length;

	while (*rest) {
		dir = *rest;
		length = strcspn(dir, ":");
		*rest = dir[length] == ':' ? dir + length + 1 : NULL;
		if (length + 1 + name_size > SEARCH_PATH_MAX)
			continue;
		memcpy(out, dir, length);
		if (length > 0)
			out[length++] = '/'; /* an empty entry is the working directory */
		memcpy(out + length, name, name_size);
		return true;
	}
	return false;
}
