/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a keeper process: its directories, its socket, its command line, its HELLO. The socket
 * is bound here and inherited, so the connection exists before the keeper accepts it; it is named,
 * so that a later daemon can find a keeper that outlived this one. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "sandbox/cgroup.h"
#include "sandbox/config.h"
#include "sandbox/keeper-internal.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/seccomp.h"
#include "util/child.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/path.h"
#include "util/strings.h"

static char *owner_dir(const struct keeper_client *k)
{
	return string_format("%s/owners/%u", k->manager->config->state_dir, (unsigned)k->owner.uid);
}

/* <state>/owners/<uid>, 0700, of the host id that the keeper's id 0 is. */
static int make_state_dir(const struct keeper_client *k)
{
	CLEANUP_STR char *all = string_format("%s/owners", k->manager->config->state_dir);
	CLEANUP_STR char *own = owner_dir(k);
	uid_t uid = owner_host_uid(&k->owner, KEEPER_ID_AGENT);
	gid_t gid = owner_host_gid(&k->owner, KEEPER_ID_AGENT);
	struct stat st;
	int r;

	if (!all || !own)
		return -ENOMEM;
	r = path_make_private(all, k->manager->is_root ? 0711 : 0700, k->manager->uid);
	if (r < 0)
		return r;
	if (mkdir(own, 0700) < 0 && errno != EEXIST)
		return -errno;
	/* "owners" is ours alone, so nobody swaps what is in it between these calls */
	if (lstat(own, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (st.st_uid != uid && lchown(own, uid, gid) < 0)
		return -errno;
	return 0;
}

/* As root the keeper may not be able to search the way to its directory, so it gets a mount. */
static int open_state_dir(const struct keeper_client *k)
{
	CLEANUP_STR char *own = owner_dir(k);
	int fd;

	if (!own)
		return -ENOMEM;
	if (k->manager->is_root)
		fd = (int)syscall(SYS_open_tree, AT_FDCWD, own,
				  (unsigned)(OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
					     AT_SYMLINK_NOFOLLOW));
	else
		fd = open(own, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

static void on_child_ended(struct child *c, bool exited, int status, void *userdata)
{
	struct keeper_client *k = userdata;

	(void)c; /* freed with the client */
	if (k->state == KEEPER_STATE_STARTING && !k->start_error)
		k->start_error = string_format("it ended with %s %d before it was ready",
					       exited ? "status" : "signal", status);
	if (!exited || status != 0)
		log_warning("the keeper of uid %u ended with %s %d", (unsigned)k->owner.uid,
			    exited ? "status" : "signal", status);
	keeper_die(k);
}

/* The keeper needs newuidmap in its PATH and nothing else of ours; sanitizers are configured by the
 * environment. */
static int make_environment(struct string_list *env)
{
	static const char *const kept[] = { "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS" };
	const char *value;
	size_t i;
	int r;

	r = string_list_add(env,
			    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	for (i = 0; r == 0 && i < ARRAY_SIZE(kept); i++) {
		value = getenv(kept[i]);
		if (value)
			r = string_list_set_env(env, kept[i], value);
	}
	return r;
}

static int make_arguments(const struct keeper_client *k, const char *binary,
			  struct string_list *args)
{
	static const char *const maps[] = { [KEEPER_MAP_OWNER] = "owner",
					    [KEEPER_MAP_SHIFTED] = "shifted",
					    [KEEPER_MAP_SINGLE] = "single" };
	const struct owner *o = &k->owner;
	const struct {
		const char *name;
		uint32_t value;
	} numbers[] = {
		{ "--owner", o->uid },           { "--group", o->gid },
		{ "--sub-uid", o->sub_uid },     { "--sub-gid", o->sub_gid },
		{ "--sub-count", o->sub_count },
	};
	size_t n = o->map == KEEPER_MAP_SINGLE ? 2 : ARRAY_SIZE(numbers);
	size_t i;
	int r;

	r = string_list_add(args, binary);
	if (r == 0)
		r = string_list_add(args, "--map");
	if (r == 0)
		r = string_list_add(args, maps[o->map]);
	for (i = 0; r == 0 && i < n; i++) {
		r = string_list_add(args, numbers[i].name);
		if (r == 0)
			r = string_list_take(args, string_format("%u", numbers[i].value));
	}
	return r;
}

/* A runtime without user namespaces has none above it that a keeper could join. */
static int namespace_to_join(const struct keeper_client *k)
{
	pid_t left = 0;
	int fd = sandbox_keeper_namespace(k->manager, k->owner.uid, &left);

	if (fd < 0)
		return fd;
	log_info("the keeper of uid %u joins what the last one left", (unsigned)k->owner.uid);
	keeper_follow(k, left);
	return fd;
}

static int start_child(struct keeper_client *k, const struct keeper_process *p)
{
	const int fds[] = { -1, -1, STDERR_FILENO, p->listener, p->join };
	const struct child_config config = { .base = k->manager->base,
					     .argv = (const char *const *)p->args.items,
					     .envp = (const char *const *)p->env.items,
					     .fds = fds,
					     .n_fds = ARRAY_SIZE(fds) - (p->join < 0),
					     .ended = on_child_ended,
					     .userdata = k };

	return child_start(&k->child, &config);
}

static void process_deinit(struct keeper_process *p)
{
	string_list_deinit(&p->args);
	string_list_deinit(&p->env);
	p->join = close_fd(p->join);
}

static int start_process(struct keeper_client *k, int listener, char **ret_reason)
{
	CLEANUP(process_deinit)
	struct keeper_process p = { .listener = listener, .join = namespace_to_join(k) };
	CLEANUP_STR char *binary = string_format("%s/sandbox-keeper", k->manager->libexec_dir);
	bool alone = k->manager->units == UNIT_MANAGER_NONE;
	int r;

	if (!binary)
		return -ENOMEM;
	if (access(binary, X_OK) < 0)
		binary = (free(binary),
			  string_format("%s/keeper/sandbox-keeper", k->manager->libexec_dir));
	r = binary ? make_arguments(k, binary, &p.args) : -ENOMEM;
	if (r == 0 && p.join >= 0)
		r = string_list_add(&p.args, "--join");
	if (r == 0)
		r = make_environment(&p.env);
	if (r == 0)
		r = alone ? start_child(k, &p) : keeper_service_start(k, &p);
	if (r < 0)
		*ret_reason = alone ? TAKE_PTR(binary)
				    : strdup("systemd cannot be asked for it over D-Bus");
	return r;
}

char *keeper_socket_path(const struct keeper_client *k)
{
	return string_format("%s/keepers/%u.sock", k->manager->config->runtime_dir,
			     (unsigned)k->owner.uid);
}

int keeper_start(struct keeper_client *k, char **ret_reason)
{
	CLEANUP_STR char *path = keeper_socket_path(k);
	CLEANUP_FD int listener = -1;
	int r;

	if (!path)
		return -ENOMEM;
	r = make_state_dir(k);
	if (r < 0) {
		*ret_reason = owner_dir(k);
		return r;
	}
	listener = fd_listen_unix(path, SOCK_SEQPACKET, 0600, 4);
	if (listener < 0) {
		*ret_reason = TAKE_PTR(path);
		return listener;
	}
	return start_process(k, listener, ret_reason);
}

int keeper_connect(struct keeper_client *k)
{
	CLEANUP_STR char *path = keeper_socket_path(k);

	if (!path)
		return -ENOMEM;
	k->socket = fd_connect_unix(path, SOCK_SEQPACKET);
	return k->socket < 0 ? k->socket : 0;
}

/* Compiled once for all keepers. */
static int seccomp_fd(struct keeper_client *k, char **ret_reason)
{
	struct keeper_table *t = k->manager->keepers;
	const char *profile = k->manager->config->seccomp_profile;
	int r;

	if (t->seccomp < 0) {
		r = seccomp_program_new(&t->seccomp, profile ? profile : SECCOMP_PROFILE_PATH);
		if (r < 0) {
			*ret_reason = string_format("the seccomp profile %s",
						    profile ? profile : SECCOMP_PROFILE_PATH);
			return r;
		}
	}
	r = fcntl(t->seccomp, F_DUPFD_CLOEXEC, 3);
	return r < 0 ? -errno : r;
}

static int add_cgroups(struct keeper_client *k, struct wire_message *m)
{
	struct keeper_hello *hello = (void *)m->data;
	int fds[KEEPER_CGROUPS_MAX];
	int i, n, r = 0;

	n = cgroups_open_owner(k->manager->cgroups, &k->owner, hello->cgroups, fds);
	if (n < 0) {
		log_errno(LOG_LEVEL_WARNING, n, "sandboxes of uid %u have no limits",
			  (unsigned)k->owner.uid);
		return 0;
	}
	for (i = 0; i < n; i++) {
		r = wire_add_fd(m, fds[i]);
		hello->cgroups[i].fd = (uint32_t)r;
	}
	hello->n_cgroups = (uint32_t)n;
	if (r < 0)
		return r;
	r = cgroups_place_keeper(k->manager->cgroups, k->owner.uid, child_pid(k->child));
	if (r < 0)
		log_errno(LOG_LEVEL_WARNING, r,
			  "the keeper of uid %u stays in our cgroup, its sandboxes have no limits",
			  (unsigned)k->owner.uid);
	return 0;
}

static int add_strings(const struct keeper_client *k, struct wire_message *m)
{
	const struct manager *manager = k->manager;
	CLEANUP_STR char *init = string_format("%s/sandbox-init", manager->libexec_dir);
	int r;

	if (init && access(init, F_OK) < 0)
		init = (free(init), string_format("%s/init/sandbox-init", manager->libexec_dir));
	if (!init)
		return -ENOMEM;
	r = wire_add_string(m, offsetof(struct keeper_hello, instance), manager->instance);
	if (r == 0)
		r = wire_add_string(m, offsetof(struct keeper_hello, init), init);
	return r;
}

int keeper_hello(struct keeper_client *k, struct wire_message *m, char **ret_reason)
{
	struct keeper_hello *hello = (void *)m->data;
	int fd;
	int r;

	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_HELLO, 0, sizeof(*hello));
	fd = seccomp_fd(k, ret_reason);
	if (fd < 0)
		return fd;
	r = wire_add_fd(m, fd);
	fd = r < 0 ? r : open_state_dir(k);
	r = fd < 0 ? fd : wire_add_fd(m, fd);
	hello->state_is_mount = k->manager->is_root;
	hello->orphan_ms = (uint64_t)k->manager->config->orphan_ms;
	if (r >= 0)
		r = add_cgroups(k, m);
	if (r >= 0)
		r = add_strings(k, m);
	if (r < 0)
		wire_message_done(m);
	return r;
}
