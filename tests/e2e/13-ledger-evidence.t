#!/bin/sh
# hps-ledger prove writes a folder that verifies without hps: this test runs the commands of its README, all of them and no others,
# then damages each file in turn; the README's commands and hps-ledger check have to refuse it both.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"

GOCACHE=$T/.gocache
npm_config_cache=$T/.npm
export GOCACHE npm_config_cache
PATH=$PATH:/usr/local/bin
HPS_LEDGER=$T/led
export HPS_LEDGER

hps-ledger init --origin example.org/evidence led >/dev/null 2>&1
/usr/bin/python3 - <<'P'
import json
for i in range(300):
    json.dump({"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "x", "digest": {"sha256": "%064x" % i}}],
               "predicateType": "urn:hps:search:v1", "predicate": {"study": "s", "event": "commit", "number": i}}, open("s%d.json" % i, "w"))
P
hps-ledger append $(seq -f 's%g.json' 0 279) >/dev/null
echo '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"00"}}],"predicateType":"urn:hps:begin:v1","predicate":{"study":"s","number":1}}' >begin.json
begin=$(hps-ledger append begin.json | cut -d ' ' -f 2)
echo '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"00"}}],"predicateType":"urn:hps:trial:v1","predicate":{"study":"s","number":1,"begin":"'"$begin"'","state":"complete"}}' >trial.json
trial=$(hps-ledger append trial.json | cut -d ' ' -f 2)
hps-ledger append $(seq -f 's%g.json' 280 299) >/dev/null

status "prove a trial" 0 hps-ledger prove -o proof "$trial"
like "says where" "$(cat out)" "^proof: [0-9]+ files about entry @281"
status "a folder that is there is not written into" 4 hps-ledger prove -o proof "$trial"
status "an entry that is not there" 4 hps-ledger prove -o nowhere @999
not_ok "leaves nothing" test -e nowhere
status "check holds" 0 hps-ledger check --trust led/trust.json proof
like "names the trial" "$(cat out)" "^entry: entry 281 of 'example.org/evidence' \(trial\)"
like "names its begin entry" "$(cat out)" "^begin: entry 280 .*\(begin\)"
status "check with the folder's own keys" 0 hps-ledger check proof
like "says that they are" "$(cat err)" "the keys are those that lie in the folder itself"
status "check --json" 0 hps-ledger check --json --trust led/trust.json proof
is "says what holds" "$(json out 'j["schema"], j["holds"], len(j["found"]), j["problems"]')" "('hps.checked/1', True, 2, [])"

# The README's commands, in a place without the ledger and without hps.
mkdir elsewhere && cp -r proof elsewhere/
sed -n '/^```sh$/,/^```$/p' proof/README.md | grep -v '^```' >commands
is "the README names its tools" "$(grep -cE '^(echo .* sha256sum|openssl (dgst|pkeyutl)|sh verify.sh|GO111MODULE|npm install|node verify)' commands)" 9
bare() { (cd elsewhere/proof && env -u HPS_LEDGER PATH=/usr/bin:/bin:/usr/local/bin sh -e ../../commands); }
ok "all of the README's commands succeed" bare
grep -v '^npm' commands >again && mv again commands
like "Go agrees" "$(bare 2>&1)" "^entry: entry 281 is in the tree of 302 entries, whose checkpoint the policy takes"
like "Sigstore agrees" "$(bare 2>&1)" "^begin: Sigstore's verifier takes the bundle"

# One bit in the middle of each file of evidence: refused by both sides.
flip() {
	/usr/bin/python3 -c 'import os, sys
f = open(sys.argv[1], "r+b"); n = os.path.getsize(sys.argv[1]) // 2; f.seek(n); c = f.read(1)[0]; f.seek(n); f.write(bytes([c ^ 1]))' "$1"
}
# refused COMMAND…: by the part of the README that the file concerns; whole runs would take a minute each
one() { (cd elsewhere/proof && env -u HPS_LEDGER PATH=/usr/bin:/bin:/usr/local/bin sh -ec "$1"); }
grep -vE '^(GO111|node)' commands >plain
for file in entry.statement.json entry.pae entry.sig entry.key.pem entry.leaf entry.tlog-proof begin.statement.json begin.leaf begin.tlog-proof checkpoint.txt checkpoint.sig \
	log.key.pem checkpoint; do
	flip elsewhere/proof/$file
	not_ok "openssl and sh refuse a flipped bit in $file" one "$(cat plain)"
	status "so does hps-ledger check" 3 hps-ledger check --trust led/trust.json elsewhere/proof
	like "and names it" "$(cat out)" "^PROBLEM: $file"
	flip elsewhere/proof/$file
done
(cd elsewhere/proof && GO111MODULE=off GOFLAGS='' GOPATH=/usr/share/gocode go build -o "$T/reader" verify.go)
for file in entry.leaf entry.tlog-proof policy.tlog; do
	flip elsewhere/proof/$file
	not_ok "Go refuses a flipped bit in $file" one "$T/reader entry"
	flip elsewhere/proof/$file
done
ok "flipped back, Go accepts" one "$T/reader entry"
for file in entry.sigstore.json entry.key.pem trusted_root.json; do
	flip elsewhere/proof/$file
	not_ok "Sigstore refuses a flipped bit in $file" one "node verify.mjs entry"
	status "so does hps-ledger check" 3 hps-ledger check --trust led/trust.json elsewhere/proof
	flip elsewhere/proof/$file
done
ok "flipped back, Sigstore accepts" one "node verify.mjs entry"

# Swapped parts: each is valid, but of another entry.
hps-ledger prove -o other @5 >/dev/null
for part in sigstore.json tlog-proof leaf sig statement.json; do
	cp -r proof mixed && cp "other/entry.$part" "mixed/entry.$part"
	status "check refuses another entry's $part" 3 hps-ledger check --trust led/trust.json mixed
	rm -r mixed
done
cp -r proof mixed && for f in other/entry.*; do cp "$f" "mixed/begin.${f#other/entry.}"; done
status "check refuses another begin entry" 3 hps-ledger check --trust led/trust.json mixed
like "and says why" "$(cat out)" "begin.sigstore.json: it is not the begin entry that the trial names"
cp -r proof mixed && rm mixed/entry.sig
status "a folder that lacks a file does not hold" 3 hps-ledger check --trust led/trust.json mixed
like "… and names it" "$(cat out)" "^PROBLEM: entry.sig: .*No such file"
rm mixed/entry.sigstore.json
status "one without a bundle is no evidence" 4 hps-ledger check --trust led/trust.json mixed
like "… and says what makes it" "$(cat err)" "'entry.sigstore.json' is missing; 'hps-ledger prove' makes such folders"
rm -r mixed && cp -r proof mixed && chmod -R a+rX mixed && chmod 000 mixed/entry.sig
cp led/trust.json auditor.json && chmod 644 auditor.json && chmod 755 .
[ "$(id -u)" != 0 ] || chown -R 65534 mixed
status "one that may not be read is undecided" 5 as_user hps-ledger check --trust auditor.json mixed
like "… in words" "$(cat out)" "^UNDECIDED: not all of it could be read"
echo x >mixed/entry.leaf
status "… unless something is wrong, too" 3 as_user hps-ledger check --trust auditor.json mixed
like "the README names the log's key" "$(cat proof/README.md)" "somewhere else: .$(json led/trust.json 'j["log"]' | sed 's/[+]/[+]/g').\.\$"
hps-ledger init --origin example.org/evidence second >/dev/null 2>&1
status "check refuses a foreign key" 3 hps-ledger check --trust second/trust.json proof
done_testing
