#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Signals reach the program; the program never outlives memmap; what cannot be followed is refused.
. "${0%/*}/lib.sh"
can_trace

# start EXERCISE [OPTION]...: trace it in the background; its first line is its pid.
start() {
	local exercise=$1
	shift
	rm -f from
	mkfifo from
	# A shell starts what runs in its background with SIGINT ignored.
	env --default-signal=INT "$MEMMAP" trace "$@" -- "$EXERCISE" "$exercise" > from 2> err &
	memmap=$!
	exec 6< from
	read -r program <&6
}

# gone PID: has it gone, within a few seconds?
gone() {
	for _ in $(seq 100); do
		[ -e "/proc/$1" ] || return 0
		grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2> /dev/null && return 0
		sleep 0.05
	done
	return 1
}

start wait_forever
children=$(cat "/proc/$program/task/$program/children")
kill -KILL "$memmap"
wait "$memmap" 2> /dev/null
for pid in $program $children; do
	gone "$pid" || fail "process $pid has outlived memmap"
done

# Each signal is passed on, and memmap reports after all.
start terminated --report=report.json
kill -USR1 "$memmap"
kill -INT "$memmap"
sleep 0.2
[ -e "/proc/$program" ] || fail "SIGINT was not left to the program"
kill -TERM "$memmap"
wait "$memmap"
found=$?
[ "$found" -eq 43 ] || fail "exit status $found: three signals should have come"
"$CHECK_REPORT" report.json || fail "the report after SIGTERM"
grep -q 'exited with 43' err || fail "the summary: $(cat err)"

start wait_forever
kill -TERM "$program" $(cat "/proc/$program/task/$program/children")
wait "$memmap"
found=$?
[ "$found" -eq 143 ] || fail "exit status $found of a program killed by SIGTERM"

# The program is killed in the middle of it all: the report is valid.
start wait_forever --report=report.json --plot=plot.svg
kill -KILL "$program" $(cat "/proc/$program/task/$program/children")
wait "$memmap"
found=$?
[ "$found" -eq 137 ] || fail "exit status $found of a program killed by SIGKILL"
"$CHECK_REPORT" report.json || fail "the report after SIGKILL"
grep -q '</svg>' plot.svg || fail "the plot after SIGKILL"

# A child that goes on after its parent is waited for.
"$MEMMAP" trace -q -- sh -c '(sleep 0.3; echo late) & exit 5' > out
[ $? -eq 5 ] || fail "the status of a program with a child left"
[ "$(cat out)" = late ] || fail "the child was not waited for"

# Until memmap is asked to end: then what is left is killed, and memmap reports.
rm -f from
mkfifo from
"$MEMMAP" trace --report=report.json -- sh -c 'sleep 1000 & echo $!; exit 5' > from 2> err &
memmap=$!
exec 6< from
read -r left <&6
for _ in $(seq 100); do
	[ "$(ps -o ppid= -p "$left" | tr -d ' ')" -eq 1 ] 2> /dev/null && break
	sleep 0.05
done
sleep 0.2
[ -e "/proc/$left" ] || fail "the child has not been waited for"
kill -TERM "$memmap"
wait "$memmap"
found=$?
[ "$found" -eq 5 ] || fail "exit status $found after the end was asked for: $(cat err)"
gone "$left" || fail "process $left has outlived memmap"
"$CHECK_REPORT" report.json || fail "the report after the end was asked for"
grep -q 'exited with 5' err || fail "the summary after the end was asked for: $(cat err)"

# A child whose parent was gone before it could tell of it is looked at once more when it ends.
status 0 "$MEMMAP" trace -q --log=log -- "$EXERCISE" orphans
grep -q '^attach ' log || echo "not tested: nobody was orphaned"
awk '$1 == "attach" { looks[$3] = 0 }
     $1 == "maps" && ($3 in looks) { looks[$3]++ }
     END { for (pid in looks) if (looks[pid] < 2) { print pid; bad = 1 } exit bad }' log > out ||
	fail "orphans that were not looked at when they ended: $(tr '\n' ' ' < out)"

# 32-bit system calls, where the kernel has them.
if (ulimit -c 0; "$EXERCISE" foreign) 2>/dev/null; then
	status 125 "$MEMMAP" trace -q --report=report.json -- "$EXERCISE" foreign
	grep -q "^memmap: process [0-9]* (.*foreign) makes 32-bit system calls, which cannot be followed" err ||
		fail "words: $(cat err)"
	"$CHECK_REPORT" report.json || fail "the report of what was refused"
else
	echo "not tested: this kernel runs no 32-bit system calls"
fi

# A program that wants to trace is told that it cannot, and the user is told of it.
if command -v strace > /dev/null; then
	"$MEMMAP" trace -r report.json -- strace -o strace.out true > out 2> err
	grep -q '^memmap: process [0-9]* (strace.*) wants to trace or to be traced' err || fail "strace: $(cat err)"
	grep -q '"refused_tracing": [1-9]' report.json || fail "strace is not in the report"
fi

# A program that wants to supervise system calls: of all filters one can have a listener.
status 0 "$MEMMAP" trace -q --strict -- "$EXERCISE" supervise
"$MEMMAP" trace -r report.json -- "$EXERCISE" supervise > out 2> err
case $? in
0) echo "not tested: calls are not told by notices here" ;;
3)
	grep -q '^memmap: process [0-9]* (.*supervise) wants to supervise system calls' err ||
		fail "words: $(cat err)"
	grep -q '"refused_supervising": 1' report.json || fail "the supervisor is not in the report"
	;;
*) fail "a supervisor: $(cat err)" ;;
esac

# Tracing a tracer: the inner one is refused by the kernel, and says so.
# (The leak sanitizer traces as well, and so cannot work in there.)
status 125 "$MEMMAP" trace -q -- env ASAN_OPTIONS=detect_leaks=0 "$MEMMAP" trace -- /bin/true
grep -q 'no permission to trace' err || fail "nested: $(cat err)"
done_testing
