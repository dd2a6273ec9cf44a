/* SPDX-License-Identifier: Apache-2.0 */
/* From loop.run's parameters to a tool that runs. What is wrong is an error that names the
 * parameter, and nothing ran. */

#include <stdio.h>
#include <string.h>

#include "loop/git-head.h"
#include "loop/loop-run-internal.h"
#include "sandbox/exec-secrets.h"
#include "sandbox/exec.h"
#include "sandbox/journal.h"
#include "sandbox/sandbox.h"
#include "sandbox/tool.h"
#include "sandbox/view.h"
#include "sandbox/workspace.h"
#include "util/pairs.h"

/* ---- checks ---- */

static int check_loop(const struct loop *l, struct error *reterr)
{
	if (l->facts.state == LOOP_STATE_ACTIVE && !l->destroying)
		return 0;
	(void)error_set(reterr, ERROR_INVALID_STATE, "loopId", "loop.create another one",
			"loop %s is %s", l->facts.id,
			l->destroying ? "being destroyed" : loop_state_to_string(l->facts.state));
	error_set_resource(reterr, "loop %s", l->facts.id);
	return -1;
}

static int check_params(const struct loop_run_params *p, struct error *reterr)
{
	char field[48];
	size_t i;

	if (p->prompt.size == 0)
		return error_set(reterr, ERROR_INVALID_PARAMS, "prompt", NULL,
				 "the prompt is empty");
	if (p->work_dir && p->work_dir[0] != '/')
		return error_set(reterr, ERROR_INVALID_PARAMS, "workDir",
				 "a path that begins with /", "workDir must be absolute");
	if (p->base_sha && artifacts_check_base(p->base_sha, reterr) < 0)
		return -1;
	if (p->detach && !p->idempotency_key && p->verification_commands.count > 0)
		return error_set(reterr, ERROR_INVALID_PARAMS, "verificationCommands",
				 "give an idempotencyKey, or leave out detach",
				 "with detach and no key nothing is verified");
	for (i = 0; i < p->verification_commands.count; i++) {
		if (p->verification_commands.items[i][0] != '\0')
			continue;
		(void)snprintf(field, sizeof(field), "verificationCommands[%zu]", i);
		return error_set(reterr, ERROR_INVALID_PARAMS, field, NULL,
				 "a command for verification is empty");
	}
	return 0;
}

/* As the loop has it, "claude@2.1.42" when it was made so; NULL: it has none. */
static const char *find_tool(const struct loop *l, const char *tool)
{
	const struct string_list *have = &l->facts.tools;
	size_t i, length = strcspn(tool, "@");

	for (i = 0; i < have->count; i++) {
		const char *spec = have->items[i];

		if (strcmp(spec, tool) == 0)
			return spec;
		if (tool[length] == '\0' && strcspn(spec, "@") == length &&
		    strncmp(spec, tool, length) == 0)
			return spec;
	}
	return NULL;
}

static int no_tool(const struct loop *l, const char *tool, struct error *reterr)
{
	CLEANUP_STR char *list = NULL;
	size_t i;

	for (i = 0; i < l->facts.tools.count; i++) {
		char *longer = string_format("%s%s%s", list ? list : "", i > 0 ? ", " : "",
					     l->facts.tools.items[i]);

		free(list);
		list = longer;
	}
	(void)error_set(reterr, ERROR_NOT_FOUND, "tool", "sandboxctl loop create --tool adds it",
			"loop %s has no tool %s, only %s", l->facts.id, tool,
			list ? list : "others");
	error_set_resource(reterr, "loop %s", l->facts.id);
	return -1;
}

static struct sandbox *find_sandbox(const struct loop *l, const char *spec, struct error *reterr)
{
	struct sandbox *s = loop_sandbox(l, spec);

	if (s && sandbox_state(s) == SANDBOX_STATE_RUNNING)
		return s;
	(void)error_set(reterr, ERROR_INVALID_STATE, "tool",
			s && sandbox_state(s) == SANDBOX_STATE_PAUSED
				? "sandbox.resume"
				: "the same loop.create again makes and starts what is missing",
			"the sandbox of %s is %s", spec,
			s ? sandbox_state_to_string(sandbox_state(s)) : "gone");
	error_set_resource(reterr, "loop %s", l->facts.id);
	return NULL;
}

