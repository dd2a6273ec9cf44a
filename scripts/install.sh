# SPDX-License-Identifier: Apache-2.0
# What each command needs on Debian 12. Sourced by ./bootstrap.
#
# git, npm and node are looked for as commands, not as packages: another node (nodesource's, say)
# conflicts with Debian's npm package.

packages_build='meson ninja-build pkg-config gcc libc6-dev libevent-dev libjson-c-dev libsystemd-dev
	check libsqlite3-dev libseccomp-dev libinih-dev libsodium-dev libcurl4-openssl-dev musl-tools scdoc python3'
# What the daemon runs and reads: the runtime, newuidmap, the seccomp profile.
packages_runtime='crun uidmap golang-github-containers-common'
packages_demo="$packages_runtime"
# Peers; socat and ripgrep are sandbox-runtime's; strace is for budgets that are missed.
packages_bench="$packages_runtime bubblewrap runc util-linux redis-server socat ripgrep strace"
packages_test="$packages_runtime systemd clang libclang-rt-14-dev llvm-14 clang-format cppcheck valgrind jq runc runsc
	bubblewrap mmdebstrap bash-completion zsh"
packages_vm='mmdebstrap qemu-system-x86 busybox-static e2fsprogs cpio'

is_installed() {
	local status
	status=$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) && [ "$status" = installed ]
}

# The words among "$@" that are not installed packages, and for commands their packages.
missing_packages() {
	local set=$1 p
	for p in $set; do
		is_installed "$p" || printf '%s ' "$p"
	done
	command -v git >/dev/null || printf 'git '
	if [[ " $2 " = *' demo '* || " $2 " = *' test '* || " $2 " = *' bench '* ]]; then
		command -v npm >/dev/null || printf 'npm nodejs '
	fi
}

apt_get() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o APT::Sandbox::User=root \
		-o APT::Keep-Downloaded-Packages=true -o "Dir::Cache::Archives=$cache/apt" "$@"
}

# install_packages SET...: apt-get for what is missing of build, demo, bench, test, vm.
install_packages() {
	local set all='' missing
	for set in "$@"; do
		local name=packages_$set
		all="$all ${!name}"
	done
	missing=$(missing_packages "$all" "$*")
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null ||
		die "this is not Debian; install the equivalents of: $missing"
	say "installing: $missing"
	mkdir -p "$cache/apt/partial" build
	run_quiet build/apt.log apt_get update
	# shellcheck disable=SC2086 # a list of names
	run_quiet build/apt.log apt_get install --no-install-recommends $missing
}
