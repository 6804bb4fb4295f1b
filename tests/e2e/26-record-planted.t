#!/bin/sh
# 2,000 secrets in all the places where trials have them, in their usual encodings: no byte of one is in anything that is written.
# HPS_SEED repeats a run, HPS_PLANTED says how many.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
seed=${HPS_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
n=${HPS_PLANTED:-2000}
note "seed $seed (HPS_SEED=$seed repeats it)"
HPS_LEDGER=$T/ledger
export HPS_LEDGER
ok "ledger: made" hps-ledger init "$HPS_LEDGER"
planted() {
	/usr/bin/python3 "$HPS_SOURCE/tests/e2e/planted.py" "$@"
}
is "planted: the trial ends well" "$(planted plant "$seed" "$n")" 0
hps-audit report --html "$T/report.html" >/dev/null 2>&1
hps-ledger list --json >"$T/list.json"
hps-ledger show --json "$(cat id)" >"$T/shown.json"
planted scan "$seed" "$n" ledger .state .cache report.html list.json shown.json >scan
is "scan: nothing of them" "$(grep -v '^canary' scan | sed 's/ in [0-9]* bytes//')" "0 of $n secrets, 2 of 2 controls"
is "control: what nobody calls a secret is found" "$(grep -c '^canary' scan)" 2
is "the record is not empty" "$(json shown.json "len(j['statement']['predicate']['buildDefinition']['externalParameters']['environmentDigests']) >= $n // 5")" True
ok "the ledger holds" hps-ledger verify

# A ledger on a full file system: the record lies in the spool.
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	mkdir spooled small
	cat >fill.sh <<'END'
mount -t tmpfs -o size=6m none small && hps-ledger init small/ledger >/dev/null 2>&1 && cd spooled || exit 99
HPS_LEDGER=$T/small/ledger HPS_FILL=$T/small/fill /usr/bin/python3 "$HPS_SOURCE/tests/e2e/planted.py" plant "$1" 300
END
	is "spool: the trial ends well" "$(unshare -m sh fill.sh "$seed")" 0
	is "spool: the record is there" "$(ls "$XDG_STATE_HOME/hps/spool" | wc -l)" 1
	planted scan "$seed" 300 .state >scan
	like "scan: nothing of them in the spool" "$(grep -v '^canary' scan)" "^0 of 300 secrets in [0-9]{5,} bytes, [12] of 2 controls"
else
	skip "spool" "needs root and mount namespaces"
fi
done_testing
