/* SPDX-License-Identifier: Apache-2.0 */
/* A stream between a pipe (or pty) and its file: order, offsets, the cap, the end. */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro.h"
#include "spool-stream.h"

static char top[64];
static int dir;
static int sink;
static struct stream stream;
static uint8_t *buffer;

static void setup(void)
{
	int fds[2];

	(void)strcpy(top, "/tmp/sandboxd-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir, 0);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	sink = fds[1];
	stream_init(&stream);
	stream.source = fds[0];
	buffer = malloc(STREAM_CHUNK);
	ck_assert_ptr_nonnull(buffer);
}

static void teardown(void)
{
	stream_deinit(&stream);
	sink = close_fd(sink);
	(void)unlinkat(dir, "x.stdout", 0);
	dir = close_fd(dir);
	ck_assert_int_eq(rmdir(top), 0);
	free(buffer);
}

static int64_t pump(void)
{
	return stream_pump(&stream, dir, "x.stdout", buffer);
}

START_TEST(test_no_data_no_file)
{
	ck_assert_int_eq(pump(), 0);
	ck_assert(!stream.eof);
	sink = close_fd(sink);
	ck_assert_int_eq(pump(), 0);
	ck_assert(stream.eof);
	ck_assert_int_eq(faccessat(dir, "x.stdout", F_OK, 0), -1);
}
END_TEST

START_TEST(test_appends)
{
	char text[32] = "";
	int fd;

	ck_assert_int_eq(write(sink, "hello ", 6), 6);
	ck_assert_int_eq(pump(), 6);
	ck_assert_int_eq(write(sink, "world", 5), 5);
	sink = close_fd(sink);
	ck_assert_int_eq(pump(), 5);
	ck_assert_int_eq(pump(), 0);
	ck_assert(stream.eof);
	ck_assert_uint_eq(stream.end, 11);
	fd = openat(dir, "x.stdout", O_RDONLY);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 11);
	ck_assert_str_eq(text, "hello world");
	(void)close(fd);
}
END_TEST

static void write_block(uint32_t number)
{
	uint32_t block[4096 / sizeof(uint32_t)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(block); i++)
		block[i] = number;
	ck_assert_int_eq(write(sink, block, sizeof(block)), (ssize_t)sizeof(block));
	ck_assert_int_eq(pump(), (int64_t)sizeof(block));
}

START_TEST(test_oldest_bytes_go)
{
	const uint32_t blocks = 4u << 20 >> 12;
	struct stat st;
	uint32_t i, number;
	int fd;

	stream.max_bytes = 1u << 20;
	for (i = 0; i < blocks; i++)
		write_block(i);
	ck_assert_uint_eq(stream.end, (uint64_t)blocks * 4096);
	ck_assert_uint_ge(stream.end - stream.start, stream.max_bytes);
	ck_assert_uint_le(stream.end - stream.start, 3 * stream.max_bytes);
	fd = openat(dir, "x.stdout", O_RDONLY);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq((uint64_t)st.st_size, stream.end);
	ck_assert_uint_le((uint64_t)st.st_blocks * 512, 3 * stream.max_bytes);
	for (i = (uint32_t)(stream.start / 4096); i < blocks; i++) {
		ck_assert_int_eq(pread(fd, &number, sizeof(number), (off_t)i * 4096),
				 (ssize_t)sizeof(number));
		ck_assert_uint_eq(number, i);
	}
	(void)close(fd);
}
END_TEST

/* Somebody reads along and is late: what the dead writer left comes in, nothing is punched out. */
START_TEST(test_last_words_of_a_held_stream)
{
	static const char more[] = "what others write";
	uint32_t i;

	stream.max_bytes = 1u << 20;
	stream.hold = 0;
	for (i = 0; !stream_is_held(&stream); i++)
		write_block(i);
	for (i = 0; i < 8; i++)
		ck_assert_int_eq(write(sink, more, sizeof(more)), (ssize_t)sizeof(more));
	stream_let_go(&stream);
	ck_assert(!stream_is_held(&stream));
	ck_assert_int_eq(pump(), (int64_t)(8 * sizeof(more)));
	ck_assert(!stream_is_held(&stream)); /* it would see the end */
	ck_assert_int_eq(write(sink, more, sizeof(more)), (ssize_t)sizeof(more));
	ck_assert_int_gt(pump(), 0);
	ck_assert(stream_is_held(&stream));
	ck_assert_uint_eq(stream.start, 0);
}
END_TEST

/* Many at once: they go through the pipe between, none is lost, the end is seen after the last. */
START_TEST(test_fast_producer)
{
	static char block[64 * 1024], back[sizeof(block)];
	uint32_t i;
	int fd;

	ck_assert_int_ge(fcntl(sink, F_SETPIPE_SZ, 1 << 20), 1 << 20);
	for (i = 0; i < 64; i++) {
		memset(block, (int)i, sizeof(block));
		ck_assert_int_eq(write(sink, block, sizeof(block)), (ssize_t)sizeof(block));
		if (i % 8 == 7)
			ck_assert_int_gt(pump(), 0);
	}
	sink = close_fd(sink);
	while (!stream.eof)
		ck_assert_int_ge(pump(), 0);
	ck_assert_int_ge(stream.between[0], 0);
	ck_assert_uint_eq(stream.end, 64 * sizeof(block));
	fd = openat(dir, "x.stdout", O_RDONLY);
	for (i = 0; i < 64; i++) {
		memset(block, (int)i, sizeof(block));
		ck_assert_int_eq(read(fd, back, sizeof(back)), (ssize_t)sizeof(back));
		ck_assert_int_eq(memcmp(block, back, sizeof(back)), 0);
	}
	(void)close(fd);
}
END_TEST

static void limit_files(rlim_t size)
{
	struct rlimit limit;

	(void)signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(test_what_is_refused_stays)
{
	limit_files(0);
	ck_assert_int_eq(write(sink, "kept", 4), 4);
	ck_assert_int_eq(pump(), -EFBIG);
	ck_assert_int_eq(stream.error, -EFBIG);
	ck_assert_uint_eq(stream.end, 0);
	limit_files(RLIM_INFINITY);
	ck_assert_int_eq(pump(), 4);
	ck_assert_int_eq(stream.error, 0);
}
END_TEST

START_TEST(test_pty)
{
	int master, slave, full;

	ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	(void)close(stream.source);
	stream.source = master;
	stream.pty = true;
	ck_assert_int_eq(fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	ck_assert_int_eq(pump(), 0);
	ck_assert_int_eq(write(slave, "ab", 2), 2);
	ck_assert_int_eq(pump(), 2);
	/* what was read and could not be written waits */
	full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	(void)close(stream.file);
	stream.file = full;
	ck_assert_int_eq(write(slave, "cd", 2), 2);
	ck_assert_int_eq(pump(), -ENOSPC);
	ck_assert_uint_eq(stream.n_pending, 2);
	stream.file = openat(dir, "x.stdout", O_RDWR);
	ck_assert_int_eq(pump(), 2);
	(void)close(full);
	(void)close(slave);
	ck_assert_int_eq(pump(), 0);
	ck_assert(stream.eof);
	ck_assert_uint_eq(stream.end, 4);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("keeper-spool-stream");
	TCase *tcase = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_no_data_no_file);
	tcase_add_test(tcase, test_appends);
	tcase_add_test(tcase, test_oldest_bytes_go);
	tcase_add_test(tcase, test_last_words_of_a_held_stream);
	tcase_add_test(tcase, test_fast_producer);
	tcase_add_test(tcase, test_what_is_refused_stays);
	tcase_add_test(tcase, test_pty);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
