#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# layouts.sh PROGRAM: every layout of an address space, and placement in each.
. "${0%/*}/lib.sh"
can_trace
has setarch

program=$1
for exercise in anonymous low moved files; do
	traced 0 setarch --addr-no-randomize "$program" "$exercise"
	traced 0 setarch --addr-compat-layout "$program" "$exercise"
	traced 0 setarch --addr-no-randomize --addr-compat-layout "$program" "$exercise"
	traced 0 setarch --read-implies-exec "$program" "$exercise"
	for limit in unlimited 65536 1000000 64; do
		traced 0 sh -c "ulimit -s $limit && exec '$program' $exercise"
	done
done
traced 0 sh -c "ulimit -v 200000 && exec '$program' anonymous"
done_testing
