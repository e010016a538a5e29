#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every mistake on the command line: one line that says what to do, status 125, and nothing is run.
. "${0%/*}/lib.sh"

# refused WORDS ARG...: memmap refuses the arguments, with these words.
refused() {
	local words=$1
	shift
	status 125 "$MEMMAP" "$@"
	[ "$(wc -l < err)" -eq 1 ] || fail "not one line: memmap $*: $(cat err)"
	[ -s out ] && fail "output: memmap $*"
	grep -q "^memmap: .*$words" err || fail "without '$words': memmap $*: $(cat err)"
	[ -e ran ] && fail "the program was run: memmap $*"
	rm -f ran
}

refused "memmap --help"
refused "see 'memmap --help'" dance
refused "unknown option '--dance'" --dance
refused "no command to trace" trace
refused "no command to trace" trace --
refused "no command to trace" trace --strict
refused "unknown option '--dance'" trace --dance -- touch ran
refused "unknown option '-x'" trace -x -- touch ran
refused "unknown option '-x'" trace -qx -- touch ran
refused "unknown option '--strict=yes'" trace --strict=yes -- touch ran
refused "needs a value" trace --report
refused "needs a value" trace --plot
refused "needs a value" trace -p
refused "'x' is no process" trace -p x
refused "'0' is no process" trace --pid=0
refused "'1x' is no process" trace -p 1x
refused "'99999999999' is no process" trace -p 99999999999
refused "both a process and a command" trace -p 1 -- touch ran
refused "the report './no/where' cannot be written: No such file" trace -r ./no/where -- touch ran
refused "the report '.' cannot be written: Is a directory" trace -r . -- touch ran
refused "the report '' cannot be written" trace --report= -- touch ran
refused "the plot '/proc/x' cannot be written" trace --plot=/proc/x -- touch ran
refused "cannot both be 'same'" trace -r same --plot=same -- touch ran
[ -z "$(ls | grep -v -e '^out$' -e '^err$')" ] || fail "something was left behind: $(ls)"

# Options after the command are the command's.
can_trace
status 0 "$MEMMAP" trace echo --strict -x
[ "$(cat out)" = "--strict -x" ] || fail "the program's own options: $(cat out)"

status 0 "$MEMMAP" --help
grep -q '^Usage: memmap' out || fail "help"
status 0 "$MEMMAP" trace --help
grep -q '^Usage: memmap trace' out || fail "help of trace"
[ "$(wc -l < out)" -le 24 ] || fail "help does not fit a screen"
status 0 "$MEMMAP" --version
grep -q '^memmap [0-9]' out || fail "version"
status 0 "$MEMMAP" trace --version
if [ -e /dev/full ]; then
	"$MEMMAP" --help > /dev/full 2> err
	[ $? -eq 125 ] || fail "help that cannot be written"
	grep -q '^memmap: the output could not be written: No space left' err || fail "words: $(cat err)"
fi
done_testing
