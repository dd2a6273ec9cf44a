/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon sees other folders than we do when it is told "." or "~": paths are made absolute
 * here. It opens and checks what it is told itself. */

#include "workspace.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "message.h"

#define BASENAME_MAX 64

static bool cut_suffix(char *text, const char *suffix)
{
	size_t n = strlen(text);
	size_t m = strlen(suffix);

	if (n <= m || strcmp(text + n - m, suffix) != 0)
		return false;
	text[n - m] = '\0';
	return true;
}

/* "~" and "~/...": a shell does not expand it behind "=" or in quotes. */
static char *expand_home(const char *text)
{
	const char *home = getenv("HOME");
	char *path;

	if (text[0] != '~' || (text[1] != '/' && text[1] != '\0') || !home)
		return strdup(text);
	return asprintf(&path, "%s%s", home, text + 1) < 0 ? NULL : path;
}

int workspace_argument_parse(struct workspace_argument *w, const char *text)
{
	CLEANUP_STR char *copy = strdup(text);
	CLEANUP_STR char *expanded = NULL;

	*w = (struct workspace_argument){ .path = NULL };
	if (copy)
		w->read_only = cut_suffix(copy, ":ro");
	expanded = copy ? expand_home(copy) : NULL;
	if (!expanded) {
		message_error(NULL, "out of memory");
		return -1;
	}
	w->path = realpath(expanded, NULL);
	if (w->path)
		return 0;
	message_error(errno == ENOENT ? "a workspace is a folder that exists" : NULL,
		      "workspace %s: %s", text, strerror(errno));
	return -1;
}

void workspace_argument_deinit(struct workspace_argument *w)
{
	free(w->path);
	w->path = NULL;
}

/* FNV-1a: two folders of one name get two sandboxes. Not a secret and not a checksum. */
static uint32_t hash(const char *text)
{
	uint32_t h = 2166136261u;

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 16777619u;
	return h;
}

static bool is_name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       strchr("._+-", c);
}

char *workspace_sandbox_name(const char *tool, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash && slash[1] ? slash + 1 : "root";
	char *name;

	if (asprintf(&name, "%.32s-%.*s-%08x", tool, BASENAME_MAX, base, hash(path)) < 0)
		return NULL;
	for (char *p = name; *p; p++)
		if (!is_name_character(*p))
			*p = '-';
	return name;
}
