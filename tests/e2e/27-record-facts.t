#!/bin/sh
# Metrics, data sets, repository, parameters, machine: what a record says besides files.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
identity() { rec "[i.get('value', i.get('why')) for i in t['identities'] if i['name'] == '$1']"; }

status "metrics: run" 0 hps-record -q --id-file id --metrics more.json --study s --number 3 --param lr=0.10 --param 'note=a=b' -- sh -c '
	echo "{\"loss\": 0.25, \"nested\": {\"acc\": 1, \"name\": \"x\"}, \"flag\": true}" >"$HPS_METRICS"; printf "{\"step\": 1, \"auc\": 0.5}\n{\"step\": 2, \"auc\": 0.75}\n" >more.json'
is "metrics: values as decimal strings" "$(rec "sorted(t['metrics'].items())")" "[('auc', '0.75'), ('loss', '0.25'), ('nested.acc', '1'), ('step', '2')]"
is "metrics: where they were" "$(rec "t['metricsPath'] in products, __import__('os').path.exists(t['metricsPath'])")" "(True, False)"
is "parameters: as given" "$(rec "t['buildDefinition']['externalParameters']['params']")" "{'lr': '0.10', 'note': 'a=b'}"
is "study and number" "$(rec "t['study'], t['number'], t['state']")" "('s', 3, 'complete')"
is "begin: the same" "$(hps-ledger show "$(rec "t['begin']")" --json >b; json b "(lambda p: (p['study'], p['number'], p['params']['lr'], p['command'][0], p['counter'], p['cwd'] == '$T', len(p['recorder']['digest'])))(j['statement']['predicate'])")" "('s', 3, '0.10', 'sh', 0, True, 64)"
is "begin: comes first" "$(hps-ledger list --json >l; json l "[e['kind'] for e in j['entries']]")" "['begin', 'trial']"
status "metrics: behind a hole, as a log that was emptied while it was written to" 0 hps-record --id-file id -- sh -c 'head -c 40 /dev/zero >"$HPS_METRICS"; echo "{\"loss\": 1}" >>"$HPS_METRICS"'
like "metrics: … are none, and that is said" "$(cat err)" "NUL byte.*; the trial is recorded without them"
like "metrics: … and is a gap" "$(rec gaps)" "'a file of metrics could not be used': 1"
status "metrics: bad ones do not fail the trial" 0 hps-record --id-file id -- sh -c 'echo "{no json" >"$HPS_METRICS"'
like "metrics: … are said" "$(cat err)" "reading the metrics"
like "metrics: … and a gap" "$(rec gaps)" "'a file of metrics could not be used': 1"
status "metrics: a missing file of --metrics" 0 hps-record --id-file id --metrics nosuch -- true
like "metrics: … is said" "$(cat err)" "nosuch"

# Python's json writes NaN for a training that diverged.
cat >diverged.py <<'END'
import json, math, os
json.dump({"loss": math.nan, "up": math.inf, "val": {"down": -math.inf, "acc": 0.5}, "name": '"NaN" \\ NaN', "NaN": 3}, open(os.environ["HPS_METRICS"], "w"))
open("lines.json", "w").write('{"step": 1, "last": 2, "c": nan}\n{"huge": 1e400, "last": -1e400, "whole": 1' + "0" * 30 + ', "digits": ' + "9" * 350 + '}\n{"step": 2}\n')
END
status "not finite: run" 0 hps-record -q --id-file id --metrics lines.json -- /usr/bin/python3 diverged.py
is "not finite: nothing is said" "$(cat err)" ""
is "not finite: the other metrics are kept, these by name" "$(rec "sorted(t['metrics'].items())")" \
	"[('NaN', '3'), ('c', 'NaN'), ('digits', 'Infinity'), ('huge', 'Infinity'), ('last', '-Infinity'), ('loss', 'NaN'), ('step', '2'), ('up', 'Infinity'), ('val.acc', '0.5'), ('val.down', '-Infinity'), ('whole', '1e+30')]"
