/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sandbox/config.h"
#include "sandbox/tool-env.h"
#include "sandbox/tool-steps.h"
#include "sandbox/tool.h"

static struct config *config;

static void setup(void)
{
	ck_assert_int_eq(config_new(&config, getuid()), 0);
}

static void teardown(void)
{
	config_unref(config);
}

static char *joined(const struct string_list *argv)
{
	static char text[512];

	text[0] = '\0';
	for (size_t i = 0; i < argv->count; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
			       i ? "|" : "", argv->items[i]);
	return text;
}

/* Reads TEXT as a file of the configuration, as often as it is called. */
static void load(const char *text)
{
	int fd = memfd_create("config", 0);
	char path[64];

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ck_assert_int_eq(config_load(config, path), 0);
	(void)close(fd);
}

static int choose(const char *text, struct tool_choice *choice, struct error *e)
{
	error_clear(e);
	return tool_choose(config, text, "tool", choice, e);
}

START_TEST(finds_tools_with_and_without_version)
{
	ck_assert_str_eq(tool_find(config, "claude")->name, "claude");
	ck_assert_str_eq(tool_find(config, "claude@2.1.42")->name, "claude");
	ck_assert_str_eq(tool_find(config, "shell")->name, "shell");
	ck_assert_ptr_null(tool_find(config, "claud"));
	ck_assert_ptr_null(tool_find(config, "claude2"));
	ck_assert_ptr_null(tool_find(config, "@1"));
	ck_assert_ptr_null(tool_find(config, ""));
	ck_assert_ptr_null(tool_find(config, NULL));
}
END_TEST

START_TEST(takes_the_pinned_or_the_given_version)
{
	struct tool_choice choice;
	CLEANUP_ERROR struct error e = { 0 };

	ck_assert_int_eq(choose("claude", &choice, &e), 0);
	ck_assert_str_eq(choice.version, choice.profile->version);
	ck_assert_str_eq(choice.node, tool_profile_node(choice.profile));
	ck_assert_int_eq(choose("claude@2.1.42", &choice, &e), 0);
	ck_assert_str_eq(choice.version, "2.1.42");
	ck_assert_int_eq(choose("shell", &choice, &e), 0);
	ck_assert_str_eq(choice.version, "");
}
END_TEST

START_TEST(the_configuration_changes_the_pinned_version)
{
	struct tool_choice choice;
	CLEANUP_ERROR struct error e = { 0 };

	load("[tool claude]\nversion = 2.0.1\n");
	ck_assert_uint_eq(config->problems, 0);
	ck_assert_int_eq(choose("claude", &choice, &e), 0);
	ck_assert_str_eq(choice.version, "2.0.1");
	ck_assert_int_eq(choose("claude@2.1.42", &choice, &e), 0);
	ck_assert_str_eq(choice.version, "2.1.42");
}
END_TEST

START_TEST(refuses_what_is_no_exact_version)
{
	static const char *const bad[] = {
		"claude@",     "claude@latest",  "claude@^2.1.0",  "claude@2.1 0",
		"claude@../x", "claude@2.1.0/x", "claude@2;id",    "claude@-1",
		"claude@2@3",  "shell@1",        "claude@2.1.0\n",
	};
	struct tool_choice choice;
	CLEANUP_ERROR struct error e = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(choose(bad[i], &choice, &e) == -1, "%s was taken", bad[i]);
		ck_assert_int_eq(e.kind, ERROR_INVALID_PARAMS);
		ck_assert_str_eq(e.field, "tool");
	}
}
END_TEST

