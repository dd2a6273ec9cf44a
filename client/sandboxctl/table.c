/* SPDX-License-Identifier: Apache-2.0 */
/* Cells are made first, then widths, then lines; the last column is not padded. Output is collected
 * in one buffer: lists are bounded by what the daemon returns. */

#include "table.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "macro.h"
#include "message.h"

#define COLUMNS_MAX 12
#define COMMAND_WIDTH 60

static struct json_object *at_path(struct json_object *object, const char *path)
{
	const char *dot;

	while ((dot = strchr(path, '.'))) {
		CLEANUP_STR char *key = strndup(path, (size_t)(dot - path));

		if (!key || !json_object_object_get_ex(object, key, &object))
			return NULL;
		path = dot + 1;
	}
	if (!json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, path, &object))
		return NULL;
	return object;
}

static char *span_cell(int64_t seconds)
{
	char *cell;
	int n;

	if (seconds < 120)
		n = asprintf(&cell, "%llds", (long long)seconds);
	else if (seconds < 7200)
		n = asprintf(&cell, "%lldm", (long long)seconds / 60);
	else if (seconds < 172800)
		n = asprintf(&cell, "%lldh", (long long)seconds / 3600);
	else
		n = asprintf(&cell, "%lldd", (long long)seconds / 86400);
	return n < 0 ? NULL : cell;
}

int64_t table_seconds(const char *text)
{
	struct tm tm = { .tm_sec = 0 };

	return text && strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? timegm(&tm) : 0;
}

static char *age_cell(const char *text)
{
	int64_t seconds = table_seconds(text);

	if (seconds == 0)
		return strdup(text);
	seconds = time(NULL) - seconds;
	return span_cell(seconds < 0 ? 0 : seconds);
}

static char *size_cell(int64_t bytes)
{
	static const char units[] = " KMGT";
	int64_t tenths = bytes * 10;
	size_t unit = 0;
	char *cell;
	int n;

	if (bytes > INT64_MAX / 10)
		return strdup("?");
	for (; tenths >= 10240 && unit + 2 < sizeof units; unit++)
		tenths /= 1024;
	if (unit == 0)
		n = asprintf(&cell, "%lld", (long long)bytes);
	else
		n = asprintf(&cell, "%lld.%lld%c", (long long)(tenths / 10),
			     (long long)(tenths % 10), units[unit]);
	return n < 0 ? NULL : cell;
}

static char *millis_cell(int64_t ms)
{
	char *cell;

	return asprintf(&cell, "%lld.%llds", (long long)ms / 1000, (long long)ms % 1000 / 100) < 0
		       ? NULL
		       : cell;
}

/* Cut, not rounded: 100 is all. */
static char *percent_cell(double part)
{
	char *cell;

	return asprintf(&cell, "%d%%", (int)(part * 100 + 1e-6)) < 0 ? NULL : cell;
}

static char *command_cell(struct json_object *command)
{
	char *cell = strdup("");

	for (size_t i = 0; cell && i < json_object_array_length(command); i++) {
		CLEANUP_STR char *before = cell;
		const char *word = json_object_get_string(json_object_array_get_idx(command, i));

		if (asprintf(&cell, "%s%s%s", before, i ? " " : "", word ? word : "") < 0)
			return NULL;
		if (strlen(cell) > COMMAND_WIDTH) {
			memcpy(cell + COMMAND_WIDTH - 3, "...", 4);
			break;
		}
	}
	return cell;
}

static char *workspaces_cell(struct json_object *workspaces)
{
	size_t n = json_object_array_length(workspaces);
	struct json_object *path =
		n ? at_path(json_object_array_get_idx(workspaces, 0), "path") : NULL;
	char *cell;

	if (!path)
		return strdup("-");
	if (n == 1)
		return strdup(json_object_get_string(path));
	return asprintf(&cell, "%s +%zu", json_object_get_string(path), n - 1) < 0 ? NULL : cell;
}

static char *make_cell(const struct column *c, struct json_object *object)
{
	struct json_object *value = at_path(object, c->path);
	bool is_array = json_object_is_type(value, json_type_array);

	if (!value)
		return strdup("-");
	if (c->kind == COLUMN_AGE && json_object_is_type(value, json_type_string))
		return age_cell(json_object_get_string(value));
	if (c->kind == COLUMN_SPAN && json_object_is_type(value, json_type_int))
		return span_cell(json_object_get_int64(value) / 1000);
	if (c->kind == COLUMN_SIZE && json_object_is_type(value, json_type_int))
		return size_cell(json_object_get_int64(value));
	if (c->kind == COLUMN_MILLIS && json_object_is_type(value, json_type_int))
		return millis_cell(json_object_get_int64(value));
	if (c->kind == COLUMN_PERCENT)
		return percent_cell(json_object_get_double(value));
	if (c->kind == COLUMN_COMMAND && is_array)
		return command_cell(value);
	if (c->kind == COLUMN_WORKSPACES && is_array)
		return workspaces_cell(value);
	return strdup(json_object_get_string(value));
}

