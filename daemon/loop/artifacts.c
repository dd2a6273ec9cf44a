/* SPDX-License-Identifier: Apache-2.0 */
/* git reads what an agent wrote, and git can be made to run it: so git never looks at a workspace
 * from the host. A job is a hidden sandbox with the workspace read-only and no network, one exec of
 * the script in it (artifacts.sh), and its output, read when it is over.
 *
 * Every phase has one asynchronous call under way, and its callback takes the next. DONE comes when
 * the sandbox is gone (it holds the lock of the worktree), from an event of its own, when nothing
 * of the job runs any more; the job frees itself behind it. A cancelled job takes the shortest way
 * there and says nothing. The job owns its sandbox: a reference, and the duty to remove it. */

#include "loop/artifacts.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper-wire.h"
#include "loop/artifacts-output.h"
#include "macro.h"
#include "sandbox/exec.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "util/log.h"

#define TIMEOUT_MS 30000
#define SHA_PREFIX_MIN 4 /* what git takes for an abbreviation */
#define SHA_MAX 64

struct artifacts_job {
	struct manager *manager;
	artifacts_done *done; /* NULL: cancelled */
	void *userdata;
	char *work_dir;
	char *base_sha;
	int64_t since_ms;
	uint64_t patch_max; /* 0: none wanted */
	struct sandbox *sandbox;
	struct exec *exec;
	struct exec_follow *follow;
	struct event *ending; /* calls done and frees the job */
	struct artifacts_result result;
	bool creating; /* sandbox_create_own() has not answered yet */
};

static void job_free(struct artifacts_job *j)
{
	if (j->follow)
		(void)exec_unfollow(j->follow);
	if (j->exec)
		(void)exec_unref(j->exec);
	if (j->sandbox)
		(void)sandbox_unref(j->sandbox);
	if (j->ending)
		event_free(j->ending);
	artifacts_result_deinit(&j->result);
	free(j->work_dir);
	free(j->base_sha);
	free(j);
}

static void on_ending(evutil_socket_t fd, short what, void *userdata)
{
	struct artifacts_job *j = userdata;

	(void)fd;
	(void)what;
	if (j->done)
		j->done(&j->result, j->userdata);
	job_free(j);
}

/* What a person reads, from an error that is not his. Without memory it stays empty, which says
 * that there is no patch, and no reason. */
static void say_error(struct artifacts_job *j, const struct error *e)
{
	(void)artifacts_say_empty(&j->result, "git_failed",
				  e->message ? e->message : "there is no memory");
}

/* ---- the end: the sandbox goes ---- */

static void on_removed(struct sandbox *s, struct error *e, void *userdata)
{
	struct artifacts_job *j = userdata;

	(void)s;
	if (e->kind != ERROR_NONE) /* the next start of the daemon tries again */
		log_warning("the sandbox that git ran in for %s stays: %s", j->work_dir,
			    e->message ? e->message : "no memory");
	event_active(j->ending, 0, 0);
}

static void remove_sandbox(struct artifacts_job *j)
{
	static const struct sandbox_end_how how = { .grace_ms = 0, .force = true };
	CLEANUP_ERROR struct error e = { 0 };

	if (sandbox_state(j->sandbox) == SANDBOX_STATE_REMOVED) { /* a create that failed */
		event_active(j->ending, 0, 0);
		return;
	}
	if (sandbox_remove(j->sandbox, &how, on_removed, j, &e) < 0)
		on_removed(j->sandbox, &e, j);
}

/* ---- the script ---- */

/* All that is in the spool of stdout. Returns 0 and a block to be freed, or negative errno. */
static int read_output(const struct exec *e, char **ret, size_t *ret_size)
{
	const struct keeper_stream_state *stream = &exec_facts(e)->stream[KEEPER_STREAM_STDOUT];
	CLEANUP_FD int fd = exec_open_spool(e, KEEPER_STREAM_STDOUT);
	CLEANUP_STR char *data = NULL;
	size_t size, used = 0;
	ssize_t n;

	if (stream->start > 0 || stream->end < stream->start)
		return -EFBIG;
	if (fd < 0)
		return fd;
	size = (size_t)stream->end;
	data = malloc(size + 1);
	if (!data)
		return -ENOMEM;
	while (used < size) {
		n = pread(fd, data + used, size - used, (off_t)used);
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EBADMSG;
		used += (size_t)n;
	}
	*ret = TAKE_PTR(data);
	*ret_size = size;
	return 0;
}

/* The script always ends by itself and says why it found nothing; this is for when it could not. */
static void judge_end(struct artifacts_job *j, const struct exec_result *result, int error)
{
	char sentence[160];

	if (result->cause == EXEC_CAUSE_TIMEOUT) {
		(void)snprintf(sentence, sizeof(sentence), "git did not finish within %d s",
			       TIMEOUT_MS / 1000);
		(void)artifacts_say_empty(&j->result, "too_large", sentence);
		return;
	}
	(void)snprintf(sentence, sizeof(sentence), "git ended early: %s, %s",
		       exec_cause_to_string(result->cause),
		       error < 0 ? strerror(-error) : "incomplete");
	(void)artifacts_say_empty(&j->result, "git_failed", sentence);
}

static void on_exec_ended(struct exec *e, void *userdata)
{
	struct artifacts_job *j = userdata;
	const struct exec_result *result = &exec_facts(e)->result;
	CLEANUP_STR char *output = NULL;
	size_t size = 0;
	int r = read_output(e, &output, &size);

	if (r == 0)
		r = artifacts_parse(&j->result, output, size);
	if (r < 0 || result->cause != EXEC_CAUSE_EXITED || result->exit_code != 0)
		judge_end(j, result, r);
	j->follow = exec_unfollow(j->follow);
	j->exec = exec_unref(j->exec);
	remove_sandbox(j);
}

