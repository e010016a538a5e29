#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# memmap or the program is killed at any moment, the disk is full, a reader goes away: a clear error, no
# process left, and what stands under the report's name is whole.
. "${0%/*}/lib.sh"
can_trace

# Every process of a run is known by this name.
program=$workdir/program-$$
cp "$EXERCISE" "$program"

# left: is any of them left, after some time?
left() {
	for _ in $(seq 100); do
		pgrep -f "$program" > /dev/null || return 1
		sleep 0.05
	done
	return 0
}

# nothing_left WHEN
nothing_left() {
	left && fail "processes are left when $1: $(pgrep -af "$program")"
}

# moment N: the N-th of some moments, in seconds: from the first instant on.
moment() {
	awk -v n="$1" 'BEGIN { printf "%.4f", 0.001 * 1.6 ^ n }'
}

# What maps, forks and has threads, for long enough to be killed.
busily=(bash -c "for i in 1 2 3 4 5 6; do '$program' threads; '$program' forked; done")

echo old > kept
for n in $(seq 0 11); do
	cp kept report.json
	"$MEMMAP" trace -q --report=report.json --plot=plot.svg -- "${busily[@]}" > out 2> err &
	memmap=$!
	sleep "$(moment "$n")"
	kill -KILL "$memmap" 2> /dev/null
	wait "$memmap" 2> /dev/null
	nothing_left "memmap is killed at moment $n"
	cmp -s kept report.json || "$CHECK_REPORT" report.json || fail "the report when memmap is killed"
	[ -z "$(ls | grep -e 'report.json\.' -e 'plot.svg\.')" ] || fail "files are left: $(ls)"
done

for n in $(seq 2 11); do
	rm -f report.json
	"$MEMMAP" trace -q --report=report.json -- "${busily[@]}" > out 2> err &
	memmap=$!
	sleep "$(moment "$n")"
	# All of the program, in no order; what lives on by then must be let go, too.
	for _ in 1 2 3; do
		pkill -KILL -f "^$program|^bash -c for i in 1 2 3 4 5 6; do '$program'" 2> /dev/null
	done
	found=0
	wait "$memmap" || found=$?
	case $found in
	137) "$CHECK_REPORT" report.json || fail "the report when the program is killed: $(cat err)" ;;
	125) grep -q '^memmap: ' err || fail "no words: $(cat err)" ;;
	0) ;;
	*) fail "exit status $found when the program is killed at moment $n: $(cat err)" ;;
	esac
	nothing_left "the program is killed at moment $n"
done

# A reader of the report, or of the summary, that is gone.
{ sleep 0.3; "$MEMMAP" trace -q -r /dev/stdout -- "$program" exit 0 2> err; echo $? > status; } | true
[ "$(cat status)" = 125 ] || fail "exit status $(cat status) without a reader of the report"
grep -q "^memmap: the report '/dev/stdout' could not be written: Broken pipe" err || fail "words: $(cat err)"
{ sleep 0.3; "$MEMMAP" trace -- "$program" exit 4 2>&1 >&3; echo $? > status; } 3> out | true
[ "$(cat status)" = 4 ] || fail "exit status $(cat status) without a reader of the summary"

# A disk that is full: a file system of 64 KiB, and a report that is larger.
cat > small_disk.sh <<'END'
mount -t tmpfs -o size=64k none small || exit 77
echo old > small/report.json
head -c 70000 /dev/zero > small/filler 2> /dev/null
"$MEMMAP" trace -q --report=small/report.json --plot=small/plot.svg -- ./many
echo $? > status
[ "$(cat small/report.json)" = old ] || echo "the report was replaced" > wrong
[ -z "$(ls small | grep -v -e '^report.json$' -e '^filler$')" ] || ls small > wrong
END
mkdir small
printf '#!/bin/sh\nfor i in 1 2 3 4 5; do /bin/true; done\n' > many
chmod +x many
if unshare -m sh small_disk.sh 2> err; then
	[ "$(cat status)" = 125 ] || fail "exit status $(cat status) on a full disk: $(cat err)"
	grep -q "^memmap: the report 'small/report.json' could not be written: No space left" err ||
		fail "words: $(cat err)"
	[ ! -e wrong ] || fail "on a full disk: $(cat wrong)"
else
	echo "not tested: no file system can be mounted here"
fi
nothing_left "the disk is full"
done_testing
