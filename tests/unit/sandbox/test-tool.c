/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/config.h"
#include "sandbox/tool-env.h"
#include "sandbox/tool.h"

static struct config *config;

static void setup(void)
{
	ck_assert_int_eq(config_new(&config, getuid()), 0);
}

static void teardown(void)
{
	config_free(config);
}

static int choose(const char *text, struct tool_choice *choice, struct error *e)
{
	error_clear(e);
	return tool_choose(config, text, "tool", choice, e);
}

START_TEST(finds_tools_with_and_without_version)
{
	ck_assert_str_eq(tool_find("claude")->name, "claude");
	ck_assert_str_eq(tool_find("claude@2.1.42")->name, "claude");
	ck_assert_str_eq(tool_find("shell")->name, "shell");
	ck_assert_ptr_null(tool_find("claud"));
	ck_assert_ptr_null(tool_find("claude2"));
	ck_assert_ptr_null(tool_find("@1"));
	ck_assert_ptr_null(tool_find(""));
	ck_assert_ptr_null(tool_find(NULL));
}
END_TEST

START_TEST(takes_the_pinned_or_the_given_version)
{
	struct tool_choice choice;
	CLEANUP_ERROR struct error e = { 0 };

	ck_assert_int_eq(choose("claude", &choice, &e), 0);
	ck_assert_str_eq(choice.version, choice.profile->default_version);
	ck_assert_str_eq(choice.node, choice.profile->default_node);
	ck_assert_int_eq(choose("claude@2.1.42", &choice, &e), 0);
	ck_assert_str_eq(choice.version, "2.1.42");
	ck_assert_int_eq(choose("shell", &choice, &e), 0);
	ck_assert_str_eq(choice.version, "");
}
END_TEST

START_TEST(the_configuration_changes_the_pinned_version)
{
	struct config_tool own = { .name = strdup("claude"), .version = strdup("2.0.1") };
	struct tool_choice choice;
	CLEANUP_ERROR struct error e = { 0 };

	config->tools = &own;
	ck_assert_int_eq(choose("claude", &choice, &e), 0);
	ck_assert_str_eq(choice.version, "2.0.1");
	ck_assert_int_eq(choose("claude@2.1.42", &choice, &e), 0);
	ck_assert_str_eq(choice.version, "2.1.42");
	config->tools = NULL;
	free(own.name);
	free(own.version);
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

START_TEST(tells_unknown_from_not_yet)
{
	struct tool_choice choice;
	CLEANUP_ERROR struct error e = { 0 };

	ck_assert_int_eq(choose("hammer", &choice, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_NOT_FOUND);
	ck_assert_int_eq(choose("codex", &choice, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_UNAVAILABLE);
	ck_assert_str_eq(e.hint, "not available in this version");
}
END_TEST

static char *joined(const struct string_list *argv)
{
	static char text[512];

	text[0] = '\0';
	for (size_t i = 0; i < argv->count; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
			       i ? "|" : "", argv->items[i]);
	return text;
}

START_TEST(makes_the_command_of_a_prompt)
{
	static const char *const more[] = { "--max-turns", "3 4", NULL };
	static const struct {
		const char *tool;
		struct tool_prompt prompt;
		const char *command;
	} cases[] = {
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
		ck_assert_int_eq(tool_default_timeout_ms(&choice), 20 * 60 * 1000);
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
	tcase_add_test(cases, tells_unknown_from_not_yet);
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
