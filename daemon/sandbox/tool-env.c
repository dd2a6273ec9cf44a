/* SPDX-License-Identifier: Apache-2.0 */
/* A closed list of variables: the daemon's environment may hold anything, and what is given to a
 * build is given to every package script that it runs. Of paths only those that a sandbox shows. */

#include "sandbox/tool-env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "util/fd.h"
#include "util/path.h"

#define NPMRC_MAX (64 * 1024)

static const char *const passed[] = {
	"NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE",
	"SSL_CERT_DIR",        "http_proxy",
	"https_proxy",         "no_proxy",
	"all_proxy",           "HTTP_PROXY",
	"HTTPS_PROXY",         "NO_PROXY",
	"ALL_PROXY",           "npm_config_registry",
	"npm_config_cafile",   "npm_config_strict_ssl",
	"npm_config_proxy",    "npm_config_https_proxy",
	"npm_config_noproxy",  "NPM_CONFIG_REGISTRY",
	"NPM_CONFIG_CAFILE",
};

static bool is_path(const char *variable)
{
	return strstr(variable, "CERT") || strstr(variable, "cafile") || strstr(variable, "CAFILE");
}

/* The host template shows /usr and /etc/ssl at their own places. */
static int add(struct string_list *l, const char *variable, const char *value)
{
	if (is_path(variable) && !(path_is_clean(value) && (path_is_below(value, "/usr") ||
							    path_is_below(value, "/etc/ssl"))))
		return 0;
	return string_list_set_env(l, variable, value);
}

static int add_environment(struct string_list *l)
{
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
		const char *value = getenv(passed[i]);
		int r = value ? add(l, passed[i], value) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static bool has(const struct string_list *l, const char *key)
{
	size_t length = strlen(key);

	for (size_t i = 0; i < l->count; i++)
		if (!strncmp(l->items[i], key, length) && l->items[i][length] == '=')
			return true;
	return false;
}

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (*text == ' ' || *text == '\t')
		text++;
	while (end > text && strchr(" \t\r", end[-1]))
		*--end = '\0';
	return text;
}

/* One "key = value" line; only two keys count. */
static int add_npmrc_line(char *line, struct string_list *l)
{
	char *equals = strchr(line, '=');
	const char *key, *variable;

	if (!equals)
		return 0;
	*equals = '\0';
	key = trim(line);
	if (string_equal(key, "registry"))
		variable = "npm_config_registry";
	else if (string_equal(key, "cafile"))
		variable = "npm_config_cafile";
	else
		return 0;
	return has(l, variable) ? 0 : add(l, variable, trim(equals + 1));
}

static int add_npmrc(struct string_list *l)
{
	const char *home = getenv("HOME");
	CLEANUP_STR char *path = home ? string_format("%s/.npmrc", home) : NULL;
	CLEANUP_STR char *text = NULL;
	size_t size = 0;
	int r = 0;

	if (!home)
		return 0;
	if (!path)
		return -ENOMEM;
	if (fd_read_file(AT_FDCWD, path, NPMRC_MAX, &text, &size) < 0)
		return 0; /* there is none, or none that we may read: npm's defaults */
	for (char *rest = text, *line; r == 0 && (line = strsep(&rest, "\n"));)
		r = add_npmrc_line(line, l);
	return r;
}

int tool_environment_of_host(const char *registry, struct string_list *l)
{
	int r = add_environment(l);

	if (r == 0)
		r = add_npmrc(l);
	if (r == 0 && registry)
		r = string_list_set_env(l, "npm_config_registry", registry);
	return r;
}
