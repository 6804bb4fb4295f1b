#!/bin/sh
# The main job, end to end, on real training runs (`make demo`). usage: tests/demo.sh FOLDER-OF-THE-PROGRAMS
# Everything is made in a fresh folder below build/, which stays for you to look at.
set -eu
source=$(cd "$(dirname "$0")" && pwd)
programs=$(cd "${1:?usage: tests/demo.sh FOLDER-OF-THE-PROGRAMS}" && pwd)
PATH=$programs:$PATH
export PATH
unset HPS_LEDGER HPS_RECORD_ID HPS_METRICS HPS_SOCKET
demo=$(mktemp -d "$source/../build/demo.XXXXXX")
demo=$(cd "$demo" && pwd)
cd "$demo"
cp "$source/demo/study.yaml" "$source/demo/train.py" .
started=$(date +%s)

# step TEXT COMMAND…: says what comes, shows the command, runs it
step() {
	printf '\n== %s\n' "$1"
	shift
	printf '$ %s\n' "$*"
	"$@"
}

step "A ledger with its keys" hps-ledger init --origin demo.example/digits "$demo/ledger"
HPS_LEDGER=$demo/ledger
export HPS_LEDGER
step "A study: 12 trainings of a neural network, two at a time, each one recorded" hps-search run study.yaml
step "Does the evidence hold?" hps-ledger verify

best=$(hps-search status digits-mlp --json | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["best"]["trial"])')
step "The best trial, rebuilt from its record and run again" hps-replay "$best"

printf '\n== One flipped bit in a copy of the ledger\n'
cp -r "$HPS_LEDGER" "$demo/damaged"
/usr/bin/python3 - "$demo/damaged/tiles" "$best" <<'PYTHON'
import os, sys
path = os.path.join(sys.argv[1], "envelope", sys.argv[2] + ".json")
data = bytearray(open(path, "rb").read())
data[len(data) // 2] ^= 1
os.chmod(path, 0o644)
open(path, "wb").write(data)
print("flipped one bit in the middle of the envelope of", sys.argv[2][:12])
PYTHON
printf '$ hps-ledger verify --ledger damaged\n'
if hps-ledger verify --ledger "$demo/damaged"; then
	echo "hps: the damage was not noticed" >&2
	exit 1
fi

step "The rules that an auditor asks about" hps-audit check
step "A report for people" hps-audit report --html "$demo/report.html"
printf '\nThe report: %s\nThe ledger: %s\nThe whole took %d s.\n' "$demo/report.html" "$HPS_LEDGER" "$(($(date +%s) - started))"
