#!/bin/sh
# Evidence across a handover of the log's key: whoever trusts the former key, or the newest, is convinced by the file alone; a proof of
# an entry leads from either key; a key that was handed over twice convicts. Each evidence loses its force without its handovers.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
GOCACHE=$T/.gocache
export GOCACHE
HPS_LEDGER=$T/led
export HPS_LEDGER
n=0
add() {
	n=$((n + 1))
	printf '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"%064d"}}],"predicateType":"urn:hps:note:v1","predicate":{"text":"%d"}}' $n $n >"s$n.json"
	hps-ledger append "s$n.json" >/dev/null || note "append $n"
}
follow() { hps-ledger monitor --trust first.json --state seen --evidence ev "$1"; }
# convicts NAME FILE MESSAGE WITHOUT: by the first key and by the newest; not without the member WITHOUT
convicts() {
	for trust in first newest; do
		status "$1: the file convicts, by the $trust key" 1 hps-ledger check --trust $trust.json "$2"
		like "… in words" "$(cat err)" "$3"
	done
	/usr/bin/python3 -c 'import json, sys; j = json.load(open(sys.argv[1])); del j[sys.argv[2]]; json.dump(j, open("weak.json", "w"))' "$2" "$4"
	for trust in first newest; do
		hps-ledger check --trust $trust.json weak.json >weak.out 2>&1
		like "… not without '$4' (negative control)" "$?" "^[34]$"
	done
}

hps-ledger init --origin example.org/h led >/dev/null 2>&1
add; add
cp -a led at2
add
cp led/trust.json first.json
status "a first look" 0 follow led
cp seen seen3
cp -a led at3
status "the key is replaced" 0 hps-ledger key --role log rotate
add
cp led/trust.json newest.json
status "the follower goes along" 0 follow led
ok "… and remembers the handover" test -s seen.log-keys.json
like "the newest checkpoint is of five entries" "$(cat seen)" "^5$"

# ---- a proof of an entry
status "prove" 0 hps-ledger prove -o proof @0
status "the proof holds by the newest key" 0 hps-ledger check --trust newest.json proof
status "… and by the first" 0 hps-ledger check --trust first.json proof
(cd proof && GO111MODULE=off GOFLAGS='' GOPATH=/usr/share/gocode go build -o ../reader verify.go)
like "Go shows the way from the first key" "$(cd proof && ../reader -handovers entry)" "^the key $(json first.json 'j["log"]' | sed 's/+/\\+/g') signed up to 4 entries$"
like "the README says so" "$(cat proof/README.md)" "go run verify.go -handovers entry"
sed 's/former /former  /' proof/log-keys.json >proof/changed
mv proof/log-keys.json whole && mv proof/changed proof/log-keys.json
status "a damaged handover" 3 hps-ledger check --trust first.json proof
not_ok "… is refused by Go" sh -c 'cd proof && ../reader -handovers entry'
rm proof/log-keys.json
status "without handovers not by the first key (negative control)" 3 hps-ledger check --trust first.json proof
status "… but by the newest" 0 hps-ledger check --trust newest.json proof
hps-ledger init --origin example.org/h other >/dev/null 2>&1
cp whole proof/log-keys.json
status "nor by another log's of that name" 3 hps-ledger check --trust other/trust.json proof

# ---- the former key goes on in a copy: beyond the handover
in_copy() { # FROM NAME COMMAND…: in a copy, on a machine that does not know what the key has signed
	mv led now && cp -a "$1" led
	in_copy=$2
	shift 2
	rm -rf .forgetful
	XDG_STATE_HOME=$T/.forgetful
	"$@"
	XDG_STATE_HOME=$T/.state
	mv led "$in_copy" && mv now led
}
thrice() { add; add; add; }
n=100
in_copy at3 beyond thrice
status "a tree that the former key signed after it was replaced" 1 follow beyond
like "… is a fork" "$(cat err)" "fork: a former key of the log signed a tree after it had been replaced at a smaller one; the evidence is in 'ev/fork-5-6.json'"
convicts beyond ev/fork-5-6.json "fork: a former key of 'example.org/h' signed a tree of 6 entries, and had been replaced at a smaller one" handovers
cp seen3 seenb && hps-ledger monitor --trust first.json --state seenb beyond >/dev/null
like "… seen before the handover was shown" "$(cat seenb)" "^6$"
status "… it is one all the same" 1 hps-ledger monitor --trust newest.json --state seenb --evidence evb led
convicts "seen before" evb/fork-6-5.json "fork: a former key of 'example.org/h' signed a tree of 6 entries" handovers

# ---- another tree of the size at which the key was handed over
n=200
in_copy at3 same add
status "a smaller tree is a rollback" 1 follow same
like "… by name" "$(cat err)" "rollback: .*ev/rollback-5-4.json"
convicts same ev/rollback-5-4.json "fork: 'example.org/h' signed another tree than the one that its key was handed over at" handovers

# ---- the first by the former key, the second by the next
n=300
in_copy at2 forked add
hps-ledger monitor --trust first.json --state seenf forked >/dev/null
status "the tree does not continue what the former key signed" 1 hps-ledger monitor --trust first.json --state seenf --evidence evf led
like "… by name" "$(cat err)" "fork: the tree does not continue .*evf/fork-3-5.json"
convicts "forked" evf/fork-3-5.json "fork: 'example.org/h' signed a tree of 5 entries that does not continue the one of 3" handovers

# ---- handed over twice: to the log's next key, and to that of whoever has a copy of the former
in_copy at3 stolen status "the copy hands over as well" 0 hps-ledger key --role log rotate
status "the follower is not led away" 1 follow stolen
like "… but says it" "$(cat err)" "fork: a key of the log was handed over in two ways; the evidence is in 'ev/fork-0-0.json'"
convicts twice ev/fork-0-0.json "fork: a key of 'example.org/h' was handed over in two ways" handoversBefore
status "… also by the key of the thief" 1 hps-ledger check --trust stolen/trust.json ev/fork-0-0.json
status "who never saw the other is led away (negative control)" 0 hps-ledger monitor --trust first.json stolen
like "the follower has not moved" "$(cat seen)" "^5$"

# ---- an older copy, whose handover is not there yet
status "an older copy is a rollback" 1 hps-ledger monitor --trust newest.json --state seen --evidence ev at3
like "… by name" "$(cat err)" "rollback: the newest checkpoint is of fewer entries .*ev/rollback-5-3.json"

# ---- a witness: told of the handover it knows what it cosigned before
hps-ledger witness --name w.example --log "$(json first.json 'j["log"]')" w >/dev/null
status "the witness is told" 0 hps-ledger witness --handover led/tiles/log-keys/0 w
status "… once" 0 hps-ledger witness --handover led/tiles/log-keys/0 w
status "a second handover of the same key" 1 hps-ledger witness --handover stolen/tiles/log-keys/0 w
like "… is a fork" "$(cat err)" "fork: a key of the log 'example.org/h' was handed over in two ways; the evidence is in 'evidence/fork-log-keys.json'"
convicts "by the witness" w/evidence/fork-log-keys.json "handed over in two ways" handovers
done_testing
