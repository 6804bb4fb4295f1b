#!/bin/sh
# Hyperparameters, seeds, switches and metrics, each with where it came from; and what --dry-run shows of them.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
ok "ledger: made" hps-ledger init "$T/ledger"
HPS_LEDGER=$T/ledger
export HPS_LEDGER
rec() {
	/usr/bin/python3 "$HPS_SOURCE/tests/e2e/record.py" "$T/ledger" "$(cat "$T/id")" "$1"
}
given() {
	rec "[(p['name'], p['value']) for p in t['buildDefinition']['externalParameters']['parameters'] if p['origin'] == '$1']"
}
cat >trial.sh <<'END'
mkdir -p run/.hydra
printf 'lr: 0.1\nmodel:\n  layers: [64, 32]\n  name: "mlp"\n  opts: {}\nseed: 11\ntrainer:\n  deterministic: true\nnothing: null\n' >run/.hydra/config.yaml
printf -- '- lr=0.1\n- +model.name=mlp\n- ~old\n' >run/.hydra/overrides.yaml
printf '{"final": {"loss": 0.25, "acc": 0.9}, "runs": [{"a/b": 1}, {"m~n": 2}]}' >final.json
printf '{"val": {"loss": 0.5}}\n{"train": 1}\n{"val": {"loss": 0.4}}\n' >lines.json
echo '{"x": 1}' >odd:/name.json 2>/dev/null || true
END
status "run" 0 env PYTHONHASHSEED=3 CUBLAS_WORKSPACE_CONFIG=:4096:8 hps-record --id-file "$T/id" --param alpha=1 --seed 5 \
	--metrics final.json:/final --metrics final.json:/runs/0/a~1b --metrics final.json:/runs/1/m~0n --metrics lines.json:/val/loss \
	-- sh trial.sh --lr 0.1 --momentum=-0.9 --shift -3 batch=32 +model.width=64 --amp -wd 1e-4 -x 3 -pthread --layers 64 32 -16 --seed 7 --n_jobs 2 path/a.txt
is "origin: --param" "$(given option)" "[('alpha', '1')]"
is "origin: the command line" "$(given argv)" "[('lr', '0.1'), ('momentum', '-0.9'), ('shift', '-3'), ('batch', '32'), ('model.width', '64'), ('amp', 'true'), ('wd', '1e-4'), ('layers', '64 32 -16'), ('seed', '7'), ('n_jobs', '2')]"
is "origin: Hydra's configuration" "$(given hydra.config)" "[('lr', '0.1'), ('model.layers.0', '64'), ('model.layers.1', '32'), ('model.name', 'mlp'), ('seed', '11'), ('trainer.deterministic', 'true'), ('nothing', 'null')]"
is "origin: Hydra's overrides" "$(given hydra.override)" "[('lr', '0.1'), ('model.name', 'mlp')]"
is "Hydra: the file is named" "$(rec "set(p.get('source') for p in t['buildDefinition']['externalParameters']['parameters'] if p['origin'] == 'hydra.config')")" "{'$T/run/.hydra/config.yaml'}"
is "seeds: each with its origin" "$(rec "[(s['name'], s['value'], s['origin']) for s in t['seeds']]")" "[('--seed', '5', 'option'), ('--seed', '7', 'argv'), ('PYTHONHASHSEED', '3', 'environment'), ('seed', '11', 'hydra.config')]"
is "switches: set" "$(rec "sorted((s['name'], s['value'], s['origin']) for s in t['switches']['set'] if s['name'] in ('PYTHONHASHSEED', 'CUBLAS_WORKSPACE_CONFIG', 'n_jobs', 'trainer.deterministic'))")" \
	"[('CUBLAS_WORKSPACE_CONFIG', ':4096:8', 'environment'), ('PYTHONHASHSEED', '3', 'environment'), ('n_jobs', '2', 'argv'), ('trainer.deterministic', 'true', 'hydra.config')]"
is "switches: unset" "$(rec "[n for n in ('TF_DETERMINISTIC_OPS', 'MKL_CBWR', 'NVIDIA_TF32_OVERRIDE', 'PYTHONHASHSEED') if n in t['switches']['unset']]")" "['TF_DETERMINISTIC_OPS', 'MKL_CBWR', 'NVIDIA_TF32_OVERRIDE']"
is "switches: none unknown without a framework" "$(rec "t['switches']['unknown']")" "[]"
is "metrics: parts of files" "$(rec "t['metrics']")" "{'a/b': '1', 'acc': '0.9', 'loss': '0.4', 'm~n': '2'}"

