/* SPDX-License-Identifier: Apache-2.0 */
/* Runs several shell commands in one sandbox at once and prints their output as it comes:
 * event-loop SANDBOX COMMAND...
 *
 *   cc event-loop.c $(pkg-config --cflags --libs libsandboxd)
 *
 * The loop is poll() over the client's descriptor; any other loop watches the same descriptor for
 * the same events and calls sandboxd_dispatch(c, 0). */

#include <poll.h>
#include <sandboxd/client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILED 125
#define REPORT_MS 10000 /* how long silence may last before we say that we wait */

struct state {
	unsigned failed;
};

/* Text for a JSON string: quoted, escaped. NULL when there is no memory. */
static char *quote(const char *text)
{
	char *out = malloc(6 * strlen(text) + 3); /* \u00XX */
	char *to = out;

	if (!out)
		return NULL;
	*to++ = '"';
	for (; *text; text++) {
		unsigned char ch = (unsigned char)*text;

		if (ch < 0x20 || ch == '"' || ch == '\\')
			to += sprintf(to, "\\u%04x", ch);
		else
			*to++ = (char)ch;
	}
	strcpy(to, "\"");
	return out;
}

static void on_started(struct sandboxd_client *c, const struct sandboxd_started *started,
		       void *userdata)
{
	(void)c;
	(void)userdata;
	printf("[%llu] is %s\n", (unsigned long long)started->request, started->exec_id);
}

static void on_output(struct sandboxd_client *c, const struct sandboxd_output *output,
		      void *userdata)
{
	(void)c;
	(void)userdata;
	printf("%s %s: ", output->exec_id, output->stream);
	fwrite(output->data, 1, output->size, stdout);
}

static void on_done(struct sandboxd_client *c, const struct sandboxd_reply *reply, void *userdata)
{
	struct state *s = userdata;
	struct sandboxd_exec_result *result;

	(void)c;
	if (reply->status == 0 &&
	    sandboxd_exec_result_parse(reply->result, reply->result_size, &result) == 0) {
		printf("[%llu] %s %d\n", (unsigned long long)reply->id, result->cause,
		       result->exit_code);
		s->failed += result->exit_code != 0;
		sandboxd_exec_result_free(result);
		return;
	}
	printf("[%llu] %s\n", (unsigned long long)reply->id,
	       reply->status == SANDBOXD_REFUSED ? reply->error->message
						 : strerror(-reply->status));
	s->failed++;
}

static int start(struct sandboxd_client *c, const char *sandbox, const char *command,
		 struct state *s)
{
	static const char format[] = "{\"sandbox\": %s, \"stream\": true, "
				     "\"command\": [\"/bin/sh\", \"-c\", %s]}";
	struct sandboxd_request request = { .method = "exec.run" };
	char *name = quote(sandbox);
	char *script = quote(command);
	char *params = NULL;
	int r = -1;

	if (name && script)
		params = malloc(sizeof format + strlen(name) + strlen(script));
	if (params) {
		sprintf(params, format, name, script);
		request.params = params;
		r = sandboxd_send(c, &request, on_done, s, NULL);
	}
	free(params);
	free(script);
	free(name);
	return r;
}

int main(int argc, char **argv)
{
	static const struct sandboxd_callbacks callbacks = { .on_started = on_started,
							     .on_output = on_output };
	struct state s = { 0 };
	struct sandboxd_client *c;
	int i, r;

	if (argc < 3) {
		fprintf(stderr, "usage: event-loop SANDBOX COMMAND...\n");
		return FAILED;
	}
	r = sandboxd_connect(&c, NULL);
	if (r < 0) {
		fprintf(stderr, "connect: %s\n", strerror(-r));
		return FAILED;
	}
	sandboxd_set_callbacks(c, &callbacks, &s);
	for (i = 2; i < argc && r == 0; i++)
		r = start(c, argv[1], argv[i], &s);
	while (r >= 0 && sandboxd_in_flight(c) > 0) {
		struct pollfd p = { .fd = sandboxd_get_fd(c), .events = sandboxd_get_events(c) };

		if (poll(&p, 1, REPORT_MS) == 0)
			printf("%zu still running\n", sandboxd_in_flight(c));
		else
			r = sandboxd_dispatch(c, 0);
	}
	sandboxd_client_free(c);
	if (r < 0)
		fprintf(stderr, "event-loop: %s\n", strerror(-r));
	return r < 0 ? FAILED : s.failed != 0;
}
