/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/syscall has the call in which the first thread waits and its arguments; what a
 * descriptor among those is, its link in fd/ tells. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "macro.h"
#include "sandbox/process-tree.h"
#include "util/fd.h"
#include "util/strings.h"

#define FILE_MAX_BYTES 16384

enum wait_kind {
	WAIT_DESCRIPTOR, /* the first argument */
	WAIT_EPOLL,      /* the first argument is one of several */
	WAIT_SOCKET,
	WAIT_CHILD,
	WAIT_TIMER,
	WAIT_LOCK,
	WAIT_EVENTS,
};

static const struct {
	long number;
	enum wait_kind kind;
} calls[] = {
	{ SYS_read, WAIT_DESCRIPTOR },    { SYS_readv, WAIT_DESCRIPTOR },
	{ SYS_write, WAIT_DESCRIPTOR },   { SYS_writev, WAIT_DESCRIPTOR },
	{ SYS_splice, WAIT_DESCRIPTOR },  { SYS_recvfrom, WAIT_SOCKET },
	{ SYS_recvmsg, WAIT_SOCKET },     { SYS_sendto, WAIT_SOCKET },
	{ SYS_sendmsg, WAIT_SOCKET },     { SYS_accept, WAIT_SOCKET },
	{ SYS_accept4, WAIT_SOCKET },     { SYS_connect, WAIT_SOCKET },
	{ SYS_wait4, WAIT_CHILD },        { SYS_waitid, WAIT_CHILD },
	{ SYS_nanosleep, WAIT_TIMER },    { SYS_clock_nanosleep, WAIT_TIMER },
	{ SYS_futex, WAIT_LOCK },         { SYS_flock, WAIT_LOCK },
	{ SYS_fcntl, WAIT_LOCK },         { SYS_ppoll, WAIT_EVENTS },
	{ SYS_pselect6, WAIT_EVENTS },    { SYS_epoll_pwait, WAIT_EPOLL },
#ifdef SYS_epoll_wait
	{ SYS_epoll_wait, WAIT_EPOLL },
#endif
#ifdef SYS_epoll_pwait2
	{ SYS_epoll_pwait2, WAIT_EPOLL },
#endif
#ifdef SYS_poll
	{ SYS_poll, WAIT_EVENTS },
#endif
#ifdef SYS_select
	{ SYS_select, WAIT_EVENTS },
#endif
#ifdef SYS_pause
	{ SYS_pause, WAIT_EVENTS },
#endif
};

static char *read_of(pid_t pid, const char *name)
{
	char path[64], *text = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return fd_read_file(AT_FDCWD, path, FILE_MAX_BYTES, &text, NULL) < 0 ? NULL : text;
}

static const char *descriptor_kind(pid_t pid, int fd)
{
	char path[64], target[64];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return NULL;
	target[n] = '\0';
	if (string_starts(target, "socket:"))
		return "socket";
	if (string_starts(target, "pipe:"))
		return "pipe";
	if (string_starts(target, "/dev/pts/") || string_starts(target, "/dev/tty"))
		return "terminal";
	if (string_starts(target, "anon_inode:"))
		return "events";
	return "file";
}

/* A socket among them is the most telling; else its stdin, else whatever there is. */
static const char *epoll_kind(pid_t pid, int epoll)
{
	CLEANUP_STR char *text = NULL;
	const char *found = "events", *at, *kind;
	char name[32];
	int fd;

	(void)snprintf(name, sizeof(name), "fdinfo/%d", epoll);
	text = read_of(pid, name);
	for (at = text ? strstr(text, "tfd:") : NULL; at; at = strstr(at + 1, "tfd:")) {
		if (sscanf(at, "tfd: %d", &fd) != 1)
			continue;
		kind = descriptor_kind(pid, fd);
		if (kind && strcmp(kind, "socket") == 0)
			return kind;
		if (fd == STDIN_FILENO)
			found = "stdin";
	}
	return found;
}

static const char *kind_of(pid_t pid, enum wait_kind kind, bool reads, unsigned long long first)
{
	int fd = first <= 1 << 20 ? (int)first : -1;

	switch (kind) {
	case WAIT_DESCRIPTOR:
		return reads && fd == STDIN_FILENO ? "stdin" : descriptor_kind(pid, fd);
	case WAIT_EPOLL:
		return epoll_kind(pid, fd);
	case WAIT_SOCKET:
		return "socket";
	case WAIT_CHILD:
		return "child";
	case WAIT_TIMER:
		return "timer";
	case WAIT_LOCK:
		return "lock";
	case WAIT_EVENTS:
		return "events";
	}
	return NULL;
}

const char *process_waits_on(const struct process_use *p)
{
	CLEANUP_STR char *text = NULL;
	unsigned long long first;
	long number;
	size_t i;

	if (p->state == 'T' || p->state == 't')
		return "stopped";
	if (p->state == 'D')
		return "disk";
	text = read_of(p->pid, "syscall");
	if (!text || sscanf(text, "%ld 0x%llx", &number, &first) != 2)
		return NULL;
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		if (calls[i].number == number)
			return kind_of(p->pid, calls[i].kind,
				       number == SYS_read || number == SYS_readv, first);
	return NULL;
}
