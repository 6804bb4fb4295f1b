#!/bin/sh
# A command does the same with and without the recorder: output, status, death, files, descriptors, job control.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger

status "status: not found is 127" 127 hps-record -- no-such-command-at-all
like "status: … and says so" "$(cat err)" "'no-such-command-at-all': command not found"
status "status: a path that is not there" 127 hps-record -- ./nosuch
: >plainfile
status "status: not executable is 126" 126 hps-record -- ./plainfile
status "status: a directory is 126" 126 hps-record -- /usr
is "status: … and is called that" "$(cat err)" "hps-record: '/usr': Is a directory"
ln -s endless endless
status "status: a link to itself is 127, as of sh" "$(sh -c ./endless 2>/dev/null; echo $?)" hps-record -- ./endless
is "status: … and is called that" "$(cat err)" "hps-record: './endless': Too many levels of symbolic links"
chmod 640 ledger/keys/redact.key
status "status: a key that others can read is not used" 125 hps-record -- true
like "status: … is said" "$(cat err)" "keys/redact.key.* nobody else can read; chmod 600 it"
chmod 600 ledger/keys/redact.key
printf '#!/no/such\n' >badscript && chmod +x badscript
status "status: an interpreter that is missing" 127 hps-record --id-file id -- ./badscript
is "status: … has a record" "$(rec "t['state'], t['exit']")" "('failed', {'code': 127})"
status "status: no command is our own error" 125 hps-record
status "status: an unknown option, too" 125 hps-record --nosuch -- true
status "status: a bad parameter" 125 hps-record --param x -- true
status "status: a bad capture" 125 hps-record --capture some -- true
before=$(hps-ledger list --json | grep -c '"index"')
status "status: nothing of these is in the ledger" 127 hps-record -- no-such-command-at-all
is "status: … counted" "$(hps-ledger list --json | grep -c '"index"')" "$before"

# --id-file replaced what is no file: a device, a pipe, a link.
mkfifo pipe
cat pipe >from-pipe &
status "id file: a pipe" 0 hps-record -q --id-file pipe -- true
wait $!
is "id file: … is written into" "$(wc -c <from-pipe) $(stat -c %F pipe)" "65 fifo"
echo old >target
ln -s target link
ln -s made dangling
status "id file: a link" 0 hps-record -q --id-file link -- true
is "id file: … stays, its target is written" "$(readlink link) $(wc -c <target)" "target 65"
status "id file: a link to nothing" 0 hps-record -q --id-file dangling -- true
is "id file: … makes its target" "$(readlink dangling) $(wc -c <made)" "made 65"
if [ "$(id -u)" = 0 ] && mknod null c 1 3 2>/dev/null && mknod full c 1 7 && : 2>/dev/null >null; then
	status "id file: a device" 0 hps-record -q --id-file null -- true
	is "id file: … stays one" "$(stat -c %F null)" "character special file"
	status "id file: a full device does not fail the trial" 3 hps-record -q --id-file full -- sh -c 'exit 3'
	like "id file: … and is named" "$(cat err)" "^hps-record: writing the id: writing into 'full': No space left on device$"
else
	skip "id file: a device" "no device can be made and opened here"
fi

hps-record -q --id-file id -- sh -c 'kill -9 $$'
is "death: the shell sees the signal" "$?" 137
is "death: recorded" "$(rec "t['state'], t['exit']")" "('killed', {'signal': 9})"
is "death: the recorder itself died so" "$(/usr/bin/python3 -c '
import subprocess
print(subprocess.run(["hps-record", "-q", "--", "sh", "-c", "kill -TERM $$"]).returncode)')" -15

