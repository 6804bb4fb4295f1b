#!/bin/sh
# 22 kinds of trial, each recorded and replayed: what reproduces which way, and what keeps the others from it. Without HPS_TEST_FULL only those
# that need no large package. HPS_MATRIX: a file that gets the table.
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
mkdir w
cd w || exit 99
cp "$HPS_SOURCE"/tests/trials/* .
mkdir shards
for i in 7 3 11 2 19 5 13; do seq "$i" 3 90 >"shards/part-$i"; done
table=${HPS_MATRIX:-$T/table}
cat >"$table" <<'M'
# Which trials replay, and how

Written by `make replay-matrix`: each program of `tests/trials/` is recorded and replayed once, and must get the verdict that
`tests/e2e/40-replay-matrix.t` expects of it; where luck decides, it allows two. What the verdict leaves open is its list of holes, without
the variables of the environment that the record withholds. What keeps a trial from its bytes is what we know of its source, no finding of
the replayer.

| trial | recorded with | verdict | level | left open, says the verdict | what keeps it from its bytes |
|---|---|---|---|---|---|
M
: >"$T/levels"
n_bits=0
n_rows=0
n_luck=0
while IFS='|' read -r when name build options command want level why; do
	[ "$when" = short ] || [ -n "${HPS_TEST_FULL:-}" ] || continue
	[ -z "$build" ] || ok "$name: built" $build
	rm -rf out
	mkdir out
	ok "$name: recorded" hps-record -q $options --id-file "$T/id" -- $command </dev/null
	rm -rf out
	hps-replay --json "$(cat "$T/id")" >"$T/out" 2>"$T/err"
	got=$(json "$T/out" "j['verdict']")
	like "$name: $want" "$got" "^($(echo "$want" | tr , "|"))$"
	[ -z "${got##REPRODUCED*}" ] || note "$(json "$T/out" "(j.get('reason'), [(o['path'], o['verdict'], o.get('place'), o.get('original'), o.get('rerun')) for o in j['outputs'] if o['verdict'] != 'IDENTICAL'])")"
	reached=$(json "$T/out" "j['level']")
	like "$name: level $level" "$reached" "^($(echo "$level" | tr , "|"))$"
	open=$(json "$T/out" "'; '.join(sorted({h['what'] for h in j['holes'] if not h['what'].startswith('variable ')}))")
	[ "$got" = REPRODUCED-BITS ] && n_bits=$((n_bits + 1))
	n_rows=$((n_rows + 1))
	[ "$got$want" = "REPRODUCED-BITS${want%%,*},REPRODUCED-BITS" ] && n_luck=$((n_luck + 1))
	echo "| $name | ${options:-the defaults} | $got | $reached | $open | ${why:-} |" >>"$table"
	json "$T/out" "'- ' + j['level'] + ': ' + '; '.join(j['uncontrolled']) + '.'" >>"$T/levels"
done <<'M'
full|t01 neural network (scikit-learn)|||/usr/bin/python3 t01_sk_mlp.py out|REPRODUCED-BITS|L2|
full|t02 forest, two threads|||/usr/bin/python3 t02_forest.py out|REPRODUCED-BITS|L2|
full|t03 gradient boosting, OpenMP|||/usr/bin/python3 t03_boosting.py out|REPRODUCED-BITS|L2|
full|t04 grid search|||/usr/bin/python3 t04_grid.py out|REPRODUCED-BITS|L2|
full|t05 neural network (torch)|||/usr/bin/python3 t05_torch_mlp.py out|REPRODUCED-BITS|L1|(nothing: it reads /dev/urandom, which level 3 answers)
full|t06 convolutions, two loading processes (torch)|||/usr/bin/python3 t06_torch_cnn.py out|REPRODUCED-BITS|L1|(nothing: it reads /dev/urandom, which level 3 answers)
full|t06 convolutions, two loading processes (torch)||--level 4|/usr/bin/python3 t06_torch_cnn.py out|REPRODUCED-BITS|L4|
full|t07 LSTM (torch)||--level 3|/usr/bin/python3 t07_lstm.py out|REPRODUCED-BITS|L3|
full|t08 xgboost|||/usr/bin/python3 t08_xgb_hist.py out|REPRODUCED-BITS|L2|
short|t09 descent (numpy)|||/usr/bin/python3 t09_numpy_sgd.py out|REPRODUCED-BITS|L2|
short|t10 float sums, two threads|gcc -O2 -fopenmp -o t10 t10_omp_reduce.c -lm||env OMP_NUM_THREADS=2 ./t10 out|DIVERGED,REPRODUCED-BITS|L2|the order of threads: luck, as it need not show; level 4 makes it sure
short|t10 float sums, two threads||--level 4|env OMP_NUM_THREADS=2 ./t10 out|REPRODUCED-BITS|L4|
short|t10 float sums, one thread|||env OMP_NUM_THREADS=1 ./t10 out|REPRODUCED-BITS|L2|
short|t11 shell, sort, awk|||sh t11_awk.sh out|REPRODUCED-BITS|L2|
full|t12 unseeded (numpy, random, uuid)|||/usr/bin/python3 t12_unseeded.py out|REPRODUCED-BITS|L2|
short|t13 stamps in every output|||/usr/bin/python3 t13_stamp.py out|REPRODUCED-VALUES|L2|clocks; the stamps are masked
short|t13 stamps in every output||--level 3|/usr/bin/python3 t13_stamp.py out|REPRODUCED-BITS|L3|
short|t14 order of a hash table|||/usr/bin/python3 t14_hashorder.py out|REPRODUCED-BITS|L2|
short|t15 order of a listing|||/usr/bin/python3 t15_scandir.py out|REPRODUCED-BITS|L2|
short|t16 data race|gcc -O0 -pthread -o t16 t16_race.c||./t16 out|DIVERGED,REPRODUCED-BITS|L2|the order of threads: luck, as it need not show; level 4 makes it sure
short|t16 data race||--level 4|./t16 out|REPRODUCED-BITS|L4|
full|t17 regression (R)|||Rscript t17_r.R out|REPRODUCED-BITS|L2|
full|(R, unseeded: from time and process id)||--level 3|Rscript -e cat(runif(3),file="out/r")|REPRODUCED-BITS|L3|
short|t18 addresses, stale heap|gcc -O0 -o t18 t18_address.c|--entropy-full|env -i ./t18 out|REPRODUCED-BITS|L2|
short|t19 until the time is up||--level 3|/usr/bin/python3 t19_budget.py out|DIVERGED|L3,L2|the order of processes
short|t19 until the time is up||--level 4|/usr/bin/python3 t19_budget.py out|REPRODUCED-BITS|L4|
short|t20 chaos over libm|gcc -O2 -o t20 t20_libm.c -lm||./t20 out|REPRODUCED-BITS|L2|
full|t21 unseeded (torch, /dev/urandom)||--entropy-full|/usr/bin/python3 t21_torch_unseeded.py out|REPRODUCED-BITS|L2|
short|t22 random numbers of the processor|g++ -O2 -o t22 t22_random_device.cc|--level 3|./t22 out|REPRODUCED-BITS|L3|
M
printf '\n%s of %s rows reproduced their bytes, %s of these by luck. Not controlled at these levels, say the verdicts:\n\n' "$n_bits" "$n_rows" "$n_luck" >>"$table"
sort -u "$T/levels" >>"$table"
done_testing
