#!/bin/sh
# A data set of many small files: the digest that coreutils gives, again when nothing has changed, another when one byte has.
# HPS_TEST_FULL takes a million files (HPS_DATASET_FILES says another number) and holds the times against find | xargs sha256sum.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
n=3000
[ -z "${HPS_TEST_FULL:-}" ] || n=1000000
n=${HPS_DATASET_FILES:-$n}
cat >make.py <<'END'
import os, sys
for i in range(int(sys.argv[1])):
    if i % 500 == 0:
        folder = "data/%02d/%04d" % (i // 50000, i // 500)
        os.makedirs(folder)
    with open("%s/%07d" % (folder, i), "wb") as f:
        f.write(b"%d\n" % i * (1 + i % 97))
END
/usr/bin/python3 make.py "$n"
sleep 3 # what changed within the last two seconds is not remembered
seconds() { # of COMMAND…, in milliseconds; its output is in out
	began=$(date +%s%N)
	"$@" >out || return
	echo $((($(date +%s%N) - began) / 1000000))
}
theirs() {
	(cd data && find . -type f -print0 | xargs -0 -P"$(nproc)" -n 1000 sha256sum)
}
member() { json out "j$1"; }
seconds theirs >theirs.ms
sed 's,  \./,  ,' out | LC_ALL=C sort -k 2 | sha256sum | cut -d ' ' -f 1 >expected
seconds hps-record dataset --json data >first.ms
is "digest: the one of sha256sum" "$(member "['digest']['dirHash']")" "$(cat expected)"
is "files: all" "$(member "['files']")" "$n"
cp out first
seconds hps-record dataset --json data >second.ms
ok "again: the same" cmp -s out first
printf x >>"data/00/0000/0000007"
ok "one byte more" hps-record dataset --json data
hps-record dataset --json data >out
not_ok "one byte more: another digest" cmp -s out first
is "one byte more: again that of sha256sum" "$(member "['digest']['dirHash']")" "$(theirs | sed 's,  \./,  ,' | LC_ALL=C sort -k 2 | sha256sum | cut -d ' ' -f 1)"
note "$n files: find | xargs sha256sum $(cat theirs.ms) ms, first $(cat first.ms) ms, again $(cat second.ms) ms"
if [ -n "${HPS_TEST_FULL:-}" ]; then
	ok "first: at most 1.5 times find | xargs sha256sum" test $((2 * $(cat first.ms))) -le $((3 * $(cat theirs.ms)))
	# One look at each file is what proves that it has not changed: the rest is at most as much again.
	began=$(date +%s%N)
	du -s data >/dev/null
	looks=$((($(date +%s%N) - began) / 1000000))
	ok "again: at most twice one look at each file ($looks ms), and 100 ms to start" test "$(cat second.ms)" -le $((2 * looks + 100))
fi
done_testing
