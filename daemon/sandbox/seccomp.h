/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The BPF program that init loads before anything runs in a sandbox. */

#define SECCOMP_PROFILE_PATH "/usr/share/containers/seccomp.json"

/* Compiles it from a profile of containers-common's (about 10 ms: once per daemon) into a sealed
 * memfd of struct sock_filter, which is the caller's. Returns 0, -ENOENT without the profile,
 * -EBADMSG when that is not understood, or negative errno. */
int seccomp_program_new(int *ret_memfd, const char *profile);
