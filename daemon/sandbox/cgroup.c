/* SPDX-License-Identifier: Apache-2.0 */
/* Version 1 (also hybrid): each controller's hierarchy gets <own cgroup>/sandboxd-<instance>/<uid>.
 * Version 2: the same, but a cgroup that hands controllers down may not hold processes, so the
 * daemon moves itself to a leaf "daemon" first. That needs a cgroup of our own (a service with
 * Delegate=yes); root falls back to the top of the hierarchy. Whatever does not work out means "no
 * limits", never an error: doctor tells what is lost.
 *
 * Version 2, and keepers are services: each has a cgroup that is delegated to it, and its sandboxes
 * live in that; ours has none below it, because systemd 252 cannot start a service again whose
 * cgroup has handed controllers down. What a keeper that died leaves runs on in the cgroup of its
 * service, and the next keeper moves there.
 *
 * Version 2 without services, and a daemon that was started in another cgroup than the last one: a
 * keeper stays where that put it, since it can move its sandboxes only beside itself. */

#include "sandbox/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sandbox/cgroup-place.h"
#include "sandbox/owner.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/strings.h"

#define PROC_FILE_MAX (1024u * 1024)
#define REMOVE_DEPTH 4

/* An owner's directory that is not below our root: the cgroup of a keeper's service, or what an
 * earlier daemon made elsewhere. */
struct owner_place {
	uid_t owner;
	char *dir;
	struct owner_place *next;
};

struct cgroups {
	struct cgroup_place places[KEEPER_CGROUPS_MAX];
	char *roots[KEEPER_CGROUPS_MAX]; /* <place>/sandboxd-<instance> */
	size_t n;
	char *moved_from; /* version 2: the cgroup we were in before the leaf; else NULL */
	bool is_root;
	bool services; /* version 2, and keepers are services: no roots */
	struct owner_place *owner_places;
	char *instance;
	bool keep; /* what is there */
};

/* ---- directories ---- */

static int write_in(const char *dir, const char *file, const char *text)
{
	CLEANUP_STR char *path = string_format("%s/%s", dir, file);

	return path ? fd_write_file(AT_FDCWD, path, text) : -ENOMEM;
}

/* What a dead keeper left frozen has been killed, or ends without its controller; but what version
 * 1 froze does not die before it is thawed. */
static void thaw_to_die(const char *dir)
{
	(void)write_in(dir, "freezer.state", "THAWED"); /* another controller's has no such file */
}

static int remove_cgroups(const char *dir, unsigned depth);

static int remove_cgroups_in(const char *dir, unsigned depth)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	int r = 0, q;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (depth > 0 && (entry = readdir(d))) {
		CLEANUP_STR char *child = NULL;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = string_format("%s/%s", dir, entry->d_name);
		q = child ? remove_cgroups(child, depth - 1) : -ENOMEM;
		if (r == 0)
			r = q; /* the others are gone or thawed, too */
	}
	(void)closedir(d); /* only read from */
	return r;
}

/* rmdir of DIR and the cgroups in it; files of cgroups go with their directory. */
static int remove_cgroups(const char *dir, unsigned depth)
{
	int r = remove_cgroups_in(dir, depth);

	if (r == 0 && rmdir(dir) < 0 && errno != ENOENT) {
		r = -errno;
		thaw_to_die(dir);
	}
	return r;
}

static int read_bits(const char *dir, const char *file, uint32_t *ret)
{
	CLEANUP_STR char *path = string_format("%s/%s", dir, file);
	CLEANUP_STR char *text = NULL;
	int r = path ? fd_read_file(AT_FDCWD, path, PROC_FILE_MAX, &text, NULL) : -ENOMEM;

	if (r < 0)
		return r;
	*ret = cgroup_bits(text, strcspn(text, "\n"), ' ');
	return 0;
}

/* ---- version 2 ---- */

/* Lets DIR hand BITS down to its children. One write per controller: all or nothing is not wanted.
 */
