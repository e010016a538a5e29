#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A log is the trace: replayed, at its end or at any call, it shows what the program saw of itself.
#
#   replay.sh EXERCISE-THAT-TAKES-SNAPSHOTS
. "${0%/*}/lib.sh"
can_trace
snapshots=$1
seed=${MEMMAP_TEST_SEED:-$RANDOM}
echo "seed: MEMMAP_TEST_SEED=$seed"

# ---- At every snapshot that the program took of itself, its child's too ----
count=20
status 0 "$MEMMAP" trace -q --strict --whole --log=log -- "$snapshots" "$seed" $count
[ "$(ls snapshot.* | wc -l)" -eq $((2 * count)) ] || fail "not all snapshots were taken"
for ((k = 1; k <= 2 * count; k++)); do
	mark=$(printf 'msync(0x%x, 0, MS_ASYNC) = 0' $((k * 4096)))
	read -r _ _ number pid _ < <(grep -F -- " $mark" log)
	"$MEMMAP" replay --at "$number" --pid "$pid" log > replayed 2>err ||
		fail "replay at call $number: $(cat err)"
	cmp -s replayed "snapshot.$k" ||
		fail "call $number, process $pid: $(diff replayed "snapshot.$k")"
done
# By time: just before the next record it is the same, just before the call it is not.
read -r _ time number pid _ < <(grep -F 'msync(0x1000, 0, MS_ASYNC)' log)
"$MEMMAP" replay --at-time "$time" --pid "$pid" log | cmp -s - snapshot.1 || fail "at time $time"
"$MEMMAP" replay --at 3 log | cmp -s - snapshot.1 && fail "call 3 shows the same"
# At the end: as each process last saw itself.
for k in $count $((2 * count)); do
	pid=$(awk -v mark="$(printf 'msync(0x%x,' $((k * 4096)))" '$7 == mark {print $4}' log)
	"$MEMMAP" replay --pid "$pid" log | cmp -s - snapshot.$k || fail "the end of process $pid"
done
[ "$("$MEMMAP" replay log | grep -c '^==> .*exited with 0')" -eq 2 ] || fail "two processes, at the end"
[ "$("$MEMMAP" replay --at 0 log | head -c 3)" != '==>' ] || fail "one process, at the beginning"

# ---- The model agrees, and the picture is one ----
checked() {
	status 0 "$MEMMAP" trace -q --log=log -- "$@"
	status 0 "$MEMMAP" replay --check log
	grep -q '^  differences   none$' out || fail "checked: $*: $(cat out)"
	grep -q ' 0 with what the kernel showed' out && fail "nothing compared: $*: $(cat out)"
}
status 0 "$MEMMAP" replay --check log
grep -q '^  differences   none$' out || fail "the snapshots: $(cat out)"
# The first segment of all has the number 0, which is then its inode's.
if unshare --ipc true 2> err; then
	checked unshare --ipc "$EXERCISE" segments
	grep -q ' 00:01 0  *//*SYSV' log || fail "no segment with the number 0: $(grep SYSV log)"
else
	echo "not tested: a new IPC namespace: $(cat err)"
fi
for what in threads forked spawned files moved grows_down deep_stack segments renamed thread_exec; do
	checked "$EXERCISE" $what
done
grep -q '^grow ' log || { "$MEMMAP" trace -q --log=log -- "$EXERCISE" deep_stack; grep -q '^grow ' log ||
	fail "a stack that grows is not in the log"; }
status 0 "$MEMMAP" replay --plot=plot.svg log
grep -q '</svg>' plot.svg || fail "the plot"
[ -s out ] && fail "maps beside the plot, which nobody asked for"
status 0 "$MEMMAP" replay --plot=plot.svg --maps log
[ -s out ] || fail "maps beside the plot"
# A log that lies is found out.
"$MEMMAP" trace -q --log=log -- "$EXERCISE" files
sed '0,/^\(+ .*\) r--p /s//\1 rw-p /' log > lie
status 3 "$MEMMAP" replay --check -q lie
grep -q "^memmap: lie:[0-9]*: process .*not those that the kernel showed" err || fail "a lie: $(cat err)"

# ---- Every call is there, with its process and thread ----
"$MEMMAP" trace -q --log=log --report=report.json -- "$EXERCISE" threads
calls=$(sed -n 's/^  "calls": \([0-9]*\),$/\1/p' report.json)
[ "$(grep -c '^call ' log)" -eq "$calls" ] || fail "$(grep -c '^call ' log) of $calls calls"
[ "$(awk '$1 == "call" {print $5}' log | sort -u | wc -l)" -gt 1 ] || fail "no threads in the log"
[ "$(grep -c '^thread ' log)" -eq "$(grep -c '^thread-end ' log)" ] || fail "threads that do not end"
grep '^call ' log | grep -qv '^call [0-9]*\.[0-9]\{9\} [0-9]* [0-9]* [0-9]* [0-9]*\.[0-9]\{9\} [a-z0-9_]*(.*) = [-0-9A-Za-z]*$' &&
	fail "a line that is not as documented: $(grep '^call ' log | head -3)"

