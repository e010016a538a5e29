#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# On a terminal there are colours, and long work shows how far it is; elsewhere neither.
. "${0%/*}/lib.sh"
can_trace
has script
script -qec true /dev/null < /dev/null > /dev/null 2>&1 || skip "no pseudo-terminals here: /dev/pts is not mounted"
escape=$(printf '\033')

# on_terminal COMMAND: what it writes to a terminal of its own.
on_terminal() {
	TERM=xterm script -qec "$1" /dev/null < /dev/null
}

"$MEMMAP" trace -q --log=log -- sh -c 'ls / > /dev/null; ls / > /dev/null; ls / > /dev/null'
on_terminal "'$MEMMAP' maps /proc/self/maps" > out
grep -q "$escape\[1m" out || fail "no colours on a terminal: $(cat -v out | head -3)"
NO_COLOR=1 on_terminal "'$MEMMAP' maps /proc/self/maps" > out
grep -q "$escape" out && fail "colours in spite of NO_COLOR"
NO_COLOR='' on_terminal "'$MEMMAP' maps /proc/self/maps" > out
grep -q "$escape" out || fail "an empty NO_COLOR is as none"
TERM=dumb script -qec "'$MEMMAP' maps /proc/self/maps" /dev/null < /dev/null > out
grep -q "$escape" out && fail "colours on a dumb terminal"
"$MEMMAP" maps /proc/self/maps | grep -q "$escape" && fail "colours in a pipe"
on_terminal "'$MEMMAP' trace -- true" > out
grep -q "differences $escape\[32mnone" out || fail "the summary has no colours: $(cat -v out)"

# A log that comes slowly.
cat > slowly <<END
(head -n 260 log; sleep 1; tail -n +261 log) | '$MEMMAP' replay "\$@" - > maps
END
[ "$(wc -l < log)" -gt 600 ] || for i in 1 2 3; do
	"$MEMMAP" trace -q --log=log -- sh -c "$(printf 'ls / > /dev/null; %.0s' {1..20})"
done
on_terminal "sh slowly" > out
grep -q "memmap: -: call [0-9]*" out || fail "no progress: $(cat -v out)"
# It is gone in the end: the last thing written erases the line.
[ "$(tail -c 4 out)" = "$(printf '\r\033[K')" ] || fail "progress stays: $(cat -v out)"
grep -q -- '-[0-9a-f]* r-xp' maps || fail "no maps beside the progress"
on_terminal "sh slowly --quiet" > out
[ -s out ] && fail "progress in spite of --quiet: $(cat -v out)"
TERM=xterm sh slowly 2> out
[ -s out ] && fail "progress without a terminal: $(cat -v out)"

# Every help fits a screen of 24 lines and 80 columns.
for command in '' trace replay maps; do
	"$MEMMAP" $command --help > out
	[ "$(wc -l < out)" -le 23 ] || fail "memmap $command --help has $(wc -l < out) lines"
	[ "$(wc -L < out)" -le 80 ] || fail "memmap $command --help is $(wc -L < out) columns wide"
done
done_testing
