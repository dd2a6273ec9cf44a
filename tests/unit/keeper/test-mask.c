/* SPDX-License-Identifier: Apache-2.0 */
/* Values in output are covered wherever a chunk ends, and nothing else is. */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "keeper-wire.h"
#include "macro.h"
#include "mask.h"
#include "spool-stream.h"

#define ROUNDS 200

static int begin_file(void)
{
	int fd = memfd_create("masks", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void add_value(int fd, const char *data, uint32_t size)
{
	ck_assert_int_eq(write(fd, &size, sizeof(size)), sizeof(size));
	ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
}

static void seal(int fd)
{
	const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
}

static struct masks *make(const char *const *values, size_t n)
{
	struct masks *m = NULL;
	int fd = begin_file();
	size_t i;

	for (i = 0; i < n; i++)
		add_value(fd, values[i], (uint32_t)strlen(values[i]));
	seal(fd);
	ck_assert_int_eq(masks_new(fd, &m), 0);
	(void)close(fd);
	return m;
}

START_TEST(test_whole)
{
	static const char *const values[] = { "sk-ant-1234", "another one" };
	struct masks *m = make(values, ARRAY_SIZE(values));
	char text[] = "a sk-ant-1234 b another one, sk-ant-123";

	ck_assert_uint_eq(masks_apply(m, (uint8_t *)text, strlen(text), false), 29);
	ck_assert_uint_eq(masks_apply(m, (uint8_t *)text, strlen(text), true), strlen(text));
	ck_assert_str_eq(text, "a *********** b ***********, sk-ant-123");
	masks_free(m);
}
END_TEST

START_TEST(test_longest)
{
	static const char *const values[] = { "secret01", "secret01-and-more" };
	struct masks *m = make(values, ARRAY_SIZE(values));
	char text[] = "secret01-and-more secret01-and secret01";

	ck_assert_uint_eq(masks_apply(m, (uint8_t *)text, strlen(text), false), 31);
	ck_assert_uint_eq(masks_apply(m, (uint8_t *)text + 31, 8, true), 8);
	ck_assert_str_eq(text, "***************** ********-and ********");
	masks_free(m);
}
END_TEST

/* Those that were added last count, and the first ones always. */
START_TEST(test_added)
{
	static const char *const first[] = { "the first value" };
	struct masks *m = make(first, 1);
	char text[] = "the first value, value-00, value-01, value-02, value-65", value[16];
	const char *one = value;
	int i;

	for (i = 0; i <= MASKS_ADDED_MAX + 1; i++) {
		(void)snprintf(value, sizeof(value), "value-%02d", i);
		masks_add(m, make(&one, 1));
		if (i == MASKS_ADDED_MAX) { /* again: no place more, and new */
			(void)snprintf(value, sizeof(value), "value-%02d", 1);
			masks_add(m, make(&one, 1));
			masks_add(m, make(first, 1));
		}
	}
	ck_assert_uint_eq(masks_apply(m, (uint8_t *)text, strlen(text), true), strlen(text));
	ck_assert_str_eq(text, "***************, value-00, ********, value-02, ********");
	masks_free(m);
	ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 1);
}
END_TEST

START_TEST(test_dumpable)
{
	static const char *const values[] = { "12345678" };
	struct masks *a = make(values, 1);
	struct masks *b = make(values, 1);

	ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 0);
	masks_free(a);
	ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 0);
	masks_free(b);
	ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 1);
}
END_TEST

static int refuse(int fd)
{
	struct masks *m = NULL;
	int r = masks_new(fd, &m);

	ck_assert_ptr_null(m);
	(void)close(fd);
	return r;
}

