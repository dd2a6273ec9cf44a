/* SPDX-License-Identifier: Apache-2.0 */
/* [stage NAME]. What is wrong in a profile must not make it wider than was meant: such a stage is
 * closed, read-only and without network, and says so. */

#include <errno.h>
#include <stdlib.h>

#include "macro.h"
#include "sandbox/config-keys.h"
#include "sandbox/config.h"
#include "sandbox/stage.h"
#include "sandbox/tool.h"

#define STAGE_KEY(key, setter)                                                                     \
	{                                                                                          \
		.name = (key), .set = (setter)                                                     \
	}
static const struct config_key keys[] = {
	STAGE_KEY("workspace", stage_set_workspace), STAGE_KEY("writable", stage_set_writable),
	STAGE_KEY("tools", stage_set_tools),         STAGE_KEY("timeout", stage_set_timeout),
	STAGE_KEY("network", stage_set_network),
};

static int make(struct config *c, const char *name, const struct config_place *place, void **ret)
{
	struct stage *stage = NULL;
	int r = stages_section(c->stages, name, &stage);

	if (r < 0)
		return r;
	stage_set_place(stage, place->path, place->line);
	*ret = stage;
	return 0;
}

static void wrong(void *object)
{
	stage_mark_wrong(object);
}

/* A tool may be configured behind the stage that names it. */
static void check_tools(struct config *c, const struct stage *stage)
{
	struct config_place place;
	struct tool_choice choice;
	size_t i;

	for (i = 0; i < stage->tools.count; i++) {
		if (tool_choose(c, stage->tools.items[i], NULL, &choice, NULL) == 0)
			continue;
		place.path = stage_tools_place(stage, &place.line);
		config_problem(c, &place, "stage %s is for %s, which is no tool", stage->name,
			       stage->tools.items[i]);
	}
}

static void finish(struct config *c)
{
	size_t i;

	for (i = 0; i < stages_count(c->stages); i++)
		check_tools(c, stages_at(c->stages, i));
	stages_close_wrong(c->stages);
}

static void release(struct config *c)
{
	c->stages = stages_unref(c->stages);
}

const struct config_section config_section_stage = {
	.name = "stage",
	.keys = keys,
	.n_keys = ARRAY_SIZE(keys),
	.make = make,
	.wrong = wrong,
	.finish = finish,
	.release = release,
};
