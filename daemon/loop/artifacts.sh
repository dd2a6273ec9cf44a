# SPDX-License-Identifier: Apache-2.0
# sh -c THIS - WORK_DIR BASE PATCH_MAX NAMES_MAX SINCE GITS_MAX
# What work in WORK_DIR left there since BASE (empty: HEAD), as records on stdout, each KEY, NUL,
# length in bytes, NUL, value: head, base, uncommitted, unreachable, touched, gits, then patch or failed,
# and end, without which it is not complete. PATCH_MAX 0: no patch is made.
# SINCE 0: .git inside are not looked for; else those that changed after it, in seconds.
#
# It runs in a sandbox where WORK_DIR and what git keeps for it are read-only and whoever wrote them
# may have wanted git to lie or to run something. So the index is a fresh one: the one that is there
# can say of any file that it did not change. Programs that git's configuration names (hooks, file
# system monitor, filters, diff drivers) are not run: they are not here, and would see half of it.
# Only plumbing is used: it does not follow the user's taste in how a diff looks.
set -u
work=$1 base=$2 patch_max=$3 names_max=$4 since=$5 gits_max=$6
file_max=67108864
d=${TMPDIR:-/tmp}/artifacts.$$ # goes with the sandbox
mkdir -p "$d/objects/info" || exit 1
exec 2>"$d/err"

