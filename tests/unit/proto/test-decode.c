/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of field: what it accepts, and the code and field with which it refuses. */
#include <check.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "decode.h"
#include "macro.h"
#include "params.h"

#define CREATE "sandbox.create"
#define RUN "exec.run"
#define COMMAND "\"sandbox\":\"a\",\"command\":[\"true\"]"

static struct arena arena;
static struct json_object *json;
static struct error error;
static size_t fd_count;

static const char *refuse_second(unsigned index, void *userdata)
{
	(void)userdata;
	return index == 1 ? "is a directory" : NULL;
}

static int decode(const char *method, const char *params, const void **ret)
{
	struct decode_context context = { .arena = &arena,
					  .fd_count = fd_count,
					  .fd_refused = refuse_second };

	json_object_put(json);
	json = json_tokener_parse(params);
	ck_assert_msg(json != NULL, "%s", params);
	error_clear(&error);
	return decode_params(method_by_name(method), json, &context, ret, &error);
}

static const void *decoded(const char *method, const char *params)
{
	const void *p = NULL;

	ck_assert_msg(decode(method, params, &p) == 0, "%s: %s", params, error.message);
	ck_assert_ptr_nonnull(p);
	return p;
}

static void close_all(void)
{
	json_object_put(json);
	json = NULL;
	error_clear(&error);
	arena_deinit(&arena);
	fd_count = 0;
}

