#!/bin/sh
# Records that could not be appended when their trial ended: kept whole, pushed later, once.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
spool=$XDG_STATE_HOME/hps/spool

ok "a ledger" hps-ledger init --origin example.org/push led
status "an empty spool: nothing to do" 0 hps-ledger push
is "and nothing is said" "$(cat out err)" ""

ok "a trial" hps-record -q --ledger led -- true

# A spooled record: the statement of a trial, with a manifest that could not be stored.
begin=$(hps-ledger list --ledger led --kind begin --jsonl | sed -n 's/.*"id":"\([0-9a-f]*\)".*/\1/p' | head -1)
make_record() { # FILE STATE LEDGER
	/usr/bin/python3 - "$@" "$begin" <<'P'
import hashlib, json, sys
path, state, ledger, begin = sys.argv[1:]
manifest = json.dumps({"items": [], "schema": "hps.misses/1"}, separators=(",", ":"), sort_keys=True)
digest = hashlib.sha256(manifest.encode()).hexdigest()
statement = {"_type": "https://in-toto.io/Statement/v1", "predicateType": "urn:hps:trial:v1",
             "subject": [{"name": "x", "digest": {"sha256": "0" * 64}}],
             "predicate": {"begin": begin, "state": state, "nonce": "0" * 32, "time": "2026-01-02T03:04:05.000000006Z",
                           "buildDefinition": {"resolvedDependencies": [{"name": "misses", "digest": {"sha256": digest},
                                                                         "mediaType": "application/vnd.hps.misses.v1+json"}]}}}
json.dump({"schema": "hps.spool/1", "ledger": ledger, "statement": statement, "manifests": {digest: manifest}}, open(path, "w"))
P
}
mkdir -p "$spool"
before=$(hps-ledger list --ledger led --jsonl | wc -l)
make_record "$spool/$begin.json" complete "$T/led"
cp "$spool/$begin.json" again.json
status "push" 0 hps-ledger push
like "says the entry" "$(cat out)" "^@$before [0-9a-f]{64} .*/$begin.json$"
is "the spool is empty" "$(ls "$spool")" ""
ok "the ledger verifies, with the manifest" hps-ledger verify --ledger led
cp again.json "$spool/$begin.json"
status "the same record once more (a pusher was killed before it removed the file)" 0 hps-ledger push --json
is "it is the same entry" "$(json out 'j["entries"][0]["index"], j["left"]')" "($before, 0)"
is "the ledger has not grown" "$(hps-ledger list --ledger led --jsonl | wc -l)" $((before + 1))

# Two pushers at once.
for i in 1 2 3 4 5 6; do make_record "$spool/$i.json" "state-$i" "$T/led"; done
hps-ledger push >one 2>/dev/null &
hps-ledger push >two 2>/dev/null
wait
is "two pushers: each record once" "$(hps-ledger list --ledger led --jsonl | grep -c 'state-')" 6

# Another ledger; a ledger that is not there; what is no record; what another user left.
ok "another ledger" hps-ledger init other
make_record "$spool/far.json" elsewhere /nowhere/ledger
status "a ledger that is not there: kept" 4 hps-ledger push
like "and said" "$(cat err)" "far.json' stays where it is: .*/nowhere/ledger"
ok "the file is there" test -e "$spool/far.json"
status "--ledger pushes it elsewhere" 0 hps-ledger push --ledger other
is "there it is" "$(hps-ledger list --ledger other --jsonl | grep -c elsewhere)" 1
for damage in 's/hps.spool.1/hps.spool\/2/' 's/"ledger"/"lodger"/' 's/misses.1/misses.2/' 's/"_type"/"type"/' 's/}$//'; do
	make_record "$spool/bad.json" bad "$T/led"
	sed -i "$damage" "$spool/bad.json"
	status "damaged by $damage: kept" 4 hps-ledger push
	ok "the file is there" test -e "$spool/bad.json"
done
is "nothing of it is in the ledger" "$(hps-ledger list --ledger led --jsonl | grep -c '"bad"')" 0
rm "$spool/bad.json"
if [ "$(id -u)" = 0 ]; then
	make_record foreign.json foreign "$T/led" && chown 65534 foreign.json
	status "another user's record is not signed" 4 hps-ledger push foreign.json
	like "and why" "$(cat err)" "not a file of yours"
fi

# While a record waits, its begin entry is not called lost.
hps-record -q --ledger led -- sh -c ': >started; exec sleep 30' 2>/dev/null &
recorder=$!
i=0
until [ -e started ] || [ $((i += 1)) -gt 500 ]; do sleep 0.02; done
kill -9 $recorder
wait $recorder 2>/dev/null
begin=$(hps-ledger list --ledger led --kind begin --jsonl | sed -n 's/.*"id":"\([0-9a-f]*\)".*/\1/p' | tail -1)
make_record "$spool/$begin.json" late "$T/led"
ok "another trial sweeps" hps-record -q --ledger led -- true
is "the begin is not lost" "$(hps-ledger list --ledger led --kind lost --jsonl | grep -c "$begin")" 0
status "push" 0 hps-ledger push
ok "another trial" hps-record -q --ledger led -- true
is "nor later" "$(hps-ledger list --ledger led --kind lost --jsonl | grep -c "$begin")" 0
ok "the ledger verifies" hps-ledger verify --ledger led
done_testing
