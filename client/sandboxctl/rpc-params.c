/* SPDX-License-Identifier: Apache-2.0 */
/* The option table says where each value goes, so a new option of the contract is a row and no
 * code.
 */

#include "rpc-params.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "message.h"

static void close_file(FILE **f)
{
	if (*f)
		(void)fclose(*f); /* only read */
}

/* The object KEY in PARENT, made if it is not there. */
static struct json_object *child(struct json_object *parent, const char *key)
{
	struct json_object *object;

	if (json_object_object_get_ex(parent, key, &object))
		return json_object_is_type(object, json_type_object) ? object : NULL;
	object = json_object_new_object();
	json_object_object_add(parent, key, object);
	return object;
}

int params_set(struct json_object *params, const char *path, struct json_object *value)
{
	const char *dot;

	while ((dot = strchr(path, '.'))) {
		CLEANUP_STR char *key = strndup(path, (size_t)(dot - path));

		params = key ? child(params, key) : NULL;
		if (!params) {
			json_object_put(value);
			return -1;
		}
		path = dot + 1;
	}
	return json_object_object_add(params, path, value);
}

/* K=V, or K: with our own value, or not at all if we have none. */
static int add_pair(struct json_object *params, const char *where, const char *pair)
{
	struct json_object *object = child(params, where);
	const char *equals = strchr(pair, '=');
	CLEANUP_STR char *key = equals ? strndup(pair, (size_t)(equals - pair)) : strdup(pair);
	const char *value = equals ? equals + 1 : getenv(pair);

	if (!object || !key)
		return -1;
	if (!value)
		return 0;
	return json_object_object_add(object, key, json_object_new_string(value));
}

static int add_option(struct json_object *params, const struct option_given *g)
{
	const struct option_row *row = g->row;

	switch (row->kind) {
	case OPTION_KIND_FLAG:
		return params_set(params, row->param, json_object_new_boolean(1));
	case OPTION_KIND_STRING:
		return params_set(params, row->param, json_object_new_string(g->text));
	case OPTION_KIND_SIZE:
	case OPTION_KIND_DURATION:
	case OPTION_KIND_CPUS:
	case OPTION_KIND_COUNT:
		return params_set(params, row->param, json_object_new_int64(g->number));
	case OPTION_KIND_ENV:
	case OPTION_KIND_PAIR:
		return add_pair(params, row->param, g->text);
	}
	return -1;
}

struct json_object *params_from_options(const struct options *o)
{
	struct json_object *params = json_object_new_object();

	for (size_t i = 0; params && i < o->n_given; i++) {
		if (!o->given[i].row->param || add_option(params, &o->given[i]) == 0)
			continue;
		json_object_put(params);
		params = NULL;
	}
	if (!params)
		message_error(NULL, "out of memory");
	return params;
}

static int add_env_line(struct json_object *params, const char *line, const char *file,
			unsigned number)
{
	line += strspn(line, " \t");
	if (line[0] == '\0' || line[0] == '#')
		return 0;
	/* a blank before any "=" is in the name */
	if (line[0] == '=' || isblank((unsigned char)line[strcspn(line, "= \t")])) {
		message_error("a line is NAME=VALUE, or NAME alone", "%s:%u", file, number);
		return -1;
	}
	return add_pair(params, "env", line);
}

int params_add_env_file(struct json_object *params, const char *file)
{
	CLEANUP(close_file) FILE *f = fopen(file, "re");
	CLEANUP_STR char *line = NULL;
	size_t allocated = 0;
	unsigned number = 0;
	ssize_t n;

	if (!f) {
		message_error(NULL, "%s: %s", file, strerror(errno));
		return -1;
	}
	while ((n = getline(&line, &allocated, f)) >= 0) {
		number++;
		if (n > 0 && line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (add_env_line(params, line, file, number) < 0)
			return -1;
	}
	return 0;
}
