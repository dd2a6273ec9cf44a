/* SPDX-License-Identifier: Apache-2.0 */
/* Both descriptors are opened before anything untrusted runs and kept, so nothing that happens to
 * the sandbox's /proc later matters. Zombies have no namespaces any more; a process whose first
 * thread ended while others go on looks like a zombie and is recognised by its thread count. */

#include "init/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init/mark.h"
#include "init/text.h"
#include "macro.h"

/* What getdents64 writes; no libc shares its struct dirent with the kernel by promise. */
struct directory_entry {
	uint64_t ino;
	int64_t offset;
	uint16_t size;
	uint8_t type;
	char name[];
};

void scan_rewind(struct scan *s)
{
	(void)lseek(s->fd, 0, SEEK_SET); /* cannot fail on what we opened */
	s->at = s->size = 0;
}

static bool refill(struct scan *s, ssize_t n)
{
	s->at = 0;
	s->size = n > 0 ? (size_t)n : 0;
	return n > 0;
}

pid_t scan_directory(struct scan *s)
{
	const struct directory_entry *e;
	uint64_t pid;

	for (;;) {
		if (s->at >= s->size &&
		    !refill(s, syscall(SYS_getdents64, s->fd, s->buffer, SCAN_SIZE)))
			return 0;
		e = (const struct directory_entry *)(const void *)(s->buffer + s->at);
		s->at += e->size;
		pid = text_number(e->name, NULL);
		if (pid > 0)
			return (pid_t)pid;
	}
}

pid_t scan_text(struct scan *s)
{
	pid_t pid = 0;
	char c;

	for (;;) {
		if (s->at >= s->size && !refill(s, read(s->fd, s->buffer, SCAN_SIZE)))
			return pid;
		c = s->buffer[s->at++];
		if (c >= '0' && c <= '9')
			pid = pid * 10 + (c - '0');
		else if (pid > 0)
			return pid;
	}
}

static bool is_own_namespace(int proc)
{
	char link[24];
	ssize_t n = readlinkat(proc, "self", link, sizeof(link) - 1);

	if (n <= 0)
		return false;
	link[n] = '\0';
	return text_number(link, NULL) == (uint64_t)getpid();
}

int tree_init(struct tree *t)
{
	int r;

	t->children.fd = t->sweep.fd = -1;
	t->processes.buffer = t->buffers[0];
	t->sweep.buffer = t->buffers[1];
	t->children.buffer = t->buffers[2];
	t->processes.fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->processes.fd < 0)
		return -errno;
	if (!is_own_namespace(t->processes.fd)) {
		tree_deinit(t);
		return -ESTALE;
	}
	t->sweep.fd = openat(t->processes.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->sweep.fd < 0) {
		r = -errno;
		tree_deinit(t);
		return r;
	}
	t->children.fd = openat(t->processes.fd, "thread-self/children", O_RDONLY | O_CLOEXEC);
	t->by_limit = faccessat(t->processes.fd, "self/ns/uts", F_OK, 0) < 0 && errno == ENOENT;
	return 0;
}

void tree_deinit(struct tree *t)
{
	t->processes.fd = close_fd(t->processes.fd);
	t->sweep.fd = close_fd(t->sweep.fd);
	t->children.fd = close_fd(t->children.fd);
}

/* "PID SUFFIX" below /proc. */
static const char *path_of(char buffer[64], pid_t pid, const char *suffix)
{
	struct text t = { buffer, 64, 0 };

	text_add_number(&t, (uint64_t)pid);
	text_add(&t, suffix);
	return buffer;
}

static int mark_at(int dir, const char *path, uint64_t *ret_mark)
{
	struct stat st;

	if (fstatat(dir, path, &st, 0) < 0)
		return -errno;
	*ret_mark = st.st_ino;
	return 0;
}

#define STAT_SIZE 512

/* The fields of a thread's stat from the state on, in BUFFER; NULL when there is nothing. */
static const char *read_state(int dir, pid_t tid, char buffer[static STAT_SIZE])
{
	CLEANUP_FD int fd = -1;
	const char *at;
	ssize_t n;

	fd = openat(dir, path_of(buffer, tid, "/stat"), O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buffer, STAT_SIZE - 1);
	if (n <= 0)
		return NULL;
	buffer[n] = '\0';
	at = strrchr(buffer, ')'); /* the name before it may hold anything */
	return at && at[1] != '\0' ? at + 2 : NULL;
}

/* Dead for good: a zombie without living threads, or nothing at all. */
static bool is_dead(const struct tree *t, pid_t pid)
{
	char buffer[STAT_SIZE];
	const char *at = read_state(t->processes.fd, pid, buffer);
	int field;
	char state;

	if (!at)
		return true;
	state = *at;
	for (field = 3; field < 20 && at; field++) { /* to num_threads, see proc(5) */
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return (state == 'Z' || state == 'X') && (!at || text_number(at, NULL) <= 1);
}

/* The mark of any thread that still has one. */
static int mark_of_threads(const struct tree *t, pid_t pid, uint64_t *ret_mark)
{
	char path[64];
	_Alignas(8) char entries[SCAN_SIZE];
	struct scan threads = { .buffer = entries };
	CLEANUP_FD int dir = -1;
	int result = -EAGAIN;
	pid_t tid;
	int r;

	dir = openat(t->processes.fd, path_of(path, pid, "/task"),
		     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -EAGAIN;
	threads.fd = dir;
	scan_rewind(&threads);
	while ((tid = scan_directory(&threads)) > 0) {
		r = mark_at(dir, path_of(path, tid, "/ns/uts"), ret_mark);
		if (r == 0)
			return 0;
		if (r == -EACCES || r == -EPERM)
			result = -EACCES;
	}
	return result;
}

int tree_mark(const struct tree *t, pid_t pid, uint64_t *ret_mark)
{
	char path[64];

	if (t->by_limit)
		return is_dead(t, pid) ? -ENOENT : mark_read(pid, ret_mark);
	if (mark_at(t->processes.fd, path_of(path, pid, "/ns/uts"), ret_mark) == 0)
		return 0;
	return is_dead(t, pid) ? -ENOENT : mark_of_threads(t, pid, ret_mark);
}

uint64_t tree_own_mark(const struct tree *t)
{
	uint64_t mark = 0;

	return mark_at(t->processes.fd, "self/ns/uts", &mark) == 0 ? mark : 0;
}

char tree_state(const struct tree *t, pid_t pid)
{
	char buffer[STAT_SIZE];
	const char *at = read_state(t->processes.fd, pid, buffer);

	return at ? *at : 'X';
}

bool tree_stands_still(const struct tree *t, pid_t pid)
{
	char buffer[STAT_SIZE];
	_Alignas(8) char entries[SCAN_SIZE];
	struct scan threads = { .buffer = entries };
	CLEANUP_FD int dir = -1;
	const char *at;
	pid_t tid;

	dir = openat(t->processes.fd, path_of(buffer, pid, "/task"),
		     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return true; /* it is gone */
	threads.fd = dir;
	scan_rewind(&threads);
	while ((tid = scan_directory(&threads)) > 0) {
		at = read_state(dir, tid, buffer);
		if (at && (*at == 'R' || *at == 'S'))
			return false;
	}
	return true;
}
