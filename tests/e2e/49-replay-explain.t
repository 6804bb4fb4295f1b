#!/bin/sh
# Why two trials differ, found by reruns: one cause, two that act together, a file, nothing that could be exchanged; and a trial that
# differs from itself. Each reported cause is shown to be one: its rerun left the second's bytes.
. "${HPS_SOURCE:?}/tests/lib.sh"
HPS_LEDGER=$T/ledger
export HPS_LEDGER
ok "ledger: made" hps-ledger init "$T/ledger"
mkdir w
cd w || exit 99
cat >t.py <<'S'
import os, sys
e = os.environ
both = e.get("OMP_NUM_THREADS") == "2" and e.get("LC_ALL") == "C"
x = 0.25 if both else 0.5
if e.get("TZ") == "Asia/Tokyo":
    x += 1
config = open("config").read().strip() if os.path.exists("config") else "none"
open("out.json", "w").write('{"loss": %s, "config": "%s", "hidden": "%s"}' % (x, config, e.get("SECRET_MODE", "")))
S
# trial NAME VARIABLE…: with these, in the same clean surroundings
trial() {
	trial_name=$1
	shift
	rm -f out.json
	ok "$trial_name: recorded" env -i PATH="$PATH" HPS_LEDGER="$HPS_LEDGER" XDG_STATE_HOME="$XDG_STATE_HOME" XDG_CACHE_HOME="$XDG_CACHE_HOME" "$@" hps-record -q --id-file "$T/$trial_name" -- /usr/bin/python3 t.py
	rm -f out.json
}
why() { # why NAME STATUS CONCLUSION [OPTION…] A [B]
	why_name=$1 why_status=$2 why_conclusion=$3
	shift 3
	status "$why_name: status" "$why_status" hps-replay explain --json "$@"
	is "$why_name: conclusion" "$(json "$T/out" "j['conclusion']")" "$why_conclusion"
}
id() { cat "$T/$1"; }
causes() { json "$T/out" "sorted((f['name'], f['alone']) for f in j['cause'])"; }

trial plain LC_ALL=C.UTF-8 OMP_NUM_THREADS=1 TZ=UTC
trial noise LC_ALL=C.UTF-8 OMP_NUM_THREADS=4 TZ=CET LANG=C
why "no effect" 0 SAME "$(id plain)" "$(id noise)"
trial zone LC_ALL=C OMP_NUM_THREADS=4 TZ=Asia/Tokyo LANG=C COLUMNS=90
why "one of many" 0 CAUSE --state "$T/state" "$(id plain)" "$(id zone)"
is "one of many: the cause" "$(causes)" "[('TZ', 'second')]"
is "one of many: the first difference" "$(json "$T/out" "(j['firstDifference']['place'], j['firstDifference']['first'], j['firstDifference']['second'])")" "('/loss', '0.5', '1.5')"
proof=$(json "$T/out" "[j['outcomes'][''.join('1' if f['name'] == 'TZ' else '0' for f in j['factors'])]['rerun']][0]")
ok "one of many: the proof is in the ledger" hps-ledger show "$proof"
runs=$(json "$T/out" "j['runs']")
is "one of many: few reruns" "$([ "$runs" -le 12 ] && echo few)" few
why "resumed" 0 CAUSE --state "$T/state" "$(id plain)" "$(id zone)"
is "resumed: nothing is run again but for the place" "$(json "$T/out" "j['runs']")" 1
why "limited" 4 STOPPED --max-runs 1 "$(id plain)" "$(id zone)"
status "a state of another explanation is refused" 2 hps-replay explain --state "$T/state" "$(id plain)" "$(id noise)"

trial both LC_ALL=C OMP_NUM_THREADS=2 TZ=CET LANG=C
why "two together" 0 CAUSE "$(id plain)" "$(id both)"
is "two together: neither has an effect alone" "$(causes) $(json "$T/out" "j['interaction']")" "[('LC_ALL', 'first'), ('OMP_NUM_THREADS', 'first')] True"

echo two >config
trial file LC_ALL=C.UTF-8 OMP_NUM_THREADS=1 TZ=CET
why "a file" 0 CAUSE "$(id plain)" "$(id file)"
is "a file: the cause" "$(causes)" "[('$T/w/config', 'second')]"
status "for people" 0 hps-replay explain "$(id plain)" "$(id file)"
like "for people: what it is" "$(cat "$T/out")" "^files +$T/w/config +missing "
rm config

trial hidden LC_ALL=C.UTF-8 OMP_NUM_THREADS=1 TZ=UTC SECRET_MODE=on
why "what is withheld cannot be exchanged" 4 RESIDUE "$(id plain)" "$(id hidden)"
like "withheld: … and is named" "$(cat "$T/out")" '"what":"variable SECRET_MODE","why":"only the second has it'

