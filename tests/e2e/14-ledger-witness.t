#!/bin/sh
# Witnesses and time: three witnesses of which two must agree, one killed, all but one killed, a ledger that goes back, one that
# forks; an authority of time; and somebody who follows the ledger from outside. Each misbehaviour has its own message and evidence.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"

GOCACHE=$T/.gocache
export GOCACHE
HPS_LEDGER=$T/led
export HPS_LEDGER

add() {
	for n; do
		statement "$n" >"s$n.json"
		hps-ledger append "s$n.json" >/dev/null || note "append $n"
	done
}

hps-ledger init --origin example.org/w led >/dev/null 2>&1
log=$(json led/trust.json 'j["log"]')
for w in a b c; do
	status "witness $w is made" 0 hps-ledger witness --name "w$w.example" --log "$log" "w$w"
	eval "v$w=\$(sed -n 's/^witness //p' out)"
	case $w in a) address=unix:$T/a.sock ;; *) address=127.0.0.1:0 ;; esac
	background "$w" hps-ledger witness --listen $address "w$w"
	eval "u$w=\$(sed -n 's/^serving //p' $w.out)"
done
status "a second process for one witness is refused" 5 hps-ledger witness --listen 127.0.0.1:0 wb
status "a witness on an open port without TLS is refused" 5 hps-ledger witness --listen 0.0.0.0:0 wa2 --name x
background tsa /usr/bin/python3 "$HPS_SOURCE/tests/peers/tsa.py" tsa
tsa=$(cat tsa.out)

# trust FILE WITNESSING: the ledger's trust file with policy and authorities
trust() {
	/usr/bin/python3 - led/trust.json "$1" "$2" "$log" "$va" "$ua" "$vb" "$ub" "$vc" "$uc" <<'P'
import json, sys
old, new, mode, log, va, ua, vb, ub, vc, uc = sys.argv[1:]
t = json.load(open(old))
t["policy"] = "log %s\nwitness A %s %s\nwitness B %s %s\nwitness C %s %s\ngroup two 2 A B C\nquorum two\n" % (log, va, ua, vb, ub, vc, uc)
t["witnessing"] = mode
t["timestampAuthorities"] = open("tsa/ca.pem").read()
json.dump(t, open(new, "w"), sort_keys=True, separators=(",", ":"))
P
}
trust trust.open open
trust trust.closed closed
cp trust.open led/trust.json
add 0 1 2
outcome() { hps-audit check --json --trust "$1" >audited 2>/dev/null; json audited '[(r["outcome"], r["offenders"][0]["why"] if r["offenders"] else "") for r in j["rules"] if r["id"] == "INT-03"][0]'; }
status "proving before anybody has cosigned, open" 0 hps-ledger prove -o early @1
like "… says who has not" "$(cat err)" "no quorum of the trust file's witnesses has cosigned a checkpoint that covers entry @1"
status "… in JSON, too" 0 hps-ledger prove --json -o early2 @1
is "… by name" "$(json out 'j["unwitnessed"]')" True
status "proving a study, open, is a matter of the study" 1 hps-ledger prove --study s
like "… and says that nobody has cosigned it" "$(cat out)" "^not witnessed: no quorum of the trust file's witnesses has cosigned the tree of 3 entries: 'wa.example', 'wb.example', 'wc.example' missing"
status "proving a study, closed" 4 hps-ledger prove --study s --trust trust.closed
like "… decides nothing" "$(cat err)" "is not witnessed: no quorum"
like "the audit does not know, open" "$(outcome trust.open)" "^\('unknown', .*no quorum of the trust file's witnesses has cosigned the tree of 3 entries"
like "the audit fails, closed" "$(outcome trust.closed)" "^\('fail', .*no quorum"
status "… does not pass for proven" 3 hps-ledger check --trust trust.open early
like "… and says why" "$(cat out)" "0 of the policy's 3 witnesses have cosigned it, which is not the quorum 'two'"
status "verify asks for the quorum" 4 hps-ledger verify
like "… and names who is missing" "$(cat out)" "NOT WITNESSED: .*'wa.example', 'wb.example', 'wc.example' missing"
cp trust.closed led/trust.json
status "proving before anybody has cosigned, closed" 4 hps-ledger prove -o none @1
like "… says what to do" "$(cat err)" "run 'hps-ledger attest'"

