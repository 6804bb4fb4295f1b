#!/bin/sh
# Each verdict by an output that earns it, and what a rerun finds where the trial had started.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
mkdir w
cd w
# A program can tell that it is a rerun: the first process of its world is another.
cat >isrerun <<'S'
case $(cat /proc/1/comm) in hps-replay*) exit 0 ;; esac
exit 1
S
record() { hps-record -q --id-file "$T/id" "$@" </dev/null >/dev/null 2>"$T/trial.err"; }
replay() { # replay NAME STATUS VERDICT [OPTION…]
	replay_name=$1
	replay_status=$2
	replay_verdict=$3
	shift 3
	status "$replay_name: status" "$replay_status" hps-replay --json "$@" "$(cat "$T/id")"
	is "$replay_name: verdict" "$(json "$T/out" "j['verdict']")" "$replay_verdict"
}
of() { json "$T/out" "[o for o in j['outputs'] if o['path'].split('/')[-1] == '$1'][0].get('$2')"; }

ok "order: recorded" record -- sh -c 'if sh isrerun; then echo "{ \"b\": 2.50, \"a\": 1 }"; else echo "{\"a\":1,\"b\":2.5}"; fi >o.json'
replay "order of names, spelling of numbers" 0 REPRODUCED-VALUES
is "order: the output" "$(of o.json verdict) $(of o.json format)" "SAME-VALUES json"

ok "near: recorded" record -- sh -c 'if sh isrerun; then echo 0.50000001; else echo 0.5; fi >near.csv'
replay "near without a tolerance" 1 DIVERGED
is "near: place and values" "$(of near.csv place): $(of near.csv original), $(of near.csv rerun)" "row 1, column 1: 0.5, 0.50000001"
replay "near within a declared tolerance" 0 REPRODUCED-WITHIN --rtol 1e-6
is "near: the tolerance is in the verdict" "$(json "$T/out" "j['tolerance']")" "{'atol': '0', 'rtol': '0.000001', 'source': 'declared'}"
replay "near beyond it" 1 DIVERGED --rtol 1e-9
replay "near within an absolute one" 0 REPRODUCED-WITHIN --atol 1e-3
status "declare: nothing is no declaration" 2 hps-replay declare "$(cat "$T/id")"
ok "declare: into the ledger" hps-replay declare --rtol 1e-9 --reason "too tight" "$(cat "$T/id")"
replay "near beyond what the ledger declares" 1 DIVERGED
status "declare: wider" 0 hps-replay declare --json --rtol 1e-6 "$(cat "$T/id")"
entry=$(json "$T/out" "j['entry']['id']")
replay "near within what the ledger declares" 0 REPRODUCED-WITHIN
is "declare: the verdict names the entry, and that it was the second" "$(json "$T/out" "(j['tolerance']['source'], j['tolerance']['entry'] == '$entry', j['tolerance']['declarations'])")" "('ledger', True, 2)"
replay "near: options go before the ledger" 1 DIVERGED --rtol 1e-9
is "near: … and the verdict says so" "$(json "$T/out" "j['tolerance']['source']")" declared

ok "extra: recorded" record -- sh -c 'echo x >always; sh isrerun && echo y >extra || :'
replay "an output more" 1 DIVERGED
is "extra: the outputs" "$(of always verdict) $(of extra verdict)" "IDENTICAL EXTRA"
ok "missing: recorded" record -- sh -c 'echo x >always; sh isrerun || echo y >seldom'
replay "an output less" 1 DIVERGED
is "missing: the outputs" "$(of always verdict) $(of seldom verdict)" "IDENTICAL MISSING"

ok "link: recorded" record -- sh -c 'ln -sf a same; if sh isrerun; then ln -sf c other; echo x >kind; else ln -sf b other; ln -sf x kind; fi'
replay "links that it makes" 1 DIVERGED
is "link: the outputs" "$(of same verdict) $(of other verdict): $(of other place) $(of other original) $(of other rerun); $(of kind verdict)" \
	"IDENTICAL DIVERGED: target b c; STRUCTURE"

ok "opaque: recorded" record -- sh -c 'if sh isrerun; then printf "\377\0a"; else printf "\377\0b"; fi >blob'
replay "bytes that nobody reads" 1 DIVERGED
is "opaque: verdict and place" "$(of blob verdict) $(of blob place)" "OPAQUE byte 2"

