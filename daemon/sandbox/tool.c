/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in tools.
 *
 * A layer depends on nothing of the host's but its npm, and on that only while it is built: node
 * comes from the npm package of the platform (`node` itself is a wrapper whose preinstall script
 * downloads that package a second time). Scripts of packages are not run, with one exception by
 * name: claude-code's own, which puts its native binary in place, and that by the layer's node.
 * --prefix would do without a package.json, but npm then reads its global configuration, where the
 * host's certificates may be named, from below that prefix too. */

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "macro.h"
#include "sandbox/config.h"
#include "sandbox/tool.h"
#include "util/strings.h"

#define MINUTE_MS (60L * 1000)
#define BUILD_TIMEOUT_MS (20 * MINUTE_MS)
#define PROMPT_TIMEOUT_MS (20 * MINUTE_MS)

#define WORD_MODEL "{model}"
#define WORD_ARGS "{args}"

static const struct tool_step claude_steps[] = {
	{
		.message = "installing claude and its node from npm",
		/* HOME and the cache are in /tmp, which no layer keeps. */
		.script = "command -v npm >/dev/null || {"
			  " echo 'npm is not installed on this machine (apt-get install npm)'; "
			  "exit 1; }\n"
			  "case $(uname -m) in x86_64) arch=x64 ;; aarch64) arch=arm64 ;;"
			  " *) echo \"no node package for $(uname -m)\"; exit 1 ;; esac\n"
			  "mkdir -p \"$HOME\" \"$TOOL_PREFIX\"\n"
			  "cd \"$TOOL_PREFIX\"\n"
			  "echo '{}' >package.json\n" /* else npm looks for one further up */
			  "npm install --no-save --no-package-lock --ignore-scripts"
			  " --no-audit --no-fund --no-update-notifier --loglevel error"
			  " --cache /tmp/npm-cache"
			  " --fetch-retry-mintimeout 1000 --fetch-retry-factor 2"
			  " \"@anthropic-ai/claude-code@$TOOL_VERSION\""
			  " \"node-linux-$arch@$NODE_VERSION\" </dev/null\n"
			  "rm -rf /tmp/npm-cache \"node_modules/node-linux-$arch/include\"\n"
			  "ln -sfn node_modules/.bin bin\n",
	},
	{
		.message = "putting claude's binary in place",
		/* Its binary is linked from the platform's package, which is of no more use then.
		 */
		.script = "cd \"$TOOL_PREFIX/node_modules/@anthropic-ai/claude-code\"\n"
			  "[ -e install.cjs ] || exit 0\n"
			  "\"$TOOL_PREFIX/bin/node\" install.cjs\n"
			  "rm -rf ../claude-code-linux-*\n",
	},
	{
		.message = "answering claude's first questions",
		/* Without these a first start on a terminal asks for theme, trust and a
		 * confirmation. Trust is looked up in every parent, so "/" is all of them. */
		.script = "mkdir -p /home/agent/.claude\n"
			  "printf '%s\\n' '{\"hasCompletedOnboarding\":true,"
			  "\"projects\":{\"/\":{\"hasTrustDialogAccepted\":true}}}'"
			  " >/home/agent/.claude.json\n"
			  "printf '%s\\n' '{\"skipDangerousModePermissionPrompt\":true}'"
			  " >/home/agent/.claude/settings.json\n",
		.as_agent = true,
	},
	{
		.message = "checking that claude runs",
		.script = "HOME=$(mktemp -d); export HOME\n"
			  "PATH=$TOOL_PREFIX/bin:/usr/bin:/bin; export PATH\n"
			  "[ \"$(node --version)\" = \"v$NODE_VERSION\" ]\n"
			  "said=$(claude --version)\n"
			  "[ \"${said%% *}\" = \"$TOOL_VERSION\" ] ||"
			  " { echo \"claude says it is '$said'\"; exit 1; }\n"
			  "rm -rf \"$HOME\"\n",
		.as_agent = true,
	},
};

static const char *const claude_env[] = {
	"DISABLE_AUTOUPDATER=1", /* the version is pinned by the layer */
	NULL,
};

static const char *const claude_prompt[] = {
	"claude",  "-p", "--output-format", "text", "--dangerously-skip-permissions", WORD_MODEL,
	WORD_ARGS, NULL,
};

/* The prompt is a script. */
static const char *const shell_prompt[] = { "/bin/sh", "-s", "--", WORD_ARGS, NULL };

static const struct tool_profile profiles[] = {
	{
		.name = "claude",
		.default_version = "2.1.197",
		.default_node = "22.23.3",
		.base = "host",
		.prefix = "/opt/claude",
		.bin_dir = "/opt/claude/bin",
		.env = claude_env,
		.needs_hosts = true,
		.prompt = claude_prompt,
		.model_flag = "--model",
		.timeout_ms = 20 * MINUTE_MS,
		.steps = claude_steps,
		.n_steps = ARRAY_SIZE(claude_steps),
	},
	{
		.name = "shell",
		.base = "host",
		.prompt = shell_prompt,
	},
};

/* Planned by the design and refused until they are built. */
static const char *const later[] = { "codex", "pi", "gemini", "opencode" };

static bool name_is(const char *text, size_t length, const char *name)
{
	return strlen(name) == length && !memcmp(text, name, length);
}

const struct tool_profile *tool_find(const char *text)
{
	size_t length = text ? strcspn(text, "@") : 0;

	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++)
		if (name_is(text ? text : "", length, profiles[i].name))
			return &profiles[i];
	return NULL;
}