# a library of another version (half an upgrade does not load), another seed, a log that both wrote to, logs of their own; with HPS_TEST_FULL scikit-learn fits
cat >fit.py <<'S'
import json, os, random, sys
import scaling
random.seed(int(sys.argv[1]))
x = [scaling.scale(random.random()) for _ in range(50)]
result = {"mean": sum(x) / 50}
if os.environ.get("EPOCHS"):
    import numpy as np
    from sklearn.datasets import load_iris
    from sklearn.neural_network import MLPClassifier
    X, y = load_iris(return_X_y=True)
    m = MLPClassifier((8,), max_iter=int(os.environ["EPOCHS"]), random_state=int(sys.argv[1])).fit(scaling.scale(X), y)
    np.savez("w.npz", *m.coefs_)
    result["loss"] = m.loss_
json.dump(result, open("fit.json", "w"))
print("fitted")
S
library() { # VERSION FACTOR
	mkdir -p lib/scaling
	printf 'from .core import scale, VERSION\nassert VERSION == "%s"\n' "$1" >lib/scaling/__init__.py
	printf 'VERSION = "%s"\ndef scale(x):\n    return x * %s\n' "$1" "$2" >lib/scaling/core.py
}
fit() { # NAME LOG SEED VARIABLE…
	fit_name=$1 fit_log=$2 fit_seed=$3
	shift 3
	rm -f fit.json w.npz
	env -i PATH="$PATH" HPS_LEDGER="$HPS_LEDGER" XDG_STATE_HOME="$XDG_STATE_HOME" XDG_CACHE_HOME="$XDG_CACHE_HOME" PYTHONPATH="$T/w/lib" PYTHONDONTWRITEBYTECODE=1 ${HPS_TEST_FULL:+EPOCHS=20} "$@" \
		hps-record -q --id-file "$T/$fit_name" -- /usr/bin/python3 fit.py "$fit_seed" </dev/null >>"$fit_log" 2>/dev/null
	rm -f fit.json w.npz
}
library 1.0 0.5
fit old run.log 1
library 1.1 0.25
fit new run.log 1 TZ=CET OMP_DISPLAY_ENV=FALSE
fit other other.log 2 TZ=CET
why "another version of a library" 0 CAUSE "$(id old)" "$(id new)"
is "another version: both of its files, and what the log held before" "$(json "$T/out" "sorted(f['name'].split('/w/')[-1] for f in j['cause'])")" "['lib/scaling/__init__.py', 'lib/scaling/core.py', 'run.log']"
is "another version: half of it has another effect" "$(json "$T/out" "[f['alone'] for f in j['cause'] if 'scaling' in f['name']]")" "['other', 'other']"
why "another seed, another log" 0 CAUSE "$(id new)" "$(id other)"
is "another seed: it, and what the log held before" "$(json "$T/out" "sorted((f['kind'], f['name'].split('/w/')[-1]) for f in j['cause'])")" "[('argument', '2'), ('files', 'run.log')]"

# the order in which a directory gave its names, or a name that nobody opened: tmpfs gives the last one made first
shm=/dev/shm/hps-explain.$$
list() { # NAME FILE…
	list_name=$1
	shift
	rm -rf "$shm"
	mkdir "$shm"
	(cd "$shm" && for f; do echo x >"$f"; done)
	ok "$list_name: recorded" sh -c 'rm -f listed; env -i PATH="$PATH" HPS_LEDGER="$HPS_LEDGER" XDG_STATE_HOME="$XDG_STATE_HOME" XDG_CACHE_HOME="$XDG_CACHE_HOME" hps-record -q --id-file "$1" -- /usr/bin/python3 -c "import os, sys; open(\"listed\", \"w\").write(repr(os.listdir(\"$2\")))" </dev/null' - "$T/$list_name" "$shm"
}
list up a b c d e
list down e d c b a
list more a b c d e f
rm -rf "$shm" listed
why "another order of names" 0 CAUSE "$(id up)" "$(id down)"
is "another order of names: the cause" "$(json "$T/out" "[(f['kind'], f['name'], f['alone'], f['first'], f['second']) for f in j['cause']]")" "[('listing', '$shm', 'second', '5 names, number 1 is e', '5 names, number 1 is a')]"
why "a name that nobody opened" 0 CAUSE "$(id up)" "$(id more)"
is "a name that nobody opened: the cause" "$(json "$T/out" "[(f['kind'], f['second']) for f in j['cause']]")" "[('listing', '6 names, number 1 is f')]"
why "the same order" 0 SAME "$(id up)" "$(id up)"

# a trial and itself
why "itself: reproduces" 0 SAME "$(id plain)"
printf 'open("out.txt", "w").write(str(set("abcdefgh")))\n' >set.py
ok "hash order: recorded" hps-record -q --entropy off --id-file "$T/set" -- /usr/bin/python3 set.py
why "hash order" 0 NONDETERMINISTIC "$(id set)"
is "hash order: named by the control that ends it" "$(json "$T/out" "j['control']['name']")" "order of a hash table"
printf 'import os\nopen("out.txt", "w").write(os.urandom(8).hex())\n' >chance.py
rm -f out.txt
ok "chance: recorded" hps-record -q --entropy off --id-file "$T/chance" -- /usr/bin/python3 chance.py
why "chance" 0 NONDETERMINISTIC "$(id chance)"
is "chance: no control ends it, and none is named" "$(json "$T/out" "j.get('control')")" None

ok "ledger: verifies at the end" hps-ledger verify
done_testing
