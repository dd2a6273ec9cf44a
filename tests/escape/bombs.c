/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that take all they can get: nobody else must notice. Each is bounded by itself as well,
 * in number and by an alarm, in case nothing else bounds it. They print how far they came. */

#include "escape.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned seconds(char **argv)
{
	return argv[0] ? (unsigned)atoi(argv[0]) : 10;
}

/* SECONDS MAX: processes that live until the end; an ended bomb takes its children with it. */
static int fork_bomb(char **argv)
{
	unsigned time = seconds(argv);
	long max = argv[0] && argv[1] ? atol(argv[1]) : 2000;
	long n = 0;
	int failed = 0;

	(void)setpgid(0, 0);
	(void)alarm(time + 2);
	while (n < max && failed < 50) {
		pid_t pid = fork();

		if (pid == 0) {
			(void)alarm(time);
			for (;;)
				(void)pause();
		}
		if (pid > 0) {
			n++;
		} else {
			failed = failed + 1;
			(void)usleep(20000);
		}
	}
	printf("processes %ld\n", n);
	(void)fflush(stdout);
	(void)signal(SIGTERM, SIG_IGN);
	(void)sleep(time > 2 ? time - 2 : 1);
	(void)kill(0, SIGTERM);
	return 0;
}

/* SECONDS BYTES */
static int memory_hog(char **argv)
{
	size_t step = 8UL << 20;
	size_t max = argv[0] && argv[1] ? strtoull(argv[1], NULL, 0) : 256UL << 20;
	size_t done = 0;

	(void)alarm(seconds(argv));
	while (done < max) {
		char *p = mmap(NULL, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

		if (p == MAP_FAILED)
			break;
		memset(p, 1, step);
		done += step;
	}
	printf("bytes %zu\n", done);
	(void)fflush(stdout);
	(void)pause();
	return 0;
}

static int fd_hog(char **argv)
{
	long n = 0;

	(void)alarm(seconds(argv));
	while (n < 1000000 && open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
		n++;
	printf("descriptors %ld\n", n);
	(void)fflush(stdout);
	(void)pause();
	return 0;
}

/* SECONDS BYTES: fills /dev/shm */
static int shm_filler(char **argv)
{
	static char block[1 << 20];
	size_t max = argv[0] && argv[1] ? strtoull(argv[1], NULL, 0) : 512UL << 20;
	size_t done = 0;
	int fd = open("/dev/shm/filler", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)alarm(seconds(argv));
	while (fd >= 0 && done < max) {
		ssize_t n = write(fd, block, sizeof(block));

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	printf("bytes %zu\n", done);
	(void)fflush(stdout);
	(void)unlink("/dev/shm/filler");
	return 0;
}

static int inotify_filler(char **argv)
{
	long instances = 0, watches = 0;
	int fd, last = -1;

	(void)alarm(seconds(argv));
	while (instances < 100000 && (fd = inotify_init1(IN_CLOEXEC)) >= 0) {
		instances++;
		last = fd;
	}
	for (int i = 0; last >= 0 && i < 200000; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "/tmp/watch-%d", i % 5000);
		if (i < 5000) {
			fd = open(path, O_CREAT | O_RDONLY | O_CLOEXEC, 0600);
			if (fd >= 0)
				(void)close(fd);
		} else if (i == 5000) {
			break;
		}
		if (inotify_add_watch(last, path, IN_MODIFY) < 0)
			break;
		watches++;
	}
	printf("instances %ld\nwatches %ld\n", instances, watches);
	(void)fflush(stdout);
	(void)pause();
	return 0;
}

/* SECONDS: two busy processes and much output */
static int noise(char **argv)
{
	static char block[65536];
	pid_t pid;

	(void)alarm(seconds(argv));
	pid = fork();
	if (pid == 0) {
		(void)alarm(seconds(argv));
		for (;;)
			;
	}
	memset(block, 'x', sizeof(block));
	while (write(1, block, sizeof(block)) > 0)
		;
	return 0;
}

const struct attempt bombs_attempts[] = {
	{ "fork-bomb", 0, "SECONDS MAX", fork_bomb },
	{ "memory-hog", 0, "SECONDS BYTES", memory_hog },
	{ "fd-hog", 0, "SECONDS", fd_hog },
	{ "shm-filler", 0, "SECONDS BYTES", shm_filler },
	{ "inotify-filler", 0, "SECONDS", inotify_filler },
	{ "noise", 0, "SECONDS", noise },
	{ NULL, 0, NULL, NULL },
};
