#!/bin/sh
# Ways around a recorder: each leads to the file's record, is refused, or makes the record say that it is not complete.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
fact() {
	is "$1" "$(rec "$2")" "$3"
}
echo secret >secret
digest=$(sum secret)

# A descriptor from outside: by a socket that the trial connects to, or that it has from the start.
cat >pass.py <<'END'
import array, os, socket, subprocess, sys
how, recorder, receive = sys.argv[1], sys.argv[2].split(), sys.argv[3]
fd = os.open("secret", os.O_RDONLY)
right = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
if how == "connected":
    server = socket.socket(socket.AF_UNIX)
    server.bind("socket")
    server.listen()
    trial = subprocess.Popen(recorder + [receive, "socket"])
    end = server.accept()[0]
else:
    end, other = socket.socketpair()
    trial = subprocess.Popen(recorder + [receive, "-%d" % other.fileno()], pass_fds=[other.fileno()])
end.sendmsg([b"x"], right)
sys.exit(trial.wait())
END
for how in connected inherited; do
	status "a passed descriptor, $how: run" 0 /usr/bin/python3 pass.py $how "hps-record -q --id-file id --" "$HPS_TRACEES/receive"
	is "a passed descriptor, $how: it works" "$(cat out)" secret
	fact "a passed descriptor, $how: the record is not complete" "'$T/secret' in materials, list(gaps), t['coverage']['complete']" "(False, ['a socket of another program was connected to'], False)"
done
status "a descriptor of one's own, passed" 0 hps-record -q --id-file id -- /usr/bin/python3 pass.py inherited "" "$HPS_TRACEES/receive"
fact "a descriptor of one's own, passed: its open was seen" "materials['$T/secret']['digest']['sha256'], gaps" "('$digest', {})"

cat >nameless.py <<'END'
import os, subprocess, sys
memory, gone = os.memfd_create("data"), os.open("gone", os.O_RDWR | os.O_CREAT)
os.unlink("gone")
for fd in memory, gone:
    os.write(fd, b"secret\n")
    os.lseek(fd, 0, 0)
sys.exit(subprocess.run(["hps-record", "-q", "--id-file", "id", "--", "sh", "-c", "cat <&%d; cat <&%d" % (memory, gone)], pass_fds=[memory, gone]).returncode)
END
status "inherited, without a name: run" 0 /usr/bin/python3 nameless.py
fact "inherited, without a name: hashed" "[materials[p]['digest']['sha256'] for p in ('/memfd:data', '$T/gone')], '$T/gone' in products" "(['$digest', '$digest'], False)"

status "a rewritten call: run" 0 hps-record -q --id-file id -- "$HPS_TRACEES/rewrite" "$T/secret"
is "a rewritten call: it works" "$(cat out)" secret
fact "a rewritten call: seen" "materials['$T/secret']['digest']['sha256'], gaps" "('$digest', {})"
status "a tracer inside: run" 0 hps-record -q --id-file id -- strace -f -o trace cat secret
fact "a tracer inside: seen" "materials['$T/secret']['digest']['sha256'], gaps" "('$digest', {})"
like "a tracer inside: works" "$(cat trace)" 'openat.*"secret"'
# The kernel asks one filter alone: a tracer that waits for its own is not told of the recorded calls.
told='a tracer inside the trial is not told of the calls that are recorded'
if strace --seccomp-bpf -f -o trace true 2>/dev/null; then
	status "a tracer with a filter: run" 0 hps-record -q --id-file id -- strace --seccomp-bpf -f -e trace=openat -o trace cat secret
	is "a tracer with a filter: is not told" "$(grep -c '"secret"' trace)" 0
	fact "a tracer with a filter: seen by us, and said" "materials['$T/secret']['digest']['sha256'], list(gaps), t['coverage']['complete']" "('$digest', ['$told'], True)"
else
	skip "a tracer with a filter" "this strace has none"
fi
status "a debugger inside: run" 0 hps-record -q --id-file id -- gdb -q -nx -batch -ex run -ex quit --args cat secret
like "a debugger inside: works" "$(cat out)" '^secret'
fact "a debugger inside: seen; how it came to other memory is named" "materials['$T/secret']['digest']['sha256'], [(g['what'][:8], [n for n in g['names'] if n.endswith('/mem')] != []) for g in t['coverage']['gaps']]" "('$digest', [('a device', True)])"
# What a process says of itself, and what everybody may know of us, is the same whoever opens it: no gap where threads do it. (Each start of Java had four.)
cat >settings.py <<'END'
import os, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
for name, value in ("coredump_filter", "0x33"), ("oom_score_adj", "7"), ("comm", "renamed"):
    with open("/proc/self/" + name, "w") as f:
        f.write(value)
    print(open("/proc/self/" + name).read().strip())
print(open("/proc/%d/stat" % os.getppid()).read().split()[0] == str(os.getppid()))
END
/usr/bin/python3 settings.py >plain
status "own settings, by a process with threads: run" 0 hps-record -q --id-file id -- /usr/bin/python3 settings.py
is "own settings, by a process with threads: as without us" "$(cat out)" "$(cat plain)"
fact "own settings, by a process with threads: no gap" "gaps" "{}"
status "a terminal, by a process with threads: run" 0 hps-record -q --id-file id -- /usr/bin/python3 -c 'import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
open("/proc/self/oom_adj", "w")'
fact "a special file, by a process with threads: named" "[(g['what'][:8], g['names']) for g in t['coverage']['gaps']]" "[('a device', ['/proc/self/oom_adj'])]"
status "a filter that asks a listener that is not there: run" 0 hps-record -q --id-file id -- "$HPS_TRACEES/listener" "$T/secret" none
is "a filter that asks a listener that is not there: ends as without us" "$(cat out)" "$("$HPS_TRACEES/listener" "$T/secret" none)"

