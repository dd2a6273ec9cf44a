/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of directories and files, written once at start. Owners are given as the sandbox sees
 * them; with a single id all belong to it. */

#include "skeleton.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "macro.h"

#define AGENT 1000

/* /etc/ssl itself would show private/. */
const char *const skeleton_host_paths[] = {
	"/etc/ssl/certs",
	"/etc/ssl/openssl.cnf",
	"/etc/alternatives",
	"/etc/ld.so.cache",
	"/etc/ca-certificates",
	"/etc/ca-certificates.conf",
	NULL,
};

static const struct {
	const char *path;
	mode_t mode;
	uid_t uid;
} directories[] = {
	{ "dev", 0755, 0 },
	{ "etc", 0755, 0 },
	{ "etc/ssl", 0755, 0 },
	{ "home", 0755, 0 },
	{ "home/agent", 0750, AGENT },
	{ "mnt", 0755, 0 },
	{ "opt", 0755, 0 },
	{ "proc", 0555, 0 },
	{ "root", 0700, 0 },
	{ "run", 0755, 0 },
	{ "srv", 0755, 0 },
	{ "sys", 0555, 0 },
	{ "tmp", 01777, 0 },
	{ "usr", 0755, 0 },
	{ "var", 0755, 0 },
	{ "var/cache", 0755, 0 },
	{ "var/lib", 0755, 0 },
	{ "var/log", 0755, 0 },
	{ "var/spool", 0755, 0 },
	{ "var/tmp", 01777, 0 },
	{ "etc/profile.d", 0755, 0 },
};

static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
			     "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
			     "bin:x:2:2:bin:/bin:/usr/sbin/nologin\n"
			     "sys:x:3:3:sys:/dev:/usr/sbin/nologin\n"
			     "sync:x:4:65534:sync:/bin:/bin/sync\n"
			     "games:x:5:60:games:/usr/games:/usr/sbin/nologin\n"
			     "man:x:6:12:man:/var/cache/man:/usr/sbin/nologin\n"
			     "lp:x:7:7:lp:/var/spool/lpd:/usr/sbin/nologin\n"
			     "mail:x:8:8:mail:/var/mail:/usr/sbin/nologin\n"
			     "www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"
			     "backup:x:34:34:backup:/var/backups:/usr/sbin/nologin\n"
			     "_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n"
			     "agent:x:1000:1000:agent:/home/agent:/bin/bash\n"
			     "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";

static const char group[] =
	"root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nlp:x:7:\n"
	"mail:x:8:\nman:x:12:\nkmem:x:15:\ncdrom:x:24:\nsudo:x:27:\naudio:x:29:\n"
	"www-data:x:33:\nbackup:x:34:\noperator:x:37:\nsrc:x:40:\nshadow:x:42:\nutmp:x:43:\n"
	"video:x:44:\nplugdev:x:46:\nstaff:x:50:\ngames:x:60:\nusers:x:100:\nagent:x:1000:\n"
	"nogroup:x:65534:\n";

static const char profile[] =
	"export PATH=\"${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}\"\n"
	"for f in /etc/profile.d/*.sh; do [ -r \"$f\" ] && . \"$f\"; done\n"
	"unset f\n"
	"if [ \"${BASH:-}\" ] && [ -r /etc/bash.bashrc ]; then . /etc/bash.bashrc; fi\n";

static const char bashrc[] = "[ -z \"$PS1\" ] && return\n"
			     "shopt -s checkwinsize\n"
			     "PS1='\\u@\\h:\\w\\$ '\n";

static const char home_profile[] = "[ -r ~/.bashrc ] && . ~/.bashrc\n";

static const struct {
	const char *path;
	const char *text;
	mode_t mode;
	uid_t uid;
} files[] = {
	{ "etc/passwd", passwd, 0644, 0 },
	{ "etc/group", group, 0644, 0 },
	{ "etc/hosts", "127.0.0.1 localhost\n127.0.1.1 sandbox\n::1 localhost ip6-localhost\n",
	  0644, 0 },
	{ "etc/hostname", "sandbox\n", 0644, 0 },
	{ "etc/resolv.conf", "", 0644, 0 },
	{ "etc/nsswitch.conf",
	  "passwd: files\ngroup: files\nshadow: files\nhosts: files myhostname dns\nnetworks: "
	  "files\n"
	  "protocols: files\nservices: files\n",
	  0644, 0 },
	{ "etc/host.conf", "multi on\n", 0644, 0 },
	{ "etc/shells", "/bin/sh\n/bin/bash\n", 0644, 0 },
	{ "etc/profile", profile, 0644, 0 },
	{ "etc/bash.bashrc", bashrc, 0644, 0 },
	{ "etc/debian_version", "12\n", 0644, 0 },
	/* git refuses what another uid owns; workspaces are the agent's, layers are not */
	{ "etc/gitconfig", "[safe]\n\tdirectory = *\n", 0644, 0 },
	{ "home/agent/.profile", home_profile, 0644, AGENT },
	{ "home/agent/.bashrc", bashrc, 0644, AGENT },
};

uid_t skeleton_id(const struct ids *ids, uid_t inside)
{
	if (ids->map == KEEPER_MAP_SINGLE || inside == AGENT)
		return KEEPER_ID_AGENT;
	return inside < AGENT ? inside + KEEPER_ID_ROOT : inside;
}

/* /bin, /sbin, /lib*: links into usr on a merged-usr host; else directories that are bound. */
static int copy_links(int dir, const struct ids *ids)
{
	static const char *const names[] = { "bin", "sbin", "lib", "lib32", "lib64", "libx32" };
	const uid_t root = skeleton_id(ids, 0);
	char path[32], target[256];
	struct stat st;
	ssize_t n;
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "/%s", names[i]);
		if (lstat(path, &st) < 0)
			continue;
		n = S_ISLNK(st.st_mode) ? readlink(path, target, sizeof(target) - 1) : 0;
		if (n > 0) {
			target[n] = '\0';
			if (symlinkat(target, dir, names[i]) < 0 ||
			    fchownat(dir, names[i], root, root, AT_SYMLINK_NOFOLLOW) < 0)
				return -errno;
			continue;
		}
		r = dir_make_at(dir, names[i], (struct owned){ root, 0755 });
		if (r < 0)
			return r;
	}
	return 0;
}

static int make_mount_points(int dir, const struct ids *ids)
{
	const uid_t root = skeleton_id(ids, 0);
	struct stat st;
	size_t i;
	int r;

	for (i = 0; skeleton_host_paths[i]; i++) {
		if (stat(skeleton_host_paths[i], &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			r = dir_make_at(dir, skeleton_host_paths[i] + 1,
					(struct owned){ root, 0755 });
		else
			r = file_make_at(dir, skeleton_host_paths[i] + 1, "",
					 (struct owned){ root, 0644 });
		if (r < 0)
			return r;
	}
	return 0;
}

int skeleton_build(int dir, const struct ids *ids)
{
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(directories); i++) {
		r = dir_make_at(dir, directories[i].path,
				(struct owned){ skeleton_id(ids, directories[i].uid),
						directories[i].mode });
		if (r < 0)
			return r;
	}
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		r = file_make_at(dir, files[i].path, files[i].text,
				 (struct owned){ skeleton_id(ids, files[i].uid), files[i].mode });
		if (r < 0)
			return r;
	}
	r = copy_links(dir, ids);
	return r < 0 ? r : make_mount_points(dir, ids);
}