static const struct {
	const char *method;
	const char *params;
	enum error_kind kind;
	const char *field;
} refused[] = {
	/* unknown, missing, wrong type */
	{ CREATE, "{\"nam\":\"a\"}", ERROR_INVALID_PARAMS, "nam" },
	{ CREATE, "{\"limits\":{\"memory\":1}}", ERROR_INVALID_PARAMS, "limits.memory" },
	{ RUN, "{\"sandbox\":\"a\"}", ERROR_INVALID_PARAMS, "command" },
	{ RUN, "{" COMMAND ",\"tty\":{\"rows\":1}}", ERROR_INVALID_PARAMS, "tty.cols" },
	{ CREATE, "{\"name\":null}", ERROR_INVALID_PARAMS, "name" },
	{ CREATE, "{\"limits\":null}", ERROR_INVALID_PARAMS, "limits" },
	{ CREATE, "{\"limits\":\"x\"}", ERROR_INVALID_PARAMS, "limits" },
	{ CREATE, "{\"limits\":[]}", ERROR_INVALID_PARAMS, "limits" },
	{ CREATE, "[]", ERROR_INVALID_PARAMS, "params" },
	/* names */
	{ CREATE, "{\"name\":\"\"}", ERROR_INVALID_PARAMS, "name" },
	{ CREATE, "{\"name\":\"-a\"}", ERROR_INVALID_PARAMS, "name" },
	{ CREATE, "{\"name\":\"a/b\"}", ERROR_INVALID_PARAMS, "name" },
	{ CREATE, "{\"name\":\"a b\"}", ERROR_INVALID_PARAMS, "name" },
	{ CREATE, "{\"name\":\"a:b\"}", ERROR_INVALID_PARAMS, "name" },
	{ CREATE, "{\"name\":\"\xc3\xa4\"}", ERROR_INVALID_PARAMS, "name" },
	{ CREATE, "{\"template\":\"a:\"}", ERROR_INVALID_PARAMS, "template" },
	{ CREATE, "{\"template\":\"a@b@c\"}", ERROR_INVALID_PARAMS, "template" },
	{ CREATE, "{\"template\":\"@b\"}", ERROR_INVALID_PARAMS, "template" },
	/* numbers */
	{ CREATE, "{\"limits\":{\"memoryBytes\":0}}", ERROR_INVALID_PARAMS, "limits.memoryBytes" },
	{ CREATE, "{\"limits\":{\"memoryBytes\":-1}}", ERROR_INVALID_PARAMS, "limits.memoryBytes" },
	{ CREATE, "{\"limits\":{\"memoryBytes\":1e6}}", ERROR_INVALID_PARAMS,
	  "limits.memoryBytes" },
	{ CREATE, "{\"limits\":{\"memoryBytes\":\"1\"}}", ERROR_INVALID_PARAMS,
	  "limits.memoryBytes" },
	{ CREATE, "{\"limits\":{\"memoryBytes\":18446744073709551616}}", ERROR_INVALID_PARAMS,
	  "limits.memoryBytes" },
	{ CREATE, "{\"limits\":{\"pids\":4294967296}}", ERROR_INVALID_PARAMS, "limits.pids" },
	{ RUN, "{" COMMAND ",\"tty\":{\"rows\":65536,\"cols\":1}}", ERROR_INVALID_PARAMS,
	  "tty.rows" },
	{ RUN, "{" COMMAND ",\"graceMs\":-1}", ERROR_INVALID_PARAMS, "graceMs" },
	{ RUN, "{" COMMAND ",\"stream\":1}", ERROR_INVALID_PARAMS, "stream" },
	{ "pool.set", "{\"template\":\"a\",\"min\":-1}", ERROR_INVALID_PARAMS, "min" },
	{ "pool.set", "{\"template\":\"a\",\"max\":4294967296}", ERROR_INVALID_PARAMS, "max" },
	{ "pool.set", "{\"template\":\"a\",\"owner\":4294967295}", ERROR_INVALID_PARAMS, "owner" },
	{ "pool.set", "{\"template\":\"a\",\"maxAgeMs\":-1}", ERROR_INVALID_PARAMS, "maxAgeMs" },
	{ "pool.set", "{\"min\":1}", ERROR_INVALID_PARAMS, "template" },
	/* lists and maps */
	{ RUN, "{\"sandbox\":\"a\",\"command\":[]}", ERROR_INVALID_PARAMS, "command" },
	{ RUN, "{\"sandbox\":\"a\",\"command\":\"true\"}", ERROR_INVALID_PARAMS, "command" },
	{ RUN, "{\"sandbox\":\"a\",\"command\":[\"a\",1]}", ERROR_INVALID_PARAMS, "command[1]" },
	{ RUN, "{\"sandbox\":\"a\",\"command\":[\"a\\u0000b\"]}", ERROR_INVALID_PARAMS,
	  "command[0]" },
	{ RUN, "{" COMMAND ",\"env\":{\"A\":1}}", ERROR_INVALID_PARAMS, "env.A" },
	{ RUN, "{" COMMAND ",\"env\":{\"\":\"\"}}", ERROR_INVALID_PARAMS, "env." },
	{ RUN, "{" COMMAND ",\"env\":{\"A=\":\"\"}}", ERROR_INVALID_PARAMS, "env.A=" },
	{ RUN, "{" COMMAND ",\"env\":[\"A=1\"]}", ERROR_INVALID_PARAMS, "env" },
	{ CREATE, "{\"labels\":{\"a\":{}}}", ERROR_INVALID_PARAMS, "labels.a" },
	{ CREATE, "{\"extraWorkspaces\":[{}]}", ERROR_INVALID_PARAMS, "extraWorkspaces[0].path" },
	{ CREATE, "{\"extraWorkspaces\":[\"/a\",{\"path\":\"/b\",\"readOnly\":1}]}",
	  ERROR_INVALID_PARAMS, "extraWorkspaces[1].readOnly" },
	{ CREATE, "{\"workspace\":7}", ERROR_INVALID_PARAMS, "workspace" },
	{ CREATE, "{\"workspace\":\"\"}", ERROR_INVALID_PARAMS, "workspace" },
	{ CREATE, "{\"workspace\":{\"path\":\"/a\",\"gitConfig\":\"x\"}}", ERROR_INVALID_PARAMS,
	  "workspace.gitConfig" },
	{ CREATE, "{\"network\":\"x\"}", ERROR_INVALID_PARAMS, "network" },
	{ CREATE, "{\"network\":{}}", ERROR_INVALID_PARAMS, "network.mode" },
	/* unions */
	{ RUN, "{" COMMAND ",\"stdin\":\"x\"}", ERROR_INVALID_PARAMS, "stdin" },
	{ "secret.set", "{\"secret\":\"a\",\"value\":\"null\"}", ERROR_INVALID_PARAMS, "value" },
	{ "secret.set", "{\"secret\":\"a\",\"value\":{\"base64\":\"!\"}}", ERROR_INVALID_PARAMS,
	  "value.base64" },
	{ "secret.set", "{\"secret\":\"a\",\"value\":{\"text\":\"x\",\"fd\":0}}",
	  ERROR_INVALID_PARAMS, "value" },
	{ RUN, "{" COMMAND ",\"stdin\":{}}", ERROR_INVALID_PARAMS, "stdin" },
	{ RUN, "{" COMMAND ",\"stdin\":{\"text\":\"a\",\"base64\":\"\"}}", ERROR_INVALID_PARAMS,
	  "stdin" },
	{ RUN, "{" COMMAND ",\"stdin\":{\"text\":1}}", ERROR_INVALID_PARAMS, "stdin.text" },
	{ RUN, "{" COMMAND ",\"stdin\":{\"base64\":\"!\"}}", ERROR_INVALID_PARAMS, "stdin.base64" },
	{ RUN, "{" COMMAND ",\"stdin\":{\"fd\":2}}", ERROR_INVALID_PARAMS, "stdin.fd" },
	{ RUN, "{" COMMAND ",\"stdin\":{\"fd\":-1}}", ERROR_INVALID_PARAMS, "stdin.fd" },
	{ RUN, "{" COMMAND ",\"stdout\":{\"fd\":1}}", ERROR_INVALID_PARAMS, "stdout.fd" },
	{ RUN, "{" COMMAND ",\"stdin\":{\"fd\":0},\"stderr\":{\"fd\":0}}", ERROR_INVALID_PARAMS,
	  "stderr.fd" },
	{ RUN, "{" COMMAND ",\"stdout\":{}}", ERROR_INVALID_PARAMS, "stdout.fd" },
	{ RUN, "{" COMMAND ",\"files\":[{\"path\":\"a\"}]}", ERROR_INVALID_PARAMS,
	  "files[0].data" },
	{ RUN, "{" COMMAND ",\"files\":[{\"path\":\"a\",\"data\":{\"x\":1}}]}",
	  ERROR_INVALID_PARAMS, "files[0].data" },
	{ RUN, "{" COMMAND ",\"files\":[{\"path\":\"a\",\"data\":\"\",\"mode\":\"4755\"}]}",
	  ERROR_INVALID_PARAMS, "files[0].mode" },
	{ RUN, "{" COMMAND ",\"files\":[{\"path\":\"a\",\"data\":\"\",\"mode\":\"0680\"}]}",
	  ERROR_INVALID_PARAMS, "files[0].mode" },
	{ RUN, "{" COMMAND ",\"files\":[{\"path\":\"a\",\"data\":\"\",\"mode\":384}]}",
	  ERROR_INVALID_PARAMS, "files[0].mode" },
	{ "exec.attach", "{\"execId\":\"e\",\"from\":\"start\"}", ERROR_INVALID_PARAMS, "from" },
	{ "exec.attach", "{\"execId\":\"e\",\"from\":{\"end\":\"end\"}}", ERROR_INVALID_PARAMS,
	  "from.end" },
	{ "exec.signal", "{\"execId\":\"e\",\"signal\":\"SIGFOO\"}", ERROR_INVALID_PARAMS,
	  "signal" },
	{ "exec.signal", "{\"execId\":\"e\",\"signal\":0}", ERROR_INVALID_PARAMS, "signal" },
	{ "exec.signal", "{\"execId\":\"e\",\"signal\":65}", ERROR_INVALID_PARAMS, "signal" },
	{ "exec.read", "{\"execId\":\"e\",\"stream\":\"stdin\"}", ERROR_INVALID_PARAMS, "stream" },
	{ "exec.read", "{\"execId\":\"e\",\"stream\":\"stdout\",\"limitBytes\":1048577}",
	  ERROR_INVALID_PARAMS, "limitBytes" },
	{ "sandbox.list", "{\"limit\":1001}", ERROR_INVALID_PARAMS, "limit" },
	{ "sandbox.list", "{\"filter\":{\"name\":\"a\"}}", ERROR_INVALID_PARAMS, "filter.name" },
	{ "rpc.cancel", "{\"id\":1.5}", ERROR_INVALID_PARAMS, "id" },
	{ CREATE, "{\"ttlMs\":999}", ERROR_INVALID_PARAMS, "ttlMs" },
	{ CREATE, "{\"idleTimeoutMs\":31622400001}", ERROR_INVALID_PARAMS, "idleTimeoutMs" },
	{ CREATE, "{\"rm\":1}", ERROR_INVALID_PARAMS, "rm" },
	{ CREATE, "{\"limits\":{\"diskBytes\":1048575}}", ERROR_INVALID_PARAMS,
	  "limits.diskBytes" },
	/* of the contract, not built yet */
	{ CREATE, "{\"idempotencyKey\":\"\"}", ERROR_INVALID_PARAMS, "idempotencyKey" },
	{ CREATE, "{\"network\":\"gateway\"}", ERROR_UNAVAILABLE, "network" },
	{ CREATE, "{\"network\":{\"mode\":\"gateway\"}}", ERROR_UNAVAILABLE, "network.mode" },
	{ CREATE, "{\"network\":{\"mode\":\"none\",\"policy\":\"deny\"}}", ERROR_UNAVAILABLE,
	  "network.policy" },
	{ CREATE, "{\"network\":{\"mode\":\"none\",\"allow\":[]}}", ERROR_UNAVAILABLE,
	  "network.allow" },
	{ CREATE, "{\"network\":{\"mode\":\"none\",\"block\":[]}}", ERROR_UNAVAILABLE,
	  "network.block" },
	{ RUN, "{" COMMAND ",\"secrets\":[\"a\",{}]}", ERROR_INVALID_PARAMS, "secrets[1].name" },
	{ RUN, "{" COMMAND ",\"idempotencyKey\":7}", ERROR_INVALID_PARAMS, "idempotencyKey" },
	{ "sandbox.stop", "{\"sandbox\":\"a\",\"force\":1}", ERROR_INVALID_PARAMS, "force" },
	{ "sandbox.start", "{\"sandbox\":\"a\",\"timeoutMs\":0}", ERROR_INVALID_PARAMS,
	  "timeoutMs" },
	{ "exec.cancel", "{\"idempotencyKey\":\"\"}", ERROR_INVALID_PARAMS, "idempotencyKey" },
};

