#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The program's exit status is memmap's, and what memmap says for itself.
. "${0%/*}/lib.sh"
can_trace

for n in 0 1 2 3 42 124 255; do
	status "$n" "$MEMMAP" trace -- "$EXERCISE" exit "$n"
	status "$n" "$MEMMAP" trace --strict -- "$EXERCISE" exit "$n"
done
for signal in 1 6 9 11 15; do
	status $((128 + signal)) "$MEMMAP" trace -- "$EXERCISE" die "$signal"
	status $((128 + signal)) "$MEMMAP" trace -q --strict -- "$EXERCISE" die "$signal"
done

status 127 "$MEMMAP" trace -- no-such-command-anywhere
grep -q "^memmap: 'no-such-command-anywhere' was not found" err || fail "words: $(cat err)"
status 127 "$MEMMAP" trace -- ./no/such/path
status 127 "$MEMMAP" trace -- "$EXERCISE/not-a-directory"
status 127 "$MEMMAP" trace -- ""
: > plain
status 126 "$MEMMAP" trace -- ./plain
grep -q "^memmap: './plain' cannot be executed: Permission denied" err || fail "words: $(cat err)"
status 126 "$MEMMAP" trace -- .
# A script without a first line that names its interpreter is given to the shell, as execvp(3) does.
echo 'exit 9' > script
chmod +x script
status 9 "$MEMMAP" trace -- ./script

# One whose interpreter is missing is there, and the words do not send anyone to look for it.
printf '#!/no/such/interpreter\n' > script
status 127 "$MEMMAP" trace -- ./script
grep -q "^memmap: './script' is there, but its interpreter is not" err || fail "words: $(cat err)"

# Where a name is looked for, is where env(1) and so execvp(3) look for it.
mkdir -p first second
printf 'echo "second $0 $*"; exit 7\n' > second/found
printf '#!/bin/sh\necho "here $*"; exit 8\n' > found
chmod +x second/found found
: > first/found # not executable
: > first/forbidden
for path in "$PWD/first:$PWD/second" "$PWD/second:$PWD/first" "$PWD/first" "$PWD/nowhere:$PWD/plain:$PWD/second" \
	":$PWD/second" "$PWD/second:" "$PWD/first::" ""; do
	for name in found forbidden absent "$(printf '%0300d' 0)"; do
		expected=0
		PATH=$path /usr/bin/env "$name" one 'two  three' > expected 2> /dev/null < /dev/null || expected=$?
		found=0
		PATH=$path "$MEMMAP" trace -q -- "$name" one 'two  three' > out 2> err < /dev/null || found=$?
		[ "$found" -eq "$expected" ] || fail "'$name' in '$path': $found instead of $expected: $(cat err)"
		cmp -s out expected || fail "'$name' in '$path' prints: $(cat out)"
	done
done
(unset PATH; "$MEMMAP" trace -q -- true) || fail "without a PATH"

# The shell sees the same.
"$MEMMAP" trace -q -- sh -c 'kill -TERM $$'
[ $? -eq 143 ] || fail "a killed program"
done_testing
