#!/bin/sh
# hps-audit check: what each kind of ledger makes it say, and with which status.
. "${HPS_SOURCE:?}/tests/lib.sh"

# ledger SCENARIO: makes the ledger $T/SCENARIO; the names of its entries are left in $T/SCENARIO.names
ledger() {
	hps-ledger init "$1" >/dev/null 2>&1 && /usr/bin/python3 "$HPS_SOURCE/tests/e2e/audit-ledger.py" "$1" "$1" >"$1.names"
}
# outcome RULE: from the JSON left in $T/out
outcome() {
	json "$T/out" "[r['outcome'] for r in j['rules'] if r['id'] == '$1'][0]"
}
# index NAME SCENARIO: of the named entry
index() {
	awk -v name="$1" '$1 == name { n = $2 } END { print n }' "$2.names"
}

ok "clean: the ledger can be made" ledger clean
status "clean: every rule holds: 0" 0 hps-audit check --ledger clean
like "clean: the table" "$(cat out)" "^INT-05  pass +[0-9]+  every number handed out and every begin has its end$"
like "clean: one line sums up" "$(tail -n 1 out)" "^13 pass, 0 fail, 0 unknown, 6 not applicable: these records support evidence for every rule that applies$"
unlike "clean: nobody complies with anything" "$(cat out)" "complian"
status "clean: --json" 0 hps-audit check --json --strict --ledger clean
is "clean: … its schema" "$(json out 'j["schema"]')" hps.audit.check/1
is "clean: … its outcome" "$(json out 'j["outcome"]')" pass
is "clean: … nineteen rules" "$(json out 'len(j["rules"])')" 19
is "clean: README shows all of them" "$(sed -n 's/^    \([A-Z]*-[0-9]*\)  .*/\1/p' "$HPS_SOURCE/README.md" | xargs)" "$(json out '" ".join(r["id"] for r in j["rules"])')"
is "clean: … the ledger's size" "$(json out 'j["ledger"]["size"]')" "$(hps-ledger list --ledger clean --json | /usr/bin/python3 -c 'import json, sys; print(len(json.load(sys.stdin)["entries"]))' 2>/dev/null || hps-ledger list --ledger clean | grep -c .)"
status "clean: HPS_LEDGER names the ledger" 0 env HPS_LEDGER="$T/clean" hps-audit check
status "clean: one study" 0 hps-audit check --ledger clean --study digits
status "clean: trust file of somebody else: 3" 3 sh -c 'hps-ledger init other >/dev/null 2>&1; hps-audit check --ledger clean --trust other/trust.json'

ok "twice: the ledger can be made" ledger twice
status "twice: a number that was run twice: 1" 1 hps-audit check --ledger twice
like "twice: ID-01 names the second run" "$(cat out)" "^ID-01  fail    @$(index second twice) [0-9a-f]{12}: number 0 of the study 'digits' was run already"
status "twice: as JSON: 1" 1 hps-audit check --ledger twice --json
is "twice: … the offender" "$(json out '[r["offenders"][0]["index"] for r in j["rules"] if r["id"] == "ID-01"][0]')" "$(index second twice)"

ok "dead: the ledger can be made" ledger dead
status "dead: a begin entry without an end: 1" 1 hps-audit check --ledger dead
like "dead: INT-05 names it" "$(cat out)" "^INT-05  fail    @$(index dead dead) [0-9a-f]{12}: it began and has no end: its recorder died"

ok "lost: the ledger can be made" ledger lost
status "lost: a lost trial is an end: 0" 0 hps-audit check --ledger lost --json
is "lost: INT-05 passes" "$(outcome INT-05)" pass
is "lost: what was seen is unknown" "$(outcome CAP-01)" unknown
status "lost: unknown is 4 under --strict" 4 hps-audit check --ledger lost --strict
status "lost: the other study knows nothing of it" 0 hps-audit check --ledger lost --study digits --strict

ok "dropped: the ledger can be made" ledger dropped
status "dropped: a trial that is no result: 1" 1 hps-audit check --ledger dropped
like "dropped: INT-05 names the trial" "$(cat out)" "^INT-05  fail    @$(index trial2 dropped) .*number 2 of the study 'digits' ended and is not taken in as a result"

ok "whitewashed: the ledger can be made" ledger whitewashed
status "whitewashed: a failed trial called complete: 1" 1 hps-audit check --ledger whitewashed
like "whitewashed: INT-06 says both" "$(cat out)" "^INT-06  fail .*the result says 'complete', the trial @$(index trial1 whitewashed) is 'failed'"

ok "unfinished: the ledger can be made" ledger unfinished
status "unfinished: nothing fails yet: 0" 0 hps-audit check --ledger unfinished --json
is "unfinished: its counts are not final" "$(outcome INT-06)" unknown

ok "gap: the ledger can be made" ledger gap
status "gap: coverage is not complete: 1" 1 hps-audit check --ledger gap
like "gap: CAP-01 says what and why" "$(cat out)" "^CAP-01  fail .*1 gap; io_uring: the command used it"

ok "hostile: the ledger can be made" ledger hostile
status "hostile: names with control characters: 0" 0 hps-audit check --ledger hostile --study "$(printf '<script>alert(1)</script>"\047\033[31m\342\200\256gnp')"
is "hostile: nothing of them reaches the terminal" "$(LC_ALL=C grep -cE "$(printf '\033|\342\200\256')" out)" 0
like "hostile: they are shown as escapes" "$(cat out)" 'x1b\[31m.u\{202e\}gnp'

status "usage: an unknown study: 4" 4 hps-audit check --ledger clean --study digit
like "usage: … with the nearest name" "$(cat err)" "did you mean 'digits'"
status "usage: no ledger: 4" 4 hps-audit check --ledger nowhere
like "usage: … with the next step" "$(cat err)" "nowhere.*hps-ledger init"
status "usage: an unknown command: 2" 2 hps-audit chekc
like "usage: … with the nearest" "$(cat err)" "did you mean 'check'"
status "usage: report without a file: 2" 2 hps-audit report --ledger clean
status "full disk: the answer is not lost in silence" 4 sh -c 'hps-audit check --ledger clean >/dev/full'
done_testing
