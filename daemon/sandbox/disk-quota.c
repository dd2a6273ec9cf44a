/* SPDX-License-Identifier: Apache-2.0 */
/* The project is that of upper/<id>, so it is found again at the next start. It is given before the
 * sandbox is used: then there is little in it, and nothing of an agent's to be led astray by. All
 * of the directory must have it, for overlay moves files from `work` to `data`, and the kernel does
 * not move what would leave its project (EXDEV). A directory that had a project is never made
 * another sandbox's, but removed.
 *
 * Projects are numbers that an administrator may use, too: ours are from a range of their own, and
 * one that has a limit or files is somebody's. */

#include "sandbox/disk-quota.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "macro.h"
#include "sandbox/sandbox-internal.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/project-quota.h"

#define PROJECT_FIRST 0x40000000u
#define PROJECT_MASK 0x3fffffffu
#define TRIES_MAX 64
#define ENTRIES_MAX 2000 /* more is not done in the event loop */

void disk_quota_init(struct manager *m)
{
	m->project_quota = m->is_root && project_quota_probe(m->state_fd) == 0;
}

static bool is_ours(uint32_t project)
{
	return (project & ~PROJECT_MASK) == PROJECT_FIRST;
}

/* Somewhere in the range, by the id; then the next that nobody uses. 0: there is none. */
static uint32_t choose(const struct sandbox *s)
{
	uint32_t project = 2166136261u; /* FNV-1a */
	uint64_t used, limit;
	const char *p;
	unsigned i;

	for (p = s->facts.id; *p; p++)
		project = (project ^ (unsigned char)*p) * 16777619u;
	for (i = 0; i < TRIES_MAX; i++, project++) {
		project = PROJECT_FIRST | (project & PROJECT_MASK);
		if (project_quota_get(s->manager->state_fd, project, &used, &limit) == 0 &&
		    used == 0 && limit == 0)
			return project;
	}
	return 0;
}

static int give_project(struct sandbox *s, int dir, uint32_t *ret)
{
	int r = project_get(dir, ret);

	if (r < 0 || is_ours(*ret))
		return r;
	if (*ret != 0)
		return -EBUSY; /* an administrator's, who wants it all to count there */
	*ret = choose(s);
	return *ret ? project_assign(dir, *ret, ENTRIES_MAX) : -EBUSY;
}

bool disk_quota_begin(struct sandbox *s)
{
	CLEANUP_FD int dir = -1;
	char path[128];
	uint32_t project;
	int r;

	if (s->project != 0 || !s->manager->project_quota)
		return s->project != 0;
	(void)snprintf(path, sizeof(path), "owners/%u/upper/%s", (unsigned)s->facts.owner,
		       s->facts.id);
	dir = fd_open_beneath(s->manager->state_fd, path, O_RDONLY | O_DIRECTORY);
	r = dir < 0 ? dir : give_project(s, dir, &project);
	if (r == 0)
		r = project_quota_set(s->manager->state_fd, project, s->facts.limits.disk_bytes);
	if (r == 0) {
		s->project = project;
		return true;
	}
	sandbox_log(s, LOG_LEVEL_WARNING, "no project quota: %s, watching its disk space",
		    strerror(-r));
	return false;
}

void disk_quota_end(struct sandbox *s)
{
	int r = 0;

	if (s->project != 0)
		r = project_quota_set(s->manager->state_fd, s->project, 0);
	if (r < 0)
		(void)log_errno(LOG_LEVEL_WARNING, r, "project %u keeps its limit", s->project);
	s->project = 0;
}