/* An exact version only: a range or a tag ("latest") would mean another layer tomorrow. It goes
 * into a package specifier and a directory name, so the characters are few. */
static int copy_version(const char *text, char ret[static TOOL_VERSION_SIZE])
{
	size_t length = strlen(text);

	if (!length || length >= TOOL_VERSION_SIZE || text[0] < '0' || text[0] > '9')
		return -EINVAL;
	if (strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+-") !=
	    length)
		return -EINVAL;
	memcpy(ret, text, length + 1);
	return 0;
}

static int unknown_tool(const char *text, const char *field, struct error *reterr)
{
	size_t length = strcspn(text, "@");

	for (size_t i = 0; i < ARRAY_SIZE(later); i++)
		if (name_is(text, length, later[i]))
			return error_set(reterr, ERROR_UNAVAILABLE, field,
					 "not available in this version",
					 "The tool %s cannot be built yet.", later[i]);
	error_set(reterr, ERROR_NOT_FOUND, field, "known tools: claude, shell",
		  "There is no tool %.*s.", (int)length, text);
	error_set_resource(reterr, "tool %.*s", (int)length, text);
	return -1;
}

static int set_version(const char *text, const char *what, const char *field,
		       char ret[static TOOL_VERSION_SIZE], struct error *reterr)
{
	if (copy_version(text, ret) < 0)
		return error_set(reterr, ERROR_INVALID_PARAMS, field,
				 "an exact version, such as claude@2.1.42",
				 "%.100s is not a version of %s.", text, what);
	return 0;
}

int tool_choose(const struct config *config, const char *text, const char *field,
		struct tool_choice *ret, struct error *reterr)
{
	const struct tool_profile *profile = tool_find(text);
	struct tool_choice choice = { .profile = profile, .build_timeout_ms = BUILD_TIMEOUT_MS };
	const struct config_tool *own;
	const char *at = strchr(text, '@');

	if (!profile)
		return unknown_tool(text, field, reterr);
	if (!profile->default_version) {
		if (at)
			return error_set(reterr, ERROR_INVALID_PARAMS, field, profile->name,
					 "The tool %s has no versions.", profile->name);
		*ret = choice;
		return 0;
	}
	own = config_tool(config, profile->name);
	if (set_version(at                    ? at + 1
			: own && own->version ? own->version
					      : profile->default_version,
			profile->name, field, choice.version, reterr) < 0 ||
	    set_version(own && own->node_version ? own->node_version : profile->default_node,
			"node", field, choice.node, reterr) < 0)
		return -1;
	if (own && own->build_timeout_ms > 0)
		choice.build_timeout_ms = (long)own->build_timeout_ms;
	choice.registry = own ? own->registry : NULL;
	*ret = choice;
	return 0;
}

/* ---- headless runs ---- */

static bool has_word(const char *const *words, const char *word)
{
	for (; *words; words++)
		if (string_equal(*words, word))
			return true;
	return false;
}

static int add_prompt_word(const struct tool_profile *profile, const struct tool_prompt *prompt,
			   const char *word, struct string_list *argv)
{
	int r = 0;

	if (string_equal(word, WORD_MODEL)) {
		if (!prompt->model)
			return 0;
		r = string_list_add(argv, profile->model_flag);
		return r < 0 ? r : string_list_add(argv, prompt->model);
	}
	if (!string_equal(word, WORD_ARGS))
		return string_list_add(argv, word);
	for (size_t i = 0; r == 0 && i < prompt->args.count; i++)
		r = string_list_add(argv, prompt->args.items[i]);
	return r;
}

static int check_prompt(const struct tool_profile *profile, const struct tool_prompt *prompt,
			struct error *reterr)
{
	if (!profile->prompt)
		return error_set(reterr, ERROR_INVALID_PARAMS, "tool",
				 "run its command with exec.run", "The tool %s takes no prompt.",
				 profile->name);
	/* a model that looks like an option would be one */
	if (prompt->model && (prompt->model[0] == '-' || prompt->model[0] == '\0'))
		return error_set(reterr, ERROR_INVALID_PARAMS, "model", NULL,
				 "\"%.100s\" is not the name of a model.", prompt->model);
	if (prompt->model && (!profile->model_flag || !has_word(profile->prompt, WORD_MODEL)))
		return error_set(reterr, ERROR_INVALID_PARAMS, "model", NULL,
				 "The tool %s has no choice of models.", profile->name);
	if (prompt->args.count > 0 && !has_word(profile->prompt, WORD_ARGS))
		return error_set(reterr, ERROR_INVALID_PARAMS, "args", NULL,
				 "The tool %s takes no arguments with a prompt.", profile->name);
	return 0;
}

int tool_prompt_command(const struct tool_choice *choice, const struct tool_prompt *prompt,
			struct string_list *ret_argv, struct error *reterr)
{
	const struct tool_profile *profile = choice->profile;
	CLEANUP_STRINGS struct string_list argv = { 0 };
	int r = 0;

	if (check_prompt(profile, prompt, reterr) < 0)
		return -1;
	for (const char *const *p = profile->prompt; r == 0 && *p; p++)
		r = add_prompt_word(profile, prompt, *p, &argv);
	if (r < 0)
		return error_set_errno(reterr, r, "The command of %s cannot be made",
				       profile->name);
	*ret_argv = argv;
	argv = (struct string_list){ 0 };
	return 0;
}

int64_t tool_default_timeout_ms(const struct tool_choice *choice)
{
	return choice->profile->timeout_ms > 0 ? choice->profile->timeout_ms : PROMPT_TIMEOUT_MS;
}