cat >run.sh <<'S'
d=runs/$(date +%b%d_%H-%M-%S)_box
mkdir -p $d
echo '{"loss": 0.5}' >$d/log_$(date +%s).json
ln -s $(basename $d) runs/latest
S
ok "run named by its time: recorded" record -- sh run.sh
sleep 1.1
replay "a run that is named by its time" 0 REPRODUCED-VALUES
is "named by its time: every name that differs is listed" "$(json "$T/out" "[(o['verdict'], [m['kind'] for m in o.get('masked', [])]) for o in j['outputs'] if 'Nov' in o['path'] or '20' in o['path'] or 'latest' in o['path'] or '_box' in o['path']][-1:]")" \
	"[('SAME-VALUES', ['path'])]"
replay "named by its time, and that counts" 1 DIVERGED --no-mask time

if [ -n "${HPS_TEST_FULL:-}" ]; then
	cat >large.py <<'S'
import numpy as np, sys
w = np.zeros(70_000_000)
w[-1] = 1.0000001 if "hps-replay" in open("/proc/1/comm").read() else 1
np.save("large.npy", w)
S
	ok "large: recorded" record -- /usr/bin/python3 large.py
	replay "560 MB that differ in one value" 0 REPRODUCED-WITHIN --rtol 1e-6
	is "large: the place" "$(of large.npy place)" "[69999999]"
	rm -f large.npy
fi

record -- sh -c 'sh isrerun && exit 7; echo x >y; exit 3'
replay "another exit status" 4 FAILED-REPLAY
like "another exit status: said" "$(json "$T/out" "j['reason']")" "had ended with status 3, the rerun ended with status 7"
record -- sh -c 'echo x >y; exit 3'
replay "a failure is reproduced as well" 0 REPRODUCED-BITS
record -- sh -c 'echo x >y; kill -TERM $$'
replay "a death by signal, too" 0 REPRODUCED-BITS
ok "nothing: recorded" record -- true
replay "nothing to compare" 4 INCONCLUSIVE

# metrics
ok "metrics: recorded" record -- sh -c 'if sh isrerun; then v=0.91; else v=0.9; fi; echo "{\"acc\": $v}" >"$HPS_METRICS"'
replay "metrics" 1 DIVERGED
is "metrics: place and values" "$(of metrics place): $(of metrics original), $(of metrics rerun)" "acc: 0.9, 0.91"
replay "metrics within a tolerance" 0 REPRODUCED-WITHIN --atol 0.02

# several reruns for one verdict
cat >noisy.py <<'S'
import json, os
json.dump({"acc": 0.9 + (int.from_bytes(os.urandom(2), "big") - 32768) * 1e-9}, open(os.environ["HPS_METRICS"], "w"))
S
ok "noisy: recorded" record --entropy off -- /usr/bin/python3 noisy.py
replay "noisy" 1 DIVERGED
replay "noisy: equivalent" 0 EQUIVALENT --equivalent 0.001
is "noisy: … by five reruns" "$(json "$T/out" "[(e['metric'], e['reruns'], e['equivalent'], float(e['low']) < float(e['high']) < 0.001) for e in j['equivalence']]")" "[('acc', 5, True, True)]"
replay "noisy: not within less than it moves" 1 DIVERGED --equivalent acc=1e-9
replay "noisy: too few say nothing" 4 INCONCLUSIVE --equivalent 0.001 --runs 3
ok "threads: recorded" record -- sh -c 'n=${MKL_NUM_THREADS:-3}; [ "$n" = 3 ] && sh isrerun && n=1; case $n in 1) echo "x,1.00000001";; *) echo "x,1.00000002";; esac >t.csv'
replay "calibrated" 0 REPRODUCED-WITHIN --calibrate 2
is "calibrated: the verdict says so" "$(json "$T/out" "(j['tolerance']['source'], j['tolerance']['calibration']['reruns'], 0 < float(j['tolerance']['rtol']) < 1e-6)")" "('calibrated', 2, True)"
ok "steady: recorded" record -- sh -c 'if sh isrerun && [ -z "${MKL_NUM_THREADS:-}${ONEDNN_MAX_CPU_ISA:-}" ]; then echo "x,2"; else echo "x,1"; fi >s.csv'
replay "calibrated: what nothing benign moves has no tolerance" 1 DIVERGED --calibrate 2

# what was there is there, as it was; what was not is not
mkdir old
printf 'one\n' >old/log
printf 'gone\n' >old/deleted
ok "before: recorded" record -- sh -c 'cat old/deleted >>old/log; rm old/deleted; mkdir new && echo n >new/file; mv old/log old/log2; ls old new >listing'
printf 'later\n' >old/log
printf 'later\n' >old/log3
replay "appended, deleted, made, renamed" 0 REPRODUCED-BITS
is "before: the host's files are left alone" "$(cat old/log old/log3 old/log2)" "$(printf 'later\nlater\none\ngone')"

