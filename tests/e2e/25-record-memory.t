#!/bin/sh
# What the recorder keeps in memory for each file that a trial reads: 300 bytes at most. Between few and many nothing else grows: the cache
# of digests, which has a ceiling of its own, is left out. HPS_TEST_FULL takes 100,000 files.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
few=8000 many=20000 most=360 # the kernel counts roughly, and a hasher that gets no processor has jobs waiting: a few hundred kilobytes
[ -z "${HPS_TEST_FULL:-}" ] || many=108000 most=300
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
	env -u HOME -u XDG_CACHE_HOME "${recorder:-hps-record}" -q --id-file "$T/id" -- /usr/bin/python3 read.py "$1" && rec "t['resources']['recorderMaxRssBytes']"
}
a=$(peak $few)
b=$(peak $many)
is "all are in the record" "$(rec "len([p for p in materials if '/data/' in p and p.endswith('.bin')])")" $many
is "and as one data set a directory, or one of all" "$(rec "sum(d['annotations']['files'] for d in t['buildDefinition']['resolvedDependencies'] if d.get('annotations', {}).get('detected') and '/data' in d['name'])")" $many
per=$(((b - a) / (many - few)))
note "$a bytes with $few files, $b with $many: $per a file"
if [ -n "$san" ]; then
	skip "memory" "a sanitizer needs more than what it looks at"
else
	ok "memory: $per bytes a file are at most $most" test "$per" -le $most
	ok "memory: all of it is at most 64 MiB and 300 bytes a file" test "$b" -le $(((64 << 20) + 300 * many))
fi

# A list that is too long to be read again ends, and the trial is recorded. (There was a begin entry and no record.)
recorder=$T/short
ok "a recorder whose lists end at 400 kB" sh "$HPS_SOURCE/tests/broken.sh" hps-record recorder/manifest.c 's/<= HPS_JSON_MAX/<= 400000/' "$recorder"
peak 2000 >/dev/null
is "a list that is too long: the others are whole, and which one is not is said" "$(rec "len(processes), [g['names'] for g in t['coverage']['gaps']], t['coverage']['complete']")" "(1, [['materials']], False)"
is "… it has the first paths" "$(rec "[p for p in materials] == sorted(materials), 1000 < len(materials) < 2000, '$T/data/000/sample-000000.bin' in materials, '$T/data/001/sample-001999.bin' in materials")" "(True, True, True, False)"
case $san in
*thread*) skip "… and a replay says that it is not whole" "the sanitizer's own thread keeps hps-replay out of a user namespace" ;;
*) like "… and a replay says that it is not whole" "$(hps-replay "$(cat "$T/id")" 2>&1)" "list of the record was too long" ;;
esac
ok "ledger: verifies" hps-ledger verify
done_testing
