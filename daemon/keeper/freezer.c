/* SPDX-License-Identifier: Apache-2.0 */
/* Version 1 wants to be asked again while something slips through (a fork, a task in the kernel);
 * writing the state it is in already is harmless. Version 2 gets there by itself and says so in
 * cgroup.events. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cgroup.h"
#include "clock.h"
#include "files.h"

#define FREEZER_PATH_MAX 512
#define FREEZER_STEP_MS 1

static const struct cgroup_hierarchy *find_freezer(const struct cgroups *c)
{
	size_t i;

	for (i = 0; i < c->count; i++)
		if (c->list[i].controllers & KEEPER_CONTROLLER_FREEZER)
			return &c->list[i];
	return NULL;
}

static void name_file(char path[static FREEZER_PATH_MAX], const char *name, const char *file)
{
	(void)snprintf(path, FREEZER_PATH_MAX, "%s/%s", name, file); /* names are short */
}

int cgroup_freeze_begin(const struct cgroups *c, const char *name, bool frozen)
{
	const struct cgroup_hierarchy *h = find_freezer(c);
	char path[FREEZER_PATH_MAX];

	if (!h)
		return -EOPNOTSUPP;
	if (h->version == 2) {
		name_file(path, name, "cgroup.freeze");
		return file_put_at(h->fd, path, frozen ? "1" : "0");
	}
	name_file(path, name, "freezer.state");
	return file_put_at(h->fd, path, frozen ? "FROZEN" : "THAWED");
}

int cgroup_freeze_done(const struct cgroups *c, const char *name, bool frozen)
{
	const struct cgroup_hierarchy *h = find_freezer(c);
	char path[FREEZER_PATH_MAX], text[32];
	ssize_t n;

	if (!h)
		return -EOPNOTSUPP;
	if (h->version == 2) {
		name_file(path, name, "cgroup.events");
		return (file_keyed_number_at(h->fd, path, "frozen") == 1) == frozen;
	}
	name_file(path, name, "freezer.state");
	n = file_get_at(h->fd, path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	if (strncmp(text, frozen ? "FROZEN" : "THAWED", strlen("FROZEN")) == 0)
		return 1;
	n = cgroup_freeze_begin(c, name, frozen);
	return n < 0 ? (int)n : 0;
}

int cgroup_freeze(const struct cgroups *c, const char *name, bool frozen)
{
	static const struct timespec step = { .tv_nsec = FREEZER_STEP_MS * 1000000L };
	const int64_t end = clock_now_ms() + CGROUP_FREEZE_MS;
	int r = cgroup_freeze_begin(c, name, frozen);

	if (r < 0)
		return r;
	while ((r = cgroup_freeze_done(c, name, frozen)) == 0 && clock_now_ms() < end)
		(void)nanosleep(&step, NULL); /* cut short: asked once more */
	if (r > 0)
		return 0;
	if (frozen)
		(void)cgroup_freeze_begin(c, name, false); /* half frozen helps nobody */
	return r < 0 ? r : -ETIMEDOUT;
}