is "not finite: no gap" "$(rec gaps)" "{}"
status "not finite: a part of a file" 0 hps-record -q --id-file id --metrics part.json:/final/loss -- sh -c 'echo "{\"final\": {\"loss\": -Infinity}}" >part.json'
is "not finite: … is kept, too" "$(rec "t['metrics']")" "{'loss': '-Infinity'}"
status "not finite: what is no JSON otherwise is none" 0 hps-record --id-file id -- sh -c 'echo "{\"a\": NaN, \"b\": }" >"$HPS_METRICS"'
like "not finite: … as before" "$(rec gaps)" "'a file of metrics could not be used': 1"

# What the recorder says goes into the command's standard error, which may be a file: its own words are no change by others.
hps-record -q --id-file id --metrics nosuch -- sh -c 'echo said >&2; echo "{no json" >"$HPS_METRICS"' 2>stderr.log
is "own words: only the metrics are a gap" "$(rec gaps)" "{'a file of metrics could not be used': 2}"
is "own words: … and are said" "$(grep -c 'recorded without them' stderr.log)" 2
is "own words: the file is what the command wrote" "$(rec "products['$T/stderr.log']['digest']['sha256']")" "$(printf 'said\n' | sha256sum | cut -d ' ' -f 1)"

mkdir -p data/deep
printf a >data/b; printf cc >data/a; printf ddd >data/deep/x
status "data set: run" 0 hps-record -q --id-file id --dataset "train=data" --dataset data/a -- true
expected=$(cd data && find . -type f | sed 's,^\./,,' | LC_ALL=C sort | while read -r f; do printf '%s  %s\n' "$(sha256sum <"$f" | cut -d ' ' -f 1)" "$f"; done | sha256sum | cut -d ' ' -f 1)
is "data set: name and size" "$(rec "[(d['name'], d['annotations']['files'], d['annotations']['bytes'], d['annotations']['path']) for d in t['buildDefinition']['resolvedDependencies'] if 'annotations' in d]")" "[('train', 3, 6, '$T/data'), ('data/a', 1, 2, '$T/data/a')]"
is "data set: dirHash by other tools" "$(rec "[d['digest']['dirHash'] for d in t['buildDefinition']['resolvedDependencies'] if d['name'] == 'train'][0]")" "$expected"
old=$(rec "[d['digest']['sha256'] for d in t['buildDefinition']['resolvedDependencies'] if d['name'] == 'train'][0]")
cat >oracle.py <<'PY'
import hashlib, os, sys
def sha(b): return hashlib.sha256(b).digest()
top, lines = sys.argv[1], []
for d, _, names in os.walk(top):
    for n in names:
        p = os.path.join(d, n)
        b = os.readlink(p).encode() if os.path.islink(p) else open(p, "rb").read()
        kind = "l-" if os.path.islink(p) else "fx" if os.stat(p).st_mode & 0o100 else "f-"
        r = os.path.relpath(p, top).encode()
        lines.append((r, b"%s %d:%s %d %s\n" % (kind.encode(), len(r), r, len(b), sha(b).hex().encode())))
records = [l for _, l in sorted(lines)]
def root(h):
    if len(h) == 1: return h[0]
    k = 1
    while k * 2 < len(h): k *= 2
    return sha(b"\1" + root(h[:k]) + root(h[k:]))