status "attest" 0 hps-ledger attest --timestamp "$tsa"
is "all three cosign, the time is stamped" "$(cat out)" "3 entries: 3 of 3 witnesses have cosigned, the policy holds; stamped"
status "proving now" 0 hps-ledger prove -o proof @1
status "… holds" 0 hps-ledger check --trust trust.closed proof
like "… with the time" "$(cat out)" "^checkpoint.tsr: the checkpoint existed at 20"
status "verify is not disturbed" 0 hps-ledger verify
is "the audit passes" "$(outcome trust.closed)" "('pass', '')"
status "proving a study says nothing more" 1 hps-ledger prove --study s --trust trust.closed --json
is "… nowhere" "$(json out '"unwitnessed" in j')" False
cp -r led other && sed -i '2s/3/2/' other/tiles/attested/3.checkpoint
status "… but by an attested checkpoint that was changed" 3 hps-ledger verify --ledger other
like "… which it names" "$(cat out)" "tiles/attested/3.checkpoint: "
mv led/tiles/attested/3.checkpoint other/tiles/attested/9.checkpoint && cp other/tiles/attested/9.checkpoint led/tiles/attested/3.checkpoint
status "… and by one of more entries than there are" 3 hps-ledger verify --ledger other
(cd proof && GO111MODULE=off GOFLAGS='' GOPATH=/usr/share/gocode go build -o ../reader verify.go)
proof_in() { (cd "$1" && shift && "$@"); }
ok "Go finds the quorum" proof_in proof ../reader entry
ok "openssl verifies the time" proof_in proof openssl ts -verify -data checkpoint.txt -in checkpoint.tsr -CAfile tsa.pem
cp -r proof damaged && sed 's/^quorum two/quorum none/' proof/policy.tlog >damaged/policy.tlog
status "another policy in the folder is refused" 3 hps-ledger check --trust trust.closed damaged
rm -r damaged && cp -r proof damaged && sed -i '/wb.example/d; /wc.example/d' damaged/entry.tlog-proof damaged/checkpoint
not_ok "Go refuses a proof with too few witnesses" proof_in damaged ../reader entry
status "so does check" 3 hps-ledger check --trust trust.closed damaged

# The time: replies to another query, of another authority, over another text.
status "a replayed reply is refused" 0 hps-ledger attest --timestamp "$tsa/replay"
like "… and said" "$(cat err)" "timestamp authority: .*another query"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out other.pem -subj /CN=x -days 2 2>/dev/null
/usr/bin/python3 -c 'import json; t = json.load(open("trust.closed")); t["timestampAuthorities"] = open("other.pem").read(); json.dump(t, open("trust.other", "w"))'
status "a token of another authority is refused" 3 hps-ledger check --trust trust.other proof
like "… and named" "$(cat out)" "PROBLEM: checkpoint.tsr: checking a timestamp"
rm -r damaged && cp -r proof damaged && /usr/bin/python3 -c 'import hashlib
b = open("damaged/checkpoint.tsr", "rb").read()
places = b.index(hashlib.sha256(open("proof/checkpoint.txt", "rb").read()).digest()), b.index(b"Z\x30") - 1, len(b) - 1, 1
for n, at in enumerate(places):
    c = bytearray(b)
    c[at] ^= 1
    open("damaged/%d" % n, "wb").write(c)'
for part in imprint time signature length; do
	set -- $(case $part in imprint) echo 0 ;; time) echo 1 ;; signature) echo 2 ;; length) echo 3 ;; esac)
	cp "damaged/$1" damaged/checkpoint.tsr
	status "a flipped bit in the $part of a token is refused" 3 hps-ledger check --trust trust.closed damaged
	not_ok "… by openssl as well" proof_in damaged openssl ts -verify -data checkpoint.txt -in checkpoint.tsr -CAfile tsa.pem
