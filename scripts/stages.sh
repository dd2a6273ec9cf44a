# SPDX-License-Identifier: Apache-2.0
# The stages of ./bootstrap test. Sourced.
#
# A stage is a function that says how many tests passed and failed by calling count; a non-zero status is
# one more failure. What it prints goes to build/test-logs/STAGE.log. One plain line at the end has the
# sum.

stages='unit root owner user torture asan o3 valgrind fuzz lint node demo vm'

describe_unit='gcc -Werror, every unit test'
describe_root='integration and escape: root daemon, owner 0; that the bench works'
describe_owner='integration and escape: root daemon, another owner'
describe_user='integration and escape: ordinary user, newuidmap'
describe_torture='clients that go on while all around them is killed, held and filled, 60 s'
describe_asan='clang with ASan, UBSan and LSan: unit tests, integration and escape as root'
describe_o3='clang -O3 -Werror, every unit test'
describe_valgrind='valgrind over the unit tests of proto and rpc'
describe_fuzz='each fuzzer for 20 s'
describe_lint='clang-format, cppcheck, layering, documentation'
describe_node='client/node under node, node 18 and bun; as root and as a user'
describe_demo='the demo: a whole loop of claude and codex on a scripted API'
describe_vm='Debian with systemd and cgroup v2 in a virtual machine'

passed=0
failed=0
skipped=0

count() {
	passed=$((passed + $1))
	failed=$((failed + $2))
}

# A stage that cannot run here. Counts as a failure when strict.
skip() {
	echo "skipped: $*"
	skipped=$((skipped + 1))
	[ "${SANDBOXD_TEST_STRICT-}" != 1 ] || count 0 1
}

# check NAME COMMAND...: one test.
check() {
	local name=$1
	shift
	if "$@" </dev/null; then
		echo "ok: $name"
		count 1 0
	else
		echo "FAILED: $name"
		count 0 1
	fi
}

