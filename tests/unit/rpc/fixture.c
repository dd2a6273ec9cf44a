/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "macro.h"
#include "methods.h"
#include "params.h"

#define PATIENCE_MS 20000

/* ---- handlers ---- */

static void on_cancel(struct request *r, void *userdata)
{
	struct fixture *f = userdata;
	struct error e = { 0 };

	f->cancelled++;
	for (size_t i = 0; i < f->held_count; i++)
		if (f->held[i] == r)
			f->held[i] = f->held[--f->held_count];
	(void)error_set(&e, ERROR_CANCELLED, NULL, NULL, "cancelled");
	request_fail(r, &e);
}

static void on_disconnect(struct request *r, void *userdata)
{
	struct fixture *f = userdata;

	(void)r;
	f->disconnected++;
}

void fixture_watch(struct fixture *f)
{
	static const struct request_watch watch = { .on_cancel = on_cancel,
						    .on_disconnect = on_disconnect };

	request_watch(f->held[f->held_count - 1], &watch, f);
}

static void hold(struct request *r, struct fixture *f)
{
	ck_assert_uint_lt(f->held_count, HELD_MAX);
	f->held[f->held_count++] = r;
	if (!f->watch_late)
		fixture_watch(f);
}

static void method_sandbox_get(struct request *r, void *userdata)
{
	const struct sandbox_ref_params *p = request_params(r);
	struct json_object *result = json_object_new_object();
	struct fixture *f = userdata;

	f->handled++;
	json_object_object_add(result, "name", json_object_new_string(p->sandbox));
	request_reply(r, result);
}

static void method_exec_wait(struct request *r, void *userdata)
{
	hold(r, userdata);
}

static struct json_object *text_of_fd(struct request *r)
{
	char text[64] = "";
	int fd = request_take_fd(r, 0);
	ssize_t n;

	if (fd < 0)
		return NULL;
	ck_assert_int_eq(request_take_fd(r, 0), -1);
	n = read(fd, text, sizeof(text) - 1);
	close_fd(fd);
	return n < 0 ? NULL : json_object_new_string_len(text, (int)n);
}

static void method_exec_run(struct request *r, void *userdata)
{
	const struct exec_run_params *p = request_params(r);
	struct json_object *result, *params;
	struct fixture *f = userdata;

	f->handled++;
	if (p->detach) {
		hold(r, f);
		return;
	}
	params = json_object_new_object();
	json_object_object_add(params, "requestId", json_object_get(request_id(r)));
	request_notify(r, "exec.started", params);
	result = json_object_new_object();
	json_object_object_add(result, "fds", json_object_new_int64((int64_t)request_fd_count(r)));
	json_object_object_add(result, "text", text_of_fd(r));
	request_reply(r, result);
}

static void reply_with(struct request *r, size_t size)
{
	char *text = malloc(size);

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', size);
	request_reply(r, json_object_new_string_len(text, (int)size));
	free(text);
}

static void method_exec_read(struct request *r, void *userdata)
{
	const struct exec_read_params *p = request_params(r);

	(void)userdata;
	reply_with(r, (size_t)p->limit_bytes);
}

static void stream(struct request *r, void *userdata)
{
	static char text[STREAM_CHUNK_SIZE];
	struct fixture *f = userdata;

	memset(text, 'y', sizeof(text));
	while (f->chunks_sent < STREAM_CHUNKS && request_writable(r)) {
		f->chunks_sent++;
		request_notify(r, "exec.data", json_object_new_string_len(text, sizeof(text)));
	}
	if (f->chunks_sent == STREAM_CHUNKS)
		request_reply(r, NULL);
}

static void on_drain(struct request *r, void *userdata)
{
	struct fixture *f = userdata;

	f->drained++;
	stream(r, f);
}

static void method_exec_attach(struct request *r, void *userdata)
{
	static const struct request_watch watch = { .on_drain = on_drain };

	request_watch(r, &watch, userdata);
	stream(r, userdata);
}

static void method_secret_set(struct request *r, void *userdata)
{
	const struct secret_set_params *p = request_params(r);
	struct json_object *result = json_object_new_object();

	(void)userdata;
	json_object_object_add(result, "secret", json_object_new_string(p->secret));
	request_reply_secret(r, result, "value", p->value.data.data, p->value.data.size);
}

static method_handler *const handlers[METHOD_MAX] = {
	[METHOD_SANDBOX_GET] = method_sandbox_get, [METHOD_EXEC_RUN] = method_exec_run,
	[METHOD_EXEC_WAIT] = method_exec_wait,     [METHOD_EXEC_READ] = method_exec_read,
	[METHOD_EXEC_ATTACH] = method_exec_attach, [METHOD_SECRET_SET] = method_secret_set,
};

static bool admit(uid_t uid, pid_t pid, void *userdata)
{
	const struct fixture *f = userdata;

	ck_assert_uint_eq(uid, getuid());
	ck_assert_int_eq(pid, getpid());
	return !f->refuse_peers;
}

/* ---- server ---- */

static struct sockaddr_un address_of(const struct fixture *f)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	memcpy(a.sun_path, f->path, strlen(f->path) + 1);
	return a;
}

void fixture_open(struct fixture *f)
{
	struct sockaddr_un a;
	int fd;

	*f = (struct fixture){ .dir = "/tmp/sandboxd-rpc-XXXXXX" };
	ck_assert_ptr_nonnull(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/socket", f->dir);
	a = address_of(f);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(fd, 512), 0);
	f->base = event_base_new();
	ck_assert_int_eq(server_new(&f->server, &(struct server_config){ .base = f->base,
									 .listen_fd = fd,
									 .handlers = handlers,
									 .userdata = f,
									 .admit = admit }),
			 0);
}

