/* SPDX-License-Identifier: Apache-2.0 */
/* Everything here is of processes that an agent controls and that come and go while we read: what
 * cannot be read counts as gone, and nothing is believed beyond being shown. /proc/PID/task/TID/
 * children is there in every kernel with checkpoint/restore, which distributions build. */

#include "sandbox/process-tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro.h"
#include "util/fd.h"
#include "util/strings.h"

#define FILE_MAX_BYTES 16384
#define THREADS_MAX 1024 /* whose children are looked for, of all together */

struct reading {
	struct process_tree *tree;
	size_t threads;
	long hertz;
};

static char *read_file(const char *path)
{
	char *text = NULL;

	return fd_read_file(AT_FDCWD, path, FILE_MAX_BYTES, &text, NULL) < 0 ? NULL : text;
}

static char *read_of(pid_t pid, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return read_file(path);
}

static void read_io(struct process_use *p)
{
	CLEANUP_STR char *text = read_of(p->pid, "io");
	unsigned long long in = 0, out = 0;

	if (text && sscanf(text, "rchar: %llu wchar: %llu", &in, &out) == 2)
		p->io_bytes = in + out;
}

/* Returns how many threads it has; 0: it is gone. */
static long read_stat(const struct reading *r, struct process_use *p)
{
	CLEANUP_STR char *text = read_of(p->pid, "stat");
	char *name = text ? strchr(text, '(') : NULL;
	char *rest = text ? strrchr(text, ')') : NULL;
	unsigned long user, system;
	long children_user, children_system, threads;
	unsigned long long since;

	if (!name || !rest || rest < name)
		return 0;
	if (sscanf(rest + 1,
		   " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld %*d %*d %ld %*d "
		   "%llu",
		   &p->state, &p->parent, &user, &system, &children_user, &children_system,
		   &threads, &since) != 8)
		return 0;
	*rest = '\0';
	(void)snprintf(p->name, sizeof(p->name), "%s", name + 1);
	p->since = since;
	p->cpu_ms =
		(user + system + (unsigned long)children_user + (unsigned long)children_system) *
		1000 / (unsigned long)r->hertz;
	return threads;
}

/* ---- who is below whom ---- */

static void add_children(struct reading *r, pid_t pid, pid_t tid, pid_t top)
{
	struct process_tree *t = r->tree;
	struct process_use *p;
	char path[64];
	CLEANUP_STR char *text = NULL;
	char *at, *end;
	long child;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, tid);
	text = read_file(path);
	if (!text)
		t->whole = t->whole && access(path, F_OK) < 0; /* gone, or too many of them */
	for (at = text; at; at = end) {
		child = strtol(at, &end, 10);
		if (end == at || child <= 0)
			return;
		if (t->count == PROCESS_TREE_MAX) {
			t->whole = false;
			return;
		}
		p = &t->items[t->count++];
		*p = (struct process_use){ .pid = (pid_t)child };
		p->top = top > 0 ? top : p->pid;
	}
}

static void add_children_of_all(struct reading *r, pid_t pid, pid_t top)
{
	const struct dirent *entry;
	char path[32];
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (++r->threads > THREADS_MAX) {
			r->tree->whole = false;
			break;
		}
		add_children(r, pid, (pid_t)strtol(entry->d_name, NULL, 10), top);
	}
	(void)closedir(dir);
}

void process_tree_read(struct process_tree *t, pid_t root)
{
	struct reading r = { .tree = t, .hertz = sysconf(_SC_CLK_TCK) };
	struct process_use *p;
	long threads;
	size_t i;

	t->count = 0;
	t->whole = true;
	add_children_of_all(&r, root, 0);
	for (i = 0; i < t->count; i++) {
		p = &t->items[i];
		threads = read_stat(&r, p);
		if (threads > 0)
			read_io(p);
		if (threads > 1)
			add_children_of_all(&r, p->pid, p->top);
		else if (threads == 1)
			add_children(&r, p->pid, p->pid, p->top);
	}
}

/* ---- names of one ---- */

pid_t process_inner_pid(pid_t pid)
{
	CLEANUP_STR char *text = read_of(pid, "status");
	char *at = text ? strstr(text, "\nNSpid:") : NULL;
	char *end;
	long last = 0, number;

	if (!at)
		return 0;
	at += strlen("\nNSpid:");
	for (;;) {
		number = strtol(at, &end, 10);
		if (end == at || (memchr(at, '\n', (size_t)(end - at)) != NULL))
			return (pid_t)last;
		last = number;
		at = end;
	}
}

uint64_t process_uts(pid_t pid)
{
	char path[32];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/uts", pid);
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}
