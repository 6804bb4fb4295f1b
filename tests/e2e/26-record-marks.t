#!/bin/sh
# Several trials in one process: marks on HPS_SOCKET, by hand, from Python, from Optuna's own loop, and from C.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
ok "ledger: made" hps-ledger init "$T/ledger"
HPS_LEDGER=$T/ledger
PYTHONPATH=$HPS_SOURCE/share/python
export HPS_LEDGER PYTHONPATH
# trials EXPRESSION: over the trial entries of the ledger in order, each as `t` with its predicate p
trials() {
	hps-ledger list --json >"$T/list"
	for id in $(json "$T/list" "' '.join(e['id'] for e in j['entries'] if e['kind'] == 'trial' and e['index'] >= ${from:-0})"); do
		hps-ledger show --json "$id" >"$T/one"
		json "$T/one" "(lambda p: $1)(j['statement']['predicate'])" 2>/dev/null
	done
}
size() { hps-ledger list --json | json /dev/stdin "len(j['entries'])"; }
cat >say.py <<'END'
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(os.environ["HPS_SOCKET"])
f = s.makefile("rw")
for line in sys.argv[1:]:
    f.write(line + "\n")
    f.flush()
    print(f.readline().rstrip())
END

status "by hand" 0 hps-record --id-file id --study outer -- /usr/bin/python3 say.py 'begin {"number": 3, "params": {"lr": 0.1, "opt": "sgd", "layers": [64, 32], "seed": 5, "api_key": "SwordFish"}}' \
	'end {"metrics": {"loss": 0.25, "val": {"acc": 1}}}' 'begin' 'end {"state": "failed", "metrics": {"loss": NaN}}' 'begin {"study": "inner"}'
like "by hand: answered with ids" "$(tr '\n' ' ' <"$T/out")" "^(ok [0-9a-f]{64} ){5}$"
is "by hand: an entry each, and the host's" "$(size)" 8
is "entries: name, number, state" "$(trials "(p.get('study'), p.get('number'), p.get('mark'), p['state'])" | tr '\n' ' ')" \
	"('outer', 3, 'complete', 'complete') ('outer', None, 'failed', 'failed') ('inner', None, 'abandoned', 'failed') ('outer', None, None, 'complete') "
is "entries: a metric that is not finite" "$(trials "p['metrics']" | sed -n 2p)" "{'loss': 'NaN'}"
host=$(hps-ledger show --json "$(cat id)" | json /dev/stdin "j['statement']['predicate']['begin']")
is "entries: they name their host" "$(trials "p.get('host') == '$host'" | tr '\n' ' ')" "True True True False "
is "entries: parameters, metrics, seed" "$(trials "(p['buildDefinition']['externalParameters']['params'], p['metrics'], p['seeds'])" | head -n 1 | sed 's/hmac:[0-9a-f]*/TAG/')" \
	"({'api_key': 'TAG', 'layers': '[64,32]', 'lr': '0.1', 'opt': 'sgd', 'seed': '5'}, {'loss': '0.25', 'val.acc': '1'}, [{'name': 'seed', 'origin': 'mark', 'value': '5'}])"
is "entries: what cannot be told is said" "$(trials "(p['coverage']['complete'], [g['what'] for g in p['coverage']['gaps']])" | head -n 1)" "(False, ['a part of a process'])"
is "host: our own socket is no gap" "$(trials "p['coverage']['complete']" | tail -n 1)" "True"
is "no secret of a mark is written" "$(grep -rl SwordFish ledger)" ""
ok "the ledger holds" hps-ledger verify
hps-audit check --json >check.json
is "audit: every begin has its end" "$(json check.json "[r['outcome'] for r in j['rules'] if r['id'] in ('INT-05', 'ID-01', 'INT-08')]")" "['pass', 'pass', 'pass']"

status "wrong lines" 0 hps-record -q --id-file id -- /usr/bin/python3 say.py 'end' 'start' 'begin {"number": "x"}' 'begin {"study": "a b"}' 'begin [1]' 'begin {no' 'begin' 'begin' 'end {"metrics": 1}' 'end {"state": "won"}' 'end'
is "wrong lines: each is answered, none ends the recording" "$(cut -c 1-30 "$T/out" | sed 's/^ok .*/ok/')" "error no trial has begun on th
error a line begins with 'begi
error 'number' is a whole numb
error 'study': a name has lett
error 'begin' takes a JSON obj
error reading JSON: line 1, co
ok
$(sed -n 8p "$T/out" | cut -c 1-30)
error 'metrics' is no object
error 'state' is complete, fai
ok"
like "wrong lines: … twice begun" "$(sed -n 8p "$T/out")" "^error trial [0-9a-f]{12} has begun on this connection"

# a trial that claims to be another one of a search
cat >forge.sh <<'END'
/usr/bin/python3 "$2" 'begin {"study": "forged", "number": 1, "params": {"x": 9}}' 'end {"metrics": {"loss": -99}}' >"$3/forge.out"
echo "{\"loss\": $1}" >"$HPS_METRICS"
END
cat >forged.yaml <<END
hps: 1
study: forged
command: [sh, $T/forge.sh, "{x}", $T/say.py, "{out}"]
space: {x: {type: int, low: 1, high: 9}}
metrics: {loss: {goal: min}}
search: {sampler: random}
budget: {trials: 2}
END
ok "forged: searched" hps-search run forged.yaml
like "forged: the mark is refused" "$(cat forged.trials/0/forge.out)" "^error 'forged' is a study of hps-search"
is "forged: as many trials as were proposed" "$(hps-ledger list --json | json /dev/stdin "len([e for e in j['entries'] if e['kind'] == 'trial' and e.get('study') == 'forged'])")" 2