START_TEST(refuses)
{
	const void *p = NULL;

	fd_count = 2;
	ck_assert_msg(decode(refused[_i].method, refused[_i].params, &p) == -1, "%s",
		      refused[_i].params);
	ck_assert_msg(error.kind == refused[_i].kind, "%s: %s", refused[_i].params, error.message);
	ck_assert_str_eq(error.field, refused[_i].field);
	ck_assert_ptr_null(p);
	if (error.kind == ERROR_UNAVAILABLE)
		ck_assert_str_eq(error.hint, "not available in this version");
}
END_TEST

START_TEST(gives_defaults)
{
	const struct exec_run_params *run = decoded(RUN, "{" COMMAND "}");
	const struct sandbox_create_params *create = decoded(CREATE, "{}");
	const struct list_params *list = decoded("exec.list", "{}");
	const struct exec_attach_params *attach = decoded("exec.attach", "{\"execId\":\"e\"}");

	ck_assert_int_eq(run->timeout_ms, -1);
	ck_assert_int_eq(run->grace_ms, EXEC_GRACE_MS);
	ck_assert_int_eq(run->max_output_bytes, EXEC_SPOOL_BYTES_MAX);
	ck_assert_int_eq(run->fds, 0);
	ck_assert_int_eq(run->in.kind, STDIN_NULL);
	ck_assert(!run->out.given && !run->err.given && !run->tty.given);
	ck_assert_int_eq(run->on_disconnect, DISCONNECT_UNSET);
	ck_assert_ptr_null(run->user);
	ck_assert_uint_eq(run->env.count, 0);
	ck_assert_int_eq(create->network.mode, NETWORK_UNSET);
	ck_assert_int_eq(create->ttl_ms, -1);
	ck_assert_ptr_null(create->workspace.path);
	ck_assert_int_eq(list->limit, LIST_LIMIT_DEFAULT);
	ck_assert(!attach->from.end);
	for (int i = 0; i < STREAM_MAX; i++)
		ck_assert_int_eq(attach->from.offset[i], -1);
}
END_TEST

