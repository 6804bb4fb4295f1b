#!/bin/sh
# A ledger that is not there, damaged, somebody else's, on a full disk or left locked: a clear message, the right status, and nothing
# acknowledged is lost.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
HPS_LEDGER=$T/led
export HPS_LEDGER
for i in 0 1 2 3 4 5 6 7 8 9; do statement $i >s$i.json; done

status "there is none" 4 hps-ledger verify
like "the next step is named" "$(cat err)" "'hps-ledger init"
status "neither for append" 4 hps-ledger append s0.json
hps-ledger init --origin example.org/d led >/dev/null 2>&1
hps-ledger append s0.json s1.json s2.json >/dev/null

# fresh: the ledger as it was
cp -a led whole
fresh() {
	rm -rf led
	cp -a whole led
}

truncate -s 5000 led/ledger.db
status "a truncated database: verify" 3 hps-ledger verify
like "is named" "$(cat out)" "^ledger.db: "
like "the published entries hold all the same" "$(cat out)" "3 of 3 hold"
status "a truncated database: list" 3 hps-ledger list
status "a truncated database: append" 3 hps-ledger append s3.json
fresh
head -c 20000 /dev/urandom >led/ledger.db
status "a garbage database: verify" 3 hps-ledger verify
status "a garbage database: append" 3 hps-ledger append s3.json
like "says what to do" "$(cat err)" "hps-ledger verify"
fresh
: >led/ledger.db
status "an empty database" 3 hps-ledger list
fresh
rm led/tiles/checkpoint
status "a missing checkpoint: verify" 3 hps-ledger verify
like "is named" "$(cat err)" "tiles/checkpoint"
status "a missing checkpoint: append" 3 hps-ledger append s3.json
fresh
rm -r led/tiles
status "no tiles at all" 3 hps-ledger list
fresh
printf '\0\0\0\7' | dd of=led/ledger.db bs=1 seek=60 conv=notrunc 2>/dev/null
status "a newer format" 3 hps-ledger list
like "says that it is newer" "$(cat err)" "newer hps"
fresh
status "put back, all holds" 0 hps-ledger verify

# ---- somebody else's
if [ "$(id -u)" = 0 ]; then
	chown -R 65534 led
	for command in verify list "show @0" "append s3.json"; do
		status "a foreign ledger: $command" 5 hps-ledger $command
		like "says whose it is" "$(cat err)" "user 65534 owns it"
	done
	cp whole/trust.json mine.json
	status "with one's own trust file it can be verified" 0 hps-ledger verify --trust mine.json
	fresh
	# As an ordinary user who may not even look.
	chmod 700 led
	status "a ledger of root's for others" 5 as_user hps-ledger verify
else
	skip "a foreign ledger" "only root can give a directory away"
fi
chmod 777 led
status "one that others may write to" 5 hps-ledger append s3.json
fresh

# ---- what may not be read is no damage

[ "$(id -u)" != 0 ] || chown -R 65534 "$T"
id=$(as_user hps-ledger show @1 --json | sed 's/.*"id":"\([0-9a-f]*\).*/\1/')
status "an ordinary user's own ledger holds" 0 as_user hps-ledger verify
cp -a led closed
for file in tiles/envelope/$id.json tiles/envelope tiles/tile/0/000.p/3 tiles/tile/entries/000.p/3 tiles/tile objects trust.json journal lock; do
	chmod 000 led/$file
	status "'$file' may not be read: undecided" 4 as_user hps-ledger verify
	like "'$file': said so, and where" "$(cat out)" "^UNDECIDED: nothing is known to be damaged"
	like "'$file': and why" "$(cat out)" "Permission denied"
	rm -rf led && cp -a closed led
done
chmod 000 led/tiles/envelope/$id.json
status "fsck, too" 4 as_user hps-ledger fsck --full
as_user hps-ledger verify --json >out
is "JSON tells it from damage" "$(json out '[(p["unread"], p["index"]) for p in j["problems"]], j["holds"]')" "([(True, 1)], False)"
status "nor does the audit judge half a ledger" 4 as_user hps-audit check
like "… and names the way" "$(cat err)" "not all of the ledger .* can be read here .*Permission denied.*'hps-ledger verify'"
printf x | dd of=led/tiles/tile/entries/000.p/3 bs=1 seek=300 conv=notrunc 2>/dev/null
status "damage beside it is damage" 3 as_user hps-ledger verify
like "… and counted" "$(cat out)" "^DAMAGED: "
rm -rf led && cp -a closed led
XDG_STATE_HOME=$T/other as_user hps-ledger withdraw --reason test @0 >out
id=$(as_user hps-ledger show @3 --json | sed 's/.*"id":"\([0-9a-f]*\).*/\1/')
chmod 000 led/tiles/envelope/$id.json
status "what only the unread part can excuse is undecided" 4 as_user hps-ledger verify
like "a body whose withdrawal cannot be read" "$(cat out)" "^entry @0 .*is missing: withheld or lost"
rm -rf led && cp -a closed led
# … and nothing else is an excuse: what the unread part cannot say is damage.
id=$(as_user hps-ledger show @1 --json | sed 's/.*"id":"\([0-9a-f]*\).*/\1/')
for file in objects tiles/attested; do
	mkdir -p led/$file
	[ "$(id -u)" != 0 ] || chown 65534 led/$file
	chmod 000 led/$file
	rm led/tiles/envelope/$id.json
	status "a missing envelope is damage, whether '$file' can be read or not" 3 as_user hps-ledger verify
	like "… and said to be" "$(cat out)" "^DAMAGED: 2 problems"
	chmod 700 led/$file
	rm -rf led && cp -a closed led
