#!/bin/sh
# The log's key, replaced: old trust files lead to the new key, the former signs no more, witnesses and followers go along; killed at any
# step it is finished or has not happened. And keys of witnesses that are encrypted.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
HPS_LEDGER=$T/led
export HPS_LEDGER
n=0
add() {
	n=$((n + 1))
	printf '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"%064d"}}],"predicateType":"urn:hps:note:v1","predicate":{"text":"%d"}}' $n $n >"s$n.json"
	hps-ledger append "s$n.json"
}
vkey() { json led/trust.json 'j["log"]'; }

hps-ledger init --origin example.org/k led >/dev/null 2>&1
cp led/trust.json first.json
first=$(vkey)
add >/dev/null
cp -a led before
hps-ledger monitor --trust first.json --state seen led >/dev/null

# ---- a witness with an encrypted key
echo secret >pass && echo wrong >wrong
status "an encrypted witness is made" 0 hps-ledger witness --name w.example --log "$first" --key-passphrase-fd 7 w 7<pass
w=$(sed -n 's/^witness //p' out)
like "its key is a PKCS#8 file under scrypt" "$(openssl asn1parse -in w/witness.pem)" "scrypt"
status "without the passphrase it does not open" 5 hps-ledger witness w
like "… and says so" "$(cat err)" "needs a passphrase; give it with --key-passphrase-fd"
status "nor with another" 5 hps-ledger witness --key-passphrase-fd 7 w 7<wrong
background w hps-ledger witness --key-passphrase-fd 7 --listen "unix:$T/w.sock" w 7<pass
/usr/bin/python3 - "$first" "$w" <<'P'
import json, sys
log, w = sys.argv[1:]
t = json.load(open("led/trust.json"))
t["policy"] = "log %s\nwitness A %s unix:%s/w.sock:\nquorum A\n" % (log, w, __import__("os").getcwd())
json.dump(t, open("led/trust.json", "w"), sort_keys=True, separators=(",", ":"))
P
cp led/trust.json witnessed.json
status "it cosigns" 0 hps-ledger attest
status "all holds, witnessed" 0 hps-ledger verify

# ---- replaced
status "rotate" 0 hps-ledger key --role log rotate --reason "the disk was sold"
like "an entry announces it" "$(cat out)" "^@1 log [0-9a-f]{64}"
like "the new key is said" "$(cat out)" "^the log's key is now example.org/k\+"
isnt=$(vkey)
not_ok "the trust file has another key" test "$isnt" = "$first"
ok "in its policy, too" sh -c "grep -qF '$isnt' led/trust.json && ! grep -qF '$first' led/trust.json"
is "no key is left behind" "$(ls led/keys | tr '\n' ' ')" "log.pem redact.key statement.pem "
status "the checkpoint of the former key still holds" 0 hps-ledger verify
add >/dev/null
status "the new key signs on" 0 hps-ledger verify
status "whoever trusts the former key follows" 0 hps-ledger verify --trust first.json
status "… also who follows from outside" 0 hps-ledger monitor --trust first.json --state seen led
status "fsck" 0 hps-ledger fsck --full
status "the database again" 0 hps-ledger fsck --full --rebuild
rm -f led/ledger.db.damaged
status "a published copy" 0 hps-ledger publish site
status "… verifies by either" 0 hps-ledger verify --ledger site --trust first.json
rm -r site/tiles/log-keys
status "… but without the handover not by the former (negative control)" 3 hps-ledger verify --ledger site --trust first.json
rm -rf site
status "proving" 0 hps-ledger prove -o proof @0
cp led/trust.json plain.json && /usr/bin/python3 -c 'import json; t = json.load(open("plain.json")); del t["policy"]; json.dump(t, open("plain.json", "w"))'

# ---- the witness does not know the new key, is told, and still remembers
hps-ledger attest >/dev/null 2>err
like "the witness does not know the new key" "$(cat err)" "witness 'w.example': .*403: invalid signature"
kill $w_pid; wait $w_pid 2>/dev/null
sed 's/^next .*/former &/' led/tiles/log-keys/0 >forged
status "a handover that is none" 3 hps-ledger witness --handover forged --key-passphrase-fd 7 w 7<pass
status "the witness follows" 0 hps-ledger witness --handover led/tiles/log-keys/0 --key-passphrase-fd 7 w 7<pass
status "… once" 0 hps-ledger witness --handover led/tiles/log-keys/0 --key-passphrase-fd 7 w 7<pass
hps-ledger init --origin example.org/k other >/dev/null 2>&1
hps-ledger key --ledger other --role log rotate >/dev/null 2>&1
status "a handover of a key that it does not know" 3 hps-ledger witness --handover other/tiles/log-keys/0 --key-passphrase-fd 7 w 7<pass
background w hps-ledger witness --key-passphrase-fd 7 --listen "unix:$T/w.sock" w 7<pass
status "it cosigns the continuation" 0 hps-ledger attest
like "… under the new key" "$(cat out)" "^3 entries: 1 of 1 witnesses have cosigned"
status "and the proof holds" 0 sh -c 'rm -rf proof; hps-ledger prove -o proof @0 && hps-ledger check --trust led/trust.json proof'

