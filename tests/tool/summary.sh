#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The summary: what was mapped by whom, how long calls took, what was left, and who made the calls.
#
#   summary.sh PROGRAM-THAT-LEAVES-THINGS
. "${0%/*}/lib.sh"
can_trace
has python3
leaks=$1

# has_line PATTERN: the summary has such a line.
has_line() {
	grep -Eq -- "$1" err || fail "no line like '$1' in: $(cat err)"
}

status 0 "$MEMMAP" trace --strict -r report.json -- "$leaks"
has_line '^  in calls +(about )?[0-9.]+ [^ ]+ \(.*mmap [0-9.]+ [^ ]+'
has_line '^  peak +[0-9.]+ MiB mapped, [0-9]+ VMAs$'
has_line '^ +library [0-9.]+ MiB'
has_line '^ +.*libc\.so'
has_line '^  at exit +[0-9.]+ MiB mapped, [0-9]+ VMAs$'
has_line '^  VMAs +.{32,}  at most [0-9]+ of [0-9,]+ \([0-9.]+%\)$'
has_line '^  fragments +[0-9]+ VMAs in [0-9]+ runs?'
has_line '^  left mapped 2 mappings that the program made and did not unmap, 1\.99 MiB$'
has_line '^ +1 MiB of anonymous memory at 0x[0-9a-f]+, made by call [0-9]+$'
has_line '^ +1016 KiB of anonymous memory at 0x'
grep -q 'call sites' err && fail "call sites that nobody asked for"
python3 - <<'END' || fail "the report"
import json
report = json.load(open('report.json'))
left = report['left']
assert left['mappings'] == 2 and left['bytes'] == 2 * 2**20 - 8192, left
assert [one['bytes'] for one in left['largest']] == [2**20, 2**20 - 8192], left
assert report['sites'] is None
process = report['processes'][0]
assert process['call_ns'].keys() == process['calls'].keys() and process['call_ns']['mmap'] > 0
END

# Killed by a signal that has no name of its own.
status 168 "$MEMMAP" trace -- "$EXERCISE" die 40
grep -q '^memmap: .* killed by SIGRTMIN+6 after ' err || fail "killed by a real-time signal: $(cat err)"

# A program that leaves nothing, and one with children, which inherit and are not charged with it.
status 0 "$MEMMAP" trace -- "$EXERCISE" exit 0
has_line '^  left mapped nothing'
status 0 "$MEMMAP" trace -r report.json -- sh -c "$leaks; $leaks; true"
has_line '^  processes +3$'
has_line '^  peak .* by [0-9]+ '
python3 -c "
import json
left = json.load(open('report.json'))['left']
sizes = [one['bytes'] for one in left['largest'] if one['bytes'] in (2**20, 2**20 - 8192)]
assert len(sizes) == 4, left" || fail "two that leave things"
# No colours, no characters that the terminal has not.
LC_ALL=C "$MEMMAP" trace -- true 2>err
LC_ALL=C grep -q '[^ -~]' <(sed 's/µ//g' err) && fail "not plain: $(cat err)"

# Where the calls are made.
"$MEMMAP" trace --stacks -- true 2>err || {
	grep -q 'without libdw' err || fail "--stacks: $(cat err)"
	done_testing
}
status 0 "$MEMMAP" trace --strict --stacks -r report.json -- "$leaks"
has_line '^  call sites  [0-9]+$'
has_line '^ +leaky_function\+0x[0-9a-f]+ \(leaks\)$'
has_line '^    1 call in .*, 1 MiB mapped, 1 MiB left$'
has_line '^    5 calls in .*, 5 MiB mapped$'
python3 - <<'END' || fail "the report with stacks"
import json
report = json.load(open('report.json'))
def through(name):
    return [s for s in report['sites'] if any(f.startswith(name + '+') for f in s['stack'])]
assert sum(s['calls'] for s in report['sites']) == report['calls']
assert sum(s['mapped_bytes'] for s in through('leaky_function')) == 2 * 2**20, through('leaky_function')
assert sum(s['left_bytes'] for s in through('leaky_function')) == 2 * 2**20 - 8192
assert sum(s['left_bytes'] for s in through('tidy_function')) == 0
assert sum(s['calls'] for s in through('tidy_function')) == 10
assert all('leaky_function' in ' '.join(one['stack']) for one in report['left']['largest'])
END
# However many are left, each site is charged with all of its own.
status 0 "$MEMMAP" trace --stacks -r report.json -- "$leaks" many
python3 - <<'END' || fail "many that are left"
import json
report = json.load(open('report.json'))
left = sum(s['left_bytes'] for s in report['sites'])
assert report['left']['mappings'] >= 600 and left == report['left']['bytes'], (left, report['left']['bytes'])
END
# Threads, children, libraries that come later and threads that are killed do not disturb it.
for what in threads forked spawned thread_exec killed; do
	status 0 "$MEMMAP" trace --stacks -r report.json -- "$EXERCISE" $what
	grep -q '^  call sites  [1-9]' err || fail "$what: $(cat err)"
done
status 0 "$MEMMAP" trace --stacks -r report.json -- python3 -c 'import ctypes, mmap; mmap.mmap(-1, 1 << 20)'
grep -Eq '[(](libpython|python3)[^)]*[)]"' report.json || fail "no stack of the interpreter: $(cat err)"
done_testing