print(sha(b"hps.tree/1\n" + b"".join(records)).hex(), root([sha(b"\0" + r) for r in records]).hex())
PY
is "data set: the other digests by another program" "$(rec "[d['digest']['sha256'] + ' ' + d['digest']['merkle'] for d in t['buildDefinition']['resolvedDependencies'] if d['name'] == 'train'][0]")" "$(/usr/bin/python3 oracle.py data)"
status "data set: alone" 0 hps-record dataset --json data
is "data set: … gives the same" "$(json out "(j['schema'], j['files'], j['bytes'], j['digest']['sha256'] + ' ' + j['digest']['merkle'], j['digest']['dirHash'])")" "('hps.dataset/1', 3, 6, '$(/usr/bin/python3 oracle.py data)', '$expected')"
status "data set: … for people" 0 hps-record dataset data/a
like "data set: … with its digest" "$(cat out)" "^sha256   [0-9a-f]{64}$"
status "data set: … that is not there" 4 hps-record dataset nosuch
status "data set: … usage" 2 hps-record dataset
status "data set: a command of that name" 127 hps-record -- dataset nosuch
mkdir -p found/cat found/dog
for i in 1 2 3 4 5 6 7 8 9; do echo "cat $i" >found/cat/$i; mkdir -p classes/$i; echo $i >classes/$i/x; done
head -c 70000 /dev/zero >found/dog/big
echo 1 >found/dog/other
status "data set: not declared" 0 hps-record -q --id-file id -- sh -c 'cat found/cat/* found/dog/big classes/*/x >/dev/null'
is "data set: … is detected, with what was read of it" "$(rec "sorted((d['name'][len('detected:$T/'):], d['annotations']['files'], d['annotations']['detected']) for d in t['buildDefinition']['resolvedDependencies'] if 'annotations' in d)")" "[('classes', 9, True), ('found/cat', 9, True), ('found/dog', 1, True)]"
is "data set: … with the same digests as if it were declared" "$(rec "[d['digest']['sha256'] + ' ' + d['digest']['merkle'] for d in t['buildDefinition']['resolvedDependencies'] if d['name'] == 'detected:$T/found/cat'][0]")" "$(/usr/bin/python3 oracle.py found/cat)"
status "data set: one that is not there is refused before the start" 125 hps-record --dataset nosuch -- sh -c ': >ran'
not_ok "data set: … nothing ran" test -e ran
printf A >data/b
status "data set: changed" 0 hps-record -q --id-file id --dataset "train=data" -- true
is "data set: another digest" "$(rec "[d['digest']['sha256'] for d in t['buildDefinition']['resolvedDependencies'] if d['name'] == 'train'][0] != '$old'")" True

status "no repository" 0 hps-record -q --id-file id -- true
like "no repository: said" "$(identity git.commit)" "not in a git repository"
git init -q repo && cd repo && git config user.email a@example.org && git config user.name a && echo 'print(1)' >t.py && git add t.py && git -c commit.gpgsign=false commit -q -m m
commit=$(git rev-parse HEAD)
status "repository: clean" 0 hps-record -q --id-file "$T/id" -- /usr/bin/python3 t.py
is "repository: commit and state" "$(identity git.commit)$(identity git.dirty)" "['$commit']['false']"
echo 'print(2)' >t.py
cd ..
status "repository: by the script's folder, changed" 0 hps-record -q --id-file id -- /usr/bin/python3 repo/t.py
is "repository: dirty, with a digest of the changes" "$(identity git.commit)$(identity git.dirty)$(rec "[len(i['value']) for i in t['identities'] if i['name'] == 'git.diff']")" "['$commit']['true'][64]"

status "repository: by the script behind a launcher" 0 hps-record -q --id-file id -- env -u NOTHING /usr/bin/python3 -u repo/t.py
is "repository: … is the script's" "$(identity git.commit)" "['$commit']"
mkdir -p fresh/sub && git init -q fresh
status "repository: without a commit" 0 sh -c 'cd fresh/sub && hps-record -q --id-file ../../id -- true'
is "repository: … is said, and where it is" "$(identity git.commit)" "[\"the repository at '$T/fresh' has no commit, or cannot be read\"]"
if [ "$(id -u)" = 0 ]; then
	cp -r repo others && chown -R 65534 others
	status "repository: another user's" 0 sh -c 'cd others && hps-record -q --id-file ../id -- true'
	like "repository: … is said, and what to do" "$(identity git.commit)" "git refuses the repository at '$T/others', which is another user's: git config --global --add safe.directory '$T/others'"
fi

