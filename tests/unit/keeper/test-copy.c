/* SPDX-License-Identifier: Apache-2.0 */
/* What copy.c keeps and leaves out; tests/integration copies what a sandbox made. */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "copy.h"
#include "files.h"
#include "macro.h"
#include "trash.h"

static char top[32];
static int from, to, parent;

static void put(const char *path, const char *text)
{
	CLEANUP_FD int fd = openat(from, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void expect(const char *path, const char *text)
{
	char buf[64];

	ck_assert_int_ge(file_get_at(to, path, buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, text);
}

static struct stat look(int dir, const char *path)
{
	struct stat st;

	ck_assert_msg(fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0, "%s: %m", path);
	return st;
}

static int copy(const char *const *left_out, uint64_t *size)
{
	const struct copy_job job = { from, to, left_out };

	return copy_tree(&job, size);
}

static void set_up(void)
{
	(void)snprintf(top, sizeof(top), "/tmp/copy-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	parent = dir_open_at(AT_FDCWD, top);
	ck_assert_int_eq(mkdirat(parent, "from", 0750), 0);
	ck_assert_int_eq(mkdirat(parent, "to", 0700), 0);
	from = dir_open_at(parent, "from");
	to = dir_open_at(parent, "to");
	ck_assert(from >= 0 && to >= 0);
}

static void tear_down(void)
{
	trash_remove_flat(parent, "from");
	trash_remove_flat(parent, "to");
	(void)close(from);
	(void)close(to);
	(void)close(parent);
	ck_assert_int_eq(rmdir(top), 0);
}

static const char *const nothing[] = { NULL };

START_TEST(test_attributes)
{
	const struct timespec times[2] = { { 5, 6 }, { 7, 8 } };
	uint64_t size = 0;

	put("f", "text");
	ck_assert_int_eq(fchmodat(from, "f", 0, 0), 0);
	ck_assert_int_eq(symlinkat("f", from, "link"), 0);
	ck_assert_int_eq(mkdirat(from, "d", 01777), 0);
	put("d/g", "more");
	ck_assert_int_eq(utimensat(from, "d", times, 0), 0);
	ck_assert_int_eq(mkfifoat(from, "fifo", 0600), 0);
	if (geteuid() != 0) /* its owner cannot open a file of mode 0 */
		ck_assert_int_eq(fchmodat(from, "f", 0400, 0), 0);
	ck_assert_int_eq(copy(nothing, &size), 0);
	ck_assert_uint_gt(size, 0);
	ck_assert_uint_eq(look(to, "f").st_mode, look(from, "f").st_mode);
	expect("d/g", "more");
	ck_assert_uint_eq(look(to, "d").st_mode & 07777, look(from, "d").st_mode & 07777);
	ck_assert_int_eq(look(to, "d").st_mtim.tv_sec, 7);
	ck_assert_int_eq(look(to, "d").st_mtim.tv_nsec, 8);
	ck_assert(S_ISLNK(look(to, "link").st_mode) && S_ISFIFO(look(to, "fifo").st_mode));
	ck_assert_uint_eq(look(to, ".").st_mode & 07777, 0750);
}
END_TEST

START_TEST(test_overlay)
{
	CLEANUP_FD int d = -1, copied = -1;
	uint64_t size;
	char value[8];

	ck_assert_int_eq(mkdirat(from, "opaque", 0755), 0);
	d = dir_open_at(from, "opaque");
	if (fsetxattr(d, "user.overlay.opaque", "y", 1, 0) < 0)
		return; /* before 6.6 tmpfs had no user.*: nothing to see */
	ck_assert_int_eq(mknodat(from, "gone", S_IFCHR, makedev(0, 0)), 0);
	ck_assert_int_eq(linkat(from, "gone", from, "gone-too", 0), 0);
	ck_assert_int_eq(copy(nothing, &size), 0);
	ck_assert(S_ISCHR(look(to, "gone").st_mode) && look(to, "gone").st_rdev == 0);
	ck_assert_uint_eq(look(to, "gone-too").st_ino, look(to, "gone").st_ino);
	copied = dir_open_at(to, "opaque");
	ck_assert_int_eq(fgetxattr(copied, "user.overlay.opaque", value, sizeof(value)), 1);
	ck_assert_int_eq(value[0], 'y');
}
END_TEST

START_TEST(test_links_and_holes)
{
	CLEANUP_FD int fd = openat(from, "sparse", O_WRONLY | O_CREAT, 0644);
	char name[16], other[16];
	uint64_t size;

	ck_assert_int_eq(ftruncate(fd, 1 << 30), 0);
	ck_assert_int_eq(pwrite(fd, "x", 1, 1 << 20), 1);
	for (int i = 0; i < 400; i++) { /* more than the table has at first */
		(void)snprintf(name, sizeof(name), "a%d", i);
		(void)snprintf(other, sizeof(other), "b%d", i);
		put(name, name);
		ck_assert_int_eq(linkat(from, name, from, other, 0), 0);
	}
	ck_assert_int_eq(copy(nothing, &size), 0);
	ck_assert_int_eq(look(to, "sparse").st_size, 1 << 30);
	ck_assert_int_lt(look(to, "sparse").st_blocks, 64);
	for (int i = 0; i < 400; i++) {
		(void)snprintf(name, sizeof(name), "a%d", i);
		(void)snprintf(other, sizeof(other), "b%d", i);
		ck_assert_uint_eq(look(to, name).st_ino, look(to, other).st_ino);
		expect(other, name);
	}
}
END_TEST

START_TEST(test_left_out)
{
	static const char *const left_out[] = { "tmp/", "d/secret", NULL };
	uint64_t size;

	ck_assert_int_eq(mkdirat(from, "tmp", 01777), 0);
	ck_assert_int_eq(mkdirat(from, "d", 0755), 0);
	put("tmp/x", "x");
	put("d/secret", "x");
	put("d/secret2", "x");
	put("secret", "x");
	ck_assert_int_eq(copy(left_out, &size), 0);
	(void)look(to, "tmp");
	ck_assert_int_lt(faccessat(to, "tmp/x", F_OK, 0), 0);
	ck_assert_int_lt(faccessat(to, "d/secret", F_OK, 0), 0);
	expect("d/secret2", "x");
	expect("secret", "x");
}
END_TEST

START_TEST(test_too_deep)
{
	CLEANUP_FD int at = fcntl(from, F_DUPFD_CLOEXEC, 3);
	uint64_t size;
	int next;

	for (int i = 0; i < 400; i++) {
		ck_assert_int_eq(mkdirat(at, "d", 0700), 0);
		next = dir_open_at(at, "d");
		ck_assert_int_ge(next, 0);
		(void)close(at);
		at = next;
	}
	ck_assert_int_eq(copy(nothing, &size), -ENAMETOOLONG);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("copy");
	TCase *t = tcase_create("copy");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, test_attributes);
	tcase_add_test(t, test_overlay);
	tcase_add_test(t, test_links_and_holes);
	tcase_add_test(t, test_left_out);
	tcase_add_test(t, test_too_deep);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed > 0;
}
