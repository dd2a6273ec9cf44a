/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What init takes from itself, and so from everything it starts, before it listens to anybody. */

/* Cuts capabilities, loads the filter in SECCOMP_FD (a struct sock_filter array; empty: none),
 * makes the caller unreadable, resets and blocks signals. Returns 0, or negative errno and in
 * *RET_WHAT what failed; then the caller must not go on. */
int fence_raise(int seccomp_fd, const char **ret_what);
