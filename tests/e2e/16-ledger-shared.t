#!/bin/sh
# A ledger for several: served over a unix socket and over https, appended to by enrolled keys only, recorded into by hps-record with
# --ledger URL; and published to a directory and to an S3 server that checks each signature by itself (Debian 12 packages no S3 server).
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"

HPS_LEDGER=$T/led
export HPS_LEDGER
get() { curl -s -o got -w '%{http_code}' --cacert cert.pem "$@"; }

hps-ledger init --origin example.org/shared led >/dev/null 2>&1
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -subj /CN=test -addext subjectAltName=IP:127.0.0.1 -days 2 2>/dev/null
chmod 600 key.pem
status "serving needs an address" 2 hps-ledger serve
status "an open address needs a certificate" 5 hps-ledger serve --listen 0.0.0.0:0
background web hps-ledger serve --listen 127.0.0.1:0 --certificate cert.pem --certificate-key key.pem
background sock hps-ledger serve --listen "unix:$T/sock"
url=$(sed -n 's/^serving //p' web.out)
like "https, when a certificate is given" "$url" '^https://127.0.0.1:'

# ---- a recorder elsewhere (its own state directory)
elsewhere() { env -u HPS_LEDGER XDG_STATE_HOME="$T/.elsewhere" "$@"; }
statement 1 trial >t1.json
status "not enrolled" 4 elsewhere hps-ledger append --ledger "$url" t1.json
like "… says how" "$(cat err)" "hps-ledger enrol $url"
status "a certificate that nobody vouches for" 3 elsewhere hps-ledger enrol "$url"
status "enrol" 0 elsewhere hps-ledger enrol --ca cert.pem --kind begin --kind trial --kind lost "$url"
cp out draft
status "enrolled, not yet accepted" 5 elsewhere hps-ledger append --ledger "$url" t1.json
like "… says so" "$(cat err)" "is not enrolled for statements of the kind 'trial'"
status "the owner accepts" 0 hps-ledger key apply draft
status "now it appends" 0 elsewhere hps-ledger append --ledger "$url" t1.json
like "… and is told where" "$(cat out)" '^@1 [0-9a-f]{64}$'
status "the same again is the same entry" 0 elsewhere hps-ledger append --ledger "$url" t1.json
statement 2 search >t2.json
status "another kind is refused" 5 elsewhere hps-ledger append --ledger "$url" t2.json
status "reading is another matter" 2 elsewhere hps-ledger list --ledger "$url"
status "record a run into it" 0 elsewhere hps-record -q --ledger "$url" --study remote -- /bin/sh -c 'echo hello >product'
hps-ledger list >listed
like "… begin" "$(cat listed)" '^ *@2 .* begin +remote'
like "… and trial" "$(cat listed)" '^ *@3 .* trial +remote .*complete'
status "and again: the counter goes on" 0 elsewhere hps-record -q --ledger "$url" --study remote -- /bin/true
is "counters have no gap" "$(hps-ledger show @2 --json >a; hps-ledger show @4 --json >b; json a 'j["statement"]["predicate"]["counter"]') $(json b 'j["statement"]["predicate"]["counter"]')" "0 1"
status "the whole verifies, objects too" 0 hps-ledger verify
unlike "the objects came along" "$(cat out)" "objects +0 hold"
status "over the socket it is another ledger to enrol with" 4 elsewhere hps-ledger append --ledger "unix:$T/sock:" t1.json
status "the owner appends meanwhile" 0 hps-ledger append t2.json
status "nothing is swept away" 0 hps-record -q -- /bin/true
unlike "… no trial of theirs is called lost" "$(hps-ledger list)" " lost "
is "the fate of an entry that is not there" "$(get "$url/end/$(printf '%064d' 3)"; cat got)" "200none"
is "… of what is no id" "$(get "$url/end/abc")" 404

