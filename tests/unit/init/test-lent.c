/* SPDX-License-Identifier: Apache-2.0 */
/* Files that execs are lent: written as the agent into memory, gone with the last that holds them.
 * Every test runs with the shipped binary and with the library. */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "filtered.h"
#include "macro.h"

static char out[512];

static int sealed(const char *data)
{
	int fd = memfd_create("lent", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(write(fd, data, strlen(data)), (ssize_t)strlen(data));
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
	return fd;
}

static void send_put(uint64_t exec, uint32_t flags, const char *path, const char *data)
{
	struct init_put_file m = { .exec = exec,
				   .flags = flags,
				   .mode = 0600,
				   .uid = 1000,
				   .gid = 1000,
				   .size = strlen(data) };

	wire_begin(&h.message, INIT_WIRE_VERSION, INIT_PUT_FILE, 5, sizeof(m));
	if (m.size > 0)
		(void)wire_add_fd(&h.message, sealed(data));
	m.header = *wire_head(&h.message);
	(void)strcpy(m.path, path);
	memcpy(h.message.data, &m, sizeof(m));
	harness_send(&h);
	wire_message_done(&h.message);
}

static int expect_done(void)
{
	const struct wire_header *done = harness_expect(&h, INIT_DONE);

	ck_assert_uint_eq(done->serial, 5);
	return done->error;
}

static int put(uint64_t exec, uint32_t flags, const char *path, const char *data)
{
	send_put(exec, flags, path, data);
	return expect_done();
}

static int drop(uint64_t exec, const char *path)
{
	struct init_drop_file m = { .exec = exec };

	wire_begin(&h.message, INIT_WIRE_VERSION, INIT_DROP_FILE, 5, sizeof(m));
	m.header = *wire_head(&h.message);
	(void)strcpy(m.path, path);
	memcpy(h.message.data, &m, sizeof(m));
	harness_send(&h);
	return expect_done();
}

/* As the agent. */
static int shell(const char *script)
{
	return harness_shell(&h, 1000, script, out, sizeof(out));
}

/* The next exec, which runs until it is killed. */
static uint64_t run_long(void)
{
	static const char *const argv[] = { "sleep", "1000", NULL };
	const struct harness_exec e = { .argv = argv, .uid = 1000, .gid = 1000 };

	return harness_exec(&h, &e);
}

static void end(uint64_t exec)
{
	harness_ref(&h, INIT_KILL, exec);
	(void)harness_exited(&h, exec);
	(void)harness_expect(&h, INIT_GONE);
}

START_TEST(with_its_exec)
{
	ck_assert_int_eq(shell("mkdir -m 700 /tmp/d"), 0);
	ck_assert_int_eq(put(h.next_exec, INIT_PUT_FIRST, "/tmp/d/auth.json", "the value"), 0);
	ck_assert_int_eq(shell("cat /tmp/d/auth.json; stat -c ' %a %u %g' /tmp/d/auth.json; "
			       "ls -A /tmp/d | wc -l"),
			 0);
	ck_assert_str_eq(out, "the value 600 1000 1000\n1\n");
	ck_assert_int_eq(shell("ls -A /tmp/d"), 0);
	ck_assert_str_eq(out, "");
}
END_TEST

/* Whoever holds it keeps it; the path counts, not what the agent has put there. */
START_TEST(with_the_last)
{
	const char *path = "/tmp/d/sub/key";
	uint64_t first, second;

	ck_assert_int_eq(shell("mkdir /tmp/d"), 0);
	ck_assert_int_eq(put(h.next_exec, INIT_PUT_FIRST, path, "one"), 0);
	first = run_long();
	ck_assert_int_eq(put(h.next_exec, INIT_PUT_FIRST, path, "two"), 0);
	second = run_long();
	end(first);
	ck_assert_int_eq(shell("cat /tmp/d/sub/key"), 0);
	ck_assert_str_eq(out, "two");
	ck_assert_int_eq(put(first, 0, path, "late"), -ESRCH);
	ck_assert_int_eq(put(second, 0, path, "three"), 0); /* renewed */
	ck_assert_int_eq(shell("cd /tmp/d/sub; cat key; cp key k; mv k key"), 0);
	ck_assert_str_eq(out, "three");
	end(second);
	ck_assert_int_eq(shell("ls -A /tmp/d/sub"), 0);
	ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(taken_back)
{
	uint64_t exec;

	ck_assert_int_eq(put(h.next_exec, INIT_PUT_FIRST, "/tmp/a", "one"), 0);
	ck_assert_int_eq(put(h.next_exec, INIT_PUT_FIRST, "/tmp/b", "two"), 0);
	exec = run_long();
	ck_assert_int_eq(drop(exec, "/tmp/a"), 0);
	ck_assert_int_eq(drop(exec, "/tmp/a"), -ENOENT);
	ck_assert_int_eq(shell("test ! -e /tmp/a && test -e /tmp/b"), 0);
	end(exec);
	ck_assert_int_eq(shell("test ! -e /tmp/b"), 0);
}
END_TEST

START_TEST(nobodys)
{
	ck_assert_int_eq(put(0, 0, "/tmp/c/d/seed", "for ever"), 0);
	ck_assert_int_eq(put(0, 0, "/tmp/c/empty", ""), 0);
	ck_assert_int_eq(shell("cat /tmp/c/d/seed; stat -c %s /tmp/c/empty"), 0);
	ck_assert_int_eq(shell("cat /tmp/c/d/seed; stat -c %s /tmp/c/empty"), 0);
	ck_assert_str_eq(out, "for ever0\n");
}
END_TEST

/* One that cannot be put: its exec does not run, and the next one does. */
START_TEST(without_it_nothing_runs)
{
	static const char *const argv[] = { "true", NULL };
	const struct harness_exec e = { .argv = argv, .uid = 1000, .gid = 1000 };
	const struct init_started *s;
	uint64_t exec;

	ck_assert_int_eq(shell("mkdir /tmp/o && ln -s /etc /tmp/link && ln -s o /tmp/l2"), 0);
	ck_assert_int_eq(put(h.next_exec, INIT_PUT_FIRST, "/tmp/o/x", "written"), 0);
	ck_assert_int_eq(put(h.next_exec, INIT_PUT_FIRST, "/tmp/l2/x", "no"), -ENOTDIR);
	exec = harness_request(&h, &e);
	s = harness_expect(&h, INIT_STARTED);
	ck_assert_uint_eq(s->exec, exec);
	ck_assert_int_eq(s->header.error, -ENOTDIR);
	ck_assert_uint_eq(s->start_error, INIT_START_BAD_FILE);
	ck_assert_int_eq(shell("test ! -e /tmp/o/x"), 0);
	ck_assert_int_eq(put(h.next_exec, INIT_PUT_FIRST, "/tmp/link/x", "no"), -ENOTDIR);
	(void)harness_request(&h, &e);
	(void)harness_expect(&h, INIT_STARTED);
	/* the disk, which here is nobody's but the host's */
	ck_assert_int_eq(put(0, 0, "/var/tmp/sandboxd-lent-test", "no"), -EXDEV);
	ck_assert_int_eq(put(0, 0, "/var/tmp/sandboxd-lent-test/x", "no"), -ENOENT);
	ck_assert_int_eq(access("/var/tmp/sandboxd-lent-test", F_OK), -1);
	ck_assert_int_eq(shell("id -u"), 0);
	ck_assert_int_eq(harness_shell(&h, 0, "id -u", out, sizeof(out)), 0);
	ck_assert_str_eq(out, "0\n"); /* init is itself again */
}
END_TEST

static void expect_hang_up(void)
{
	char c;

	ck_assert_int_le(recv(h.socket, &c, 1, 0), 0);
	(void)close(h.socket);
	h.socket = harness_connect(&h);
	wire_begin(&h.message, INIT_WIRE_VERSION, INIT_HELLO, 1, sizeof(struct wire_header));
	harness_send(&h);
	(void)harness_expect(&h, INIT_HELLO);
}

START_TEST(refused)
{
	struct init_put_file m = { .mode = 0600, .uid = 1000, .gid = 1000 };
	static const char *const paths[] = { "", "x", "/", "/a//b", "/a/../b", "/a/" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		send_put(0, 0, paths[i], "x");
		expect_hang_up();
	}
	wire_begin(&h.message, INIT_WIRE_VERSION, INIT_PUT_FILE, 5, sizeof(m));
	m.header = *wire_head(&h.message);
	memset(m.path, 'x', sizeof(m.path));
	m.path[0] = '/';
	memcpy(h.message.data, &m, sizeof(m));
	harness_send(&h);
	expect_hang_up();
	m.path[5] = '\0';
	m.size = 5; /* without a descriptor */
	memcpy(h.message.data, &m, sizeof(m));
	harness_send(&h);
	expect_hang_up();
}
END_TEST

/* A daemon that was killed between a file and its exec: the next one finds nothing of it. */
START_TEST(daemon_between)
{
	struct init_hello hello = { .orphan_ms = 60000 };
	uint64_t exec;

	ck_assert_int_eq(put(h.next_exec, INIT_PUT_FIRST, "/tmp/kept", "x"), 0);
	exec = run_long();
	ck_assert_int_eq(put(h.next_exec, INIT_PUT_FIRST, "/tmp/stray", "x"), 0);
	(void)close(h.socket);
	h.socket = harness_connect(&h);
	wire_begin(&h.message, INIT_WIRE_VERSION, INIT_HELLO, 1, sizeof(hello));
	hello.header = *wire_head(&h.message);
	memcpy(h.message.data, &hello, sizeof(hello));
	harness_send(&h);
	(void)harness_expect(&h, INIT_HELLO);
	(void)harness_expect(&h, INIT_RUNNING);
	(void)harness_expect(&h, INIT_LISTED);
	ck_assert_int_eq(shell("test -e /tmp/kept && test ! -e /tmp/stray"), 0);
	end(exec);
	ck_assert_int_eq(shell("test ! -e /tmp/kept"), 0);
}
END_TEST

static void add(TCase *c)
{
	tcase_add_test(c, with_its_exec);
	tcase_add_test(c, with_the_last);
	tcase_add_test(c, taken_back);
	tcase_add_test(c, nobodys);
	tcase_add_test(c, without_it_nothing_runs);
	tcase_add_test(c, refused);
	tcase_add_test(c, daemon_between);
}

int main(void)
{
	if (geteuid() != 0)
		return 77; /* the maps are root's to write */
	return filtered_run("init-lent", add, NULL);
}