START_TEST(fills_sandbox_create)
{
	const struct sandbox_create_params *p =
		decoded(CREATE,
			"{\"name\":\"n\",\"tool\":\"claude@2.1.42\",\"template\":\"debian:12\","
			"\"workspace\":{\"path\":\"/w\",\"gitConfig\":\"writable\"},"
			"\"extraWorkspaces\":[\"/x\",{\"path\":\"/y\",\"readOnly\":true}],"
			"\"network\":{\"mode\":\"host\"},\"limits\":{\"memoryBytes\":"
			"9007199254740992,"
			"\"cpuMilli\":1500,\"pids\":7,\"shmBytes\":4096},\"env\":{\"A\":\"\",\"B\":"
			"\"x=y\"},"
			"\"runtime\":\"crun\",\"rm\":false,\"labels\":{\"k\":\"v\"}}");

	ck_assert_str_eq(p->name, "n");
	ck_assert_str_eq(p->tool, "claude@2.1.42");
	ck_assert_str_eq(p->template_name, "debian:12");
	ck_assert_str_eq(p->workspace.path, "/w");
	ck_assert(p->workspace.git_config_writable && !p->workspace.read_only);
	ck_assert_uint_eq(p->extra_workspaces.count, 2);
	ck_assert_str_eq(p->extra_workspaces.items[0].path, "/x");
	ck_assert_str_eq(p->extra_workspaces.items[1].path, "/y");
	ck_assert(p->extra_workspaces.items[1].read_only);
	ck_assert_int_eq(p->network.mode, NETWORK_HOST);
	ck_assert_uint_eq(p->limits.memory_bytes, UINT64_C(1) << 53);
	ck_assert_uint_eq(p->limits.cpu_milli, 1500);
	ck_assert_uint_eq(p->limits.pids, 7);
	ck_assert_uint_eq(p->env.count, 2);
	ck_assert_str_eq(p->env.items[1].key, "B");
	ck_assert_str_eq(p->env.items[1].value, "x=y");
	ck_assert_str_eq(p->labels.items[0].value, "v");
	p = decoded(CREATE, "{\"network\":\"none\",\"workspace\":\"/s\"}");
	ck_assert_int_eq(p->network.mode, NETWORK_NONE);
	ck_assert_str_eq(p->workspace.path, "/s");
}
END_TEST

