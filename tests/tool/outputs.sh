#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Reports and plots are written whole or not at all, wherever they go.
. "${0%/*}/lib.sh"
can_trace

echo old > report.json
ln -s report.json link.json
status 0 "$MEMMAP" trace -q -r report.json --plot=plot.svg -- sh -c 'cat report.json; ls'
grep -q '^old$' out || fail "the report was touched before the end"
"$CHECK_REPORT" report.json || fail "the report"
grep -q '</svg>' plot.svg || fail "the plot"
[ "$(ls | grep -c -e 'report.json\.' -e 'plot.svg\.')" -eq 0 ] || fail "left behind: $(ls)"

# What a link leads to is replaced, not the link; its permissions stay. One that leads to nothing yet
# gets its file.
chmod 600 report.json
echo old > report.json
status 0 "$MEMMAP" trace -q -r link.json -- true
[ -L link.json ] && [ "$(readlink link.json)" = report.json ] || fail "the link was replaced"
"$CHECK_REPORT" report.json || fail "the report through a link"
[ "$(stat -c %a report.json)" = 600 ] || fail "permissions of what was there: $(stat -c %a report.json)"
chmod 644 report.json
ln -s later.json early.json
status 0 "$MEMMAP" trace -q -r early.json -- true
[ -L early.json ] && "$CHECK_REPORT" later.json || fail "a link that leads to nothing yet"
rm -f early.json later.json

# To a pipe or the terminal, directly.
"$MEMMAP" trace -q -r /dev/stdout -- true | cat > piped.json
"$CHECK_REPORT" piped.json || fail "the report through a pipe"
# Nothing is written when the program cannot be started.
rm -f report.json plot.svg
status 127 "$MEMMAP" trace -q -r report.json --plot=plot.svg -- no-such-command
[ -z "$(ls | grep -e report -e plot)" ] || fail "left behind: $(ls)"
# A disk that is full.
if [ -e /dev/full ]; then
	status 125 "$MEMMAP" trace -q -r /dev/full -- true
	grep -q "^memmap: the report '/dev/full' could not be written: No space" err ||
		fail "a full disk: $(cat err)"
	status 125 "$MEMMAP" trace -q --plot=/dev/full -- true
fi
# Names that are no UTF-8.
cp "$EXERCISE" $'exercise\xff'
status 4 "$MEMMAP" trace -q -r report.json -- $'./exercise\xff' exit 4
"$CHECK_REPORT" report.json || fail "the report of an odd name"
# The permissions are those that any program would have given it.
rm -f report.json
(umask 027; "$MEMMAP" trace -q -r report.json -- true)
[ "$(stat -c %a report.json)" = 640 ] || fail "permissions $(stat -c %a report.json)"
done_testing
