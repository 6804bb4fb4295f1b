#!/bin/sh
# What hps-ledger writes, other programs verify: Go's transparency-log packages read checkpoint and tiles, openssl the
# signatures, sha256sum the ids. Each of them refuses one flipped bit, and so does hps-ledger.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"

HPS_LEDGER=$T/led
export HPS_LEDGER

ok "the Go reader" cp "$HPS_BUILD/peers/tlog" "$T/tlog"
hps-ledger init --origin example.org/peers led >/dev/null 2>&1
vkey=$(json led/trust.json 'j["log"]')

# 270 entries: over the boundary of a full tile.
/usr/bin/python3 - <<'P'
import json
for i in range(270):
    json.dump({"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "x", "digest": {"sha256": "%064x" % i}}],
               "predicateType": "urn:hps:search:v1", "predicate": {"study": "peers", "event": "commit", "number": i}}, open("s%d.json" % i, "w"))
P
is "an empty ledger's checkpoint" "$(./tlog led/tiles "$vkey")" "0 entries hold"
hps-ledger append s0.json >/dev/null
is "one entry" "$(./tlog led/tiles "$vkey")" "1 entries hold"
hps-ledger append $(seq -f 's%g.json' 1 254) >/dev/null
is "one short of a full tile" "$(./tlog led/tiles "$vkey")" "255 entries hold"
hps-ledger append s255.json >/dev/null
is "a full tile" "$(./tlog led/tiles "$vkey")" "256 entries hold"
hps-ledger append $(seq -f 's%g.json' 256 269) >/dev/null
is "and beyond" "$(./tlog led/tiles "$vkey")" "270 entries hold"
status "hps-ledger agrees" 0 hps-ledger verify

# flip FILE OFFSET: one bit of a byte
flip() {
	/usr/bin/python3 -c 'import sys
f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); c = f.read(1)[0]; f.seek(int(sys.argv[2])); f.write(bytes([c ^ 4]))' "$1" "$2"
}
for file in checkpoint tile/0/000 tile/0/001.p/14 tile/1/000.p/1 tile/entries/000 tile/entries/001.p/14; do
	flip "led/tiles/$file" 20
	not_ok "Go refuses a flipped bit in $file" ./tlog led/tiles "$vkey"
	status "so does hps-ledger" 3 hps-ledger verify
	like "and names the file" "$(cat out)" "tiles/$file:"
	flip "led/tiles/$file" 20
done
is "flipped back, all hold" "$(./tlog led/tiles "$vkey")" "270 entries hold"

# An envelope by hand: its PAE's SHA-256 is the id, its signature verifies with openssl.
id=$(hps-ledger list --json >all.json; json all.json 'j["entries"][77]["id"]')
/usr/bin/python3 - "led/tiles/envelope/$id.json" led/trust.json <<'P'
import base64, json, sys
e, trust = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
body, kind = base64.b64decode(e["payload"]), e["payloadType"].encode()
open("pae", "wb").write(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body))
open("sig", "wb").write(base64.b64decode(e["signatures"][0]["sig"]))
key = next(k for k in trust["statementKeys"] if k["keyid"] == e["signatures"][0]["keyid"])
open("key.der", "wb").write(base64.b64decode(key["publicKey"]))
P
is "the id is the PAE's digest" "$(sha256sum <pae | cut -d ' ' -f 1)" "$id"
is "the keyid is the key's digest" "$(sha256sum <key.der | cut -d ' ' -f 1)" "$(json led/trust.json 'j["statementKeys"][0]["keyid"]')"
openssl pkey -pubin -inform DER -in key.der -out key.pem
ok "openssl verifies the signature" openssl dgst -sha256 -verify key.pem -signature sig pae
flip pae 60
not_ok "openssl refuses a flipped bit" openssl dgst -sha256 -verify key.pem -signature sig pae
flip "led/tiles/envelope/$id.json" 60
status "so does hps-ledger" 3 hps-ledger verify
like "and names the entry and the file" "$(cat out)" "entry @77 \($(echo "$id" | cut -c1-12)\): tiles/envelope/$id.json:"

# The checkpoint's root by sha256 alone: another program's tree over the bundles.
/usr/bin/python3 - >root <<'P'
import base64, hashlib
def mth(d):
    if len(d) == 1: return d[0]
    k = 1
    while k * 2 < len(d): k *= 2
    return hashlib.sha256(b"\1" + mth(d[:k]) + mth(d[k:])).digest()
leaves = []
for name in "000", "001.p/14":
    b = open("led/tiles/tile/entries/" + name, "rb").read()
    while b:
        n = 2 + b[0] * 256 + b[1]
        leaves.append(hashlib.sha256(b"\0" + b[2:n]).digest())
        b = b[n:]
print(base64.b64encode(mth(leaves)).decode())
P
is "the root by hand" "$(cat root)" "$(sed -n 3p led/tiles/checkpoint)"
done_testing
