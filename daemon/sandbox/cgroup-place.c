/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/cgroup-place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/strings.h"

const struct cgroup_controller cgroup_controllers[CGROUP_CONTROLLERS] = {
	{ "memory", KEEPER_CONTROLLER_MEMORY, true },
	{ "cpu", KEEPER_CONTROLLER_CPU, true },
	{ "pids", KEEPER_CONTROLLER_PIDS, true },
	{ "freezer", KEEPER_CONTROLLER_FREEZER, false },
	{ "cpuacct", KEEPER_CONTROLLER_CPUACCT, false },
};

uint32_t cgroup_bits(const char *text, size_t length, char separator)
{
	const char *p = text, *end = text + length, *q;
	uint32_t bits = 0;
	size_t i;

	for (; p < end; p = q + 1) {
		q = memchr(p, separator, (size_t)(end - p));
		if (!q)
			q = end;
		for (i = 0; i < CGROUP_CONTROLLERS; i++)
			if (strlen(cgroup_controllers[i].name) == (size_t)(q - p) &&
			    memcmp(cgroup_controllers[i].name, p, (size_t)(q - p)) == 0)
				bits |= cgroup_controllers[i].bit;
	}
	return bits;
}

struct mount_line {
	char root[256];
	char point[256];
	char type[32];
	char options[256]; /* of the superblock */
};

static bool parse_mount(const char *line, struct mount_line *m)
{
	const char *dash = strstr(line, " - ");
	const char *end = strchrnul(line, '\n');

	if (!dash || dash >= end)
		return false;
	return sscanf(line, "%*s %*s %*s %255s %255s", m->root, m->point) == 2 &&
	       sscanf(dash, " - %31s %*s %255s", m->type, m->options) == 2;
}

char *cgroup_own(const char *self, uint32_t bits)
{
	const char *p, *end, *names, *path;

	for (p = self; *p; p = *end ? end + 1 : end) {
		end = strchrnul(p, '\n');
		names = memchr(p, ':', (size_t)(end - p));
		if (!names)
			continue;
		names++;
		path = memchr(names, ':', (size_t)(end - names));
		if (!path)
			continue;
		if (bits == 0 ? strncmp(p, "0::", 3) != 0
			      : cgroup_bits(names, (size_t)(path - names), ',') != bits)
			continue;
		return strndup(path + 1, (size_t)(end - path - 1));
	}
	return NULL;
}

/* The directory of cgroup PATH under mount M, or NULL when it is not visible there. */
static char *cgroup_dir(const struct mount_line *m, const char *path)
{
	size_t n = strcmp(m->root, "/") == 0 ? 0 : strlen(m->root);

	if (strncmp(path, m->root, n) != 0 || (path[n] != '/' && path[n] != '\0') ||
	    strstr(path, "/.."))
		return NULL;
	path += n;
	return string_format("%s%s", m->point, strcmp(path, "/") == 0 ? "" : path);
}

static bool known_mount(const struct cgroup_place *places, size_t n, uint32_t bits)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (places[i].controllers == bits)
			return true;
	return false;
}

static bool add_place(struct cgroup_place *place, const struct mount_line *m, const char *self,
		      uint32_t bits)
{
	CLEANUP_STR char *path = cgroup_own(self, bits);

	if (!path)
		return false;
	place->dir = cgroup_dir(m, path);
	place->mount = strdup(m->point);
	place->controllers = bits;
	place->version = bits == 0 ? 2 : 1;
	if (place->dir && place->mount)
		return true;
	free(place->dir);
	free(place->mount);
	return false;
}

static size_t find_version(const char *self, const char *mountinfo, struct cgroup_place *places,
			   bool unified)
{
	struct mount_line m;
	const char *p, *end;
	uint32_t bits;
	size_t n = 0;

	for (p = mountinfo; *p && n < KEEPER_CGROUPS_MAX; p = *end ? end + 1 : end) {
		end = strchrnul(p, '\n');
		if (!parse_mount(p, &m) || strcmp(m.type, unified ? "cgroup2" : "cgroup") != 0)
			continue;
		bits = unified ? 0 : cgroup_bits(m.options, strlen(m.options), ',');
		if ((!unified && bits == 0) || known_mount(places, n, bits))
			continue;
		if (add_place(&places[n], &m, self, bits))
			n++;
	}
	return n;
}

size_t cgroup_find_places(const char *self, const char *mountinfo,
			  struct cgroup_place places[static KEEPER_CGROUPS_MAX])
{
	size_t n = find_version(self, mountinfo, places, false);

	return n > 0 ? n : find_version(self, mountinfo, places, true);
}

void cgroup_place_deinit(struct cgroup_place *p)
{
	free(p->dir);
	free(p->mount);
	*p = (struct cgroup_place){ 0 };
}
