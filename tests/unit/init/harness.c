/* SPDX-License-Identifier: Apache-2.0 */
/* Host uid 0 is not in the map: ids from 200000 on are, which nobody has. */

#include "harness.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/server.h"
#include "macro.h"

#define MAP "0 200000 65536\n"

static void must(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		_exit(99);
	}
}

static void write_map(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, MAP, strlen(MAP)), (ssize_t)strlen(MAP));
	(void)close(fd);
}

static void copy_victim(int source)
{
	int fd = open("/tmp/victim", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	struct stat st;

	must(fd >= 0 && fstat(source, &st) == 0, "victim");
	must(sendfile(fd, source, NULL, (size_t)st.st_size) == st.st_size, "sendfile");
	must(fchmod(fd, 0755) == 0, "fchmod");
	(void)close(fd);
}

/* A program that nobody inside may read: its owner is host root, who is not in the map. */
static void bind_unreadable(int source)
{
	char from[64];
	int fd = open("/tmp/unreadable", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	must(fd >= 0, "unreadable");
	(void)close(fd);
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", source);
	must(mount(from, "/tmp/unreadable", NULL, MS_BIND, NULL) == 0, "bind");
}

static void lay_out(int victim, const char *unreadable)
{
	int source = open(unreadable, O_PATH | O_CLOEXEC);

	must(source >= 0, unreadable);
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private");
	must(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0, "proc");
	must(mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") == 0, "tmpfs");
	must(mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		   "newinstance,ptmxmode=0666,mode=0620,gid=5") == 0,
	     "devpts");
	copy_victim(victim);
	bind_unreadable(source);
	(void)close(source);
}

static void place(int fd, int at)
{
	must(dup2(fd, at) == at, "dup2");
	must(fcntl(at, F_SETFD, 0) == 0, "cloexec");
}

static void run_library(int orphan_ms)
{
	struct server *s = calloc(1, sizeof(*s));
	const char *what = "memory";
	int r = s ? server_init(s, NULL, &what) : -ENOMEM;

	if (r < 0) {
		(void)fprintf(stderr, "%s: %s\n", what, strerror(-r));
		_exit(1);
	}
	if (orphan_ms > 0)
		s->orphan_ms = s->patience_ms = orphan_ms;
	server_run(s);
	_exit(0);
}

struct start {
	enum harness_kind kind;
	int listener, seccomp, ready, binary, victim, sync;
	int orphan_ms;
	char unreadable[96];
};

static void run_first(const struct start *start)
{
	char *argv[] = { (char[]){ "sandbox-init" }, NULL };
	char *envp[] = { NULL };

	lay_out(start->victim, start->unreadable);
	/* Out of the way of 3 to 5 first. */
	int listener = fcntl(start->listener, F_DUPFD, 20);
	int seccomp = fcntl(start->seccomp, F_DUPFD, 20);
	int ready = fcntl(start->ready, F_DUPFD, 20);
	int binary = fcntl(start->binary, F_DUPFD_CLOEXEC, 20);

	(void)chdir("/");
	place(listener, INIT_FD_SOCKET);
	place(seccomp, INIT_FD_SECCOMP);
	place(ready, INIT_FD_READY);
	must(syscall(SYS_close_range, 6u, 19u, 0u) == 0, "close_range");
	(void)close(listener);
	(void)close(seccomp);
	(void)close(ready);
	if (start->kind == HARNESS_LIBRARY)
		run_library(start->orphan_ms);
	(void)syscall(SYS_execveat, binary, "", argv, envp, AT_EMPTY_PATH);
	must(false, "execveat");
}

static void run_outer(const struct start *start)
{
	int status = 0;
	pid_t pid;
	char c;

	must(unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS |
		     CLONE_NEWIPC) == 0,
	     "unshare");
	must(write(start->sync, "", 1) == 1 && read(start->sync, &c, 1) == 1, "sync");
	must(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0, "setresuid");
	pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0)
		run_first(start);
	(void)syscall(SYS_close_range, 3u, ~0u, 0u);
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 98);
}

static int listen_at(struct harness *h)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(h->directory, sizeof(h->directory), "/tmp/test-init-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(h->directory));
	(void)snprintf(h->path, sizeof(h->path), "%s/init", h->directory);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", h->path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)(void *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

int harness_connect(const struct harness *h)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", h->path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)), 0);
	return fd;
}

static int open_built(const char *variable)
{
	const char *path = getenv(variable);
	int fd;

	ck_assert_msg(path != NULL, "%s is not set", variable);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	return fd;
}

