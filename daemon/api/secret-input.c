/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a descriptor blocks is shared with all who have it, and a client could change it under
 * our hands. So the pipe is opened once more. */

#include "api/secret-input.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "macro.h"
#include "sandbox/manager.h"
#include "secret/gather.h"
#include "util/dispose.h"

struct secret_input {
	struct event *event; /* there is something to read */
	struct event *limit; /* it took too long */
	struct gather gather;
	int fd;
	uid_t uid; /* whose pipe it is */
	secret_input_done *done;
	void *userdata;
	LIST_ENTRY(secret_input) in_all;
};

void secret_input_free(struct secret_input *i)
{
	if (!i)
		return;
	if (i->event)
		event_free(i->event);
	if (i->limit)
		event_free(i->limit);
	gather_clear(&i->gather);
	(void)close_fd(i->fd); /* a pipe: at once */
	if (i->done)           /* it was entered */
		LIST_REMOVE(i, in_all);
	free(i);
}
DEFINE_CLEANUP(struct secret_input *, secret_input_free);

static int set_read_error(int r, struct error *reterr)
{
	if (r == -EFBIG)
		return error_set(reterr, ERROR_INVALID_PARAMS, "value", "at most 1 MiB",
				 "the value is too long");
	return error_set_errno(reterr, r, "the value cannot be read");
}

static void on_readable(evutil_socket_t fd, short events, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct secret_input *i = userdata;
	struct bytes value;
	int r = gather_read(&i->gather, fd);

	(void)events;
	if (r == 0)
		return;
	value = (struct bytes){ i->gather.data, i->gather.used };
	if (r < 0)
		(void)set_read_error(r, &e);
	i->done(r < 0 ? NULL : &value, r < 0 ? &e : NULL, i->userdata);
	secret_input_free(i);
}

static void on_late(evutil_socket_t fd, short events, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct secret_input *i = userdata;

	(void)fd;
	(void)events;
	(void)error_set(&e, ERROR_TIMEOUT, "value", "close the pipe when all is written",
			"the end of the value did not come");
	i->done(NULL, &e, i->userdata);
	secret_input_free(i);
}

/* Returns the new fd or negative errno. */
static int open_again(int fd)
{
	char path[64];
	struct stat st;
	int own;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISFIFO(st.st_mode))
		return -EINVAL;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* fits */
	own = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return own < 0 ? -errno : own;
}

static int start(struct secret_input *i, struct event_base *base)
{
	const struct timeval limit = { .tv_sec = SECRET_INPUT_SECONDS };

	i->event = event_new(base, i->fd, EV_READ | EV_PERSIST, on_readable, i);
	i->limit = evtimer_new(base, on_late, i);
	return i->event && i->limit && event_add(i->event, NULL) == 0 &&
			       event_add(i->limit, &limit) == 0
		       ? 0
		       : -ENOMEM;
}

/* Each may take 1 MiB of locked memory. */
static int check_room(const struct manager *m, uid_t uid, struct error *reterr)
{
	const struct secret_input *i;
	unsigned count = 0;

	LIST_FOREACH (i, &m->secret_inputs, in_all)
		count += i->uid == uid;
	if (count < SECRET_INPUTS_PER_UID_MAX)
		return 0;
	return error_set(reterr, ERROR_LIMIT_REACHED, "value", "wait for one of them",
			 "%u values are still coming through pipes", count);
}

int secret_input_new(struct manager *m, uid_t uid, int fd, secret_input_done *done, void *userdata,
		     struct secret_input **ret, struct error *reterr)
{
	CLEANUP(secret_input_freep) struct secret_input *i = calloc(1, sizeof(*i));
	int own = open_again(fd), r;

	(void)dispose_fd(fd);
	if (i)
		i->fd = own; /* negative, it is not closed */
	if (own < 0)
		return error_set(reterr, ERROR_INVALID_PARAMS, "value.fd", "the end of a pipe",
				 "the value cannot be read from this descriptor");
	if (!i) {
		(void)close_fd(own);
		return error_set_errno(reterr, -ENOMEM, "the value cannot be read");
	}
	if (check_room(m, uid, reterr) < 0)
		return -1;
	i->uid = uid;
	i->done = done;
	i->userdata = userdata;
	LIST_INSERT_HEAD(&m->secret_inputs, i, in_all);
	r = start(i, m->base);
	if (r < 0)
		return error_set_errno(reterr, r, "the value cannot be read");
	*ret = TAKE_PTR(i);
	return 0;
}