done

# What counts is whether the authority was good when it signed: its certificate and that of its issuer have run out since.
cat >past.c <<'C'
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long now(void) { struct timespec t; syscall(SYS_clock_gettime, CLOCK_REALTIME, &t); return t.tv_sec - 86400 * atol(getenv("DAYS_AGO")); }
time_t time(time_t *t) { long n = now(); if (t) *t = n; return n; }
int gettimeofday(struct timeval *restrict t, void *restrict zone) { (void)zone; t->tv_sec = now(); t->tv_usec = 0; return 0; }
C
gcc -shared -fPIC -o past.so past.c
ago() { DAYS_AGO=$1 && shift && env DAYS_AGO="$DAYS_AGO" LD_PRELOAD="$T/past.so" "$@"; }
curve='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
mkdir gone && cp tsa/ts.cnf gone/ && cd gone && echo 01 >serial
ago 40 openssl req -x509 $curve -keyout ca.key -out ca.pem -subj '/CN=gone authority' -days 30 2>/dev/null
openssl req $curve -keyout tsa.key -out tsa.csr -subj '/CN=gone tsa' 2>/dev/null
ago 40 openssl x509 -req -in tsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out tsa.pem -days 20 -extfile ts.cnf -extensions ext 2>/dev/null
openssl ts -query -data ../proof/checkpoint.txt -sha256 -cert -out query.tsq 2>/dev/null
ago 30 openssl ts -reply -config ts.cnf -queryfile query.tsq -out then.tsr 2>/dev/null
ago 15 openssl ts -reply -config ts.cnf -queryfile query.tsq -out late.tsr 2>/dev/null
cd ..
/usr/bin/python3 -c 'import json; t = json.load(open("trust.closed")); t["timestampAuthorities"] = open("gone/ca.pem").read(); json.dump(t, open("trust.old", "w"))'
rm -r damaged && cp -r proof damaged && cp gone/then.tsr damaged/checkpoint.tsr
not_ok "an authority that has run out is none today (openssl, negative control)" proof_in damaged openssl ts -verify -data checkpoint.txt -in checkpoint.tsr -CAfile ../gone/ca.pem
status "… but was one when it signed" 0 hps-ledger check --trust trust.old damaged
like "… which is said" "$(cat out)" "^checkpoint.tsr: the checkpoint existed at $(date -u -d '30 days ago' +%Y-%m-%d)"
ok "… as openssl says for that time" proof_in damaged openssl ts -verify -data checkpoint.txt -in checkpoint.tsr -CAfile ../gone/ca.pem -attime "$(date -d '30 days ago' +%s)"
cp gone/late.tsr damaged/checkpoint.tsr
status "what it signed after it had run out counts for nothing" 3 hps-ledger check --trust trust.old damaged

# One witness killed in the middle: two are a quorum. Two killed: none. Started again: they remember.
kill -9 "$c_pid"
add 3
status "appending has asked them, and two of three are enough" 0 hps-ledger verify
like "… for all of it" "$(cat out)" "^witnesses a quorum has cosigned the first 4$"
status "two of three are enough" 0 hps-ledger attest
is "… and it says who" "$(cat out)" "4 entries: 2 of 3 witnesses have cosigned, the policy holds"
like "… and who is missing" "$(cat err)" "witness 'wc.example': asking"
kill -9 "$a_pid"
statement 4 >s4.json
status "appending when closed and one is left" 4 hps-ledger append s4.json
like "… says that the entry is there" "$(cat err)" "durable, but only 1 of 3 witnesses .*do not append them again"
like "… and where" "$(cat out)" "^@4 "
status "appending it again is no second entry" 4 hps-ledger append --json s4.json
is "… but the same" "$(json out '[e["index"] for e in j["entries"]]')" "[4]"
status "one is not enough when closed" 4 hps-ledger attest
is "… and it says so" "$(cat out)" "5 entries: 1 of 3 witnesses have cosigned, which is no quorum"
status "… nor for verify" 4 hps-ledger verify
like "… which names who is missing" "$(cat out)" "5 entries: 'wa.example', 'wc.example' missing"
status "what is not attested is not given out" 4 hps-ledger prove -o none @4
cp trust.open led/trust.json
status "one is not enough, but open" 0 hps-ledger attest
background a hps-ledger witness --listen "unix:$T/a.sock" wa
status "the backlog is made up" 0 hps-ledger attest --json
is "… with what was kept" "$(json out 'j["schema"], j["size"], j["cosigned"], j["quorum"]')" "('hps.attestation/1', 5, 2, True)"

