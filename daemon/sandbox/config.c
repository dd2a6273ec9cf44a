/* SPDX-License-Identifier: Apache-2.0 */
/* Keys are a table: section, name, what to do with the value. What is not in it is a problem, which
 * is logged with file and line; main.c decides whether problems are fatal (--check-config). libinih
 * does not tell the line in Debian's build, so lines are counted as they are read. */

#include "sandbox/config.h"

#include <dirent.h>
#include <ini.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bounds.h"
#include "util/path.h"
#include "util/quantity.h"
#include "util/strings.h"

#define CONFIG_NAME "sandboxd.conf"
#define CPU_MILLI_MAX 100000000

struct reader {
	struct config *config;
	FILE *file;
	const char *path;
	unsigned line;
};

static void __attribute__((format(printf, 2, 3))) problem(struct reader *r, const char *format, ...)
{
	CLEANUP_STR char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	r->config->problems++;
	log_warning("%s:%u: %s, ignoring it", r->path, r->line, text ? text : "bad value");
}

/* ---- setters: 0 or negative errno, which becomes a problem ---- */

static int set_path(const char *value, void *field)
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

static int set_text(const char *value, void *field)
{
	char **text = field;
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

static int set_size(const char *value, void *field)
{
	uint64_t *bytes = field;
	int64_t size;
	int r = quantity_size(value, &size);

	if (r == 0)
		*bytes = (uint64_t)size;
	return r;
}

static int set_duration(const char *value, void *field)
{
	return quantity_duration(value, field);
}

/* How long a runtime may take. */
static int set_patience(const char *value, void *field)
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

static int set_count(const char *value, void *field)
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

static int set_count64(const char *value, void *field)
{
	uint32_t count;
	uint64_t *wide = field;
	int r = set_count(value, &count);

	if (r == 0)
		*wide = count;
	return r;
}

/* "1.5" CPUs -> 1500 */
static int set_cpus(const char *value, void *field)
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

static int set_bool(const char *value, void *field)
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

static int set_durable(const char *value, void *field)
{
	bool *full = field;

	if (strcmp(value, "full") != 0 && strcmp(value, "normal") != 0)
		return -EINVAL;
	*full = strcmp(value, "full") == 0;
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

static int set_level(const char *value, void *field)
{
	return config_parse_level(value, field);
}

static int set_network(const char *value, void *field)
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

struct key {
	const char *section;
	const char *name;
	int (*set)(const char *value, void *field);
	size_t offset;
};

#define KEY(section, name, set, field)                                                             \
	{                                                                                          \
		section, name, set, offsetof(struct config, field)                                 \
	}
static const struct key config_keys[] = {
	KEY("daemon", "log_level", set_level, log_level),
	KEY("daemon", "durable", set_durable, durable),
	KEY("daemon", "socket_group", set_text, socket_group),
	KEY("daemon", "libexec_dir", set_path, libexec_dir),
	KEY("daemon", "seccomp_profile", set_path, seccomp_profile),
	KEY("daemon", "allow_host", set_bool, allow_host),
	KEY("limits", "memory", set_size, limits.memory_bytes),
	KEY("limits", "shm", set_size, limits.shm_bytes),
	KEY("limits", "cpus", set_cpus, limits.cpu_milli),
	KEY("limits", "pids", set_count, limits.pids),
	KEY("limits", "sandboxes_per_user", set_count64, sandboxes_per_uid),
	KEY("runtime crun", "path", set_path, crun),
	KEY("runtime crun", "timeout", set_patience, create_timeout_ms),
	KEY("network", "default", set_network, network_default),
};

#define TOOL_KEY(name, set, field)                                                                 \
	{                                                                                          \
		"tool", name, set, offsetof(struct config_tool, field)                             \
	}
static const struct key tool_keys[] = {
	TOOL_KEY("version", set_text, version),
	TOOL_KEY("node_version", set_text, node_version),
	TOOL_KEY("registry", set_text, registry),
	TOOL_KEY("build_timeout", set_duration, build_timeout_ms),
};

static struct config_tool *tool_make(struct config *c, const char *name)
{
	struct config_tool *t;

	for (t = c->tools; t; t = t->next)
		if (strcmp(t->name, name) == 0)
			return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->name = strdup(name);
	if (!t->name) {
		free(t);
		return NULL;
	}
	t->build_timeout_ms = -1;
	t->next = c->tools;
	c->tools = t;
	return t;
}

const struct config_tool *config_tool(const struct config *c, const char *name)
{
	const struct config_tool *t;

	for (t = c->tools; t; t = t->next)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

static void apply(struct reader *reader, const struct key *key, void *object, const char *value)
{
	int r = key->set(value, (char *)object + key->offset);

	if (r < 0)
		problem(reader, "\"%s\" is not a value for %s", value, key->name);
}

/* libinih: 1 goes on, 0 marks the line as an error; wrong keys are our own matter. */
static int on_key(void *userdata, const char *section, const char *name, const char *value)
{
	struct reader *reader = userdata;
	bool is_tool = string_starts(section, "tool ");
	const struct key *keys = is_tool ? tool_keys : config_keys;
	size_t n = is_tool ? ARRAY_SIZE(tool_keys) : ARRAY_SIZE(config_keys);
	void *object = reader->config;
	size_t i;

	for (i = 0; i < n; i++) {
		if (strcmp(keys[i].name, name) != 0 ||
		    (!is_tool && strcmp(keys[i].section, section) != 0))
			continue;
		if (is_tool)
			object = tool_make(reader->config, section + strlen("tool "));
		if (object)
			apply(reader, &keys[i], object, value);
		return 1;
	}
	problem(reader, "unknown key %s in section [%s]", name, section);
	return 1;
}

static char *read_line(char *line, int size, void *userdata)
{
	struct reader *reader = userdata;

	reader->line++;
	return fgets(line, size, reader->file);
}

static int load_file(struct config *c, const char *path)
{
	struct reader reader = { .config = c, .path = path };
	int r;

	reader.file = fopen(path, "re");
	if (!reader.file)
		return -errno;
	r = ini_parse_stream(read_line, &reader, on_key, &reader);
	(void)fclose(reader.file); /* only read from */
	if (r > 0) {
		reader.line = (unsigned)r;
		problem(&reader, "not a section, key = value, or comment");
	}
	return r < 0 ? -ENOMEM : 0;
}

static int is_drop_in(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot && strcmp(dot, ".conf") == 0;
}

static int load_drop_ins(struct config *c, const char *file)
{
	CLEANUP_STR char *dir = string_format("%s.d", file);
	struct dirent **entries;
	int i, n, r = 0;

	if (!dir)
		return -ENOMEM;
	n = scandir(dir, &entries, is_drop_in, alphasort);
	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (i = 0; i < n; i++) {
		CLEANUP_STR char *path = string_format("%s/%s", dir, entries[i]->d_name);

		if (r == 0)
			r = path ? load_file(c, path) : -ENOMEM;
		free(entries[i]);
	}
	free(entries);
	return r;
}

int config_set_dir(char **field, const char *option, const char *path)
{
	CLEANUP_STR char *cwd = NULL;
	char *full;

	if (path[0] == '/') {
		full = strdup(path);
	} else {
		cwd = getcwd(NULL, 0);
		full = cwd ? string_format("%s/%s", cwd, path) : NULL;
	}
	if (!full)
		return -ENOMEM;
	if (!path_is_clean(full)) {
		log_error("%s %s: give it without \"..\", \".\" and double or trailing slashes",
			  option, path);
		free(full);
		return -EINVAL;
	}
	free(*field);
	*field = full;
	return 0;
}

int config_load(struct config *c, const char *file)
{
	CLEANUP_STR char *standard = NULL;
	bool given = file != NULL;
	int r;

	if (given && config_set_dir(&c->file, "--config", file) < 0)
		return -EINVAL;
	if (!given)
		file = standard = string_format("%s/" CONFIG_NAME, c->config_dir);
	if (!file)
		return -ENOMEM;
	r = load_file(c, file);
	if (r == -ENOENT && !given)
		r = 0;
	if (r < 0)
		return log_errno(LOG_LEVEL_ERROR, r, "cannot read %s", file);
	r = load_drop_ins(c, file);
	if (r < 0)
		return log_errno(LOG_LEVEL_ERROR, r, "cannot read %s.d", file);
	return 0;
}

/* $NAME/sandboxd, or HOME/FALLBACK/sandboxd. */
static char *user_dir(const char *name, const char *fallback)
{
	const char *base = getenv(name);
	const char *home = getenv("HOME");

	if (base && path_is_clean(base))
		return string_format("%s/sandboxd", base);
	if (!home || !path_is_clean(home))
		return NULL;
	return string_format("%s/%s/sandboxd", home, fallback);
}

static void default_dirs(struct config *c, uid_t uid)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (uid == 0) {
		c->state_dir = strdup("/var/lib/sandboxd");
		c->runtime_dir = strdup("/run/sandboxd");
		c->config_dir = strdup("/etc/sandboxd");
		return;
	}
	c->state_dir = user_dir("XDG_STATE_HOME", ".local/state");
	c->config_dir = user_dir("XDG_CONFIG_HOME", ".config");
	if (runtime && path_is_clean(runtime))
		c->runtime_dir = string_format("%s/sandboxd", runtime);
	else
		c->runtime_dir = string_format("/tmp/sandboxd-%u", (unsigned)uid);
}

int config_new(struct config **ret, uid_t uid)
{
	CLEANUP(config_freep) struct config *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	default_dirs(c, uid);
	c->socket_group = strdup("sandboxd");
	if (!c->runtime_dir || !c->socket_group)
		return -ENOMEM;
	if (!c->state_dir || !c->config_dir) /* no usable HOME: the command line may still say */
		c->config_dir = c->config_dir ? c->config_dir : strdup("/nonexistent");
	c->log_level = LOG_LEVEL_INFO;
	c->limits.pids = SANDBOX_PIDS_DEFAULT;
	c->limits.shm_bytes = SANDBOX_SHM_DEFAULT;
	c->sandboxes_per_uid = SANDBOXES_PER_UID_MAX;
	c->network_default = NETWORK_NONE;
	c->create_timeout_ms = KEEPER_CREATE_TIMEOUT_MS;
	*ret = TAKE_PTR(c);
	return 0;
}

void config_free(struct config *c)
{
	struct config_tool *t;

	if (!c)
		return;
	while ((t = c->tools)) {
		c->tools = t->next;
		free(t->name);
		free(t->version);
		free(t->node_version);
		free(t->registry);
		free(t);
	}
	free(c->state_dir);
	free(c->runtime_dir);
	free(c->config_dir);
	free(c->file);
	free(c->libexec_dir);
	free(c->socket_group);
	free(c->crun);
	free(c->seccomp_profile);
	free(c);
}
