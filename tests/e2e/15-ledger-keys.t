#!/bin/sh
# Keys: added, restricted to kinds, rotated, revoked, approved by two of three root keys; held by an ssh-agent or by a token (SoftHSM2).
# Validity goes by the index, and verification sees what a wrong key signed.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"

HPS_LEDGER=$T/led
export HPS_LEDGER
n=0
add() { # KIND
	n=$((n + 1))
	statement $n "$1" >"s$n.json"
	hps-ledger append "s$n.json"
}
keyid() { openssl pkey -in "$1" -pubout -outform DER 2>/dev/null | sha256sum | cut -d ' ' -f 1; }
new_key() { # FILE TYPE
	case $2 in p256) openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null ;; *) openssl genpkey -algorithm ED25519 -out "$1" ;; esac
	chmod 600 "$1"
	openssl pkey -in "$1" -pubout -out "$1.pub"
}

hps-ledger init --origin example.org/keys led >/dev/null 2>&1
cp led/trust.json first.json
add search >/dev/null
first=$(json led/trust.json 'j["statementKeys"][0]["keyid"]')
status "list" 0 hps-ledger key list
like "the first key signs everything" "$(cat out)" "^$first +@0 +all"

# ---- rotation
cp led/keys/statement.pem old.pem
status "rotate" 0 hps-ledger key rotate --reason "new laptop"
like "adds one" "$(cat out)" "^@1 add [0-9a-f]{64}"
like "revokes the other" "$(cat out)" "^@2 revoke $first"
status "goes on with the new key" 0 add search
status "verify holds, with the trust file of before" 0 hps-ledger verify --trust first.json
is "no key is left behind" "$(ls led/keys | tr '\n' ' ')" "log.pem redact.key statement.pem "
cp led/keys/statement.pem new.pem && cp old.pem led/keys/statement.pem
status "the old key is refused" 5 hps-ledger append s1.json
like "… as revoked" "$(cat err)" "was revoked"
cp led/keys/statement.pem led/keys/statement.next.pem && cp new.pem led/keys/statement.next.pem
status "a rotation that was cut off is finished" 0 hps-ledger key rotate
like "… and says so" "$(cat out)" "is finished"
status "… with the new key in place" 0 add search

# What the old key signs nevertheless is found: the ledger is made to believe that it was never revoked.
cp -r led forged
cp old.pem forged/keys/statement.pem
/usr/bin/python3 - <<'P'
import sqlite3
d = sqlite3.connect("forged/ledger.db")
d.execute("update lookup set kind = 'note' where kind = 'key'")
d.commit()
P
statement 90 search >s90.json
if XDG_STATE_HOME=$T/.forgetful hps-ledger append --ledger forged s90.json >/dev/null 2>&1; then
	status "verify finds an entry of a revoked key" 3 hps-ledger verify --ledger forged --trust first.json
	like "… and says which" "$(cat out)" "entry @5: .*which entry @2 had revoked"
else
	skip "an entry of a revoked key" "the look-up table cannot be changed behind the ledger's back any more"
fi

# ---- kinds
new_key trial.pem p256
status "add a key for trials only" 0 hps-ledger key add --kind trial --kind begin trial.pem
like "list shows its kinds" "$(hps-ledger key list)" "^$(keyid trial.pem) +@6 +trial,begin"
status "the same key again is refused" 3 hps-ledger key add trial.pem
cp trial.pem led/keys/statement.pem
status "it may sign a trial" 0 add trial
status "it may not sign a search entry" 5 add search
like "… the message names the role" "$(cat err)" "may not sign a statement of the kind search"
status "it may not change keys" 5 hps-ledger key revoke "$(keyid new.pem)"
cp new.pem led/keys/statement.pem
status "verify holds" 0 hps-ledger verify
/usr/bin/python3 -c 'import json; t = json.load(open("first.json")); t["statementKeys"][0]["kinds"] = ["trial"]; json.dump(t, open("narrow.json", "w"))'
status "a verifier who allows the first key less finds the wrong role" 3 hps-ledger verify --trust narrow.json
like "… at the entry" "$(cat out)" "entry @0: .*may not sign statements of the kind 'search'"
status "revoke it" 0 hps-ledger key revoke "$(keyid trial.pem)"
status "the log's key does not sign statements" 3 hps-ledger key add led/keys/log.pem
like "… the message says why" "$(cat err)" "that key has another role"
new_key both.pem ed25519
hps-ledger key add both.pem >/dev/null
status "nor a statement key checkpoints" 3 hps-ledger key --role log rotate both.pem
like "… the message says why, too" "$(cat err)" "that key has another role: it signs statements"
hps-ledger key revoke "$(keyid both.pem)" >/dev/null
status "the log goes on" 0 hps-ledger verify
status "twice is refused" 3 hps-ledger key revoke "$(keyid trial.pem)"
cp trial.pem led/keys/statement.pem
status "a revoked key cannot append" 5 add trial
cp new.pem led/keys/statement.pem

