#!/bin/sh
# Pairs of trials with ten things changed at once: each cause that explain reports reproduces the second's bytes when the trial is run plainly, and no
# member of it can be left out. HPS_TEST_FULL: 100 pairs, real training runs among them. Takes HPS_TEST_SEED.
. "${HPS_SOURCE:?}/tests/lib.sh"
seed=${HPS_TEST_SEED:-$(date +%s)}
echo "# seed $seed (HPS_TEST_SEED)"
pairs=3
kinds=formula,python,formula
[ -z "${HPS_TEST_FULL:-}" ] || { pairs=100; kinds=formula,numpy,python,formula,sklearn,formula,awk,python,formula,numpy; }
new_ledger
/usr/bin/python3 "$HPS_SOURCE/tests/e2e/replay-explain.py" $pairs "$seed" "$T/w" $kinds >"$T/out" 2>"$T/err"
sed 's/^/# /' "$T/err"
sed 's/^/# /' "$T/out"
is "all pairs were explained" "$(json "$T/out" "(j['pairs'], j['same'] + j['causes'] + len(j['wrong']))")" "($pairs, $pairs)"
is "every cause gives the second's bytes, and is minimal" "$(json "$T/out" "j['wrong']")" "[]"
ok "some had a cause" test "$(json "$T/out" "j['causes']")" -gt 0
is "control: no cause with one factor more, or with one less, passes" "$(json "$T/out" "(j['controls_taken'], j['controls'] > 0)")" "(0, True)"
[ -z "${HPS_TEST_FULL:-}" ] || ok "the median is at most 12 reruns" test "$(json "$T/out" "int(j['median'])")" -le 12
ok "the ledger verifies" hps-ledger verify
done_testing