START_TEST(names_the_tools_there_are)
{
	struct tool_choice choice;
	CLEANUP_ERROR struct error e = { 0 };

	ck_assert_int_eq(choose("hammer", &choice, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_NOT_FOUND);
	ck_assert_str_eq(e.hint, "known tools: claude, codex, pi, gemini, opencode, bun, shell");
}
END_TEST

/* Every built-in tool is right, and its layer has steps. */
START_TEST(built_in_tools_are_sections_like_any_other)
{
	CLEANUP_ERROR struct error e = { 0 };

	ck_assert_uint_eq(config->problems, 0);
	for (const struct tool_profile *p = config->tools; p; p = p->next) {
		CLEANUP_TOOL_STEPS struct tool_steps steps = { 0 };
		struct tool_choice choice;

		ck_assert_int_eq(choose(p->name, &choice, &e), 0);
		ck_assert_int_eq(p->has_layer, strcmp(p->name, "shell") != 0);
		ck_assert_int_eq(tool_steps_make(&steps, &choice), 0);
		ck_assert_int_eq(steps.count > 0, p->has_layer);
	}
}
END_TEST

START_TEST(tools_say_which_secrets_their_agent_is_lent)
{
	const struct tool_profile *claude = tool_find(config, "claude");
	const struct tool_secret *s = tool_secrets_find(&claude->secrets, "claude_oauth_token");

	ck_assert_ptr_nonnull(s);
	ck_assert_ptr_eq(s, tool_secrets_find(&claude->secrets, "claude_setup_token"));
	ck_assert_str_eq(s->names.items[0], "claude_setup_token");
	ck_assert_str_eq(s->env, "CLAUDE_CODE_OAUTH_TOKEN");
	ck_assert_ptr_null(s->file);
	ck_assert_ptr_null(tool_secrets_find(&claude->secrets, "claude_oauth"));
	s = tool_secrets_find(&tool_find(config, "codex")->secrets, "codex_auth_json");
	ck_assert_str_eq(s->file, ".codex/auth.json");
	ck_assert_ptr_null(s->env);
	ck_assert_ptr_null(tool_find(config, "shell")->secrets.first);
}
END_TEST

START_TEST(a_file_replaces_the_secrets_of_a_tool)
{
	const struct tool_secrets *l = &tool_find(config, "pi")->secrets;

	load("[tool pi]\nsecret = a | b.c -> env A_B\nsecret = d->file /home/agent/.d/e/f\n");
	ck_assert_uint_eq(config->problems, 0);
	ck_assert_str_eq(l->first->names.items[1], "b.c");
	ck_assert_str_eq(l->first->env, "A_B");
	ck_assert_str_eq(l->first->next->file, ".d/e/f");
	ck_assert_ptr_null(l->first->next->next);
	load("[tool pi]\nsecret =\n");
	ck_assert_ptr_null(l->first);
}
END_TEST

START_TEST(refuses_what_is_no_secret_of_a_tool)
{
	static const char *const bad[] = {
		"a",
		"a -> ",
		"-> env A",
		"a -> env",
		"a -> env 1",
		"a -> env A=B",
		"a -> env PATH",
		"a || b -> env A",
		".a -> env A",
		"a b -> env A",
		"a -> file /etc/x/y",
		"a -> file ~/x",
		"a -> file ~/.x/../y",
		"a -> fil ~/.x/y",
		"a -> env A B",
		"a -> env 'A",
	};
	char text[128];

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		(void)snprintf(text, sizeof(text), "[tool shell]\nsecret = %s\n", bad[i]);
		load(text);
		ck_assert_msg(config->problems == i + 1, "%s was taken", bad[i]);
	}
	ck_assert_ptr_null(tool_find(config, "shell")->secrets.first);
}
END_TEST

static const char *seed_line(const struct tool_profile *p, const char *path, size_t i)
{
	for (const struct tool_seed *s = p->seeds; s; s = s->next)
		if (!strcmp(s->path, path))
			return i < s->content.lines.count ? s->content.lines.items[i] : NULL;
	return NULL;
}

START_TEST(codex_runs_without_a_sandbox_of_its_own)
{
	const struct tool_profile *p = tool_find(config, "codex");

	ck_assert_str_eq(seed_line(p, ".codex/config.toml", 1),
			 "sandbox_mode = \"danger-full-access\"");
	ck_assert_str_eq(seed_line(p, ".codex/config.toml", 3), "[analytics]");
}
END_TEST

