#!/bin/sh
# A damaged ledger: 3, and the rule and the entry that say where. Also pins how problems are told apart (audit/problem.c).
. "${HPS_SOURCE:?}/tests/lib.sh"

hps-ledger init whole >/dev/null 2>&1
/usr/bin/python3 "$HPS_SOURCE/tests/e2e/audit-ledger.py" whole clean >names
trial=$(awk '$1 == "trial1" { print $2 }' names)
id=$(awk '$1 == "trial1" { print $3 }' names)
status "whole: 0" 0 hps-audit check --ledger whole

# flip FILE [OFFSET]: the lowest bit of one byte; without an offset the middle one
flip() {
	chmod u+w "$1" && /usr/bin/python3 - "$@" <<'PYTHON'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[int(sys.argv[2]) if len(sys.argv) > 2 else len(data) // 2] ^= 1
open(sys.argv[1], "wb").write(data)
PYTHON
}
copy() {
	rm -rf bad && cp -r whole bad
}
outcomes() {
	json out '" ".join(r["id"] for r in j["rules"] if r["outcome"] == "fail")'
}
first() {
	json out "[r['offenders'][0].get('index') for r in j['rules'] if r['id'] == '$1'][0]"
}

copy
flip "bad/tiles/envelope/$id.json"
status "envelope: 3" 3 hps-audit check --ledger bad --json
is "envelope: the outcome" "$(json out 'j["outcome"]')" damaged
like "envelope: INT-04 fails" "$(outcomes)" "INT-04"
unlike "envelope: INT-07 has nothing to do with it" "$(outcomes)" "INT-07"
is "envelope: the entry is named" "$(first INT-04)" "$trial"
status "envelope: for people: 3" 3 hps-audit check --ledger bad
like "envelope: … the entry" "$(cat out)" "^INT-04  fail    @$trial ${id%????????????????????????????????????????????????????}"
like "envelope: … the next step" "$(tail -n 3 out)" "the ledger is damaged; 'hps-ledger verify' names each place"
status "envelope: the report is written: 3" 3 hps-audit report --ledger bad --html bad.html
like "envelope: … and says so first" "$(cat bad.html)" "<strong>This ledger is damaged.</strong>"
like "envelope: … and names the entry" "$(cat bad.html)" "entry <strong>@$trial</strong>"
unlike "envelope: … and does not praise" "$(cat bad.html)" "The evidence holds"

copy
rm "bad/tiles/envelope/$id.json"
status "envelope gone: 3" 3 hps-audit check --ledger bad --json
like "envelope gone: INT-04 fails" "$(outcomes)" "INT-04"
is "envelope gone: the entry is named" "$(first INT-04)" "$trial"

copy
flip "$(find bad/tiles/tile/0 -type f | head -n 1)" 3
status "tile: 3" 3 hps-audit check --ledger bad --json
like "tile: INT-02 fails" "$(outcomes)" "INT-02"

copy
flip "$(find bad/tiles/tile/entries -type f | head -n 1)"
status "entry bundle: 3" 3 hps-audit check --ledger bad --json
like "entry bundle: INT-02 fails" "$(outcomes)" "INT-02"

copy
flip bad/ledger.db 4200
hps-audit check --ledger bad --json >out 2>err
code=$?
is "database: noticed, or not in use at that byte" "$(case $code in 0 | 3) echo yes ;; *) echo "$code" ;; esac)" yes

copy
flip bad/tiles/checkpoint 2
status "checkpoint: 3" 3 hps-audit check --ledger bad
status "checkpoint: no report without one" 3 hps-audit report --ledger bad --html none.html

copy
truncate -s 0 bad/tiles/checkpoint
status "empty checkpoint: 3" 3 hps-audit check --ledger bad

# Every byte of one envelope, a sample of them: none passes.
missed=0
size=$(wc -c <"whole/tiles/envelope/$id.json")
offset=0
while [ $offset -lt "$size" ]; do
	copy
	flip "bad/tiles/envelope/$id.json" $offset
	hps-audit check --ledger bad >out 2>&1
	[ $? = 3 ] || missed=$((missed + 1))
	offset=$((offset + 197))
done
is "sweep: every flipped bit of an envelope is 3" "$missed" 0
done_testing