# ---- what the former key signs now counts for nothing
mv led now && cp -a before led
status "the copy of before is not appended to" 3 add
like "… it is an older one" "$(cat err)" "this is an older copy"
if XDG_STATE_HOME=$T/.forgetful add >/dev/null 2>&1 && XDG_STATE_HOME=$T/.forgetful add >/dev/null 2>&1 && XDG_STATE_HOME=$T/.forgetful add >/dev/null 2>&1; then
	mkdir -p led/tiles/log-keys && cp now/tiles/log-keys/0 led/tiles/log-keys/
	status "its checkpoint beyond the handover is refused" 3 hps-ledger verify --trust first.json
else
	fail "the former key forks"
fi
rm -r led && mv now led
cp led/tiles/log-keys/0 handover
for damage in 's/^2$/3/' 's/^former/latter/' '$d' 's/^— \(.*\) .*$/— \1 AAAAAAAA/'; do
	sed "$damage" handover >led/tiles/log-keys/0
	status "a damaged handover ($damage)" 3 hps-ledger verify --trust first.json
	like "… is named" "$(cat out err)" "tiles/log-keys"
done
cp handover led/tiles/log-keys/0

# ---- never to a key that the verifier's trust file has for something else
hps-ledger init --origin example.org/t turn >/dev/null 2>&1
hps-ledger append --ledger turn s1.json >/dev/null
turn=$(json turn/trust.json 'j["log"]')
thief=$(hps-ledger witness --name thief.example --log "$turn" thief | sed -n 's/^witness //p')
/usr/bin/python3 - "$turn" "$thief" <<'P'
import json, sys
t = json.load(open("turn/trust.json"))
t["policy"] = "log %s\nwitness A %s\nquorum none\n" % tuple(sys.argv[1:])
json.dump(t, open("witness.json", "w"), sort_keys=True, separators=(",", ":"))
P
status "all holds, by a trust file that names a witness" 0 hps-ledger verify --ledger turn --trust witness.json
status "the ledger, which knows of none, is handed over to that witness's key" 0 hps-ledger key --ledger turn --role log rotate thief/witness.pem
status "… and holds for itself" 0 hps-ledger verify --ledger turn
status "… but not for whoever has that key as a witness's" 3 hps-ledger verify --ledger turn --trust witness.json
like "… and says why" "$(cat out err)" "a log cannot be its own witness"
hps-ledger append --ledger turn s2.json >/dev/null
status "handed over once more, so that the witness's is a former one" 0 hps-ledger key --ledger turn --role log rotate
status "… it does not either" 3 hps-ledger verify --ledger turn --trust witness.json
like "… the key has two roles" "$(cat out err)" "cannot be both one of the log and one of a witness"
status "… nor does monitor follow" 3 hps-ledger monitor --trust witness.json --state turned turn

# ---- again, by an encrypted ledger; a handle that was open meanwhile
status "rotate again" 0 hps-ledger key --role log rotate
add >/dev/null
status "the first trust file leads through both" 0 hps-ledger verify --trust first.json
status "so does the one in between" 0 hps-ledger verify --trust plain.json
hps-ledger init --origin example.org/e --key-passphrase-fd 7 sealed 7<pass >/dev/null
status "an encrypted log key" 0 hps-ledger key --ledger sealed --role log --key-passphrase-fd 7 rotate 7<pass
like "… is encrypted again" "$(openssl asn1parse -in sealed/keys/log.pem)" "scrypt"
status "… and signs" 0 hps-ledger append --ledger sealed --key-passphrase-fd 7 s1.json 7<pass
hps-record -q -- sh -c ': >started; while [ ! -e over ]; do sleep 0.05; done' 2>recorded &
recorder=$!
i=0
until [ -e started ] || [ $((i += 1)) -gt 500 ]; do sleep 0.02; done
status "rotate beside a recorder" 0 hps-ledger key --role log rotate
: >over
wait $recorder
like "the recorder does not sign with the former key" "$(cat recorded)" "replaced meanwhile"
status "what it could not append is pushed" 0 hps-ledger push
status "verify holds" 0 hps-ledger verify --trust first.json
is "nothing is lost" "$(hps-ledger list --kind lost --jsonl | wc -l)" 0

