/* SPDX-License-Identifier: Apache-2.0 */
/* It is in the database and, for the day on which that is lost, in a file: a daemon that did not
 * know its own name would leave sandboxes running that nobody can reach. */

#include "sandbox/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/manager.h"
#include "store/store.h"
#include "util/fd.h"
#include "util/id.h"
#include "util/log.h"
#include "util/strings.h"

#define FILE_NAME "instance"
#define META_KEY "instance"

_Static_assert(INSTANCE_ID_SIZE == SHORT_ID_SIZE, "an instance id is a short id");

static bool is_id(const char *text)
{
	return strlen(text) == INSTANCE_ID_SIZE - 1 && text[0] >= 'a' && text[0] <= 'z' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz234567") == INSTANCE_ID_SIZE - 1;
}

/* That in the file; "" when there is none. */
static void read_file(const struct manager *m, char id[static INSTANCE_ID_SIZE])
{
	CLEANUP_STR char *text = NULL;

	id[0] = '\0';
	if (fd_read_file(m->state_fd, FILE_NAME, INSTANCE_ID_SIZE, &text, NULL) < 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	if (is_id(text))
		memcpy(id, text, INSTANCE_ID_SIZE);
}

static int write_file(const struct manager *m)
{
	CLEANUP_FD int fd = openat(m->state_fd, FILE_NAME,
				   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	char line[INSTANCE_ID_SIZE + 1];
	ssize_t n;

	if (fd < 0)
		return -errno;
	(void)snprintf(line, sizeof(line), "%s\n", m->instance);
	n = write(fd, line, strlen(line));
	if (n < 0)
		return -errno;
	return (size_t)n == strlen(line) ? 0 : -ENOSPC;
}

int instance_load(struct manager *m, bool *ret_new)
{
	char from_file[INSTANCE_ID_SIZE];
	CLEANUP_STR char *text = NULL;
	int r = store_meta_get(m->store, META_KEY, &text);

	if (r < 0)
		return r;
	read_file(m, from_file);
	*ret_new = false;
	if (text && is_id(text)) {
		memcpy(m->instance, text, INSTANCE_ID_SIZE);
	} else {
		memcpy(m->instance, from_file, INSTANCE_ID_SIZE);
		*ret_new = !from_file[0];
		r = *ret_new ? id_make_short(m->instance) : 0;
		if (r == 0)
			r = store_meta_set(m->store, META_KEY, m->instance);
	}
	if (r == 0 && strcmp(from_file, m->instance) != 0) {
		int error = write_file(m);

		if (error < 0)
			log_errno(LOG_LEVEL_WARNING, error,
				  "the instance id is in the database only");
	}
	return r;
}