from=$(size)
cat >threads.py <<'END'
import hps, threading
def run(i):
    for k in range(3):
        with hps.trial({"i": i, "k": k}, study="threads") as report:
            report["x"] = i * 10 + k
threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
try:
    with hps.trial(study="threads") as report:
        raise ValueError
except ValueError:
    pass
END
status "python: four threads" 0 hps-record -q --id-file id -- /usr/bin/python3 threads.py
is "python: each trial has its own metrics" "$(trials "int(p['buildDefinition']['externalParameters']['params']['i']) * 10 + int(p['buildDefinition']['externalParameters']['params']['k']) == int(p['metrics']['x']) if p['metrics'] else p.get('mark', 'host')" | sort | uniq -c | tr -s ' ')" " 12 True
 1 failed
 1 host"
status "python: without a recorder nothing happens" 0 /usr/bin/python3 threads.py
is "python: the module is small" "$(test "$(wc -l <"$PYTHONPATH/hps.py")" -le 60 && echo yes)" yes

from=$(size)
cat >study.py <<'END'
import hps, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
def objective(trial):
    x = trial.suggest_float("x", -1, 1)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    if trial.number == 2:
        raise optuna.TrialPruned()
    if trial.number == 3:
        raise ValueError("no")
    return x * x
study = optuna.create_study(study_name="a parabola", sampler=optuna.samplers.RandomSampler(seed=1))
study.optimize(hps.optuna(objective), n_trials=5, catch=(ValueError,))
for t in study.trials:
    print(t.number, t.params["x"], t.value if t.value is not None else "none")
END
status "Optuna's own loop" 0 hps-record -q --id-file id -- /usr/bin/python3 study.py
is "Optuna: number, mark" "$(trials "(p.get('study'), p.get('number'), p.get('mark'))" | tr '\n' ' ')" \
	"('a-parabola', 0, 'complete') ('a-parabola', 1, 'complete') ('a-parabola', 2, 'pruned') ('a-parabola', 3, 'failed') ('a-parabola', 4, 'complete') (None, None, None) "
is "Optuna: its parameters and values" "$(trials "p.get('mark') and '%s %s %s' % (p['number'], p['buildDefinition']['externalParameters']['params']['x'], p['metrics'].get('value', 'none'))" | grep -v None)" "$(cat "$T/out")"

from=$(size)
cat >killed.py <<'END'
import hps, os, signal
with hps.trial({"n": 1}):
    pass
with hps.trial({"n": 2}):
    os.kill(os.getpid(), signal.SIGKILL)
END
"$HPS_BIN/hps-record" -q --id-file id -- /usr/bin/python3 killed.py
is "killed in the middle: what ended is kept, the other is abandoned" "$(trials "p.get('mark', p['state'])" | tr '\n' ' ')" "complete abandoned killed "
sh -c 'hps-record -q -- /usr/bin/python3 -c "
import hps, os, signal, time
with hps.trial():
    open(\"ready\", \"w\").close()
    time.sleep(60)" & echo $! >pid; while ! test -e ready; do sleep 0.05; done; kill -9 $(cat pid); wait' 2>/dev/null
status "the recorder is killed: the next one" 0 hps-record -q -- true
is "the recorder is killed: host and mark are lost" "$(hps-ledger list --json | json /dev/stdin "[e['kind'] for e in j['entries']][-4:]")" "['lost', 'lost', 'begin', 'trial']"

cat >runner.c <<'END'
#include <stdio.h>
#include "hps/record.h"
int main(int argc, char **argv)
{
	struct hps_error err = HPS_ERROR_INIT;
	if (argc > 1) {
		struct hps_recording o = { .study = "from-C", .quiet = true, .params = (const char *const[]){ "lr=0.5", NULL } };
		int status;
		if (hps_recording_run(&o, (const char *const *)argv + 1, &status, NULL, &err))
			return fprintf(stderr, "%s\n", err.message), 1;
		printf("status %d\n", status);
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		char said[64], id[65];
		struct hps_marking *m;
		snprintf(said, sizeof said, "{\"number\": %d}", i);
		if (hps_marking_begin(said, &m, id, &err))
			return fprintf(stderr, "%s\n", err.message), 1;
		snprintf(said, sizeof said, "{\"metrics\": {\"loss\": %d.5}}", i);
		if (hps_marking_end(m, said, id, &err))
			return fprintf(stderr, "%s\n", err.message), 1;
		printf("%.4s\n", *id ? "ok" : "none");
	}
	return 0;
}
END
ok "C: a runner builds against the header" gcc -std=gnu17 -D_GNU_SOURCE -fsanitize=undefined $san -I"$HPS_SOURCE/include" -o runner runner.c "$HPS_BUILD/libhps.a" -ljansson -lcrypto -lsqlite3 -lz -lm -lubsan
from=$(size)
status "C: marks" 0 hps-record -q -- ./runner
is "C: … are entries" "$(cat "$T/out"; trials "(p.get('number'), p['metrics'])" | tr '\n' ' ')" "ok
ok
(0, {'loss': '0.5'}) (1, {'loss': '1.5'}) (None, {}) "
status "C: without a recorder nothing happens" 0 ./runner
is "C: … and there are no ids" "$(cat "$T/out")" "none
none"
status "C: starting a recording" 0 ./runner sh -c 'exit 3'
is "C: … gives the command's status" "$(cat "$T/out")" "status 3"
is "C: … with its options" "$(trials "(p.get('study'), p['buildDefinition']['externalParameters']['params'], p.get('exit'))" | tail -n 1)" "('from-C', {'lr': '0.5'}, {'code': 3})"
done_testing
