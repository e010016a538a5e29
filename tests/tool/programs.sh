#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# programs.sh NAME: a real program, traced. (It is run more than once: see lib.sh.)
. "${0%/*}/lib.sh"
can_trace

case $1 in
ls)
	traced 0 /bin/ls -lR /etc/apt /etc/init.d /usr/share/doc/base-files
	;;
pipeline)
	traced 3 bash -c 'for i in 1 2 3; do echo "$i" | cat | sort | wc -c; done
		x=$(seq 100 | grep 7 | tail -1); [ "$x" = 97 ] && (exit 3)'
	;;
python)
	has python3
	traced 0 python3 -c 'import json, decimal, asyncio; print(json.dumps([1]))'
	traced 0 python3 -c 'import subprocess; subprocess.run(["true"], check=True)'
	traced 0 python3 -c 'import mmap; m = mmap.mmap(-1, 99999); m[5:9] = b"abcd"; m.resize(5)'
	;;
gcc)
	has gcc
	cat > hello.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void) { return printf("hello\n") == 6 ? 0 : 1; }
END
	traced 0 gcc -O2 -Wall -o hello hello.c
	# What was just linked can be executed: nothing of it is still open for writing.
	traced 0 sh -c 'gcc -O2 -o hello hello.c && ./hello'
	;;
sqlite)
	has sqlite3
	traced 0 sqlite3 a.db 'drop table if exists t; create table t (a integer primary key, b text);
		with recursive c (x) as (select 1 union all select x + 1 from c where x < 20000)
		insert into t select x, hex(randomblob(20)) from c;
		create index i on t (b); select count(*), max(b) from t; pragma integrity_check;'
	grep -q '^ok$' out || fail "sqlite3 says: $(cat out)"
	traced 0 sqlite3 a.db 'pragma mmap_size = 10000000; select sum(length(b)) from t;'
	;;
perl)
	has perl
	traced 0 perl -e 'for (1 .. 4) { if (!fork) { my @a = (1 .. 50000); exit 0 } } 1 while wait > 0'
	;;
make)
	has make gcc
	printf 'all: a b c d\n%%: %%.c\n\tgcc -O1 -o $@ $<\n' > Makefile
	for name in a b c d; do
		echo 'int main(void) { return 0; }' > $name.c
	done
	traced 0 make -j3
	;;
git)
	has git
	export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
	git init -q repository && cd repository || fail "git init"
	seq 20000 > numbers
	traced 0 git add numbers
	traced 0 git -c user.name=n -c user.email=e@example.org commit -q --allow-empty -m one
	traced 0 git -c pack.threads=2 gc -q
	;;
tar)
	has tar gzip
	traced 0 tar -czf a.tgz /usr/share/doc/base-files
	;;
xz)
	has xz
	head -c 3000000 /dev/zero > zeros
	traced 0 xz -T2 -kf zeros
	;;
node)
	has node
	traced 0 node -e 'console.log(Array.from({length: 1e5}, (_, i) => i * i).length)'
	;;
java)
	has java
	traced 0 java -Xmx64m -version
	;;
go)
	has go
	traced 0 go version
	;;
*)
	fail "no program is called $1"
	;;
esac
done_testing
