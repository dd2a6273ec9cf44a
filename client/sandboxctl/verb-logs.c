/* SPDX-License-Identifier: Apache-2.0 */
/* logs: what is stored, and with -f what comes. An exec has either stdout and stderr, or output. */

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "macro.h"
#include "message.h"
#include "refusal.h"
#include "rpc-params.h"
#include "session.h"
#include "verbs.h"

#define CODE_INVALID_STATE (-32004)

struct stream {
	const char *name;
	int fd;
};

static const struct stream streams[] = {
	{ "output", STDOUT_FILENO },
	{ "stdout", STDOUT_FILENO },
	{ "stderr", STDERR_FILENO },
};

enum copied { COPIED, COPIED_NOT_STORED, COPIED_FAILED };

/* Copies one stream to our descriptor, as far as it is there now. */
static enum copied copy_stream(struct ctl *ctl, const struct stream *stream, uint64_t from)
{
	const char *exec = ctl->options.operands[0];

	for (;;) {
		CLEANUP(sandboxd_error_clear) struct sandboxd_error e = SANDBOXD_ERROR_INIT;
		struct sandboxd_chunk chunk = { .data = NULL };
		bool end;
		int r = sandboxd_exec_read(ctl->client, exec, stream->name, from, 0, &chunk, &e);

		if (r == SANDBOXD_REFUSED && e.code == CODE_INVALID_STATE)
			return COPIED_NOT_STORED;
		if (r == SANDBOXD_REFUSED)
			return refusal_tell(ctl, &e), COPIED_FAILED;
		if (r < 0)
			return ctl_transport_error(ctl, r), COPIED_FAILED;
		r = message_write(stream->fd, chunk.data, chunk.size);
		end = chunk.eof || chunk.size == 0;
		from = chunk.next;
		free(chunk.data);
		if (r < 0)
			return COPIED_FAILED;
		if (end)
			return COPIED;
	}
}

static int show_stored(struct ctl *ctl, uint64_t from)
{
	size_t stored = 0;

	if (ctl_connect(ctl) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
		enum copied c = copy_stream(ctl, &streams[i], from);

		if (c == COPIED_FAILED)
			return -1;
		stored += c == COPIED;
	}
	if (stored > 0)
		return 0;
	message_error("only output that went to no descriptor of the caller's is stored",
		      "nothing of %s is stored", ctl->options.operands[0]);
	return -1;
}

/* Follows without being responsible: our end does not matter to the command. */
static int follow(struct ctl *ctl, int64_t from)
{
	CLEANUP_JSON struct json_object *params = json_object_new_object();
	struct session_options options = {
		.params = params,
		.method = "exec.attach",
		.watch_only = true,
	};

	json_object_object_add(params, "execId", json_object_new_string(ctl->options.operands[0]));
	for (size_t i = 0; from > 0 && i < ARRAY_SIZE(streams); i++) {
		char path[32];

		(void)snprintf(path, sizeof path, "from.%s", streams[i].name);
		params_set(params, path, json_object_new_int64(from));
	}
	return session_run(ctl, &options, NULL);
}

int verb_logs(struct ctl *ctl)
{
	int64_t from = options_number(&ctl->options, OPTION_FROM, 0);

	if (options_have(&ctl->options, OPTION_FOLLOW))
		return follow(ctl, from);
	return show_stored(ctl, (uint64_t)from) < 0 ? ctl->verb->failure : 0;
}
