#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Where there are protection keys, what the kernel makes of one is taken over.
#
#   keys.sh MEMMAP-THAT-BELIEVES-IN-KEYS EXERCISE_RARE
. "${0%/*}/lib.sh"
MEMMAP=$1
can_trace
traced 0 "$2" keys
for report in report.json unwatched.json; do
	grep -q '"adopted": [1-9]' $report || fail "no call with a key was taken over: $(cat err)"
done
done_testing
