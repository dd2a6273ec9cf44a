/* SPDX-License-Identifier: Apache-2.0 */
/* The file is upper/<id>/made: "SECONDS NANOSECONDS" and a NUL, then the entries, each with its
 * NUL, because a path may hold anything else. It lies beside the overlay's directories, where no
 * sandbox sees it. A process crash is what it is for, and mostly also a host's: the first one is
 * written with one call, a later one replaces it by rename, and a torn one is read as far as it
 * goes. An empty one is none: it was made beforehand, for a claim is in a hurry. */

#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "io.h"
#include "macro.h"

#define RECORD_BYTES_MAX (512 * 1024) /* more than a claim's message can say */
#define RECORD_NAME_MAX (NAME_LENGTH_MAX + 16)

static void name_file(char *name, size_t size, const char *id, const char *file)
{
	(void)snprintf(name, size, "%s/%s", id, file); /* ids are short */
}

void record_deinit(struct record *r)
{
	free(r->entries);
	*r = (struct record){ 0 };
}

static int read_all(int fd, char *text, size_t size)
{
	size_t done = 0;
	ssize_t n;

	while (done < size) {
		n = read(fd, text + done, size - done);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (int)done;
}

/* Takes the time off the front; the rest are the entries. */
static int parse(struct record *r)
{
	size_t head = strnlen(r->entries, r->size);
	int64_t sec;
	long nsec;

	if (head == r->size || sscanf(r->entries, "%" SCNd64 " %ld", &sec, &nsec) != 2)
		return -EBADMSG;
	r->since = (struct timespec){ .tv_sec = (time_t)sec, .tv_nsec = nsec };
	r->size -= head + 1;
	memmove(r->entries, r->entries + head + 1, r->size);
	while (r->size > 0 && r->entries[r->size - 1] != '\0')
		r->size--; /* torn */
	return 0;
}

/* files get the coarse clock's time */
static int begin(struct record *r)
{
	return clock_gettime(CLOCK_REALTIME_COARSE, &r->since) < 0 ? -errno : 0;
}

static int load(struct record *r, int fd)
{
	struct stat st;
	int n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > RECORD_BYTES_MAX)
		return -EBADMSG;
	if (st.st_size == 0)
		return begin(r);
	r->found = true;
	r->entries = malloc((size_t)st.st_size + 1);
	if (!r->entries)
		return -ENOMEM;
	n = read_all(fd, r->entries, (size_t)st.st_size);
	if (n < 0)
		return n;
	r->size = (size_t)n;
	r->entries[r->size] = '\0';
	return parse(r);
}

int record_load(struct record *r, const struct tree *t, const char *id)
{
	char name[RECORD_NAME_MAX];
	CLEANUP_FD int fd = -1;
	int result;

	*r = (struct record){ 0 };
	name_file(name, sizeof(name), id, "made");
	fd = openat(t->upper, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno != ENOENT)
		return -errno;
	if (fd < 0)
		return begin(r);
	result = load(r, fd);
	if (result < 0)
		record_deinit(r);
	return result;
}

static int format(char *entry, enum record_kind kind, const char *root, const char *source)
{
	int n = snprintf(entry, PATH_MAX, "%c%s%s%s", (char)kind, root, source[0] ? "/" : "",
			 source);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : n + 1;
}

int record_add(struct record *r, enum record_kind kind, const char *root, const char *source)
{
	char entry[PATH_MAX], *grown;
	int n = format(entry, kind, root, source);

	if (n < 0 || record_has(r, kind, root, source))
		return n < 0 ? n : 0;
	if (r->size + (size_t)n > RECORD_BYTES_MAX / 2)
		return -E2BIG;
	grown = realloc(r->entries, r->size + (size_t)n);
	if (!grown)
		return -ENOMEM;
	memcpy(grown + r->size, entry, (size_t)n);
	r->entries = grown;
	r->size += (size_t)n;
	return 0;
}

bool record_has(const struct record *r, enum record_kind kind, const char *root, const char *source)
{
	char entry[PATH_MAX];
	size_t at;

	if (format(entry, kind, root, source) < 0)
		return false;
	for (at = 0; at < r->size; at += strlen(r->entries + at) + 1)
		if (strcmp(r->entries + at, entry) == 0)
			return true;
	return false;
}

/* In one piece: a crash leaves all of it or none. */
static int write_all(const struct record *r, int fd)
{
	size_t room = r->size + 64;
	CLEANUP_STR char *text = malloc(room);
	int n;

	if (!text)
		return -ENOMEM;
	n = snprintf(text, room, "%" PRId64 " %ld", (int64_t)r->since.tv_sec, r->since.tv_nsec);
	if (r->size > 0)
		memcpy(text + n + 1, r->entries, r->size);
	return io_write_all(fd, text, (size_t)n + 1 + r->size);
}

int record_save(const struct record *r, const struct tree *t, const char *id)
{
	char name[RECORD_NAME_MAX], fresh[RECORD_NAME_MAX];
	CLEANUP_FD int fd = -1;
	int result;

	name_file(name, sizeof(name), id, "made");
	name_file(fresh, sizeof(fresh), id, "made.new");
	/* not cut off: it is empty, and ext4 waits for the disk when a file that was is closed */
	fd = openat(t->upper, r->found ? fresh : name,
		    O_WRONLY | O_CREAT | (r->found ? O_TRUNC : 0) | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	result = write_all(r, fd);
	if (result == 0 && r->found && renameat(t->upper, fresh, t->upper, name) < 0)
		result = -errno;
	return result;
}

int record_look_back(const struct tree *t, const char *id, const struct timespec *since,
		     const char *own)
{
	struct record r;
	int result = record_load(&r, t, id);

	if (result < 0 || !r.found)
		return result;
	r.since = *since;
	if (own)
		result = record_add(&r, RECORD_OWN, own, "");
	if (result == 0)
		result = record_save(&r, t, id);
	record_deinit(&r);
	return result;
}

void record_prepare(const struct tree *t, const char *id)
{
	char name[RECORD_NAME_MAX];

	name_file(name, sizeof(name), id, "made");
	(void)close_fd(
		openat(t->upper, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
}

void record_remove(const struct tree *t, const char *id)
{
	char name[RECORD_NAME_MAX];

	name_file(name, sizeof(name), id, "made");
	(void)unlinkat(t->upper, name, 0); /* there was none; or it is undone once more */
}