/* Without a network an agent would only fail, slowly and in its own words. */
static int check_network(const struct sandbox *s, const char *stage,
			 const struct tool_profile *profile, struct error *reterr)
{
	if (!profile->needs_hosts || sandbox_stage_network(s, stage) != NETWORK_NONE)
		return 0;
	if (sandbox_facts(s)->network != NETWORK_NONE)
		return error_set(reterr, ERROR_UNAVAILABLE, "stage",
				 "a stage with the loop's network",
				 "%s needs a network, and stage %s has none", profile->name, stage);
	return error_set(reterr, ERROR_UNAVAILABLE, "tool", "--network host",
			 "%s needs a network, and its sandbox has none", profile->name);
}

/* ---- the run ---- */

static int copy_params(struct loop_run *r, const struct loop_run_params *p)
{
	size_t i;
	int e;

	r->grace_ms = p->grace_ms;
	/* with a key somebody may ask for them later */
	r->artifacts = p->detach && !p->idempotency_key ? ARTIFACTS_NONE : p->artifacts;
	r->limit = (uint64_t)p->output_limit_chars;
	e = string_copy(p->request_id, &r->result.request_id);
	if (e == 0)
		e = string_copy(p->idempotency_key, &r->key);
	if (e == 0)
		e = string_copy(p->stage, &r->stage);
	if (e == 0)
		e = string_copy(p->story_id, &r->story_id);
	if (e == 0)
		e = string_copy(p->work_dir, &r->work_dir);
	if (e == 0)
		e = string_copy(p->base_sha, &r->base_sha);
	if (e == 0)
		e = pairs_copy(&r->env, &p->env);
	for (i = 0; e == 0 && i < p->verification_commands.count; i++)
		e = string_list_add(&r->result.commands, p->verification_commands.items[i]);
	return e;
}

/* HEAD now, so that what the agent commits counts as its change. */
static void note_head(struct loop_run *r)
{
	const struct loop_facts *f = &r->loop->facts;
	struct workspace *w = NULL;
	char sha[GIT_SHA_SIZE];

	if (r->base_sha || r->artifacts == ARTIFACTS_NONE ||
	    loop_open_work_dir(r->manager, f->peer, f->work_dir, &w, NULL) < 0)
		return; /* counted from HEAD afterwards */
	if (git_head_read(w, sha) == 0)
		r->base_sha = strdup(sha);
	(void)workspace_free(w); /* returns NULL */
}

static int follow(struct loop_run *r, const struct strings *argv)
{
	int e = 0;

	if (!r->result.request_id)
		e = string_copy(exec_facts(r->exec)->id, &r->result.request_id);
	return e == 0 ? loop_run_follow(r, argv) : e;
}

static int start_tool(struct loop_run *r, struct sandbox *s, const struct loop_run_params *p,
		      const struct strings *argv, const struct exec_start_more *more,
		      struct error *reterr)
{
	const struct exec_run_params params = {
		.command = *argv,
		.env = p->env,
		.work_dir = p->work_dir,
		.in = { .kind = STDIN_BYTES, .data = p->prompt },
		.files = p->files,
		.timeout_ms = r->timeout_ms,
		.grace_ms = p->grace_ms,
		.on_disconnect =
			p->on_disconnect == DISCONNECT_CANCEL ? DISCONNECT_CANCEL : DISCONNECT_KEEP,
		.stage = p->stage,
		.story_id = p->story_id,
		.detach = p->detach,
		.max_output_bytes = EXEC_SPOOL_BYTES_MAX,
	};
	int fds[3] = { -1, -1, -1 };
	int e;

	if (exec_start_with(r->manager, s, &params, fds, more, &r->exec, reterr) < 0)
		return -1;
	e = follow(r, argv);
	if (e == 0)
		return 0;
	exec_end(r->exec, EXEC_CAUSE_CANCELLED);
	return error_set_errno(reterr, e, "the run cannot be followed");
}

/* A run of CHOICE in S, without its tool. */
static int make(struct loop *l, const struct tool_choice *choice, struct sandbox *s,
		const struct loop_run_params *p, struct loop_run **ret, struct error *reterr)
{
	struct loop_run *r = loop_run_alloc(l);
	int e = r ? copy_params(r, p) : -ENOMEM;

	if (e == 0)
		e = string_copy(choice->profile->name, &r->who);
	if (e < 0) {
		if (r)
			loop_run_free(r);
		return error_set_errno(reterr, e, "the run cannot be made");
	}
	r->owner = sandbox_owner(s);
	r->timeout_ms = p->timeout_ms > 0 ? p->timeout_ms : sandbox_stage_timeout(s, p->stage);
	if (r->timeout_ms < 0)
		r->timeout_ms = tool_default_timeout_ms(choice);
	*ret = r;
	return 0;
}

