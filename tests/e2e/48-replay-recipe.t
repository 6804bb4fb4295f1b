#!/bin/sh
# A trial as a shell script, run by a shell that finds none of our programs: fetched by hash, run, compared by hash; and refused when anything is not
# as it was.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
mkdir w
cd w || exit 99
cat >train.py <<'P'
import os, sys
data = [float(x) for x in open("data/it's.csv").read().split()]
w = 0.0
for epoch in range(int(sys.argv[2])):
    for x in data:
        w -= 0.1 * (w - x)
os.makedirs("out", exist_ok=True)
open("out/model \\ 1", "w").write(repr(w))
open("out/seen", "w").write("%s %s %s\n" % (sys.argv[1:], os.environ["OMP_NUM_THREADS"], len(os.environ.get("API_TOKEN", ""))))
open("out/new\nline", "w").write(sys.stdin.read())
open("log", "a").write("done\n")
os.symlink("model \\ 1", "out/latest")
os.chmod("out/seen", 0o600)
os.unlink("old")
print("w", w)
P
mkdir data
printf '1.5 2.5\n3.5\n' >"data/it's.csv"
printf 'in\n' >in
echo old >old
echo before >log
ok "recorded" env -i PATH="$PATH" HPS_LEDGER="$HPS_LEDGER" XDG_STATE_HOME="$XDG_STATE_HOME" XDG_CACHE_HOME="$XDG_CACHE_HOME" LC_ALL=C.UTF-8 OMP_NUM_THREADS=3 API_TOKEN=hunter2hunter2 \
	sh -c 'exec hps-record -q --id-file "$1" -- /usr/bin/python3 train.py "a '\''b'\'' \$c" 7 <in >stdout' - "$T/id"
id=$(cat "$T/id")
ok "written" sh -c "hps-replay emit-script '$id' >'$T/recipe'"
unlike "the secret is not in it" "$(cat "$T/recipe")" hunter2
like "it says what a shell cannot give" "$(cat "$T/recipe")" "^# random numbers: "
sh -n "$T/recipe" || fail "it is no shell"
cp -a "$T/ledger/objects" "$T/store"
plain() { env -i PATH=/usr/bin:/bin "$@" sh "$T/recipe"; } # nothing of ours is there

cd "$T" || exit 99
status "outputs are there: refused" 2 plain API_TOKEN=hunter2hunter2
like "outputs are there: named" "$(cat err)" "'$T/w/out/seen' is there already"
rm -rf w
status "all from the store: the same bytes" 0 plain API_TOKEN=hunter2hunter2
unlike "nothing failed" "$(cat out)" FAILED
for what in "out/model" "out/new" "out/seen: OK" "target of .*latest: OK" "mode of .*seen: OK" "log: OK" "stdout: OK" "status: OK"; do
	like "compared: $what" "$(cat out)" "$what"
done
is "the command ran" "$(cat w/out/latest)" "$(cat w/out/model*)"
status "again: refused, it would overwrite" 2 plain
rm -rf w
status "without the variable that the record withholds: another output" 1 plain
like "… named" "$(cat out)" "/out/seen: FAILED"
rm -rf w
mkdir -p w/data
printf '1.5 2.5\n4.5\n' >"w/data/it's.csv"
status "another input: nothing is run" 2 plain API_TOKEN=hunter2hunter2
like "another input: named" "$(cat out err)" "it's.csv: FAILED"
is "another input: left alone" "$(tail -n 1 "w/data/it's.csv"; ls -d w/out 2>&1 | grep -c cannot)" "4.5
1"
rm -rf w
mv ledger elsewhere
status "no store: nothing is run" 2 plain
like "no store: what lacks" "$(cat err)" "not to be had: [0-9a-f]{64} .*/train.py"
rm -rf w
status "another store" 0 plain STORE="$T/store" API_TOKEN=hunter2hunter2
rm -rf w
status "a mirror" 0 plain STORE= MIRROR="file://$T/store" API_TOKEN=hunter2hunter2

rm -rf w

# of a bundle, where no ledger is
mv elsewhere ledger
ok "bundle: packed" hps-replay pack "$id" trial.hps
mv ledger elsewhere
ok "bundle: written" sh -c "hps-replay emit-script trial.hps >'$T/recipe'"
mkdir tmp
status "bundle: the same bytes" 0 plain TMPDIR="$T/tmp" API_TOKEN=hunter2hunter2
is "bundle: nothing is left" "$(ls tmp)" ""
rm -rf w
mv trial.hps moved.hps
status "bundle: not where it was" 2 plain
rm -rf w
status "bundle: elsewhere" 0 plain BUNDLE=moved.hps API_TOKEN=hunter2hunter2
rm -rf w
ok "bundle: unpacked" hps-replay unpack moved.hps "$T/unpacked"
ok "bundle: written from the folder" sh -c "hps-replay emit-script '$T/unpacked' >'$T/recipe'"
rm moved.hps
status "bundle: the same bytes from the folder" 0 plain API_TOKEN=hunter2hunter2
rm -rf w
echo "no bundle" >bad.hps
status "bundle: a damaged one" 3 hps-replay emit-script bad.hps

# a deviation shows; a failure is one to reproduce
mv elsewhere ledger
mkdir w
cd "$T/w" || exit 99
status "chance: recorded" 3 hps-record -q --id-file "$T/id" -- sh -c 'od -An -N4 -tx1 /dev/urandom >drawn; exit 3'
ok "chance: written" sh -c "hps-replay emit-script '$(cat "$T/id")' >'$T/recipe'"
rm drawn
status "chance: other bytes" 1 plain
like "chance: the status is the recorded one" "$(cat "$T/out")" "^status: OK$"
like "chance: the output is not" "$(cat "$T/out")" "/drawn: FAILED"
status "no such trial" 4 hps-replay emit-script ffffffffff
done_testing