# ---- two of three root keys
for i in 1 2 3; do new_key root$i.pem $([ $i = 2 ] && echo ed25519 || echo p256); done
/usr/bin/python3 - <<'P'
import base64, hashlib, json, subprocess
t = json.load(open("led/trust.json"))
t["rootKeys"], t["rootThreshold"] = [], 2
for i in (1, 2, 3):
    der = subprocess.run(["openssl", "pkey", "-in", "root%d.pem" % i, "-pubout", "-outform", "DER"], capture_output=True).stdout
    t["rootKeys"].append({"keyid": hashlib.sha256(der).hexdigest(), "publicKey": base64.b64encode(der).decode()})
json.dump(t, open("rooted.json", "w"), sort_keys=True, separators=(",", ":"))
P
hps-ledger init --origin example.org/rooted two >/dev/null 2>&1
/usr/bin/python3 -c 'import json
r, t = json.load(open("rooted.json")), json.load(open("two/trust.json"))
t["rootKeys"], t["rootThreshold"] = r["rootKeys"], r["rootThreshold"]
json.dump(t, open("two/trust.json", "w"), sort_keys=True, separators=(",", ":"))'
HPS_LEDGER=$T/two
new_key worker.pem p256
status "without approvals it is refused" 3 hps-ledger key add worker.pem
like "… with the count" "$(cat err)" "0 of the 2 root keys that it needs"
hps-ledger key --kind trial draft-add worker.pem >draft
hps-ledger key --root-key root1.pem approve draft >one
hps-ledger key --root-key root1.pem approve one >twice
status "one root key that signs twice is one" 3 hps-ledger key apply twice
like "… with the count" "$(cat err)" "1 of the 2"
hps-ledger key --root-key root3.pem approve one >both
sed 's/"trial"/"begin"/' both >changed
status "a draft that was changed after approval is refused" 3 hps-ledger key apply changed
status "two of three are enough" 0 hps-ledger key apply both
status "the same draft again is refused" 3 hps-ledger key apply both
like "… by its number" "$(cat err)" "its number is not the next one"
hps-ledger key draft-revoke "$(keyid worker.pem)" >draft
hps-ledger key --root-key root1.pem approve draft >one
status "revoking needs two as well" 3 hps-ledger key apply one
hps-ledger key --root-key root2.pem approve one >revoked
status "… and has them" 0 hps-ledger key apply revoked
like "the key is no more" "$(hps-ledger key list)" "^$(keyid worker.pem) +@1 +@2 +trial"
cp worker.pem two/keys/statement.pem.worker && cp two/keys/statement.pem two/keys/statement.pem.own && mv two/keys/statement.pem.worker two/keys/statement.pem
status "… and signs nothing" 5 add trial
mv two/keys/statement.pem.own two/keys/statement.pem
status "verify holds" 0 hps-ledger verify
status "a root key does not sign statements" 3 hps-ledger key add root1.pem
status "the log's key, too, needs their approvals" 3 hps-ledger key --role log rotate
like "… with the count" "$(cat err)" "0 of the 2"
status "a draft of it" 0 hps-ledger key --role log draft-rotate
hps-ledger key --root-key root2.pem approve out >one
status "one approval is not enough" 3 hps-ledger key apply one
hps-ledger key --root-key root1.pem approve one >both
hps-ledger key --role log draft-rotate >newer
status "an earlier draft, whose key is gone" 2 hps-ledger key apply both
hps-ledger key --root-key root2.pem approve newer >one && hps-ledger key --root-key root1.pem approve one >both
status "two are" 0 hps-ledger key apply both
like "… and the key is replaced" "$(cat out)" "^the log's key is now example.org/rooted"
is "no key is left behind" "$(ls two/keys | tr '\n' ' ')" "log.pem redact.key statement.pem "
status "verify holds" 0 hps-ledger verify
status "drafting is for the log's key" 2 hps-ledger key draft-rotate
status "approving needs a root key" 2 hps-ledger key approve draft
status "an unknown role is not the other one" 2 hps-ledger key --role logs rotate
like "list says what a change of keys was" "$(hps-ledger list --kind key)" " add [0-9a-f]{12}\$"
status "an unknown action" 2 hps-ledger key destroy x
status "a key file that is not there" 4 hps-ledger key add nowhere.pem
HPS_LEDGER=$T/led