START_TEST(a_file_replaces_lines_and_adds_to_environment)
{
	const struct tool_profile *p = tool_find(config, "claude");

	load("[tool claude]\ninstall = one\ninstall = two\nenv = A=b=c\nenv = DISABLE_TELEMETRY=0\n"
	     "seed ~/.claude.json = {}\nhosts = a.b  c.d\noverlay = ~/.claude/CLAUDE.md\n"
	     "overlay = /home/agent/.claude/CLAUDE.md\n[tool claude]\ninstall = three\n");
	ck_assert_uint_eq(config->problems, 0);
	ck_assert_uint_eq(p->install.lines.count, 3);
	ck_assert_str_eq(p->install.lines.items[2], "three");
	ck_assert_uint_eq(p->env.count, 4);
	ck_assert_str_eq(p->env.items[1], "DISABLE_TELEMETRY=0");
	ck_assert_str_eq(p->env.items[3], "A=b=c");
	ck_assert_str_eq(seed_line(p, ".claude.json", 0), "{}");
	ck_assert_ptr_null(seed_line(p, ".claude.json", 1));
	ck_assert_ptr_nonnull(seed_line(p, ".claude/settings.json", 0));
	ck_assert_uint_eq(p->hosts.count, 2);
	ck_assert_uint_eq(p->overlays.count, 1);
	ck_assert_str_eq(p->overlays.items[0], ".claude/CLAUDE.md");
	load("[tool claude]\ninstall =\noverlay =\n");
	ck_assert_uint_eq(p->install.lines.count, 0);
	ck_assert_uint_eq(p->overlays.count, 0);
}
END_TEST

START_TEST(a_tool_of_words_alone)
{
	CLEANUP_ERROR struct error e = { 0 };
	CLEANUP_STRINGS struct string_list argv = { 0 };
	const struct tool_prompt prompt = { .model = "m" };
	CLEANUP_STR char *path = NULL;
	struct tool_choice choice;

	load("[tool mine]\nprompt = my \"a b\" '' --x='c d' {model}\nmodel_flag = -m\nrun = my ui\n"
	     "timeout = 90s\nbin = /srv/bin\n");
	ck_assert_uint_eq(config->problems, 0);
	ck_assert_int_eq(choose("mine", &choice, &e), 0);
	ck_assert_int_eq(tool_prompt_command(&choice, &prompt, &argv, &e), 0);
	ck_assert_str_eq(joined(&argv), "my|a b||--x=c d|-m|m");
	ck_assert_int_eq(tool_default_timeout_ms(&choice), 90000);
	ck_assert_str_eq(tool_run_word(choice.profile, 1), "ui");
	ck_assert_ptr_null(tool_run_word(choice.profile, 2));
	path = tool_path(config, choice.profile);
	ck_assert_str_eq(path, "/srv/bin:");
}
END_TEST

START_TEST(another_tool_goes_into_the_layer)
{
	CLEANUP_ERROR struct error e = { 0 };
	CLEANUP_TOOL_STEPS struct tool_steps steps = { 0 };
	CLEANUP_STR char *path = NULL;
	struct tool_choice choice;

	load("[tool mine]\nversion = 1\nwith = bun\ninstall = touch it's\nseed ~/a'b = it's\n");
	ck_assert_uint_eq(config->problems, 0);
	ck_assert_int_eq(choose("mine", &choice, &e), 0);
	ck_assert_int_eq(tool_steps_make(&steps, &choice), 0);
	ck_assert_uint_eq(steps.count, 5); /* bun from npm, its lines, mine's, seeds, bun's check */
	ck_assert_str_eq(steps.items[0].profile->name, "bun");
	ck_assert_str_eq(steps.items[0].node, "none");
	ck_assert_str_eq(steps.items[2].version, "1");
	ck_assert_ptr_nonnull(strstr(steps.items[3].script, "file='/home/agent/a'\\''b'\n"));
	ck_assert_ptr_nonnull(strstr(steps.items[3].script, "'it'\\''s'\n"));
	ck_assert(steps.items[3].as_agent && steps.items[4].as_agent && !steps.items[2].as_agent);
	path = tool_path(config, choice.profile);
	ck_assert_str_eq(path, "/opt/mine/bin:/opt/bun/bin:");
}
END_TEST

