/* SPDX-License-Identifier: Apache-2.0 */
/* What an exec wrote is read from its spool when somebody wants it; nothing is kept in memory. */

#include "api/result.h"

#include <assert.h>
#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/values.h"
#include "bounds.h"
#include "codec.h"
#include "init-wire.h"
#include "macro.h"
#include "sandbox/exec.h"
#include "sandbox/sandbox.h"
#include "util/fd.h"

#define KEPT_TEXT_MAX (256u * 1024) /* of a result that is kept with its key */

static_assert((int)STREAM_STDOUT == (int)KEEPER_STREAM_STDOUT &&
		      (int)STREAM_STDERR == (int)KEEPER_STREAM_STDERR &&
		      (int)STREAM_OUTPUT == (int)KEEPER_STREAM_OUTPUT,
	      "a stream has one number");

const char *stream_to_string(unsigned stream)
{
	static const char *const names[KEEPER_STREAM_MAX] = {
		[KEEPER_STREAM_STDOUT] = "stdout",
		[KEEPER_STREAM_STDERR] = "stderr",
		[KEEPER_STREAM_OUTPUT] = "output",
	};

	return names[stream];
}

/* Bytes that continue a character whose beginning was cut off. */
static size_t cut_character(const char *text, size_t size)
{
	size_t i = 0;

	while (i < size && i < 3 && ((unsigned char)text[i] & 0xc0) == 0x80)
		i++;
	return i;
}

/* The last EXEC_RESULT_BYTES_MAX bytes. *MISSING is set when they cannot be read now, for want of
 * descriptors say: what is not there must not look like silence. */
static struct json_object *tail(const struct exec *e, unsigned stream, bool *missing)
{
	const struct keeper_stream_state *s = &exec_facts(e)->stream[stream];
	CLEANUP_FD int fd = exec_open_spool(e, (enum keeper_spool_stream)stream);
	CLEANUP_STR char *text = NULL;
	uint64_t from = s->start;
	size_t size, got, skip;

	if (s->end - from > EXEC_RESULT_BYTES_MAX)
		from = s->end - EXEC_RESULT_BYTES_MAX;
	size = (size_t)(s->end - from);
	if (size == 0)
		return codec_text("", 0);
	text = fd >= 0 ? malloc(size) : NULL;
	if (!text) {
		*missing = true;
		return codec_text("", 0);
	}
	got = fd_read_at(fd, text, size, from);
	*missing = *missing || got < size;
	size = got;
	skip = from > 0 ? cut_character(text, size) : 0;
	return codec_text(text + skip, size - skip);
}

static void add_text(struct json_object *o, const struct exec *e, bool *missing)
{
	const struct exec_facts *f = exec_facts(e);
	unsigned i;

	for (i = 0; i < KEEPER_STREAM_MAX; i++) {
		if ((f->streams & (1u << i)) != 0)
			json_object_object_add(o, stream_to_string(i), tail(e, i, missing));
		else if ((f->passed & (1u << i)) != 0)
			json_object_object_add(o, stream_to_string(i), NULL);
	}
}

static struct json_object *signal_name(int number)
{
	const char *name = sigabbrev_np(number);
	char text[16] = "SIG";

	if (number == 0)
		return NULL;
	if (!name || strlen(name) >= sizeof(text) - 3)
		return json_object_new_int(number);
	return json_object_new_string(strcat(text, name));
}

static const char *start_error_kind(uint32_t kind)
{
	static const char *const names[] = {
		[INIT_START_NOT_FOUND] = "not_found",
		[INIT_START_NOT_EXECUTABLE] = "not_executable",
		[INIT_START_BAD_WORKDIR] = "bad_workdir",
		[INIT_START_BAD_USER] = "bad_user",
		[INIT_START_TOO_BIG] = "too_big",
		[INIT_START_BAD_FILE] = "bad_file",
		[INIT_START_BAD_STAGE] = "bad_stage",
	};

	return kind < ARRAY_SIZE(names) && names[kind] ? names[kind] : "internal";
}

static const char *start_error_sentence(uint32_t kind)
{
	static const char *const sentences[] = {
		[INIT_START_NOT_FOUND] = "the program was not found",
		[INIT_START_NOT_EXECUTABLE] = "the program cannot be executed",
		[INIT_START_BAD_WORKDIR] = "the working directory cannot be entered",
		[INIT_START_BAD_USER] = "the user cannot be taken on",
		[INIT_START_TOO_BIG] = "the arguments and the environment are too big",
		[INIT_START_BAD_FILE] = "one of files[] cannot be written",
		[INIT_START_BAD_STAGE] = "the view of its stage cannot be made",
	};

	return kind < ARRAY_SIZE(sentences) && sentences[kind] ? sentences[kind]
							       : "the command cannot be started";
}