# ---- Logs that are cut off or damaged ----
"$MEMMAP" trace -q --log=log -- "$EXERCISE" forked
lines=$(wc -l < log)
for ((n = 1; n <= 12; n++)); do
	line=$((1 + (RANDOM * 32768 + RANDOM) % (lines - 1)))
	head -n $line log > cut
	status 125 "$MEMMAP" replay --check cut
	grep -q "^memmap: cut:$line: the log ends here" err || fail "cut after line $line: $(cat err)"
	bytes=$((20 + (RANDOM * 32768 + RANDOM) % ($(stat -c %s log) - 20)))
	head -c $bytes log > cut
	status 125 "$MEMMAP" replay cut
	grep -q "^memmap: cut:[0-9]*: " err || fail "cut after byte $bytes: $(cat err)"
	sed "${line}d" log > cut
	"$MEMMAP" replay --check cut >out 2>err
	found=$?
	case $found in
	0 | 3 | 125) ;;
	*) fail "without line $line: exit status $found: $(cat err)" ;;
	esac
done
# What came before the cut is shown.
head -n $((lines - 1)) log > cut
"$MEMMAP" replay log > whole
"$MEMMAP" replay cut > partly 2>/dev/null
[ -s partly ] || fail "nothing of a log that was cut off"
diff whole partly >&2 || fail "a log without its last line"

# refused WORDS ARG...: one line that says what is wrong.
refused() {
	local words=$1
	shift
	status 125 "$MEMMAP" replay "$@"
	[ "$(wc -l < err)" -eq 1 ] || fail "not one line: memmap replay $*: $(cat err)"
	[ -s out ] && fail "output: memmap replay $*"
	grep -q -- "^memmap: .*$words" err || fail "without '$words': memmap replay $*: $(cat err)"
}
refused "0 given"
refused "2 given" log log
refused "'nothing' cannot be read: No such file" nothing
refused "'.' cannot be read: Is a directory" .
refused "this is no log" /proc/self/maps
: > empty
refused "empty:1: this is no log" empty
echo 'memmap log 9' > later
refused "a later version" later
refused "takes a number, not 'x'" --at x log
refused "takes seconds" --at-time 1x log
refused "name one" --at 1 --at-time 1 log
refused "the log has $(grep -c '^call ' log) calls, and no call 999999" --at 999999 log
refused "no address space of process 1 " --pid 1 log
refused "the plot './no/where' cannot be written" --plot ./no/where log
refused "needs a value" log --at
refused "'0' is no process" --pid 0 log
refused "'99999999999' is no process" --pid 99999999999 log
# What has no end and no lines.
refused "/dev/zero:1: this is no log" /dev/zero
(echo 'memmap log 1'; head -c 2000000 /dev/zero) > endless
refused "endless:2: a line of more than 1048576 bytes" endless
# Signals of every kind, and what would move a terminal's cursor.
cat > odd <<'END'
memmap log 1
command "a"
process 0.000000001 10 0
exec 0.000000002 10 "a\033[2Jb" "/bin/a"
process 0.000000003 11 10
exit 0.000000004 11 killed 40
process 0.000000005 12 10
exit 0.000000006 12 killed 32
exit 0.000000007 10 killed 9
end 0.000000008 0
END
status 0 "$MEMMAP" replay odd
grep -q '^==> 10 a?\[2Jb, killed by SIGKILL at ' out || fail "the command: $(cat -v out)"
grep -q '^==> 11 a?\[2Jb, killed by SIGRTMIN+6 at ' out || fail "a real-time signal: $(cat -v out)"
grep -q '^==> 12 a?\[2Jb, killed by signal 32 at ' out || fail "a signal without a name: $(cat -v out)"
sed 's/killed 9/killed 0/' odd > bad
refused "bad:9: this 'exit' record is damaged" bad

# ---- Places that cannot be written, a tracer that is killed ----
status 125 "$MEMMAP" trace --log ./no/where -- touch ran
[ -e ran ] && fail "the program was run"
echo old > kept
status 127 "$MEMMAP" trace --log kept -- no-such-command
[ "$(cat kept)" = old ] || fail "a log was begun for a program that is not"
status 127 "$MEMMAP" trace --log none -- no-such-command
[ -e none ] && fail "left behind: none"
if [ -e /dev/full ]; then
	status 125 "$MEMMAP" trace -q --log /dev/full -- true
	grep -q "^memmap: the log '/dev/full' could not be written to its end: No space" err ||
		fail "a full disk: $(cat err)"
fi
"$MEMMAP" trace -q --log=killed -- "$EXERCISE" busy > /dev/null 2>&1 &
tracer=$!
for ((i = 0; i < 200; i++)); do
	[ "$(grep -c '^call ' killed 2>/dev/null)" -gt 20 ] 2>/dev/null && break
	sleep 0.05
done
kill -KILL $tracer
wait $tracer 2>/dev/null
status 125 "$MEMMAP" replay killed
[ "$(grep -c . out)" -gt 10 ] || fail "a tracer that was killed: $(cat out err)"
grep -q "all that came before has been replayed" err || fail "a tracer that was killed: $(cat err)"
done_testing
