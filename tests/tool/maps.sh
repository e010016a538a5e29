#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `memmap maps`: the table, groups, JSON, what differs between two captures, and every bad capture.
. "${0%/*}/lib.sh"
has python3

cat > smaps <<'END'
55d0c0000000-55d0c0003000 r-xp 00002000 fe:00 1311                       /usr/bin/cat
Size:                 12 kB
KernelPageSize:        4 kB
Rss:                   8 kB
Pss:                   4 kB
Private_Dirty:         0 kB
THPeligible:           0
VmFlags: rd ex mr mw me
55d0c0003000-55d0c0004000 rw-p 00005000 fe:00 1311                       /usr/bin/cat
Size:                  4 kB
Rss:                   4 kB
Pss:                   4 kB
55d0c1000000-55d0c1021000 rw-p 00000000 00:00 0                          [heap]
Size:                132 kB
Rss:                  12 kB
Pss:                  12 kB
7f0000000000-7f0000200000 rwxp 00000000 00:00 0 
Size:               2048 kB
Rss:                1024 kB
Pss:                1024 kB
7f0000300000-7f0000301000 r--p 00000000 fe:00 99                         /lib/libc.so.6
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
END
grep -E '^[0-9a-f]+-' smaps > maps

# expect NAME: what the last command printed is the rest of standard input.
expect() {
	cat > expected
	diff -u expected out >&2 || fail "$1"
}

status 0 "$MEMMAP" maps maps
expect "the table of maps" <<'END'
ADDRESS                         SIZE  PERM    OFFSET  NAME
55d0c0000000-55d0c0003000     12 KiB  r-xp      2000  /usr/bin/cat
55d0c0003000-55d0c0004000      4 KiB  rw-p      5000  /usr/bin/cat
55d0c1000000-55d0c1021000    132 KiB  rw-p            [heap]
7f0000000000-7f0000200000      2 MiB  rwxp            [anonymous]
7f0000300000-7f0000301000      4 KiB  r--p         0  /lib/libc.so.6
7ffc00000000-7ffc00021000    132 KiB  rw-p            [stack]
total                       2.28 MiB  6 mappings
END
status 0 "$MEMMAP" maps --by=kind smaps
expect "by kind" <<'END'
MAPPINGS       SIZE        RSS        PSS  KIND
       1      2 MiB      1 MiB      1 MiB  anonymous
       1    132 KiB     12 KiB     12 KiB  heap
       2     16 KiB     12 KiB      8 KiB  program
       1    132 KiB        0 B        0 B  stack
       1      4 KiB        0 B        0 B  library
       6   2.28 MiB   1.02 MiB   1.02 MiB  total
END
status 0 "$MEMMAP" maps -b file -s name maps
expect "by file, in the order of names" <<'END'
MAPPINGS       SIZE  FILE
       1      4 KiB  /lib/libc.so.6
       2     16 KiB  /usr/bin/cat
       1      2 MiB  [anonymous]
       1    132 KiB  [heap]
       1    132 KiB  [stack]
       6   2.28 MiB  total
END
status 0 "$MEMMAP" maps -b perm maps
[ "$(awk '{print $NF}' out | tr '\n' ' ')" = "PERM rwxp rw-p r-xp r--p total " ] ||
	fail "by permissions: $(cat out)"
status 0 "$MEMMAP" maps -s size smaps
[ "$(awk 'NR == 2 {print $1}' out)" = 7f0000000000-7f0000200000 ] || fail "by size: $(cat out)"

# A process, standard input, and no colours where there is no terminal.
status 0 "$MEMMAP" maps $$
grep -q -e '/bash$' out || fail "the shell's own mappings"
grep -q "$(printf '\033')" out && fail "colours in a file"
"$MEMMAP" maps - < maps > out 2>err || fail "standard input: $(cat err)"
[ "$(wc -l < out)" -eq 8 ] || fail "standard input: $(cat out)"

# JSON says the same.
python_says() {
	python3 -c "import json; d = json.load(open('out')); assert ($1), d" || fail "JSON: $1"
}
status 0 "$MEMMAP" maps --json smaps
python_says "len(d['mappings']) == 6 and d['total']['size'] == 0x247000 and
	d['program'] == '/usr/bin/cat' and d['total']['rss'] == 1048 * 1024 and d['mappings'][0] | dict(start='0x55d0c0000000', size=0x3000, perms='r-xp', offset=0x2000,
	device='fe:00', inode=1311, name='/usr/bin/cat', kind='program', rss=8192, pss=4096) == d['mappings'][0]"
status 0 "$MEMMAP" maps --json --by perm maps
python_says "[g['perms'] for g in d['groups']] == ['rwxp', 'rw-p', 'r-xp', 'r--p'] and
	'rss' not in d['total']"

