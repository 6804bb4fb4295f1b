#!/bin/sh
# A trial as one file: replayed where nothing of it is left, and never unpacked when anything in it does not hold.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
bare
mkdir w
cd w
cat >trial.py <<'P'
import json, os, random
json.dump({"n": len(open("data").read()), "drawn": random.random()}, open("result.json", "w"))
P
printf 'some data\n' >data
ok "recorded" hps-record -q --allow-env "$BARE" --id-file "$T/id" -- /usr/bin/python3 trial.py </dev/null
id=$(cat "$T/id")
ok "packed" hps-replay pack --with-seed "$id" "$T/whole.hps"
is "packed: for the owner alone" "$(stat -c %a "$T/whole.hps")" 600
status "packed without the seed" 0 hps-replay pack "$id" "$T/seedless.hps"
like "packed without the seed: said" "$(cat "$T/err")" "without the seed of its random numbers"
rm "$T/ledger/objects/$(sum data | cut -c1-2)/$(sum data | cut -c3-)"
mv data "$T/data"
status "not packed when a content is missing" 4 hps-replay pack "$id" "$T/never.hps"
like "not packed: said" "$(cat "$T/err")" "1 contents cannot be had, first '$T/w/data' \(missing: the stored copy is gone"
not_ok "not packed: no file" test -e "$T/never.hps"
status "packed in part" 0 hps-replay pack --partial "$id" "$T/partial.hps"
like "packed in part: said" "$(cat "$T/err")" "left out: '$T/w/data'"
cp "$T/ledger/trust.json" "$T/trust.json"

# elsewhere: another ledger, nothing left of the first
cd "$T"
rm -rf w ledger
HPS_LEDGER=$T/other
ok "elsewhere: a ledger" hps-ledger init "$T/other"
status "elsewhere: replays" 0 hps-replay --json "$T/whole.hps"
is "elsewhere: verdict" "$(json "$T/out" "j['verdict'], j['level'], j['trial'] == '$id', j['view']['fromSystem']")" "('REPRODUCED-BITS', 'L2', True, 0)"
like "elsewhere: whose keys" "$(json "$T/out" "[h['why'] for h in j['holes'] if h['what'] == 'keys']")" "those that came with the bundle"
status "elsewhere, keys given: replays" 0 hps-replay --json --trust "$T/trust.json" "$T/whole.hps"
is "elsewhere, keys given: no hole" "$(json "$T/out" "[h for h in j['holes'] if h['what'] == 'keys']")" "[]"
status "elsewhere, keys of somebody else: refused" 3 hps-replay --trust "$T/other/trust.json" "$T/whole.hps"
status "elsewhere, without the seed: diverges" 1 hps-replay --json "$T/seedless.hps"
like "elsewhere, without the seed: the hole" "$(json "$T/out" "[h['why'] for h in j['holes'] if h['what'] == 'random numbers']")" "the seed that was kept for them is not here"
status "elsewhere, in part: not rebuilt" 4 hps-replay --json "$T/partial.hps"
is "elsewhere, in part: named" "$(json "$T/out" "[m['path'].split('/')[-1] for m in j['missing']]")" "['data']"
status "elsewhere: plan" 0 hps-replay plan --json "$T/whole.hps"
ok "elsewhere: unpacked" hps-replay unpack --trust "$T/trust.json" "$T/whole.hps" "$T/folder"
status "elsewhere: the folder replays, too" 0 hps-replay "$T/folder"
status "elsewhere: not unpacked over something" 4 hps-replay unpack "$T/whole.hps" "$T/folder"
status "elsewhere: a limit" 3 hps-replay unpack --max-bytes 100000 "$T/whole.hps" "$T/small"
is "elsewhere: a limit leaves nothing" "$(ls -d "$T"/small* 2>/dev/null | wc -l)" 0
ok "elsewhere: the ledger holds" hps-ledger verify

# What must not be unpacked: of 250 and more, made from the bundle of a small trial with a fixed seed, nothing is left, nothing of a folder that
# stands for the machine changes, and none takes more than 64 MiB or 2 s.
mkdir w
cd w || exit 99
printf 'some data\n' >data
cat >tiny.c <<'C'
static long call(long n, long a, long b, long c)
{
	__asm__ volatile("syscall" : "+a"(n) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return n;
}
void _start(void)
{
	char block[64];
	long n = call(0, call(2, (long)"data", 0, 0), (long)block, sizeof block); /* read, open, write, exit_group */

	call(1, call(2, (long)"copy", 0101, 0644), (long)block, n);
	call(231, 0, 0, 0);
}
C
ok "small: made" gcc -O1 -static -nostdlib -fno-stack-protector -o tiny tiny.c
ok "small: recorded" hps-record -q --id-file "$T/id" -- ./tiny
ok "small: packed" hps-replay pack "$(cat "$T/id")" "$T/small.hps"
ok "small: unpacked" hps-replay unpack "$T/small.hps" "$T/small"
cd "$T" || exit 99
mkdir -p hostile in host/tmp host/etc host/evidence host/objects
echo "root:x:0:0" >host/etc/passwd
ln -s etc/passwd host/link
/usr/bin/python3 "$HPS_SOURCE/tests/e2e/replay-bundles.py" make small "$T/hostile" "$T/host" >names
ok "hostile: control: the unchanged one is unpacked" hps-replay unpack hostile/good.hps in/good
rm -rf in/good
mv hostile/good.hps .
/usr/bin/python3 "$HPS_SOURCE/tests/e2e/replay-bundles.py" run "$T/hostile" "$T/in" "$T/host" >results
is "hostile: all were tried" "$(wc -l <results)" "$(sort -u names | wc -l)"
ok "hostile: there are at least 250" test "$(wc -l <results)" -ge 250
is "hostile: all are refused, by status" "$(awk '$2 != 3 && $2 != 4' results)" ""
is "hostile: nothing of any is left" "$(awk '$5 != "-"' results)" ""
is "hostile: the machine's tree is as it was" "$(awk '$6 != "-"' results)" ""
is "hostile: none takes more than 2 s" "$(awk '$3 > 2' results)" ""
case $HPS_BUILD in
*san-*) skip "hostile: none takes more than 64 MiB" "a sanitizer's memory is its own" ;;
*) is "hostile: none takes more than 64 MiB" "$(awk '$4 > 65536' results)" "" ;;
esac
echo "# the longest took $(sort -n -k 3 results | tail -n 1), the largest $(sort -n -k 4 results | tail -n 1)"
is "hostile: nothing elsewhere" "$(ls -d /etc/evil "$T/evil" hostile/escape evil 2>/dev/null)" ""
# The rig sees what it is to see: an unpacker that believes the archive leaves something, or changes the machine.
mkdir bin some
cp hostile/name-*1*.hps some
cat >bin/hps-replay <<S
#!/bin/sh
exec /usr/bin/python3 "$HPS_SOURCE/tests/e2e/replay-bundles.py" believe "\$2" "\$3" "$T"
S
chmod +x bin/hps-replay
PATH=$T/bin:$PATH /usr/bin/python3 "$HPS_SOURCE/tests/e2e/replay-bundles.py" run "$T/some" "$T/in" "$T/host" >believer 2>/dev/null
is "hostile: control: an unpacker that believes is caught, by each sign" "$(awk '$2 == 0 { a = 1 } $5 != "-" { b = 1 } $6 != "-" { c = 1 } END { print a + b + c }' believer)" 3
done_testing
