/* SPDX-License-Identifier: Apache-2.0 */
/* Makes and unmakes everything in struct manager, in order, and sweeps what a daemon that died
 * left half made. What runs is taken over, sandbox by sandbox (sandbox-adopt.c). */

#include "sandbox/manager.h"

#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sandbox/cgroup.h"
#include "sandbox/config.h"
#include "sandbox/disk-quota.h"
#include "sandbox/event-log.h"
#include "sandbox/event.h"
#include "sandbox/exec-activity.h"
#include "sandbox/exec.h"
#include "sandbox/instance.h"
#include "sandbox/journal.h"
#include "sandbox/keeper-client.h"
#include "sandbox/pool-set.h"
#include "sandbox/pool-settings.h"
#include "sandbox/pool.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/workspace.h"
#include "secret/audit.h"
#include "secret/lease.h"
#include "secret/login.h"
#include "secret/provider-agent-secrets.h"
#include "secret/provider-env.h"
#include "secret/vault.h"
#include "store/store.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/path.h"
#include "util/strings.h"
#include "util/time.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_MAX 64
#define STOP_BOOT_MS 2000   /* that a boot under way gets at a clean stop */
#define STOP_START_MS 10000 /* that a command gets which begins just then */

/* Whether what an earlier daemon left can still run. */
static void load_boot(struct manager *m, bool is_new)
{
	CLEANUP_STR char *now = NULL;
	CLEANUP_STR char *before = NULL;

	if (fd_read_file(AT_FDCWD, BOOT_ID, BOOT_ID_MAX, &now, NULL) < 0)
		return;
	if (store_meta_get(m->store, "boot", &before) < 0)
		return;
	/* a database that was lost: it can be, and asking does no harm */
	m->same_boot = before ? strcmp(now, before) == 0 : !is_new;
	if ((!before || !m->same_boot) && store_meta_set(m->store, "boot", now) < 0)
		log_warning("the database does not take the boot id, going on");
}

