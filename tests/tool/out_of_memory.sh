#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whichever allocation fails, alone or with all after it: what is printed is what is printed otherwise,
# or memmap says that there was no memory.
#
#   out_of_memory.sh MEMMAP-WHOSE-ALLOCATIONS-FAIL
. "${0%/*}/lib.sh"
failing=$1
first=${MEMMAP_TEST_SEED:-$RANDOM}
echo "seed: MEMMAP_TEST_SEED=$first"

# The mappings of two processes, by hand, so that this runs where nothing can be traced.
cat > log <<'END'
memmap log 1
command "a" "b"
process 0.000000001 10 0
exec 0.000000002 10 "a b" "/bin/a"
+ 00400000-00402000 r-xp 00000000 fe:00 7                        /bin/a
+ 7ffc2d949000-7ffc2d96a000 rw-p 00000000 00:00 0                          [stack]
call 0.000000003 1 10 10 0.000000001 mmap(NULL, 0x2000, PROT_READ, MAP_SHARED, 3, 0) = 0x500000
+ 00500000-00502000 r--s 00000000 fe:00 8                        /file
fork 0.000000004 10 11
share 0.000000005 11 12
call 0.000000006 2 12 12 0.000000001 munmap(0x501000, 0x1000) = 0
- 00500000-00502000
+ 00500000-00501000 r--s 00000000 fe:00 8                        /file
exit 0.000000007 12 killed 9
exit 0.000000008 11 exited 0
exit 0.000000009 10 exited 3
end 0.000000010 2
END
cat > smaps <<'END'
00400000-00402000 r-xp 00000000 fe:00 7 /bin/a
Rss: 8 kB
00600000-00602000 rw-p 00000000 00:00 0 
Rss: 4 kB
7ffc2d949000-7ffc2d96a000 rw-p 00000000 00:00 0 [stack]
Rss: 12 kB
END
printf '00400000-00402000 r-xp 00000000 fe:00 7 /bin/\xff\n' > maps

# fails NR STEP ARG...: `memmap ARG...`, failing the 1st allocation, the one STEP later, ..., NR times.
fails() {
	local nr=$1 step=$2 n on found good=0 expected=0 refused=0
	shift 2
	"$MEMMAP" "$@" > whole 2> /dev/null || expected=$?
	for ((n = 0; n < nr * step; n += step)); do
		# Alone, and every other time with all that follow; which ones, differs from run to run.
		on=$(((n / step + first) % 2))
		found=0
		if [ $on -eq 1 ]; then export FAIL_ON=1; else unset FAIL_ON; fi
		FAIL_AFTER=$n "$failing" "$@" > out 2> err || found=$?
		if [ "$found" -eq "$expected" ]; then
			cmp -s out whole || fail "not the same at $n, $on: memmap $*"
			good=$((good + 1))
		elif [ "$found" -ne 125 ]; then
			fail "exit status $found at $n, $on: memmap $*: $(cat err)"
		else
			grep -q -i 'memory' err || fail "no words at $n, $on: memmap $*: $(cat err)"
			refused=$((refused + 1))
		fi
	done
	echo "memmap $*: $good as ever, $refused refused"
	[ "$refused" -gt 0 ] || fail "nothing failed: memmap $*"
}

status 0 "$MEMMAP" replay log
fails 16 1 maps smaps
fails 16 1 maps --by=file smaps
fails 24 9 maps --json smaps
fails 20 5 maps --json --by=kind maps
fails 20 1 maps --diff smaps maps
fails 24 11 maps --diff --json smaps maps
fails 40 1 replay log
fails 30 3 replay --check --maps log
fails 30 3 replay --plot=/dev/stdout log
ln -s /dev/stdout page.html
fails 40 29 replay --plot=page.html log
done_testing