static struct json_object *start_error(const struct exec_result *r)
{
	struct json_object *o = json_object_new_object();
	char message[160];

	if (!o)
		return NULL;
	(void)snprintf(message, sizeof(message), "%s: %s", start_error_sentence(r->start_error),
		       strerror(r->start_errno));
	value_add_string(o, "kind", start_error_kind(r->start_error));
	value_add_int(o, "errno", r->start_errno);
	value_add_string(o, "message", message);
	return o;
}

struct json_object *value_exec_result(const struct exec *e, bool with_text)
{
	const struct exec_facts *f = exec_facts(e);
	const struct exec_result *r = &f->result;
	struct json_object *o = json_object_new_object();
	bool missing = false;

	if (!o)
		return NULL;
	value_add_string(o, "execId", f->id);
	json_object_object_add(o, "exitCode",
			       r->exit_code >= 0 ? json_object_new_int(r->exit_code) : NULL);
	json_object_object_add(o, "signal", signal_name(r->signal));
	value_add_string(o, "cause", exec_cause_to_string(r->cause));
	if (r->start_error != INIT_START_OK)
		json_object_object_add(o, "startError", start_error(r));
	if (with_text)
		add_text(o, e, &missing);
	json_object_object_add(o, "truncated", json_object_new_boolean(r->truncated || missing));
	json_object_object_add(o, "startedAt", value_time(r->started_at_ms));
	json_object_object_add(o, "completedAt", value_time(r->completed_at_ms));
	value_add_int(o, "durationMs", r->duration_ms);
	value_add_int(o, "cpuMs", (int64_t)r->cpu_ms);
	value_add_int(o, "peakMemoryBytes", (int64_t)r->peak_memory_bytes);
	value_add_int(o, "leftovers", r->leftovers);
	value_add_int(o, "oomKills", (int64_t)r->oom_kills);
	value_add_string(o, "oomScope", "sandbox"); /* the counter is the cgroup's */
	return o;
}

static struct json_object *command(const struct exec_facts *f)
{
	struct json_object *list = json_object_new_array();
	const char *at = f->command, *end = f->command + f->command_size;

	for (; list && at < end; at += strlen(at) + 1)
		(void)json_object_array_add(list, codec_text(at, strlen(at))); /* out of memory:
										  shorter */
	return list;
}

struct json_object *value_exec(const struct exec *e, bool with_text)
{
	const struct exec_facts *f = exec_facts(e);
	struct json_object *o = json_object_new_object();

	if (!o)
		return NULL;
	value_add_string(o, "execId", f->id);
	value_add_string(o, "sandbox", sandbox_name(exec_sandbox(e)));
	value_add_string(o, "loopId", sandbox_facts(exec_sandbox(e))->loop_id);
	value_add_string(o, "stage", f->stage);
	value_add_string(o, "storyId", f->story_id);
	json_object_object_add(o, "command", command(f));
	value_add_string(o, "state", exec_state_to_string(f->state));
	if (f->pid > 0)
		value_add_int(o, "pid", f->pid);
	json_object_object_add(o, "startedAt", value_time(f->result.started_at_ms));
	if (f->state == EXEC_STATE_ENDED)
		json_object_object_add(o, "result", value_exec_result(e, with_text));
	return o;
}

struct json_object *value_exec_started(const struct exec *e)
{
	const struct exec_facts *f = exec_facts(e);
	struct json_object *o = json_object_new_object();

	if (!o)
		return NULL;
	value_add_string(o, "execId", f->id);
	value_add_string(o, "sandbox", sandbox_name(exec_sandbox(e)));
	json_object_object_add(o, "pid", f->pid > 0 ? json_object_new_int(f->pid) : NULL);
	json_object_object_add(o, "startedAt", value_time(f->result.started_at_ms));
	return o;
}

char *value_exec_result_text(const struct exec *e)
{
	char *text = value_to_text(value_exec_result(e, true));

	if (!text || strlen(text) <= KEPT_TEXT_MAX)
		return text;
	free(text);
	return value_to_text(value_exec_result(e, false));
}
