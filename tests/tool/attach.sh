#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Attaching to a process that runs: it is followed, let go, and notices nothing.
. "${0%/*}/lib.sh"
can_trace

# begin EXERCISE: run it, untraced; its first line is its pid. Descriptor 5 is its input.
begin() {
	rm -f to from
	mkfifo to from
	"$EXERCISE" "$1" < to > from &
	running=$!
	exec 5> to 6< from
	read -r program <&6
}

# finish STATUS WHEN: end it by a line, and see how it ended.
finish() {
	local found=0
	echo end >&5
	exec 5>&- 6<&-
	wait "$running" || found=$?
	[ "$found" -eq "$1" ] || fail "exit status $found of the program $2"
}

tracer_of() {
	awk '/^TracerPid/ { print $2 }' "/proc/$1/status"
}

# attach OPTION...: attach, and wait until it is attached to.
attach() {
	env --default-signal=INT "$MEMMAP" trace -p "$program" "$@" 2> err &
	memmap=$!
	for _ in $(seq 100); do
		[ "$(tracer_of "$program")" = "$memmap" ] && return
		sleep 0.05
	done
	fail "it is not attached to: $(cat err)"
}

# let_go SIGNAL: end memmap by a signal; the program goes on.
let_go() {
	local found=0
	kill "-$1" "$memmap"
	wait "$memmap" || found=$?
	[ "$found" -eq "${2:-0}" ] || fail "exit status $found after SIG$1: $(cat err)"
	for thread in /proc/"$program"/task/*; do
		[ "$(tracer_of "$program/task/${thread##*/}")" = 0 ] || fail "$thread is still traced"
		grep -q '^State:[[:space:]]*[tT]' "$thread/status" && fail "$thread is stopped"
	done
}

begin attached
for signal in INT TERM HUP; do
	attach --strict --report=report.json
	sleep 0.5
	let_go "$signal"
	grep -q "(process $program) was let go after" err || fail "the summary: $(cat err)"
	"$CHECK_REPORT" report.json || fail "the report after SIG$signal"
	grep -q '"mmap": [1-9]' report.json || fail "nothing was traced"
	grep -q '"missed": 0' report.json || fail "addresses: $(grep missed report.json)"
done
# A thread's number stands for its process.
threads=(/proc/"$program"/task/*)
whole=$program
program=${threads[2]##*/}
status 0 timeout --preserve-status -s INT 1 "$MEMMAP" trace --strict -p "$program"
grep -q "(process $whole) was let go" err || fail "by a thread: $(cat err)"
program=$whole
# Two at once: the second is refused, and says why.
attach -q
status 125 "$MEMMAP" trace -p "$program"
grep -q "process $program is traced already, by process $memmap" err || fail "words: $(cat err)"
# memmap is killed: the program goes on.
kill -KILL "$memmap"
wait "$memmap" 2> /dev/null
sleep 0.1
[ "$(tracer_of "$program")" = 0 ] || fail "it is traced by the dead"
finish 7 "after it was let go"

# It ends while it is traced: so does memmap.
begin attached
attach --strict --report=report.json --plot=plot.svg
sleep 0.3
finish 7 "while it is traced"
wait "$memmap"
found=$?
[ "$found" -eq 0 ] || fail "exit status $found when the program ends: $(cat err)"
grep -q 'exited with 7' err || fail "the summary: $(cat err)"
"$CHECK_REPORT" report.json || fail "the report of a program that ended"
grep -q '</svg>' plot.svg || fail "the plot of a program that ended"

# Segments of shared memory that it had attached before.
begin attached_segments
attach --strict --report=report.json
sleep 0.3
finish 7 "with segments, while it is traced"
wait "$memmap" || fail "exit status $? with segments: $(cat err)"
grep -q '"kernel_only": 0,' report.json || fail "boundaries in segments: $(grep kernel_only report.json)"
grep -q '"mprotect": [1-9]' report.json || fail "nothing was traced in segments"

# It is killed while it is traced.
begin attached
attach -q --report=report.json
kill -KILL "$program"
wait "$memmap"
found=$?
[ "$found" -eq 0 ] || fail "exit status $found when the program is killed: $(cat err)"
"$CHECK_REPORT" report.json || fail "the report of a program that was killed"
exec 5>&- 6<&-
wait "$running" 2> /dev/null

# It is stopped by job control, and stays so.
begin attached
kill -STOP "$program"
attach -q
sleep 0.2
kill -INT "$memmap"
wait "$memmap" || fail "a stopped program: $(cat err)"
[ "$(tracer_of "$program")" = 0 ] || fail "a stopped program is still traced"
grep -q '^State:[[:space:]]*T' "/proc/$program/status" || fail "a stopped program runs: $(grep State /proc/$program/status)"
kill -CONT "$program"
finish 7 "after SIGSTOP and SIGCONT"

# Who cannot be attached to.
status 125 "$MEMMAP" trace -p 2147483647
grep -q '^memmap: there is no process 2147483647' err || fail "words: $(cat err)"
status 125 sh -c 'exec "$0" trace -p $$' "$MEMMAP"
grep -q '^memmap: memmap cannot trace itself' err || fail "words: $(cat err)"
sh -c 'sleep 0.01 & exec sleep 60' &
parent=$!
sleep 0.3
ended=$(ps -o pid= --ppid $parent | tr -d ' ')
status 125 "$MEMMAP" trace -p "$ended"
grep -q "^memmap: process $ended has no memory: " err || fail "words: $(cat err)"
kill $parent
wait $parent 2> /dev/null
if [ "$(id -u)" -ne 0 ]; then
	status 125 "$MEMMAP" trace -p 1
	grep -q '^memmap: no permission to attach to process 1' err || fail "words: $(cat err)"
fi
done_testing
