/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper does the work and answers once; meanwhile what the recipe prints comes through a pipe
 * of ours. Closing it is how a build is given up. Lines of mmdebstrap's own ("I: ...") are
 * progress; the last that was printed goes into the error of a failed build. All of it is another's
 * text: bounded, and control characters become spaces. */

#include "sandbox/template-debian.h"

#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "debian.h"
#include "keeper-wire.h"
#include "macro.h"
#include "sandbox/keeper-client.h"
#include "sandbox/manager.h"
#include "sandbox/tool-env.h"
#include "util/path.h"
#include "util/strings.h"

#define NAME "debian"
#define TAIL_MAX 2000
#define READ_SIZE 4096

struct debian {
	struct debian_config config;
	char *suite;
	char *layer;
	char *stale_layer;
	int output; /* our end of the pipe; -1 */
	struct event *reading;
	struct event *ending; /* calls on_ended and frees it */
	size_t line_length;
	char line[256]; /* what there is of the current one, cut */
	size_t tail_length;
	char tail[TAIL_MAX + 1];
	uint64_t size_bytes;
	struct error error;
	bool failed;
	bool calling; /* a reply of the keeper's will come */
};

/* ---- what can be built ---- */

const char *debian_suite(const char *name)
{
	const size_t length = strlen(NAME);

	if (!name || strncmp(name, NAME, length) != 0)
		return NULL;
	if (name[length] == '\0')
		return DEBIAN_SUITE;
	return name[length] == '@' ? name + length + 1 : NULL;
}

int debian_check(const char *suite, struct error *reterr)
{
	char path[PATH_MAX];

	if (!string_equal(suite, DEBIAN_SUITE))
		return error_set(reterr, ERROR_UNAVAILABLE, "template",
				 NAME " or " NAME "@" DEBIAN_SUITE, "Debian %.64s cannot be built",
				 suite);
	if (!path_find_program("mmdebstrap", path, sizeof(path)))
		return error_set(reterr, ERROR_UNAVAILABLE, "template",
				 "apt-get install mmdebstrap",
				 "the template debian is made with mmdebstrap, which is not "
				 "installed.");
	return 0;
}

void debian_digest(const char *suite, char ret[static SHA256_TEXT_SIZE])
{
	struct sha256 h;
	struct utsname name;

	sha256_init(&h);
	sha256_add_text(&h, NAME);
	sha256_add_text(&h, suite);
	sha256_add_text(&h, uname(&name) == 0 ? name.machine : NULL);
	sha256_add_text(&h, debian_recipe);
	sha256_end_text(&h, ret);
}

/* ---- its end ---- */

static void stop_reading(struct debian *d)
{
	if (d->reading)
		event_free(d->reading);
	d->reading = NULL;
	d->output = close_fd(d->output);
}

static void on_ending(evutil_socket_t fd, short what, void *userdata)
{
	struct debian *d = userdata;

	(void)fd;
	(void)what;
	d->config.on_ended(d->size_bytes, d->failed ? &d->error : NULL, d->config.userdata);
	debian_free(d);
}

static void note_failure(struct debian *d, struct error *e)
{
	if (!d->failed)
		error_move(&d->error, e);
	else
		error_clear(e);
	d->failed = true;
}

static void end(struct debian *d)
{
	stop_reading(d);
	event_active(d->ending, 0, 0);
}

static void fail_keeper(struct debian *d, int error, struct wire_message *m)
{
	struct error e = { 0 };
	const char *reason = NULL;
	bool bad = false;

	if (m && m->size >= sizeof(struct keeper_layer_reply))
		reason = wire_string(m,
				     ((const struct keeper_layer_reply *)(const void *)m->data)
					     ->reason,
				     &bad);
	if (error == -EOPNOTSUPP)
		error_set(&e, ERROR_UNAVAILABLE, "template",
			  "apt-get install uidmap; sandboxctl doctor",
			  "the template debian needs subordinate ids");
	else if (error == -ENOSPC || error == -EDQUOT)
		error_set_errno(&e, error, "the template debian cannot be built");
	else
		error_set(&e, ERROR_RUNTIME_FAILED, NULL, NULL,
			  "the template debian cannot be built: %s",
			  reason && reason[0]  ? reason
			  : d->tail_length > 0 ? d->tail
					       : strerror(-error));
	error_set_resource(&e, "template " NAME "@%s", d->suite);
	note_failure(d, &e);
	end(d);
}