static int start_script(struct artifacts_job *j, struct error *reterr)
{
	static const struct exec_follower follower = { .on_ended = on_exec_ended };
	char patch_max[24], names_max[24], since[24], gits_max[24];
	const char *command[] = { "/bin/sh",   "-c",        artifacts_script,
				  "artifacts", j->work_dir, j->base_sha ? j->base_sha : "",
				  patch_max,   names_max,   since,
				  gits_max,    NULL };
	const struct exec_run_params params = {
		.command = { .items = command, .count = ARRAY_SIZE(command) - 1 },
		.work_dir = "/",
		.user = "agent",
		.capture = CAPTURE_SEPARATE,
		.timeout_ms = TIMEOUT_MS,
		.grace_ms = 0,
		.max_output_bytes =
			(int64_t)(j->patch_max + ARTIFACTS_NAMES_BYTES_MAX +
				  ARTIFACTS_GITS_BYTES_MAX + ARTIFACTS_RECORDS_BYTES_MAX),
		.on_disconnect = DISCONNECT_KEEP,
	};
	int fds[3] = { -1, -1, -1 };

	(void)snprintf(patch_max, sizeof(patch_max), "%llu", (unsigned long long)j->patch_max);
	(void)snprintf(names_max, sizeof(names_max), "%u", ARTIFACTS_NAMES_BYTES_MAX);
	(void)snprintf(since, sizeof(since), j->since_ms > 0 ? "%lld.%03d" : "0",
		       (long long)(j->since_ms / 1000), (int)(j->since_ms % 1000));
	(void)snprintf(gits_max, sizeof(gits_max), "%u", ARTIFACTS_GITS_BYTES_MAX);
	if (exec_start(j->manager, j->sandbox, &params, fds, &j->exec, reterr) < 0)
		return -1;
	if (exec_follow(j->exec, &follower, j, &j->follow) < 0) {
		exec_end(j->exec, EXEC_CAUSE_CANCELLED);
		j->exec = exec_unref(j->exec);
		return error_set_errno(reterr, -ENOMEM, "git cannot be followed");
	}
	return 0;
}

/* ---- the beginning ---- */

static void on_created(struct sandbox *s, struct error *e, void *userdata)
{
	struct artifacts_job *j = userdata;
	CLEANUP_ERROR struct error own = { 0 };

	(void)s;
	j->creating = false;
	if (e->kind != ERROR_NONE) {
		say_error(j, e);
	} else if (j->done) {
		if (start_script(j, &own) == 0)
			return;
		say_error(j, &own);
	}
	remove_sandbox(j);
}

static int create_sandbox(struct artifacts_job *j, const struct artifacts_query *q,
			  struct error *reterr)
{
	const struct sandbox_origin origin = { .peer = q->peer, .owner = q->owner, .hidden = true };
	const struct sandbox_create_params params = {
		.workspace = { .path = j->work_dir, .read_only = true },
		.network = { .mode = NETWORK_NONE },
		.ttl_ms = -1,
		.idle_timeout_ms = -1,
	};
	struct sandbox *s = NULL;

	j->creating = true;
	if (sandbox_create_own(j->manager, &origin, &params, on_created, j, &s, reterr) < 0)
		return -1;
	j->sandbox = sandbox_ref(s);
	return 0;
}

int artifacts_check_base(const char *sha, struct error *reterr)
{
	size_t n = strlen(sha);

	if (n >= SHA_PREFIX_MIN && n <= SHA_MAX && strspn(sha, "0123456789abcdefABCDEF") == n)
		return 0;
	return error_set(reterr, ERROR_INVALID_PARAMS, "baseSha",
			 "give what `git rev-parse HEAD` prints",
			 "a base commit is named by %d to %d hexadecimal digits", SHA_PREFIX_MIN,
			 SHA_MAX);
}

/* A workspace that cannot be lent any more (its agent broke .git, its owner moved it) is a result:
 * what ran there has run. */
static void begin(struct artifacts_job *j, const struct artifacts_query *q)
{
	CLEANUP_ERROR struct error e = { 0 };

	if (create_sandbox(j, q, &e) == 0)
		return;
	j->creating = false;
	say_error(j, &e);
	event_active(j->ending, 0, 0);
}

int artifacts_collect(struct manager *m, const struct artifacts_query *q, artifacts_done *done,
		      void *userdata, struct artifacts_job **ret, struct error *reterr)
{
	struct artifacts_job *j;
	int r;

	if (q->base_sha && artifacts_check_base(q->base_sha, reterr) < 0)
		return -1;
	j = calloc(1, sizeof(*j));
	if (!j)
		return error_set_errno(reterr, -ENOMEM, "git cannot be asked");
	j->manager = m;
	j->done = done;
	j->userdata = userdata;
	j->since_ms = q->since_ms;
	if (q->want_patch)
		j->patch_max = q->patch_max_bytes ? q->patch_max_bytes : ARTIFACTS_PATCH_MAX;
	j->ending = event_new(m->base, -1, 0, on_ending, j);
	r = j->ending ? string_copy(q->work_dir, &j->work_dir) : -ENOMEM;
	if (r == 0)
		r = string_copy(q->base_sha, &j->base_sha);
	if (r < 0) {
		job_free(j);
		return error_set_errno(reterr, r, "git cannot be asked");
	}
	begin(j, q);
	*ret = j;
	return 0;
}

void artifacts_cancel(struct artifacts_job *j)
{
	j->done = NULL;
	if (j->creating)
		sandbox_cancel_create(j->sandbox);
	else if (j->exec)
		exec_end(j->exec, EXEC_CAUSE_CANCELLED);
}