static int open_dirs(struct manager *m)
{
	m->state_fd = open(m->config->state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	m->runtime_fd = open(m->config->runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->state_fd < 0 || m->runtime_fd < 0)
		return -errno;
	return 0;
}

/* PATH without links and dots, as it is if it does not exist; NULL without memory. */
static char *canonical(const char *path)
{
	char *real = realpath(path, NULL);

	return real ? real : strdup(path);
}

static int find_places(struct manager *m)
{
	m->places = (struct own_places){ canonical(m->config->state_dir),
					 canonical(m->config->runtime_dir),
					 canonical(m->config->config_dir) };
	return m->places.state && m->places.runtime && m->places.config ? 0 : -ENOMEM;
}

static void forget_places(struct manager *m)
{
	free(TAKE_PTR(m->places.state));
	free(TAKE_PTR(m->places.runtime));
	free(TAKE_PTR(m->places.config));
}

struct workspace_policy manager_workspace_policy(const struct manager *m, uid_t peer)
{
	return (struct workspace_policy){ .peer = peer,
					  .state_dir = m->places.state,
					  .runtime_dir = m->places.runtime,
					  .config_dir = m->places.config };
}

/* Sockets in them that were made before the machine was started are nobody's. */
static int make_runtime_dirs(struct manager *m)
{
	static const char *const names[] = { "sandboxes", "keepers" };
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		r = m->same_boot ? 0 : path_remove_tree(m->runtime_fd, names[i]);
		if (r < 0)
			return r;
		if (mkdirat(m->runtime_fd, names[i], 0700) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static void look_for_runtime(const struct manager *m)
{
	const struct config_runtime *r = config_runtime(m->config, m->config->runtime);
	char path[RUNTIME_PATH_MAX];

	if (!r || runtime_program(r, path) < 0)
		log_warning("the runtime %s is not installed: no sandbox can be made with it",
			    m->config->runtime);
}

/* The system's service is closed to much that keepers do, a user's is not. */
static void find_unit_manager(struct manager *m)
{
	int r;

	m->units = unit_manager_of_self(m->is_root);
	if (m->units == UNIT_MANAGER_NONE)
		return;
	r = unit_manager_reach(m->units);
	if (r == 0) {
		log_info("keepers are services of systemd");
		return;
	}
	if (m->units == UNIT_MANAGER_SYSTEM) {
		log_errno(LOG_LEVEL_WARNING, r,
			  "no sandbox can be made until systemd can be asked over D-Bus");
		return;
	}
	m->units = UNIT_MANAGER_NONE;
	log_errno(LOG_LEVEL_WARNING, r,
		  "systemd cannot be asked over D-Bus (dbus-user-session): keepers belong to this "
		  "service, and sandboxes end with it");
}

static int make_tables(struct manager *m)
{
	int r;

	r = cgroups_new(&m->cgroups, m->instance, m->is_root, m->units != UNIT_MANAGER_NONE,
			m->same_boot);
	if (r == 0)
		r = keeper_table_new(m, &m->keepers);
	if (r == 0)
		r = home_cache_new(&m->homes);
	if (r == 0)
		r = pool_table_new(m, &m->pools);
	if (r == 0)
		r = sandbox_table_new(&m->sandboxes);
	if (r == 0) {
		sandbox_timers_init(m);
		r = template_table_new(m, &m->templates);
	}
	if (r == 0)
		r = pool_settings_table_new(m, &m->pool_settings);
	return r;
}

int manager_init(struct manager *m)
{
	bool is_new = false;
	int r;

	m->started_at_ms = time_monotonic_ms();
	m->state_fd = m->runtime_fd = -1;
	find_unit_manager(m);
	r = open_dirs(m);
	if (r == 0)
		r = find_places(m);
	if (r == 0)
		r = instance_load(m, &is_new);
	if (r == 0) {
		load_boot(m, is_new);
		r = make_runtime_dirs(m);
	}
	if (r < 0)
		return r;
	look_for_runtime(m);
	disk_quota_init(m);
	r = event_log_new(m, &m->events);
	if (r == 0) {
		event_daemon(m, EVENT_DAEMON_STARTED);
		r = activity_new(m, &m->activity);
	}
	if (r == 0)
		r = make_tables(m);
	if (r == 0)
		r = vault_new(m->base, m->state_fd, m->config, &m->vault);
	if (r == 0)
		r = audit_new(m, &m->audit);
	if (r == 0)
		r = journal_new(m, &m->journal); /* before the rows change */
	if (r == 0)
		r = sandbox_rows_load(m, m->same_boot ? NULL : "host_crash");
	if (r == 0)
		r = exec_table_new(m, &m->execs);
	if (r == 0)
		r = loop_table_new(m, &m->loops);
	if (r == 0)
		r = env_secrets_new(m, &m->env_secrets);
	if (r == 0)
		r = login_table_new(m, &m->logins);
	if (r == 0)
		r = lease_table_new(m, &m->leases);
	if (r < 0)
		return r;
	event_end_lost(m);
	keeper_table_find(m);
	sandbox_table_sweep(m);
	template_sweep(m);
	pool_start(m);
	return 0;
}

bool manager_is_adopting(const struct manager *m)
{
	return keeper_table_is_finding(m) || sandbox_table_is_adopting(m);
}

static bool has_something(uid_t owner, void *userdata)
{
	const struct manager *m = userdata;

	return keeper_table_has(m, owner) || sandbox_any_of(m, owner);
}

/* Each has a directory for its socket while it runs. */
static void sweep_sockets(const struct manager *m)
{
	int fd = openat(m->runtime_fd, "sandboxes", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	const struct sandbox *s;

	if (!d) {
		(void)close_fd(fd);
		return;
	}
	while ((entry = readdir(d))) {
		s = table_find(&m->sandboxes->by_id, entry->d_name);
		if (entry->d_name[0] != '.' && (!s || (!sandbox_is_up(s) && !s->ops)))
			(void)path_remove_tree(dirfd(d), entry->d_name); /* with the next start */
	}
	(void)closedir(d); /* only read from */
}

void manager_adopted(struct manager *m)
{
	cgroups_sweep(m->cgroups, has_something, m);
	sweep_sockets(m);
}

/* Whether the next daemon finds something running. */
static bool is_left(const struct manager *m)
{
	return m->sandboxes && m->config && !m->config->stop_sandboxes &&
	       manager_sandbox_count_in(m, SANDBOX_STATE_RUNNING) +
			       manager_sandbox_count_in(m, SANDBOX_STATE_PAUSED) >
		       0;
}

void manager_deinit(struct manager *m)
{
	m->leaving = is_left(m);
	loop_table_free(m->loops);
	m->loops = NULL;
	if (m->execs)
		exec_table_free(TAKE_PTR(m->execs));
	if (m->templates)
		template_table_free(TAKE_PTR(m->templates));
	sandbox_table_free(m);
	if (m->leases) /* those of what has ended are gone */
		lease_table_free(TAKE_PTR(m->leases));
	env_secrets_free(TAKE_PTR(m->env_secrets));
	provider_agent_secrets_stop(m);
	pool_table_free(TAKE_PTR(m->pools));
	pool_settings_table_free(TAKE_PTR(m->pool_settings));
	home_cache_free(TAKE_PTR(m->homes));
	keeper_table_free(m);
	journal_free(TAKE_PTR(m->journal));
	cgroups_free(TAKE_PTR(m->cgroups), m->leaving);
	vault_free(TAKE_PTR(m->vault)); /* what it gives up is noted */
	audit_free(TAKE_PTR(m->audit));
	login_table_free(TAKE_PTR(m->logins));
	activity_free(TAKE_PTR(m->activity));
	event_log_free(m->events);
	m->events = NULL;
	if (m->runtime_fd >= 0 && !m->leaving) {
		(void)path_remove_tree(m->runtime_fd, "sandboxes"); /* swept at the next start */
		(void)path_remove_tree(m->runtime_fd, "keepers");
	}
	m->state_fd = close_fd(m->state_fd);
	m->runtime_fd = close_fd(m->runtime_fd);
	forget_places(m);
}

bool manager_stop(struct manager *m)
{
	int64_t now = time_monotonic_ms();

	if (!m->stopping) {
		m->stopping = true;
		m->stop_at_ms = now;
		event_daemon(m, EVENT_DAEMON_STOPPING);
		pool_table_stop(m);
		(void)sandbox_table_stop(m); /* asked again below */
	}
	/* only when it runs does it have a row, without which nobody finds it again */
	if (now - m->stop_at_ms <= STOP_START_MS && exec_table_is_starting(m))
		return true;
	if (!sandbox_table_busy(m))
		return keeper_table_shutdown(m, !m->config->stop_sandboxes) ||
		       login_table_busy(m->logins) || vault_is_busy(m->vault) ||
		       m->provider_writes > 0;
	/* a runtime that hangs is ended with its keeper; the boot then fails and is undone */
	if (now - m->stop_at_ms > STOP_BOOT_MS && sandbox_table_boots_only(m))
		(void)keeper_table_shutdown(m, !m->config->stop_sandboxes); /* busy until they go */
	return true;
}
