#!/bin/sh
# A server that stays up while its ledger's keys are replaced: it goes on with the new ones, signs nothing with the former, and says
# 503 while a replacement is cut off. Recorders that enrolled before do not notice.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
HPS_LEDGER=$T/led
export HPS_LEDGER
elsewhere() { env -u HPS_LEDGER XDG_STATE_HOME="$T/.elsewhere" "$@"; }
n=0
add() { # a new statement, by the recorder elsewhere
	n=$((n + 1))
	printf '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"%064d"}}],"predicateType":"urn:hps:trial:v1","predicate":{"study":"s","number":%d}}' $n $n >"t$n.json"
	elsewhere hps-ledger append --ledger "$url" "t$n.json"
}
rotate() { hps-ledger key --role "$1" rotate; }

hps-ledger init --origin example.org/s led >/dev/null 2>&1
cp led/trust.json first.json
background sock hps-ledger serve --listen "unix:$T/sock"
url=unix:$T/sock:
elsewhere hps-ledger enrol --kind begin --kind trial --kind lost "$url" >draft
hps-ledger key apply draft >/dev/null
status "an entry from elsewhere" 0 add

# ---- the log's key
status "the log's key is replaced beside the server" 0 rotate log
status "the server goes on" 0 add
status "all of it holds" 0 hps-ledger verify --trust first.json
status "again" 0 rotate log
curl -s --unix-socket sock http://x/tiles/checkpoint >checkpoint
status "… and it has shown the checkpoint meanwhile" 0 add
status "nothing is signed by the former key" 0 hps-ledger verify --trust first.json
status "a follower comes along" 0 hps-ledger monitor --trust first.json --state seen "$url"
status "record a run, and replace the key while it runs" 0 elsewhere hps-record -q --ledger "$url" -- sh -c "HPS_LEDGER=$T/led XDG_STATE_HOME=$XDG_STATE_HOME hps-ledger key --role log rotate >$T/rotated 2>&1"
like "… it was" "$(cat rotated)" "the log's key is now"
is "its begin and its end are there" "$(hps-ledger list --kind begin --jsonl | wc -l) $(hps-ledger list --kind trial --jsonl | wc -l)" "1 4"
status "all of it holds" 0 hps-ledger verify --trust first.json

# ---- the statement key
status "the statement key is replaced" 0 rotate statement
status "the server goes on" 0 add
status "… and so does the owner" 0 hps-ledger append t1.json
status "all of it holds" 0 hps-ledger verify --trust first.json

# ---- cut off: nothing is taken until it is finished
if strace -o /dev/null -e inject=getppid:error=EIO true 2>/dev/null; then
	handovers() { ls led/tiles/log-keys | wc -l; }
	i=3 cut=
	until [ "$cut" ] || [ $((i += 1)) -gt 40 ]; do
		before=$(handovers)
		strace -qq -o trace -e trace=renameat -e inject=renameat:signal=KILL:when=$i hps-ledger key --role log rotate >killed 2>&1
		[ "$(handovers)" -gt "$before" ] && [ -e led/keys/log.next.pem ] && cut=1
	done
	ok "a rotation is cut off behind its handover" test "$cut"
	status "the server does not sign" 4 add
	like "… and says that it is no matter of the recorder's" "$(cat err)" "503"
	status "the rotation is finished" 0 rotate log
	like "… says so" "$(cat out)" "^the rotation that was cut off is finished"
	status "the server goes on" 0 add
	status "all of it holds" 0 hps-ledger verify --trust first.json
else
	skip "a rotation that is cut off" "strace cannot trace here"
fi

# ---- encrypted keys: the server has their passphrase
echo secret >pass
HPS_LEDGER=$T/sealed
hps-ledger init --origin example.org/e --key-passphrase-fd 7 sealed 7<pass >/dev/null 2>&1
background seal hps-ledger serve --key-passphrase-fd 7 --listen "unix:$T/seal" 7<pass
url=unix:$T/seal:
elsewhere hps-ledger enrol --kind trial "$url" >draft
hps-ledger key --key-passphrase-fd 7 apply draft 7<pass >/dev/null
status "an encrypted log key is replaced" 0 hps-ledger key --role log --key-passphrase-fd 7 rotate 7<pass
status "its server goes on" 0 add
status "all of it holds" 0 hps-ledger verify
done_testing