START_TEST(test_refused)
{
	const uint32_t huge = KEEPER_MASK_MAX + 1, more = 100;
	int fd = begin_file();

	add_value(fd, "12345678", 8);
	ck_assert_int_eq(refuse(fd), -EBADMSG); /* it may still change */
	fd = begin_file();
	seal(fd);
	ck_assert_int_eq(refuse(fd), -EBADMSG); /* nothing in it */
	fd = begin_file();
	add_value(fd, "1234567", 7);
	seal(fd);
	ck_assert_int_eq(refuse(fd), -EBADMSG);
	fd = begin_file();
	ck_assert_int_eq(write(fd, &huge, sizeof(huge)), sizeof(huge));
	ck_assert_int_eq(ftruncate(fd, KEEPER_MASK_MAX + 5), 0);
	seal(fd);
	ck_assert_int_eq(refuse(fd), -EBADMSG);
	fd = begin_file();
	add_value(fd, "12345678", 8);
	ck_assert_int_eq(write(fd, &more, sizeof(more)), sizeof(more));
	seal(fd);
	ck_assert_int_eq(refuse(fd), -EBADMSG); /* it ends in a value */
	ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 1);
	ck_assert_int_eq(refuse(open("/dev/null", O_RDONLY | O_CLOEXEC)), -EBADMSG);
}
END_TEST

/* ---- in chunks, against the simplest way to do it ---- */

struct play {
	char values[4][64];
	size_t n_values;
	char text[2048];
	size_t size;
	char expected[2048];
};

