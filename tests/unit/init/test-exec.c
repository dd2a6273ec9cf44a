/* SPDX-License-Identifier: Apache-2.0 */
/* init end to end: every test runs twice, with the shipped binary and with the library. */

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "filtered.h"
#include "macro.h"

static const char *const run_true[] = { "true", NULL };

static void expect_refusal(const struct harness_exec *e, enum init_start_error kind_of_error,
			   int error)
{
	uint64_t exec = harness_request(&h, e);
	const struct init_started *s = harness_expect(&h, INIT_STARTED);

	ck_assert_uint_eq(s->exec, exec);
	ck_assert_int_eq(s->header.error, -error);
	ck_assert_uint_eq(s->start_error, kind_of_error);
}

START_TEST(exit_status)
{
	struct harness_exec e = as_agent(run_true);
	const char *const seven[] = { "/bin/sh", "-c", "exit 7", NULL };
	const char *const term[] = { "/bin/sh", "-c", "kill -TERM $$", NULL };
	struct init_exited x = harness_exited(&h, harness_exec(&h, &e));

	ck_assert_int_eq(x.exit_code, 0);
	ck_assert_int_eq(x.signal, 0);
	ck_assert_uint_eq(x.alive, 0);
	ck_assert_uint_gt(x.max_rss_bytes, 0);
	e = as_agent(seven);
	ck_assert_int_eq(harness_exited(&h, harness_exec(&h, &e)).exit_code, 7);
	e = as_agent(term);
	x = harness_exited(&h, harness_exec(&h, &e));
	ck_assert_int_eq(x.exit_code, -1);
	ck_assert_int_eq(x.signal, SIGTERM);
}
END_TEST

START_TEST(start_errors)
{
	static char big[200000];
	const char *const missing[] = { "no-such-command", NULL };
	const char *const nowhere[] = { "/no/such/command", NULL };
	const char *const closed[] = { "/tmp/closed", NULL };
	const char *const script[] = { "/tmp/script", NULL };
	const char *const directory[] = { "/tmp", NULL };
	const char *const empty[] = { "", NULL };
	const char *const too_big[] = { "true", big, NULL };
	struct harness_exec e;
	char out[256];

	memset(big, 'x', sizeof(big) - 1);
	ck_assert_int_eq(harness_shell(&h, 1000,
				       "cp /bin/true /tmp/closed; chmod 600 /tmp/closed; "
				       "echo exit 0 >/tmp/script; chmod 755 /tmp/script",
				       out, sizeof(out)),
			 0);
	e = as_agent(missing);
	expect_refusal(&e, INIT_START_NOT_FOUND, ENOENT);
	e = as_agent(nowhere);
	expect_refusal(&e, INIT_START_NOT_FOUND, ENOENT);
	e = as_agent(empty);
	expect_refusal(&e, INIT_START_NOT_FOUND, ENOENT);
	e = as_agent(closed);
	expect_refusal(&e, INIT_START_NOT_EXECUTABLE, EACCES);
	e = as_agent(script);
	expect_refusal(&e, INIT_START_NOT_EXECUTABLE, ENOEXEC);
	e = as_agent(directory);
	expect_refusal(&e, INIT_START_NOT_EXECUTABLE, EACCES);
	e = as_agent(too_big);
	expect_refusal(&e, INIT_START_TOO_BIG, E2BIG);
	e = as_agent(run_true);
	e.workdir = "/nowhere";
	expect_refusal(&e, INIT_START_BAD_WORKDIR, ENOENT);
	e.workdir = "/tmp/closed";
	expect_refusal(&e, INIT_START_BAD_WORKDIR, ENOTDIR);
	e = as_agent(run_true);
	e.uid = 70000;
	expect_refusal(&e, INIT_START_BAD_USER, EINVAL);
	e.flags = INIT_EXEC_TTY;
	expect_refusal(&e, INIT_START_BAD_USER, EINVAL);
	e = as_agent(run_true); /* and it still works */
	ck_assert_int_eq(harness_exited(&h, harness_exec(&h, &e)).exit_code, 0);
}
END_TEST

