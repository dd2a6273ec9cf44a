/* SPDX-License-Identifier: Apache-2.0 */
/* Each check fills one struct from what it sees; a table lists them. Features of the kernel are
 * tried, not derived from its version: distributions switch them off. What changes namespaces is
 * tried in a child, so that nothing of it stays. */

#include "util/checks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/path.h"
#include "util/project-quota.h"
#include "util/space.h"

#define SUB_IDS_NEEDED 65535ul
#define NOBODY 65534
#define DISK_NEEDED_MIB 1024ul
#define LOGIN_MAX 64
#define LOCK_NEEDED ((size_t)4 << 20) /* some values of the largest size */
#define SYSTEMD_RUNS "/run/systemd/system"
#define LINGER_DIR "/var/lib/systemd/linger/"
#define SECCOMP_PROFILE "/usr/share/containers/seccomp.json"

typedef void check_function(const struct checks_scope *scope, struct check *c);

static void __attribute__((format(printf, 3, 4)))
found(struct check *c, bool ok, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(c->detail, sizeof(c->detail), format, args); /* cut if longer */
	va_end(args);
	c->ok = ok;
}

static void __attribute__((format(printf, 2, 3))) skipped(struct check *c, const char *format, ...)
{
	static const char before[] = "not looked at: ";
	va_list args;

	va_start(args, format);
	memcpy(c->detail, before, sizeof(before));
	(void)vsnprintf(c->detail + sizeof(before) - 1, sizeof(c->detail) - sizeof(before) + 1,
			format, args); /* cut if longer */
	va_end(args);
	c->skipped = true;
}

static void set_fix(struct check *c, const char *const *argv)
{
	size_t i;

	for (i = 0; i < CHECK_FIX_MAX - 1 && argv[i]; i++)
		c->fix[i] = argv[i];
	c->fix[i] = NULL;
}

static void fix_install(struct check *c, const char *package)
{
	const char *const argv[] = { "apt-get", "install", "-y", package, NULL };

	set_fix(c, argv);
}

/* The first line that `PATH --version` prints. */
static void first_line_of_version(const char *path, char *line, size_t size)
{
	char command[300];
	FILE *p;

	line[0] = '\0';
	if (snprintf(command, sizeof(command), "'%s' --version 2>/dev/null </dev/null", path) >=
		    (int)sizeof(command) ||
	    strchr(path, '\''))
		return;
	p = popen(command, "re");
	if (!p)
		return;
	if (!fgets(line, (int)size, p))
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	(void)pclose(p); /* what it printed is what counts */
}

static int write_proc(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		error = errno;
	(void)close(fd); /* nothing is buffered */
	return error;
}

