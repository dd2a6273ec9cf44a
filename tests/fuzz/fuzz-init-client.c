/* SPDX-License-Identifier: Apache-2.0 */
/* What an init that an agent has taken over may say to sandboxd.
 *
 * Input: messages of { u8 flags, u8 length, bytes }. Flags: 1 makes the header right (size,
 * version, descriptors), 2 names an exec that is really watched, 4 sends a descriptor along, 8
 * kills that exec first, 16 forgets it first, 32 starts another one. */

#include <event2/event.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "init-wire.h"
#include "macro.h"
#include "sandbox/exec-payload.h"
#include "sandbox/init-client.h"
#include "util/fd.h"

#define EXECS_MAX 8
#define MESSAGE_MAX 256
#define HEAD 2 /* bytes of the input before each message */

enum flag { HEADER = 1, WATCHED = 2, DESCRIPTOR = 4, KILL = 8, FORGET = 16, START = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct watched {
	uint64_t number; /* 0: not in use */
	bool started;
	bool exited;
};

static struct {
	struct event_base *base;
	struct init_client *client;
	struct wire_message message;
	struct watched execs[EXECS_MAX];
	char path[64];
	int listener;
	int null;
	bool lost;
} fuzz;

static void on_started(void *userdata, const struct init_started *started, int master)
{
	struct watched *w = userdata;

	if (w->started || w->exited)
		abort(); /* told twice, or after its end */
	w->started = started->start_error == INIT_START_OK;
	(void)close_fd(master);
}

static void on_exited(void *userdata, const struct init_exited *exited)
{
	struct watched *w = userdata;

	(void)exited;
	if (w->exited)
		abort();
	w->exited = true;
}

static void on_gone(void *userdata, uint32_t killed)
{
	(void)userdata;
	(void)killed;
}

static void on_lost(void *userdata)
{
	struct watched *w = userdata;

	w->number = 0;
}

static void on_ready(struct init_client *c, int error, void *userdata)
{
	(void)c;
	(void)userdata;
	fuzz.lost = fuzz.lost || error < 0;
}

static void on_client_lost(struct init_client *c, void *userdata)
{
	(void)c;
	(void)userdata;
	if (fuzz.lost)
		abort(); /* told twice */
	fuzz.lost = true;
}

static void start_one(void)
{
	static const struct init_exec_watch watch = { on_started, on_exited, on_gone, on_lost };
	static const char *const argv[] = { "true", NULL };
	static char *const env[] = { NULL };
	const struct exec_payload payload = { .work_dir = "/", .command = { argv, 1 }, .env = env };
	struct watched *w = fuzz.execs;

	while (w < fuzz.execs + EXECS_MAX && w->number != 0)
		w++;
	if (fuzz.lost || w == fuzz.execs + EXECS_MAX ||
	    exec_payload_build(&fuzz.message, &payload) < 0)
		return;
	*w = (struct watched){ 0 };
	w->number = init_client_number(fuzz.client);
	if (init_client_exec(fuzz.client, &fuzz.message, &watch, w, w->number) < 0)
		w->number = 0;
}

static void act(uint8_t flags)
{
	struct watched *w = &fuzz.execs[0];

	if (flags & START)
		start_one();
	if (fuzz.lost || w->number == 0)
		return;
	if (flags & KILL)
		(void)init_client_kill(fuzz.client, w->number);
	if (flags & FORGET) {
		if (w->exited)
			init_client_forget(fuzz.client, w->number);
		else
			init_client_abandon(fuzz.client, w->number);
		w->number = 0;
	}
}

static void say(int socket, uint8_t flags, uint8_t *bytes, size_t size)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { bytes, size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct wire_header h;

	if ((flags & HEADER) && size >= sizeof(h)) {
		memcpy(&h, bytes, sizeof(h));
		h.version = INIT_WIRE_VERSION;
		h.size = (uint32_t)size;
		h.n_fds = flags & DESCRIPTOR ? 1 : 0;
		memcpy(bytes, &h, sizeof(h));
	}
	if ((flags & WATCHED) && size >= sizeof(h) + sizeof(uint64_t))
		memcpy(bytes + sizeof(h), &fuzz.execs[0].number, sizeof(uint64_t));
	if (flags & DESCRIPTOR) {
		struct cmsghdr *c;

		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fuzz.null, sizeof(int));
	}
	(void)sendmsg(socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void run(void)
{
	(void)event_base_loop(fuzz.base, EVLOOP_NONBLOCK);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz.base = event_base_new();
	fuzz.null = open("/dev/null", O_RDWR | O_CLOEXEC);
	(void)snprintf(fuzz.path, sizeof(fuzz.path), "/tmp/fuzz-init-client.%d", (int)getpid());
	fuzz.listener = fd_listen_unix(fuzz.path, SOCK_SEQPACKET, 0600, 4);
	if (!fuzz.base || fuzz.null < 0 || fuzz.listener < 0)
		abort();
	return 0;
}

static void drain(int socket)
{
	static char bytes[65536];

	while (recv(socket, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct init_client_watch watch = { .on_ready = on_ready,
							.on_lost = on_client_lost };
	uint8_t bytes[MESSAGE_MAX];
	CLEANUP_FD int socket = -1;
	size_t length;

	memset(fuzz.execs, 0, sizeof(fuzz.execs));
	fuzz.lost = false;
	if (init_client_new(&fuzz.client, fuzz.base, fuzz.path, 0, &watch, NULL) < 0)
		abort();
	socket = accept4(fuzz.listener, NULL, NULL, SOCK_CLOEXEC);
	if (socket < 0)
		abort();
	start_one();
	while (size > HEAD && !fuzz.lost) {
		length = data[1] < size - HEAD ? data[1] : size - HEAD;
		memcpy(bytes, data + HEAD, length);
		act(data[0]);
		say(socket, data[0], bytes, length);
		drain(socket);
		run();
		data += HEAD + length;
		size -= HEAD + length;
	}
	fuzz.client = init_client_free(fuzz.client);
	run();
	return 0;
}