# Some entries more, of which the witnesses are not told (in a copy; the owner's machine forgets it).
cp -r led more
/usr/bin/python3 -c 'import json, re; t = json.load(open("more/trust.json")); t["policy"] = re.sub(r" (unix|http)\S*$", "", t["policy"], flags=re.M); json.dump(t, open("more/trust.json", "w"))'
more() { HPS_LEDGER=$T/more XDG_STATE_HOME=$T/.more "$@"; }
statement 98 >s98.json && more hps-ledger append s98.json >/dev/null 2>&1
status "open, the newest entry without witnesses" 0 more hps-ledger verify
like "… the audit says from where on" "$(more outcome trust.open)" "^\('unknown', .*has cosigned a checkpoint of more than the first 5 of the 6 entries yet"
status "… and so does proving a study" 1 more hps-ledger prove --study s
like "… in words" "$(cat out)" "^not witnessed: .*more than the first 5 of the 6 entries yet"

# Somebody who follows.
like "monitor needs keys" "$(hps-ledger monitor led 2>&1)" "needs --trust"
status "a first look" 0 hps-ledger monitor --trust trust.open --state seen led
like "… remembers" "$(cat seen)" "^5$"
like "… and says that it is the first" "$(cat out)" "5 entries, seen for the first time"
like "without a memory it compares with nothing" "$(hps-ledger monitor --trust trust.open led)" "compared with nothing seen before; --state FILE"
cp -r led old
add 5 6
hps-ledger attest >/dev/null 2>&1
status "a second look" 0 hps-ledger monitor --trust trust.open --state seen --evidence ev led
like "… sees the growth" "$(cat out)" "7 entries, a continuation"
status "the old copy is a rollback" 1 hps-ledger monitor --trust trust.open --state seen --evidence ev old
like "… by name" "$(cat err)" "rollback: the newest checkpoint is of fewer entries .*the evidence is in 'ev/rollback-7-5.json'"
sleep 2
status "an old cosignature is a freeze" 1 hps-ledger monitor --trust trust.open --state seen --evidence ev --max-age 1 led
like "… by name" "$(cat err)" "freeze: .*frozen.*ev/freeze-"
/usr/bin/python3 -c 'import json; t = json.load(open("trust.open")); t["maximumAge"] = 1; json.dump(t, open("trust.aged", "w"))'
status "verify: the quorum saw it too long ago" 1 hps-ledger verify --trust trust.aged --json
is "… by name" "$(json out 'j["holds"], j["problems"], j["witnessed"], "frozen: no quorum" in j["unwitnessed"]')" "(False, [], 7, True)"
sed -i 's/"maximumAge": 1/"maximumAge": 3600/' trust.aged
status "… but not too long for another trust file" 0 hps-ledger verify --trust trust.aged
status "fsck does not ask" 0 hps-ledger fsck
status "and check sees it in a proof" 1 hps-ledger check --trust trust.closed --max-age 1 proof