# ---- a recorder there that dies: the next one says so
remote=$(ls -d .elsewhere/hps/remote/*/)
env -u HPS_LEDGER XDG_STATE_HOME="$T/.elsewhere" hps-record -q --ledger "$url" --study remote --number 7 -- sh -c ': >started; exec sleep 60' 2>/dev/null &
recorder=$!
i=0
until [ -e started ] || [ $((i += 1)) -gt 500 ]; do sleep 0.02; done
status "it lives: another says nothing of it" 0 elsewhere hps-record -q --ledger "$url" -- /bin/true
is "… and keeps its lease" "$(ls "$remote/running" | wc -l)" 1
kill -9 $recorder
wait $recorder 2>/dev/null
dead=$(ls "$remote/running")
ok "it leaves its lease" test "${#dead}" = 64
# One that died while it was asking whether it might begin, just now and long ago; one that had ended.
ended=$(hps-ledger show @2 --json >a && json a 'j["id"]')
: >"$remote/running/$(printf '%064d' 1)"; : >"$remote/running/$(printf '%064d' 2)"; : >"$remote/running/$ended"
touch -d '1 hour ago' "$remote/running/$(printf '%064d' 2)"
status "the next one from there" 0 elsewhere hps-record -q --ledger "$url" -- /bin/true
is "… ends it" "$(hps-ledger list --kind lost --jsonl | wc -l)" 1
hps-ledger list --kind lost --json >lost.json
is "… with its study and number, signed by its key" "$(json lost.json '[(e["begin"], e["study"], e["number"]) for e in j["entries"]]')" "[('$dead', 'remote', 7)]"
is "… and what never began, or had ended, is tidied" "$(ls "$remote/running")" "$(printf '%064d' 1)"
status "once is enough" 0 elsewhere hps-record -q --ledger "$url" -- /bin/true
is "… one lost entry" "$(hps-ledger list --kind lost --jsonl | wc -l)" 1
status "verify holds" 0 hps-ledger verify

printf 'hps: 1\nstudy: far\ncommand: [/bin/true, "{n}"]\nspace: {n: {type: int, low: 0, high: 9}}\nmetrics: {score: {goal: max}}\nsearch: {sampler: random, seed: 4}\nbudget: {trials: 1}\n' >far.yaml
status "a study is not run from elsewhere" 2 elsewhere hps-search run --ledger "$url" far.yaml
like "… and it says why" "$(cat err)" "is elsewhere, and a study is decided from what its ledger says"

# ---- reading
is "the checkpoint is served" "$(get "$url/tiles/checkpoint")" 200
is "… as published" "$(head -n 1 got)" "example.org/shared"
is "a tile" "$(get "$url/tiles/tile/entries/000.p/$(sed -n 2p got)")" 200
is "the trust file" "$(get "$url/trust.json")" 200
for path in /keys/log.pem /ledger.db /tiles/../keys/log.pem /tiles/%2e%2e/keys/log.pem /tiles/tile/0/../../../ledger.db /tiles/envelope/../checkpoint /objects/ / //etc/passwd \
	/tiles/checkpoint%00 /tiles/checkpoint%00.pem /trust.json%00%2f..; do
	is "not served: $path" "$(get --path-as-is "$url$path")" 404
done
status "monitor follows it" 0 hps-ledger monitor --trust led/trust.json --ca cert.pem --state seen "$url"

# ---- submissions that are not taken
is "no JSON" "$(get --data-binary 'x' "$url/submit")" 400
is "too large" "$(head -c 70000000 /dev/zero | get -H 'Expect:' --data-binary @- "$url/submit")" 413
is "another method" "$(get -X DELETE "$url/submit")" 405
envelope=led/tiles/envelope/$(json a 'j["id"]').json
is "a known entry again" "$(get --data-binary "@$envelope" "$url/submit")" 200
sed 's/"payload":"ey/"payload":"fy/' "$envelope" >changed.json
like "a changed one" "$(get --data-binary @changed.json "$url/submit")" '^40[03]$'
/usr/bin/python3 - "$envelope" <<'P'
import base64, json, sys
e = json.load(open(sys.argv[1]))
p = json.loads(base64.b64decode(e["payload"])); p["predicate"]["number"] = 99
e["payload"] = base64.b64encode(json.dumps(p, sort_keys=True, separators=(",", ":")).encode()).decode()
json.dump(e, open("forged.json", "w"), sort_keys=True, separators=(",", ":"))
P
is "a forged one" "$(get --data-binary @forged.json "$url/submit")" 403
hex=$(printf 'stolen' | sha256sum | cut -d ' ' -f 1)
is "an object from nobody" "$(get -X PUT --data-binary stolen "$url/objects/$hex")" 403
is "an object with a bad signature" "$(get -X PUT -H "Authorization: HPS $(printf '%064d' 0) $(date -u +%Y-%m-%dT%H:%M:%S.000000000Z) AAAA" --data-binary stolen "$url/objects/$hex")" 403
not_ok "nothing of it is stored" test -e "led/objects/$(echo "$hex" | cut -c1-2)/$(echo "$hex" | cut -c3-)"

# ---- revoked
keyid=$(json draft 'j["change"]["keyid"]')
status "revoke the recorder's key" 0 hps-ledger key revoke "$keyid"
statement 5 trial >t5.json
status "it appends no more" 5 elsewhere hps-ledger append --ledger "$url" t5.json
kill -9 "$web_pid"
status "a server that is gone" 4 elsewhere hps-ledger append --ledger "$url" t5.json
status "verify holds" 0 hps-ledger verify

# ---- publication
status "publish to a directory" 0 hps-ledger publish site
like "says how much" "$(cat out)" "^site: [0-9]+ entries, [0-9]+ files written"
status "the copy verifies" 0 hps-ledger verify --ledger site --trust led/trust.json
cp -a led older
not_ok "no key is in it" sh -c 'find site -name "*.pem" -o -name "*.db" -o -name objects | grep .'
hps-ledger append t5.json >/dev/null
for inside in "$HPS_LEDGER" "$HPS_LEDGER/tiles" "$HPS_LEDGER/tiles/new/er"; do
	status "not into the ledger itself (${inside#"$T/"})" 2 hps-ledger publish "$inside"
	like "… which is said" "$(cat err)" "that is in the ledger itself"
done
not_ok "nothing is left there" test -e "$HPS_LEDGER/tiles/new" -o -e "$HPS_LEDGER/tiles/tiles"
mkdir "$HPS_LEDGER/tiles/empty"
status "nor into an empty directory of it" 2 hps-ledger publish "$HPS_LEDGER/tiles/empty"
ok "… which stays" rmdir "$HPS_LEDGER/tiles/empty"
status "not to a URL" 2 hps-ledger publish http://example.org/x
like "… which is said" "$(cat err)" "a directory or to s3://"
status "publish again" 0 hps-ledger publish --json site
ok "only what is new is written" test "$(json out 'j["files"]')" -lt 12
status "the copy verifies again" 0 hps-ledger verify --ledger site --trust led/trust.json
if strace -o /dev/null -e inject=getppid:error=EIO true 2>/dev/null; then
	strace -qq -o trace -e trace=renameat -e inject=renameat:signal=KILL:when=3 hps-ledger publish killed >/dev/null 2>&1
	leftover() { find killed -type f -name '.*' | sed 's/[0-9a-f]*$//' | sort | tr '\n' ' '; }
	ok "a publisher that is killed leaves a file behind" test -n "$(leftover)"
	: >killed/.htaccess && : >killed/.x.0123456789abcdef && touch -d '2 hours ago' killed/.htaccess && : >led/tiles/.young.0123456789abcdef
	one=$(leftover)
	status "publish after that" 0 hps-ledger publish killed
	is "what is young stays, for another may be at work" "$(leftover)" "$one"
	find killed -name '.*' -type f -exec touch -d '2 hours ago' {} +
	status "publish later" 0 hps-ledger publish killed
	is "what a killed one left is gone, nothing else" "$(leftover)" "killed/.htaccess "
	status "the copy verifies" 0 hps-ledger verify --ledger killed --trust led/trust.json
	rm led/tiles/.young.0123456789abcdef
else
	skip "what a killed publisher leaves" "strace cannot trace here"
fi
background s3 /usr/bin/python3 "$HPS_SOURCE/tests/peers/s3.py" bucket AKID 's3cr/et+key' eu-test-1
s3=$(head -n 1 s3.out)
printf 'AKID:s3cr/et+key\n' >good && printf 'AKID:wrong\n' >bad && chmod 600 good bad
status "publish to S3" 0 hps-ledger publish --endpoint "$s3" --region eu-test-1 --credentials good s3://team/vision
status "what is there verifies" 0 hps-ledger verify --ledger bucket/team/vision --trust led/trust.json
is "the checkpoint came last" "$(tail -n 1 bucket/order)" "/team/vision/tiles/checkpoint"
status "to a name that has to be encoded" 0 hps-ledger publish --endpoint "$s3" --region eu-test-1 --credentials good "s3://team/visión a+b/100%~x"
status "… what is there verifies" 0 hps-ledger verify --ledger "bucket/team/visión a+b/100%~x" --trust led/trust.json
status "a wrong secret is refused there" 5 hps-ledger publish --all --endpoint "$s3" --region eu-test-1 --credentials bad s3://team/vision
like "… by its own computation" "$(cat err)" "SignatureDoesNotMatch"
status "another region, too" 5 hps-ledger publish --all --endpoint "$s3" --region us-east-1 --credentials good s3://team/vision

# ---- what is published is not taken back
tree() { find "$1" -type f -exec sha256sum {} + | sort | sha256sum; }
before=$(tree site)
status "an older copy is not published over a newer one" 3 hps-ledger publish --ledger older site
like "… and says so" "$(cat err)" "this is an older copy of the ledger \([0-9]+ entries are published, [0-9]+ are here\)"
status "nor in a bucket" 3 hps-ledger publish --ledger older --endpoint "$s3" --region eu-test-1 --credentials good s3://team/vision
statement 99 search >t99.json && XDG_STATE_HOME=$T/.forgetful hps-ledger append --ledger older t99.json >/dev/null
XDG_STATE_HOME=$T/.forgetful hps-ledger append --ledger older t5.json >/dev/null
status "nor another history" 3 hps-ledger publish --ledger older site
like "… by name" "$(cat err)" "another history of the ledger is published there"
hps-ledger init --origin example.org/other other >/dev/null 2>&1
status "nor another ledger" 3 hps-ledger publish --ledger other site
like "… by name" "$(cat err)" "is not of this ledger"
is "nothing was changed there" "$(tree site)" "$before"
background wo /usr/bin/python3 "$HPS_SOURCE/tests/peers/s3.py" writeonly AKID 's3cr/et+key' eu-test-1 PUT
status "a bucket that may only be written to is not compared" 0 hps-ledger publish --endpoint "$(head -n 1 wo.out)" --region eu-test-1 --credentials good s3://team/vision

# ---- what is withdrawn goes there, too
gone=$(hps-ledger list --kind trial --jsonl | head -n 1 | json /dev/stdin 'j["id"]')
ok "the body is published" test -e "site/tiles/envelope/$gone.json" -a -e "bucket/team/vision/tiles/envelope/$gone.json"
status "withdraw it" 0 hps-ledger withdraw --reason test "$gone"
status "publish after that" 0 hps-ledger publish site
status "… and to the bucket" 0 hps-ledger publish --endpoint "$s3" --region eu-test-1 --credentials good s3://team/vision
not_ok "the body is gone from the directory" test -e "site/tiles/envelope/$gone.json"
not_ok "… and from the bucket" test -e "bucket/team/vision/tiles/envelope/$gone.json"
status "the copy verifies" 0 hps-ledger verify --ledger site --trust led/trust.json
like "… and names what was withdrawn" "$(cat out)" "^withdrawn $(echo "$gone" | cut -c1-12)"
status "again, there is nothing to remove" 0 hps-ledger publish --endpoint "$s3" --region eu-test-1 --credentials good s3://team/vision
chmod 644 good
status "a secret that others can read is not used" 5 hps-ledger publish --endpoint "$s3" --region eu-test-1 --credentials good s3://team/vision
status "without credentials" 2 hps-ledger publish --endpoint "$s3" s3://team/vision
done_testing
