#!/bin/sh
# Real trials, replayed: what reproduces its bytes, and what diverges at which place.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
trials=$HPS_SOURCE/tests/trials
mkdir w
cd w
cp "$trials"/* .
record() { hps-record -q --id-file "$T/id" -- "$@" </dev/null >"$T/trial.log" 2>&1; }
verdict() { json "$T/out" "j['verdict']"; }
output() { json "$T/out" "{o['path'].split('/')[-1]: o['verdict'] for o in j['outputs']}['$1']"; }

# scikit-learn
ok "sklearn: recorded" record /usr/bin/python3 t01_sk_mlp.py out
trial=$(cat "$T/id")
status "sklearn: replays" 0 hps-replay "$trial" --json
is "sklearn: verdict" "$(verdict)" REPRODUCED-BITS
is "sklearn: schema, trial, level" "$(json "$T/out" "j['schema'], j['trial'] == '$trial', j['level']")" "('hps.verdict/1', True, 'L2')"
is "sklearn: outputs" "$(json "$T/out" "[(o['path'], o['verdict']) for o in j['outputs']]")" \
	"[('$T/trial.log', 'IDENTICAL'), ('$T/w/out', 'IDENTICAL'), ('$T/w/out/metrics.json', 'IDENTICAL'), ('$T/w/out/weights.npz', 'IDENTICAL')]"
is "sklearn: nothing is missing" "$(json "$T/out" "j['missing'], j['view']['files'] > 500")" "([], True)"
rerun=$(json "$T/out" "j['rerun']")
index=$(json "$T/out" "j['entry']['index']")
status "ledger: the rerun is an entry" 0 hps-ledger show "$rerun" --json
is "ledger: … that says what it replays, and belongs to no study" \
	"$(json "$T/out" "j['statement']['predicate']['replayOf'] == '$trial', j['statement']['predicate'].get('study')")" "(True, None)"
status "ledger: the verdict is an entry" 0 hps-ledger show "@$index" --json
is "ledger: … a verification summary of the trial" \
	"$(json "$T/out" "[j['statement']['predicateType'].split('/')[3], j['statement']['subject'][0]['digest']['sha256'] == '$trial', j['statement']['predicate']['verificationResult'], j['statement']['predicate']['hps_verdict'], j['statement']['predicate']['hps_rerun'] == '$rerun']")" \
	"['verification_summary', True, 'PASSED', 'REPRODUCED-BITS', True]"
ok "ledger: verifies" hps-ledger verify

echo 'raise SystemExit("edited")' >t01_sk_mlp.py
rm -r out
status "edited afterwards: the stored script runs" 0 hps-replay "@$(($(json "$T/out" "j['index']") - 3))"
like "edited afterwards: verdict" "$(cat "$T/out")" "^REPRODUCED-BITS: trial $(echo "$trial" | cut -c1-12)$"
is "edited afterwards: the host's directory is left alone" "$(ls -d out 2>&1 | grep -c 'No such')" 1

# shell, sort, awk
mkdir out
ok "awk: recorded" record sh t11_awk.sh out
status "awk: replays" 0 hps-replay "$(cat "$T/id")" --json
is "awk: verdict" "$(verdict)" REPRODUCED-BITS
is "awk: outputs" "$(json "$T/out" "sorted(o['path'].split('/')[-1] for o in j['outputs'])")" "['acc.txt', 'model.tsv']"

# a C program, compiled from what is recorded nowhere; one thread makes it exact, two do not
ok "C: compiled" gcc -O2 -fopenmp -o t10 t10_omp_reduce.c -lm
ok "C: recorded with one thread" record env OMP_NUM_THREADS=1 ./t10 .
rm t10
status "C: replays, the binary gone" 0 hps-replay "$(cat "$T/id")" --json
is "C: verdict" "$(verdict)" REPRODUCED-BITS

# R
ok "R: recorded" record Rscript t17_r.R out
status "R: replays" 0 hps-replay "$(cat "$T/id")" --json
is "R: verdict" "$(verdict)" REPRODUCED-BITS
is "R: outputs" "$(json "$T/out" "sorted(o['path'].split('/')[-1] for o in j['outputs'])")" "['coef.csv', 'fit.rds', 'metrics.txt']"

# what seeds nothing: the kernel's random numbers are answered from the record
ok "unseeded: recorded" record /usr/bin/python3 t12_unseeded.py out12
trial=$(cat "$T/id")
rm -r out12
status "unseeded: replays" 0 hps-replay "$trial" --json
is "unseeded: verdict and level" "$(verdict) $(json "$T/out" "j['level']")" "REPRODUCED-BITS L2"
like "unseeded: what no level answers is named" "$(json "$T/out" "j['uncontrolled']")" "RDRAND.*GPU"
ok "unseeded-off: recorded" hps-record -q --entropy off --id-file "$T/id" -- /usr/bin/python3 t12_unseeded.py out12
status "unseeded-off: replays" 1 hps-replay "$(cat "$T/id")" --json
is "unseeded-off: verdict and level" "$(verdict) $(json "$T/out" "j['level']")" "DIVERGED L1"
like "unseeded-off: the hole" "$(json "$T/out" "[h['why'] for h in j['holes'] if h['what'] == 'random numbers']")" "requests of both runs were answered by the kernel"
mv "$T/ledger/secrets/entropy" "$T/entropy"
status "unseeded-lost: without the seed it diverges" 1 hps-replay "$trial" --json
like "unseeded-lost: the hole" "$(json "$T/out" "[h['why'] for h in j['holes'] if h['what'] == 'random numbers']")" "the seed that was kept for them is not here"
mv "$T/entropy" "$T/ledger/secrets/entropy"
cat >urandom.sh <<'S'
od -An -tx1 -N8 /dev/urandom >urandom.out
S
ok "urandom: recorded" record sh urandom.sh
status "urandom: replays" 1 hps-replay "$(cat "$T/id")" --json
is "urandom: verdict and level" "$(verdict) $(json "$T/out" "j['level']")" "DIVERGED L1"
ok "urandom-full: recorded" hps-record -q --entropy-full --id-file "$T/id" -- sh urandom.sh
status "urandom-full: replays" 0 hps-replay "$(cat "$T/id")" --json
is "urandom-full: verdict and level" "$(verdict) $(json "$T/out" "j['level']")" "REPRODUCED-BITS L2"
is "urandom-full: no hole" "$(json "$T/out" "[h for h in j['holes'] if h['what'] in ('random numbers', 'places in memory')]")" "[]"

# what carries the time, the pid and the duration
ok "stamps: recorded" record /usr/bin/python3 t13_stamp.py out
sleep 1
status "stamps: do not matter" 0 hps-replay "$(cat "$T/id")" --json
is "stamps: verdict" "$(verdict)" REPRODUCED-VALUES
is "stamps: the arrays are the same" "$(output fit.npz)" IDENTICAL
is "stamps: are counted by kind and listed" "$(json "$T/out" "[(m['kind'], m['count'], m['first']) for o in j['outputs'] if o['path'].endswith('report.json') for m in o['masked'] if m['kind'] in ('time', 'duration')]")" "[('time', 2, '/started'), ('duration', 1, '/fit_seconds')]"
status "stamps: diverge when they count" 1 hps-replay "$(cat "$T/id")" --no-mask all
like "stamps: … names the file and the place" "$(cat "$T/out")" "first '$T/w/out/report.json' at /started"
like "stamps: … and both values" "$(cat "$T/out")" "report.json +DIVERGED +at /started: '20.*', rerun '20"

# What the cache of digests knows need not be hashed again because a rerun sees it through a view: counted are files that are read from their start.
hashed() {
	strace -f -qq -e trace=pread64 -o "$T/calls" "$@" >"$T/out" 2>&1 </dev/null
	grep -c ', 262144, 0)' "$T/calls"
}
set -- hps-record -q --id-file "$T/id" -- /usr/bin/python3 -c 'import json, decimal; open("sum", "w").write("1")'
ok "hashing: recorded" "$@"
again=$(hashed "$@")
rerun=$(hashed hps-replay "$(cat "$T/id")")
like "hashing: replays" "$(cat "$T/out")" "^REPRODUCED-BITS"
ok "hashing: a rerun hashes about as much as a second recording ($again, $rerun)" test "$rerun" -le $((again + 20))

ok "ledger: verifies at the end" hps-ledger verify
# A rerun's record is as full as a trial's: whoever audits it finds no fact that the sandbox hid.
is "audit: the clock of reruns is known, too" "$(hps-audit check --json | json /dev/stdin "[r['outcome'] for r in j['rules'] if r['id'] == 'ID-03']")" "['pass']"
done_testing
