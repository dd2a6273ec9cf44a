/* SPDX-License-Identifier: Apache-2.0 */
/* The environment of an exec, from the weakest to the strongest: ours, the tool's, the host's
 * certificates, the sandbox's own, the exec's. Nothing else of the daemon's environment goes in. */

#include <stdio.h>
#include <string.h>

#include "keeper-wire.h"
#include "sandbox/runtime.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/tool.h"
#include "util/path.h"
#include "util/strings.h"

#define BASE_PATH "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
#define AGENT_PREFIX "/home/agent/.local"

/* The host's git settings for places that are not the sandbox's to tidy up: the common directory of
 * a worktree is read-only, and owned by another id when an exec runs as root. */
static int add_git(struct string_list *env)
{
	static const char *const settings[][2] = {
		{ "gc.auto", "0" },
		{ "maintenance.auto", "0" },
		{ "safe.directory", "*" },
	};
	char key[32];
	size_t i;
	int r;

	(void)snprintf(key, sizeof(key), "%zu", ARRAY_SIZE(settings));
	r = string_list_set_env(env, "GIT_CONFIG_COUNT", key);
	for (i = 0; r == 0 && i < ARRAY_SIZE(settings); i++) {
		(void)snprintf(key, sizeof(key), "GIT_CONFIG_KEY_%zu", i);
		r = string_list_set_env(env, key, settings[i][0]);
		(void)snprintf(key, sizeof(key), "GIT_CONFIG_VALUE_%zu", i);
		if (r == 0)
			r = string_list_set_env(env, key, settings[i][1]);
	}
	return r;
}

/* Only what the host template shows inside at the same path. */
static int add_certificates(struct string_list *env)
{
	static const char *const names[] = { "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE" };
	const char *path;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < ARRAY_SIZE(names); i++) {
		path = getenv(names[i]);
		if (path && path_is_clean(path) &&
		    (path_is_below(path, "/etc/ssl") || path_is_below(path, "/usr")) &&
		    access(path, R_OK) == 0)
			r = string_list_set_env(env, names[i], path);
	}
	return r;
}

static int add_user(const struct sandbox *s, struct string_list *env, uid_t uid)
{
	char number[16];
	const char *name = number;
	int r;

	(void)snprintf(number, sizeof(number), "%u", (unsigned)uid);
	if (uid == 0)
		name = "root";
	else if (uid == SANDBOX_ID_AGENT)
		name = s->user ? s->user : "agent";
	r = string_list_set_env(env, "HOME", uid == 0 ? "/root" : sandbox_home(s));
	if (r == 0)
		r = string_list_set_env(env, "USER", name);
	if (r == 0)
		r = string_list_set_env(env, "LOGNAME", name);
	return r;
}

/* The tool's programs come first. `npm install -g` puts the agent's own where it may write; root's
 * go where the system has them. */
static int add_path(struct string_list *env, uid_t uid, const char *head)
{
	CLEANUP_STR char *path = string_format("%s%s" BASE_PATH, head,
					       uid == SANDBOX_ID_AGENT ? AGENT_PREFIX "/bin:" : "");
	int r = path ? string_list_set_env(env, "PATH", path) : -ENOMEM;

	if (r == 0 && uid == SANDBOX_ID_AGENT)
		r = string_list_set_env(env, "npm_config_prefix", AGENT_PREFIX);
	return r;
}

static int add_tool(struct string_list *env, const struct sandbox *s, uid_t uid)
{
	const struct config *config = s->manager->config;
	const struct tool_profile *profile = tool_find(config, s->facts.tool);
	CLEANUP_STR char *head = profile ? tool_path(config, profile) : strdup("");
	size_t i;
	int r = head ? add_path(env, uid, head) : -ENOMEM;

	for (i = 0; r == 0 && profile && i < profile->env.count; i++)
		r = string_list_add(env, profile->env.items[i]);
	return r;
}

/* On the host: no layer of ours, but what its owner has installed for himself. */
static int add_host(const struct sandbox *s, struct string_list *env)
{
	CLEANUP_STR char *path = string_format("%s/.local/bin:" BASE_PATH, sandbox_home(s));

	return path ? string_list_set_env(env, "PATH", path) : -ENOMEM;
}

static int add_pairs(struct string_list *env, const struct pairs *pairs)
{
	size_t i;
	int r = 0;

	for (i = 0; pairs && r == 0 && i < pairs->count; i++)
		r = string_list_set_env(env, pairs->items[i].key, pairs->items[i].value);
	return r;
}

int sandbox_environment(const struct sandbox *s, uid_t uid, const struct pairs *extra, char ***ret)
{
	const bool on_host = sandbox_runtime(s) == RUNTIME_HOST;
	CLEANUP_STRINGS struct string_list env = { 0 };
	int r;

	r = on_host ? add_host(s, &env) : add_tool(&env, s, uid);
	if (r == 0)
		r = add_user(s, &env, uid);
	if (r == 0)
		r = string_list_set_env(&env, "LANG", "C.UTF-8");
	if (r == 0 && !on_host)
		r = add_git(&env);
	if (r == 0)
		r = add_certificates(&env);
	if (r == 0)
		r = add_pairs(&env, &s->facts.env);
	if (r == 0)
		r = add_pairs(&env, extra);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(env.items);
	env.count = 0;
	return 0;
}
