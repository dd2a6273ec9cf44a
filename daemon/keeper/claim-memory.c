/* SPDX-License-Identifier: Apache-2.0 */
/* A directory in the agent's home that is memory: what a secret is put into, so that it gets
 * neither to the disk nor into what is saved of the sandbox. It is there before anything else is,
 * for other mounts may be below, and it is the sandbox's own: a stage that may write nothing writes
 * there. */

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "claim-internal.h"
#include "macro.h"

static int set(int fs, const char *key, const char *value)
{
	return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0);
}

int claim_make_memory(struct part *p, uid_t agent)
{
	CLEANUP_FD int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	char id[16];
	struct stat st;

	(void)snprintf(id, sizeof(id), "%u", (unsigned)agent);
	if (fs < 0 || set(fs, "size", CLAIM_MEMORY_SIZE) < 0 ||
	    set(fs, "nr_inodes", CLAIM_MEMORY_INODES) < 0 || set(fs, "mode", "0700") < 0 ||
	    set(fs, "uid", id) < 0 || set(fs, "gid", id) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	p->tree = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (p->tree < 0 || fstat(p->tree, &st) < 0)
		return -errno;
	p->device = st.st_dev;
	return 0;
}

int claim_note_memory(const struct claim *c, struct view_own *own)
{
	const struct part *p;
	int r = 0;

	for (p = c->parts; r == 0 && p < c->parts + c->n_parts; p++)
		if (p->memory)
			r = view_add_own(own, p->device);
	return r;
}
