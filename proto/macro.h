/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Ownership helpers used by every part of the project. libc only. */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The value of a macro as a string. */
#define STRINGIFY(x) STRINGIFY_(x)
#define STRINGIFY_(x) #x

/* Runs FN on the variable's address when it goes out of scope. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Declares x_freep() for CLEANUP from a destructor that takes a pointer and accepts NULL. */
#define DEFINE_CLEANUP(type, fn)                                                                   \
	static inline void fn##p(type *p) /* NOLINT(bugprone-macro-parentheses): a type */         \
	{                                                                                          \
		fn(*p);                                                                            \
	}                                                                                          \
	struct fn##_cleanup_needs_semicolon

/* Hands a pointer or fd over and leaves the source empty, so that its cleanup does nothing. */
#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) *take_ptr_ = &(p);                                                   \
		__typeof__(p) taken_ptr_ = *take_ptr_;                                             \
		*take_ptr_ = NULL;                                                                 \
		taken_ptr_;                                                                        \
	})
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int *take_fd_ = &(fd);                                                             \
		int taken_fd_ = *take_fd_;                                                         \
		*take_fd_ = -1;                                                                    \
		taken_fd_;                                                                         \
	})

/* Closes FD unless it is -1, keeps errno, returns -1 for assignment. close() is never retried. */
static inline int close_fd(int fd)
{
	int saved = errno;

	if (fd >= 0)
		(void)close(fd); /* the descriptor is gone whatever close says */
	errno = saved;
	return -1;
}

static inline void close_fdp(int *fd)
{
	*fd = close_fd(*fd);
}

static inline void free_charp(char **p)
{
	free(*p);
}

#define CLEANUP_FD CLEANUP(close_fdp)
#define CLEANUP_STR CLEANUP(free_charp)