START_TEST(path_search)
{
	const char *const argv[] = { "found", NULL };
	const char *const envp[] = { "A=1", "PATH=/nowhere::/tmp/first:/tmp/second", NULL };
	struct harness_exec e = as_agent(argv);
	char out[256];

	e.envp = envp;
	(void)harness_shell(&h, 1000,
			    "mkdir -p /tmp/first /tmp/second; echo >/tmp/first/found; "
			    "cp /bin/true /tmp/second/found",
			    out, sizeof(out));
	ck_assert_int_eq(harness_exited(&h, harness_exec(&h, &e)).exit_code, 0);
	(void)harness_shell(&h, 1000, "rm /tmp/second/found", out, sizeof(out));
	expect_refusal(&e, INIT_START_NOT_EXECUTABLE, EACCES);
	(void)harness_shell(&h, 1000, "rm /tmp/first/found", out, sizeof(out));
	expect_refusal(&e, INIT_START_NOT_FOUND, ENOENT);
}
END_TEST

START_TEST(identity)
{
	char out[4096];

	ck_assert_int_eq(harness_shell(&h, 1000,
				       "id -u; id -g; id -G; grep -E "
				       "'^(Cap|NoNewPrivs|Seccomp:|SigBlk|SigIgn)'"
				       " /proc/self/status; ls /proc/self/fd; umask",
				       out, sizeof(out)),
			 0);
	ck_assert_str_eq(out, "1000\n1000\n1000\n"
			      "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
			      "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
			      "CapEff:\t0000000000000000\nCapBnd:\t00000000280405fb\n"
			      "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
			      "0\n1\n2\n3\n0022\n");
	ck_assert_int_eq(harness_shell(&h, 0, "id -u; grep -E '^Cap' /proc/self/status", out,
				       sizeof(out)),
			 0);
	ck_assert_str_eq(out, "0\nCapInh:\t0000000000000000\nCapPrm:\t00000000280405fb\n"
			      "CapEff:\t00000000280405fb\nCapBnd:\t00000000280405fb\n"
			      "CapAmb:\t0000000000000000\n");
	/* init itself cannot be looked at, not even by the sandbox's root. */
	(void)harness_shell(&h, 0,
			    "for f in environ mem maps; do cat /proc/1/$f >/dev/null 2>&1 && echo "
			    "$f; done; "
			    "for f in exe cwd root ns/uts fd/3; do readlink /proc/1/$f >/dev/null "
			    "&& echo $f; done",
			    out, sizeof(out));
	ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(megabyte_of_arguments)
{
	static char chunk[65536];
	const char *argv[20] = { "/bin/sh", "-c", "test ${#1} = 65535 && test $# = 16", "sh" };
	struct harness_exec e = as_agent(argv);
	size_t i;

	memset(chunk, 'a', sizeof(chunk) - 1);
	for (i = 4; i < 19; i++)
		argv[i] = chunk;
	argv[2] = "test ${#1} = 65535 && test $# = 15";
	argv[19] = NULL;
	ck_assert_int_eq(harness_exited(&h, harness_exec(&h, &e)).exit_code, 0);
}
END_TEST

START_TEST(many_small_arguments)
{
	const char **argv = calloc(60004, sizeof(*argv));
	struct harness_exec e;
	size_t i;

	ck_assert_ptr_nonnull(argv);
	argv[0] = "/bin/sh";
	argv[1] = "-c";
	argv[2] = "test $# = 60000";
	for (i = 3; i < 60004 - 1; i++)
		argv[i] = "0123456789";
	e = as_agent(argv);
	ck_assert_int_eq(harness_exited(&h, harness_exec(&h, &e)).exit_code, 1); /* $0 is one */
	argv[2] = "test $# = 59999";
	ck_assert_int_eq(harness_exited(&h, harness_exec(&h, &e)).exit_code, 0);
	free(argv);
}
END_TEST

static size_t put_file(char *at, const char *path, uint32_t mode, const char *data)
{
	struct init_file f = { mode, (uint32_t)strlen(path) + 1, strlen(data) };

	memcpy(at, &f, sizeof(f));
	memcpy(at + sizeof(f), path, f.path_size);
	memcpy(at + sizeof(f) + f.path_size, data, f.data_size);
	return sizeof(f) + f.path_size + f.data_size;
}

START_TEST(written_files)
{
	const char *const look[] = {
		"/bin/sh", "-c",
		"test \"$(cat a/b/c)\" = hello && test \"$(cat d)\" = bye && "
		"test $(stat -c %a%u a/b/c) = 6401000 && test $(stat -c %a d) = 755 "
		"&& test $(stat -c %a a) = 755 && test $(ls -A | wc -l) = 2",
		NULL
	};
	struct harness_exec e = as_agent(look);
	char files[1024];
	char out[256];

	(void)harness_shell(&h, 1000, "mkdir /tmp/w /tmp/other; echo old >/tmp/w/d", out,
			    sizeof(out));
	e.workdir = "/tmp/w";
	e.files = files;
	e.files_size = put_file(files, "a/b/c", 0640, "hello");
	e.files_size += put_file(files + e.files_size, "d", 06755, "bye");
	e.filec = 2;
	ck_assert_int_eq(harness_exited(&h, harness_exec(&h, &e)).exit_code, 0);
	/* A link on the way is not followed, and one at the end is replaced. */
	(void)harness_shell(&h, 1000, "cd /tmp/w; ln -s ../other link; ln -s ../other/x e", out,
			    sizeof(out));
	e.files_size = put_file(files, "link/x", 0644, "no");
	e.filec = 1;
	expect_refusal(&e, INIT_START_BAD_FILE, ENOTDIR);
	e.argv = run_true;
	e.files_size = put_file(files, "e", 0644, "yes");
	ck_assert_int_eq(harness_exited(&h, harness_exec(&h, &e)).exit_code, 0);
	ck_assert_int_eq(harness_shell(&h, 1000, "test ! -e /tmp/other/x && test ! -L /tmp/w/e",
				       out, sizeof(out)),
			 0);
	e.files_size = put_file(files, "a", 0644, "a directory");
	expect_refusal(&e, INIT_START_BAD_FILE, EISDIR);
	e.workdir = "/etc";
	e.files_size = put_file(files, "not-ours", 0644, "no");
	expect_refusal(&e, INIT_START_BAD_FILE, EACCES);
}
END_TEST

static void read_all(int fd, char *out, size_t size)
{
	size_t length = 0;
	ssize_t n;

	while (length < size - 1 && (n = read(fd, out + length, size - 1 - length)) > 0)
		length += (size_t)n; /* a pty says EIO at the end */
	out[length] = '\0';
}

START_TEST(terminal)
{
	const char *const argv[] = {
		"/bin/sh", "-c",
		"tty; stty size; stat -c %u:%g $(tty); echo x >/dev/tty; "
		"ps -o pid= -o pgid= -o sid= -p $$ | tr -s ' ' '\\n' | sort -u | wc -w",
		NULL
	};
	struct harness_exec e = as_agent(argv);
	uint64_t exec;
	char out[512];
	int master;

	e.flags = INIT_EXEC_TTY;
	exec = harness_exec(&h, &e);
	master = wire_take_fd(&h.message, 0);
	ck_assert_int_ge(master, 0);
	ck_assert_int_eq(harness_exited(&h, exec).exit_code, 0);
	read_all(master, out, sizeof(out));
	ck_assert_str_eq(out, "/dev/pts/0\r\n33 101\r\n1000:5\r\nx\r\n1\r\n");
	(void)close(master);
}
END_TEST

START_TEST(stdio)
{
	const char *const argv[] = { "/bin/sh", "-c", "cat; echo err >&2", NULL };
	struct harness_exec e = as_agent(argv);
	int in[2], out[2], err[2];
	char text[64];
	uint64_t exec;

	ck_assert_int_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC), 0);
	e.fds[0] = in[0];
	e.fds[1] = out[1];
	e.fds[2] = err[1];
	exec = harness_exec(&h, &e);
	(void)close(in[0]);
	(void)close(out[1]);
	(void)close(err[1]);
	ck_assert_int_eq(write(in[1], "in", 2), 2);
	(void)close(in[1]);
	read_all(out[0], text, sizeof(text)); /* ends: init kept nothing */
	ck_assert_str_eq(text, "in");
	read_all(err[0], text, sizeof(text));
	ck_assert_str_eq(text, "err\n");
	ck_assert_int_eq(harness_exited(&h, exec).exit_code, 0);
	(void)close(out[0]);
	(void)close(err[0]);
}
END_TEST

