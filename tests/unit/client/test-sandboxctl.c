/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of sandboxctl that need no daemon: values, options, workspaces, pumps. */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "macro.h"
#include "message.h"
#include "options.h"
#include "pump.h"
#include "rpc-params.h"
#include "verbs.h"
#include "workspace.h"

/* ---- options ---- */

static int parse(struct options *o, const char *verb, char **argv)
{
	char *words[2] = { strdup(verb), NULL };
	int n_words;
	int argc = 0;
	const struct verb *found;
	int r;

	words[1] = strchr(words[0], ' ');
	if (words[1])
		*words[1]++ = '\0';
	found = verb_find(words[1] ? 2 : 1, words, &n_words);
	ck_assert_ptr_nonnull(found);
	while (argv[argc])
		argc++;
	r = options_parse(o, found->options, found->style, argc, argv);
	free(words[0]);
	return r;
}

#define ARGV(...)                                                                                  \
	(char *[])                                                                                 \
	{                                                                                          \
		(char[]){ "v" }, __VA_ARGS__, NULL                                                 \
	}
#define W(text)                                                                                    \
	(char[])                                                                                   \
	{                                                                                          \
		text                                                                               \
	}

START_TEST(options_become_params)
{
	struct options o;
	struct json_object *params;

	setenv("FROM_OUTSIDE", "yes", 1);
	unsetenv("NOT_SET");
	ck_assert_int_eq(parse(&o, "create",
			       ARGV(W("--memory"), W("1G"), W("shell"), W("-e"), W("A=1"), W("."),
				    W("-eFROM_OUTSIDE"), W("--env=NOT_SET"), W("--cpus=1.5"),
				    W("--rm"), W("-t"), W("debian:12"), W("--ttl"), W("2h"),
				    W("--label"), W("a=b=c"), W("-q"))),
			 0);
	ck_assert_uint_eq(o.n_operands, 2);
	ck_assert_str_eq(o.operands[0], "shell");
	ck_assert_str_eq(o.operands[1], ".");
	ck_assert(options_have(&o, OPTION_QUIET));
	params = params_from_options(&o);
	ck_assert_str_eq(json_object_to_json_string_ext(params, JSON_C_TO_STRING_PLAIN),
			 "{\"limits\":{\"memoryBytes\":1073741824,\"cpuMilli\":1500},"
			 "\"env\":{\"A\":\"1\",\"FROM_OUTSIDE\":\"yes\"},\"rm\":true,"
			 "\"template\":\"debian:12\",\"ttlMs\":7200000,"
			 "\"labels\":{\"a\":\"b=c\"}}");
	json_object_put(params);
	options_deinit(&o);
}
END_TEST

START_TEST(exec_stops_at_its_sandbox)
{
	struct options o;

	ck_assert_int_eq(parse(&o, "exec",
			       ARGV(W("-it"), W("sb"), W("ls"), W("-l"), W("--"), W("-x"))),
			 0);
	ck_assert_uint_eq(o.n_operands, 5);
	ck_assert_str_eq(o.operands[2], "-l");
	ck_assert_str_eq(o.operands[3], "--");
	ck_assert(options_have(&o, OPTION_TTY));
	ck_assert(options_have(&o, OPTION_INTERACTIVE));
	options_deinit(&o);
}
END_TEST

START_TEST(run_knows_what_is_behind_dashes)
{
	struct options o;

	ck_assert_int_eq(parse(&o, "run",
			       ARGV(W("claude"), W("--network"), W("host"), W("--"), W("-p"),
				    W("x"))),
			 0);
	ck_assert_uint_eq(o.n_before_dashes, 1);
	ck_assert_uint_eq(o.n_operands, 3);
	ck_assert_str_eq(o.operands[1], "-p");
	ck_assert_str_eq(options_text(&o, OPTION_NETWORK), "host");
	options_deinit(&o);
}
END_TEST

