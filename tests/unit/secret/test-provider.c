/* SPDX-License-Identifier: Apache-2.0 */
/* The providers that wait for others: programs that behave badly, and an agent-secrets (played by
 * the test, in the same event loop) that is restarted, hangs, or talks nonsense. */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro.h"
#include "sandbox/config-secret.h"
#include "sandbox/config.h"
#include "sandbox/manager.h"
#include "secret/provider-agent-secrets.h"
#include "secret/provider.h"
#include "util/fd.h"
#include "util/strings.h"

static struct manager manager;
static struct config *config;
static char dir[64];

/* What a lease ended with. */
struct outcome {
	bool over;
	bool granted;
	size_t size;
	char value[64]; /* its beginning */
	char remote_id[PROVIDER_REMOTE_ID_MAX];
	enum error_kind kind;
	char message[256];
	char hint[128];
};

static void on_done(struct provider_grant *g, struct error *e, void *userdata)
{
	struct outcome *o = userdata;

	ck_assert(!o->over);
	o->over = true;
	if (g) {
		o->granted = true;
		o->size = secret_value_size(g->value);
		(void)snprintf(o->value, sizeof(o->value), "%s", secret_value_data(g->value));
		(void)snprintf(o->remote_id, sizeof(o->remote_id), "%s", g->remote_id);
		secret_value_unref(g->value);
	} else {
		o->kind = e->kind;
		(void)snprintf(o->message, sizeof(o->message), "%s", e->message);
		(void)snprintf(o->hint, sizeof(o->hint), "%s", e->hint ? e->hint : "");
	}
}

