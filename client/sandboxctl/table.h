/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* JSON objects as lines for people. */

#include <stdint.h>

struct json_object;

enum column_kind {
	COLUMN_TEXT,       /* string, number, boolean */
	COLUMN_AGE,        /* RFC 3339 time: "3m" */
	COLUMN_SPAN,       /* milliseconds, many: "24h" */
	COLUMN_SIZE,       /* bytes: "12.3M" */
	COLUMN_MILLIS,     /* milliseconds: "12.3s" */
	COLUMN_PERCENT,    /* a part of 1: "97 %" */
	COLUMN_COMMAND,    /* argument vector, cut */
	COLUMN_WORKSPACES, /* the first one's path and how many more */
};

/* A table of columns ends with one without header. PATH is dotted: "network.mode". */
struct column {
	const char *header;
	const char *path;
	enum column_kind kind;
};

/* Since 1970; 0: TEXT (may be NULL) is no RFC 3339 time in UTC. */
int64_t table_seconds(const char *text);

/* Prints an aligned table of the objects in ARRAY. Returns 0, or -1 after telling why not. */
int table_print(const struct column *columns, struct json_object *array);

/* Prints an object's members, nested ones by their path, as "name  value" lines. */
int table_print_object(struct json_object *object);
