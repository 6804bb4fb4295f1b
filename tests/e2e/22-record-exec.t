#!/bin/sh
# Programs: who ran whom, with which arguments, from which bytes, and how each ended.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
printf '#!/bin/sh\n/bin/echo "script $1"\nexit 4\n' >script
printf '#!%s/script two\n' "$T" >nested
chmod +x script nested
status "script: its status" 4 hps-record -q --id-file "$T/id" -- ./script 'an argument'
is "script: its output" "$(cat out)" "script an argument"
is "script: a material, executed" "$(rec "materials['$T/script']['uses'], materials['$T/script']['digest']['sha256']")" "(['read', 'exec'], '$(sum script)')"
is "script: the interpreter" "$(rec "materials['$(readlink -f /bin/sh)']['uses']")" "['interpreter']"
is "script: the first process" "$(rec "processes[0]['program'], processes[0]['argv'], processes[0]['parent'], processes[0]['exit'], processes[0]['cwd']")" "('$T/script', ['./script', 'an argument'], -1, {'code': 4}, '$T')"
is "script: the second" "$(rec "processes[1]['program'], processes[1]['argv'], processes[1]['parent'], processes[1]['exit']")" "('/usr/bin/echo', ['/bin/echo', 'script an argument'], 0, {'code': 0})"
is "script: times in order" "$(rec "0 <= float(processes[0]['start']) <= float(processes[1]['start']) <= float(processes[1]['end']) <= float(processes[0]['end']) + 0.01")" True
status "script of a script" 4 hps-record -q --id-file "$T/id" -- ./nested
is "script of a script: both" "$(rec "materials['$T/nested']['uses'], materials['$T/script']['uses']")" "(['exec'], ['read', 'interpreter'])"

status "exec: in place" 0 hps-record -q --id-file "$T/id" -- sh -c 'exec /bin/echo x'
is "exec: two images of one process" "$(rec "[(p['program'], p['parent'], 'exit' in p) for p in processes]")" "[('/usr/bin/dash', -1, False), ('/usr/bin/echo', 0, True)]"

status "exec of the same program: run" 0 hps-record -q --id-file "$T/id" -- sh -c 'exec sh -c "sh -c true; :"'
is "exec of the same program: each" "$(rec "[(p['program'], p['parent']) for p in processes]")" "[('/usr/bin/dash', -1), ('/usr/bin/dash', 0), ('/usr/bin/dash', 1)]"
cat >again.py <<'END'
import os, subprocess, sys
long = [sys.executable, "a" * 200000]
def fails(call, *arguments):
    try:
        call(*arguments)
    except OSError:
        return
    sys.exit(9)
fails(os.execv, sys.executable, long)
pid = os.fork()
if not pid:
    fails(os.execv, sys.executable, long)
    os._exit(0)
os.waitpid(pid, 0)
fails(os.posix_spawn, sys.executable, long, {})
fails(subprocess.run, long)
subprocess.run([sys.executable, "-c", ""], check=True)
os.execv(sys.executable, [sys.executable, "-c", ""])
END
status "failed execs of the same program: run" 0 hps-record -q --id-file "$T/id" -- /usr/bin/python3 again.py
is "failed execs of the same program: those that were" "$(rec "[(p['parent'], p['argv'][1]) for p in processes]")" "[(-1, 'again.py'), (0, '-c'), (0, '-c')]"

for who in first second; do
	status "exec beside a thread that opens: by the $who" 0 hps-record -q --id-file "$T/id" -- "$HPS_TRACEES/execbeside" 50 $who "$T/script" /bin/echo ran
	is "exec beside a thread that opens: by the $who, each ran" "$(sort out | uniq -c | tr -s ' ')" " 50 ran"
	is "exec beside a thread that opens: by the $who, each is on record" "$(rec "sum((p['program'], p['argv'], p['cwd'], p.get('exit')) == ('/usr/bin/echo', ['/bin/echo', 'ran'], '$T', {'code': 0}) for p in processes), len(processes), gaps")" "(50, 51, {})"
done
status "exec beside an exit" 0 hps-record -q --id-file "$T/id" -- "$HPS_TRACEES/execbeside" 100 leaving "$T/script" /bin/echo ran
is "exec beside an exit: what ran is on record" "$(rec "len(processes)")" "$(($(wc -l <out) + 1))"

status "a first thread that has ended: run" 0 hps-record -q --id-file "$T/id" -- "$HPS_TRACEES/mainless" "$T/script" /bin/echo ran
is "a first thread that has ended: what the second did" "$(cat out) $(rec "materials['$T/script']['uses'], [(p['program'], p['argv'], p['cwd']) for p in processes[1:]], gaps")" \
	"ran (['read'], [('/usr/bin/echo', ['/bin/echo', 'ran'], '$T')], {})"

cat >beneath.py <<'END'
import ctypes, os
execveat, AT_EMPTY_PATH = 322, 0x1000
bin = os.open("/usr/bin", os.O_RDONLY)
ctypes.CDLL(None).syscall(execveat, bin, b"true", (ctypes.c_char_p * 3)(b"a", b"b", None), (ctypes.c_char_p * 1)(None), AT_EMPTY_PATH)
END
status "execveat beneath a descriptor: run" 0 hps-record -q --id-file "$T/id" -- /usr/bin/python3 beneath.py
is "execveat beneath a descriptor: what ran" "$(rec "processes[1]['program'], processes[1]['argv']")" "('/usr/bin/true', ['a', 'b'])"

mkdir -p move/b move/c
printf b >move/b/f
printf c >move/c/f
status "two threads change the directory: run" 0 hps-record -q --id-file "$T/id" -- "$HPS_TRACEES/movers" "$T/move" 100
is "two threads change the directory: relative names are those of the last" "$(cat out)" 0

