/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/tool.h"

#include <stdio.h>
#include <string.h>

#include "macro.h"
#include "sandbox/config.h"

#define BUILD_TIMEOUT_MS (20L * 60 * 1000)
#define PROMPT_TIMEOUT_MS (20L * 60 * 1000)
#define NAMES_SHOWN 300 /* bytes of tools' names in a hint */

#define WORD_MODEL "{model}"
#define WORD_ARGS "{args}"

const struct tool_profile *tool_find(const struct config *config, const char *text)
{
	size_t length = text ? strcspn(text, "@") : 0;
	const struct tool_profile *p;

	for (p = length ? config->tools : NULL; p; p = p->next)
		if (strlen(p->name) == length && memcmp(text, p->name, length) == 0)
			return p;
	return NULL;
}

static int unknown_tool(const struct config *config, const char *text, const char *field,
			struct error *reterr)
{
	int length = (int)strcspn(text, "@");
	const struct tool_profile *p;
	char hint[NAMES_SHOWN];
	size_t used = 0;

	for (p = config->tools; p && used < sizeof(hint); p = p->next)
		used += (size_t)snprintf(hint + used, sizeof(hint) - used, "%s%s",
					 used ? ", " : "known tools: ", p->name);
	error_set(reterr, ERROR_NOT_FOUND, field, hint, "there is no tool %.*s", length, text);
	error_set_resource(reterr, "tool %.*s", length, text);
	return -1;
}

static int refuse_version(const char *version, const struct tool_profile *p, const char *field,
			  struct error *reterr)
{
	return error_set(reterr, ERROR_INVALID_PARAMS, field,
			 "an exact version, such as claude@2.1.42", "%.100s is not a version of %s",
			 version, p->name);
}

int tool_choose(const struct config *config, const char *text, const char *field,
		struct tool_choice *ret, struct error *reterr)
{
	const struct tool_profile *p = tool_find(config, text);
	struct tool_choice choice = { .config = config, .profile = p };
	const char *at = strchr(text, '@');
	const char *version;

	if (!p)
		return unknown_tool(config, text, field, reterr);
	if (p->broken)
		return error_set(reterr, ERROR_UNAVAILABLE, field,
				 "sandboxd --check-config says where",
				 "the tool %s cannot be used: in the configuration it %s", p->name,
				 p->broken);
	if (!p->has_layer && at)
		return error_set(reterr, ERROR_INVALID_PARAMS, field, p->name,
				 "the tool %s has no versions", p->name);
	choice.build_timeout_ms =
		p->build_timeout_ms > 0 ? (long)p->build_timeout_ms : BUILD_TIMEOUT_MS;
	choice.registry = p->registry;
	if (p->has_layer) {
		version = at ? at + 1 : p->version;
		if (!tool_version_is_good(version))
			return refuse_version(version, p, field, reterr);
		(void)snprintf(choice.version, sizeof(choice.version), "%s", version);
		(void)snprintf(choice.node, sizeof(choice.node), "%s", tool_profile_node(p));
	}
	*ret = choice;
	return 0;
}

/* ---- where things are ---- */

char *tool_prefix(const struct tool_profile *profile)
{
	return string_format("/opt/%s", profile->name);
}

/* Its own directory of programs, behind what is in *PATH. */
static int add_bin(char **path, const struct tool_profile *p)
{
	char *longer;

	if (p->bin)
		longer = string_format("%s%s%s", *path, p->bin, p->bin[0] ? ":" : "");
	else if (p->npm || p->install.lines.count > 0)
		longer = string_format("%s/opt/%s/bin:", *path, p->name);
	else
		return 0;
	if (!longer)
		return -ENOMEM;
	free(*path);
	*path = longer;
	return 0;
}

char *tool_path(const struct config *config, const struct tool_profile *profile)
{
	char *path = strdup("");
	int r = path ? add_bin(&path, profile) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < profile->with.count; i++) {
		const struct tool_profile *other = tool_find(config, profile->with.items[i]);

		if (other)
			r = add_bin(&path, other);
	}
	if (r == 0)
		return path;
	free(path);
	return NULL;
}

const char *tool_run_word(const struct tool_profile *profile, size_t index)
{
	if (profile->run.count == 0)
		return index == 0 ? profile->name : NULL;
	return index < profile->run.count ? profile->run.items[index] : NULL;
}

/* ---- headless runs ---- */

static bool has_word(const struct string_list *words, const char *word)
{
	for (size_t i = 0; i < words->count; i++)
		if (string_equal(words->items[i], word))
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
	if (profile->prompt.count == 0)
		return error_set(reterr, ERROR_INVALID_PARAMS, "tool",
				 "run its command with exec.run", "the tool %s takes no prompt",
				 profile->name);
	/* a model that looks like an option would be one */
	if (prompt->model && (prompt->model[0] == '-' || prompt->model[0] == '\0'))
		return error_set(reterr, ERROR_INVALID_PARAMS, "model", NULL,
				 "\"%.100s\" is not the name of a model", prompt->model);
	if (prompt->model && (!profile->model_flag || !has_word(&profile->prompt, WORD_MODEL)))
		return error_set(reterr, ERROR_INVALID_PARAMS, "model", NULL,
				 "the tool %s has no choice of models", profile->name);
	if (prompt->args.count > 0 && !has_word(&profile->prompt, WORD_ARGS))
		return error_set(reterr, ERROR_INVALID_PARAMS, "args", NULL,
				 "the tool %s takes no arguments with a prompt", profile->name);
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
	for (size_t i = 0; r == 0 && i < profile->prompt.count; i++)
		r = add_prompt_word(profile, prompt, profile->prompt.items[i], &argv);
	if (r < 0)
		return error_set_errno(reterr, r, "the command of %s cannot be made",
				       profile->name);
	*ret_argv = argv;
	argv = (struct string_list){ 0 };
	return 0;
}

int64_t tool_default_timeout_ms(const struct tool_choice *choice)
{
	return choice->profile->timeout_ms > 0 ? choice->profile->timeout_ms : PROMPT_TIMEOUT_MS;
}
