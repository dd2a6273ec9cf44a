/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The BPF program that init loads before anything runs in a sandbox. */

#include <stdbool.h>

#define SECCOMP_PROFILE_PATH "/usr/share/containers/seccomp.json"

/* Compiles it (about 10 ms: once per daemon) into a sealed memfd of struct sock_filter, which is
 * the caller's. ALLOW_USERNS leaves user and mount namespaces to the sandbox; an exec can then
 * leave its mark behind (init-wire.h), so its leftovers are only caught with the sandbox. Returns
 * 0, -ENOENT without containers-common's profile, -EBADMSG when that is not understood, or negative
 * errno. */
int seccomp_program_new(int *ret_memfd, bool allow_userns);

/* The same from another profile file, for tests. */
int seccomp_program_new_from(int *ret_memfd, bool allow_userns, const char *profile);
