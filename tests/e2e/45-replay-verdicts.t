#!/bin/sh
# What several replayers say of one trial: keys, not verdicts, are counted; one word against outweighs the others of its key; a replayer elsewhere,
# with nothing but a bundle, sends its verdict to the shared ledger.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
server=
trap 'kill $server 2>/dev/null; cleanup' EXIT
new_ledger
bare
cp "$T/ledger/keys/statement.pem" "$T/owner.pem"
mkdir w
cd w || exit 99
cat >trial.sh <<'S'
nice >nice.out
awk 'BEGIN { print 0.5 }' >loss.txt
S
ok "recorded" hps-record -q --allow-env "$BARE" --id-file "$T/id" -- sh trial.sh </dev/null
id=$(cat "$T/id")
mkdir "$T/w2"
says() { # NAME STATUS CONCLUSION FOR AGAINST OPEN [OPTION…]
	says_name=$1 says_status=$2 says_want="$3 $4 $5 $6"
	shift 6
	status "$says_name: status" "$says_status" hps-replay verdicts --json "$@" "$id"
	is "$says_name: what it says" "$(json "$T/out" "j['conclusion'], j['for'], j['against'], j['open']" | tr -d "(),'")" "$says_want"
}
as_key() { # NAME: from here on this key signs
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$T/$1.pem" 2>/dev/null
	chmod 600 "$T/$1.pem"
	cp "$T/owner.pem" "$T/ledger/keys/statement.pem"
	ok "$1: enrolled" hps-ledger key add --kind begin --kind trial --kind lost --kind verdict "$T/$1.pem"
	cp "$T/$1.pem" "$T/ledger/keys/statement.pem" # whoever has it signs with it
}
says "nobody" 4 TOO-FEW 0 0 0
status "the owner replays" 0 hps-replay "$id"
says "the owner alone" 0 AGREED 1 0 0
is "the owner: it signed the trial, too" "$(json "$T/out" "[r['signedTheTrial'] for r in j['replayers']]")" "[True]"
status "the owner replays again" 0 hps-replay "$id"
says "the same key twice is one" 4 TOO-FEW 1 0 0 --quorum 2
ok "the trial as a bundle" hps-replay pack --with-seed "$id" "$T/trial.hps"

as_key second
status "the second replays" 0 hps-replay "$id"
says "two of two" 0 AGREED 2 0 0 --quorum 2
is "two of two: one did not sign the trial" "$(json "$T/out" "[r['signedTheTrial'] for r in j['replayers']]")" "[True, False]"
says "two are not three" 4 TOO-FEW 2 0 0 --quorum 3
says "bits are asked for, and given" 0 AGREED 2 0 0 --quorum 2 --require bits

as_key third
status "the third's rerun differs" 1 nice -n 5 hps-replay "$id"
says "one against" 1 DISPUTED 2 1 0
says "one against, and two are enough" 0 QUORUM 2 1 0 --quorum 2
says "one against, and three are asked for" 1 DISPUTED 2 1 0 --quorum 3
status "the third changes its mind" 0 hps-replay "$id"
says "… and stays against" 1 DISPUTED 2 1 0
status "for people" 1 hps-replay verdicts "$id"
like "for people: the one against is shown" "$(cat "$T/out")" "^@[0-9]+ +[0-9a-f]{12} +DIVERGED +L[0-9] .*1 of 2 outputs differs?; first"
like "for people: who signed the trial" "$(cat "$T/out")" "^@[0-9]+ +[0-9a-f]{12}\* +REPRODUCED-BITS "

as_key fourth
rm -f trial.sh
mv "$T/ledger/objects" "$T/gone"
mkdir -m 700 "$T/ledger/objects"
cp -a "$T"/gone/. "$T/ledger/objects"
rm "$T/ledger/objects/$(sum "$T/gone/$(cd "$T/gone" && grep -rl 'nice >nice.out' . | head -1)" | sed 's,^..,&/,')"
status "the fourth cannot rebuild it" 4 hps-replay "$id"
says "who does not know is no voice" 1 DISPUTED 2 1 1

# elsewhere: another ledger, a bundle; the verdict goes into the shared ledger under a key that may sign verdicts only
cp "$T/owner.pem" "$T/ledger/keys/statement.pem"
: >"$T/serve.out"
hps-ledger serve --listen "unix:$T/sock" >"$T/serve.out" 2>&1 &
server=$!
for i in $(seq 100); do
	grep -q serving "$T/serve.out" && break
	sleep 0.1
done
elsewhere() { env HPS_LEDGER="$T/other" XDG_STATE_HOME="$T/.elsewhere" "$@"; }
ok "elsewhere: a ledger" elsewhere hps-ledger init "$T/other"
status "elsewhere: replays" 0 elsewhere hps-replay --json "$T/trial.hps"
entry=$(json "$T/out" "j['entry']['id']")
elsewhere hps-ledger show --json "$entry" >"$T/entry.json"
json "$T/entry.json" "json.dumps(j['statement'])" >"$T/verdict.json"
status "elsewhere: enrols for verdicts" 0 elsewhere hps-ledger enrol --kind verdict "unix:$T/sock:"
cp "$T/out" "$T/draft"
status "elsewhere: not yet accepted" 5 elsewhere hps-ledger append --ledger "unix:$T/sock:" "$T/verdict.json"
ok "the owner accepts" hps-ledger key apply "$T/draft"
status "elsewhere: sends the verdict" 0 elsewhere hps-ledger append --ledger "unix:$T/sock:" "$T/verdict.json"
says "the one elsewhere counts" 0 QUORUM 3 1 1 --quorum 3

# what does not verify is not counted
kill $server
wait $server 2>/dev/null
server=
hps-ledger list --kind verdict --jsonl >"$T/list"
one=$(sed -n '1s/.*"id":"\([0-9a-f]*\)".*/\1/p' "$T/list")
status "a key that the trust file does not know" 3 hps-replay verdicts --trust "$T/other/trust.json" "$id"
ok "an envelope is exchanged" sh -c "chmod u+w '$T/ledger/tiles/envelope/$one.json' && cp '$T/ledger/tiles/envelope/$(sed -n '2s/.*"id":"\([0-9a-f]*\)".*/\1/p' "$T/list").json' '$T/ledger/tiles/envelope/$one.json'"
status "… and is not counted" 1 hps-replay verdicts --json "$id"
is "… but said" "$(json "$T/out" "j['damaged']")" 1
status "an unknown word" 2 hps-replay verdicts --require hearsay "$id"
status "no trial" 4 hps-replay verdicts ffffffffff
done_testing
