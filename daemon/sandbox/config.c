/* SPDX-License-Identifier: Apache-2.0 */
/* Sections are tables of keys (config-keys.h). What is in none of them is a problem, which is
 * logged with file and line; main.c decides whether problems are fatal (--check-config). libinih
 * does not tell the line in Debian's build, so lines are counted as they are read. */

#include "sandbox/config.h"

#include <dirent.h>
#include <ini.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "sandbox/config-keys.h"
#include "sandbox/stage.h"
#include "util/path.h"
#include "util/space.h"
#include "util/strings.h"

#define CONFIG_NAME "sandboxd.conf"

struct reader {
	struct config *config;
	FILE *file;
	struct config_place place;
};

void config_problem(struct config *c, const struct config_place *place, const char *format, ...)
{
	CLEANUP_STR char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (c->problems++ == 0)
		c->first_problem = string_format("%s:%u: %s", place->path, place->line,
						 text ? text : "bad value");
	log_warning("%s:%u: %s, ignoring it", place->path, place->line, text ? text : "bad value");
}

static const struct config_key daemon_keys[] = {
	CONFIG_KEY("log_level", config_set_level, config, log_level),
	CONFIG_KEY("durable", config_set_durable, config, durable),
	CONFIG_KEY("socket_group", config_set_text, config, socket_group),
	CONFIG_KEY("libexec_dir", config_set_path, config, libexec_dir),
	CONFIG_KEY("seccomp_profile", config_set_path, config, seccomp_profile),
	CONFIG_KEY("git_identity", config_set_bool, config, git_identity),
	CONFIG_KEY("allow_host", config_set_bool, config, allow_host),
	CONFIG_KEY("runtime", config_set_name, config, runtime),
	CONFIG_KEY("on_stop", config_set_on_stop, config, stop_sandboxes),
	CONFIG_KEY("orphan_timeout", config_set_orphan, config, orphan_ms),
};

static const struct config_key limits_keys[] = {
	CONFIG_KEY("memory", config_set_size, config, limits.memory_bytes),
	CONFIG_KEY("shm", config_set_size, config, limits.shm_bytes),
	CONFIG_KEY("disk", config_set_disk, config, limits.disk_bytes),
	CONFIG_KEY("cpus", config_set_cpus, config, limits.cpu_milli),
	CONFIG_KEY("pids", config_set_count, config, limits.pids),
	CONFIG_KEY("pool_memory", config_set_size, config, pool_memory_bytes),
	CONFIG_KEY("sandboxes_per_user", config_set_count64, config, sandboxes_per_uid),
	CONFIG_KEY("min_free", config_set_size, config, min_free),
	CONFIG_KEY("spool_max", config_set_size, config, spool_max),
	CONFIG_KEY("ttl", config_set_life, config, ttl_ms),
	CONFIG_KEY("idle_timeout", config_set_life, config, idle_timeout_ms),
	CONFIG_KEY("stall_after", config_set_duration, config, stall_after_ms),
	CONFIG_KEY("events_max", config_set_count64, config, events_max),
	CONFIG_KEY("events_kept", config_set_duration, config, events_kept_ms),
	CONFIG_KEY("loops_kept", config_set_duration, config, loops_kept_ms),
	CONFIG_KEY("failed_loops_kept", config_set_duration, config, failed_loops_kept_ms),
};

static const struct config_key network_keys[] = {
	CONFIG_KEY("default", config_set_network, config, network_default),
};

static const struct config_section section_daemon = { .name = "daemon",
						      .keys = daemon_keys,
						      .n_keys = ARRAY_SIZE(daemon_keys) };
static const struct config_section section_limits = { .name = "limits",
						      .keys = limits_keys,
						      .n_keys = ARRAY_SIZE(limits_keys) };
static const struct config_section section_network = { .name = "network",
						       .keys = network_keys,
						       .n_keys = ARRAY_SIZE(network_keys) };

static const struct config_section *const sections[] = {
	&section_daemon,         &section_limits,         &section_network,
	&config_section_runtime, &config_section_tool,    &config_section_stage,
	&config_section_pool,    &config_section_secrets, &config_section_secret,
};

/* The section of TEXT, and the NAME in it ("" where sections have none); NULL: there is none. */
static const struct config_section *find_section(const char *text, const char **ret_name)
{
	size_t i, length;

	for (i = 0; i < ARRAY_SIZE(sections); i++) {
		length = strlen(sections[i]->name);
		if (strncmp(text, sections[i]->name, length) != 0)
			continue;
		*ret_name = text + length + (text[length] == ' ');
		if (sections[i]->make ? text[length] == ' ' && text[length + 1] : !text[length])
			return sections[i];
	}
	return NULL;
}

/* The key of NAME, and what follows its own name ("" where nothing may). NULL: there is none. */
static const struct config_key *find_key(const struct config_section *section, const char *name,
					 const char **ret_argument)
{
	size_t i, length;

	for (i = 0; section && i < section->n_keys; i++) {
		const struct config_key *key = &section->keys[i];

		length = strlen(key->name);
		if (strncmp(name, key->name, length) != 0)
			continue;
		*ret_argument = name + length + strspn(name + length, " \t");
		if (key->has_argument ? *ret_argument > name + length && **ret_argument
				      : !name[length])
			return key;
	}
	return NULL;
}