# A signal for the recorder is for the command; twice loses nothing.
cat >stubborn.sh <<'SCRIPT'
trap 'echo int >>signals' INT
trap 'echo term >>signals; exit 5' TERM
: >ready
while :; do sleep 0.05; done
SCRIPT
/usr/bin/python3 -c 'import os, signal
signal.signal(signal.SIGINT, signal.SIG_DFL) # a shell starts what runs in the background deaf to it
os.execvp("hps-record", ["hps-record", "-q", "--id-file", "id", "--", "sh", "stubborn.sh"])' &
recorder=$!
i=0; until [ -e ready ] || [ $((i += 1)) -gt 500 ]; do sleep 0.02; done
kill -INT $recorder
wait_for() { i=0; until "$@" 2>/dev/null || [ $((i += 1)) -gt 500 ]; do sleep 0.02; done; }
wait_for grep -q int signals
kill -TERM $recorder
wait $recorder
is "signals: passed on; the command's status" "$?" 5
is "signals: the command saw both" "$(tr '\n' ' ' <signals)" "int term "
is "signals: recorded" "$(rec "t['exit']")" "{'code': 5}"

# A signal to the whole group (kill %1) or to each process of a job (a scheduler) comes to the command by itself. (Its handler ran twice.)
cat >counts.py <<'SCRIPT'
import os, signal, time
seen = []
for s in signal.SIGTERM, signal.SIGUSR1, signal.SIGCONT:
    signal.signal(s, lambda number, frame: seen.append(number))
open("ready", "w").close()
end = time.monotonic() + 20
while signal.SIGUSR1 not in seen and time.monotonic() < end:
    time.sleep(0.01)
time.sleep(0.2)
print(sorted(seen))
SCRIPT
cat >signal_all.py <<'SCRIPT'
import os, signal, subprocess, sys, time
if os.path.exists("ready"):
    os.unlink("ready")
p = subprocess.Popen(sys.argv[2:] + ["/usr/bin/python3", "counts.py"], start_new_session=True)
while not os.path.exists("ready"):
    time.sleep(0.01)
time.sleep(0.1)
for s in signal.SIGTERM, signal.SIGCONT, signal.SIGUSR1:
    {"group": os.killpg, "one": os.kill}[sys.argv[1]](p.pid, s)
    time.sleep(0.1)
p.wait()
SCRIPT
for to in group one; do
	is "signals: to $to, each once" "$(/usr/bin/python3 signal_all.py $to hps-record -q --id-file id --)" "$(/usr/bin/python3 signal_all.py $to env)"
	is "signals: to $to, on record" "$(rec "[(s['signal'], s['from']) for s in t['ending']['signals']]")" "[(15, 'process'), (10, 'process')]"
done
ok "negative control: a recorder that passes on what all were told" sh "$HPS_SOURCE/tests/broken.sh" hps-record recorder/reaper.c \
	's/|| told_to_all(r, i->ssi_signo, command)/|| (told_to_all(r, i->ssi_signo, command), 0)/' "$T/doubles"
like "negative control: … tells it twice" "$(for i in 1 2 3 4 5; do /usr/bin/python3 signal_all.py group "$T/doubles" -q --; done)" "15, 15"
# A command that has left the group is not told by those who tell the group. (It never heard of them.)
is "signals: to group, which the command has left" "$(timeout 60 /usr/bin/python3 signal_all.py group hps-record -q -- setsid)" "[10, 15, 18]"
# Whoever looks for the recorder by its name, command line or program file must not find what vouches for the command. (The signal was lost.)
cp "$(command -v hps-record)" "$T/sought.$$"
cat >ends.py <<'SCRIPT'
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *a: sys.exit(7))
open("ready", "w").close()
time.sleep(20)
SCRIPT
by_command_line() { pkill -TERM -f "^$T/sought"; }
by_name() { pkill -TERM -x "sought.$$"; }
by_program() { for p in /proc/[0-9]*; do [ "$(readlink "$p/exe")" != "$T/sought.$$" ] || kill -TERM "${p#/proc/}"; done 2>/dev/null; }
for by in command_line name $([ "$(id -u)" != 0 ] || echo program); do
	rm -f ready
	"$T/sought.$$" -q -- /usr/bin/python3 ends.py &
	recorder=$!
	wait_for test -e ready
	sleep 0.2
	by_$by
	wait $recorder
	is "signals: to all who are found by their $by" "$?" 7