START_TEST(bad_sections_are_problems)
{
	static const char *const bad[] = {
		"[tool claude]\nversion = latest\n",
		"[tool claude]\nversion = ../1\n",
		"[tool claude]\nnode_version = newest\n",
		"[tool claude]\nnpm = https://x/y.tgz\n",
		"[tool claude]\nnpm = ../y\n",
		"[tool claude]\nnpm = a@1\n",
		"[tool claude]\nnpm = @a/b/c\n",
		"[tool claude]\nseed ~/../x = y\n",
		"[tool claude]\nseed /etc/passwd = y\n",
		"[tool claude]\nseed ~/ = y\n",
		"[tool claude]\nseed = y\n",
		"[tool claude]\noverlay = /etc/shadow\n",
		"[tool claude]\noverlay = ~/.ssh/../../x\n",
		"[tool claude]\noverlay = .claude\n",
		"[tool claude]\nprompt =\n",
		"[tool claude]\nprompt = {args}\n",
		"[tool claude]\nprompt = claude 'x\n",
		"[tool claude]\nenv = x\n",
		"[tool claude]\nenv = A-B=c\n",
		"[tool claude]\nenv = PATH=/x\n",
		"[tool claude]\ntimeout = 0\n",
		"[tool claude]\ntimeout = soon\n",
		"[tool claude]\nhosts = a/b\n",
		"[tool claude]\nbin = relative\n",
		"[tool claude]\ninstalls = x\n",
		"[tool a/b]\nversion = 1\n",
		"[tool host]\nrun = x\n",
		"[tool debian]\nrun = x\n",
		"[tool an-awfully-long-name-for-a-tool-x]\nrun = x\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		unsigned before = config->problems;
		CLEANUP_ERROR struct error e = { 0 };
		struct tool_choice choice;

		load(bad[i]);
		ck_assert_msg(config->problems == before + 1, "%s", bad[i]);
		ck_assert_int_eq(choose("claude", &choice, &e), 0);
		ck_assert_str_eq(choice.version, choice.profile->version);
	}
}
END_TEST

START_TEST(what_cannot_work_is_refused_when_asked_for)
{
	static const char *const bad[] = {
		"[tool x]\nversion = 1\n",
		"[tool x]\ninstall = true\n",
		"[tool x]\nversion = 1\ninstall = true\nwith = nobody\n",
		"[tool x]\nversion = 1\ninstall = true\nwith = x\n",
		"[tool x]\nversion = 1\ninstall = true\nwith = shell\n",
		"[tool x]\nprompt = x {model}\n",
		"[tool shell]\nseed ~/x = y\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CLEANUP_ERROR struct error e = { 0 };
		struct tool_choice choice;

		teardown();
		setup();
		load(bad[i]);
		ck_assert_msg(config->problems == 1, "%s", bad[i]);
		ck_assert_int_eq(choose(strstr(bad[i], "shell]") ? "shell" : "x", &choice, &e), -1);
		ck_assert_int_eq(e.kind, ERROR_UNAVAILABLE);
		ck_assert_str_eq(e.field, "tool");
	}
}
END_TEST

START_TEST(makes_the_command_of_a_prompt)
{
	static const char *const more[] = { "--max-turns", "3 4", NULL };
	static const struct {
		const char *tool;
		struct tool_prompt prompt;
		const char *command;
	} cases[] = {
		{ "codex",
		  { "gpt-x", { more, 1 } },
		  "codex|exec|--skip-git-repo-check|--dangerously-bypass-approvals-and-sandbox"
		  "|--model|gpt-x|--max-turns|-" },
		{ "claude",
		  { 0 },
		  "claude|-p|--output-format|text|--dangerously-skip-permissions" },
		{ "claude@2.1.42",
		  { "opus", { more, 2 } },
		  "claude|-p|--output-format|text|--dangerously-skip-permissions"
		  "|--model|opus|--max-turns|3 4" },
		{ "shell", { 0 }, "/bin/sh|-s|--" },
		{ "shell", { NULL, { more, 2 } }, "/bin/sh|-s|--|--max-turns|3 4" },
	};
	CLEANUP_ERROR struct error e = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP_STRINGS struct string_list argv = { 0 };
		struct tool_choice choice;

		ck_assert_int_eq(choose(cases[i].tool, &choice, &e), 0);
		ck_assert_int_eq(tool_prompt_command(&choice, &cases[i].prompt, &argv, &e), 0);
		ck_assert_str_eq(joined(&argv), cases[i].command);
		ck_assert_ptr_null(argv.items[argv.count]);
		ck_assert_int_eq(tool_default_timeout_ms(&choice),
				 (strcmp(cases[i].tool, "codex") ? 20 : 15) * 60 * 1000);
	}
}
END_TEST

