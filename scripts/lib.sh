# SPDX-License-Identifier: Apache-2.0
# Helpers of ./bootstrap. Sourced.

say() {
	printf '%s\n' "bootstrap: $*" >&2
}

die() {
	say "$*"
	exit 1
}

# Root by whatever way there is: the words before a command. sudo asks on the terminal, and where
# there is none it must not ask at all.
root_words=()
if [ "$(id -u)" != 0 ]; then
	root_words=(sudo -n)
	if (: </dev/tty) 2>/dev/null; then
		root_words=(sudo)
	fi
fi

as_root() {
	[ "${#root_words[@]}" = 0 ] || command -v sudo >/dev/null ||
		die "needs root for: $* (neither root nor sudo)"
	"${root_words[@]}" "$@"
}

# run_quiet LOG COMMAND...: output goes to LOG and is shown only when the command fails.
run_quiet() {
	local log=$1
	shift
	printf '+ %s\n' "$*" >>"$log"
	if ! "$@" >>"$log" 2>&1 </dev/null; then
		tail -n 60 "$log" >&2
		say "failed: $* (all of it: $log)"
		return 1
	fi
}

now_ms() {
	local t=${EPOCHREALTIME/[.,]/}
	echo $((t / 1000))
}

seconds() {
	printf '%d.%d' $(($1 / 1000)) $(($1 % 1000 / 100))
}
