#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Real differences are found: somebody who is not traced changes a limit of the program behind the
# model's back, so that the kernel refuses what the model permits.
. "${0%/*}/lib.sh"
can_trace
has prlimit

# with_limit EXERCISE LIMIT EXPECTED OPTION...: the exercise with these options of memmap, and its limit
# set to this meanwhile.
with_limit() {
	local exercise=$1 limit=$2 expected=$3 found=0 pid
	shift 3
	rm -f to from
	mkfifo to from
	"$MEMMAP" trace "$@" -- "$EXERCISE" "$exercise" < to > from 2> err &
	exec 5> to 6< from
	read -r pid <&6
	prlimit --pid "$pid" "$limit" || fail "prlimit"
	echo go >&5
	cat <&6 > out
	exec 5>&- 6<&-
	wait $! || found=$?
	[ "$found" -eq "$expected" ] || fail "exit status $found instead of $expected: $(cat err)"
}

# interfere EXPECTED OPTION...
interfere() {
	with_limit interfered --as=40000000 "$@"
	grep -q refused out || fail "the kernel should have refused: $(cat out)"
}

interfere 3 --strict --report=report.json
grep -q 'difference in process .*: mmap(NULL, 0x4000000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)' err ||
	fail "the call: $(cat err)"
grep -q '^ *expected *0x[0-9a-f]*$' err || fail "what was expected: $(cat err)"
grep -q '^ *found *-ENOMEM$' err || fail "what was found: $(cat err)"
"$CHECK_REPORT" report.json 1 || fail "the report"
# It has resynchronised: this one difference, and no other.
grep -q '^ *differences 1$' err || fail "how many: $(cat err)"
# Without --strict the status is the program's, and the exit of such a call is not seen: maps tell.
interfere 0 --report=report.json
"$CHECK_REPORT" report.json 1 || fail "the report"
grep -q 'difference in process .*: mmap(NULL, 0x4000000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)' err ||
	fail "the call: $(cat err)"
grep -q '^ *expected *[0-9a-f]*-[0-9a-f]* rw-p 00000000 00:00 0' err || fail "the maps expected: $(cat err)"
grep -q '^ *found *(nothing)$' err || fail "the maps found: $(cat err)"
grep -q '^ *differences 1$' err || fail "how many: $(cat err)"
# Where the heap ends is taken over, too.
for expected in 0 3; do
	if [ $expected -eq 3 ]; then how=--strict; else how=--whole; fi
	with_limit interfered_heap --data=unlimited: $expected $how --report=report.json
	grep -q granted out || fail "the kernel should have granted: $(cat out)"
	"$CHECK_REPORT" report.json 1 || fail "the report of the heap: $(cat err)"
	grep -q '^ *differences 1$' err || fail "how many with the heap: $(cat err)"
done
interfere 3 -s -q
[ -s err ] && fail "not quiet: $(cat err)"
done_testing