START_TEST(remembered_until_acknowledged)
{
	struct harness_exec e = as_agent(run_true);
	uint64_t first = harness_exec(&h, &e);
	uint64_t second;

	(void)harness_exited(&h, first);
	second = harness_exec(&h, &e);
	(void)harness_exited(&h, second);
	harness_ref(&h, INIT_ACK, first);
	(void)close(h.socket);
	h.socket = harness_connect(&h);
	wire_begin(&h.message, INIT_WIRE_VERSION, INIT_HELLO, 5, sizeof(struct wire_header));
	harness_send(&h);
	ck_assert_uint_eq(((struct wire_header *)harness_expect(&h, INIT_HELLO))->serial, 5);
	ck_assert_int_eq(harness_exited(&h, second).exit_code, 0);
	/* The number of an exec that is still known cannot be used again. */
	h.next_exec = second;
	expect_refusal(&e, INIT_START_INTERNAL, EEXIST);
	harness_ref(&h, INIT_ACK, second);
	(void)harness_exited(&h, harness_exec(&h, &e));
}
END_TEST

static void expect_hang_up(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	char c;

	ck_assert_int_eq(poll(&p, 1, 5000), 1);
	ck_assert_int_le(recv(fd, &c, 1, 0), 0);
	(void)close(fd);
}

