/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Runs a function inside a sandbox's namespaces, as its root, and waits for it. */

/* FUNCTION runs in a process of its own that shares our memory: what it writes through ARG is seen
 * afterwards, but it must not allocate, free, or change other state. Its descriptors are ours: what
 * it opens and does not close is there afterwards. FLAGS are CLONE_NEW* of the process behind
 * PIDFD; CLONE_NEWUSER is always entered. Returns what FUNCTION returned (0 or negative errno), or
 * negative errno when the way in failed.
 */
int enter_run(int pidfd, int flags, int (*function)(void *arg), void *arg);
