#!/bin/sh
# The ledger's parsers on their corpora and on mutations of them: what is taken must be the only spelling of what it says.
. "${HPS_SOURCE:?}/tests/lib.sh"
seed=${HPS_TEST_SEED:-1}
note "seed $seed"
for noun in note policy proof tile statement request; do
	for file in "$HPS_SOURCE/tests/fuzz/corpus/ledger_$noun"/*; do
		ok "$noun: $(basename "$file")" "$HPS_BUILD/fuzz/fuzz_ledger_$noun" -n "$([ -n "${HPS_TEST_FULL:-}" ] && echo 20000 || echo 100)" -s "$seed" "$file"
	done
done
done_testing
