/* SPDX-License-Identifier: Apache-2.0 */
/* Version 1 wants to be asked again while something slips through (a fork, a task in the kernel);
 * writing the state it is in already is harmless. Version 2 gets there by itself and says so in
 * cgroup.events. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cgroup.h"
#include "files.h"

#define FREEZER_PATH_MAX 512

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
