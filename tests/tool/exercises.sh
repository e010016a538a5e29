#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# exercises.sh PROGRAM NAME...: these exercises, traced strictly, by this build of exercise.c.
. "${0%/*}/lib.sh"
can_trace

program=$1
shift
for name in "$@"; do
	"$program" "$name" > out 2> err < /dev/null || fail "$name fails untraced: $(cat err)"
	traced 0 "$program" "$name"
	# One thread alone can be followed exactly: the kernel keeps no boundary that we do not.
	case $name in
	threads | thread_exec | cloned) ;;
	*) grep -q '"kernel_only": 0,' report.json || fail "boundaries of $name: $(grep kernel_only report.json)" ;;
	esac
done
done_testing