static size_t below(size_t n)
{
	return (size_t)random() % n;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Few letters and values that hold each other: near misses everywhere. */
static void deal(struct play *p)
{
	size_t i, k, length;

	p->n_values = 1 + below(ARRAY_SIZE(p->values));
	for (i = 0; i < p->n_values; i++) {
		length = KEEPER_MASK_MIN + below(20);
		for (k = 0; k < length; k++)
			p->values[i][k] = (char)('a' + below(2));
		p->values[i][length] = '\0';
		if (i > 0 && below(2))
			memcpy(p->values[i], p->values[i - 1],
			       smaller(strlen(p->values[i - 1]), length));
	}
	for (p->size = 0; p->size < 1500;) {
		if (below(3) == 0) {
			i = below(p->n_values);
			length = below(2) ? strlen(p->values[i]) : below(strlen(p->values[i]));
			memcpy(p->text + p->size, p->values[i], length);
			p->size += length;
		} else {
			p->text[p->size++] = (char)('a' + below(3));
		}
	}
}

static void cover_simply(struct play *p)
{
	size_t i, k, best, length;

	memcpy(p->expected, p->text, p->size);
	for (i = 0; i < p->size;) {
		for (k = best = 0; k < p->n_values; k++) {
			length = strlen(p->values[k]);
			if (length > best && length <= p->size - i &&
			    memcmp(p->text + i, p->values[k], length) == 0)
				best = length;
		}
		memset(p->expected + i, '*', best);
		i += best > 0 ? best : 1;
	}
}

static char top[64];
static int dir;

static void setup(void)
{
	(void)strcpy(top, "/tmp/sandboxd-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(dir, 0);
}

static void teardown(void)
{
	(void)unlinkat(dir, "x", 0);
	(void)close(dir);
	ck_assert_int_eq(rmdir(top), 0);
}

static void spool(struct play *p, uint8_t *buffer)
{
	const char *values[] = { p->values[0], p->values[1], p->values[2], p->values[3] };
	struct masks *m = make(values, p->n_values);
	struct stream s;
	size_t at, n;
	int fds[2];

	stream_init(&s);
	s.masks = m;
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	s.source = fds[0];
	for (at = 0; at < p->size; at += n) {
		n = smaller(1 + below(below(4) ? 9 : 200), p->size - at);
		ck_assert_int_eq(write(fds[1], p->text + at, n), (ssize_t)n);
		while (stream_pump(&s, dir, "x", buffer) > 0)
			;
		ck_assert_int_eq(s.error, 0);
		ck_assert_uint_eq(s.end + s.n_held - s.n_shown, at + n);
		if (below(3) == 0)
			(void)stream_show(&s, dir, "x");
	}
	(void)close(fds[1]);
	if (below(2))
		stream_flush(&s, dir, "x");
	while (!s.eof)
		(void)stream_pump(&s, dir, "x", buffer);
	ck_assert_uint_eq(s.end, p->size);
	stream_deinit(&s);
	masks_free(m);
}

START_TEST(test_chunks)
{
	uint8_t *buffer = malloc(STREAM_CHUNK);
	struct play *p = calloc(1, sizeof(*p));
	char found[2048];
	int i, fd;

	ck_assert(buffer && p);
	for (i = 0; i < ROUNDS; i++) {
		srandom((unsigned)i);
		deal(p);
		cover_simply(p);
		spool(p, buffer);
		fd = openat(dir, "x", O_RDONLY | O_CLOEXEC);
		ck_assert_int_eq(read(fd, found, sizeof(found)), (ssize_t)p->size);
		(void)close(fd);
		if (memcmp(found, p->expected, p->size) != 0)
			ck_abort_msg("round %d differs", i);
	}
	free(p);
	free(buffer);
}
END_TEST

/* A file that cannot be made is made later, and nothing is lost. */
START_TEST(test_no_file_yet)
{
	static const char *const values[] = { "the one value" };
	struct masks *m = make(values, 1);
	uint8_t *buffer = malloc(STREAM_CHUNK);
	struct stream s;
	char text[64] = "";
	int fds[2], fd;

	stream_init(&s);
	s.masks = m;
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	s.source = fds[0];
	ck_assert_int_eq(write(fds[1], "it: the one value.", 18), 18);
	(void)close(fds[1]);
	ck_assert_int_eq(stream_pump(&s, dir, "not/there", buffer), -ENOENT);
	ck_assert_int_eq(stream_pump(&s, dir, "not/there", buffer), -ENOENT);
	ck_assert(!s.eof);
	ck_assert_int_eq(stream_pump(&s, dir, "x", buffer), 18);
	ck_assert_int_eq(stream_pump(&s, dir, "x", buffer), 0);
	ck_assert(s.eof && s.error == 0);
	fd = openat(dir, "x", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(read(fd, text, sizeof(text) - 1), 18);
	(void)close(fd);
	ck_assert_str_eq(text, "it: *************.");
	stream_deinit(&s);
	masks_free(m);
	free(buffer);
}
END_TEST

/* An answer is waited for: what gives nothing away is shown, and covered when it was a secret's. */
START_TEST(test_shown)
{
	static const char *const values[] = { "name-of-the-secret" };
	struct masks *m = make(values, 1);
	uint8_t *buffer = malloc(STREAM_CHUNK);
	struct stream s;
	char text[64];
	int fds[2], fd;

	stream_init(&s);
	s.masks = m;
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	s.source = fds[0];
	ck_assert_int_eq(write(fds[1], "your name", 9), 9);
	ck_assert_int_eq(stream_pump(&s, dir, "x", buffer), 5);
	ck_assert(stream_can_show(&s));
	ck_assert(stream_show(&s, dir, "x"));
	ck_assert_uint_eq(s.end, 9);
	ck_assert(!stream_can_show(&s));
	ck_assert_int_eq(write(fds[1], "-of-the-", 8), 8);
	ck_assert_int_eq(stream_pump(&s, dir, "x", buffer), 0);
	ck_assert(!stream_can_show(&s)); /* that would be most of it */
	ck_assert(!stream_show(&s, dir, "x"));
	ck_assert_int_eq(write(fds[1], "secret!", 7), 7);
	ck_assert_int_eq(stream_pump(&s, dir, "x", buffer), 15);
	ck_assert_uint_eq(s.end, 24);
	fd = openat(dir, "x", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 24);
	(void)close(fd);
	text[24] = '\0';
	ck_assert_str_eq(text, "your ******************!");
	(void)close(fds[1]);
	stream_deinit(&s);
	masks_free(m);
	free(buffer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mask");
	TCase *tc = tcase_create("mask");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_whole);
	tcase_add_test(tc, test_longest);
	tcase_add_test(tc, test_added);
	tcase_add_test(tc, test_dumpable);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_chunks);
	tcase_add_test(tc, test_shown);
	tcase_add_test(tc, test_no_file_yet);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
