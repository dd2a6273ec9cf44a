/* SPDX-License-Identifier: Apache-2.0 */
/* A file system that is quite full ends more than the sandbox that filled it: the database takes no
 * row, output has no place, nothing can be recorded as removed. So the last of it is kept for what
 * runs already. Asked anew each time: fstatvfs costs a microsecond, and an answer that is kept
 * would be wrong just when it counts. */

#include "sandbox/disk-floor.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sandbox/config.h"
#include "sandbox/manager.h"
#include "util/log.h"
#include "util/space.h"

/* Where the file system of PATH is mounted, as far as parents tell: PATH is cut to it. */
static void cut_to_mount(char *path)
{
	struct stat here, above;
	char *slash;

	if (stat(path, &here) < 0)
		return;
	while ((slash = strrchr(path, '/')) && slash > path) {
		*slash = '\0';
		if (stat(path, &above) == 0 && above.st_dev == here.st_dev)
			continue;
		*slash = '/';
		return;
	}
	if (stat("/", &above) == 0 && above.st_dev == here.st_dev)
		path[1] = '\0';
}

static int refuse(const struct manager *m, const struct space *s, struct error *reterr)
{
	char mount[PATH_MAX];

	(void)snprintf(mount, sizeof(mount), "%s", m->config->state_dir);
	cut_to_mount(mount);
	return error_set(reterr, ERROR_LIMIT_REACHED, NULL,
			 "sandboxctl df shows what takes space and sandboxctl prune removes some; "
			 "[limits] min_free is the floor",
			 "%s has %llu MiB free, and nothing is made below %llu MiB", mount,
			 (unsigned long long)s->free_bytes >> 20,
			 (unsigned long long)s->floor_bytes >> 20);
}

int disk_floor_check(const struct manager *m, struct error *reterr)
{
	struct space s;
	int r = space_look(m->state_fd, m->config->min_free, &s);

	if (r < 0) { /* what then comes will say what is wrong */
		if (log_ratelimit())
			(void)log_errno(LOG_LEVEL_WARNING, r,
					"cannot tell how much of %s is free, going on",
					m->config->state_dir);
		return 0;
	}
	return s.free_bytes < s.floor_bytes ? refuse(m, &s, reterr) : 0;
}