START_TEST(malformed)
{
	static const struct {
		uint16_t version, type;
		size_t size;
	} bad[] = {
		{ 9, INIT_HELLO, sizeof(struct wire_header) },
		{ INIT_WIRE_VERSION, 0, sizeof(struct wire_header) },
		{ INIT_WIRE_VERSION, 999, sizeof(struct wire_header) },
		{ INIT_WIRE_VERSION, INIT_STARTED, sizeof(struct wire_header) },
		{ INIT_WIRE_VERSION, INIT_HELLO, sizeof(struct wire_header) + 1 },
		{ INIT_WIRE_VERSION, INIT_LISTEN, sizeof(struct wire_header) },
		{ INIT_WIRE_VERSION, INIT_EXEC, sizeof(struct init_exec) }, /* no controller */
		{ INIT_WIRE_VERSION, INIT_SHUTDOWN, sizeof(struct wire_header) },
	};
	struct harness_exec e = as_agent(run_true);
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		fd = harness_connect(&h);
		wire_begin(&h.message, bad[i].version, bad[i].type, 0, bad[i].size);
		ck_assert_int_eq(wire_send(fd, &h.message), 0);
		expect_hang_up(fd);
	}
	fd = harness_connect(&h);
	ck_assert_int_eq(send(fd, "x", 1, MSG_NOSIGNAL), 1);
	expect_hang_up(fd);
	ck_assert_int_eq(harness_exited(&h, harness_exec(&h, &e)).exit_code, 0);
}
END_TEST

static int ask_listen(const char *address, uint16_t port)
{
	struct init_listen m = { .address = inet_addr(address), .port = port };

	wire_begin(&h.message, INIT_WIRE_VERSION, INIT_LISTEN, 3, sizeof(m));
	m.header = *wire_head(&h.message);
	memcpy(h.message.data, &m, sizeof(m));
	harness_send(&h);
	return ((struct wire_header *)harness_expect(&h, INIT_DONE))->error;
}