done

# On a terminal: Ctrl-C reaches the command once, Ctrl-Z stops both, the command has the terminal.
cat >terminal.py <<'SCRIPT'
import os, pty, signal, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-ic", "hps-record -q --id-file id -- /usr/bin/python3 inside.py; echo status $?; fg; echo status $?"])
text = b""
def until(word):
    global text
    end = time.time() + 20
    while word not in text and time.time() < end:
        try:
            text += os.read(fd, 4096)
        except OSError:
            break
until(b"ready")
os.write(fd, b"\x03")
until(b"interrupted 1")
os.write(fd, b"\x1a")
until(b"status 148")
until(b"continued")
until(b"status 6")
for word in (b"tty True", b"interrupted 1", b"status 148", b"continued", b"status 6"):
    print(word.decode(), word in text)
SCRIPT
cat >inside.py <<'SCRIPT'
import os, signal, sys, time
seen = 0
def on_int(*a):
    global seen
    seen += 1
signal.signal(signal.SIGINT, on_int)
signal.signal(signal.SIGCONT, lambda *a: (print("continued", flush=True), os._exit(6)))
print("tty", os.isatty(0) and os.isatty(1) and os.tcgetpgrp(0) == os.getpgrp(), flush=True)
print("ready", flush=True)
while not seen:
    time.sleep(0.05)
time.sleep(0.3)
print("interrupted", seen, flush=True)
time.sleep(20)
SCRIPT
is "terminal: job control" "$(/usr/bin/python3 terminal.py | tr '\n' ';')" "tty True True;interrupted 1 True;status 148 True;continued True;status 6 True;"

# A command that stops itself: whoever waits sees it stop by the same signal, and either may be continued. (It hung.)
cat >stops.py <<'SCRIPT'
import os, signal, subprocess, sys, time
whom, by, *command = sys.argv[1:]
p = subprocess.Popen(command + ["sh", "-c", "echo $$ >stopped; kill -%s $$; cat /etc/hostname >/dev/null; exit 3" % by])
_, status = os.waitpid(p.pid, os.WUNTRACED)
print(os.WIFSTOPPED(status) and signal.Signals(os.WSTOPSIG(status)).name)
os.kill(p.pid if whom == "recorder" else int(open("stopped").read()), signal.SIGCONT)
print(os.waitpid(p.pid, 0)[1] >> 8)
SCRIPT
for by in STOP TSTP TTIN TTOU; do
	for whom in recorder command; do
		is "stop: SIG$by, then the $whom is continued" "$(timeout 20 /usr/bin/python3 stops.py $whom $by hps-record -q -- | tr '\n' ' ')" "SIG$by 3 "
	done
done

# Under a fast timer: with SA_RESTART nothing is interrupted; without, no call is made twice or by half (THREATS.md: it can be interrupted).
mkdir timer
n=${HPS_TEST_TIMER:-2000}
status "timer: SA_RESTART" 0 hps-record -q --capture none -- "$HPS_TRACEES/timer" timer "$n" restart
is "timer: … no call was interrupted" "$(cat out)" "interrupted 0 wrong 0"
status "timer: no SA_RESTART" 0 hps-record -q --capture none -- "$HPS_TRACEES/timer" timer "$n" plain
like "timer: … each interrupted call was not made" "$(cat out)" "wrong 0$"
ok "timer: … and few were" test "$(cut -d ' ' -f 2 out)" -lt $((n / 2))

