/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file of any content: it is read without a crash or a leak, and every tool that it
 * names can be asked for, prompted and built. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "macro.h"
#include "sandbox/config.h"
#include "sandbox/tool-steps.h"
#include "sandbox/tool.h"
#include "util/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_set_level(LOG_LEVEL_ERROR); /* every bad line is a warning: half the time went there */
	return 0;
}

static void ask_for_tools(const struct config *c)
{
	static const char *const args[] = { "--x", NULL };
	static const struct tool_prompt prompt = { .model = "m", .args = { args, 1 } };
	const struct tool_profile *t;

	for (t = c->tools; t; t = t->next) {
		CLEANUP_ERROR struct error e = { 0 };
		CLEANUP_STRINGS struct string_list argv = { 0 };
		CLEANUP_TOOL_STEPS struct tool_steps steps = { 0 };
		CLEANUP_STR char *path = tool_path(c, t);
		struct tool_choice choice;

		if (tool_choose(c, t->name, "tool", &choice, &e) < 0)
			continue;
		(void)tool_prompt_command(&choice, &prompt, &argv, &e);
		if (choice.version[0])
			(void)tool_steps_make(&steps, &choice);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(config_freep) struct config *c = NULL;
	CLEANUP_FD int fd = memfd_create("config", MFD_CLOEXEC);
	char path[64];

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || config_new(&c, 1000) < 0)
		abort();
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (config_load(c, path) == 0)
		ask_for_tools(c);
	return 0;
}
