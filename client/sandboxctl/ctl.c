/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon-start.h"
#include "macro.h"
#include "message.h"
#include "refusal.h"
#include "service.h"
#include "verbs.h"

#define AUTOSTART_FAILED 1
#define JSON_FLAGS (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

static void on_progress(struct sandboxd_client *c, const struct sandboxd_progress *progress,
			void *userdata)
{
	const struct ctl *ctl = userdata;

	(void)c;
	if (!ctl->quiet)
		message_note("%s", progress->message);
}

bool ctl_is_named(const struct ctl *ctl)
{
	char path[128];

	return sandboxd_socket_candidate(ctl->socket, 1, path, sizeof path) == -ENOENT;
}

int ctl_connect_failed(const struct ctl *ctl, int r)
{
	char path[128];

	if (r == -ENOENT || r == -ECONNREFUSED) {
		if (!ctl_is_named(ctl))
			message_unreachable("start it with: sandboxctl daemon start",
					    "no sandboxd is running");
		else if (sandboxd_socket_candidate(ctl->socket, 0, path, sizeof path) == 0)
			message_unreachable("start it, or name another socket", "no sandboxd at %s",
					    path);
		else
			message_unreachable("a socket's path has at most 107 bytes",
					    "no sandboxd can be there");
		return -1;
	}
	message_unreachable(r == -EACCES ? NOT_IN_GROUP_HINT : NULL,
			    "cannot connect to sandboxd: %s", strerror(-r));
	return -1;
}

/* By the service manager if it has our units, else one of our own. Returns 0, AUTOSTART_FAILED
 * after telling why not, or negative errno. */
static int autostart(struct ctl *ctl)
{
	if (service_exists() && service_listen() == 0)
		return sandboxd_connect(&ctl->client, ctl->socket);
	if (daemon_start(ctl) < 0)
		return AUTOSTART_FAILED;
	if (!ctl->quiet)
		message_note("sandboxd was started; sandboxctl daemon stop ends it");
	return 0;
}

int ctl_connect(struct ctl *ctl)
{
	static const struct sandboxd_callbacks callbacks = { .on_progress = on_progress };
	int r;

	if (ctl->client)
		return 0;
	r = sandboxd_connect(&ctl->client, ctl->socket);
	/* -EACCES: the system's daemon is not for us, one of our own is */
	if ((r == -ENOENT || r == -ECONNREFUSED || r == -EACCES) && !ctl->no_autostart &&
	    !ctl_is_named(ctl))
		r = autostart(ctl);
	if (r == AUTOSTART_FAILED)
		return -1;
	if (r < 0)
		return ctl_connect_failed(ctl, r);
	sandboxd_set_callbacks(ctl->client, &callbacks, ctl);
	return 0;
}

int ctl_transport_error(const struct ctl *ctl, int r)
{
	(void)ctl;
	if (r == -ECONNRESET)
		message_unreachable("see: sandboxctl daemon status",
				    "sandboxd closed the connection");
	else if (r == -ENOENT || r == -ECONNREFUSED)
		message_unreachable("see: sandboxctl daemon status",
				    "sandboxd ended and did not come back");
	else if (r == -EMSGSIZE)
		message_error("the limit is 16 MiB", "the request is too big");
	else if (r == -EINVAL)
		message_error("names, arguments and values must be",
			      "something given is not UTF-8");
	else
		message_unreachable(NULL, "speaking to sandboxd: %s", strerror(-r));
	return -1;
}

/* FD is passed unless it is -1. A refusal of CODE is not told. */
static int call(struct ctl *ctl, const char *method, struct json_object *params, int fd, int code,
		struct json_object **ret)
{
	CLEANUP(sandboxd_error_clear) struct sandboxd_error e = SANDBOXD_ERROR_INIT;
	CLEANUP_JSON struct json_object *owned = params;
	CLEANUP_STR char *text = NULL;
	int r;

	if (!owned)
		return ctl_transport_error(ctl, -ENOMEM);
	if (ctl_connect(ctl) < 0)
		return -1;
	r = sandboxd_call(ctl->client, method, json_object_to_json_string_ext(owned, JSON_FLAGS),
			  fd < 0 ? NULL : &fd, fd < 0 ? 0 : 1, &text, &e);
	if (r == SANDBOXD_REFUSED && e.code == code)
		return SANDBOXD_REFUSED;
	if (r == SANDBOXD_REFUSED) {
		refusal_tell(ctl, &e);
		return -1;
	}
	if (r < 0)
		return ctl_transport_error(ctl, r);
	if (ret)
		*ret = json_tokener_parse(text);
	return 0;
}

int ctl_call_expecting(struct ctl *ctl, const char *method, struct json_object *params, int code,
		       struct json_object **ret)
{
	return call(ctl, method, params, -1, code, ret);
}

int ctl_call_passing(struct ctl *ctl, const char *method, struct json_object *params, int fd,
		     struct json_object **ret)
{
	return call(ctl, method, params, fd, 0, ret);
}

int ctl_call(struct ctl *ctl, const char *method, struct json_object *params,
	     struct json_object **ret)
{
	return call(ctl, method, params, -1, 0, ret);
}

int ctl_print_json(struct json_object *value, bool pretty)
{
	int flags = pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
				     JSON_C_TO_STRING_NOSLASHESCAPE
			   : JSON_FLAGS;
	size_t size;
	const char *text = json_object_to_json_string_length(value, flags, &size);
	int r = text ? message_write(STDOUT_FILENO, text, size) : -ENOMEM;

	if (r == 0)
		r = message_write(STDOUT_FILENO, "\n", 1);
	if (r == 0)
		return 0;
	message_error(NULL, "writing to stdout: %s", strerror(-r));
	return -1;
}

int ctl_print_name(const struct ctl *ctl, struct json_object *result)
{
	const char *name = json_value_string(result, "name");

	if (ctl->json)
		return ctl_print_json(result, false) < 0 ? ctl->verb->failure : 0;
	if (name)
		puts(name);
	return fflush(stdout) == 0 ? 0 : ctl->verb->failure;
}

void ctl_deinit(struct ctl *ctl)
{
	ctl->client = sandboxd_client_free(ctl->client);
	options_deinit(&ctl->options);
}
