/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox is always in a user namespace of its own, so whoever is in the daemon's is in no
 * sandbox: neither in one of ours nor in one of another daemon's, whose agent may be the very uid
 * that this socket lets in. That refuses a client in a foreign container too, which is as it should
 * be. */

#include "sandbox/peer.h"

#include <stdio.h>
#include <sys/stat.h>

#include "sandbox/manager.h"

static bool shares_our_userns(pid_t pid)
{
	struct stat own, theirs;
	char path[48];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	if (pid <= 0 || stat("/proc/self/ns/user", &own) < 0 || stat(path, &theirs) < 0)
		return false;
	return own.st_dev == theirs.st_dev && own.st_ino == theirs.st_ino;
}

bool peer_admit(uid_t uid, pid_t pid, void *userdata)
{
	const struct manager *m = userdata;

	if (uid == 0)
		return true; /* host root is in no keeper's map, so this is not an agent */
	if (!m->is_root && uid != m->uid)
		return false;
	return shares_our_userns(pid);
}
