#!/bin/sh
# Each comparator on what the usual programs write, on mutations of it, and on what once broke one. Takes HPS_TEST_SEED.
. "${HPS_SOURCE:?}/tests/lib.sh"
seed=${HPS_TEST_SEED:-$(date +%s)}
echo "# seed $seed (HPS_TEST_SEED)"
fuzz=$HPS_BUILD/fuzz/fuzz_replay_compare
for file in "$HPS_SOURCE"/tests/fuzz/corpus/replay_compare/*; do
	[ ! -f "$file" ] || ok "corpus: $(basename "$file")" "$fuzz" "$file"
done
ok "formats: written" sh -c "/usr/bin/python3 '$HPS_SOURCE/tests/e2e/replay-formats.py' '$T/f' >/dev/null"
for folder in f/*; do
	ok "mutations: $(basename "$folder")" "$fuzz" -n "$([ -n "${HPS_TEST_FULL:-}" ] && echo 20000 || echo 150)" -s "$seed" "$folder"/a.* "$folder"/same.*
done
for noun in bundle plan pair hdf5; do
	for file in "$HPS_SOURCE/tests/fuzz/corpus/replay_$noun"/*; do
		ok "$noun: $(basename "$file")" "$HPS_BUILD/fuzz/fuzz_replay_$noun" -n "$([ -n "${HPS_TEST_FULL:-}" ] && echo 20000 || echo 300)" -s "$seed" "$file"
	done
done
for file in "$HPS_SOURCE"/tests/fuzz/corpus/replay_library/*; do # what crashes a library
	status "library: $(basename "$file"): differs" 1 hps-replay compare --json "$file" f/hdf5/a.h5
	like "library: … and is opaque, whatever became of its reader" "$(cat "$T/out")" '"verdict":"OPAQUE"'
	like "library: … which is said" "$(cat "$T/out")" '"note":"the comparison gave no answer: '
done
done_testing