START_TEST(fills_exec_run)
{
	const struct exec_run_params *p;

	fd_count = 3;
	p = decoded(RUN,
		    "{\"sandbox\":\"a\",\"command\":[\"sh\",\"-c\",\"\"],\"execId\":\"e\","
		    "\"workDir\":\"/w\",\"user\":\"1000:7\",\"tty\":{\"rows\":24,\"cols\":80},"
		    "\"stdin\":{\"fd\":2},\"stdout\":{\"fd\":0},\"fds\":3,\"capture\":\"merged\","
		    "\"files\":[{\"path\":\"f\",\"data\":\"t\"},{\"path\":\"g\",\"data\":"
		    "{\"base64\":\"AP8=\"},\"mode\":\"755\"}],\"timeoutMs\":5,\"graceMs\":0,"
		    "\"leftovers\":\"keep\",\"onDisconnect\":\"keep\",\"stage\":\"planner\","
		    "\"storyId\":\"s 1\",\"stream\":true,\"detach\":true,\"maxOutputBytes\":0}");
	ck_assert_uint_eq(p->command.count, 3);
	ck_assert_ptr_null(p->command.items[3]);
	ck_assert_uint_eq(p->tty.rows, 24);
	ck_assert_uint_eq(p->tty.cols, 80);
	ck_assert_int_eq(p->in.kind, STDIN_FD);
	ck_assert_uint_eq(p->in.fd, 2);
	ck_assert(p->out.given && p->out.fd == 0 && !p->err.given);
	ck_assert_int_eq(p->fds, 3);
	ck_assert_int_eq(p->capture, CAPTURE_MERGED);
	ck_assert_uint_eq(p->files.items[0].mode, 0600);
	ck_assert_uint_eq(p->files.items[1].mode, 0755);
	ck_assert_uint_eq(p->files.items[1].data.size, 2);
	ck_assert_mem_eq(p->files.items[1].data.data, "\0\xff", 2);
	ck_assert_int_eq(p->grace_ms, 0);
	ck_assert_int_eq(p->leftovers, LEFTOVERS_KEEP);
	ck_assert_int_eq(p->on_disconnect, DISCONNECT_KEEP);
	ck_assert(p->stream && p->detach);
	ck_assert_str_eq(p->stage, "planner");
	p = decoded(RUN, "{" COMMAND ",\"stdin\":{\"text\":\"hi\"}}");
	ck_assert_int_eq(p->in.kind, STDIN_BYTES);
	ck_assert_uint_eq(p->in.data.size, 2);
	p = decoded(RUN, "{" COMMAND ",\"stdin\":{\"base64\":\"\"}}");
	ck_assert_int_eq(p->in.kind, STDIN_BYTES);
	ck_assert_uint_eq(p->in.data.size, 0);
	ck_assert_int_eq(((const struct exec_run_params *)decoded(RUN, "{" COMMAND
								       ",\"stdin\":\"stream\"}"))
				 ->in.kind,
			 STDIN_STREAM);
}
END_TEST