# What differs.
status 0 "$MEMMAP" maps --diff maps maps
status 0 "$MEMMAP" maps --diff --by file maps smaps
sed -e 's/^7f0000000000-7f0000200000 rwxp/7f0000000000-7f0000100000 rwxp/' -e '/libc/d' \
	-e 's/^55d0c1000000-55d0c1021000/55d0c1000000-55d0c1042000/' \
	-e 's/^\(55d0c0003000-55d0c0004000\) rw-p/\1 r--p/' \
	-e '$a7ffd00000000-7ffd00004000 r--p 00000000 00:00 0                          [vvar]' maps > later
status 3 "$MEMMAP" maps --diff maps later
expect "what differs" <<'END'
~ 55d0c0003000-55d0c0004000  r--p              /usr/bin/cat (was rw-p)
~ 55d0c1000000-55d0c1042000  rw-p    +132 KiB  [heap] (was 55d0c1000000-55d0c1021000)
~ 7f0000000000-7f0000100000  rwxp      -1 MiB  [anonymous] (was 7f0000000000-7f0000200000)
- 7f0000300000-7f0000301000  r--p      -4 KiB  /lib/libc.so.6
+ 7ffd00000000-7ffd00004000  r--p     +16 KiB  [vvar]
mapped   2.28 MiB -> 1.42 MiB (-880 KiB)
mappings 6 -> 6
END
status 3 "$MEMMAP" maps --diff --by file maps later
grep -q '^- *1 -> 0 *-4 KiB  /lib/libc.so.6$' out || fail "groups that differ: $(cat out)"
status 3 "$MEMMAP" maps --diff --json maps later
python_says "len(d['changes']) == 5 and d['unchanged'] == 2 and [c['name'] for c in d['changes'] if c['after'] is None] == ['/lib/libc.so.6']"
status 3 "$MEMMAP" maps --diff --json -b kind maps later
python_says "len(d['changes']) == 4"

# Numbers of 64 bits, and names that would move a terminal's cursor.
printf '%s\n' '00400000-00401000 r--p fffffffffffff000 fe:00 18446744073709551615 /tmp/a' \
	$'00500000-00501000 r--p 00000000 fe:00 9 /tmp/\033[2Jb' > odd
status 0 "$MEMMAP" maps --json odd
python_says "d['mappings'][0]['inode'] == 2.0**64 and d['mappings'][0]['offset'] > 0 and d['mappings'][1]['name'] == '/tmp/\\x1b[2Jb'"
for arguments in odd "--by file odd" "--diff maps odd" "--diff --by file maps odd"; do
	"$MEMMAP" maps $arguments > out 2> err # more words than one
	grep -q '/tmp/?\[2Jb' out || fail "a name that is not plain: maps $arguments: $(cat -v out)"
done

# refused WORDS ARG...: one line that says what is wrong and where.
refused() {
	local words=$1
	shift
	status 125 "$MEMMAP" maps "$@"
	[ "$(wc -l < err)" -eq 1 ] || fail "not one line: memmap maps $*: $(cat err)"
	[ -s out ] && fail "output: memmap maps $*"
	grep -q "^memmap: .*$words" err || fail "without '$words': memmap maps $*: $(cat err)"
}
refused "0 given"
refused "2 given" maps smaps
refused "compares two captures; 1 given" --diff maps
refused "one of file, kind, perm, not 'size'" --by size maps
refused "one of address, size, rss, pss, name" --sort colour maps
refused "needs a value" maps --by
refused "unknown option '-x'" -x maps
refused "'no-such-file' cannot be read: No such file" no-such-file
refused "'.' cannot be read: Is a directory" .
refused "no process 999999999" 999999999
: > empty
refused "empty: there are no mappings" empty
printf 'nonsense\n' | cat maps - > bad
refused "bad:7: this is no line of maps or smaps: 'nonsense'" bad
head -c -1 maps > bad
refused "bad:6: the text is cut off" bad
(cat maps; head -1 maps) > bad
refused "bad:7: this begins before the mapping above it ends" bad
sed 's/^Rss: *8 kB/Rss: many kB/' smaps > bad
refused "bad:4: this is no size" bad
sed 's/r-xp/rexp/' maps > bad
refused "bad:1: " bad
head -c 3000 "$MEMMAP" > bad
refused "bad:1: " bad
[ "$(tr -d '\n -~' < err | wc -c)" -eq 0 ] || fail "unprintable: $(cat -v err)"
echo 'Rss: 4 kB' > bad
refused "bad:1: " bad

# A reader that stops early, a disk that is full.
"$MEMMAP" maps maps 2>err | head -1 > /dev/null
[ -s err ] && fail "a reader that stops: $(cat err)"
if [ -e /dev/full ]; then
	"$MEMMAP" maps maps > /dev/full 2>err
	[ $? -eq 125 ] || fail "a full disk"
	grep -q '^memmap: the output could not be written: No space' err || fail "a full disk: $(cat err)"
fi
done_testing
