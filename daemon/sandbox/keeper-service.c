/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon that is a service of systemd's asks for one for each keeper: it is none of ours to stop,
 * has a cgroup of its own for its sandboxes, and none of our hardening, which would take homes,
 * namespaces and newuidmap from it.
 *
 * Nobody connects to it before it was moved to a leaf of its cgroup: it begins to fork then, and
 * what it forks would stay behind in a cgroup that may hold no process. */

#include <string.h>

#include "sandbox/cgroup.h"
#include "sandbox/keeper-internal.h"
#include "util/child.h"
#include "util/id.h"
#include "util/log.h"
#include "util/strings.h"

void keeper_follow(const struct keeper_client *k, pid_t pid)
{
	int r = cgroups_follow(k->manager->cgroups, k->owner.uid, pid);

	if (r < 0)
		log_errno(LOG_LEVEL_WARNING, r, "the cgroup of the keeper of uid %u is not known",
			  (unsigned)k->owner.uid);
}

static void on_service_ended(struct child *c, bool exited, int status, void *userdata)
{
	struct keeper_client *k = userdata;

	(void)c; /* freed with the client */
	(void)exited;
	(void)status;
	if (k->state == KEEPER_STATE_STARTING && !k->start_error)
		k->start_error = strdup("it ended before it was ready; its log says why");
	keeper_die(k);
}

static int take(struct keeper_client *k, pid_t pid, int pidfd, char **ret_reason)
{
	const struct child_config config = { .base = k->manager->base,
					     .ended = on_service_ended,
					     .userdata = k };
	int r;

	r = child_watch(&k->child, &config, pid, pidfd);
	if (r < 0)
		return r;
	keeper_follow(k, pid);
	return keeper_greet(k, ret_reason);
}

static void on_unit_started(struct unit_start *u, int error, const char *reason, pid_t pid,
			    int pidfd, void *userdata)
{
	struct keeper_client *k = userdata;
	CLEANUP_STR char *why = NULL;

	(void)u; /* freed with the client */
	if (k->state != KEEPER_STATE_STARTING) {
		(void)close_fd(pidfd); /* it gives up by itself when nobody connects */
		return;
	}
	if (error == 0) {
		error = take(k, pid, pidfd, &why);
		reason = why;
	}
	if (error == 0)
		return;
	k->start_error =
		string_format("%s%s%s", reason ? reason : "", reason ? ": " : "", strerror(-error));
	keeper_die(k);
}

/* Each has a name that was never used: nobody knows when systemd has done with the one before. */
int keeper_service_start(struct keeper_client *k, struct keeper_process *p)
{
	const unsigned uid = (unsigned)k->owner.uid;
	CLEANUP_STR char *description = string_format("Sandboxes of uid %u", uid);
	CLEANUP_STR char *name = NULL;
	char unique[SHORT_ID_SIZE];
	struct unit_config config = { .base = k->manager->base,
				      .manager = k->manager->units,
				      .kind = UNIT_KEEPER,
				      .description = description,
				      .envp = (const char *const *)p->env.items,
				      .fds = { p->listener, p->join, -1 },
				      .done = on_unit_started,
				      .userdata = k };
	int r = id_make_short(unique);

	if (r == 0)
		r = string_list_add(&p->args, "--stdio");
	if (r < 0)
		return r;
	name = string_format(CGROUP_SERVICE_PREFIX "%u-%s-%s.service", uid, k->manager->instance,
			     unique);
	if (!name || !description)
		return -ENOMEM;
	config.name = name;
	config.argv = (const char *const *)p->args.items;
	return unit_start(&k->unit, &config);
}