static void setup(void)
{
	memset(&manager, 0, sizeof(manager));
	strcpy(dir, "/tmp/sandboxd-unit-provider-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(config_new(&config, getuid()), 0);
	free(config->secrets.agent_secrets_socket);
	config->secrets.agent_secrets_socket = string_format("%s/agent-secrets.sock", dir);
	manager.base = event_base_new();
	manager.config = config;
}

static void teardown(void)
{
	provider_agent_secrets_stop(&manager);
	(void)event_base_dispatch(manager.base); /* until what was killed is reaped */
	ck_assert_uint_eq(manager.provider_commands, 0);
	event_base_free(manager.base);
	(void)unlink(config->secrets.agent_secrets_socket);
	(void)rmdir(dir);
	config_unref(config);
}

static void wait_for(const struct outcome *o)
{
	while (!o->over)
		ck_assert_int_eq(event_base_loop(manager.base, EVLOOP_ONCE), 0);
}

/* ---- command ---- */

/* /bin/sh -c SCRIPT */
static int begin_command(const char *script, struct outcome *o, struct provider_pending **ret,
			 struct error *reterr)
{
	const char *words[] = { "/bin/sh", "-c", script, NULL };
	struct config_secret section = {
		.name = (char *)(uintptr_t) "tok",
		.provider = "command",
		.command = { .items = (char **)(uintptr_t)words, .count = 3 },
	};
	const struct provider_call call = {
		.m = &manager, .config = &section, .name = "tok", .ttl_ms = 1000
	};
	struct provider_grant grant;

	return provider_command.lease(&call, on_done, o, &grant, ret, reterr);
}

static const struct {
	const char *script;
	const char *value; /* NULL: refused */
	const char *says;
} scripts[] = {
	{ "printf planted", "planted", NULL },
	{ "echo planted", "planted", NULL },
	{ "printf 'planted\\r\\n\\n'", "planted", NULL },
	{ "printf 'two\\nlines\\n'", "two\nlines", NULL },
	{ "printf pla; sleep 0.1; printf nted", "planted", NULL },
	/* a credential that is JSON is no answer about one */
	{ "echo '{\"tokens\":{\"error\":\"planted\"},\"last_refresh\":1}'",
	  "{\"tokens\":{\"error\":\"planted\"},\"last_refresh\":1}", NULL },
	{ "echo '{planted'", "{planted", NULL },
	/* standard error is not the value */
	{ "echo noise >&2; echo planted", "planted", NULL },
	{ "echo planted; exit 3", NULL, "status 3" },
	{ "echo planted >&2; exit 1", NULL, "status 1" },
	{ "echo planted; kill -TERM $$", NULL, "signal 15" },
	{ "exit 0", NULL, "printed nothing" },
	{ "printf ' \\n\\n'", NULL, "printed nothing" },
	{ "echo '{\"ok\":false,\"command\":\"lease\",\"error\":{\"message\":\"planted\"}}'", NULL,
	  "JSON answer" },
	{ "echo '{\"success\":true,\"result\":{\"value\":\"planted\"}}'", NULL, "JSON answer" },
	{ "printf '{\\n  \"command\": 1,\\n  \"ok\" : true\\n}\\n'", NULL, "JSON answer" },
	{ "echo '{\"jsonrpc\":\"2.0\",\"result\":\"planted\"}'", NULL, "JSON answer" },
	{ "echo '  {\"error\":\"planted'", NULL, "JSON answer" },
	{ "head -c 1048577 /dev/zero", NULL, "more than 1048576" },
	{ "cat /dev/zero", NULL, "more than 1048576" },
};

START_TEST(commands)
{
	struct provider_pending *p;
	struct outcome o = { 0 };

	ck_assert_int_eq(begin_command(scripts[_i].script, &o, &p, NULL), 0);
	ck_assert(!o.over); /* never inside the call */
	wait_for(&o);
	ck_assert_msg(o.granted == (scripts[_i].value != NULL), "%s: %s", scripts[_i].script,
		      o.message);
	if (scripts[_i].value) {
		ck_assert_str_eq(o.value, scripts[_i].value);
		ck_assert_uint_eq(o.size, strlen(scripts[_i].value));
		return;
	}
	ck_assert_int_eq((int)o.kind, ERROR_UNAVAILABLE);
	ck_assert_msg(strstr(o.message, scripts[_i].says) != NULL, "%s", o.message);
	ck_assert_ptr_null(strstr(o.message, "planted"));
	ck_assert_str_ne(o.hint, "");
}
END_TEST

/* Who stays behind with the pipe does not keep us waiting. */
START_TEST(left_behind)
{
	struct provider_pending *p;
	struct outcome o = { 0 };

	ck_assert_int_eq(begin_command("sleep 60 & echo $!", &o, &p, NULL), 0);
	wait_for(&o);
	ck_assert(o.granted);
	ck_assert_int_eq(kill((pid_t)strtol(o.value, NULL, 10), SIGKILL), 0); /* it still ran */
}
END_TEST

START_TEST(biggest)
{
	struct provider_pending *p;
	struct outcome o = { 0 };

	ck_assert_int_eq(begin_command("head -c 1048576 /dev/zero | tr '\\0' x", &o, &p, NULL), 0);
	wait_for(&o);
	ck_assert_msg(o.granted, "%s", o.message);
	ck_assert_uint_eq(o.size, SECRET_VALUE_MAX);
}
END_TEST

static int begin_program(const char *program, struct error *reterr)
{
	const char *words[] = { program, NULL };
	struct config_secret section = {
		.name = (char *)(uintptr_t) "tok",
		.command = { .items = (char **)(uintptr_t)words, .count = 1 },
	};
	const struct provider_call call = { .m = &manager, .config = &section, .name = "tok" };
	struct provider_pending *p;
	struct provider_grant grant;

	ck_assert(!provider_command.has(&call));
	return provider_command.lease(&call, on_done, NULL, &grant, &p, reterr);
}

START_TEST(no_program)
{
	static const char *const programs[] = { "/nonexistent/program", "no-such-program-anywhere",
						"/etc/passwd" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(programs); i++) {
		CLEANUP_ERROR struct error e = { 0 };

		ck_assert_int_eq(begin_program(programs[i], &e), -1);
		ck_assert_int_eq((int)e.kind, ERROR_UNAVAILABLE);
		ck_assert_ptr_nonnull(e.hint);
	}
}
END_TEST

START_TEST(cancelled)
{
	struct provider_pending *p;
	struct outcome o = { 0 }, other = { 0 };
	char *script = string_format("echo $$ >%s/pid; sleep 60", dir);
	char *path = string_format("%s/pid", dir), *text = NULL;
	size_t size = 0;
	pid_t pid;

	ck_assert_int_eq(begin_command(script, &o, &p, NULL), 0);
	while (fd_read_file(AT_FDCWD, path, 64, &text, &size) < 0 || !strchr(text, '\n')) {
		free(TAKE_PTR(text)); /* made, and not written yet */
		(void)usleep(1000);
	}
	pid = (pid_t)strtol(text, NULL, 10);
	provider_command.cancel(p);
	while (kill(pid, 0) == 0) /* until it is reaped */
		(void)event_base_loop(manager.base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
	ck_assert(!o.over);
	ck_assert_int_eq(begin_command("echo planted", &other, &p, NULL), 0);
	wait_for(&other);
	ck_assert(other.granted);
	(void)unlink(path);
	free(text);
	free(path);
	free(script);
}
END_TEST

START_TEST(too_many)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct provider_pending *p;

	manager.provider_commands = PROVIDER_COMMANDS_MAX;
	ck_assert_int_eq(begin_command("echo planted", NULL, &p, &e), -1);
	ck_assert_int_eq((int)e.kind, ERROR_LIMIT_REACHED);
	manager.provider_commands = 0;
}
END_TEST

/* ---- agent-secrets ---- */

#define GRANT                                                                                      \
	"{\"jsonrpc\":\"2.0\",\"result\":{\"lease_id\":\"l-1\",\"value\":\"planted\","             \
	"\"expires_at\":\"2999-01-01T00:00:00Z\"},\"id\":1}\n"

/* It answers each line with ANSWER; NULL: not at all. */
struct server {
	const char *answer;
	bool endless; /* it talks without end instead */
	struct event *listening;
	int fd;
	unsigned connections;
	unsigned hang_up; /* so many connections are closed instead */
	char asked[256];  /* what it was asked last */
	struct server_conn *conns[4];
};

struct server_conn {
	struct server_conn **place;
	struct server *server;
	struct event *event;
	int fd;
};

static void conn_free(struct server_conn *c)
{
	if (!c)
		return;
	*c->place = NULL;
	event_free(c->event);
	(void)close(c->fd);
	free(c);
}

static void on_room(evutil_socket_t fd, short events, void *userdata)
{
	char block[4096];

	(void)events;
	memset(block, 'x', sizeof(block));
	if (send(fd, block, sizeof(block), MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		conn_free(userdata);
}

static void on_line(evutil_socket_t fd, short events, void *userdata)
{
	struct server_conn *c = userdata;
	struct server *s = c->server;
	ssize_t n = read(fd, s->asked, sizeof(s->asked) - 1);

	(void)events;
	if (n <= 0) {
		conn_free(c);
		return;
	}
	s->asked[n] = '\0';
	if (s->answer)
		(void)send(fd, s->answer, strlen(s->answer), MSG_NOSIGNAL);
}

static void on_connection(evutil_socket_t fd, short events, void *userdata)
{
	struct server *s = userdata;
	int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct server_conn *c;

	(void)events;
	s->connections++;
	if (s->connections <= s->hang_up) {
		(void)close(conn);
		return;
	}
	ck_assert_uint_le(s->connections, ARRAY_SIZE(s->conns));
	c = calloc(1, sizeof(*c));
	c->place = &s->conns[s->connections - 1];
	*c->place = c;
	c->server = s;
	c->fd = conn;
	c->event = event_new(manager.base, conn, (s->endless ? EV_WRITE : EV_READ) | EV_PERSIST,
			     s->endless ? on_room : on_line, c);
	(void)event_add(c->event, NULL);
}

static void server_start(struct server *s)
{
	s->fd = fd_listen_unix(config->secrets.agent_secrets_socket, SOCK_STREAM, 0600, 64);
	ck_assert_int_ge(s->fd, 0);
	s->listening = event_new(manager.base, s->fd, EV_READ | EV_PERSIST, on_connection, s);
	(void)event_add(s->listening, NULL);
}

static void server_stop(struct server *s)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(s->conns); i++)
		conn_free(s->conns[i]);
	event_free(s->listening);
	(void)close(s->fd);
}

static struct config_secret remote = {
	.name = (char *)(uintptr_t) "tok",
	.provider = "agent-secrets",
	.remote_name = (char *)(uintptr_t) "their_tok",
};

static void begin_remote(struct outcome *o, struct provider_pending **ret)
{
	const struct provider_call call = {
		.m = &manager, .config = &remote, .name = "tok", .ttl_ms = 3600000
	};
	struct provider_grant grant;

	ck_assert_int_eq(provider_agent_secrets.lease(&call, on_done, o, &grant, ret, NULL), 0);
	ck_assert(!o->over);
}

START_TEST(leases)
{
	struct server s = { .answer = GRANT };
	struct provider_pending *p;
	struct outcome o = { 0 };

	server_start(&s);
	begin_remote(&o, &p);
	wait_for(&o);
	ck_assert_msg(o.granted, "%s", o.message);
	ck_assert_str_eq(o.value, "planted");
	ck_assert_str_eq(o.remote_id, "l-1");
	ck_assert_ptr_nonnull(strstr(s.asked, "\"secret_name\":\"their_tok\""));
	server_stop(&s);
}
END_TEST

/* It was there, is away when it is asked, and comes back. */
static void on_return(evutil_socket_t fd, short events, void *userdata)
{
	(void)fd;
	(void)events;
	server_start(userdata);
}

START_TEST(restart)
{
	const struct timeval away = { .tv_usec = 250000 };
	struct server s = { .answer = GRANT, .hang_up = 2 };
	struct provider_pending *p;
	struct outcome o = { 0 };

	server_start(&s);
	server_stop(&s); /* the socket stays, and nobody listens */
	(void)event_base_once(manager.base, -1, EV_TIMEOUT, on_return, &s, &away);
	begin_remote(&o, &p);
	wait_for(&o);
	ck_assert_msg(o.granted, "%s", o.message);
	ck_assert_uint_eq(s.connections, 3);
	server_stop(&s);
}
END_TEST

static const struct {
	const char *answer;
	const char *says;
} nonsense[] = {
	{ "planted\n", "no JSON" },
	{ "\n", "no JSON" },
	{ "{\"ok\":false,\"error\":\"planted\"}\n", "no JSON-RPC" },
	{ "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32005,\"message\":\"planted\"},\"id\":1}\n",
	  "error -32005" },
};

START_TEST(bad_answers)
{
	struct server s = { .answer = nonsense[_i].answer };
	struct provider_pending *p;
	struct outcome o = { 0 };

	server_start(&s);
	begin_remote(&o, &p);
	wait_for(&o);
	ck_assert(!o.granted);
	ck_assert_int_eq((int)o.kind, ERROR_UNAVAILABLE);
	ck_assert_msg(strstr(o.message, nonsense[_i].says) != NULL, "%s", o.message);
	ck_assert_ptr_null(strstr(o.message, "planted"));
	ck_assert_uint_eq(s.connections, 1); /* an answer is an answer */
	server_stop(&s);
}
END_TEST

START_TEST(endless_answer)
{
	struct server s = { .endless = true };
	struct provider_pending *p;
	struct outcome o = { 0 };

	server_start(&s);
	begin_remote(&o, &p);
	wait_for(&o);
	ck_assert(!o.granted);
	ck_assert_int_eq((int)o.kind, ERROR_UNAVAILABLE);
	ck_assert_msg(strstr(o.message, "longer than") != NULL, "%s", o.message);
	server_stop(&s);
}
END_TEST

START_TEST(revokes_and_cancels)
{
	const struct provider_call call = { .m = &manager, .config = &remote, .name = "tok" };
	struct server s = {
		.answer = "{\"jsonrpc\":\"2.0\",\"result\":{\"success\":true},\"id\":1}\n"
	};
	struct outcome o = { 0 };
	struct provider_pending *p;

	server_start(&s);
	ck_assert(provider_agent_secrets.has(&call));
	provider_agent_secrets.revoke(&call, "l-1");
	ck_assert_ptr_nonnull(manager.agent_secrets);
	while (manager.agent_secrets)
		(void)event_base_loop(manager.base, EVLOOP_ONCE);
	ck_assert_ptr_nonnull(strstr(s.asked, "\"method\":\"secrets.revoke\""));
	ck_assert_ptr_nonnull(strstr(s.asked, "\"lease_id\":\"l-1\""));
	s.answer = NULL;
	begin_remote(&o, &p);
	while (s.connections < 2)
		(void)event_base_loop(manager.base, EVLOOP_ONCE);
	provider_agent_secrets.cancel(p);
	provider_agent_secrets.revoke(&call, "l-2"); /* left to teardown */
	ck_assert(!o.over);
	server_stop(&s);
}
END_TEST

/* Some that hang are cut off, and meanwhile keep nobody waiting. */
START_TEST(hanging)
{
	const struct provider_call call = { .m = &manager, .config = &remote, .name = "tok" };
	struct outcome command = { 0 }, server = { 0 }, nobody = { 0 }, quick = { 0 };
	struct server s = { .answer = NULL };
	struct provider_pending *p;

	ck_assert(!provider_agent_secrets.has(&call));
	begin_remote(&nobody, &p); /* would wait for it to be started */
	free(config->secrets.agent_secrets_socket);
	config->secrets.agent_secrets_socket = string_format("%s/other.sock", dir);
	server_start(&s);
	ck_assert_int_eq(begin_command("trap '' TERM; sleep 60; echo planted", &command, &p, NULL),
			 0);
	begin_remote(&server, &p);
	ck_assert_int_eq(begin_command("echo planted", &quick, &p, NULL), 0);
	wait_for(&quick);
	ck_assert(quick.granted && !command.over && !server.over);
	wait_for(&command);
	wait_for(&server);
	ck_assert(!nobody.granted && !command.granted && !server.granted);
	ck_assert_int_eq((int)nobody.kind, ERROR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(nobody.hint, "serve"));
	ck_assert_int_eq((int)command.kind, ERROR_TIMEOUT);
	ck_assert_int_eq((int)server.kind, ERROR_TIMEOUT);
	server_stop(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("provider");
	TCase *spawning = tcase_create("spawning"), *others = tcase_create("others");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(spawning, setup, teardown);
	tcase_set_timeout(spawning, 100);
	tcase_set_tags(spawning, "clone"); /* valgrind knows no pidfd of a child */
	tcase_add_loop_test(spawning, commands, 0, ARRAY_SIZE(scripts));
	tcase_add_test(spawning, left_behind);
	tcase_add_test(spawning, biggest);
	tcase_add_test(spawning, no_program);
	tcase_add_test(spawning, cancelled);
	tcase_add_test(spawning, hanging);
	suite_add_tcase(s, spawning);
	tcase_add_checked_fixture(others, setup, teardown);
	tcase_set_timeout(others, 100);
	tcase_add_test(others, too_many);
	tcase_add_test(others, leases);
	tcase_add_test(others, restart);
	tcase_add_loop_test(others, bad_answers, 0, ARRAY_SIZE(nonsense));
	tcase_add_test(others, endless_answer);
	tcase_add_test(others, revokes_and_cancels);
	suite_add_tcase(s, others);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