START_TEST(bad_options)
{
	static const char *const bad[][2] = {
		{ "create", "--bogus" },       { "create", "-Z" },
		{ "create", "--memory=1X" },   { "create", "--memory" },
		{ "exec", "--timeout=30" },    { "create", "--rm=1" },
		{ "create", "--label=nokey" }, { "create", "-e=x" },
		{ "logs", "--from=-1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CLEANUP_STR char *word = strdup(bad[i][1]);
		struct options o;

		ck_assert_msg(parse(&o, bad[i][0], ARGV(word)) == -EINVAL, "%s", bad[i][1]);
		options_deinit(&o);
	}
}
END_TEST

START_TEST(verbs_of_two_words)
{
	int words;
	char *start[] = { W("daemon"), W("start"), NULL };
	char *alone[] = { W("daemon"), NULL };
	char *longer[] = { W("lsx"), NULL };
	char *ls[] = { W("ls"), W("x"), NULL };

	ck_assert_str_eq(verb_find(2, start, &words)->name, "daemon start");
	ck_assert_int_eq(words, 2);
	ck_assert_ptr_null(verb_find(1, alone, &words));
	ck_assert_ptr_null(verb_find(1, longer, &words));
	ck_assert_str_eq(verb_find(2, ls, &words)->name, "ls");
	ck_assert_int_eq(words, 1);
}
END_TEST

/* Every option of every verb fits the parser's tables and no letter is used twice. */
START_TEST(verb_table_is_sound)
{
	for (size_t i = 0; i < verbs_count; i++) {
		bool letters[128] = { ['o'] = true, ['h'] = true };
		size_t n = 0;

		for (const struct option_row *row = verbs[i].options; row->name; row++, n++) {
			ck_assert_msg(!row->letter || !letters[(int)row->letter], "%s -%c",
				      verbs[i].name, row->letter);
			letters[(int)row->letter] = row->letter != 0;
			ck_assert_ptr_nonnull(row->help);
			ck_assert((row->kind == OPTION_KIND_FLAG) == !row->argument);
		}
		ck_assert_uint_lt(n + 4, OPTION_ROWS_MAX);
		ck_assert_ptr_nonnull(verbs[i].run);
	}
}
END_TEST

/* ---- workspaces ---- */

START_TEST(texts_that_would_steer_a_terminal)
{
	char text[] = "a\033[2J\n\x7f b\302\233c \303\251 \302\240";

	ck_assert_str_eq(message_clean(text), "a?[2J?? b??c \303\251 \302\240");
}
END_TEST

START_TEST(workspaces)
{
	struct workspace_argument w;
	char dir[] = "/tmp/test-workspace-XXXXXX";
	CLEANUP_STR char *real = NULL;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	real = realpath(dir, NULL);
	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(workspace_argument_parse(&w, "."), 0);
	ck_assert_str_eq(w.path, real);
	ck_assert(!w.read_only);
	workspace_argument_deinit(&w);
	ck_assert_int_eq(workspace_argument_parse(&w, "./:ro"), 0);
	ck_assert_str_eq(w.path, real);
	ck_assert(w.read_only);
	workspace_argument_deinit(&w);
	setenv("HOME", dir, 1);
	ck_assert_int_eq(workspace_argument_parse(&w, "~"), 0);
	ck_assert_str_eq(w.path, real);
	workspace_argument_deinit(&w);
	ck_assert_int_eq(workspace_argument_parse(&w, "nowhere"), -1);
	ck_assert_int_eq(workspace_argument_parse(&w, ""), -1);
	ck_assert_int_eq(chdir("/"), 0);
	rmdir(dir);
}
END_TEST

START_TEST(derived_names)
{
	CLEANUP_STR char *a = workspace_sandbox_name("claude@2.1.42", "/home/u/my repo");
	CLEANUP_STR char *b = workspace_sandbox_name("claude@2.1.42", "/srv/my repo");
	CLEANUP_STR char *root = workspace_sandbox_name("shell", "/");

	ck_assert_int_eq(strncmp(a, "claude-2.1.42-my-repo-", 22), 0);
	ck_assert_str_ne(a, b);
	ck_assert_int_eq(strncmp(root, "shell-root-", 11), 0);
}
END_TEST

/* ---- pumps ---- */

START_TEST(what_can_be_passed)
{
	CLEANUP_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	CLEANUP_FD int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	CLEANUP_FD int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_FD int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int pipe_fds[2];

	ck_assert_int_eq(pipe(pipe_fds), 0);
	ck_assert(pump_is_passable(null));
	ck_assert(pump_is_passable(socket_fd));
	ck_assert(pump_is_passable(pipe_fds[0]));
	ck_assert(!pump_is_passable(file));
	ck_assert(!pump_is_passable(dir));
	ck_assert(!pump_is_passable(-1));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}
END_TEST

START_TEST(pump_to_a_file)
{
	char path[] = "/tmp/test-pump-XXXXXX";
	CLEANUP_FD int file = mkstemp(path);
	struct pump p = { .from = -1 };
	struct pollfd want;
	char data[16];
	int end;

	ck_assert_int_eq(pump_from_command(&p, file, &end), 0);
	ck_assert(pump_want(&p, &want));
	ck_assert_int_eq(want.events, POLLIN);
	ck_assert_int_eq(write(end, "hello", 5), 5);
	pump_move(&p);
	ck_assert_int_eq(pread(file, data, sizeof data, 0), 5);
	ck_assert_int_eq(write(end, " you", 4), 4);
	pump_drain(&p); /* the other end is still open */
	ck_assert_int_eq(pread(file, data, sizeof data, 0), 9);
	ck_assert_mem_eq(data, "hello you", 9);
	ck_assert(!pump_want(&p, &want));
	pump_deinit(&p);
	close(end);
	unlink(path);
}
END_TEST

START_TEST(pump_from_a_file_larger_than_the_pipe)
{
	enum { SIZE = 3 * 1024 * 1024 };
	char path[] = "/tmp/test-pump-XXXXXX";
	CLEANUP_FD int file = mkstemp(path);
	CLEANUP_STR char *data = malloc(SIZE);
	struct pump p = { .from = -1 };
	struct pollfd want;
	size_t total = 0;
	int end;

	memset(data, 'x', SIZE);
	ck_assert_int_eq(write(file, data, SIZE), SIZE);
	lseek(file, 0, SEEK_SET);
	ck_assert_int_eq(pump_to_command(&p, file, &end), 0);
	while (pump_want(&p, &want)) {
		ssize_t n;

		pump_move(&p);
		n = read(end, data, 65536);
		ck_assert_int_gt(n, 0);
		total += (size_t)n;
	}
	for (ssize_t n; (n = read(end, data, 65536)) > 0;)
		total += (size_t)n;
	ck_assert_uint_eq(total, SIZE);
	pump_deinit(&p);
	close(end);
	unlink(path);
}
END_TEST

START_TEST(pump_whose_reader_went)
{
	char path[] = "/tmp/test-pump-XXXXXX";
	CLEANUP_FD int file = mkstemp(path);
	struct pump p = { .from = -1 };
	struct pollfd want;
	int end;

	(void)signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(write(file, "x", 1), 1);
	lseek(file, 0, SEEK_SET);
	ck_assert_int_eq(pump_to_command(&p, file, &end), 0);
	close(end);
	pump_move(&p);
	ck_assert(!pump_want(&p, &want));
	pump_deinit(&p);
	unlink(path);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sandboxctl");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, options_become_params);
	tcase_add_test(tcase, exec_stops_at_its_sandbox);
	tcase_add_test(tcase, run_knows_what_is_behind_dashes);
	tcase_add_test(tcase, bad_options);
	tcase_add_test(tcase, verbs_of_two_words);
	tcase_add_test(tcase, verb_table_is_sound);
	tcase_add_test(tcase, texts_that_would_steer_a_terminal);
	tcase_add_test(tcase, workspaces);
	tcase_add_test(tcase, derived_names);
	tcase_add_test(tcase, what_can_be_passed);
	tcase_add_test(tcase, pump_to_a_file);
	tcase_add_test(tcase, pump_from_a_file_larger_than_the_pipe);
	tcase_add_test(tcase, pump_whose_reader_went);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