/* As nobody when we are root: host uid 0 must not be in any map. */
static int enter_user_namespace(unsigned long flags)
{
	char map[64], gid_map[64];
	int error;

	if (geteuid() == 0 &&
	    (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return errno;
	/* changing ids, or a daemon's own wish, gave /proc/self to root */
	(void)prctl(PR_SET_DUMPABLE, 1);
	(void)snprintf(map, sizeof(map), "0 %u 1", (unsigned)geteuid());
	(void)snprintf(gid_map, sizeof(gid_map), "0 %u 1", (unsigned)getegid());
	if (unshare((int)(CLONE_NEWUSER | flags)) < 0)
		return errno;
	error = write_proc("/proc/self/uid_map", map);
	if (error == 0)
		error = write_proc("/proc/self/setgroups", "deny");
	return error ? error : write_proc("/proc/self/gid_map", gid_map);
}

/* Runs TRY in a child in a new user namespace with a single mapped id. 0, or the errno that it (or
 * the way there) met. */
static int in_user_namespace(int (*try)(void), unsigned long flags)
{
	int status, error;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return errno;
	if (pid == 0) {
		error = enter_user_namespace(flags);
		_exit((error ? error : try()) & 0xff);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

/* ---- kernel ---- */

static void check_kernel(const struct checks_scope *scope, struct check *c)
{
	struct utsname u;
	int fd, saved;

	(void)scope;
	if (uname(&u) < 0)
		u.release[0] = '\0';
	/* bad arguments: a kernel that has the call says so, one without says ENOSYS */
	fd = (int)syscall(SYS_open_tree, -1, "", 0u);
	saved = errno;
	if (fd >= 0)
		(void)close(fd);
	if (fd < 0 && saved == ENOSYS) {
		found(c, false, "Linux %s has no open_tree", u.release);
		return;
	}
	if (syscall(SYS_mount_setattr, -1, "", 0u, NULL, 0ul) < 0 && errno == ENOSYS)
		found(c, false, "Linux %s has no mount_setattr", u.release);
	else if (syscall(SYS_pidfd_open, getpid(), 0u) < 0 && errno == ENOSYS)
		found(c, false, "Linux %s has no pidfd_open", u.release);
	else
		found(c, true, "Linux %s", u.release);
}

static int try_nothing(void)
{
	return 0;
}

static void check_userns(const struct checks_scope *scope, struct check *c)
{
	int error = in_user_namespace(try_nothing, 0);

	(void)scope;
	if (error == 0)
		found(c, true, "allowed");
	else
		found(c, false, "not allowed: %s", strerror(error));
}

/* On a tmpfs in the new mount namespace: nothing of it is seen outside. */
static int try_overlay(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/tmp", "tmpfs", 0, "size=1m") < 0 || mkdir("/tmp/lower", 0755) < 0 ||
	    mkdir("/tmp/upper", 0755) < 0 || mkdir("/tmp/work", 0755) < 0 ||
	    mkdir("/tmp/all", 0755) < 0 ||
	    mount("overlay", "/tmp/all", "overlay", 0,
		  "userxattr,volatile,lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work") <
		    0)
		return errno;
	return 0;
}

static void check_overlay(const struct checks_scope *scope, struct check *c)
{
	int error = in_user_namespace(try_overlay, CLONE_NEWNS);

	(void)scope;
	if (error == EPERM && prctl(PR_GET_SECCOMP) > 0)
		skipped(c, "the daemon's service may not try it, keepers may");
	else if (error == 0)
		found(c, true, "works in a user namespace");
	else
		found(c, false, "does not work in a user namespace: %s", strerror(error));
}

/* ---- ids ---- */

/* Most ids in one entry for NAME or UID. */
static unsigned long sub_ids(const char *file, const char *name, uid_t uid)
{
	unsigned long first, count, most = 0;
	char line[256], who[128], number[16];
	FILE *f = fopen(file, "re");

	(void)snprintf(number, sizeof(number), "%u", (unsigned)uid);
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%127[^:]:%20lu:%20lu", who, &first, &count) != 3 || first == 0)
			continue;
		if ((strcmp(who, number) == 0 || (name && strcmp(who, name) == 0)) && count > most)
			most = count;
	}
	(void)fclose(f); /* only read from */
	return most;
}

/* The login name of UID, or NULL. Not getpwuid: sandboxctl is linked statically, and glibc's name
 * service is not made for that. Who is not in /etc/passwd is in /etc/subuid by number. */
static const char *login_name(uid_t uid, char *name, size_t size)
{
	const struct passwd *p;
	FILE *f = fopen("/etc/passwd", "re");
	bool known = false;

	while (f && !known && (p = fgetpwent(f)))
		known = p->pw_uid == uid && snprintf(name, size, "%s", p->pw_name) < (int)size;
	if (f)
		(void)fclose(f); /* only read from */
	return known ? name : NULL;
}

static void check_sub_ids(const struct checks_scope *scope, struct check *c)
{
	char buffer[sizeof(c->text)];
	const char *name = login_name(scope->uid, buffer, sizeof(buffer));
	unsigned long uids = sub_ids("/etc/subuid", name, scope->uid);
	unsigned long gids = sub_ids("/etc/subgid", name, scope->uid);
	const char *const argv[] = { "usermod",
				     "--add-subuids",
				     "100000-165535",
				     "--add-subgids",
				     "100000-165535",
				     c->text,
				     NULL };

	if (scope->uid == 0) {
		found(c, true, "root takes a range of its own");
		return;
	}
	if (uids >= SUB_IDS_NEEDED && gids >= SUB_IDS_NEEDED) {
		found(c, true, "%lu uids, %lu gids", uids, gids);
		return;
	}
	found(c, false,
	      "%lu uids and %lu gids, %lu are needed; without them init shares the agent's uid and "
	      "supplementary groups stay",
	      uids, gids, SUB_IDS_NEEDED);
	(void)snprintf(c->text, sizeof(c->text), "%s", name ? name : "USER");
	set_fix(c, argv);
}

static void check_uidmap(const struct checks_scope *scope, struct check *c)
{
	static const char *const programs[] = { "newuidmap", "newgidmap" };
	char path[64];
	struct stat st;
	size_t i;

	(void)scope;
	for (i = 0; i < 2; i++) {
		if (!path_find_program(programs[i], path, sizeof(path))) {
			found(c, false, "%s is not installed", programs[i]);
			fix_install(c, "uidmap");
			return;
		}
		/* distributions use the setuid bit or a file capability; bits are what can be seen
		 */
		if (stat(path, &st) == 0 && (st.st_mode & S_ISUID) == 0 &&
		    syscall(SYS_getxattr, path, "security.capability", NULL, 0ul) <= 0) {
			found(c, false, "%s has neither setuid nor a capability", path);
			fix_install(c, "uidmap");
			return;
		}
	}
	found(c, true, "installed");
}

/* ---- programs and files ---- */

/* NAME is the package, too, and the first word of what it says about itself. */
static void check_runtime(struct check *c, const char *name, const char *given, bool is_default)
{
	char path[256], line[100];

	c->severity = is_default ? CHECK_REQUIRED : CHECK_OPTIONAL;
	if (given)
		(void)snprintf(path, sizeof(path), "%s", given);
	if (given ? access(path, X_OK) < 0 : !path_find_program(name, path, sizeof(path))) {
		found(c, false, "not installed");
		fix_install(c, name);
		return;
	}
	first_line_of_version(path, line, sizeof(line));
	if (strncmp(line, name, strlen(name)) != 0 || !strstr(line, " version "))
		found(c, false, "%s does not say its version", path);
	else
		found(c, true, "%s, %s", path, line);
}

static bool is_default(const struct checks_scope *scope, const char *name)
{
	return strcmp(scope->runtime ? scope->runtime : "crun", name) == 0;
}

static void check_crun(const struct checks_scope *scope, struct check *c)
{
	check_runtime(c, "crun", scope->crun, is_default(scope, "crun"));
}

static void check_runc(const struct checks_scope *scope, struct check *c)
{
	check_runtime(c, "runc", scope->runc, is_default(scope, "runc"));
}

static void check_runsc(const struct checks_scope *scope, struct check *c)
{
	check_runtime(c, "runsc", scope->runsc, is_default(scope, "runsc"));
}

static void check_seccomp(const struct checks_scope *scope, struct check *c)
{
	(void)scope;
	if (access(SECCOMP_PROFILE, R_OK) == 0) {
		found(c, true, SECCOMP_PROFILE);
		return;
	}
	found(c, false, SECCOMP_PROFILE " is missing");
	fix_install(c, "golang-github-containers-common");
}

static void check_program(struct check *c, const char *name, const char *package)
{
	char path[64], line[100];

	if (!path_find_program(name, path, sizeof(path))) {
		found(c, false, "not installed");
		fix_install(c, package);
		return;
	}
	first_line_of_version(path, line, sizeof(line));
	found(c, true, "%s %s", path, line);
}

static void check_git(const struct checks_scope *scope, struct check *c)
{
	(void)scope;
	check_program(c, "git", "git");
}

static void check_npm(const struct checks_scope *scope, struct check *c)
{
	(void)scope;
	check_program(c, "npm", "npm");
}

static void check_mmdebstrap(const struct checks_scope *scope, struct check *c)
{
	(void)scope;
	check_program(c, "mmdebstrap", "mmdebstrap");
}

/* ---- limits ---- */

static bool file_has_word(const char *path, const char *word)
{
	char text[512], *p, *save = NULL;
	FILE *f = fopen(path, "re");
	bool has = false;

	if (!f)
		return false;
	if (fgets(text, sizeof(text), f))
		for (p = strtok_r(text, " \n", &save); p && !has; p = strtok_r(NULL, " \n", &save))
			has = strcmp(p, word) == 0;
	(void)fclose(f); /* only read from */
	return has;
}

/* The path of our cgroup: of CONTROLLER's hierarchy, or of the unified one (NULL). */
static bool own_cgroup(const char *controller, char *path, size_t size)
{
	char line[512], wanted[64];
	bool found_it = false;
	FILE *f = fopen("/proc/self/cgroup", "re");

	if (!f)
		return false;
	(void)snprintf(wanted, sizeof(wanted), ":%s:", controller ? controller : "");
	while (!found_it && fgets(line, sizeof(line), f)) {
		const char *p = controller ? strstr(line, wanted)
					   : (strncmp(line, "0::", 3) == 0 ? line + 1 : NULL);

		if (!p)
			continue;
		line[strcspn(line, "\n")] = '\0';
		p = strchr(p + 1, ':') + 1;
		found_it = snprintf(path, size, "/sys/fs/cgroup%s%s%s", controller ? "/" : "",
				    controller ? controller : "",
				    strcmp(p, "/") == 0 ? "" : p) < (int)size;
	}
	(void)fclose(f); /* only read from */
	return found_it;
}

static void check_limits(const struct checks_scope *scope, struct check *c)
{
	static const char *const names[] = { "memory", "pids", "cpu" };
	char path[512], file[600], works[64] = "";
	bool v2 = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
	size_t i, n = 0;

	(void)scope;
	for (i = 0; i < 3; i++) {
		if (!own_cgroup(v2 ? NULL : names[i], path, sizeof(path)))
			continue;
		(void)snprintf(file, sizeof(file), "%s/cgroup.controllers", path);
		if (access(path, W_OK) < 0 || (v2 && !file_has_word(file, names[i])))
			continue;
		(void)snprintf(works + strlen(works), sizeof(works) - strlen(works), "%s%s",
			       n++ ? ", " : "", names[i]);
	}
	found(c, n == 3, "cgroup %s, writable: %s", v2 ? "v2" : "v1", n ? works : "nothing");
}

/* ---- our own programs ---- */

/* Installed beside each other; in a build tree each lies in the folder of its sources. */
static bool has_program(const char *dir, const char *folder, const char *name)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (access(path, X_OK) == 0)
		return true;
	(void)snprintf(path, sizeof(path), "%s/%s/%s", dir, folder, name);
	return access(path, X_OK) == 0;
}

static void check_programs(const struct checks_scope *scope, struct check *c)
{
	const char *dir = scope->libexec_dir;

	if (!dir)
		skipped(c, "only the daemon knows where they are");
	else if (!has_program(dir, "keeper", "sandbox-keeper"))
		found(c, false, "no sandbox-keeper in %s", dir);
	else if (!has_program(dir, "init", "sandbox-init"))
		found(c, false, "no sandbox-init in %s", dir);
	else
		found(c, true, "sandbox-keeper and sandbox-init in %s", dir);
}

/* ---- places ---- */

static void check_dir(struct check *c, const char *dir)
{
	struct stat st;

	if (!dir)
		skipped(c, "only the daemon knows it");
	else if (stat(dir, &st) < 0 && errno == ENOENT)
		found(c, true, "%s: not there yet", dir);
	else if (stat(dir, &st) < 0)
		found(c, false, "%s: %s", dir, strerror(errno));
	else if (!S_ISDIR(st.st_mode) || access(dir, W_OK) < 0)
		found(c, false, "%s cannot be written", dir);
	else
		found(c, true, "%s", dir);
}

static void check_state_dir(const struct checks_scope *scope, struct check *c)
{
	check_dir(c, scope->state_dir);
}

static void check_runtime_dir(const struct checks_scope *scope, struct check *c)
{
	check_dir(c, scope->runtime_dir);
}

static void check_disk(const struct checks_scope *scope, struct check *c)
{
	const char *dir = scope->state_dir;
	int fd = dir ? open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	unsigned long long mib, floor_mib;
	struct space s;

	if (fd < 0 || space_look(fd, scope->min_free, &s) < 0) {
		skipped(c, "no state directory yet");
	} else {
		mib = (unsigned long long)s.free_bytes >> 20;
		floor_mib = (unsigned long long)s.floor_bytes >> 20;
		found(c, mib >= floor_mib + DISK_NEEDED_MIB,
		      "%llu MiB free in %s, nothing is made below %llu MiB", mib, dir, floor_mib);
	}
	if (fd >= 0)
		(void)close(fd);
}

static void check_disk_limits(const struct checks_scope *scope, struct check *c)
{
	const char *dir = scope->state_dir;
	int fd = dir ? open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0)
		skipped(c, "no state directory yet");
	else if (scope->uid == 0 && project_quota_probe(fd) == 0)
		found(c, true, "project quotas: the kernel holds limits.diskBytes");
	else
		found(c, true, "limits.diskBytes is watched: %s",
		      scope->uid != 0 ? "only root sets project quotas"
				      : "no project quotas (prjquota) where the state is");
	if (fd >= 0)
		(void)close(fd);
}

