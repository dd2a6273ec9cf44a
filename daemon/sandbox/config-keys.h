/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside config*.c: a section is a table of keys, and a maker of the object that they fill. A new
 * kind of section is one such table in a file of its own (config-NAME.c), listed in config.c. */

#include <stdbool.h>
#include <stddef.h>

struct config;

/* Where in which file something is said; for problems. */
struct config_place {
	const char *path;
	unsigned line;
};

struct config_key {
	const char *name;
	/* Parses VALUE into FIELD. Returns 0 or negative errno, then FIELD is unchanged and it is
	 * a problem. */
	int (*set)(const char *value, void *field);
	size_t offset; /* of the field in the section's object */
	/* Instead of both, for a key that needs the whole OBJECT. ARGUMENT is the PATH of
	 * "seed PATH = …" when has_argument, else "". */
	int (*set_in)(void *object, const char *argument, const char *value);
	bool has_argument;
};

struct config_section {
	const char *name; /* "daemon"; the X of [X NAME] */
	const struct config_key *keys;
	size_t n_keys;
	/* [X NAME]: finds or makes the object of NAME and stores it, or returns negative errno
	 * (-EINVAL: no such name can be; a problem). It keeps nothing of PLACE but a copy. NULL:
	 * the section has no name and its object is struct config itself. */
	int (*make)(struct config *c, const char *name, const struct config_place *place,
		    void **ret);
	/* A key of the object, or its value, is wrong. May be NULL: it stays as it was. */
	void (*wrong)(void *object);
	/* When all files are read: what single keys cannot tell. May be NULL. */
	void (*finish)(struct config *c);
	/* Frees all objects of the section. May be NULL. */
	void (*release)(struct config *c);
};

#define CONFIG_KEY(key, setter, type, field)                                                       \
	{                                                                                          \
		.name = (key), .set = (setter), .offset = offsetof(struct type, field)             \
	}

extern const struct config_section config_section_tool;    /* config-tool.c */
extern const struct config_section config_section_stage;   /* config-stage.c */
extern const struct config_section config_section_pool;    /* config-pool.c */
extern const struct config_section config_section_runtime; /* config-runtime.c */
extern const struct config_section config_section_secrets; /* config-secret.c */
extern const struct config_section config_section_secret;

extern const char config_built_in_tools[]; /* made from tools.conf */

/* Logs a problem of the configuration, and counts it. */
void config_problem(struct config *c, const struct config_place *place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- config-value.c: setters ---- */

int config_set_path(const char *value, void *field);     /* char *: absolute and clean */
int config_set_text(const char *value, void *field);     /* char * */
int config_set_name(const char *value, void *field);     /* char *: as names in the protocol */
int config_set_template(const char *value, void *field); /* char *: NAME, NAME:TAG, NAME@VERSION */
int config_set_size(const char *value, void *field);     /* uint64_t */
int config_set_disk(const char *value, void *field);     /* uint64_t: as limits.diskBytes */
int config_set_duration(const char *value, void *field); /* int64_t, ms */
int config_set_life(const char *value, void *field);
int config_set_patience(const char *value,
			void *field);                 /* int64_t, ms: how long a runtime may take */
int config_set_count(const char *value, void *field); /* uint32_t */
int config_set_count64(const char *value, void *field); /* uint64_t */
int config_set_cpus(const char *value, void *field);    /* uint32_t: "1.5" -> 1500 */
int config_set_bool(const char *value, void *field);    /* bool */
int config_set_on_stop(const char *value, void *field); /* bool: "stop" */
int config_set_orphan(const char *value, void *field);  /* int64_t, ms: ORPHAN_MIN_MS and more */
int config_set_durable(const char *value, void *field); /* bool: "full" */
int config_set_level(const char *value, void *field);   /* enum log_level */
int config_set_network(const char *value, void *field); /* enum network_mode */