struct grid {
	size_t n_columns;
	size_t n_rows;
	char **cells; /* n_rows * n_columns, the headers first */
	size_t widths[COLUMNS_MAX];
};

static void grid_deinit(struct grid *g)
{
	for (size_t i = 0; g->cells && i < g->n_rows * g->n_columns; i++)
		free(g->cells[i]);
	free(g->cells);
}

/* Characters, not bytes, so that names in UTF-8 align. */
static size_t width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static int fill_cell(struct grid *g, size_t row, size_t column, char *text)
{
	size_t n;

	if (!text)
		return -ENOMEM;
	g->cells[row * g->n_columns + column] = message_clean(text);
	n = width(text);
	if (n > g->widths[column])
		g->widths[column] = n;
	return 0;
}

static int grid_fill(struct grid *g, const struct column *columns, struct json_object *array)
{
	int r = 0;

	while (columns[g->n_columns].header && g->n_columns < COLUMNS_MAX)
		g->n_columns++;
	g->n_rows = json_object_array_length(array) + 1;
	g->cells = calloc(g->n_rows * g->n_columns, sizeof *g->cells);
	if (!g->cells)
		return -ENOMEM;
	for (size_t c = 0; r == 0 && c < g->n_columns; c++) {
		r = fill_cell(g, 0, c, strdup(columns[c].header));
		for (size_t i = 1; r == 0 && i < g->n_rows; i++)
			r = fill_cell(g, i, c,
				      make_cell(&columns[c],
						json_object_array_get_idx(array, i - 1)));
	}
	return r;
}

static void grid_print(const struct grid *g, FILE *f)
{
	for (size_t i = 0; i < g->n_rows; i++)
		for (size_t c = 0; c < g->n_columns; c++) {
			const char *cell = g->cells[i * g->n_columns + c];
			bool last = c + 1 == g->n_columns;

			fprintf(f, "%s%*s%s", cell,
				last ? 0 : (int)(g->widths[c] - width(cell) + 2), "",
				last ? "\n" : "");
		}
}

int table_print(const struct column *columns, struct json_object *array)
{
	CLEANUP(grid_deinit) struct grid g = { .n_columns = 0 };

	if (grid_fill(&g, columns, array) < 0) {
		message_error(NULL, "out of memory");
		return -1;
	}
	grid_print(&g, stdout);
	return fflush(stdout) == 0 ? 0 : -1;
}

/* The words of a list of strings, else the JSON. A new string, or NULL without memory. */
static char *member_text(struct json_object *value)
{
	const int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;
	bool is_array = json_object_is_type(value, json_type_array);
	size_t n = is_array ? json_object_array_length(value) : 0;
	CLEANUP_STR char *list = NULL;
	char *longer;

	if (!value || (is_array && n == 0))
		return strdup("-");
	if (json_object_is_type(value, json_type_string))
		return strdup(json_object_get_string(value));
	if (n == 0 || !json_object_is_type(json_object_array_get_idx(value, 0), json_type_string))
		return strdup(json_object_to_json_string_ext(value, flags));
	for (size_t i = 0; i < n; i++) {
		if (asprintf(&longer, "%s%s%s", list ? list : "", list ? ", " : "",
			     json_object_get_string(json_object_array_get_idx(value, i))) < 0)
			return NULL;
		free(list);
		list = longer;
	}
	return TAKE_PTR(list);
}

static void print_member(const char *prefix, const char *key, struct json_object *value)
{
	CLEANUP_STR char *text = NULL;
	char path[128];

	(void)snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", key);
	if (json_object_is_type(value, json_type_object)) {
		json_object_object_foreach (value, inner, inner_value) {
			print_member(path, inner, inner_value);
		}
		return;
	}
	text = member_text(value);
	printf("%-28s %s\n", path, text ? message_clean(text) : "?"); /* it may be a stranger's */
}

int table_print_object(struct json_object *object)
{
	print_member("", "", object);
	return fflush(stdout) == 0 ? 0 : -1;
}