mkdir -p site-packages/mod site-packages/mod-1.5.dist-info
echo 'x = 1' >site-packages/mod/__init__.py
printf 'Name: mod\nVersion: 1.5\n' >site-packages/mod-1.5.dist-info/METADATA
printf 'mod/__init__.py,sha256=%s,6\nmod/__pycache__/__init__.cpython-311.pyc,,\n' "$(openssl sha256 -binary <site-packages/mod/__init__.py | basenc --base64url | tr -d =)" >site-packages/mod-1.5.dist-info/RECORD
status "packages: run" 0 env PYTHONPATH=site-packages hps-record -q --id-file id -- /usr/bin/python3 -c 'import mod, zlib'
is "packages: the C library is libc6's and unchanged" "$(rec "(lambda l: (l['package'].split()[0], l['packageManager'], l['pristine'], l['version']))(libraries['libc.so.6'])")" "('libc6', 'dpkg', True, '6')"
is "packages: everything below /usr that has a checksum is as it was packaged" "$(rec "[m['path'] for m in materials.values() if m.get('pristine') is False]")" "[]"
is "packages: a wheel's file by RECORD" "$(rec "(lambda m: (m['package'], m['packageManager'], m['pristine'], m['stored']))(materials['$T/site-packages/mod/__init__.py'])")" "('mod 1.5', 'wheel', True, True)"
is "python: the distribution is as it was packaged" "$(rec "python['mod']['version'], python['mod']['pristine'], python['mod']['filesEqual']")" "('1.5', True, 1)"
is "python: the interpreter" "$(identity python.interpreter)" "['$(readlink -f /usr/bin/python3)']"
is "python: its version" "$(identity python.version)" "['$(/usr/bin/python3 -c 'import platform; print(platform.python_version())')']"
# Compiled code: the interpreter believes the time and size in it.
printf 'y = 2\nassert y\nif y == (1, 2.0):\n    print({"a", "b"})\n\n\ndef f():\n    return [g for g in (1, 2)]\n' >site-packages/mod/part.py
printf 'mod/part.py,sha256=%s,\n' "$(openssl sha256 -binary <site-packages/mod/part.py | basenc --base64url | tr -d =)" >>site-packages/mod-1.5.dist-info/RECORD
with_mod() {
	env -u PYTHONDONTWRITEBYTECODE PYTHONPATH=site-packages hps-record -q --id-file id -- /usr/bin/python3 $level -c 'import mod, mod.part'
}
level=
decided() { # on a machine that is busy the time for it may not be enough at once
	for k in 1 2 3 4 5 6; do
		with_mod || return
		[ "$(rec "python['mod'].get('bytecodeUnchecked', 0)")" = 0 ] && return
	done
}
env -u PYTHONDONTWRITEBYTECODE PYTHONPATH=site-packages /usr/bin/python3 -c 'import mod, mod.part'
status "bytecode: run" 0 decided
is "bytecode: compiled from the distribution's sources" "$(rec "python['mod'].get('pristine'), python['mod'].get('filesEqual'), 'modified' in python['mod'], '$T/site-packages/mod/part.py' in materials")" "(True, 2, False, False)"
level=-O
env -u PYTHONDONTWRITEBYTECODE PYTHONPATH=site-packages /usr/bin/python3 -O -c 'import mod, mod.part'
status "bytecode: without assertions, run" 0 decided
is "bytecode: … is what that compiles to" "$(rec "python['mod'].get('pristine')")" True
level=
for f in site-packages/mod/__pycache__/part.*.opt-1.pyc; do cp "$f" "${f%.opt-1.pyc}.pyc"; done
status "bytecode: … where they are expected, run" 0 decided
is "bytecode: … it is another, whatever was remembered" "$(rec "python['mod'].get('pristine'), len(python['mod'].get('modified', []))")" "(False, 1)"
cat >replace.py <<'END'
import importlib.util, marshal, sys
path = importlib.util.cache_from_source(sys.argv[1])
data = open(path, "rb").read()
open(path, "wb").write(data[:16] + marshal.dumps(compile("y = 3\n", sys.argv[1], "exec")))
END
/usr/bin/python3 replace.py site-packages/mod/part.py
is "bytecode: replaced, it is what Python runs" "$(PYTHONPATH=site-packages /usr/bin/python3 -c 'import mod.part; print(mod.part.y)')" 3
status "bytecode: … run" 0 decided
is "bytecode: … and it is seen" "$(rec "python['mod'].get('pristine'), python['mod'].get('modified')")" "(False, ['$T/site-packages/mod/__pycache__/part.$(/usr/bin/python3 -c 'import sys; print(sys.implementation.cache_tag)').pyc'])"
# What the trial calls python3 is asked when it has ended, not while it can make something of that; a package's is asked at once. What one says is nobody else's word.
# (It was run beside the trial, unrecorded; and its word was remembered for all.)
mkdir liar
cp "$(readlink -f /usr/bin/python3)" liar/snake
cat >liar/python3 <<END
#!/bin/sh
[ "\$1" != -I ] || { : >'$T/asked'; printf '=%.0s' \$(seq 99); exit; }
exec '$T/liar/snake' "\$@"
END
chmod +x liar/python3
with_cache() { env -u PYTHONDONTWRITEBYTECODE XDG_CACHE_HOME="$T/$1" PYTHONPATH=site-packages hps-record -q --id-file id -- sh -c "$2"; }
status "bytecode: a package's interpreter, run" 0 with_cache honest '/usr/bin/python3 -c "import mod, mod.part"; for i in $(seq 200); do [ ! -e honest/hps/bytecode ] || { echo early; exit; }; sleep 0.1; done'
is "bytecode: … is asked while the trial runs" "$(cat out)" early
status "bytecode: the trial's own interpreter, run" 0 with_cache lied 'liar/python3 -c "import mod, mod.part"; sleep 3; [ ! -e asked ] || echo early'
is "bytecode: … is not asked while the trial runs" "$(cat out)" ""
ok "bytecode: … but when it has ended" test -e asked
status "bytecode: after a lie, another interpreter, run" 0 with_cache lied '/usr/bin/python3 -c "import mod, mod.part"; sleep 1'
is "bytecode: … says what is true" "$(rec "python['mod'].get('pristine')")" False
rm -rf site-packages/mod/__pycache__ site-packages/mod/part.py
mkdir -p site-packages/mod/__pycache__
echo pretends >site-packages/mod/__pycache__/__init__.cpython-311.pyc
status "bytecode: read by no interpreter" 0 hps-record -q --id-file id -- cat site-packages/mod/__pycache__/__init__.cpython-311.pyc
is "bytecode: … is not called anything" "$(rec "'pristine' in python['mod'], python['mod']['bytecodeUnchecked']")" "(False, 1)"
rm -rf site-packages/mod/__pycache__
echo 'x = 2' >site-packages/mod/__init__.py
status "packages: run after an edit in place" 0 env PYTHONPATH=site-packages hps-record -q --id-file id -- /usr/bin/python3 -c 'import mod'
is "python: the edit is seen" "$(rec "python['mod']['pristine'], python['mod']['modified']")" "(False, ['$T/site-packages/mod/__init__.py'])"