void fixture_close(struct fixture *f)
{
	while (f->held_count > 0)
		fixture_release(f);
	server_free(f->server);
	event_base_free(f->base);
	(void)unlink(f->path);
	(void)rmdir(f->dir);
}

void fixture_run(struct fixture *f)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

void fixture_release(struct fixture *f)
{
	ck_assert_uint_gt(f->held_count, 0);
	request_reply(f->held[--f->held_count], NULL);
}

void fixture_release_with(struct fixture *f, size_t size)
{
	ck_assert_uint_gt(f->held_count, 0);
	reply_with(f->held[--f->held_count], size);
}

/* ---- clients ---- */

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void client_open(struct client *c, struct fixture *f)
{
	struct sockaddr_un a = address_of(f);

	*c = (struct client){ .fixture = f };
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(c->fd, 0);
	ck_assert_int_eq(connect(c->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	fixture_run(f);
}

void client_close(struct client *c)
{
	c->fd = close_fd(c->fd);
	buffer_deinit(&c->in);
}

void client_send_bytes(struct client *c, const void *data, size_t size)
{
	const char *p = data;
	long end = now_ms() + PATIENCE_MS;

	while (size > 0) {
		ssize_t n = send(c->fd, p, size, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			ck_assert_int_lt(now_ms(), end);
			event_base_loop(c->fixture->base, EVLOOP_NONBLOCK);
			continue;
		}
		ck_assert_int_gt(n, 0);
		p += n;
		size -= (size_t)n;
	}
}

void client_send(struct client *c, const char *text)
{
	client_send_bytes(c, text, strlen(text));
	client_send_bytes(c, "\n", 1);
}

void client_send_fds(struct client *c, const char *text, const int *fds, size_t n)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = strdup(text), .iov_len = strlen(text) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	ck_assert_ptr_nonnull(h);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(h), fds, n * sizeof(int));
	ck_assert_int_eq(sendmsg(c->fd, &m, 0), (ssize_t)strlen(text));
	free(iov.iov_base);
}

/* Reads what is there; true when something came. */
static bool client_receive(struct client *c)
{
	static char bytes[1 << 20];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno == ECONNRESET))
		c->ended = true;
	if (n <= 0)
		return false;
	ck_assert_int_eq(buffer_add(&c->in, bytes, (size_t)n), 0);
	return true;
}

static struct json_object *take_line(struct client *c)
{
	const char *start = buffer_size(&c->in) ? buffer_data(&c->in) : "";
	const char *end = memchr(start, '\n', buffer_size(&c->in));
	struct json_tokener *t;
	struct json_object *json;

	if (!end)
		return NULL;
	t = json_tokener_new_ex(64);
	json = json_tokener_parse_ex(t, start, (int)(end - start));
	ck_assert_msg(json != NULL, "not JSON: %.*s", (int)(end - start), start);
	json_tokener_free(t);
	buffer_consume(&c->in, (size_t)(end - start) + 1);
	return json;
}

struct json_object *client_read(struct client *c)
{
	long end = now_ms() + PATIENCE_MS;

	for (;;) {
		struct json_object *json = take_line(c);

		if (json || c->ended)
			return json;
		ck_assert_msg(now_ms() < end, "no answer");
		event_base_loop(c->fixture->base, EVLOOP_NONBLOCK);
		if (!client_receive(c))
			(void)poll(NULL, 0, 1);
	}
}

struct json_object *client_ask(struct client *c, const char *text)
{
	client_send(c, text);
	return client_read(c);
}

void client_expect_silence(struct client *c)
{
	fixture_run(c->fixture);
	(void)client_receive(c);
	ck_assert_uint_eq(buffer_size(&c->in), 0);
	ck_assert(!c->ended);
}

void client_expect_end(struct client *c)
{
	ck_assert_ptr_null(client_read(c));
	ck_assert(c->ended);
}

static void expect_id(struct json_object *reply, const char *id)
{
	ck_assert_msg(reply != NULL, "the connection ended");
	ck_assert_str_eq(json_text(reply, "jsonrpc"), "2.0");
	ck_assert(json_object_object_get_ex(reply, "id", NULL));
	ck_assert_str_eq(json_object_to_json_string(json_at(reply, "id")), id);
}

void client_expect_error(struct client *c, const char *id, int code, const char *field)
{
	struct json_object *reply = client_read(c);
	const char *text;

	expect_id(reply, id);
	text = json_object_to_json_string(reply);
	ck_assert_msg(json_object_get_int(json_at(reply, "error.code")) == code, "%d: %s", code,
		      text);
	ck_assert_msg(json_text(reply, "error.data.kind") != NULL, "%s", text);
	if (field)
		ck_assert_str_eq(json_text(reply, "error.data.field"), field);
	else
		ck_assert_msg(!json_at(reply, "error.data.field"), "%s", text);
	json_object_put(reply);
}

void client_expect_result(struct client *c, const char *id)
{
	struct json_object *reply = client_read(c);

	expect_id(reply, id);
	ck_assert_msg(json_object_object_get_ex(reply, "result", NULL), "%s",
		      json_object_to_json_string(reply));
	json_object_put(reply);
}

/* ---- JSON ---- */

struct json_object *json_at(struct json_object *json, const char *path)
{
	CLEANUP_STR char *copy = strdup(path);
	char *save = NULL;

	for (char *key = strtok_r(copy, ".", &save); key; key = strtok_r(NULL, ".", &save)) {
		struct json_object *next = NULL;

		if (!json_object_is_type(json, json_type_object) ||
		    !json_object_object_get_ex(json, key, &next))
			return NULL;
		json = next;
	}
	return json;
}

const char *json_text(struct json_object *json, const char *path)
{
	return json_object_get_string(json_at(json, path));
}