/* Returns the loop and the tool as it has it, or NULL with *RETERR. */
static struct loop *find(struct manager *m, uid_t peer, const struct loop_run_params *p,
			 const char **ret_spec, struct error *reterr)
{
	struct loop *l = loop_find(m, peer, p->loop_id, reterr);

	if (!l || check_loop(l, reterr) < 0 || check_params(p, reterr) < 0)
		return NULL;
	*ret_spec = find_tool(l, p->tool);
	if (*ret_spec)
		return l;
	(void)no_tool(l, p->tool, reterr);
	return NULL;
}

struct sandbox *loop_run_sandbox(struct manager *m, uid_t peer, const struct loop_run_params *p)
{
	const struct loop *l = loop_find(m, peer, p->loop_id, NULL);
	const char *spec = l ? find_tool(l, p->tool) : NULL;

	return spec ? loop_sandbox(l, spec) : NULL;
}

/* What a call is about, all of it checked. */
struct pick {
	struct loop *loop;
	struct tool_choice choice;
	struct sandbox *sandbox;
	struct string_list argv;
};

static void pick_deinit(struct pick *k)
{
	string_list_deinit(&k->argv);
}

static struct strings words_of(const struct string_list *l)
{
	return (struct strings){ (const char *const *)l->items, l->count };
}

static int pick(struct manager *m, uid_t peer, const struct loop_run_params *p, struct pick *ret,
		struct error *reterr)
{
	const struct tool_prompt prompt = { p->model, p->args };
	const char *spec = NULL;

	ret->loop = find(m, peer, p, &spec, reterr);
	if (!ret->loop || tool_choose(m->config, spec, "tool", &ret->choice, reterr) < 0)
		return -1;
	ret->sandbox = find_sandbox(ret->loop, spec, reterr);
	if (!ret->sandbox || check_network(ret->sandbox, p->stage, ret->choice.profile, reterr) < 0)
		return -1;
	return tool_prompt_command(&ret->choice, &prompt, &ret->argv, reterr);
}

int loop_run_lease(struct manager *m, uid_t peer, pid_t pid, const struct loop_run_params *p,
		   struct exec_secrets **ret, struct error *reterr)
{
	CLEANUP(pick_deinit) struct pick k = { 0 };
	struct exec_secrets_query query = { .peer = peer,
					    .pid = pid,
					    .uses = &p->secrets,
					    .env = &p->env,
					    .has_stdin = true,
					    .stage = p->stage };

	if (pick(m, peer, p, &k, reterr) < 0)
		return -1;
	query.sandbox = k.sandbox;
	query.command = words_of(&k.argv);
	return exec_secrets_acquire(m, &query, ret, reterr);
}

int loop_run_start(struct manager *m, uid_t peer, const struct loop_run_params *p,
		   const struct journal_call *call, struct exec_secrets *secrets,
		   struct loop_run **ret, struct error *reterr)
{
	CLEANUP(exec_secrets_freep) struct exec_secrets *lent = secrets;
	CLEANUP(pick_deinit) struct pick k = { 0 };
	struct exec_start_more more = { .call = call };
	struct strings argv;
	struct loop_run *r = NULL;

	if (pick(m, peer, p, &k, reterr) < 0 ||
	    make(k.loop, &k.choice, k.sandbox, p, &r, reterr) < 0)
		return -1;
	note_head(r);
	argv = words_of(&k.argv);
	more.base_sha = r->base_sha;
	more.secrets = TAKE_PTR(lent);
	if (start_tool(r, k.sandbox, p, &argv, &more, reterr) < 0) {
		loop_run_free(r);
		return -1;
	}
	r->peer = peer;
	*ret = r;
	return 0;
}

int loop_run_resume(struct manager *m, uid_t peer, const struct loop_run_params *p, struct exec *e,
		    const char *base_sha, struct loop_run **ret, struct error *reterr)
{
	const struct strings none = { 0 };
	struct tool_choice choice;
	const char *spec = NULL;
	struct loop *l = find(m, peer, p, &spec, reterr);
	struct loop_run *r = NULL;
	int error = 0;

	if (!l || tool_choose(m->config, spec, "tool", &choice, reterr) < 0 ||
	    make(l, &choice, exec_sandbox(e), p, &r, reterr) < 0)
		return -1;
	r->peer = peer;
	if (!r->base_sha)
		error = string_copy(base_sha, &r->base_sha);
	r->exec = exec_ref(e);
	if (error == 0)
		error = follow(r, &none);
	if (error < 0) {
		loop_run_free(r);
		return error_set_errno(reterr, error, "the run cannot be followed");
	}
	*ret = r;
	return 0;
}
