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
