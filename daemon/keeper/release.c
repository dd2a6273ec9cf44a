/* SPDX-License-Identifier: Apache-2.0 */
/* Directories are held by descriptors, so nothing that was renamed or replaced in the meantime is
 * touched; no symlink is followed. */

#include "release.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "claim-guard.h"
#include "files.h"
#include "git-links.h"
#include "keeper-wire.h"
#include "macro.h"
#include "quarantine.h"
#include "record.h"
#include "worker.h"

struct made {
	struct release_key key; /* first, see made_by_another() */
	struct made *next;
	int dir;
	struct stat was;
	char *name;
	char *content;
};

void release_init(struct release *r, struct releases *all, const char *id)
{
	memset(r, 0, sizeof(*r));
	r->all = all;
	r->id = id;
	STAILQ_INIT(&r->roots);
}

/* ---- who else has it ---- */

static struct release_key **bucket(struct release_key **table, dev_t device, ino_t inode)
{
	return &table[(device ^ inode) % RELEASE_BUCKETS];
}

static void key_add(struct release_key **table, struct release_key *k, const struct stat *st)
{
	struct release_key **head = bucket(table, st->st_dev, st->st_ino);

	k->device = st->st_dev;
	k->inode = st->st_ino;
	k->next = *head;
	*head = k;
}

static void key_remove(struct release_key **table, struct release_key *k)
{
	struct release_key **at = bucket(table, k->device, k->inode);

	for (; *at && *at != k; at = &(*at)->next)
		;
	if (*at)
		*at = k->next;
}

/* From K on: the same inode in a claim of another that counts on it. */
static struct release_key *key_of_another(struct release_key *k, const struct release *r,
					  const struct stat *st)
{
	for (; k; k = k->next)
		if (k->device == st->st_dev && k->inode == st->st_ino && k->of != r &&
		    !k->of->leaving)
			break;
	return k;
}

/* ---- memory ---- */

static struct made *made_free(struct made *m)
{
	if (m) {
		(void)close_fd(m->dir);
		free(m->name);
		free(m->content);
		free(m);
	}
	return NULL;
}

static void root_free(struct release_root *root)
{
	(void)guard_place_free(root->guard);
	(void)close_fd(root->fd);
	free(root->path);
	free(root);
}

void release_deinit(struct release *r)
{
	struct release_root *root;
	struct made *m;

	while ((m = r->made)) {
		r->made = m->next;
		key_remove(r->all->made, &m->key);
		(void)made_free(m);
	}
	while ((root = STAILQ_FIRST(&r->roots))) {
		STAILQ_REMOVE_HEAD(&r->roots, entry);
		key_remove(r->all->workspaces, &root->key);
		root_free(root);
	}
	r->n_roots = 0;
}

static const struct made *made_by_another(const struct release *r, const struct stat *st)
{
	return (const struct made *)(const void *)key_of_another(*bucket(r->all->made, st->st_dev,
									 st->st_ino),
								 r, st);
}

int release_note_made(struct release *r, int dir, const char *name, const char *content)
{
	struct made *m;

	if (r->n_made >= RELEASE_MADE_MAX)
		return -E2BIG;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->dir = fcntl(dir, F_DUPFD_CLOEXEC, 3);
	m->name = strdup(name);
	m->content = strdup(content);
	if (m->dir < 0 || !m->name || !m->content ||
	    fstatat(m->dir, name, &m->was, AT_SYMLINK_NOFOLLOW) < 0) {
		(void)made_free(m);
		return -ENOMEM;
	}
	m->key.of = r;
	key_add(r->all->made, &m->key, &m->was);
	m->next = r->made;
	r->made = m;
	r->n_made++;
	return 0;
}

bool release_is_made(const struct release *r, int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && made_by_another(r, &st);
}

int release_note_found(struct release *r, int dir, const char *name)
{
	const struct made *theirs;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	theirs = made_by_another(r, &st);
	return theirs ? release_note_made(r, dir, name, theirs->content) : 0;
}

int release_note_root(struct release *r, int root, const char *path, uint32_t flags,
		      const struct timespec *since)
{
	struct release_root *place;
	struct stat st;

	if (r->n_roots == RELEASE_ROOTS_MAX)
		return -E2BIG;
	if (fstat(root, &st) < 0)
		return -errno;
	place = calloc(1, sizeof(*place));
	if (!place)
		return -ENOMEM;
	place->since = *since;
	place->fd = fcntl(root, F_DUPFD_CLOEXEC, 3);
	place->path = strdup(path);
	if (place->fd < 0 || !place->path) {
		root_free(place);
		return -ENOMEM;
	}
	place->quarantine = (flags & KEEPER_MOUNT_QUARANTINE) != 0;
	place->links = (flags & KEEPER_MOUNT_NO_LINKS) != 0;
	place->own = (flags & KEEPER_MOUNT_NO_GIT) != 0;
	place->key.of = r;
	key_add(r->all->workspaces, &place->key, &st);
	STAILQ_INSERT_TAIL(&r->roots, place, entry);
	r->n_roots++;
	return 0;
}