# A recorder that stands still: who waits for it can be killed, and goes on when it does.
rm -f ready
hps-record -q --id-file id -- sh -c ': >ready; while [ ! -e go ]; do sleep 0.02; done; cat secret' >out &
recorder=$!
i=0; until [ -e ready ] || [ $((i += 1)) -gt 500 ]; do sleep 0.02; done
kill -STOP $recorder
: >go
sleep 0.3
is "a stopped recorder: nothing is opened meanwhile" "$(cat out)" ""
kill -CONT $recorder
wait $recorder
is "a stopped recorder: then it goes on" "$? $(cat out)" "0 secret"
fact "a stopped recorder: all is recorded" "materials['$T/secret']['digest']['sha256'], gaps" "('$digest', {})"
rm -f ready go
hps-record -q --id-file id -- sh -c 'echo $$ >ready; while [ ! -e go ]; do sleep 0.02; done; exec cat secret' >out &
recorder=$!
i=0; until [ -s ready ] || [ $((i += 1)) -gt 500 ]; do sleep 0.02; done
kill -STOP $recorder
: >go
sleep 0.1
kill -KILL "$(cat ready)"
i=0; until [ "$(ps -o stat= -p "$(cat ready)" | cut -c 1)" != S ] || [ $((i += 1)) -gt 500 ]; do sleep 0.02; done
is "a stopped recorder: who waits for it can be killed" "$(ps -o stat= -p "$(cat ready)" | cut -c 1)" Z
kill -CONT $recorder
wait $recorder 2>/dev/null
is "a stopped recorder: … and that is recorded" "$? $(rec "t['state'], t['exit']")" "137 ('killed', {'signal': 9})"

status "a listener of one's own: run" 0 hps-record -q --id-file id -- "$HPS_TRACEES/listener" "$T/secret"
is "a listener of one's own: refused by the kernel" "$(cat out)" EBUSY
fact "a listener of one's own: seen on, and said" "materials['$T/secret']['digest']['sha256'], gaps, t['coverage']['complete']" "('$digest', {'a program was refused a seccomp listener of its own': 1}, True)"
status "another pid namespace: run" 0 hps-record -q --id-file id -- unshare -Urpf sh -c 'cat secret; echo $$'
is "another pid namespace: works" "$(tr '\n' ' ' <out)" "secret 1 "
fact "another pid namespace: unverified, and said" "materials['$T/secret']['digest']['sha256'], materials['$T/secret']['unverified'], list(gaps)" "('$digest', True, ['files were opened under another root, namespace or user'])"

# The recorder itself in other surroundings: nothing is foreign that is as it is.
inside() { # inside NAME PREFIX…
	name=$1
	shift
	status "$name: run" 0 "$@" hps-record -q --id-file "$T/id" -- sh -c 'cat secret >made; ln made made2; mv made2 moved'
	fact "$name: the record" "materials['$T/secret']['digest']['sha256'], [products['$T/' + f]['digest']['sha256'] for f in ('made', 'moved')], 'unverified' in materials['$T/secret'], gaps" \
		"('$digest', ['$digest', '$digest'], False, {})"
	rm -f made moved
}
inside "as we are" env
inside "in a user namespace" unshare -Ur
inside "in user and pid namespaces" unshare -Urpf --mount-proc
mkdir box
inside "in a container's layout" unshare -Urmpf sh -c 'mount --rbind / box && mount -t proc proc box/proc && cd box && pivot_root . mnt && cd "$0" && exec "$@"' "$T"

if [ "$(id -u)" = 0 ]; then
	chmod 755 "$T"
	mkdir user && chown 65534 user
	HPS_LEDGER=$T/user/ledger
	as_user env XDG_CACHE_HOME="$T/user/c" hps-ledger init "$T/user/ledger" >out 2>&1
	rec() {
		as_user /usr/bin/python3 "$HPS_SOURCE/tests/e2e/record.py" "$T/user/ledger" "$(cat "$T/user/id")" "$1"
	}
	user_runs() {
		status "$1: run" 0 as_user env XDG_CACHE_HOME="$T/user/c" hps-record -q --id-file "$T/user/id" -- sh -c "$2"
	}
	cp /bin/cat closed && chmod 0111 closed
	user_runs "a program that may not be read" './closed secret'
	is "a program that may not be read: works" "$(cat out)" secret
	fact "a program that may not be read: said" "'a process could not be read' in gaps, t['coverage']['complete']" "(True, False)"
	user_runs "the recorder from within" 'for what in maps environ fd mem; do
		cat "/proc/$PPID/$what" 2>/dev/null; ls "/proc/$PPID/$what/" 2>/dev/null; done | wc -c; cat /proc/$$/maps | wc -c; ls /proc/$$/fd/ | wc -l'
	is "the recorder from within: neither its memory nor its descriptors" "$(head -n 1 out)" 0
	like "the recorder from within: … a process like any other shows them" "$(sed -n '2,3p' out | tr '\n' ' ')" '^[1-9][0-9]* [1-9][0-9]* $'
	cp /usr/bin/id setuid && chmod 4755 setuid
	user_runs "a set-uid program" './setuid -u'
	is "a set-uid program: gains nothing" "$(cat out)" 65534
	fact "a set-uid program: it ran" "materials['$T/setuid']['uses'], [p['program'] for p in processes if 'setuid' in p['program']]" "(['exec'], ['$T/setuid'])"
fi
ok "ledger: verifies" as_user hps-ledger verify
done_testing