is "machine: cpu, kernel, memory, libc" "$(rec "[n for n in ('cpu.model', 'cpu.isa', 'kernel.release', 'memory.total', 'libc.version', 'host.name', 'user.name') if not any(i['name'] == n and i.get('value') for i in t['identities'])]")" "[]"
is "machine: kernel.release" "$(identity kernel.release)" "['$(uname -r)']"
is "machine: processor, limits, job: a value or why there is none" "$(rec "[n for n in ('cpu.microcode', 'cpu.count', 'limits.cores', 'limits.memoryBytes', 'numa.nodes', 'clock.source', 'scheduler') if not any(i['name'].startswith(n) and ('value' in i or i.get('why')) for i in t['identities'])]")" "[]"
is "machine: the cores it may use" "$(identity cpu.allowed)" "['$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)']"
is "machine: every row is whole" "$(rec "[i for i in t['identities'] if not (i.keys() == {'name', 'value', 'source', 'strength'} or (i.keys() == {'name', 'missing', 'why'} and i['why']))]")" "[]"
status "job: run" 0 env SLURM_JOB_ID=12 SLURM_ARRAY_TASK_ID=3 hps-record -q --id-file id -- true
is "job: Slurm's" "$(identity scheduler.SLURM_JOB_ID)$(identity scheduler.SLURM_ARRAY_TASK_ID)" "['12']['3']"
is "machine: a GPU or why there is none" "$(rec "any(i['name'].startswith('gpu') for i in t['identities'])")" True
if [ -c /dev/dri/renderD128 ] || [ -c /dev/nvidia0 ]; then
	skip "gpu: a stand-in" "this machine has a real one"
