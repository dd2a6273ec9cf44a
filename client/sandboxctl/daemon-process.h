/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The daemon as a process: finding its program, starting it, finding its pid. */

#include <stddef.h>
#include <sys/types.h>

struct sandboxd_client;

/* The program: beside us in a build tree, else installed. Freed with free(); NULL: none found. */
char *daemon_process_program(void);

/* Where a daemon of ours keeps its state by default. Freed with free(); NULL: no memory, or no
 * home.
 */
char *daemon_process_state_dir(void);

/* Starts ARGV in a session of its own with LOG as stdout and stderr. Returns a pidfd or negative
 * errno. */
int daemon_process_spawn(char *const argv[], int log);

/* The process that listens at the other end. Returns a pidfd (*RET_PID is its number) or negative
 * errno. */
int daemon_process_of(const struct sandboxd_client *c, pid_t *ret_pid);
