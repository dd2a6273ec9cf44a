/* SPDX-License-Identifier: Apache-2.0 */
/* The XFS commands of quotactl(2) are those that every file system knows, ext4 included. Blocks are
 * of 512 bytes. */

#include "util/project-quota.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK 512
#define DEPTH_MAX 64

static int quota_call(int fd, unsigned command, uint32_t id, void *data)
{
	/* an int in the kernel, made of bits above 31 */
	unsigned what = QCMD(command, PRJQUOTA);

	return syscall(SYS_quotactl_fd, fd, what, id, data) < 0 ? -errno : 0;
}

int project_quota_probe(int fd)
{
	struct fs_quota_statv state = { .qs_version = FS_QSTATV_VERSION1 };
	int r = quota_call(fd, Q_XGETQSTATV, 0, &state);

	if (r == -ENOSYS || r == -ESRCH || r == -EINVAL || r == -ENOTTY)
		return -EOPNOTSUPP;
	if (r < 0)
		return r;
	return state.qs_flags & FS_QUOTA_PDQ_ENFD ? 0 : -EOPNOTSUPP;
}

int project_quota_get(int fd, uint32_t project, uint64_t *ret_used, uint64_t *ret_limit)
{
	struct fs_disk_quota q = { 0 };
	int r = quota_call(fd, Q_XGETQUOTA, project, &q);

	if (r == -ENOENT)
		r = 0;
	if (r < 0)
		return r;
	*ret_used = q.d_bcount * BLOCK;
	*ret_limit = q.d_blk_hardlimit * BLOCK;
	return 0;
}

int project_quota_set(int fd, uint32_t project, uint64_t bytes)
{
	struct fs_disk_quota q = { .d_version = FS_DQUOT_VERSION,
				   .d_flags = FS_PROJ_QUOTA,
				   .d_fieldmask = FS_DQ_BHARD,
				   .d_id = project,
				   .d_blk_hardlimit = bytes / BLOCK };

	return quota_call(fd, Q_XSETQLIM, project, &q);
}

int project_get(int fd, uint32_t *ret)
{
	struct fsxattr a;

	if (ioctl(fd, FS_IOC_FSGETXATTR, &a) < 0)
		return -errno;
	*ret = a.fsx_projid;
	return 0;
}

static int assign_one(int fd, uint32_t project, bool directory)
{
	struct fsxattr a;

	if (ioctl(fd, FS_IOC_FSGETXATTR, &a) < 0)
		return -errno;
	a.fsx_projid = project;
	if (directory && project != 0)
		a.fsx_xflags |= FS_XFLAG_PROJINHERIT;
	else
		a.fsx_xflags &= ~(unsigned)FS_XFLAG_PROJINHERIT;
	return ioctl(fd, FS_IOC_FSSETXATTR, &a) < 0 ? -errno : 0;
}

static int assign_below(int fd, uint32_t project, size_t *left, int depth);

/* Sockets, pipes and links take no blocks worth counting. */
static int assign_entry(int dir, const char *name, uint32_t project, size_t *left, int depth)
{
	struct stat st;
	int fd, r;

	if (*left == 0 || depth == 0)
		return -E2BIG;
	--*left;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return 0;
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = assign_one(fd, project, S_ISDIR(st.st_mode));
	if (r == 0 && S_ISDIR(st.st_mode))
		return assign_below(fd, project, left, depth - 1);
	(void)close(fd); /* nothing was written */
	return r;
}

/* FD is taken over. */
static int assign_below(int fd, uint32_t project, size_t *left, int depth)
{
	DIR *d = fdopendir(fd);
	const struct dirent *e;
	int r = 0;

	if (!d) {
		r = -errno;
		(void)close(fd); /* only read from */
		return r;
	}
	while (r == 0 && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = assign_entry(dirfd(d), e->d_name, project, left, depth);
	(void)closedir(d);
	return r;
}

int project_assign(int fd, uint32_t project, size_t max)
{
	int copy, r = assign_one(fd, project, true);

	if (r < 0)
		return r;
	copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return copy < 0 ? -errno : assign_below(copy, project, &max, DEPTH_MAX);
}