status "metrics: a part that is not there" 0 hps-record --id-file "$T/id" --metrics final.json:/nowhere -- sh trial.sh
like "metrics: … is said" "$(cat "$T/err")" "reading the metrics 'final.json': .*'/nowhere'"
is "metrics: … and a gap" "$(rec "[g for g in gaps if 'metrics' in g]")" "['a file of metrics could not be used']"
status "metrics: a file whose name has a colon" 0 hps-record -q --id-file "$T/id" --metrics "$T/odd:/name.json" -- sh -c 'mkdir -p odd: && sh trial.sh'
is "metrics: … is read whole" "$(rec "t['metrics']")" "{'x': '1'}"
cat >bad.sh <<'END'
mkdir -p run/.hydra
printf 'a: [1, 2\nb: 3\n' >run/.hydra/config.yaml
END
status "Hydra: a file that is no YAML does not fail the trial" 0 hps-record --id-file "$T/id" -- sh bad.sh
like "Hydra: … and is named" "$(cat "$T/err")" "reading Hydra's '$T/run/.hydra/config.yaml': line 2: "
status "switches: numpy's seed is in the code" 0 hps-record -q --id-file "$T/id" -- /usr/bin/python3 -c 'import numpy'
is "switches: … and unknown" "$(rec "t['switches']['unknown']")" "[{'name': 'numpy.random.seed', 'why': \"set in the program's code\"}]"

# What --study, --number and --param take is what a study file takes.
for bad in 'a b' '' "$(printf 'a\033[2Jb')" "$(printf 'a\nb')" -x "$(printf '%03000d' 0)"; do
	status "names: --study '$(printf %.9s "$bad" | tr -c 'a-z0-9\n' '?')' is refused" 125 hps-record "--study=$bad" -- touch ran
done
like "names: … with the rule" "$(cat err)" "^hps-record: --study '0{80}': a name has letters, digits, .*64 at most$"
status "names: a number in no study" 125 hps-record --number 3 -- touch ran
like "names: … says what to do" "$(cat err)" "^hps-record: --number 3: a number in which study\? give --study, too$"
status "names: a number that JSON has not" 125 hps-record --study s --number 9007199254740993 -- touch ran
status "names: the same parameter twice" 125 hps-record --param a=1 --param b=2 --param a=2 -- touch ran
like "names: … is named" "$(cat err)" "^hps-record: --param 'a=2': 'a' was given before"
is "names: nothing ran" "$(ls ran 2>/dev/null)" ""
# Entries from elsewhere need not follow our rule: the list keeps its columns.
/usr/bin/python3 - "$T/foreign.json" <<'END'
import json, sys
json.dump({"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "x", "digest": {"sha256": "0" * 64}}],
           "predicateType": "urn:hps:trial:v1", "predicate": {"study": "a\x1b[2J\n" + "é" * 3000, "state": "complete"}}, open(sys.argv[1], "w"))
END
status "list: a study with an endless name" 0 hps-ledger append "$T/foreign.json"
is "list: a line each" "$(hps-ledger list | wc -l)" "$(hps-ledger list --jsonl | awk 'END { print NR + 1 }')"
is "list: … and none is long" "$(hps-ledger list | awk 'length > 250' | wc -l)" 0
is "list: … nor has what a terminal obeys" "$(hps-ledger list | grep -c "$(printf '\033')")" 0

size=$(hps-ledger list --json | wc -c)
status "dry run" 0 env APP_PASSWORD=hunter2hunter2 OMP_NUM_THREADS=2 hps-record --dry-run --param lr=0.1 -- touch ran --api-key SwordFish --lr 0.1 out/hunter2hunter2
is "dry run: runs nothing" "$(ls ran 2>&1)" "ls: cannot access 'ran': No such file or directory"
is "dry run: writes nothing" "$(hps-ledger list --json | wc -c)" "$size"
is "dry run: no secret" "$(grep -ciE 'hunter2|swordfish' "$T/out")" 0
is "dry run: what is kept" "$(json "$T/out" "j['schema'], j['command'][0], j['command'][4:6], j['environment']['OMP_NUM_THREADS'], j['params'], j['environmentDigests']['APP_PASSWORD'] == j['command'][6][4:], j['command'][3][:5]")" \
	"('hps.dry-run/1', 'touch', ['--lr', '0.1'], '2', {'lr': '0.1'}, True, 'hmac:')"
status "dry run: without a ledger" 0 hps-record --ledger "$T/nowhere" --dry-run -- x --api-key SwordFish
is "dry run: … no tag can be made" "$(json "$T/out" "j['command']")" "['x', '--api-key', '[redacted]']"
done_testing
