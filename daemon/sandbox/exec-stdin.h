/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bytes on their way into a command's stdin: a pipe or the master of its terminal, written as fast
 * as the command reads. */

#include <stdbool.h>
#include <stddef.h>

#include "macro.h"

struct event_base;
struct exec_stdin;
struct stdin_waiter;

/* Called once, from the loop: 0, or -EPIPE when nobody reads it any more. */
typedef void stdin_written(int error, void *userdata);

/* Without a descriptor yet: what is written waits. Returns 0 or -ENOMEM. */
int exec_stdin_new(struct exec_stdin **ret, struct event_base *base);
/* Tells those who wait -EPIPE. Returns NULL. */
struct exec_stdin *exec_stdin_free(struct exec_stdin *s);

/* Where the bytes go; FD (non-blocking) is taken over whatever happens. A terminal's end of file is
 * its EOF character, again and again until S is freed. Returns 0 or negative errno. */
int exec_stdin_attach(struct exec_stdin *s, int fd, bool terminal);

/* Takes DATA. Returns 1 when little of it is left waiting, 0 when DONE will be called (DONE may be
 * NULL: nobody waits), -ENOBUFS when too much waits already, -EPIPE when it was closed, -ENOMEM. */
int exec_stdin_write(struct exec_stdin *s, const void *data, size_t size, stdin_written *done,
		     void *userdata, struct stdin_waiter **ret);
void exec_stdin_forget(struct stdin_waiter *w); /* its DONE will not be called */

/* End of file behind what waits. Closing twice is fine. */
void exec_stdin_close(struct exec_stdin *s);

/* exec_stdin_close() was called: no more will be written. */
bool exec_stdin_is_closing(const struct exec_stdin *s);
/* Bytes that the command has not taken yet. */
size_t exec_stdin_pending(const struct exec_stdin *s);
/* Its bytes lead somewhere. */
bool exec_stdin_is_attached(const struct exec_stdin *s);
/* A copy of its descriptor, the caller's; -1: there is none. */
int exec_stdin_copy(const struct exec_stdin *s);
