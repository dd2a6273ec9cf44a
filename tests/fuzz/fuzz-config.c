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
#include "util/strings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_set_level(LOG_LEVEL_ERROR); /* every bad line is a warning: half the time went there */
	return 0;
}

/* Every tool that can be chosen has a command line or an error that says why not. */
static void ask_for_tools(const struct config *c)
{
	static const char *const args[] = { "--verbose", NULL };
	const struct tool_prompt prompt = { .model = "m", .args = { args, 1 } };
	const struct tool_profile *p;

	for (p = c->tools; p; p = p->next) {
		CLEANUP_ERROR struct error e = { 0 };
		CLEANUP_STRINGS struct string_list argv = { 0 };
		struct tool_choice choice;

		if (tool_choose(c, p->name, "tool", &choice, &e) < 0)
			continue;
		if (tool_default_timeout_ms(&choice) <= 0)
			abort();
		if (tool_prompt_command(&choice, &prompt, &argv, &e) == 0 && argv.count == 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(config_unrefp) struct config *c = NULL;
	CLEANUP_FD int fd = memfd_create("config", MFD_CLOEXEC);
	char path[64];

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || config_new(&c, 1000) < 0)
		abort();
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (config_load(c, path) == 0)
		ask_for_tools(c);
	return 0;
}
