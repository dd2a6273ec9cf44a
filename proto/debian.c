/* SPDX-License-Identifier: Apache-2.0 */
/* The mirrors are the host's for this suite, as apt itself reports them, so that a machine with a
 * mirror of its own uses it; a host that is no Debian, or has no package lists, gets
 * deb.debian.org. Only what can be reached from inside counts (http), and a host's proxy settings
 * come along.
 *
 * In a sandbox setuid and setgid bits are refused, and mean nothing: dpkg goes on without them
 * (force-not-root), what it could give no mode at all gets one afterwards, and the scripts of
 * packages find a chmod and a dpkg-statoverride that do without, too (DPkg::Path). There is no user
 * to drop to for a download. No service is started (policy-rc.d), and nothing is synced (a
 * sandbox's files are not safe from a crash of the host anyway). */

#include "debian.h"

const char debian_recipe[] =
	"target=$1 suite=$2\n"
	"mirrors=$(apt-get indextargets --format '$(SITE)|$(RELEASE)|$(COMPONENT)'"
	" 'Created-By: Packages' 'Origin: Debian' 2>/dev/null | sort -u |"
	" grep -E \"^https?://[^|]*\\|$suite(-updates|-security)?\\|\" || true)\n"
	"case \"$mirrors\" in *\"|$suite|main\"*) ;; *) mirrors=\""
	"http://deb.debian.org/debian|$suite|main\n"
	"http://deb.debian.org/debian|$suite-updates|main\n"
	"http://deb.debian.org/debian-security|$suite-security|main\" ;; esac\n"
	"key=/usr/share/keyrings/debian-archive-keyring.gpg\n"
	"[ -r $key ] && by=\"[signed-by=$key] \" || by=\n"
	"printf '%s\\n' \"$mirrors\" | while IFS='|' read -r site release component; do\n"
	"  echo \"deb $by$site $release $component\"\n"
	"done >/tmp/sources.list\n"
	"eval \"$(apt-config shell HTTP Acquire::http::Proxy HTTPS Acquire::https::Proxy)\"\n"
	"{ echo 'APT::Sandbox::User \"root\";'\n"
	"  echo 'APT::Install-Recommends \"false\";'\n"
	"  [ -z \"${HTTP:-}\" ] || echo \"Acquire::http::Proxy \\\"$HTTP\\\";\"\n"
	"  [ -z \"${HTTPS:-}\" ] || echo \"Acquire::https::Proxy \\\"$HTTPS\\\";\"\n"
	"} >/tmp/apt.conf\n"
	"printf 'force-unsafe-io\\nforce-not-root\\n' >/tmp/dpkg.cfg\n"
	"mmdebstrap --mode=root --variant=minbase --format=directory"
	" --include=ca-certificates,curl,git,less,procps"
	" --aptopt=/tmp/apt.conf --dpkgopt=/tmp/dpkg.cfg"
	" \"$suite\" \"$target\" /tmp/sources.list </dev/null\n"
	"echo 'I: making it a sandbox'\n"
	"cd \"$target\"\n"
	"echo 'agent:x:1000:1000:agent:/home/agent:/bin/bash' >>etc/passwd\n"
	"echo 'agent:!:19700::::::' >>etc/shadow\n"
	"echo 'agent:x:1000:' >>etc/group\n"
	"echo 'agent:!::' >>etc/gshadow\n"
	"cp -r etc/skel home/agent\n"
	"chown -R 1000:1000 home/agent\n"
	"chmod 0750 home/agent\n"
	/* git refuses what another uid owns; workspaces are the agent's, layers are not */
	"printf '[safe]\\n\\tdirectory = *\\n' >etc/gitconfig\n"
	"rm -f etc/resolv.conf etc/hostname\n"
	": >etc/resolv.conf\n"
	"echo sandbox >etc/hostname\n"
	"printf '127.0.0.1 localhost\\n127.0.1.1 sandbox\\n::1 localhost ip6-localhost\\n' "
	">etc/hosts\n"
	"printf '#!/bin/sh\\nexit 101\\n' >usr/sbin/policy-rc.d\n"
	"chmod 0755 usr/sbin/policy-rc.d\n"
	"mkdir -p usr/lib/sandboxd\n"
	"cat >usr/lib/sandboxd/chmod <<'END'\n"
	"#!/bin/sh\n"
	"/bin/chmod \"$@\" 2>/dev/null && exit 0\n"
	"for a; do\n"
	"  shift\n"
	"  case $a in\n"
	"  [1-7][0-7][0-7][0-7] | 0[1-7][0-7][0-7][0-7]) a=0${a#\"${a%???}\"} ;;\n"
	"  *+*s*) a=u+r ;;\n"
	"  esac\n"
	"  set -- \"$@\" \"$a\"\n"
	"done\n"
	"exec /bin/chmod \"$@\"\n"
	"END\n"
	"cat >usr/lib/sandboxd/dpkg-statoverride <<'END'\n"
	"#!/bin/sh\n"
	"case \" $* \" in *' --update '*) ;; *) exec /usr/bin/dpkg-statoverride \"$@\" ;; esac\n"
	"/usr/bin/dpkg-statoverride \"$@\" 2>/dev/null && exit 0\n"
	"for a; do\n"
	"  shift\n"
	"  [ \"$a\" = --update ] || set -- \"$@\" \"$a\"\n"
	"done\n"
	"exec /usr/bin/dpkg-statoverride --force-all \"$@\"\n"
	"END\n"
	"chmod 0755 usr/lib/sandboxd/*\n"
	"echo 'DPkg::Path \"/usr/lib/sandboxd:/usr/sbin:/usr/bin:/sbin:/bin\";'"
	" >>etc/apt/apt.conf.d/90sandbox\n"
	"echo 'DPkg::Post-Invoke { \"find /usr -xdev -type f -perm 000 -exec chmod 0755 {} +"
	" 2>/dev/null || true\"; };' >>etc/apt/apt.conf.d/90sandbox\n"
	/* authorities that this host trusts beside the usual ones: its proxy may sign for the rest
	 */
	"for f in /usr/local/share/ca-certificates/*.crt; do\n"
	"  [ ! -r \"$f\" ] || cp \"$f\" usr/local/share/ca-certificates/\n"
	"done\n"
	"chroot . update-ca-certificates >/dev/null 2>&1 || true\n"
	"rm -rf tmp/* var/tmp/* var/cache/apt/*.bin run/*\n";