else
	[ -f "$HPS_BUILD/stubs/libnvidia-ml.so.1" ] || make -s -C "$HPS_SOURCE" "${HPS_BUILD#"$HPS_SOURCE"/}/stubs/libnvidia-ml.so.1" >/dev/null
	status "gpu: run with a stand-in of the driver's library" 0 env CUDA_VISIBLE_DEVICES=0 LD_LIBRARY_PATH="$HPS_BUILD/stubs" hps-record -q --id-file id -- true
	is "gpu: present, and not opened" "$(identity gpu.0.uuid)$(identity gpu.0.opened)$(identity gpu.1.mig.2.uuid)" "['GPU-aaaaaaaa-0000']['false']['MIG-11111111-2222']"
	is "gpu: its state before and after" "$(identity gpu.0.before.smClockMHz)$(identity gpu.0.after.eccUncorrected)" "['1001']['0']"
	is "gpu: what was declared" "$(identity gpu.visible.CUDA_VISIBLE_DEVICES)" "['0']"
fi
status "container: handed over" 0 env HPS_IMAGE=example.org/t@sha256:$(printf '%064d' 7) hps-record -q --id-file id -- true
is "container: … is declared" "$(rec "[(i['value'][:21], i['strength']) for i in t['identities'] if i['name'] == 'container.image']")" "[('example.org/t@sha256:', 'declared')]"
status "container: an engine that is not there does not fail the trial" 0 hps-record -q --id-file id --engine "$T/nosuch.sock" -- true
like "container: … and is said" "$(identity container.engineAnswer)" "."
status "threads: run" 0 env OMP_NUM_THREADS=3 hps-record -q --id-file id -- /usr/bin/python3 -c 'import ctypes; ctypes.CDLL("libgomp.so.1")'
is "threads: of OpenMP, by the library and the variable" "$(rec "[(i['value'], i['source'], i['strength']) for i in t['identities'] if i['name'] == 'openmp.0.threads']")" "[('3', 'OMP_NUM_THREADS', 'declared')]"
is "recorder: its self-test" "$(identity recorder.selftest)" "['passed']"
is "resources: there" "$(rec "float(t['resources']['wallSeconds']) > 0, t['resources']['maxRssBytes'] > 1000000, 1000000 < t['resources']['recorderMaxRssBytes'] < 64 << 20")" "(True, True, True)"
is "run: SLSA shape" "$(rec "t['runDetails']['builder']['id'], t['runDetails']['metadata']['invocationId'] == t['begin'], t['runDetails']['metadata']['startedOn'] <= t['runDetails']['metadata']['finishedOn']")" "('urn:hps:recorder:v1', True, True)"
ok "ledger: verifies" hps-ledger verify
# Whoever starts us may have been large: that is not our memory.
status "memory: started by a large process" 0 /usr/bin/python3 -c 'import os, sys
b = b"x" * (200 << 20)
os.execvp("hps-record", ["hps-record", "-q", "--id-file", "id", "--", "true"])'
is "memory: the recorder's own" "$(rec "0 < t['resources']['recorderMaxRssBytes'] < 100 << 20")" True

# With nothing in the caches: what packages say of the files is found out while a trial runs that leaves a processor for it.
owned() { rec "sorted((i['path'], i.get('package'), i.get('pristine')) for i in manifests['materials']['items'] if i['path'].startswith('/usr/'))"; }
rm -rf "$XDG_CACHE_HOME"
status "ahead: a trial that waits for it" 0 hps-record -q --id-file id -- /usr/bin/python3 -c '
import email.mime.text, json, os, time
until = time.monotonic() + 60
while not os.path.exists(os.environ["XDG_CACHE_HOME"] + "/hps/owners"):
    assert time.monotonic() < until
    time.sleep(0.05)'
owned >ahead
is "ahead: the interpreter is its package's, and as that brought it" "$(grep -o "'/usr/bin/python3.11', 'python3.11-minimal [^']*', True" ahead | sed 's/minimal .*, /minimal, /')" "'/usr/bin/python3.11', 'python3.11-minimal, True"
status "ahead: the same again" 0 hps-record -q --id-file id -- /usr/bin/python3 -c 'import email.mime.text, json, os, time'
owned >again
is "ahead: … says the same" "$(cat ahead)" "$(cat again)"

done_testing