done
chmod 000 led/journal
rm led/tiles/envelope/$id.json
status "but the journal may say that it was withdrawn" 4 as_user hps-ledger verify
rm -rf led && cp -a closed led
hps-ledger init --origin example.org/d stranger >/dev/null 2>&1
/usr/bin/python3 -c 'import json
t = json.load(open("led/trust.json")); t["statementKeys"] = json.load(open("stranger/trust.json"))["statementKeys"]
json.dump(t, open("others.json", "w"), sort_keys=True, separators=(",", ":"))'
chmod 644 others.json
chmod 000 led/tiles/envelope/$id.json
status "what a wrong key has signed is not excused by a later entry" 3 as_user hps-ledger verify --trust "$T/others.json"
as_user hps-ledger verify --trust "$T/others.json" --json >out
is "… only by an earlier one" "$(json out '[(p["index"], p.get("unread", False)) for p in j["problems"]]')" "[(1, True), (0, False), (2, True)]"
rm -rf led && cp -a closed led
XDG_STATE_HOME=$T/third as_user hps-ledger append s8.json >/dev/null
rm -rf led && cp -a closed led
chmod 000 led/objects
XDG_STATE_HOME=$T/third status "nor is a tail that was cut off by anything but journal and leaves" 3 as_user hps-ledger fsck --full
like "… which is named" "$(cat out)" "the log key has signed 4 entries, and 3 are here"
chmod 700 led/objects
rm -rf led && cp -a closed led
called=
for limit in 4 5 6 7 8 9 10 11 12 13 14 16 20; do
	as_user sh -c "ulimit -n $limit && exec hps-ledger verify" >out 2>&1
	called="$called $?"
done
unlike "too few descriptors are never called damage" "$called " " 3 "
like "… but undecided, until there are enough" "$called" " 4 0( 0)*\$"
[ "$(id -u)" != 0 ] || chown -R 0 "$T"
rm -rf closed
fresh

# ---- processes
hps-ledger append s3.json >/dev/null # a warm start for the timing below
sh -c 'exec 9>led/lock; flock 9; echo locked; exec sleep 1000' >locked &
holder=$!
while [ ! -s locked ]; do sleep 0.05; done
hps-ledger append s4.json >late &
waiting=$!
sleep 0.3
is "an append waits for the lock" "$(cat late)" ""
kill -9 $holder
wait $holder 2>/dev/null
wait $waiting
like "a killed holder blocks nobody" "$(cat late)" "^@4 "
for i in 5 6 7 8 9; do hps-ledger append s$i.json >out.$i & done
wait
is "five at once are five entries" "$(cat out.5 out.6 out.7 out.8 out.9 | sort | cut -d ' ' -f 1 | tr '\n' ' ')" "@5 @6 @7 @8 @9 "
is "nothing of a statement stays with those who waited" "$(cat led/queue/[0-9]* 2>/dev/null | wc -c)" 0
status "and all holds" 0 hps-ledger verify

# ---- a full disk (in a mount namespace of its own)
cat >full.sh <<'S'
set -u
mkdir small && mount -t tmpfs -o size=700k tmpfs small || exit 77
head -c 200000 /dev/zero >small/ballast
HPS_LEDGER=$T/small/led
export HPS_LEDGER
hps-ledger init --origin example.org/f "$HPS_LEDGER" >/dev/null 2>&1 || exit 1
n=0
while statement $n >s.json && hps-ledger append s.json >>acked 2>err; do
	n=$((n + 1))
	[ $n -lt 500 ] || exit 2
done
echo "status of the append that failed: $?"
cat err
grep -q 'No space left\|disk is full' err || exit 3
hps-ledger verify >verified || exit 4
grep -q "$n of $n hold" verified || exit 5
hps-ledger list --json >listed.json
while read -r at id; do grep -q "$id" listed.json || exit 6; done <acked
rm small/ballast
hps-ledger append s.json >>acked || exit 7
hps-ledger verify >verified || exit 8
S
{ sed -n '/^statement()/,/^}/p' "$HPS_SOURCE/tests/lib.sh"; cat full.sh; } >run.sh
unshare -m true 2>/dev/null && own="unshare -m" || own="unshare -rm"
T=$T $own sh run.sh >full.out 2>&1
full=$?
if [ $full = 77 ]; then
	skip "a full disk" "no mount namespaces here"
else
	is "a full disk loses nothing and stops nothing for good" "$full" 0
	[ $full = 0 ] || note "$(cat full.out)"
fi
done_testing