# ---- held by an agent, by a token, and by a file again
eval "$(ssh-agent -s)" >/dev/null
pids="$pids $SSH_AGENT_PID"
agent_key() {
	rm -f "$1" "$1.pub"
	ssh-keygen -q -t ed25519 -N '' -f "$1" -C '' && ssh-add -q "$1" 2>/dev/null
	/usr/bin/python3 -c 'import base64, sys
raw = base64.b64decode(open(sys.argv[1]).read().split()[1])[-32:]
print("-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----" % base64.b64encode(bytes.fromhex("302a300506032b6570032100") + raw).decode())' "$1.pub" >"$1.pem"
}
agent_key one
status "a key that is not the log's is not used as it" 2 hps-ledger key --role log use agent:one.pem
like "… the way out is said" "$(cat err)" "'hps-ledger key --role log rotate KEY' hands the log over to it"
status "hand over to an agent's key" 0 hps-ledger key --role log rotate agent:one.pem
is "no private part stays" "$(ls led/keys | tr '\n' ' ')" "log.json redact.key statement.pem "
status "it signs" 0 add
agent_key two
status "from one of an agent to another" 0 hps-ledger key --role log rotate agent:two.pem
status "… not to one that it had" 2 hps-ledger key --role log rotate agent:one.pem
like "… the reason is said" "$(cat err)" "that key is, or was, this log's"
openssl genpkey -algorithm ed25519 -out ed.pem 2>/dev/null && openssl pkey -in ed.pem -pubout -out ed.pub
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem 2>/dev/null
status "… nor to one of another kind" 2 hps-ledger key --role log rotate ec.pem
SOFTHSM2_CONF=$T/softhsm2.conf
export SOFTHSM2_CONF
mkdir tokens && echo "directories.tokendir = $T/tokens" >softhsm2.conf
softhsm2-util --init-token --free --label hps --pin secret --so-pin 5678 >/dev/null
softhsm2-util --import ed.pem --token hps --label log --id 01 --pin secret >/dev/null
token=pkcs11:$(find /usr/lib -name libsofthsm2.so | head -n 1):hps:log:ed.pub
status "to a token's" 0 hps-ledger key --role log --key-passphrase-fd 7 rotate "$token" 7<pass
n=$((n + 1)) && sed "s/\"text\":\"[0-9]*\"/\"text\":\"$n\"/" s1.json >"s$n.json"
status "it signs" 0 hps-ledger append --key-passphrase-fd 7 "s$n.json" 7<pass
status "without its PIN nothing does" 4 hps-ledger key --role log rotate
status "from a token's to a file" 0 hps-ledger key --role log --key-passphrase-fd 7 rotate 7<pass
is "nothing names the token any more" "$(ls led/keys | tr '\n' ' ')" "log.pem redact.key statement.pem "
openssl genpkey -algorithm ed25519 -out own.pem 2>/dev/null
status "to a key of one's own" 0 hps-ledger key --role log --key-passphrase-fd 7 rotate own.pem 7<pass
hps-ledger key --role log --key-passphrase-fd 7 rotate agent:one.pem 7<pass >/dev/null 2>err && fail "a former key again"
agent_key one
status "a file of a passphrase gives way to an agent" 0 hps-ledger key --role log --key-passphrase-fd 7 rotate agent:one.pem 7<pass
status "the first trust file leads through all of them" 0 hps-ledger verify --trust first.json

# ---- killed at each step, from an agent to a file and back
next() { [ -e led/keys/log.json ] || { agent_key one && echo agent:one.pem; }; }
if strace -o /dev/null -e inject=getppid:error=EIO true 2>/dev/null; then
	bad=0 runs=0
	for call in renameat unlinkat fsync fdatasync; do
		i=1
		while :; do
			strace -qq -o trace -e trace=$call -e inject=$call:signal=KILL:when=$i hps-ledger key --role log rotate $(next) >killed 2>&1
			[ $? = 137 ] || break
			runs=$((runs + 1))
			hps-ledger verify --trust first.json >verified 2>&1 || { bad=$((bad + 1)) && note "killed at $call $i: $(head -12 verified)"; }
			add >added 2>&1 || { like "killed at $call $i: says how to go on" "$(cat added)" "'hps-ledger key --role log rotate' ends it"; hps-ledger key --role log rotate >finished 2>&1; }
			add >added 2>&1 || { bad=$((bad + 1)) && note "killed at $call $i: does not go on: $(cat added finished)"; }
			hps-ledger verify --trust first.json >verified 2>&1 || { bad=$((bad + 1)) && note "killed at $call $i, then: $(head -12 verified)"; }
			i=$((i + 1))
		done
	done
	is "killed at each of $runs steps" $bad 0
	ok "… it was" test $runs -gt 6
	[ -e led/keys/log.pem ] || hps-ledger key --role log rotate >/dev/null 2>&1
	is "no key is left behind in the end" "$(hps-ledger key --role log rotate >/dev/null 2>&1; ls led/keys | tr '\n' ' ')" "log.pem redact.key statement.pem "
else
	skip "killed at each step" "strace cannot trace here"
fi
done_testing