# The restored copy goes on: a fork. The witnesses refuse, the follower convicts.
# (The owner has made this machine forget what its key has signed.)
HPS_LEDGER=$T/old
honest=$XDG_STATE_HOME
XDG_STATE_HOME=$T/.forgetful
statement 77 >s77.json
status "the old copy can append" 0 hps-ledger append s77.json
status "… but a witness has seen more" 1 hps-ledger attest
like "… rollback, with evidence" "$(cat err)" "the witness '.*' says: rollback: it has cosigned a tree of 7 entries, this ledger has 6.*evidence/rollback-6.json"
statement 78 >s78.json && hps-ledger append s78.json >/dev/null
status "at the same size it is a fork" 1 hps-ledger attest
like "… fork, with evidence" "$(cat err)" "says: fork: .*evidence/fork-7.json"
like "the witness kept evidence too" "$(ls wb/evidence)" "^fork-7-"
status "the evidence convicts the log" 1 hps-ledger check --trust trust.open old/evidence/fork-7.json
like "… in words" "$(cat err)" "fork: 'example.org/w' signed two trees of 7 entries"
statement 79 >s79.json && hps-ledger append s79.json >/dev/null
status "with more entries it is a fork all the same" 1 hps-ledger attest
status "… whose evidence has a proof" 1 hps-ledger check --trust trust.open old/evidence/fork-8.json
like "… that convicts" "$(cat err)" "fork: 'example.org/w' signed a tree of 8 entries that does not continue the one of 7"
/usr/bin/python3 -c 'import json; t = json.load(open("trust.open")); del t["policy"]; json.dump(t, open("trust.plain", "w"))'
status "the follower sees the fork" 1 hps-ledger monitor --trust trust.plain --state seen --evidence ev old
like "… by name" "$(cat err)" "fork: the tree does not continue"
status "… and its evidence convicts" 1 hps-ledger check --trust trust.plain ev/fork-7-8.json
/usr/bin/python3 -c 'import json; j = json.load(open("ev/fork-7-8.json")); j["consistency"] = []; json.dump(j, open("weak.json", "w"))'
status "without the proof it convicts nobody" 4 hps-ledger check --trust trust.plain weak.json
HPS_LEDGER=$T/led
XDG_STATE_HOME=$honest

# Mixed parts, and a checkpoint that runs ahead of its tiles; over HTTP.
cp -r led mixed && cp old/tiles/tile/0/000.p/7 mixed/tiles/tile/0/000.p/7
status "tiles of another tree are mix-and-match" 1 hps-ledger monitor --trust trust.plain --evidence ev mixed
like "… by name" "$(cat err)" "mix-and-match: .*ev/mix-and-match-0-7.json"
rm mixed/tiles/tile/0/000.p/7
status "missing tiles are fast-forward" 1 hps-ledger monitor --trust trust.plain --evidence ev mixed
like "… by name" "$(cat err)" "fast-forward: .*claims more entries"
# What a third party makes of the other files: the signatures hold, the rest is somebody's word.
for file in rollback-7-5 freeze-5-7 mix-and-match-0-7 fast-forward-0-7; do
	[ -e ev/$file.json ] || file=$(basename ev/${file%%-[0-9]*}-*.json .json)
	status "evidence of ${file%%-[0-9]*} does not convict by itself" 4 hps-ledger check --trust trust.plain ev/$file.json
	like "… and says what it shows" "$(cat err)" "${file%%-[0-9]*}: it proves nothing by itself: 'example.org/w' has signed .*one of [0-9]+ entries, .* is the word of whoever wrote the file"
	sed 's/\(example.org[^ ]* [A-Za-z0-9+/]\{20\}\)[A-Za-z0-9+/]/\1_/' ev/$file.json >bent.json
	status "… by another signature it shows nothing" 3 hps-ledger check --trust trust.plain bent.json
done
background www /usr/bin/python3 -u -c 'import functools, http.server as h
s = h.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(h.SimpleHTTPRequestHandler, directory="led"))
print("http://127.0.0.1:%d" % s.server_address[1], flush=True)
s.serve_forever()'
status "monitor over HTTP" 0 hps-ledger monitor --trust trust.open --state seen "$(head -n 1 www.out)"
done_testing
