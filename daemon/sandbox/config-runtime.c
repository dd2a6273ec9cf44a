/* SPDX-License-Identifier: Apache-2.0 */
/* [runtime NAME]. Those that have the name of a type are built in; another one says its type and
 * where its program is. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "sandbox/config-keys.h"
#include "sandbox/config.h"
#include "util/strings.h"

static int set_type(const char *value, void *field)
{
	enum runtime_type *type = field;
	enum runtime_type found = runtime_type_from_string(value);

	if (found == RUNTIME_TYPE_MAX)
		return -EINVAL;
	*type = found;
	return 0;
}

static const struct config_key keys[] = {
	CONFIG_KEY("type", set_type, config_runtime, type),
	CONFIG_KEY("path", config_set_path, config_runtime, path),
	CONFIG_KEY("timeout", config_set_patience, config_runtime, timeout_ms),
};

static struct config_runtime *find(const struct config *c, const char *name)
{
	struct config_runtime *r;

	for (r = c->runtimes; r && strcmp(r->name, name) != 0; r = r->next)
		;
	return r;
}

static void runtime_free(struct config_runtime *r)
{
	free(r->name);
	free(r->path);
	free(r->file);
	free(r);
}

/* At the end, so that a listing has the built-in ones first. */
static struct config_runtime *append(struct config *c, const char *name)
{
	struct config_runtime **at, *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->name = strdup(name);
	if (!r->name) {
		runtime_free(r);
		return NULL;
	}
	r->type = runtime_type_from_string(name);
	r->timeout_ms = KEEPER_CREATE_TIMEOUT_MS;
	for (at = &c->runtimes; *at; at = &(*at)->next)
		;
	*at = r;
	return r;
}

static int make(struct config *c, const char *name, const struct config_place *place, void **ret)
{
	CLEANUP_STR char *checked = NULL;
	struct config_runtime *r = find(c, name);
	int error;

	if (!r) {
		error = config_set_name(name, &checked);
		r = error < 0 ? NULL : append(c, name);
		if (!r)
			return error < 0 ? error : -ENOMEM;
	}
	if (!r->file) {
		r->file = strdup(place->path);
		r->line = place->line;
	}
	*ret = r;
	return r->file ? 0 : -ENOMEM;
}

/* NULL: nothing. */
static const char *what_is_wrong(const struct config_runtime *r)
{
	enum runtime_type built_in = runtime_type_from_string(r->name);

	if (r->type == RUNTIME_TYPE_MAX)
		return "has no type (crun, runc, runsc or host)";
	if (built_in != RUNTIME_TYPE_MAX && r->type != built_in)
		return "is built in and has its type";
	if (r->type == RUNTIME_HOST && r->path)
		return "is of the type host, which has no path";
	if (built_in == RUNTIME_TYPE_MAX && r->type != RUNTIME_HOST && !r->path)
		return "has no path";
	return NULL;
}

/* What is wrong is left out; a built-in one is what it was. */
static void finish(struct config *c)
{
	struct config_runtime **at = &c->runtimes, *r;
	const char *wrong;

	while ((r = *at)) {
		const struct config_place place = { r->file, r->line };

		wrong = what_is_wrong(r);
		if (wrong)
			config_problem(c, &place, "runtime %s %s", r->name, wrong);
		if (wrong && runtime_type_from_string(r->name) == RUNTIME_TYPE_MAX) {
			*at = r->next;
			runtime_free(r);
			continue;
		}
		if (wrong) {
			r->type = runtime_type_from_string(r->name);
			if (r->type == RUNTIME_HOST) {
				free(r->path);
				r->path = NULL;
			}
		}
		at = &r->next;
	}
	if (!find(c, c->runtime)) {
		const struct config_place place = { c->file ? c->file : c->config_dir, 0 };
		char *standard = strdup(CONFIG_RUNTIME_DEFAULT);

		config_problem(c, &place, "[daemon] runtime = %s is no runtime", c->runtime);
		if (standard) {
			free(c->runtime);
			c->runtime = standard;
		}
	}
}

static void release(struct config *c)
{
	struct config_runtime *r;

	while ((r = c->runtimes)) {
		c->runtimes = r->next;
		runtime_free(r);
	}
}

const struct config_section config_section_runtime = {
	.name = "runtime",
	.keys = keys,
	.n_keys = ARRAY_SIZE(keys),
	.make = make,
	.finish = finish,
	.release = release,
};

int config_add_runtimes(struct config *c)
{
	int type;

	for (type = 0; type < RUNTIME_TYPE_MAX; type++)
		if (!append(c, runtime_type_to_string((enum runtime_type)type)))
			return -ENOMEM;
	return 0;
}

const struct config_runtime *config_runtime(const struct config *c, const char *name)
{
	return find(c, name);
}
