/* SPDX-License-Identifier: Apache-2.0 */
/* rpc: any method, its result on stdout, notifications as lines on stderr. */

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "macro.h"
#include "message.h"
#include "refusal.h"
#include "verbs.h"

static void on_notification(struct sandboxd_client *c, const char *method, const char *params,
			    size_t size, void *userdata)
{
	(void)c;
	(void)userdata;
	message_note("%s %.*s", method, (int)size, params);
}

/* All of stdin, freed with free(). */
static char *read_stdin(void)
{
	size_t size = 0;
	size_t allocated = 4096;
	char *text = malloc(allocated);

	while (text) {
		ssize_t n = read(STDIN_FILENO, text + size, allocated - size - 1);
		char *larger;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		size += (size_t)n;
		if (size + 1 < allocated)
			continue;
		if (allocated > RPC_LINE_MAX)
			break;
		allocated *= 2;
		larger = realloc(text, allocated);
		if (!larger)
			free(text);
		text = larger;
	}
	if (text)
		text[size] = '\0';
	return text;
}

static int call(struct ctl *ctl, const char *method, const char *params)
{
	CLEANUP(sandboxd_error_clear) struct sandboxd_error e = SANDBOXD_ERROR_INIT;
	CLEANUP_STR char *result = NULL;
	int r = sandboxd_call(ctl->client, method, params, NULL, 0, &result, &e);

	if (r == -EINVAL) {
		message_error("params are one JSON object", "%s", params ? params : method);
		return -1;
	}
	if (r == SANDBOXD_REFUSED) {
		refusal_tell(ctl, &e);
		return -1;
	}
	if (r < 0)
		return ctl_transport_error(ctl, r);
	r = message_write(STDOUT_FILENO, result, strlen(result));
	return r < 0 ? r : message_write(STDOUT_FILENO, "\n", 1);
}

int verb_rpc(struct ctl *ctl)
{
	static const struct sandboxd_callbacks callbacks = { .on_notification = on_notification };
	const char *params = ctl->options.operands[1];
	CLEANUP_STR char *text = NULL;

	if (params && strcmp(params, "-") == 0)
		params = text = read_stdin();
	if (ctl_connect(ctl) < 0)
		return ctl->verb->failure;
	sandboxd_set_callbacks(ctl->client, &callbacks, NULL);
	return call(ctl, ctl->options.operands[0], params) < 0 ? ctl->verb->failure : 0;
}
