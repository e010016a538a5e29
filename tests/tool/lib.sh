# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts of this folder share. CTest runs them with
#   MEMMAP        the memmap command
#   EXERCISE      the program of exercise.c
#   CHECK_REPORT  the program of check_report.c
# Each works in a directory of its own. Exit status 77: skipped, and says why.

set -u
: "${MEMMAP:?}" "${EXERCISE:?}" "${CHECK_REPORT:?}"

workdir=$(mktemp -d)
trap 'cd / && rm -rf "$workdir"' EXIT
cd "$workdir" || exit 99

failures=0

# fail WORDS...: note a failure and go on.
fail() {
	echo "FAILED: $*" >&2
	failures=$((failures + 1))
}

skip() {
	echo "skipped: $*"
	exit 77
}

# done_testing: the last line of every script.
done_testing() {
	[ "$failures" -eq 0 ] || exit 1
	exit 0
}

# status EXPECTED COMMAND...: does the command exit with this?
status() {
	local expected=$1 found=0
	shift
	"$@" >out 2>err </dev/null || found=$?
	[ "$found" -eq "$expected" ] || fail "exit status $found instead of $expected: $*: $(cat err)"
}

# traced STATUS COMMAND...: trace it; no difference, a valid report, this exit status. First as ever,
# when the exits of many calls are not seen, then strictly, when all are; `report.json` is of that.
traced() {
	local expected=$1 how found
	shift
	for how in --quiet --strict; do
		found=0
		"$MEMMAP" trace $how --report=report.json -- "$@" >out 2>err </dev/null || found=$?
		if [ "$found" -ne "$expected" ]; then
			fail "exit status $found instead of $expected: $how $*"
			cat err >&2
		fi
		"$CHECK_REPORT" report.json || fail "the report of: $how $*"
		[ $how = --strict ] || cp report.json unwatched.json
	done
}

# can_trace: skip the script where the kernel does not let anybody trace; any other failure is one.
can_trace() {
	"$MEMMAP" trace -q -- /bin/true 2>err && return
	if grep -q -e 'no permission to trace' -e 'refuses seccomp' err; then
		skip "nothing can be traced here: $(cat err)"
	fi
	fail "memmap trace -- /bin/true: $(cat err)"
	exit 1
}

# has COMMAND...: skip the script when one is missing.
has() {
	local command
	for command in "$@"; do
		command -v "$command" >/dev/null || skip "$command is not installed"
	done
}