# ---- ssh-agent
eval "$(ssh-agent -s)" >/dev/null
pids=$SSH_AGENT_PID
ssh-keygen -q -t ecdsa -b 256 -N '' -f agent256 -C ''
ssh-keygen -q -t ed25519 -N '' -f agent25519 -C ''
ssh-keygen -e -m PKCS8 -f agent256.pub >agent256.pem
/usr/bin/python3 -c 'import base64
raw = base64.b64decode(open("agent25519.pub").read().split()[1])[-32:]
der = bytes.fromhex("302a300506032b6570032100") + raw
print("-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----" % base64.b64encode(der).decode())' >agent25519.pem
status "a key that the agent has not" 4 hps-ledger key add agent:agent256.pem
like "… is named with the way out" "$(cat err)" "ssh-add"
ssh-add -q agent256 agent25519 2>/dev/null
for type in 256 25519; do
	status "add the agent's key ($type)" 0 hps-ledger key add agent:agent$type.pem
	status "sign with it from now on" 0 hps-ledger key use agent:agent$type.pem
	status "append by the agent" 0 add search
done
status "a key that an agent holds is not replaced by a file" 2 hps-ledger key rotate
like "… the message says how" "$(cat err)" "'key add' the next one, 'key use' it, then 'key revoke' this one"
status "it still signs" 0 add search
kill "$SSH_AGENT_PID"
SSH_AGENT_PID=
status "without the agent there is no appending" 4 add search
like "… the message names it" "$(cat err)" "the signer 'keys/statement.json': asking the ssh-agent"
unset SSH_AUTH_SOCK
status "without SSH_AUTH_SOCK neither" 4 add search
status "verify needs no agent" 0 hps-ledger verify

# ---- a token
SOFTHSM2_CONF=$T/softhsm2.conf
export SOFTHSM2_CONF
mkdir tokens && echo "directories.tokendir = $T/tokens" >softhsm2.conf
softhsm2-util --init-token --free --label hps --pin 1234 --so-pin 5678 >/dev/null
new_key token.pem p256
softhsm2-util --import token.pem --token hps --label signer --id 01 --pin 1234 >/dev/null
module=$(find /usr/lib -name libsofthsm2.so | head -n 1)
token=pkcs11:$module:hps:signer:token.pem.pub
pin() { printf '%s\n' "$1" >pin && shift && "$@" 7<pin; }
rm led/keys/statement.json
status "add the token's key: without its PIN it is not there" 4 hps-ledger key add "$token"
status "… with a wrong PIN" 5 pin 9999 hps-ledger key --key-passphrase-fd 7 add "$token"
status "a token that is not there" 4 pin 1234 hps-ledger key --key-passphrase-fd 7 add "pkcs11:$module:other:signer:token.pem.pub"
status "a module that is none" 4 hps-ledger key add "pkcs11:$T/nowhere.so:hps:signer:token.pem.pub"
status "enrolled by its draft" 0 pin 1234 hps-ledger key --key-passphrase-fd 7 draft-add "$token"
cp out draft
status "… applied" 0 hps-ledger key apply draft
status "sign with it from now on" 0 pin 1234 hps-ledger key --key-passphrase-fd 7 use "$token"
status "append by the token" 0 pin 1234 hps-ledger append --key-passphrase-fd 7 s90.json
status "verify needs no token" 0 hps-ledger verify
like "the keys so far" "$(hps-ledger key list | wc -l)" '^8$'
done_testing
