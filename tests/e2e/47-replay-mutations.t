#!/bin/sh
# The rig of the comparators: a changed value is never called the same, stamps are. HPS_TEST_FULL: 100,000 pairs. Takes HPS_TEST_SEED.
. "${HPS_SOURCE:?}/tests/lib.sh"
seed=${HPS_TEST_SEED:-$(date +%s)}
echo "# seed $seed (HPS_TEST_SEED)"
values=900
stamps=1000
batches=1
[ -z "${HPS_TEST_FULL:-}" ] || { values=10000; stamps=2000; batches=10; }

# count VERDICTS OPTION…: how many outputs of the comparison have one of them; the whole is left in $T/out
count() {
	count_of=$1
	shift
	hps-replay compare --json "$@" p/A p/B >"$T/out" 2>"$T/err"
	json "$T/out" "sum(o['verdict'] in '$count_of'.split() for o in j['outputs'])"
}
same="IDENTICAL SAME-VALUES WITHIN-TOLERANCE"
for batch in $(seq $batches); do
	rm -rf p
	ok "values $batch: written" /usr/bin/python3 "$HPS_SOURCE/tests/e2e/replay-mutations.py" values $values $((seed + batch)) p
	is "values $batch: none of $values changed pairs is called the same" "$(count "$same")" 0
	[ "$(json "$T/out" "[o['path'] for o in j['outputs'] if o['verdict'] in '$same'.split()][:3]")" = "[]" ] ||
		note "$(json "$T/out" "[o for o in j['outputs'] if o['verdict'] in '$same'.split()][:3]")"
	is "values $batch: … with a tolerance of nothing, too" "$(count "$same" --rtol 0)" 0
	is "values $batch: … every one was read and placed" "$(json "$T/out" "sum(o['verdict'] in ('DIVERGED', 'STRUCTURE', 'REORDERED') and 'place' in o and 'format' in o for o in j['outputs'])")" $values
	[ "$batch" = 1 ] && is "control: a comparator that tolerates anything is caught" "$([ "$(count "$same" --rtol 1e300)" -gt $((values / 4)) ] && echo caught)" caught
	rm -rf p
	ok "stamps $batch: written" /usr/bin/python3 "$HPS_SOURCE/tests/e2e/replay-mutations.py" stamps $stamps $((seed + batch)) p
	wrong=$(count "DIVERGED STRUCTURE OPAQUE MISSING EXTRA")
	is "stamps $batch: at most one in 1,000 is called different" "$([ "$wrong" -le $((stamps / 1000)) ] && echo yes)" yes
	[ "$wrong" = 0 ] || note "$wrong: $(json "$T/out" "[(o['path'], o.get('original'), o.get('rerun')) for o in j['outputs'] if o['verdict'] == 'DIVERGED'][:5]")"
	[ "$batch" = 1 ] && is "control: without masks they all are" "$(count "DIVERGED STRUCTURE REORDERED" --no-mask all)" $stamps
done
done_testing
