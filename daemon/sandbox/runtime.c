/* SPDX-License-Identifier: Apache-2.0 */
/* A runtime that cannot do something says so before anything is made: what is asked for is refused
 * with its field, never ignored. */

#include "sandbox/runtime.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "macro.h"
#include "params.h"
#include "sandbox/config.h"
#include "sandbox/sandbox-internal.h"
#include "util/path.h"
#include "util/strings.h"

#define CAN(what) (1u << RUNTIME_CAN_##what)

static const struct {
	const char *name;
	uint32_t capabilities;
} types[] = {
	[RUNTIME_CRUN] = { "crun", (1u << RUNTIME_CAN_MAX) - 1 },
	/* it insists on a root of the sandbox's */
	[RUNTIME_RUNC] = { "runc", ((1u << RUNTIME_CAN_MAX) - 1) & ~CAN(ONE_ID) },
	/* a kernel of its own: nothing of ours can enter it, and its processes are not the host's
	 */
	[RUNTIME_RUNSC] = { "runsc",
			    CAN(LIMIT_MEMORY) | CAN(TEMPLATE) | CAN(NETWORK) | CAN(USERS) },
	[RUNTIME_HOST] = { "host", CAN(PAUSE) | CAN(LIMIT_MEMORY) | CAN(LIMIT_PIDS) | CAN(TTY) |
					   CAN(ONE_ID) },
};

bool runtime_can(enum runtime_type type, enum runtime_capability what)
{
	return type < RUNTIME_TYPE_MAX && (types[type].capabilities & (1u << what)) != 0;
}

const char *runtime_type_to_string(enum runtime_type type)
{
	return type < RUNTIME_TYPE_MAX ? types[type].name : "unknown";
}

enum runtime_type runtime_type_from_string(const char *text)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(types[i].name, text) == 0)
			break;
	return (enum runtime_type)i;
}

enum runtime_type sandbox_runtime(const struct sandbox *s)
{
	const struct config_runtime *r = config_runtime(s->manager->config, s->facts.runtime);

	return r ? r->type : RUNTIME_TYPE_MAX;
}

int runtime_program(const struct config_runtime *r, char path[static RUNTIME_PATH_MAX])
{
	path[0] = '\0';
	if (r->type == RUNTIME_HOST)
		return 0;
	if (!r->path)
		return path_find_program(runtime_type_to_string(r->type), path, RUNTIME_PATH_MAX)
			       ? 0
			       : -ENOENT;
	if (snprintf(path, RUNTIME_PATH_MAX, "%s", r->path) >= RUNTIME_PATH_MAX ||
	    access(path, X_OK) < 0) {
		path[0] = '\0';
		return -ENOENT;
	}
	return 0;
}

/* ---- finding ---- */

static void refuse_unknown(const struct config *config, const char *name, struct error *reterr)
{
	CLEANUP_STR char *known = NULL;
	CLEANUP_STR char *hint = NULL;
	const struct config_runtime *r;
	char *longer;

	for (r = config->runtimes; r; r = r->next) {
		longer = string_format("%s%s%s", known ? known : "", known ? ", " : "", r->name);
		free(known);
		known = longer;
	}
	hint = known ? string_format("known runtimes: %s", known) : NULL;
	(void)error_set(reterr, ERROR_NOT_FOUND, "runtime", hint, "there is no runtime %s", name);
	error_set_resource(reterr, "runtime %s", name);
}

static void refuse_missing(const struct config_runtime *r, struct error *reterr)
{
	const char *package = runtime_type_to_string(r->type);
	CLEANUP_STR char *hint = string_format("apt-get install %s", package);

	if (r->path)
		(void)error_set(reterr, ERROR_UNAVAILABLE, "runtime", hint,
				"%s, which runtime %s is, cannot be executed", r->path, r->name);
	else
		(void)error_set(reterr, ERROR_UNAVAILABLE, "runtime", hint, "%s is not installed",
				package);
}

