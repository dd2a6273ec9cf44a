/* SPDX-License-Identifier: Apache-2.0 */
/* [tool NAME] */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/config-keys.h"
#include "sandbox/config.h"

static const struct config_key keys[] = {
	CONFIG_KEY("version", config_set_text, config_tool, version),
	CONFIG_KEY("node_version", config_set_text, config_tool, node_version),
	CONFIG_KEY("registry", config_set_text, config_tool, registry),
	CONFIG_KEY("build_timeout", config_set_duration, config_tool, build_timeout_ms),
};

static int make(struct config *c, const char *name, const struct config_place *place, void **ret)
{
	struct config_tool *t;

	(void)place;
	for (t = c->tools; t && strcmp(t->name, name) != 0; t = t->next)
		;
	*ret = t;
	if (t)
		return 0;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->name = strdup(name);
	if (!t->name) {
		free(t);
		return -ENOMEM;
	}
	t->build_timeout_ms = -1;
	t->next = c->tools;
	c->tools = t;
	*ret = t;
	return 0;
}

static void release(struct config *c)
{
	struct config_tool *t;

	while ((t = c->tools)) {
		c->tools = t->next;
		free(t->name);
		free(t->version);
		free(t->node_version);
		free(t->registry);
		free(t);
	}
}

const struct config_section config_section_tool = {
	.name = "tool",
	.keys = keys,
	.n_keys = ARRAY_SIZE(keys),
	.make = make,
	.release = release,
};

const struct config_tool *config_tool(const struct config *c, const char *name)
{
	const struct config_tool *t;

	for (t = c->tools; t; t = t->next)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}