status "memfd: run" 0 hps-record -q --id-file "$T/id" -- "$HPS_TRACEES/fexec" /bin/echo hello
is "memfd: its output" "$(cat out)" hello
is "memfd: the digest of what ran" "$(rec "[m['digest']['sha256'] for p, m in materials.items() if 'memfd:' in p]")" "['$(sum /bin/echo)']"

status "vfork beside a thread: run" 0 hps-record -q --id-file "$T/id" -- "$HPS_TRACEES/vforker" /bin/echo vforked
is "vfork beside a thread: both" "$(rec "[p['argv'][1] for p in processes[1:]]")" "['vforked', 'spawned']"
is "vfork beside a thread: nothing uncertain" "$(rec "t['coverage']['gaps']")" "[]"

mkdir -p here/deep
status "directories: run" 0 hps-record -q --id-file "$T/id" -- sh -c '/bin/true; cd here; /bin/true; (cd deep; /bin/true); /bin/true; /bin/mv ../here ../there
	/bin/true; /usr/bin/python3 -c "import os, subprocess
for d in (\"deep\", None): subprocess.run([\"/bin/true\"], cwd=d)
os.chdir(\"deep\")
subprocess.run([\"/bin/true\"])"; exec env -C deep /bin/true'
is "directories: of each program, however it came there" "$(rec "[p['cwd'][len('$T'):] for p in processes]")" \
	"['', '', '/here', '/here/deep', '/here', '/here', '/there', '/there', '/there/deep', '/there', '/there/deep', '/there', '/there/deep']"

status "signals: a child's death" 0 hps-record -q --id-file "$T/id" -- sh -c '/usr/bin/python3 -c "import os; os.kill(os.getpid(), 9)" || true'
is "signals: recorded" "$(rec "processes[1]['exit']")" "{'signal': 9}"

head -c 200000 /dev/zero | tr '\0' a >long
status "arguments: a long one" 0 hps-record -q --id-file "$T/id" -- sh -c '/usr/bin/printf %s "$(head -c 100000 long)" | wc -c'
is "arguments: unchanged for the program" "$(cat out)" 100000
is "arguments: cut in the record" "$(rec "[len(a) for p in processes for a in p['argv'] if a.startswith('aaa')]")" "[4096]"
is "arguments: two hundred" "$(hps-record -q --id-file "$T/id" -- sh -c 'exec /bin/echo "$@"' x $(seq 200) | wc -w; rec "len(processes[1]['argv'])")" "200
201"

cat >tree.sh <<'END'
#!/bin/sh
MY_TEST_SET=x /usr/bin/python3 -c 'import threading, time; time.sleep(0.1)
for i in range(3):
    threading.Thread(target=lambda: sum(range(2000000))).start()'
(:)
exec env -u MY_TEST_GONE LANG=C.UTF-8 /bin/true
END
chmod +x tree.sh
status "tree: run" 0 env MY_TEST_GONE=1 LANG=C hps-record -q --id-file "$T/id" -- ./tree.sh
is "tree: the interpreter of the script alone" "$(rec "[p.get('interpreter') for p in processes]")" "['$(readlink -f /bin/sh)', None, None, None]"
is "tree: what the environment gained and lost, redacted" "$(rec "[(sorted(p.get('environmentDigests', [])), p.get('environment'), p.get('environmentRemoved')) for p in processes]")" \
	"[([], None, None), (['MY_TEST_SET'], None, None), ([], None, None), ([], {'LANG': 'C.UTF-8'}, ['MY_TEST_GONE'])]"
is "tree: threads, forks, time and memory of each" "$(rec "processes[1]['threads'], processes[0]['forks'], float(processes[1]['cpuSeconds']) > 0.01, processes[1]['maxRssBytes'] > 1 << 20")" "(3, 1, True, True)"
is "tree: why it is complete" "$(rec "[e['listenerEnded'] and e['hashed'] and e['treeEnded'] and e['notices'] == e['answers'] > 0 and e['executionsConfirmed'] == e['executions'] == 4 for e in [t['coverage']['evidence']]], t['coverage']['complete']")" "([True], True)"

printf '\177ELF\001\001\001' >elf32
head -c 100 /dev/zero >>elf32
chmod +x elf32
status "a 32-bit program is refused" 126 hps-record -q --id-file "$T/id" -- sh -c './elf32'
like "a 32-bit program: the gap" "$(rec gaps)" "another ABI"

status "seeds" 0 env PYTHONHASHSEED=3 hps-record -q --id-file "$T/id" --seed 9 -- sh -c : x --seed=7 random_state=5
is "seeds: with their origins" "$(rec "sorted((s['name'], s['value'], s['origin']) for s in t['seeds'])")" "[('--seed', '7', 'argv'), ('--seed', '9', 'option'), ('PYTHONHASHSEED', '3', 'environment'), ('random_state', '5', 'argv')]"
status "python: distributions" 0 hps-record -q --id-file "$T/id" -- /usr/bin/python3 -c 'import numpy'
is "python: numpy is one" "$(rec "python['numpy']['version'] == __import__('importlib.metadata').metadata.version('numpy')")" True
is "python: its library has a package" "$(rec "[l['package'].split()[0] for l in manifests['libraries']['items'] if l['path'].endswith('_multiarray_umath.cpython-311-x86_64-linux-gnu.so')]")" "['python3-numpy']"
is "python: nothing is missing" "$(rec "t['coverage']['complete']")" True
ok "ledger: verifies" hps-ledger verify
done_testing
