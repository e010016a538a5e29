#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Input, output and environment are the program's; memmap's own words go to standard error, after.
. "${0%/*}/lib.sh"
can_trace

head -c 3000000 /dev/urandom > data
"$MEMMAP" trace -- cat < data > copy 2> err || fail "cat from a file"
cmp data copy || fail "a file through cat"
head -c 3000000 data | "$MEMMAP" trace -- cat 2> err | cat > copy
cmp data copy || fail "pipes through cat"

"$MEMMAP" trace -- sh -c 'echo to-out; echo to-err >&2' > out 2> err
[ "$(cat out)" = to-out ] || fail "standard output: $(cat out)"
[ "$(head -1 err)" = to-err ] || fail "the program's words do not come first: $(cat err)"
grep -q '^memmap: sh exited with 0' err || fail "no summary: $(cat err)"
"$MEMMAP" trace -q -- sh -c 'echo to-err >&2' > out 2> err
[ "$(cat err)" = to-err ] || fail "not quiet: $(cat err)"

VARIABLE='a b' "$MEMMAP" trace -q -- sh -c 'echo "$VARIABLE|$1|$2"' name 'x y' '' > out
[ "$(cat out)" = 'a b|x y|' ] || fail "environment and arguments: $(cat out)"

# No descriptor of memmap's is left open in the program: the same ones as without it.
list='for fd in /proc/self/fd/*; do echo "${fd##*/}"; done'
sh -c "$list" > alone
"$MEMMAP" trace -q -r report.json --plot=plot.svg -- sh -c "$list" > beside
cmp alone beside || fail "descriptors: $(tr '\n' ' ' < beside)"
# Nor a limit changed, nor a signal ignored.
for file in limits status; do
	grep -e '^Max' -e '^Sig[BIC]' /proc/self/$file > alone
	"$MEMMAP" trace -q -- grep -e '^Max' -e '^Sig[BIC]' /proc/self/$file > beside
	cmp alone beside || fail "$file: $(diff alone beside)"
done
(trap '' INT; "$MEMMAP" trace -q -- grep '^SigIgn' /proc/self/status) > beside
(trap '' INT; grep '^SigIgn' /proc/self/status) > alone
cmp alone beside || fail "an ignored signal: $(cat beside)"

# A reader that goes away early is the program's affair.
"$MEMMAP" trace -q -- yes 2> err | head -1 > out
[ "${PIPESTATUS[0]}" -eq 141 ] || fail "SIGPIPE"
# Without standard error the summary is lost, the status is not.
"$MEMMAP" trace -- "$EXERCISE" exit 6 2>&-
[ $? -eq 6 ] || fail "closed standard error"
"$MEMMAP" trace -- "$EXERCISE" exit 6 <&- >&- 2>&-
[ $? -eq 6 ] || fail "everything closed"
done_testing