mkdir mod
printf 'x = 1\n' >mod/helper.py
printf 'import sys; sys.path.insert(0, "mod"); import helper; open("m.out", "w").write(str(helper.x))\n' >main.py
env -u PYTHONDONTWRITEBYTECODE /usr/bin/python3 main.py
ok "module: recorded, its .pyc already there" record -- env -u PYTHONDONTWRITEBYTECODE /usr/bin/python3 main.py
sleep 0.01
printf 'x = 22222\n' >mod/helper.py
replay "a module edited since" 0 REPRODUCED-BITS
rm mod/helper.py
replay "a module deleted since" 0 REPRODUCED-BITS

pyc=own.$(/usr/bin/python3 -c 'import sys; print(sys.implementation.cache_tag)').pyc
# of a source that was there the time is as it was; of one that the trial wrote it is a stamp
ok "bytecode: recorded" record -- sh -c 'mkdir pkg; echo "x = 1" >pkg/own.py; /usr/bin/python3 -m compileall -q pkg'
ok "bytecode: of another, recorded" sh -c 'mkdir mod2; echo "x = 1" >mod2/there.py; hps-record -q --id-file "$1" -- /usr/bin/python3 -m compileall -q mod2' - "$T/other"
sleep 1.1
replay "bytecode of its own source" 0 REPRODUCED-VALUES
is "bytecode: the stamp is listed" "$(of "$pyc" verdict) $(of "$pyc" format) $(of "$pyc" masked)" "SAME-VALUES pyc [{'count': 1, 'first': 'source time', 'kind': 'time'}]"
replay "bytecode: times count" 1 DIVERGED --no-mask time
is "bytecode: the place" "$(of "$pyc" place)" "source time"
cp "$T/other" "$T/id"
replay "bytecode of a source that was there" 0 REPRODUCED-BITS

ln -s old link
ln -s link/log2 link2
ok "links: recorded" record -- sh -c 'cat link2 >l.out; readlink link2 >>l.out'
replay "links" 0 REPRODUCED-BITS

# standard files
printf 'in\n' >in
hps-record -q --id-file "$T/id" -- sh -c 'read x; echo "got $x"; echo "err $x" >&2' <in >so 2>>se
replay "standard input, output, error are files" 0 REPRODUCED-BITS
is "standard files: are outputs" "$(of so verdict) $(of se verdict)" "IDENTICAL IDENTICAL"
hps-record -q --id-file "$T/id" -- sh -c 'sh isrerun && echo more; echo out' >so 2>/dev/null
replay "standard output differs" 1 DIVERGED
is "standard output: place" "$(of so place)" "line 1"

# surroundings
ok "surroundings: recorded" record -- env -i PATH=/usr/bin:/bin OMP_NUM_THREADS=3 LC_ALL=C sh -c 'umask 027; env | sort | grep -v ^HPS_ >e; pwd >>e; id >>e; hostname >>e; umask >>e; : >m; stat -c %a m >>e'
replay "surroundings" 0 REPRODUCED-BITS
(umask 077 && record -- sh -c 'umask >u; : >v; stat -c %a v >>u')
replay "umask" 0 REPRODUCED-BITS
like "withheld variables are named" "$(DISPLAY=:7 hps-record -q --id-file "$T/id" -- sh -c 'echo x >y' && hps-replay --json "$(cat "$T/id")")" \
	'"what":"variable DISPLAY","why":"the record withholds its value'

# --keep
rm -rf kept
replay "keep" 0 REPRODUCED-BITS --keep kept
is "keep: the output" "$(cat "kept/files$T/w/y")" x

# a passphrase
printf 'a long enough passphrase\n' >pass
ok "passphrase: ledger" sh -c 'hps-ledger init --key-passphrase-fd 3 enc 3<pass'
HPS_LEDGER=$T/w/enc
ok "passphrase: recorded" sh -c "hps-record -q --id-file $T/id --key-passphrase-fd 3 -- sh -c 'echo x >y' 3<pass"
status "passphrase: replays" 0 sh -c "hps-replay --json --key-passphrase-fd 3 $(cat "$T/id") 3<pass"
is "passphrase: verdict" "$(json "$T/out" "j['verdict']")" REPRODUCED-BITS
status "passphrase: needed" 5 hps-replay "$(cat "$T/id")"
done_testing