unset GIT_DIR GIT_COMMON_DIR GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_CONFIG_PARAMETERS
parent=${work%/*}
export LC_ALL=C GIT_CEILING_DIRECTORIES="${parent:-/}" GIT_WORK_TREE="$work"
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1
export GIT_OPTIONAL_LOCKS=0 GIT_LITERAL_PATHSPECS=1 GIT_NO_REPLACE_OBJECTS=1
export GIT_ALLOW_PROTOCOL=none GIT_NO_LAZY_FETCH=1 GIT_TERMINAL_PROMPT=0
export GIT_CONFIG_COUNT=0

configure() { # KEY VALUE
	export "GIT_CONFIG_KEY_$GIT_CONFIG_COUNT=$1" "GIT_CONFIG_VALUE_$GIT_CONFIG_COUNT=$2"
	GIT_CONFIG_COUNT=$((GIT_CONFIG_COUNT + 1))
}

emit() { # KEY VALUE
	printf '%s\0%d\0%s' "$1" "${#2}" "$2"
}

emit_file() { # KEY FILE SIZE
	printf '%s\0%d\0' "$1" "$3"
	[ "$3" = 0 ] || cat "$2"
}

size_of() { # FILE
	[ ! -s "$1" ] && size=0 || size=$(wc -c <"$1")
}

finish() {
	emit end ''
	exit 0
}

fail() { # KEYWORD [WHAT]: the last that git said is the reason
	emit failed "$1: ${2:-$(tail -n 1 "$d/err" | head -c 400 | tr -d '\000')}"
	finish
}

configure core.fsmonitor false
configure core.hooksPath /dev/null
configure core.untrackedCache false
configure core.splitIndex false
configure submodule.recurse false
configure protocol.allow never
configure sparse.expectFilesOutsideOfPatterns false

command -v git >/dev/null || fail git_failed 'git is not installed'
cd "$work" || fail git_failed
if [ ! -e .git ] && [ ! -L .git ]; then
	fail no_repository 'the workspace is not a git working tree'
fi
about=$(git rev-parse --path-format=absolute --is-inside-work-tree --git-path objects) ||
	fail git_failed
case $about in
true"
"/*) printf '%s\n' "${about#*
}" >"$d/objects/info/alternates" ;;
*) fail git_failed '.git is not the one of a working tree' ;;
esac

sparse=
filters=
keys=$(git config --name-only --get-regexp '^(filter\.|core\.sparsecheckout$)')
while IFS= read -r key; do
	case $key in
	'') ;;
	core.*) sparse=$(git config --type=bool core.sparseCheckout) ;;
	*.required) configure "$key" false ;;
	*) filters=1 && configure "$key" '' ;;
	esac
done <<END
$keys
END

if head=$(git rev-parse -q --verify 'HEAD^{commit}'); then
	from=$head
	emit head "$head"
else # no commit yet, or it is not there
	git rev-parse -q --verify HEAD >/dev/null && fail git_failed 'HEAD is not a commit'
	git symbolic-ref HEAD >/dev/null || fail git_failed
	head=
	from=$(git hash-object -t tree --stdin </dev/null) || fail git_failed
fi
tree=$from
if [ -n "$base" ]; then
	from=$(git rev-parse --verify "$base^{commit}") || fail bad_base "there is no commit $base here"
fi
if [ -n "$head" ] || [ "$from" != "$tree" ]; then
	emit base "$from"
fi

# What is staged according to the index that is there. One that cannot be read says nothing.
git diff-index --cached --name-only -z --no-renames "$tree" >"$d/staged"
[ ! -s "$d/staged" ] ||
	git diff-index --cached --name-only -z --no-renames --diff-filter=A "$tree" >"$d/added"
# What a sparse checkout leaves out is not missing (but a file that is there counts, whatever the
# index says of it).
if [ "$sparse" = true ]; then
	git ls-files -t -z | grep -za '^S ' | sed -z 's/^S //' >"$d/sparse"
fi

# Without its filter (git-lfs) a file differs that nobody touched: of those the index is believed,
# even of files as young as itself.
if [ -n "$filters" ] && cp "$(git rev-parse --git-path index)" "$d/old" && touch -d tomorrow "$d/old"; then
	GIT_INDEX_FILE=$d/old git diff-files --name-only -z --ignore-submodules=dirty >"$d/changed"
fi
# From here on git writes beside the repository.
export GIT_OBJECT_DIRECTORY="$d/objects" GIT_INDEX_FILE="$d/index"
if [ -n "$head" ]; then
	git read-tree "$head" || fail git_failed
else
	git read-tree --empty || fail git_failed
fi
[ ! -e "$d/sparse" ] || git update-index -z --skip-worktree --stdin <"$d/sparse"
{
	git ls-files -z -o --exclude-standard || echo untracked >"$d/failed"
	# what is ignored, but was added all the same
	[ ! -s "$d/added" ] || xargs -0 git ls-files -z -o -- <"$d/added"
} >"$d/others"
[ ! -e "$d/failed" ] || fail git_failed
if [ -s "$d/others" ]; then
	grep -zav '/$' "$d/others" >"$d/new"
	git add -f -N --pathspec-from-file="$d/new" --pathspec-file-nul || fail git_failed
fi
git update-index -q --ignore-submodules --really-refresh >/dev/null # those that differ: see below

changed() { # TREE: what is in the working tree, against it
	git diff-index --name-only -z --no-renames --ignore-submodules=dirty "$1" ||
		echo names >"$d/failed"
}

if [ -e "$d/changed" ]; then
	changed "$tree" | git check-attr -z --stdin filter |
		sed -zn 'h;n;n;/^unspecified$/!{/^unset$/!{x;p}}' | sort -z >"$d/filtered"
	sort -z "$d/changed" | comm -z -23 "$d/filtered" - |
		git update-index -z --assume-unchanged --stdin
fi
changed "$tree" >"$d/dirty"
if [ -s "$d/dirty" ] || [ -s "$d/staged" ]; then
	emit uncommitted 1
else
	emit uncommitted 0
fi
if [ -z "$head" ]; then
	lost=
elif ! lost=$(git rev-list --max-count=1 "$head" --not --branches --tags --remotes); then
	lost=unknown # rather keep it
fi
emit unreachable "${lost:+1}"
{
	cat "$d/dirty" "$d/staged"
	[ ! -s "$d/others" ] || grep -za '/$' "$d/others"
	# what commits changed is this, or it has changed again
	[ "$from" = "$tree" ] || changed "$from"
} | head -c "$names_max" >"$d/names"
size_of "$d/names"
emit_file touched "$d/names" "$size"
if [ "$since" != 0 ]; then
	find "$work" -mindepth 1 -path "$work/.git" -prune -o -name .git -prune \
		-newerct "@$since" -printf '%P\0' | sort -z | head -c "$gits_max" >"$d/gits"
	size_of "$d/gits"
	emit_file gits "$d/gits" "$size"
	size_of "$d/names"
fi
[ ! -e "$d/failed" ] || fail git_failed

[ "$patch_max" -gt 0 ] || finish
# git reads and packs a file whole: minutes, or all the memory, for what is too long in the end.
if [ "$size" -gt 0 ] && [ -n "$(find -files0-from "$d/names" -maxdepth 0 -type f \
	-size "+${file_max}c" -print -quit)" ]; then
	fail too_large "a file that changed has more than $file_max bytes"
fi
{
	git diff-index --patch --binary --full-index --no-renames --no-color --no-ext-diff \
		--no-textconv --ignore-submodules=dirty --src-prefix=a/ --dst-prefix=b/ "$from" ||
		echo patch >"$d/failed"
} | head -c "$((patch_max + 1))" >"$d/patch"
size_of "$d/patch"
[ "$size" -le "$patch_max" ] || fail too_large "the patch is longer than $patch_max bytes"
[ ! -e "$d/failed" ] || fail git_failed
[ "$size" -gt 0 ] || fail no_changes 'nothing differs from the base commit'
emit_file patch "$d/patch" "$size"
finish
