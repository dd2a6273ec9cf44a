/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of bench-loop share. All of them end the process when something fails: a bench
 * that goes on after an error measures nothing. */

#include <stdint.h>
#include <sys/types.h>

/* Prints WHAT and errno, exits with 1. */
void fail(const char *what) __attribute__((noreturn));

/* Nanoseconds of the monotonic clock. */
uint64_t now(void);

/* Prints how long it is since BEGIN. */
void print_since(uint64_t begin);

/* A connection to the Unix stream socket at PATH. */
int dial(const char *path);

/* Sends LINE; PASSED, unless -1, is sent with it three times. */
void send_line(int fd, const char *line, int passed);

/* Reads lines until one is a reply, and returns it; notifications before it are passed over, an
 * error ends the process. It stays valid until the next call. For one connection in a process: what
 * was read of the next lines is kept. */
const char *await_reply(int fd);

/* send_line() and await_reply() of a formatted request. */
const char *call(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The modes; ARGV is what follows their name. */
void measure_rpc(int argc, char **argv);
void measure_sandbox(int argc, char **argv);
void measure_ping(int argc, char **argv);
void measure_crowd(int argc, char **argv);
void measure_children(int argc, char **argv);