START_TEST(listening)
{
	char out[256];
	int fd, peer;

	ck_assert_int_eq(ask_listen("10.0.0.1", 80), -EINVAL);
	ck_assert_int_eq(ask_listen("127.0.0.1", 80), 0);
	fd = wire_take_fd(&h.message, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(harness_shell(&h, 1000,
				       "exec 2>/dev/null; bash -c 'echo hi >/dev/tcp/127.0.0.1/80'",
				       out, sizeof(out)),
			 0);
	peer = accept(fd, NULL, NULL);
	ck_assert_int_ge(peer, 0);
	ck_assert_int_eq(read(peer, out, sizeof(out)), 3);
	(void)close(peer);
	(void)close(fd);
}
END_TEST

START_TEST(at_once)
{
	const char *const argv[] = { "sleep", "0.5", NULL };
	struct harness_exec e = as_agent(argv);
	double begin = seconds();
	int i;

	for (i = 0; i < 8; i++)
		(void)harness_exec(&h, &e);
	for (i = 0; i < 8; i++)
		(void)harness_expect(&h, INIT_EXITED);
	ck_assert(seconds() - begin < 3);
}
END_TEST

START_TEST(table_full)
{
	struct harness_exec e = as_agent(run_true);
	int i;

	for (i = 0; i < 512; i++)
		(void)harness_exited(&h, harness_exec(&h, &e));
	expect_refusal(&e, INIT_START_INTERNAL, ENOSPC);
	/* More ends than a socket holds, to a new controller that is slow. */
	(void)close(h.socket);
	h.socket = harness_connect(&h);
	wire_begin(&h.message, INIT_WIRE_VERSION, INIT_HELLO, 5, sizeof(struct wire_header));
	harness_send(&h);
	(void)usleep(100000);
	(void)harness_expect(&h, INIT_HELLO);
	for (i = 0; i < 512; i++)
		(void)harness_expect(&h, INIT_EXITED);
	harness_ref(&h, INIT_ACK, 77);
	(void)harness_exited(&h, harness_exec(&h, &e));
}
END_TEST

START_TEST(setid_and_namespaces)
{
	char out[512];

	ck_assert_int_eq(harness_shell(&h, 1000,
				       "cd /tmp; touch f; ! chmod 4755 f && ! chmod 2755 f && ! "
				       "unshare -U true "
				       "&& ! unshare -u true && chmod 755 f && mkdir d && chmod "
				       "1777 d",
				       out, sizeof(out)),
			 0);
	ck_assert_int_eq(harness_shell(&h, 0,
				       "cd /tmp; mkdir -p m; ! mount -t tmpfs x m && ! unshare -u "
				       "true "
				       "&& ! hostname other && ! chroot / mount -t tmpfs x m",
				       out, sizeof(out)),
			 0);
}
END_TEST

/* ---- without the fixture ---- */

START_TEST(ends_without_controller)
{
	static struct harness other;

	harness_start(&other, HARNESS_LIBRARY, -1, 200);
	(void)shutdown(other.socket, SHUT_RDWR);
	harness_wait_end(&other);
}
END_TEST

START_TEST(bad_filter)
{
	int fd = memfd_create("bad", MFD_CLOEXEC);

	ck_assert_int_eq(write(fd, "odd size", 7), 7);
	ck_assert(!harness_launch(&h, HARNESS_BINARY, fd, 0));
}
END_TEST

static void add(TCase *c)
{
	tcase_add_test(c, exit_status);
	tcase_add_test(c, start_errors);
	tcase_add_test(c, path_search);
	tcase_add_test(c, identity);
	tcase_add_test(c, megabyte_of_arguments);
	tcase_add_test(c, many_small_arguments);
	tcase_add_test(c, written_files);
	tcase_add_test(c, terminal);
	tcase_add_test(c, stdio);
	tcase_add_test(c, remembered_until_acknowledged);
	tcase_add_test(c, malformed);
	tcase_add_test(c, listening);
	tcase_add_test(c, at_once);
	tcase_add_test(c, table_full);
	tcase_add_test(c, setid_and_namespaces);
}

int main(void)
{
	TCase *alone = tcase_create("alone");

	if (geteuid() != 0)
		return 77; /* the maps are root's to write */
	tcase_add_test(alone, ends_without_controller);
	tcase_add_test(alone, bad_filter);
	return filtered_run("init", add, alone);
}