/* A copy that can be executed and not read, as the keeper makes it of init. Returns an O_PATH
 * descriptor. */
static int copy_unreadable(const char *variable, const char *to)
{
	int from = open_built(variable);
	int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0111);
	struct stat st;

	ck_assert_int_eq(fstat(from, &st), 0);
	ck_assert_int_eq(sendfile(fd, from, NULL, (size_t)st.st_size), st.st_size);
	ck_assert_int_eq(fchmod(fd, 0111), 0);
	(void)close(from);
	(void)close(fd);
	fd = open(to, O_PATH | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* Both copies are gone from the directory before anything is tested. */
static int copy_init(const struct harness *h)
{
	char path[96];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/sandbox-init", h->directory);
	fd = copy_unreadable("SANDBOX_INIT", path);
	(void)unlink(path);
	return fd;
}

static void map_ids(pid_t pid, int sync)
{
	char c;

	ck_assert_int_eq(read(sync, &c, 1), 1);
	write_map(pid, "uid_map");
	write_map(pid, "gid_map");
	ck_assert_int_eq(write(sync, "", 1), 1);
}

static void hello(struct harness *h)
{
	wire_begin(&h->message, INIT_WIRE_VERSION, INIT_HELLO, 1, sizeof(struct wire_header));
	harness_send(h);
	(void)harness_expect(h, INIT_HELLO);
}

static void remove_directory(const struct harness *h)
{
	(void)unlink(h->path);
	(void)rmdir(h->directory);
}

bool harness_launch(struct harness *h, enum harness_kind kind, int seccomp, int orphan_ms)
{
	struct start s = { .kind = kind, .seccomp = seccomp, .orphan_ms = orphan_ms };
	int sync[2], ready[2];
	bool is_ready;
	char c;

	memset(h, 0, offsetof(struct harness, message));
	s.listener = listen_at(h);
	s.binary = copy_init(h);
	(void)snprintf(s.unreadable, sizeof(s.unreadable), "%s/unreadable", h->directory);
	(void)close(copy_unreadable("INIT_VICTIM", s.unreadable));
	ck_assert_int_eq(chmod(h->directory, 0755), 0);
	s.victim = open_built("INIT_VICTIM");
	if (s.seccomp < 0)
		s.seccomp = memfd_create("none", MFD_CLOEXEC);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sync), 0);
	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	s.sync = sync[1];
	s.ready = ready[1];
	h->outer = fork();
	ck_assert_int_ge(h->outer, 0);
	if (h->outer == 0)
		run_outer(&s);
	(void)close(ready[1]);
	(void)close(sync[1]);
	map_ids(h->outer, sync[0]);
	is_ready = read(ready[0], &c, 1) == 1;
	(void)unlink(s.unreadable);
	(void)close(ready[0]);
	(void)close(sync[0]);
	(void)close(s.listener);
	(void)close(s.binary);
	(void)close(s.victim);
	(void)close(s.seccomp);
	if (!is_ready) {
		remove_directory(h);
		(void)waitpid(h->outer, NULL, 0);
	}
	return is_ready;
}

void harness_start(struct harness *h, enum harness_kind kind, int seccomp, int orphan_ms)
{
	ck_assert(harness_launch(h, kind, seccomp, orphan_ms));
	h->socket = harness_connect(h);
	h->next_exec = 1;
	hello(h);
}

void harness_wait_end(struct harness *h)
{
	int status = -1;

	ck_assert_int_eq(waitpid(h->outer, &status, 0), h->outer);
	ck_assert_int_eq(status, 0);
	(void)close(h->socket);
	remove_directory(h);
}

void harness_stop(struct harness *h)
{
	wire_begin(&h->message, INIT_WIRE_VERSION, INIT_SHUTDOWN, 0, sizeof(struct wire_header));
	harness_send(h);
	harness_wait_end(h);
}

void harness_send(struct harness *h)
{
	ck_assert_int_eq(wire_send(h->socket, &h->message), 0);
}

void *harness_expect(struct harness *h, enum init_message_type type)
{
	struct pollfd p = { h->socket, POLLIN, 0 };

	ck_assert_msg(poll(&p, 1, 30000) == 1, "no answer of type %u", (unsigned)type);
	ck_assert_int_eq(wire_receive(h->socket, &h->message), 1);
	ck_assert_int_eq(wire_head(&h->message)->type, type);
	return h->message.data;
}

static void append_string(FILE *stream, const char *text)
{
	ck_assert_uint_eq(fwrite(text, strlen(text) + 1, 1, stream), 1);
}

