/* SPDX-License-Identifier: Apache-2.0 */
#include "init/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* gVisor knows nothing of the seals of a descriptor that came from outside, so: the bytes as they
 * are now. */
static int copy(int fd, size_t size, char **ret)
{
	char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t done = 0;
	ssize_t n = 1;

	if (bytes == MAP_FAILED)
		return -errno;
	while (done < size && n > 0) {
		n = pread(fd, bytes + done, size - done, (off_t)done);
		done += n > 0 ? (size_t)n : 0;
	}
	if (done < size) {
		map_drop(bytes, size);
		return -EBADMSG;
	}
	*ret = bytes;
	return 0;
}

int map_sealed(int fd, size_t size, bool copies, char **ret)
{
	const int needed = F_SEAL_WRITE | F_SEAL_SHRINK;
	struct stat st;
	void *map;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 && copies)
		return copy(fd, size, ret);
	if (seals < 0 || (seals & needed) != needed || fstat(fd, &st) < 0 || st.st_size < 0 ||
	    (uint64_t)st.st_size < size)
		return -EBADMSG;
	map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*ret = map;
	return 0;
}

void map_drop(char *map, size_t size)
{
	(void)munmap(map, size); /* cannot fail: we mapped it */
}