static uint32_t enable_controllers(const char *dir, uint32_t bits)
{
	uint32_t enabled = 0;
	char text[16];
	size_t i;

	for (i = 0; i < CGROUP_CONTROLLERS; i++) {
		if (!cgroup_controllers[i].in_v2 || (bits & cgroup_controllers[i].bit) == 0)
			continue;
		(void)snprintf(text, sizeof(text), "+%s", cgroup_controllers[i].name);
		(void)write_in(dir, "cgroup.subtree_control", text); /* read back below */
	}
	if (read_bits(dir, "cgroup.subtree_control", &enabled) < 0)
		return 0;
	return enabled & bits;
}

/* True when nobody but us is in DIR. */
static bool alone_in(const char *dir)
{
	CLEANUP_STR char *path = string_format("%s/cgroup.procs", dir);
	CLEANUP_STR char *text = NULL;

	if (!path || fd_read_file(AT_FDCWD, path, PROC_FILE_MAX, &text, NULL) < 0)
		return false;
	return strtol(text, NULL, 10) == getpid() && strcspn(text, "\n") + 1 >= strlen(text);
}

static int move_self(const char *dir)
{
	return write_in(dir, "cgroup.procs", "0");
}

/* Moves us from DIR into DIR/daemon, so that DIR may hand controllers down. */
static int make_room(struct cgroups *c, const char *dir)
{
	CLEANUP_STR char *leaf = string_format("%s/daemon", dir);
	int r;

	if (!leaf)
		return -ENOMEM;
	if (!alone_in(dir))
		return -EBUSY;
	if (mkdir(leaf, 0755) < 0 && errno != EEXIST)
		return -errno;
	r = move_self(leaf);
	if (r < 0) {
		(void)rmdir(leaf); /* just made, empty */
		return r;
	}
	c->moved_from = strdup(dir);
	return 0;
}

static void move_back(struct cgroups *c)
{
	CLEANUP_STR char *leaf = NULL;

	if (!c->moved_from)
		return;
	leaf = string_format("%s/daemon", c->moved_from);
	(void)write_in(c->moved_from, "cgroup.subtree_control", "-memory"); /* on or not */
	(void)write_in(c->moved_from, "cgroup.subtree_control", "-cpu");
	(void)write_in(c->moved_from, "cgroup.subtree_control", "-pids");
	if (move_self(c->moved_from) == 0 && leaf)
		(void)rmdir(leaf); /* the service manager removes it otherwise */
	free(TAKE_PTR(c->moved_from));
}

/* What DIR can hand down, after making that possible. */
static uint32_t prepare_v2(struct cgroups *c, const char *dir, bool is_top)
{
	uint32_t available = 0, enabled = 0;

	if (read_bits(dir, "cgroup.controllers", &available) < 0)
		return 0;
	if (read_bits(dir, "cgroup.subtree_control", &enabled) < 0)
		enabled = 0; /* the file is missing in domain threads and the like */
	if (available == 0 || (available & ~enabled) == 0)
		return enabled;
	if (!is_top && make_room(c, dir) < 0)
		return 0;
	enabled = enable_controllers(dir, available);
	if (enabled == 0)
		move_back(c);
	return enabled;
}

static int use_root(struct cgroups *c, size_t i, const char *dir, const char *instance);

static void setup_v2(struct cgroups *c, const char *instance)
{
	struct cgroup_place *p = &c->places[0];
	const char *candidates[] = { p->dir, c->is_root ? p->mount : NULL };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(candidates); i++) {
		if (!candidates[i])
			continue;
		p->controllers = prepare_v2(c, candidates[i], strcmp(candidates[i], p->mount) == 0);
		if (p->controllers == 0)
			continue;
		p->controllers |= KEEPER_CONTROLLER_FREEZER; /* built in */
		if (use_root(c, 0, candidates[i], instance) < 0) {
			move_back(c);
			continue;
		}
		(void)enable_controllers(c->roots[0], p->controllers); /* read back by the keeper */
		return;
	}
	p->controllers = 0;
}

/* Makes <DIR>/sandboxd-<instance>, emptied of what a dead daemon left. */
static int use_root(struct cgroups *c, size_t i, const char *dir, const char *instance)
{
	CLEANUP_STR char *root = string_format("%s/sandboxd-%s", dir, instance);
	int r;

	if (!root)
		return -ENOMEM;
	r = c->keep ? 0 : remove_cgroups(root, REMOVE_DEPTH);
	if (r < 0)
		log_errno(LOG_LEVEL_WARNING, r, "%s: left over from an earlier run, reusing it",
			  root);
	if (mkdir(root, 0755) < 0 && errno != EEXIST)
		return -errno;
	c->roots[i] = TAKE_PTR(root);
	return 0;
}