# Counts by the last "N passed, N failed" that a program printed to FILE, and by its status.
count_output() {
	local file=$1 status=$2 line
	line=$(grep -aoE '[0-9]+ passed, [0-9]+ failed' "$file" | tail -n 1) || line=
	if [ -z "$line" ]; then
		echo "FAILED: no result line (exit status $status)"
		count 0 1
		return
	fi
	line=${line//[!0-9 ]/}
	# shellcheck disable=SC2086 # two numbers
	set -- $line
	count "$1" "$2"
	if [ "$2" = 0 ] && [ "$status" != 0 ]; then
		echo "FAILED: all passed, but exit status $status"
		count 0 1
	fi
}

# counted SECONDS COMMAND...
counted() {
	local limit=$1 out status=0
	shift
	out=$(mktemp)
	timeout --kill-after=20 "$limit" "$@" </dev/null >"$out" 2>&1 || status=$?
	cat "$out"
	count_output "$out" "$status"
	rm -f "$out"
}

meson_tests() { # DIR [MESON-TEST-ARG...]
	local dir=$1
	shift
	counted 900 scripts/meson-test "$dir" "$@"
}

integration() { # DIR MODE [ARG...]
	local dir=$1 mode=$2
	shift 2
	counted 1200 "${root_words[@]}" env "SANDBOXD_TEST_STRICT=${SANDBOXD_TEST_STRICT-}" \
		"ASAN_OPTIONS=${ASAN_OPTIONS-}" "UBSAN_OPTIONS=${UBSAN_OPTIONS-}" \
		"LSAN_OPTIONS=${LSAN_OPTIONS-}" \
		python3 tests/integration/run.py --build "$root/build/$dir" --mode "$mode" "$@"
}

make_test_user() {
	if ! id "$test_user" >/dev/null 2>&1; then
		echo "making the user $test_user (./bootstrap clean removes it)"
		say "making the user $test_user (./bootstrap clean removes it)"
		as_root useradd --create-home --shell /bin/bash "$test_user"
	fi
	grep -q "^$test_user:" /etc/subuid ||
		as_root usermod --add-subuids 700000000-700065535 \
			--add-subgids 700000000-700065535 "$test_user"
}

gcc_build() {
	CC=gcc build_dir gcc --werror -Dfaults=true || return
	count 1 0
}

stage_unit() {
	gcc_build && meson_tests gcc
}

stage_root() {
	gcc_build || return
	integration gcc root
	check 'the bench works' timeout --kill-after=20 120 "${root_words[@]}" tests/bench/run --quick --strict \
		--build "$root/build/gcc" exec-fds exec-captured claim ctl-nsenter ctl-crun create-crun \
		create-bwrap stop- remove-
	check 'the steps of a create' timeout --kill-after=20 60 "${root_words[@]}" tests/bench/steps --quick \
		--build "$root/build/gcc"
}

stage_owner() {
	gcc_build && make_test_user && integration gcc owner
}

stage_user() {
	gcc_build && make_test_user && integration gcc user
}

# The seed is always the same, so that what a run finds can be looked for again; what happens at the
# same time as what is another matter.
stage_torture() {
	gcc_build || return
	counted 500 "${root_words[@]}" python3 tests/torture/torture --build "$root/build/gcc" \
		--seconds "${SANDBOXD_TORTURE_SECONDS:-60}" --seed "${SANDBOXD_TORTURE_SEED:-1}"
}

no_reports() { # DIR
	[ -z "$(ls -A "$1")" ] || {
		cat "$1"/*
		return 1
	}
}

stage_asan() {
	local reports
	CC=clang build_dir asan --werror -Dfaults=true -Db_sanitize=address,undefined -Db_lundef=false || return
	count 1 0
	export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:strict_string_checks=1:quarantine_size_mb=32
	export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	meson_tests asan --timeout-multiplier 4
	# Of a keeper, or a copy of the daemon, nobody who minds sees how it ended.
	reports=$(mktemp -d)
	chmod 1777 "$reports" # a keeper is another user
	ASAN_OPTIONS=$ASAN_OPTIONS:log_path=$reports/of
	# What these take their time for is done by npm and mmdebstrap, which no sanitizer watches.
	integration asan root --without tool.others,template.debian
	check "no report of a sanitizer" no_reports "$reports"
	rm -rf "$reports"
}

stage_o3() {
	CC=clang build_dir o3 --werror --buildtype=debugoptimized --optimization=3 || return
	count 1 0
	meson_tests o3
}

stage_valgrind() {
	local names
	gcc_build || return
	names=$(meson test -C build/gcc --list 2>/dev/null | sed 's/.* //' |
		grep -E '^(unit-)?(proto|rpc)') || true
	if [ -z "$names" ]; then
		echo "FAILED: no unit tests of proto and rpc"
		return 1
	fi
	# shellcheck disable=SC2086 # a list of names
	CK_FORK=no CK_EXCLUDE_TAGS="clone memory" meson_tests gcc --timeout-multiplier 10 \
		--wrapper "valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite" \
		$names
}

# fuzz_one PROGRAM: from a copy of its corpus, so that the tree stays as it is.
fuzz_one() {
	local program=$1 name=${1##*/} work
	work=build/fuzz/run/$name
	rm -rf "$work"
	mkdir -p "$work"
	cp -r "tests/fuzz/corpus/${name#fuzz-}/." "$work" || return
	timeout --kill-after=10 120 "$program" -max_total_time="${SANDBOXD_FUZZ_SECONDS:-20}" \
		-rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
		-artifact_prefix="build/fuzz/run/crash-$name-" "$work" 2>&1 | tail -n 15
}

stage_fuzz() {
	local program found=
	CC=clang build_dir fuzz --werror -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false || return
	for program in build/fuzz/tests/fuzz/fuzz-*; do
		[ -f "$program" ] && [ -x "$program" ] || continue
		found=1
		check "$(basename "$program")" fuzz_one "$program"
	done
	[ -n "$found" ] || {
		echo "FAILED: no fuzzers in build/fuzz/tests/fuzz"
		return 1
	}
}

stage_lint() {
	local lint
	gcc_build || return
	for lint in tests/lint/*; do
		[ -x "$lint" ] && [ -f "$lint" ] || continue
		check "lint ${lint##*/}" "$lint" "$root" build/gcc
	done
}

stage_node() {
	gcc_build && make_test_user || return
	counted 900 "${root_words[@]}" env "PATH=$PATH" python3 tests/node/run --build "$root/build/gcc" \
		--cache "$cache"
}

stage_demo() {
	gcc_build || return
	check 'a loop of claude and codex' \
		timeout --kill-after=20 900 python3 tests/demo/demo.py --build build/gcc --cache "$cache/demo"
}

