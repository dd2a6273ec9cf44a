/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where no descriptor can be inherited (gVisor), init connects to its controller instead, by a
 * socket that only it is to find: it is accepted from once. */

struct dial {
	const char *socket;
	const char *seccomp; /* file with the program */
};

/* Connects to the seqpacket socket PATH. Returns the descriptor or negative errno. */
int dial_connect(const char *path);