static int set_key(const struct config_key *key, void *object, const char *argument,
		   const char *value)
{
	if (key->set_in)
		return key->set_in(object, argument, value);
	return key->set(value, (char *)object + key->offset);
}

/* libinih: 1 goes on, 0 marks the line as an error; wrong keys are our own matter. */
static int on_key(void *userdata, const char *section, const char *name, const char *value)
{
	struct reader *reader = userdata;
	struct config *c = reader->config;
	const char *object_name = NULL;
	const struct config_section *found = find_section(section, &object_name);
	const char *argument = NULL;
	const struct config_key *key = find_key(found, name, &argument);
	void *object = c;
	int r = 0;

	if (found && found->make && (key || found->wrong))
		r = found->make(c, object_name, &reader->place, &object);
	if (r < 0) {
		config_problem(c, &reader->place, "[%s] cannot be: %s", section, strerror(-r));
		return 1;
	}
	if (!key)
		config_problem(c, &reader->place, "unknown key %s in section [%s]", name, section);
	else if (set_key(key, object, argument, value) < 0)
		config_problem(c, &reader->place, "\"%s\" is not a value for %s", value, name);
	else
		return 1;
	if (found && found->wrong)
		found->wrong(object);
	return 1;
}

static char *read_line(char *line, int size, void *userdata)
{
	struct reader *reader = userdata;

	reader->place.line++;
	return fgets(line, size, reader->file);
}

/* Takes FILE, which may be NULL with errno set. */
static int load_stream(struct config *c, FILE *file, const char *path)
{
	struct reader reader = { .config = c, .file = file, .place = { .path = path } };
	int r;

	if (!file)
		return -errno;
	r = ini_parse_stream(read_line, &reader, on_key, &reader);
	(void)fclose(file); /* only read from */
	if (r > 0) {
		reader.place.line = (unsigned)r;
		config_problem(c, &reader.place, "not a section, key = value, or comment");
	}
	return r < 0 ? -ENOMEM : 0;
}

static int load_file(struct config *c, const char *path)
{
	return load_stream(c, fopen(path, "re"), path);
}

/* What is wrong with them is our own mistake, which a unit test finds. */
static int load_built_in_tools(struct config *c)
{
	/* fmemopen() wants a buffer that it could write to, but reads only */
	FILE *file = fmemopen((void *)(uintptr_t)config_built_in_tools,
			      strlen(config_built_in_tools), "r");
	int r = load_stream(c, file, "built-in tools");

	if (r == 0)
		config_section_tool.finish(c);
	return r;
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

static void finish(struct config *c)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sections); i++)
		if (sections[i]->finish)
			sections[i]->finish(c);
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
	finish(c);
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

/* A sixteenth of the machine's, and not more than a few hundred spares need. */
static uint64_t default_pool_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t all = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;

	return all / 16 < POOL_MEMORY_DEFAULT_MAX ? all / 16 : POOL_MEMORY_DEFAULT_MAX;
}

int config_new(struct config **ret, uid_t uid)
{
	CLEANUP(config_unrefp) struct config *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->refs = 1;
	default_dirs(c, uid);
	c->socket_group = strdup("sandboxd");
	c->runtime = strdup(CONFIG_RUNTIME_DEFAULT);
	if (!c->runtime_dir || !c->socket_group || !c->runtime || config_add_runtimes(c) < 0 ||
	    config_add_secrets(c) < 0 || stages_new(&c->stages) < 0)
		return -ENOMEM;
	if (!c->state_dir || !c->config_dir) /* no usable HOME: the command line may still say */
		c->config_dir = c->config_dir ? c->config_dir : strdup("/nonexistent");
	c->log_level = LOG_LEVEL_INFO;
	c->ttl_ms = c->idle_timeout_ms = -1;
	c->limits.pids = SANDBOX_PIDS_DEFAULT;
	c->limits.shm_bytes = SANDBOX_SHM_DEFAULT;
	c->sandboxes_per_uid = SANDBOXES_PER_UID_MAX;
	c->spool_max = SPOOL_MAX_DEFAULT;
	c->min_free = SPACE_FLOOR_DEFAULT;
	c->stall_after_ms = EXEC_STALL_MS;
	c->events_max = EVENTS_MAX;
	c->events_kept_ms = EVENTS_KEPT_MS;
	c->loops_kept_ms = LOOPS_KEPT_MS;
	c->failed_loops_kept_ms = FAILED_LOOPS_KEPT_MS;
	c->network_default = NETWORK_NONE;
	c->allow_host = true;
	c->orphan_ms = ORPHAN_MS;
	c->git_identity = true;
	c->pool_memory_bytes = default_pool_memory();
	r = load_built_in_tools(c);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

struct config *config_ref(const struct config *c)
{
	struct config *own = (struct config *)(uintptr_t)c; /* const for all who only read */

	own->refs++;
	return own;
}

void config_unref(struct config *c)
{
	size_t i;

	if (!c || --c->refs > 0)
		return;
	for (i = 0; i < ARRAY_SIZE(sections); i++)
		if (sections[i]->release)
			sections[i]->release(c);
	free(c->state_dir);
	free(c->runtime_dir);
	free(c->config_dir);
	free(c->file);
	free(c->libexec_dir);
	free(c->socket_group);
	free(c->runtime);
	free(c->seccomp_profile);
	free(c->first_problem);
	free(c);
}