/* What the service manager can delegate: all that the top of what is ours to write has. */
static void setup_services(struct cgroups *c)
{
	struct cgroup_place *p = &c->places[0];
	CLEANUP_STR char *dir = strdup(p->dir);
	size_t top = strlen(p->mount);
	uint32_t found = 0;
	char *slash;

	p->controllers = 0;
	while (dir && strlen(dir) >= top) {
		CLEANUP_STR char *file = string_format("%s/cgroup.procs", dir);

		if (!file || access(file, W_OK) < 0 ||
		    read_bits(dir, "cgroup.controllers", &found) < 0)
			break;
		p->controllers = found;
		slash = strrchr(dir, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	if (p->controllers != 0)
		p->controllers |= KEEPER_CONTROLLER_FREEZER; /* built in */
}

static void setup_v1(struct cgroups *c, const char *instance)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (use_root(c, i, c->places[i].dir, instance) < 0)
			c->places[i].controllers = 0; /* not ours to write */
}

static int find_places(struct cgroups *c)
{
	CLEANUP_STR char *self = NULL;
	CLEANUP_STR char *mounts = NULL;
	int r;

	r = fd_read_file(AT_FDCWD, "/proc/self/cgroup", PROC_FILE_MAX, &self, NULL);
	if (r == 0)
		r = fd_read_file(AT_FDCWD, "/proc/self/mountinfo", PROC_FILE_MAX, &mounts, NULL);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		c->n = cgroup_find_places(self, mounts, c->places);
	return r;
}

int cgroups_new(struct cgroups **ret, const char *instance, bool is_root, bool services, bool keep)
{
	struct cgroups *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->is_root = is_root;
	c->keep = keep;
	c->instance = strdup(instance);
	r = c->instance ? find_places(c) : -ENOMEM;
	if (r < 0) {
		cgroups_free(c, true);
		return r;
	}
	c->services = services && c->n > 0 && c->places[0].version == 2;
	if (c->services)
		setup_services(c);
	else if (c->n > 0 && c->places[0].version == 2)
		setup_v2(c, instance);
	else
		setup_v1(c, instance);
	*ret = c;
	return 0;
}

static struct owner_place **find_owner_place(struct cgroups *c, uid_t owner)
{
	struct owner_place **link = &c->owner_places;

	while (*link && (*link)->owner != owner)
		link = &(*link)->next;
	return link;
}

static void forget_owner_place(struct cgroups *c, struct owner_place **link)
{
	struct owner_place *p = *link;

	if (!p)
		return;
	*link = p->next;
	if (!c->services) {
		*strrchr(p->dir, '/') = '\0';
		if (!c->roots[0] || strcmp(p->dir, c->roots[0]) != 0)
			(void)rmdir(p->dir); /* an earlier daemon's; other owners may be in it */
	}
	free(p->dir);
	free(p);
}

void cgroups_free(struct cgroups *c, bool keep)
{
	size_t i;
	int r;

	if (!c)
		return;
	while (c->owner_places) {
		if (!keep && !c->services)
			(void)remove_cgroups(c->owner_places->dir, REMOVE_DEPTH); /* or stays */
		forget_owner_place(c, &c->owner_places);
	}
	for (i = 0; i < c->n; i++) {
		r = c->roots[i] && !keep ? remove_cgroups(c->roots[i], REMOVE_DEPTH) : 0;
		if (r < 0)
			log_errno(LOG_LEVEL_WARNING, r, "cannot remove %s", c->roots[i]);
	}
	if (!keep)
		move_back(c);
	free(c->moved_from);
	for (i = 0; i < c->n; i++) {
		free(c->roots[i]);
		cgroup_place_deinit(&c->places[i]);
	}
	free(c->instance);
	free(c);
}

uint32_t cgroups_controllers(const struct cgroups *c)
{
	uint32_t bits = 0;
	size_t i;

	for (i = 0; i < c->n; i++)
		bits |= c->places[i].controllers;
	return bits;
}

const char *cgroups_version(const struct cgroups *c)
{
	if (cgroups_controllers(c) == 0)
		return "none";
	return c->places[0].version == 2 ? "v2" : "v1";
}

/* OWNER's directory in hierarchy I, as a copy: -ENOENT: it has none. */
static int owner_dir(struct cgroups *c, size_t i, uid_t owner, char **ret)
{
	const struct owner_place *p = *find_owner_place(c, owner);

	if (!p && !c->roots[i])
		return -ENOENT;
	*ret = p ? strdup(p->dir) : string_format("%s/%u", c->roots[i], (unsigned)owner);
	return *ret ? 0 : -ENOMEM;
}

static bool is_populated(const char *dir)
{
	CLEANUP_STR char *path = string_format("%s/cgroup.events", dir);
	CLEANUP_STR char *text = NULL;

	return path && fd_read_file(AT_FDCWD, path, PROC_FILE_MAX, &text, NULL) == 0 &&
	       strstr(text, "populated 1");
}

char *cgroup_of_service(const char *path)
{
	const char *p, *end;

	for (p = path; (p = strstr(p, "/" CGROUP_SERVICE_PREFIX)); p = end) {
		end = p + 1 + strcspn(p + 1, "/");
		if (end - p > (ptrdiff_t)strlen(".service") &&
		    memcmp(end - strlen(".service"), ".service", strlen(".service")) == 0)
			return strndup(path, (size_t)(end - path));
	}
	return NULL;
}

char *cgroup_of_owner(const char *path, const char *instance, uid_t owner)
{
	CLEANUP_STR char *middle = string_format("/sandboxd-%s/%u/", instance, (unsigned)owner);
	const char *p = middle ? strstr(path, middle) : NULL;

	return p ? strndup(path, (size_t)(p - path) + strlen(middle) - 1) : NULL;
}

static int set_owner_place(struct cgroups *c, uid_t owner, const char *path)
{
	struct owner_place **link = find_owner_place(c, owner), *p = *link;
	char *dir = string_format("%s%s", c->places[0].mount, path);

	if (!p && dir)
		p = calloc(1, sizeof(*p));
	if (!p || !dir) {
		free(dir);
		return -ENOMEM;
	}
	if (p->dir)
		(void)remove_cgroups_in(p->dir, REMOVE_DEPTH); /* empty, as was seen */
	free(p->dir);
	p->owner = owner;
	p->dir = dir;
	*link = p; /* the last, if it is new */
	return 0;
}

int cgroups_follow(struct cgroups *c, uid_t owner, pid_t pid)
{
	const struct owner_place *p = *find_owner_place(c, owner);
	CLEANUP_STR char *file = string_format("/proc/%d/cgroup", (int)pid);
	CLEANUP_STR char *text = NULL;
	CLEANUP_STR char *path = NULL;
	CLEANUP_STR char *found = NULL;
	int r;

	if (c->n == 0 || c->places[0].version != 2 || (p && is_populated(p->dir)))
		return 0;
	r = file ? fd_read_file(AT_FDCWD, file, PROC_FILE_MAX, &text, NULL) : -ENOMEM;
	if (r < 0)
		return r;
	path = cgroup_own(text, 0);
	if (path && !strstr(path, "/..")) /* else we do not see it */
		found = c->services ? cgroup_of_service(path)
				    : cgroup_of_owner(path, c->instance, owner);
	if (!found) /* without services one that a daemon just started is in that one's cgroup */
		return c->services ? -ENOENT : 0;
	return set_owner_place(c, owner, found);
}

/* The keeper makes directories in DIR and moves processes into them. */
static int give_to_keeper(const struct cgroups *c, const char *dir, const struct owner *owner)
{
	static const char *const files[] = { "cgroup.procs", "tasks", "cgroup.threads",
					     "cgroup.subtree_control" };
	uid_t uid = owner_host_uid(owner, KEEPER_ID_FENCE);
	gid_t gid = owner_host_gid(owner, KEEPER_ID_FENCE);
	size_t i;

	if (!c->is_root)
		return 0; /* the keeper does that itself, in its own user namespace */
	if (chown(dir, uid, gid) < 0)
		return -errno;
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		CLEANUP_STR char *path = string_format("%s/%s", dir, files[i]);

		if (!path)
			return -ENOMEM;
		if (chown(path, uid, gid) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static int open_place(struct cgroups *c, size_t i, const struct owner *owner)
{
	CLEANUP_STR char *dir = NULL;
	int fd;
	int r;

	r = owner_dir(c, i, owner->uid, &dir);
	if (r < 0)
		return r;
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	if (c->places[i].version == 2 && !c->services)
		(void)enable_controllers(dir, c->places[i].controllers); /* the keeper looks */
	r = give_to_keeper(c, dir, owner);
	if (r < 0)
		return r;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int cgroups_open_owner(struct cgroups *c, const struct owner *owner,
		       struct keeper_cgroup out[static KEEPER_CGROUPS_MAX],
		       int fds[static KEEPER_CGROUPS_MAX])
{
	int n = 0;
	size_t i;
	int fd;

	for (i = 0; i < c->n; i++) {
		if (c->places[i].controllers == 0)
			continue;
		fd = open_place(c, i, owner);
		if (fd < 0) {
			while (n > 0)
				(void)close_fd(fds[--n]);
			return fd;
		}
		out[n].controllers = c->places[i].controllers;
		out[n].version = c->places[i].version;
		fds[n++] = fd;
	}
	return n;
}

int cgroups_place_keeper(struct cgroups *c, uid_t owner, pid_t keeper)
{
	CLEANUP_STR char *dir = NULL;
	CLEANUP_STR char *leaf = NULL;
	char number[16];
	int r;

	if (c->n == 0 || c->places[0].version != 2 || c->places[0].controllers == 0)
		return 0;
	r = owner_dir(c, 0, owner, &dir);
	if (r < 0)
		return r;
	leaf = string_format("%s/keeper", dir);
	if (!leaf)
		return -ENOMEM;
	if (mkdir(leaf, 0755) < 0 && errno != EEXIST)
		return -errno;
	(void)snprintf(number, sizeof(number), "%d", keeper);
	r = write_in(leaf, "cgroup.procs", number);
	/* not before: with a process in it, a cgroup that hands cpu or pids down can have threads
	 * alone below it */
	if (r == 0 && c->services)
		(void)enable_controllers(dir, c->places[0].controllers); /* the keeper looks */
	return r;
}

bool cgroups_hold(const struct cgroups *c, int fd)
{
	struct statx file;
	struct stat root;
	size_t i;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &file) < 0)
		return false;
	for (i = 0; i < c->n; i++)
		if (stat(c->places[i].mount, &root) == 0 &&
		    root.st_dev == makedev(file.stx_dev_major, file.stx_dev_minor))
			return true;
	return false;
}

static void sweep(const char *root, bool (*used)(uid_t owner, void *userdata), void *userdata)
{
	DIR *d = opendir(root);
	const struct dirent *entry;
	unsigned long owner;
	char *end;

	while (d && (entry = readdir(d))) {
		CLEANUP_STR char *dir = string_format("%s/%s", root, entry->d_name);

		owner = strtoul(entry->d_name, &end, 10);
		if (dir && end != entry->d_name && *end == '\0' && !used((uid_t)owner, userdata))
			(void)remove_cgroups(dir, REMOVE_DEPTH); /* else with the whole root */
	}
	if (d)
		(void)closedir(d); /* only read from */
}

void cgroups_sweep(struct cgroups *c, bool (*used)(uid_t owner, void *userdata), void *userdata)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (c->roots[i])
			sweep(c->roots[i], used, userdata);
}

int cgroups_remove_owner(struct cgroups *c, uid_t owner)
{
	int r, first = 0;
	size_t i;

	for (i = 0; i < c->n; i++) {
		CLEANUP_STR char *dir = NULL;

		r = owner_dir(c, i, owner, &dir);
		if (r == -ENOENT)
			continue;
		/* a service's own is systemd's, which would miss that it has become empty */
		if (r == 0)
			r = c->services ? remove_cgroups_in(dir, REMOVE_DEPTH)
					: remove_cgroups(dir, REMOVE_DEPTH);
		if (r < 0 && first == 0)
			first = r;
	}
	if (first == 0 && !c->services)
		forget_owner_place(c, find_owner_place(c, owner));
	return first;
}