START_TEST(refuses_models_that_it_cannot_pass_on)
{
	static const struct {
		const char *tool, *model;
	} bad[] = { { "shell", "opus" }, { "claude", "--help" }, { "claude", "" } };
	CLEANUP_ERROR struct error e = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const struct tool_prompt prompt = { .model = bad[i].model };
		struct string_list argv = { 0 };
		struct tool_choice choice;

		ck_assert_int_eq(choose(bad[i].tool, &choice, &e), 0);
		ck_assert_int_eq(tool_prompt_command(&choice, &prompt, &argv, &e), -1);
		ck_assert_int_eq(e.kind, ERROR_INVALID_PARAMS);
		ck_assert_str_eq(e.field, "model");
		ck_assert_ptr_null(argv.items);
	}
}
END_TEST

static const char *value_of(const struct string_list *l, const char *key)
{
	for (size_t i = 0; i < l->count; i++)
		if (!strncmp(l->items[i], key, strlen(key)) && l->items[i][strlen(key)] == '=')
			return l->items[i] + strlen(key) + 1;
	return NULL;
}

START_TEST(passes_the_registry_but_no_credentials)
{
	char home[] = "/tmp/test-tool-XXXXXX", path[64];
	CLEANUP_STRINGS struct string_list l = { 0 };
	FILE *f;

	ck_assert_ptr_nonnull(mkdtemp(home));
	(void)snprintf(path, sizeof(path), "%s/.npmrc", home);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	(void)fputs("registry = https://example.invalid/npm/ \n"
		    "//example.invalid/npm/:_authToken=secret\n; a comment\ncafile=/etc/ssl/x\n",
		    f);
	(void)fclose(f);
	(void)setenv("HOME", home, 1);
	(void)setenv("npm_config_cafile", "/etc/ssl/mine", 1);
	(void)setenv("NPM_TOKEN", "secret", 1);
	(void)setenv("SSL_CERT_FILE", "/root/not-shown.pem", 1);
	ck_assert_int_eq(tool_environment_of_host(NULL, &l), 0);
	ck_assert_str_eq(value_of(&l, "npm_config_registry"), "https://example.invalid/npm/");
	ck_assert_str_eq(value_of(&l, "npm_config_cafile"), "/etc/ssl/mine");
	ck_assert_ptr_null(value_of(&l, "SSL_CERT_FILE"));
	for (size_t i = 0; i < l.count; i++)
		ck_assert_ptr_null(strstr(l.items[i], "secret"));
	ck_assert_int_eq(tool_environment_of_host("https://configured.invalid/", &l), 0);
	ck_assert_str_eq(value_of(&l, "npm_config_registry"), "https://configured.invalid/");
	(void)unlink(path);
	(void)rmdir(home);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tool");
	TCase *cases = tcase_create("tool");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, finds_tools_with_and_without_version);
	tcase_add_test(cases, takes_the_pinned_or_the_given_version);
	tcase_add_test(cases, the_configuration_changes_the_pinned_version);
	tcase_add_test(cases, refuses_what_is_no_exact_version);
	tcase_add_test(cases, names_the_tools_there_are);
	tcase_add_test(cases, built_in_tools_are_sections_like_any_other);
	tcase_add_test(cases, tools_say_which_secrets_their_agent_is_lent);
	tcase_add_test(cases, a_file_replaces_the_secrets_of_a_tool);
	tcase_add_test(cases, refuses_what_is_no_secret_of_a_tool);
	tcase_add_test(cases, codex_runs_without_a_sandbox_of_its_own);
	tcase_add_test(cases, a_file_replaces_lines_and_adds_to_environment);
	tcase_add_test(cases, a_tool_of_words_alone);
	tcase_add_test(cases, another_tool_goes_into_the_layer);
	tcase_add_test(cases, bad_sections_are_problems);
	tcase_add_test(cases, what_cannot_work_is_refused_when_asked_for);
	tcase_add_test(cases, makes_the_command_of_a_prompt);
	tcase_add_test(cases, refuses_models_that_it_cannot_pass_on);
	tcase_add_test(cases, passes_the_registry_but_no_credentials);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