/* ---- secrets ---- */

/* Tried: what a process may lock depends on its rights as well as on its limit. */
static void check_memory_lock(const struct checks_scope *scope, struct check *c)
{
	struct rlimit limit = { 0 };
	void *p;
	bool locks;

	if (!scope->libexec_dir) {
		skipped(c, "what counts is the daemon's limit");
		return;
	}
	p = mmap(NULL, LOCK_NEEDED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	locks = p != MAP_FAILED && mlock(p, LOCK_NEEDED) == 0;
	if (p != MAP_FAILED)
		(void)munmap(p, LOCK_NEEDED);
	(void)getrlimit(RLIMIT_MEMLOCK, &limit);
	if (locks)
		found(c, true, "values of secrets are kept from being swapped out");
	else
		found(c, false, "values of secrets may be swapped out: %llu KiB can be locked",
		      (unsigned long long)limit.rlim_cur >> 10);
}

/* In memory itself (zram), or encrypted. */
static bool is_safe_swap(const char *device)
{
	char path[PATH_MAX], file[PATH_MAX + 32], uuid[16] = "";
	const char *name;
	FILE *f;

	if (!realpath(device, path))
		return false;
	name = strrchr(path, '/') + 1;
	if (strncmp(path, "/dev/zram", strlen("/dev/zram")) == 0)
		return true;
	(void)snprintf(file, sizeof(file), "/sys/class/block/%s/dm/uuid", name);
	f = fopen(file, "re");
	if (!f)
		return false;
	if (!fgets(uuid, sizeof(uuid), f))
		uuid[0] = '\0';
	(void)fclose(f); /* only read from */
	return strncmp(uuid, "CRYPT-", strlen("CRYPT-")) == 0;
}

static void check_swap(const struct checks_scope *scope, struct check *c)
{
	FILE *f = fopen("/proc/swaps", "re");
	char line[512], device[256];
	size_t n = 0;

	(void)scope;
	if (!f) {
		skipped(c, "no /proc/swaps");
		return;
	}
	found(c, true, "off, or encrypted");
	while (c->ok && fgets(line, sizeof(line), f))
		if (n++ > 0 && sscanf(line, "%255s", device) == 1 && !is_safe_swap(device))
			found(c, false, "files lent to sandboxes may be written to %s", device);
	(void)fclose(f); /* only read from */
}

/* ---- sessions ---- */

/* Without it a user's service manager, and all that it started, ends with the last session. */
static void check_linger(const struct checks_scope *scope, struct check *c)
{
	static const char *const fix[] = { "loginctl", "enable-linger", NULL };
	char name[LOGIN_MAX], path[LOGIN_MAX + sizeof(LINGER_DIR)];
	const char *login;

	if (scope->uid == 0 || access(SYSTEMD_RUNS, F_OK) < 0) {
		found(c, true, "not needed: %s", scope->uid == 0 ? "root" : "no systemd");
		return;
	}
	login = login_name(scope->uid, name, sizeof(name));
	(void)snprintf(path, sizeof(path), LINGER_DIR "%s", login ? login : "?");
	if (login && access(path, F_OK) == 0) {
		found(c, true, "on: sandboxes outlive logins");
		return;
	}
	found(c, false, "off: sandboxes end with the last session of this user");
	set_fix(c, fix);
}

static const struct {
	const char *name;
	enum check_severity severity;
	check_function *run;
	const char *hint;
} checks_table[] = {
	{ "kernel", CHECK_REQUIRED, check_kernel, "Linux 5.14 or newer is needed" },
	{ "user namespaces", CHECK_REQUIRED, check_userns,
	  "sysctl kernel.unprivileged_userns_clone=1 and user.max_user_namespaces above 0" },
	{ "overlay", CHECK_REQUIRED, check_overlay, "modprobe overlay, or a newer kernel" },
	{ "subordinate ids", CHECK_OPTIONAL, check_sub_ids,
	  "give the user a range in /etc/subuid and /etc/subgid" },
	{ "newuidmap", CHECK_OPTIONAL, check_uidmap, "install uidmap" },
	{ "crun", CHECK_REQUIRED, check_crun, "install crun" },
	{ "runc", CHECK_OPTIONAL, check_runc, "install runc for --runtime runc" },
	{ "runsc", CHECK_OPTIONAL, check_runsc, "install runsc (gVisor) for --runtime runsc" },
	{ "seccomp profile", CHECK_REQUIRED, check_seccomp,
	  "install containers-common's seccomp profile" },
	{ "git", CHECK_OPTIONAL, check_git, "install git" },
	{ "npm", CHECK_OPTIONAL, check_npm, "install npm: tool layers are made with it" },
	{ "mmdebstrap", CHECK_OPTIONAL, check_mmdebstrap,
	  "install mmdebstrap: the template debian is made with it" },
	{ "limits", CHECK_OPTIONAL, check_limits,
	  "run sandboxd as a service with Delegate=yes; without a writable cgroup only the number "
	  "of "
	  "processes and /dev/shm are limited" },
	{ "programs", CHECK_REQUIRED, check_programs,
	  "install sandboxd as a whole, or name their folder by [daemon] libexec_dir" },
	{ "state directory", CHECK_REQUIRED, check_state_dir, "make it writable" },
	{ "runtime directory", CHECK_REQUIRED, check_runtime_dir, "make it writable" },
	{ "disk space", CHECK_OPTIONAL, check_disk, "free some: a tool layer takes about 600 MiB" },
	{ "disk limits", CHECK_OPTIONAL, check_disk_limits, NULL },
	{ "memory lock", CHECK_OPTIONAL, check_memory_lock,
	  "LimitMEMLOCK=8M in its unit, or ulimit -l 8192 before its start" },
	{ "swap", CHECK_OPTIONAL, check_swap, "swapoff -a, or encrypt it (crypttab(5))" },
	{ "linger", CHECK_OPTIONAL, check_linger, "let your services run on when you log out" },
};

_Static_assert(sizeof(checks_table) / sizeof(checks_table[0]) <= CHECKS_MAX, "CHECKS_MAX");

size_t checks_run(const struct checks_scope *scope, struct check checks[static CHECKS_MAX])
{
	size_t n = sizeof(checks_table) / sizeof(checks_table[0]);
	size_t i;

	for (i = 0; i < n; i++) {
		memset(&checks[i], 0, sizeof(checks[i]));
		checks[i].name = checks_table[i].name;
		checks[i].severity = checks_table[i].severity;
		checks_table[i].run(scope, &checks[i]);
		if (!checks[i].ok && !checks[i].skipped)
			checks[i].hint = checks_table[i].hint;
	}
	return n;
}
