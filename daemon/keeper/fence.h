/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What is closed in a new sandbox after the runtime is done and before anybody uses it. */

#include <stdbool.h>
#include <sys/types.h>

/* From outside: no new user namespaces, few mount namespaces and inotify objects; loopback up when
 * it has a network of its own. For a worker: a descriptor stays open until it ends. Returns 0 or
 * negative errno: then the sandbox must not be used. */
int fence_raise(int pidfd, bool own_network);

/* In the network namespace of the caller. Returns 0 or negative errno; ARG is not used. */
int fence_loopback_up(void *arg);

/* 0 when the kernel says that PID is under a seccomp filter, else -EPERM or what went wrong. */
int fence_check_seccomp(pid_t pid);