/* ---- what it says ---- */

static void end_line(struct debian *d)
{
	d->line[d->line_length] = '\0';
	if (string_starts(d->line, "I: ") && d->config.on_progress)
		d->config.on_progress(d->line + 3, d->config.userdata);
	d->line_length = 0;
}

static void hear(struct debian *d, char c)
{
	if (c == '\n') {
		end_line(d);
		c = ' ';
	}
	if (iscntrl((unsigned char)c))
		c = ' ';
	if (d->line_length < sizeof(d->line) - 1 && (c != ' ' || d->line_length > 0))
		d->line[d->line_length++] = c;
	if (c == ' ' && (d->tail_length == 0 || d->tail[d->tail_length - 1] == ' '))
		return;
	if (d->tail_length == TAIL_MAX) { /* the older half goes */
		memmove(d->tail, d->tail + TAIL_MAX / 2, TAIL_MAX - TAIL_MAX / 2);
		d->tail_length = TAIL_MAX - TAIL_MAX / 2;
	}
	d->tail[d->tail_length++] = c;
	d->tail[d->tail_length] = '\0';
}

/* Returns false when there is no more for now. */
static bool read_some(struct debian *d)
{
	char buf[READ_SIZE];
	ssize_t n = read(d->output, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		stop_reading(d); /* the keeper's answer comes, too */
		return false;
	}
	for (ssize_t i = 0; i < n; i++)
		hear(d, buf[i]);
	return true;
}

static void on_output(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	(void)read_some(userdata);
}

/* ---- the keeper ---- */

static void on_built(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	struct debian *d = userdata;

	(void)k;
	d->calling = false;
	while (d->output >= 0 && read_some(d)) /* its last words */
		;
	if (error == 0 && (!m || m->size < sizeof(struct keeper_layer_reply)))
		error = -EBADMSG;
	if (error < 0) {
		fail_keeper(d, error, m);
		return;
	}
	d->size_bytes = ((const struct keeper_layer_reply *)(const void *)m->data)->size_bytes;
	d->failed = false; /* given up too late: the next one who asks has it */
	error_clear(&d->error);
	end(d);
}

/* The host's proxies. */
static int add_environment(struct wire_message *m)
{
	struct keeper_root_build *b = (void *)m->data;
	CLEANUP_STRINGS struct string_list l = { 0 };
	int r = tool_environment_of_host(NULL, &l);

	for (size_t i = 0; r == 0 && i < l.count && b->n_env < KEEPER_ROOT_ENV_MAX; i++) {
		const char *equals = strchr(l.items[i], '=');

		if (!equals || equals - l.items[i] < 6 ||
		    strncasecmp(equals - strlen("_proxy"), "_proxy", strlen("_proxy")) != 0 ||
		    strncasecmp(l.items[i], "npm_", strlen("npm_")) == 0)
			continue;
		r = wire_add_string(m,
				    offsetof(struct keeper_root_build, env) +
					    b->n_env * sizeof(struct wire_str),
				    l.items[i]);
		b->n_env++;
	}
	return r;
}

static int open_pipe(struct debian *d, int *ret_write)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	d->output = fds[0];
	*ret_write = fds[1];
	(void)fcntl(d->output, F_SETFL, O_NONBLOCK); /* cannot fail on a pipe */
	d->reading =
		event_new(d->config.manager->base, d->output, EV_READ | EV_PERSIST, on_output, d);
	return d->reading && event_add(d->reading, NULL) == 0 ? 0 : -ENOMEM;
}

