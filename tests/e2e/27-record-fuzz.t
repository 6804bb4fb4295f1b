#!/bin/sh
# The readers of foreign files, on what they are made for, on mutations of it, and on what once broke one. Takes HPS_TEST_SEED.
. "${HPS_SOURCE:?}/tests/lib.sh"
seed=${HPS_TEST_SEED:-$(date +%s)}
echo "# seed $seed (HPS_TEST_SEED)"
for target in package elf machine process; do
	fuzz=$HPS_BUILD/fuzz/fuzz_recorder_$target
	for file in "$HPS_SOURCE/tests/fuzz/corpus/recorder_$target"/*; do
		ok "$target: $(basename "$file")" "$fuzz" "$file"
	done
	rounds=$([ -n "${HPS_TEST_FULL:-}" ] && echo 20000 || echo 300)
	ok "$target: mutations" "$fuzz" -n "$rounds" -s "$seed" "$HPS_SOURCE/tests/fuzz/corpus/recorder_$target"/*
done
ok "elf: mutations of the C library" "$HPS_BUILD/fuzz/fuzz_recorder_elf" -n 10 -s "$seed" /lib/x86_64-linux-gnu/libm.so.6
done_testing