stage_vm() {
	if [ ! -x tests/vm/run ]; then
		skip "tests/vm/run does not exist"
		return
	fi
	gcc_build || return
	# Emulated, eight times slower: what cgroup v2 and systemd make different, not everything.
	SANDBOXD_BOOTSTRAP_CACHE=$cache counted 1200 tests/vm/run --build "$root/build/gcc" \
		--only 'system.*,adopt.sandbox*,adopt.killed*,adopt.paused*,adopt.stopped*,lifecycle.*,limits.*,pause.*,stats.*,timers.*,escape.*,disk.quota,keeper_service.*,secret_memory.*'
}

# Runs one stage in a shell of its own and leaves its numbers in STAGE.count.
run_stage() (
	name=$1
	log=build/test-logs/$name.log
	describe=describe_$name
	status=0
	start=$(now_ms)
	say "stage $name: ${!describe}"
	"stage_$name" >"$log" 2>&1 || status=$?
	[ "$status" = 0 ] || count 0 1
	echo "$passed $failed $skipped" >"build/test-logs/$name.count"
	printf '== %-8s %4d passed, %d failed %6s s   %s\n' "$name" "$passed" "$failed" \
		"$(seconds $(($(now_ms) - start)))" "${!describe}"
	grep -a '^skipped: ' "$log" | sed 's/^/   /' || true
	if [ "$failed" != 0 ]; then
		grep -aE '^(FAILED|FAIL|not ok)' "$log" | head -n 40 | sed 's/^/   /' || true
		tail -n 40 "$log" | sed 's/^/   | /'
		echo "   all of it: $log"
	fi
)

# Lanes beside each other, although there are two cores: integration tests mostly wait. All need the
# gcc build, which the first stage makes. The owner's and the user's are one user of the host, who has
# only so many inotify instances: one after the other.
lanes=('root vm demo' 'owner user torture' 'o3 valgrind fuzz lint node asan')

run_all_stages() {
	local stage lane pids='' pid
	run_stage unit
	set -m # a process group for each, so that it can be ended whole
	for lane in "${lanes[@]}"; do
		for stage in $lane; do
			run_stage "$stage"
		done </dev/null &
		pids="$pids $!"
	done
	set +m
	# shellcheck disable=SC2064 # the lanes of now
	trap "kill --${pids// / -} 2>/dev/null; exit 130" INT TERM
	for pid in $pids; do
		wait "$pid" || true
	done
	trap - INT TERM
}

add_counts() { # STAGE...
	local stage p f s
	for stage in "$@"; do
		read -r p f s <"build/test-logs/$stage.count" || {
			count 0 1
			continue
		}
		count "$p" "$f"
		skipped=$((skipped + s))
	done
}

# The host must be what it was: device nodes, cgroups, mounts, and no process of ours.
check_host() {
	if as_root python3 scripts/host-state.py compare build/test-logs/host-before >build/test-logs/host.log 2>&1; then
		echo "== host     as before: /dev, cgroups, mounts, processes"
		count 1 0
	else
		echo "== host     FAILED: not as before"
		head -n 30 build/test-logs/host.log | sed 's/^/   /'
		count 0 1
	fi
}

run_stages() {
	local wanted='' stage describe start
	while [ $# -gt 0 ]; do
		case $1 in
		--stage)
			[[ " $stages " = *" ${2-} "* ]] || die "stages are: $stages"
			wanted="$wanted $2"
			shift 2
			;;
		--list)
			for stage in $stages; do
				describe=describe_$stage
				printf '%-9s %s\n' "$stage" "${!describe}"
			done
			return 0
			;;
		*) die "test: $1: not an option (--stage NAME, --list)" ;;
		esac
	done
	start=$(now_ms)
	install_packages build test
	[[ " ${wanted:-$stages} " != *' vm '* ]] || install_packages vm
	mkdir -p build/test-logs
	as_root python3 scripts/host-state.py save build/test-logs/host-before
	rm -f build/test-logs/*.count
	if [ -n "$wanted" ]; then
		for stage in $wanted; do
			run_stage "$stage"
		done
	else
		run_all_stages
	fi
	# shellcheck disable=SC2086 # a list of names
	add_counts ${wanted:-$stages}
	check_host
	printf '\n%d passed, %d failed\n' "$passed" "$failed"
	[ "$skipped" = 0 ] || say "$skipped skipped"
	say "took $(seconds $(($(now_ms) - start))) s"
	[ "$failed" = 0 ]
}