# Closed descriptors and pipes.
status "closed: the command closes everything" 3 hps-record -q --id-file id -- "$HPS_TRACEES/closes" "$T/closed"
is "closed: and is recorded" "$(rec "products['$T/closed']['size']")" 7
hps-record -q --id-file id -- sh -c 'exec 3>&1; ls -l /proc/self/fd/0 >/dev/null 2>&1; echo $? >&3' 0<&- >out
is "closed: standard input stays closed for the command" "$(cat out)" 2
started=$(date +%s%N)
hps-record -q -- sh -c 'exec >&-; sleep 2' 2>/dev/null | { cat; date +%s%N >ended; }
is "pipe: the reader sees the end when the command closes" "$([ $((($(cat ended) - started) / 1000000)) -lt 1500 ] && echo early)" early
is "descriptor: an inherited one is the command's" "$(hps-record -q -- sh -c 'cat <&8' 8<<END
through eight
END
)" "through eight"
exec 9>lock
flock 9
hps-record -q --lock-fd 9 -- sh -c 'ls /proc/self/fd | grep -c "^9$"' >out
is "lock-fd: the command does not get it" "$(cat out)" 0
exec 9>&-

status "daemon: the record is closed after a grace time" 0 hps-record --id-file id -- "$HPS_TRACEES/daemon" 60 "$T/late"
like "daemon: the summary says that there are gaps" "$(cat err)" "coverage has gaps"
like "daemon: the gap" "$(rec gaps)" "'a process was still running when the record was closed': 1"
is "daemon: it was killed" "$(pgrep -f "daemon 60 $T" | wc -l)" 0
status "daemon: --wait waits" 0 hps-record -q --wait --id-file id -- "$HPS_TRACEES/daemon" 3 "$T/late"
is "daemon: … and records what it wrote" "$(rec "products['$T/late']['size'], t['coverage']['complete']")" "(5, True)"

is "summary: none with -q" "$(hps-record -q -- true 2>&1)" ""
# Where the id cannot be written is said before anything runs, not when the trial has ended.
mkdir -p taken
for file in nosuch/id taken; do
	status "id file: '$file' is refused" 125 hps-record --id-file "$file" -- touch ran
	like "id file: … by its name" "$(cat err)" "^hps-record: --id-file: '$file'"
	is "id file: … and nothing has run" "$(ls ran 2>/dev/null)" ""
done
ln -sf elsewhere linked
status "id file: where a link leads" 0 hps-record -q --id-file linked -- true
like "id file: … it is" "$(cat elsewhere)" "^[0-9a-f]{64}$"
status "id file: a device" 0 hps-record -q --id-file /dev/null -- true
like "summary: one line" "$(hps-record -- true 2>&1)" "^hps-record: recorded [0-9a-f]{12}: exit 0, [0-9]+ files read, [0-9]+ written, [0-9.]+ s; coverage complete$"
is "id: in the environment, and the file" "$(hps-record -q --id-file id -- sh -c 'echo ${#HPS_RECORD_ID}'; wc -c <id; rec "t['begin'] != '$(cat id)'")" "64
65
True"
ok "nested: runs, with a word about it" hps-record -q --id-file id -- sh -c 'hps-record --id-file inner -- sh -c "exit 6" 2>said; [ $? = 6 ]'
like "nested: what it says" "$(cat said)" "already inside the recording [0-9a-f]{12}"
is "nested: the command has no children of ours, nor those of others" "$(hps-record -q -- hps-record -q -- /usr/bin/python3 -c 'import ctypes, os
reaper = ctypes.c_int()
ctypes.CDLL(None).prctl(37, ctypes.byref(reaper)) # PR_GET_CHILD_SUBREAPER
print(reaper.value, open("/proc/self/task/%d/children" % os.getpid()).read().split())' 2>/dev/null)" "0 []"
# (A process of ours was left to process 1, which need not take it.)
is "witness: nothing is left of it" "$(/usr/bin/python3 -c 'import ctypes, os, subprocess
ctypes.CDLL(None).prctl(36, 1) # PR_SET_CHILD_SUBREAPER
subprocess.run(["hps-record", "-q", "--id-file", "inner", "--", "true"])
try: print(os.waitpid(-1, 0))
except ChildProcessError: print("none")')" none
is "nested: the command is in the outer record" "$(rec "['sh', '-c', 'exit 6'] in [p['argv'] for p in processes]")" True
ok "under strace: works" strace -f -o trace hps-record -q -- cat /etc/hostname
ok "ledger: verifies" hps-ledger verify
done_testing