const struct config_runtime *runtime_find(const struct manager *m, const char *name,
					  struct error *reterr)
{
	const struct config_runtime *r = config_runtime(m->config, name);
	char path[RUNTIME_PATH_MAX];

	if (!r) {
		refuse_unknown(m->config, name, reterr);
		return NULL;
	}
	if (r->type == RUNTIME_HOST && !m->config->allow_host) {
		(void)error_set(reterr, ERROR_DENIED, "runtime",
				"[daemon] allow_host = yes in sandboxd.conf",
				"running on the host without isolation is not allowed here");
		return NULL;
	}
	if (runtime_program(r, path) < 0) {
		refuse_missing(r, reterr);
		return NULL;
	}
	return r;
}

static bool is_full(const struct config_runtime *r)
{
	return runtime_can(r->type, RUNTIME_CAN_TEMPLATE) && runtime_can(r->type, RUNTIME_CAN_SAVE);
}

const char *runtime_choose(const struct config *config, const struct sandbox_create_params *p,
			   bool own)
{
	const struct config_runtime *r;
	char path[RUNTIME_PATH_MAX];

	if (p->runtime || !own)
		return p->runtime ? p->runtime : config->runtime;
	r = config_runtime(config, config->runtime);
	if (r && is_full(r))
		return config->runtime;
	for (r = config->runtimes; r; r = r->next)
		if (is_full(r) && runtime_program(r, path) == 0)
			return r->name;
	return CONFIG_RUNTIME_DEFAULT;
}

/* ---- what it cannot do ---- */

int runtime_check(const struct config_runtime *r, const struct sandbox_create_params *p,
		  struct error *reterr)
{
	const bool host_template = p->template_name && strcmp(p->template_name, "host") == 0;
	const bool own_network =
		p->network.mode != NETWORK_UNSET && p->network.mode != NETWORK_HOST;
	const struct {
		bool asked;
		enum runtime_capability needed;
		const char *field;
	} wishes[] = {
		{ p->limits.memory_bytes > 0, RUNTIME_CAN_LIMIT_MEMORY, "limits.memoryBytes" },
		{ p->limits.cpu_milli > 0, RUNTIME_CAN_LIMIT_MEMORY, "limits.cpuMilli" },
		{ p->limits.pids > 0, RUNTIME_CAN_LIMIT_PIDS, "limits.pids" },
		{ p->limits.shm_bytes > 0, RUNTIME_CAN_LIMIT_SHM, "limits.shmBytes" },
		{ p->limits.disk_bytes > 0, RUNTIME_CAN_LIMIT_DISK, "limits.diskBytes" },
		{ p->template_name && !host_template, RUNTIME_CAN_TEMPLATE, "template" },
		{ own_network, RUNTIME_CAN_NETWORK, "network.mode" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wishes); i++)
		if (wishes[i].asked && !runtime_can(r->type, wishes[i].needed))
			return error_set(reterr, ERROR_UNAVAILABLE, wishes[i].field,
					 "leave it out, or use the runtime crun",
					 "the runtime %s cannot do %s", r->name, wishes[i].field);
	return 0;
}

int runtime_check_owner(const struct config_runtime *r, uid_t owner, struct error *reterr)
{
	if (r->type != RUNTIME_HOST || owner != 0)
		return 0;
	return error_set(reterr, ERROR_UNAVAILABLE, "runtime",
			 "use a workspace of an ordinary user, or another runtime",
			 "the runtime %s cannot run as root of the host", r->name);
}

void runtime_cut_limits(const struct config_runtime *r, struct limits_params *l)
{
	if (!runtime_can(r->type, RUNTIME_CAN_LIMIT_MEMORY))
		l->memory_bytes = l->cpu_milli = 0;
	if (!runtime_can(r->type, RUNTIME_CAN_LIMIT_PIDS))
		l->pids = 0;
	if (!runtime_can(r->type, RUNTIME_CAN_LIMIT_SHM))
		l->shm_bytes = 0;
	if (!runtime_can(r->type, RUNTIME_CAN_LIMIT_DISK))
		l->disk_bytes = 0;
}
