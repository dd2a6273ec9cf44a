/* SPDX-License-Identifier: Apache-2.0 */
/* What a claim mounts that is memory: covers, and directories in the agent's home into which
 * secrets are put, so that they get neither to the disk nor into what is saved of the sandbox. The
 * latter are there before anything else is, for other mounts may be below, and are the sandbox's
 * own: a stage that may write nothing writes there. */

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "claim-internal.h"
#include "macro.h"

struct option {
	const char *key;
	const char *value;
};

static const struct option cover_options[] = { { "size", "64k" }, { "mode", "0755" }, { 0 } };
static const struct option memory_options[] = { { "size", CLAIM_MEMORY_SIZE },
						{ "nr_inodes", CLAIM_MEMORY_INODES },
						{ "mode", "0700" },
						{ "uid", STRINGIFY(SANDBOX_ID_AGENT) },
						{ "gid", STRINGIFY(SANDBOX_ID_AGENT) },
						{ 0 } };

int claim_make_memory(struct part *p)
{
	const struct option *o = p->cover ? cover_options : memory_options;
	CLEANUP_FD int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	struct stat st;

	if (fs < 0)
		return -errno;
	for (; o->key; o++)
		if (fsconfig(fs, FSCONFIG_SET_STRING, o->key, o->value, 0) < 0)
			return -errno;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
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
