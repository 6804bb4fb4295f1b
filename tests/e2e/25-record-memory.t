#!/bin/sh
# What the recorder keeps in memory for each file that a trial reads: 64 MiB and 300 bytes a file together are not passed, and a file costs no more than it
# did when this was written. HPS_TEST_FULL takes 100,000 files.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
few=2000 many=12000
[ -z "${HPS_TEST_FULL:-}" ] || many=102000
cat >make.py <<'END'
import os, sys
for i in range(int(sys.argv[1])):
    if i % 1000 == 0:
        os.makedirs("data/%03d" % (i // 1000))
    with open("data/%03d/sample-%06d.bin" % (i // 1000, i), "w") as f:
        f.write("%d\n" % i)
END
cat >read.py <<'END'
import sys
for i in range(int(sys.argv[1])):
    with open("data/%03d/sample-%06d.bin" % (i // 1000, i)) as f:
        f.read()
END
/usr/bin/python3 make.py $many
peak() { # of the recorder, in bytes, with so many files read
	hps-record -q --id-file "$T/id" -- /usr/bin/python3 read.py "$1" && rec "t['resources']['recorderMaxRssBytes']"
}
a=$(peak $few)
b=$(peak $many)
is "all are in the record" "$(rec "len([p for p in materials if '/data/' in p and p.endswith('.bin')])")" $many
is "and as one data set a directory, or one of all" "$(rec "sum(d['annotations']['files'] for d in t['buildDefinition']['resolvedDependencies'] if d.get('annotations', {}).get('detected') and '/data' in d['name'])")" $many
per=$(((b - a) / (many - few)))
note "$a bytes with $few files, $b with $many: $per a file"
ok "memory: $per bytes a file are at most 900" test "$per" -le 900
ok "memory: all of it is at most 64 MiB and 300 bytes a file" test "$b" -le $(((64 << 20) + 300 * many))
done_testing