START_TEST(fills_the_rest)
{
	const struct exec_signal_params *s;
	const struct exec_attach_params *a;
	const struct rpc_cancel_params *c;
	const struct exec_write_params *w;

	s = decoded("exec.signal", "{\"execId\":\"e\",\"signal\":\"SIGTERM\"}");
	ck_assert_int_eq(s->signal, SIGTERM);
	s = decoded("exec.signal", "{\"execId\":\"e\",\"signal\":\"KILL\"}");
	ck_assert_int_eq(s->signal, SIGKILL);
	s = decoded("exec.signal", "{\"execId\":\"e\",\"signal\":64}");
	ck_assert_int_eq(s->signal, 64);
	a = decoded("exec.attach", "{\"execId\":\"e\",\"from\":\"end\"}");
	ck_assert(a->from.end);
	a = decoded("exec.attach", "{\"execId\":\"e\",\"from\":{\"stderr\":7}}");
	ck_assert_int_eq(a->from.offset[STREAM_STDERR], 7);
	ck_assert_int_eq(a->from.offset[STREAM_STDOUT], -1);
	w = decoded("exec.write", "{\"execId\":\"e\",\"data\":{\"base64\":\"AA==\"}}");
	ck_assert_uint_eq(w->data.size, 1);
	c = decoded("rpc.cancel", "{\"id\":\"7\"}");
	ck_assert_str_eq(c->id_text, "\"7\"");
	c = decoded("rpc.cancel", "{\"id\":7}");
	ck_assert_str_eq(c->id_text, "7");
}
END_TEST

START_TEST(fills_pool_set)
{
	const struct pool_set_params *p = decoded("pool.set", "{\"template\":\"claude@1.2\"}");

	ck_assert_str_eq(p->template_name, "claude@1.2");
	ck_assert(p->min == -1 && p->max == -1 && p->max_age_ms == -1 && p->owner == -1);
	ck_assert(!p->reset);
	p = decoded("pool.set", "{\"template\":\"a\",\"min\":0,\"max\":4294967295,"
				"\"maxAgeMs\":0,\"owner\":4294967294,\"reset\":true}");
	ck_assert(p->min == 0 && p->max == UINT32_MAX && p->max_age_ms == 0);
	ck_assert(p->owner == UINT32_MAX - 1 && p->reset);
	close_all();
}
END_TEST

START_TEST(cuts_the_name_of_an_unknown_key)
{
	char params[1200] = "{\"", *at = params + 2;
	const void *p;

	for (int i = 0; i < 500; i++, at += 2)
		memcpy(at, "\xc3\xa4", 3);
	memcpy(at, "\":1}", 5);
	ck_assert_int_eq(decode(CREATE, params, &p), -1);
	ck_assert_uint_lt(strlen(error.field), 256);
	ck_assert_uint_eq(strlen(error.field) % 2, 0); /* not inside a character */
}
END_TEST

/* Maps and lists that are exactly full, and one more. */
START_TEST(bounds_maps)
{
	for (size_t n = LABELS_MAX; n <= LABELS_MAX + 1; n++) {
		char params[2048] = "{\"labels\":{";
		size_t used = strlen(params);
		const void *p;

		for (size_t i = 0; i < n; i++)
			used += (size_t)snprintf(params + used, sizeof(params) - used,
						 "%s\"%zu\":\"\"", i ? "," : "", i);
		(void)snprintf(params + used, sizeof(params) - used, "}}");
		ck_assert_int_eq(decode(CREATE, params, &p), n > LABELS_MAX ? -1 : 0);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("proto/decode");
	TCase *t = tcase_create("decode");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, NULL, close_all);
	tcase_add_loop_test(t, refuses, 0, (int)ARRAY_SIZE(refused));
	tcase_add_test(t, gives_defaults);
	tcase_add_test(t, fills_sandbox_create);
	tcase_add_test(t, fills_exec_run);
	tcase_add_test(t, fills_the_rest);
	tcase_add_test(t, fills_pool_set);
	tcase_add_test(t, cuts_the_name_of_an_unknown_key);
	tcase_add_test(t, bounds_maps);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
