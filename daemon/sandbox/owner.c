/* SPDX-License-Identifier: Apache-2.0 */
/* Only files and passwd are asked: getsubids through other sources is not on Debian 12. The keeper
 * does not believe these numbers either: newuidmap checks them again for an ordinary user. */

#include "sandbox/owner.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "macro.h"
#include "util/fd.h"
#include "util/path.h"

#define SUBID_FILE_MAX (1024u * 1024)
#define PASSWD_BUFFER 4096

/* One line "name-or-uid:first:count". */
static bool line_matches(const char *line, size_t length, const char *who, uint32_t count,
			 uint32_t *ret_first)
{
	unsigned long long first, range;
	size_t n = strlen(who);
	char text[64];

	if (length <= n || strncmp(line, who, n) != 0 || line[n] != ':')
		return false;
	if (length - n - 1 >= sizeof(text))
		return false;
	memcpy(text, line + n + 1, length - n - 1);
	text[length - n - 1] = '\0';
	if (sscanf(text, "%20llu:%20llu", &first, &range) != 2)
		return false;
	/* 0 would be the host's root, and (uid_t)-1 is nobody's */
	if (first == 0 || range < count || first > UINT32_MAX - 1 - (unsigned long long)count)
		return false;
	*ret_first = (uint32_t)first;
	return true;
}

bool owner_find_range(const char *text, const char *name, uid_t uid, uint32_t count,
		      uint32_t *ret_first)
{
	char number[16];
	const char *p, *end;

	(void)snprintf(number, sizeof(number), "%u", (unsigned)uid);
	for (p = text; *p; p = *end ? end + 1 : end) {
		end = strchrnul(p, '\n');
		if (name && line_matches(p, (size_t)(end - p), name, count, ret_first))
			return true;
		if (line_matches(p, (size_t)(end - p), number, count, ret_first))
			return true;
	}
	return false;
}

static bool find_in_file(const char *path, const char *name, uid_t uid, uint32_t count,
			 uint32_t *ret_first)
{
	CLEANUP_STR char *text = NULL;

	if (fd_read_file(AT_FDCWD, path, SUBID_FILE_MAX, &text, NULL) < 0)
		return false;
	return owner_find_range(text, name, uid, count, ret_first);
}

int owner_lookup(struct owner *ret, uid_t uid, uid_t daemon)
{
	bool shifted = uid == 0;
	uint32_t count = shifted ? OWNER_SUB_COUNT_SHIFTED : OWNER_SUB_COUNT_OWNER;
	struct owner o = { .uid = uid, .gid = uid };
	char buffer[PASSWD_BUFFER];
	struct passwd passwd, *found = NULL;

	if (uid != daemon && daemon != 0)
		return -EPERM;
	if (getpwuid_r(uid, &passwd, buffer, sizeof(buffer), &found) != 0)
		found = NULL;
	if (uid == daemon)
		o.gid = getgid();
	else if (found)
		o.gid = found->pw_gid;
	o.map = shifted ? KEEPER_MAP_SHIFTED : KEEPER_MAP_OWNER;
	o.sub_count = count;
	if (!find_in_file("/etc/subuid", found ? found->pw_name : NULL, uid, count, &o.sub_uid) ||
	    !find_in_file("/etc/subgid", found ? found->pw_name : NULL, uid, count, &o.sub_gid)) {
		o.map = shifted ? KEEPER_MAP_SHIFTED : KEEPER_MAP_SINGLE;
		o.sub_uid = o.sub_gid = shifted ? OWNER_SHIFTED_FIRST : 0;
		o.sub_count = shifted ? count : 0;
	}
	*ret = o;
	return 0;
}

int owner_home(uid_t uid, char **ret_home, char **ret_name)
{
	char buffer[PASSWD_BUFFER], number[16];
	struct passwd passwd, *found = NULL;
	bool usable;
	char *home, *name;

	(void)snprintf(number, sizeof(number), "%u", (unsigned)uid);
	if (getpwuid_r(uid, &passwd, buffer, sizeof(buffer), &found) != 0)
		found = NULL;
	usable = found && path_is_clean(found->pw_dir) && access(found->pw_dir, F_OK) == 0;
	home = strdup(usable ? found->pw_dir : "/");
	name = strdup(found ? found->pw_name : number);
	if (!home || !name) {
		free(home);
		free(name);
		return -ENOMEM;
	}
	*ret_home = home;
	*ret_name = name;
	return 0;
}

static uint32_t host_id(const struct owner *o, uint32_t own, uint32_t first, uint32_t keeper_id)
{
	switch (o->map) {
	case KEEPER_MAP_SHIFTED:
		return first + keeper_id;
	case KEEPER_MAP_OWNER:
		return keeper_id == 0 ? own : first + keeper_id - 1;
	case KEEPER_MAP_SINGLE:
	default:
		return own;
	}
}

uid_t owner_host_uid(const struct owner *o, uint32_t keeper_id)
{
	return host_id(o, o->uid, o->sub_uid, keeper_id);
}

gid_t owner_host_gid(const struct owner *o, uint32_t keeper_id)
{
	return host_id(o, o->gid, o->sub_gid, keeper_id);
}
