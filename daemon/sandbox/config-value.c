/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/config-keys.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "sandbox/config.h"
#include "util/path.h"
#include "util/quantity.h"

#define CPU_MILLI_MAX 100000000

int config_set_path(const char *value, void *field)
{
	char **text = field;
	char *copy;

	if (!path_is_clean(value))
		return -EINVAL;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

int config_set_text(const char *value, void *field)
{
	char **text = field;
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

/* As proto/decode.c has it. */
static bool is_name(const char *text)
{
	static const char allowed[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._+-";
	size_t length = strlen(text);

	return length > 0 && length <= NAME_LENGTH_MAX && strspn(text, allowed) == length &&
	       !strchr("._+-", text[0]);
}

int config_set_name(const char *value, void *field)
{
	return is_name(value) ? config_set_text(value, field) : -EINVAL;
}

int config_set_template(const char *value, void *field)
{
	size_t length = strcspn(value, ":@");
	char name[NAME_LENGTH_MAX + 1];

	if (length > NAME_LENGTH_MAX || strlen(value) > NAME_LENGTH_MAX)
		return -EINVAL;
	memcpy(name, value, length);
	name[length] = '\0';
	if (!is_name(name) || (value[length] && !is_name(value + length + 1)))
		return -EINVAL;
	return config_set_text(value, field);
}

int config_set_size(const char *value, void *field)
{
	uint64_t *bytes = field;
	int64_t size;
	int r = quantity_size(value, &size);

	if (r == 0)
		*bytes = (uint64_t)size;
	return r;
}

/* As the protocol has it for diskBytes; 0: none. */
int config_set_disk(const char *value, void *field)
{
	uint64_t size, *bytes = field;
	int r = config_set_size(value, &size);

	if (r < 0)
		return r;
	if (size > 0 && size < SANDBOX_DISK_MIN)
		return -ERANGE;
	*bytes = size;
	return 0;
}

int config_set_duration(const char *value, void *field)
{
	return quantity_duration(value, field);
}

/* How long a runtime may take. */
int config_set_patience(const char *value, void *field)
{
	int64_t ms, *patience = field;
	int r = quantity_duration(value, &ms);

	if (r < 0)
		return r;
	if (ms < 1000 || ms > KEEPER_CREATE_TIMEOUT_MAX_MS)
		return -ERANGE;
	*patience = ms;
	return 0;
}

/* As the protocol has it for ttlMs and idleTimeoutMs. */
int config_set_life(const char *value, void *field)
{
	int64_t ms, *life = field;
	int r = quantity_duration(value, &ms);

	if (r < 0)
		return r;
	if (ms < SANDBOX_LIFE_MIN_MS || ms > SANDBOX_LIFE_MAX_MS)
		return -ERANGE;
	*life = ms;
	return 0;
}

int config_set_count(const char *value, void *field)
{
	uint32_t *count = field;
	int64_t number;
	int r = quantity_count(value, &number);

	if (r < 0)
		return r;
	if (number > UINT32_MAX)
		return -ERANGE;
	*count = (uint32_t)number;
	return 0;
}

int config_set_count64(const char *value, void *field)
{
	uint32_t count;
	uint64_t *wide = field;
	int r = config_set_count(value, &count);

	if (r == 0)
		*wide = count;
	return r;
}

/* "1.5" CPUs -> 1500 */
int config_set_cpus(const char *value, void *field)
{
	uint32_t *milli = field;
	int64_t number;
	int r = quantity_cpus(value, &number);

	if (r < 0)
		return r;
	if (number < 1 || number > CPU_MILLI_MAX)
		return -ERANGE;
	*milli = (uint32_t)number;
	return 0;
}

int config_set_bool(const char *value, void *field)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };
	bool *flag = field;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
			*flag = strcmp(value, yes[i]) == 0;
			return 0;
		}
	}
	return -EINVAL;
}

int config_set_durable(const char *value, void *field)
{
	bool *full = field;

	if (strcmp(value, "full") != 0 && strcmp(value, "normal") != 0)
		return -EINVAL;
	*full = strcmp(value, "full") == 0;
	return 0;
}

int config_set_on_stop(const char *value, void *field)
{
	bool *stop = field;

	if (strcmp(value, "stop") != 0 && strcmp(value, "keep") != 0)
		return -EINVAL;
	*stop = strcmp(value, "stop") == 0;
	return 0;
}

/* Without any time a restart would be the end of all sandboxes. */
int config_set_orphan(const char *value, void *field)
{
	int64_t ms, *orphan = field;
	int r = quantity_duration(value, &ms);

	if (r < 0)
		return r;
	if (ms < ORPHAN_MIN_MS || ms > SANDBOX_LIFE_MAX_MS)
		return -ERANGE;
	*orphan = ms;
	return 0;
}

int config_parse_level(const char *text, enum log_level *ret)
{
	static const char *const names[] = { "error", "warning", "notice", "info", "debug" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

int config_set_level(const char *value, void *field)
{
	return config_parse_level(value, field);
}

int config_set_network(const char *value, void *field)
{
	enum network_mode *mode = field;

	if (strcmp(value, "none") == 0)
		*mode = NETWORK_NONE;
	else if (strcmp(value, "host") == 0)
		*mode = NETWORK_HOST;
	else
		return -EINVAL;
	return 0;
}