static bool still_ours(const struct made *m)
{
	size_t size = strlen(m->content) + 2;
	CLEANUP_STR char *now = malloc(size);
	struct stat st;

	return now && fstatat(m->dir, m->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && st.st_dev == m->was.st_dev && st.st_ino == m->was.st_ino &&
	       file_get_at(m->dir, m->name, now, size) >= 0 && strcmp(now, m->content) == 0;
}

void release_unmake(struct release *r)
{
	struct made *m;

	/* two that end at once must not leave it to each other */
	r->leaving = true;
	for (m = r->made; m; m = m->next)
		if (still_ours(m) && !made_by_another(r, &m->was))
			(void)unlinkat(m->dir, m->name, 0); /* its directory may be gone */
}

static void give_back_entry(int dir, const char *name, const struct stat *st)
{
	if (st->st_uid == 0 && st->st_gid == 0)
		return;
	(void)fchownat(dir, name, 0, 0, AT_SYMLINK_NOFOLLOW); /* read-only or unmapped: stays */
}

/* Takes FD over. */
static void give_back_below(int fd, dev_t device, int depth)
{
	const struct dirent *e;
	struct stat st;
	int child;
	DIR *d = fdopendir(fd);

	if (!d) {
		(void)close_fd(fd);
		return;
	}
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		give_back_entry(fd, e->d_name, &st);
		if (!S_ISDIR(st.st_mode) || st.st_dev != device || depth == 0)
			continue;
		child = dir_open_at(fd, e->d_name);
		if (child >= 0)
			give_back_below(child, device, depth - 1);
	}
	(void)closedir(d);
}

static bool is_earlier(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static struct release_root *root_of_another(const struct release *r, const struct stat *st)
{
	struct release_key *k = *bucket(r->all->workspaces, st->st_dev, st->st_ino);
	struct release_root *root;

	for (; (k = key_of_another(k, r, st)); k = k->next) {
		root = (struct release_root *)(void *)k; /* its first member */
		if (root->quarantine)
			return root;
	}
	return NULL;
}

/* The other claim looks back to the beginning of this one, if that was earlier, and at a .git that
 * was made since: it may have found that one. A later keeper has to know, too. */
static bool leave_to_another(struct release *r, const struct release_root *root)
{
	struct release_root *theirs;
	struct stat st;
	int error;

	if (fstat(root->fd, &st) < 0)
		return false;
	theirs = root_of_another(r, &st);
	if (!theirs)
		return false;
	if (is_earlier(&root->since, &theirs->since))
		theirs->since = root->since;
	theirs->own = theirs->own || root->own;
	error = record_look_back(r->all->tree, theirs->key.of->id, &theirs->since,
				 theirs->own ? theirs->path : NULL);
	if (error < 0)
		(void)fprintf(stderr, "%s: noting what %s may have made: %s\n", root->path, r->id,
			      strerror(-error));
	return true;
}

bool release_hand_over(struct release *r)
{
	bool work = r->give_back && r->n_roots > 0;
	struct release_root *root;

	STAILQ_FOREACH (root, &r->roots, entry) {
		work = work || root->links;
		if (!root->quarantine)
			continue;
		root->quarantine = !leave_to_another(r, root);
		work = work || root->quarantine;
	}
	return work;
}

static void tell(const struct release_root *root, int r, const char *what)
{
	if (r > 0)
		(void)fprintf(stderr, "%s: %d %s\n", root->path, r, what);
	else if (r < 0)
		(void)fprintf(stderr, "%s: looking for what steers git: %s\n", root->path,
			      strerror(-r));
}

static void set_aside(const struct release_root *root)
{
	tell(root, quarantine_nested_git(root->fd, root->path, root->own, &root->since),
	     "nested .git made inside the sandbox renamed to .git" QUARANTINE_SUFFIX);
}

static void remove_links(const struct release_root *root)
{
	tell(root, git_links_remove(root->fd, &root->since),
	     "symbolic links made inside the sandbox removed, git would write through them");
}

static void give_back(const struct release_root *root)
{
	struct stat st;
	int fd = dir_open_at(root->fd, ".");

	if (fd < 0 || fstat(fd, &st) < 0) {
		(void)close_fd(fd);
		return;
	}
	give_back_below(fd, st.st_dev, RELEASE_DEPTH_MAX);
}

void release_restore(void *arg)
{
	const struct release *r = arg;
	const struct release_root *root;
	struct worker_result result = { 0 };

	STAILQ_FOREACH (root, &r->roots, entry) {
		if (root->quarantine)
			set_aside(root);
		if (root->links)
			remove_links(root);
		if (r->give_back)
			give_back(root);
	}
	worker_answer(&result);
}
