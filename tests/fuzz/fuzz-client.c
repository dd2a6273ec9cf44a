/* SPDX-License-Identifier: Apache-2.0 */
/* What a daemon, or whoever sits behind the socket, may answer a libsandboxd client: calls are in
 * flight, and the input comes back in slices. 0xfe ends a slice, 0xfd is one of the calls' ids. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandboxd/client.h"

#define CALLS 4
#define MARK_SLICE 0xfe
#define MARK_ID 0xfd
#define SLICE_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	unsigned replies;
	size_t bytes;
};

static void on_reply(struct sandboxd_client *c, const struct sandboxd_reply *reply, void *userdata)
{
	struct sandboxd_exec_result *result = NULL;
	struct seen *seen = userdata;

	(void)c;
	if (++seen->replies > CALLS)
		abort(); /* one each */
	if (reply->status == 0 &&
	    sandboxd_exec_result_parse(reply->result, reply->result_size, &result) == 0)
		(void)sandboxd_exec_result_free(result);
}

static void on_output(struct sandboxd_client *c, const struct sandboxd_output *output,
		      void *userdata)
{
	const uint8_t *bytes = output->data;
	struct seen *seen = userdata;
	size_t i;

	(void)c;
	for (i = 0; i < output->size; i++)
		seen->bytes += bytes[i];
}

static void on_notification(struct sandboxd_client *c, const char *method, const char *params,
			    size_t params_size, void *userdata)
{
	struct seen *seen = userdata;

	(void)c;
	seen->bytes += (size_t)method[0] + (params_size > 0 ? (size_t)params[params_size - 1] : 0);
}

static void dispatch_all(struct sandboxd_client *c)
{
	while (sandboxd_dispatch(c, 0) > 0)
		;
}

/* Sends the next slice; returns how much of the input that took. */
static size_t answer(int fd, uint64_t first, const uint8_t *data, size_t size)
{
	char slice[SLICE_MAX];
	size_t used = 0, n = 0;

	while (used < size && n + 24 < sizeof(slice)) {
		uint8_t byte = data[used++];

		if (byte == MARK_SLICE)
			break;
		if (byte == MARK_ID)
			n += (size_t)snprintf(slice + n, 24, "%llu",
					      (unsigned long long)(first + used % CALLS));
		else
			slice[n++] = (char)byte;
	}
	(void)send(fd, slice, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sandboxd_callbacks callbacks = { .on_output = on_output,
						      .on_notification = on_notification };
	const struct sandboxd_request request = { .method = "exec.run", .params = "{}" };
	struct sandboxd_client *c = NULL;
	struct seen seen = { 0 };
	uint64_t first = 0;
	size_t used;
	int fds[2], i;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 ||
	    sandboxd_connect_fd(&c, fds[0]) < 0)
		abort();
	sandboxd_set_callbacks(c, &callbacks, &seen);
	for (i = 0; i < CALLS; i++)
		if (sandboxd_send(c, &request, on_reply, &seen, i == 0 ? &first : NULL) < 0)
			abort();
	while (size > 0) {
		used = answer(fds[1], first, data, size);
		dispatch_all(c);
		data += used;
		size -= used;
	}
	(void)close(fds[1]);
	dispatch_all(c);
	if (seen.replies != CALLS)
		abort(); /* a call that nobody answers any more waits for ever */
	(void)sandboxd_client_free(c);
	return 0;
}