static char *build_payload(const struct harness_exec *e, struct init_exec *m)
{
	char *buffer = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&buffer, &size);
	const char *const *s;

	ck_assert_ptr_nonnull(stream);
	append_string(stream, e->workdir ? e->workdir : "/tmp");
	for (s = e->argv; *s; s++, m->argc++)
		append_string(stream, *s);
	for (s = e->envp; s && *s; s++, m->envc++)
		append_string(stream, *s);
	if (e->files_size > 0)
		ck_assert_uint_eq(fwrite(e->files, e->files_size, 1, stream), 1);
	ck_assert_int_eq(fclose(stream), 0);
	m->filec = e->filec;
	m->payload_size = size;
	return buffer;
}

static int sealed(const char *data, size_t size)
{
	int fd = memfd_create("payload", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS,
			       F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
			 0);
	return fd;
}

uint64_t harness_request(struct harness *h, const struct harness_exec *e)
{
	struct init_exec m = { .exec = h->next_exec++,
			       .uid = e->uid,
			       .gid = e->gid,
			       .flags = e->flags,
			       .rows = 33,
			       .cols = 101,
			       .nproc_limit = e->nproc_limit };
	char *payload = build_payload(e, &m);
	uint32_t offset = 0;
	int i;

	wire_begin(&h->message, INIT_WIRE_VERSION, INIT_EXEC, m.exec, sizeof(m));
	if (m.payload_size > 100000) {
		m.flags |= INIT_EXEC_PAYLOAD_FD;
		(void)wire_add_fd(&h->message, sealed(payload, m.payload_size));
	} else {
		ck_assert_int_eq(wire_add_bytes(&h->message, payload, m.payload_size, &offset), 0);
		m.payload_offset = offset;
	}
	for (i = 0; i < 3; i++)
		if (e->fds[i] > 0) {
			m.flags |= (uint32_t)INIT_EXEC_HAS_STDIN << i;
			(void)wire_add_fd(&h->message, dup(e->fds[i]));
		}
	m.header = *wire_head(&h->message);
	memcpy(h->message.data, &m, sizeof(m));
	harness_send(h);
	wire_message_done(&h->message);
	free(payload);
	return m.exec;
}

uint64_t harness_exec(struct harness *h, const struct harness_exec *e)
{
	uint64_t exec = harness_request(h, e);
	struct init_started *s = harness_expect(h, INIT_STARTED);

	ck_assert_uint_eq(s->exec, exec);
	ck_assert_msg(s->header.error == 0, "start error %u: %s", s->start_error,
		      strerror(-s->header.error));
	ck_assert_int_gt(s->pid, 1);
	return exec;
}

struct init_exited harness_exited(struct harness *h, uint64_t exec)
{
	struct init_exited e;

	memcpy(&e, harness_expect(h, INIT_EXITED), sizeof(e));
	ck_assert_uint_eq(e.exec, exec);
	return e;
}

void harness_ref(struct harness *h, enum init_message_type type, uint64_t exec)
{
	struct init_exec_ref m = { .exec = exec };

	wire_begin(&h->message, INIT_WIRE_VERSION, (uint16_t)type, exec, sizeof(m));
	m.header = *wire_head(&h->message);
	memcpy(h->message.data, &m, sizeof(m));
	harness_send(h);
}

struct init_gone harness_kill(struct harness *h, uint64_t exec)
{
	struct init_gone g;

	harness_ref(h, INIT_KILL, exec);
	memcpy(&g, harness_expect(h, INIT_GONE), sizeof(g));
	ck_assert_uint_eq(g.exec, exec);
	ck_assert_uint_eq(g.header.serial, exec);
	return g;
}

int harness_shell(struct harness *h, uint32_t uid, const char *script, char *output, size_t size)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	struct harness_exec e = {
		.argv = argv, .uid = uid, .gid = uid, .flags = INIT_EXEC_STDERR_TO_STDOUT
	};
	struct init_exited x;
	size_t length = 0;
	uint64_t exec;
	ssize_t n;
	int p[2];

	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	e.fds[1] = p[1];
	exec = harness_exec(h, &e);
	(void)close(p[1]);
	while ((n = read(p[0], output + length, size - 1 - length)) > 0)
		length += (size_t)n;
	output[length] = '\0';
	(void)close(p[0]);
	x = harness_exited(h, exec);
	harness_ref(h, INIT_ACK, exec);
	return x.signal > 0 ? 128 + x.signal : x.exit_code;
}
