#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# exercises.sh PROGRAM NAME...: these exercises, traced, by this build of exercise.c.
. "${0%/*}/lib.sh"
can_trace

# may_adopt NAME: is something taken over here that elsewhere has rules?
may_adopt() {
	case $1 in
	devices) true ;;
	keys) grep -qw ospke /proc/cpuinfo ;;
	huge) cat /sys/kernel/mm/hugepages/*/nr_{,overcommit_}hugepages 2> /dev/null | grep -qvx 0 ;;
	*) false ;;
	esac
}

program=$1
shift
for name in "$@"; do
	"$program" "$name" > out 2> err < /dev/null || fail "$name fails untraced: $(cat err)"
	traced 0 "$program" "$name"
	# What a check costs does not follow how many VMAs there are: the whole is compared now and then.
	if [ "$name" = many ]; then
		whole=$(sed -n 's/^ *"maps": \([0-9]*\),*$/\1/p' report.json)
		near=$(sed -n 's/^ *"near": \([0-9]*\),*$/\1/p' report.json)
		if [ "$near" -gt 0 ]; then
			[ "$whole" -le 40 ] || fail "the whole was compared $whole times"
		else
			echo "not tested: this kernel cannot be asked for one VMA"
		fi
	fi
	# No call is cut short by being traced, and made again.
	for report in report.json unwatched.json; do
		[ "$name" != merged ] || grep -q '"mremap": 100,*$' $report || fail "moves made twice: $(grep mremap $report)"
	done
	# One thread alone can be followed exactly: the kernel keeps no boundary that we do not.
	case $name in
	threads | meetings | reserves | undisturbed | vfork_ends | group_exits | orphans | first_ends | thread_exec | cloned) ;;
	*)
		for report in report.json unwatched.json; do
			grep -q '"kernel_only": 0,' $report || fail "boundaries of $name: $(grep kernel_only $report)"
		done
		;;
	esac
	# Of devices whatever the kernel makes of them is taken over; most of the rest has rules.
	for report in report.json unwatched.json; do
		may_adopt "$name" || grep -q '"adopted": 0,' $report || fail "adopted in $name: $(cat err)"
		grep -A 2 '"addresses"' $report | grep -q '"missed": 0' || fail "addresses missed in $name"
	done
done
done_testing