static int call_build(struct debian *d, struct keeper_client *k)
{
	struct wire_message *m = keeper_scratch(d->config.manager);
	CLEANUP_FD int output = -1;
	int r = open_pipe(d, &output);

	if (r < 0)
		return r;
	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_ROOT_BUILD, 0, sizeof(struct keeper_root_build));
	r = wire_add_fd(m, TAKE_FD(output));
	if (r >= 0)
		r = wire_add_string(m, offsetof(struct keeper_root_build, layer), d->layer);
	if (r >= 0)
		r = wire_add_string(m, offsetof(struct keeper_root_build, suite), d->suite);
	if (r >= 0)
		r = add_environment(m);
	if (r >= 0)
		r = keeper_client_call(k, m, on_built, d);
	else
		wire_message_done(m);
	d->calling = r >= 0;
	return r < 0 ? r : 0;
}

static void build(struct debian *d, struct keeper_client *k)
{
	int r;

	if (d->failed) { /* given up */
		end(d);
		return;
	}
	r = call_build(d, k);
	if (r < 0)
		fail_keeper(d, r, NULL);
}

static void on_stale_removed(struct keeper_client *k, int error, struct wire_message *m,
			     void *userdata)
{
	struct debian *d = userdata;

	d->calling = false;
	if (error < 0 && error != -ENOENT)
		fail_keeper(d, error, m);
	else
		build(d, k);
}

static int call_remove(struct debian *d, struct keeper_client *k)
{
	struct wire_message *m = keeper_scratch(d->config.manager);
	int r;

	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_LAYER_REMOVE, 0, sizeof(struct keeper_layer));
	r = wire_add_string(m, offsetof(struct keeper_layer, layer), d->stale_layer);
	if (r == 0)
		r = keeper_client_call(k, m, on_stale_removed, d);
	d->calling = r >= 0;
	return r;
}

static void on_keeper(struct keeper_client *k, struct error *e, void *userdata)
{
	struct debian *d = userdata;
	int r;

	d->calling = false;
	if (!k) {
		note_failure(d, e);
		end(d);
	} else if (d->stale_layer && !d->failed) {
		r = call_remove(d, k);
		if (r < 0)
			fail_keeper(d, r, NULL);
	} else {
		build(d, k);
	}
}

/* ---- from outside ---- */

int debian_new(struct debian **ret, const struct debian_config *config, struct error *reterr)
{
	struct debian *d = calloc(1, sizeof(*d));
	int r = -ENOMEM;

	if (!d)
		return error_set_errno(reterr, r, "a build cannot be started");
	d->config = *config;
	d->config.suite = d->config.layer = d->config.stale_layer = NULL; /* our copies count */
	d->output = -1;
	d->ending = event_new(config->manager->base, -1, 0, on_ending, d);
	if (d->ending)
		r = string_copy(config->suite, &d->suite);
	if (r == 0)
		r = string_copy(config->layer, &d->layer);
	if (r == 0)
		r = string_copy(config->stale_layer, &d->stale_layer);
	if (r < 0)
		error_set_errno(reterr, r, "a build cannot be started");
	else
		r = manager_keeper(config->manager, config->owner, on_keeper, d, reterr);
	if (r < 0) {
		debian_free(d);
		return -1;
	}
	d->calling = true;
	*ret = d;
	return 0;
}

void debian_cancel(struct debian *d)
{
	struct error e = { 0 };

	if (!d->calling || d->failed)
		return; /* it ends already */
	error_set(&e, ERROR_CANCELLED, NULL, NULL, "the build of template debian was cancelled");
	note_failure(d, &e);
	stop_reading(d);
}

void debian_free(struct debian *d)
{
	if (!d)
		return;
	stop_reading(d);
	if (d->ending)
		event_free(d->ending);
	error_clear(&d->error);
	free(d->suite);
	free(d->layer);
	free(d->stale_layer);
	free(d);
}
