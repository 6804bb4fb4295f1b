#!/bin/sh
# What cannot be seen is refused or said; the trial gains nothing by the recorder and cannot harm it.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
gap() { # gap NAME COUNT WORDS
	is "$1" "$(rec "[(g['count'], bool(g['why'])) for g in t['coverage']['gaps'] if '$3' in g['what']], t['coverage']['complete']")" "([($2, True)], False)"
}
echo x >x

status "io_uring: run" 0 hps-record -q --id-file id -- "$HPS_TRACEES/uring"
is "io_uring: refused" "$(cat out)" ENOSYS
gap "io_uring: the gap" 1 io_uring
status "io_uring, a ring from outside: run" 0 hps-record -q --id-file id -- "$HPS_TRACEES/uring" enter
is "io_uring, a ring from outside: nothing is done by it" "$(cat out)" ENOSYS
gap "io_uring, a ring from outside: the gap" 1 io_uring
status "abi: run" 0 hps-record -q --id-file id -- "$HPS_TRACEES/abi" "$T/x"
is "abi: both doors are shut" "$(tr '\n' ' ' <out)" "i386 -38 x32 -38 "
gap "abi: the gap" 2 "another ABI"
if [ "$(id -u)" = 0 ]; then
	status "handle: run" 0 hps-record -q --id-file id -- "$HPS_TRACEES/handle" "$T/x"
	is "handle: refused" "$(cat out)" EPERM
	gap "handle: the gap" 1 "by handle"
	echo secret >secret && chmod 600 secret && chmod 755 "$T"
	status "dropped ids: run" 0 hps-record -q --id-file id -- "$HPS_TRACEES/dropid" "$T/secret"
	is "dropped ids: no file that the program may not open is handed in" "$(cat out)" EACCES
	gap "dropped ids: the gap" 1 "another root, namespace or user"
	mkdir user && chown 65534 user
	as_user hps-ledger init "$T/user/ledger" >out 2>&1
	status "undumpable: run" 0 as_user env XDG_CACHE_HOME="$T/user/c" HPS_LEDGER="$T/user/ledger" hps-record -q --id-file "$T/user/id" -- "$HPS_TRACEES/undumpable" "$T/x"
	like "undumpable: the gap" "$(as_user /usr/bin/python3 "$HPS_SOURCE/tests/e2e/record.py" "$T/user/ledger" "$(cat user/id)" gaps)" "'a process could not be read': 1"
	mkdir -p root/etc root/bin root/lib64 root/lib/x86_64-linux-gnu
	cp /bin/cat root/bin/ && cp /lib64/ld-linux-x86-64.so.2 root/lib64/ && cp /lib/x86_64-linux-gnu/libc.so.6 root/lib/x86_64-linux-gnu/
	echo inside >root/etc/hostname
	status "chroot: run" 0 hps-record -q --id-file id -- chroot "$T/root" /bin/cat /etc/hostname
	is "chroot: the file inside" "$(cat out)" inside
	is "chroot: the record names what was opened" "$(rec "materials['$T/root/etc/hostname']['digest']['sha256'], materials['$T/root/etc/hostname']['unverified']")" "('$(sha256sum root/etc/hostname | cut -d ' ' -f 1)', True)"
	status "--root: run" 0 hps-record -q --id-file id --root "$T/root" --cwd /etc --metrics-path /m -- /bin/cat hostname
	is "--root: the file inside" "$(cat out)" inside
	is "--root: paths as seen from inside, and nothing uncertain" "$(rec "materials['/etc/hostname']['size'], materials['/bin/cat']['uses'], t['buildDefinition']['externalParameters']['cwd'], t['metricsPath'], gaps")" "(7, ['exec'], '/etc', '/m', {})"
fi
status "landlock: run" 0 hps-record -q --id-file id -- "$HPS_TRACEES/landlock" "$T/x"
is "landlock: what a program denies itself stays denied" "$(cat out)" EACCES
status "attack: run" 0 hps-record -q --id-file id -- "$HPS_TRACEES/attack"
is "attack: nothing worked" "$(cat out)" 0
is "attack: what helpers tell is there (the process that knows packages could be limited)" "$(rec "any('package' in m for m in materials.values())")" True
status "namespaces: run" 0 hps-record -q --id-file id -- unshare -rm cat x
is "namespaces: unverified, and said" "$(rec "materials['$T/x']['unverified'], t['coverage']['complete']")" "(True, False)"

ln -s loop loop
status "loop of links: fails as it would" 1 hps-record -q --id-file id -- cat loop
is "loop of links: no gap" "$(rec gaps)" "{}"
status "another process's descriptor: run" 0 hps-record -q --id-file id -- sh -c 'exec 4<x; cat /proc/$$/fd/4'
is "another process's descriptor: what it is open on" "$(rec "'read' in materials['$T/x']['uses'], gaps")" "(True, {})"
status "few descriptors: run" 0 hps-record -q --id-file id -- sh -c 'ulimit -n 5; ulimit -n; cat x'
status "network: run" 0 hps-record -q --id-file id -- /usr/bin/python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("192.0.2.1", 9))'
gap "network: the gap" 1 "network connection"
status "own socket: run" 0 hps-record -q --id-file id -- /usr/bin/python3 -c 'import socket
a = socket.socket(socket.AF_UNIX); a.bind("s"); a.listen(); b = socket.socket(socket.AF_UNIX); b.connect("s")'
is "own socket: no gap" "$(rec gaps)" "{}"
status "sendmsg alone: run" 0 hps-record -q --id-file id -- /usr/bin/python3 -c 'import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b"x"], [], 0, ("127.0.0.1", 9))'
gap "sendmsg alone: the gap" 1 "needs no connection"
is "sendmsg alone: the socket is listed" "$(rec "[(c['how'], c['family']) for c in manifests['connections']['items'] if c['family'] == 'inet'], [g['names'] for g in t['coverage']['gaps']]")" "([('datagram', 'inet')], [['inet']])"
for kind in "AF_UNIX, socket.SOCK_DGRAM" "AF_UNIX, socket.SOCK_RAW" "AF_INET6, socket.SOCK_DGRAM"; do
	status "$kind: run" 0 hps-record -q --id-file id -- /usr/bin/python3 -c "import socket
socket.socket(socket.$kind)"
	gap "$kind: the gap" 1 "needs no connection"
done
# MSG_FASTOPEN, of which Python has no name on every system: sendmsg connects.
status "fast open: run" 0 hps-record -q --id-file id -- /usr/bin/python3 -c 'import socket
try: socket.socket(socket.AF_INET, socket.SOCK_STREAM).sendmsg([b"x"], [], 0x20000000, ("192.0.2.1", 9))
except OSError: pass'
gap "fast open: the gap" 1 "network connection"
is "fast open: listed" "$(rec "[c['address'] for c in manifests['connections']['items'] if c['how'] == 'send']")" "['192.0.2.1']"
status "loopback: run" 0 hps-record -q --id-file id -- /usr/bin/python3 -c 'import socket
a = socket.socket(); a.bind(("127.0.0.1", 0)); a.listen(); socket.socket().connect(a.getsockname())'
is "loopback: no gap" "$(rec gaps)" "{}"
status "bound for all: run" 0 hps-record -q --id-file id -- /usr/bin/python3 -c 'import socket
a = socket.socket(); a.bind(("", 0)); a.listen()'
gap "bound for all: the gap" 1 "other machines can reach"

# The recorder is killed: the trial does not go on unseen, and the ledger says that it was lost.
cat >onward.sh <<'END'
: >started
sleep 1
cat x >after
END
hps-record -q -- sh onward.sh 2>/dev/null &
recorder=$!
while [ ! -e started ]; do sleep 0.02; done
kill -9 $recorder
wait $recorder 2>/dev/null
sleep 1.5
is "killed recorder: no file is opened any more" "$([ -e after ] && cat after)" ""
status "killed recorder: the next run" 0 hps-record -q -- true
like "killed recorder: the begin is lost" "$(hps-ledger list)" " lost "
# Few descriptors for many processes: each call is made; what could not be watched is said. (Calls failed with ENOSYS.)
cat >many.sh <<'END'
for i in $(seq 400); do sh -c 'read line <go; : $line' & done
sleep 1
for i in $(seq 400); do echo x; done >go
wait
END
mkfifo go
for limit in 64 128 256 1024; do
	(ulimit -n $limit && exec timeout 120 hps-record -q --id-file id -- bash many.sh) >out 2>err
	is "400 processes, ulimit -n $limit: status and output" "$? $(cat out err)" "0 "
	is "400 processes, ulimit -n $limit: each is on record" "$(rec "len(processes) >= 401, [g for g in gaps if 'how a process ended' not in g]")" "(True, [])"
done
is "400 processes, ulimit -n 1024: and how each ended" "$(rec "all('exit' in p for p in processes if p['argv'][0] == 'sh'), t['coverage']['complete']")" "(True, True)"
(ulimit -n 20 && exec timeout 20 hps-record -q -- true) >out 2>err
is "ulimit -n 20: recorded or refused, never hung" "$([ $? = 124 ] && echo hung)" ""
is "limits: said in each record" "$(rec "[bool(l['what'] and l['why']) for l in t['coverage']['limits']]")" "[True, True, True, True, True, True]"
is "limits: … numbers of System V that came from outside, too" "$(rec "[l['what'] for l in t['coverage']['limits'] if 'msgrcv' in l['what']] != []")" True
status "rdrand: run without" 0 hps-record -q --id-file id -- /bin/true
is "rdrand: none found" "$(rec "t['coverage']['limits'][0]['found'], t['coverage']['complete']")" "({'count': 0, 'paths': []}, True)"
for round in hashed remembered; do
	status "rdrand, $round: run with" 0 hps-record -q --id-file id -- /usr/bin/openssl version
	is "rdrand, $round: found, a fact and no gap" "$(rec "[p.split('/')[-1] for p in t['coverage']['limits'][0]['found']['paths'] if 'libcrypto' in p], t['coverage']['complete']")" "(['libcrypto.so.3'], True)"
done

if [ "$(id -u)" = 0 ]; then
	cp /bin/cat raised && chown 65534 raised && chmod u+s raised
	status "set-user-ID: run" 0 hps-record -q --id-file id -- ./raised x
	is "set-user-ID: without effect, and said" "$(rec "[g['names'] for g in t['coverage']['gaps'] if 'privileges' in g['what']]")" "[['$T/raised']]"
fi

# A call that the supervisor cannot finish, because what it waits for waits for another call of the trial. (It hung.)
if [ "$(id -u)" = 0 ]; then
	status "held up: run" 0 timeout 30 hps-record -q --id-file id -- "$HPS_TRACEES/heldup" "$T/x" "$T/made"
	is "held up: as without us" "$(cat out)" "$("$HPS_TRACEES/heldup" "$T/x" "$T/made")"
	is "held up: the file was opened, what went on meanwhile is a gap" "$(rec "'read' in materials['$T/x']['uses'], [g for g in gaps if 'held up' in g] != [], t['coverage']['complete']")" "(True, True, False)"
fi
head -c 300000000 /dev/zero >large
status "a long hash: run" 0 hps-record -q --id-file id -- sh -c 'exec 3<large; : >large; cat x'
is "a long hash: is not held up" "$(rec "[g for g in gaps if 'held up' in g]")" "[]"
rm -f large

# A tracer that cancels a call leaves the number -1: no call of another ABI.
status "cancelled call: run" 0 hps-record -q --id-file id -- "$HPS_TRACEES/cancel"
is "cancelled call: as without us" "$(cat out)" "$("$HPS_TRACEES/cancel")"
is "cancelled call: no gap" "$(rec gaps)" "{}"
# Under another root an interpreter is looked for there, not in ours.
if [ "$(id -u)" = 0 ]; then
	cp /bin/dash root/bin/other && printf '#!/bin/other\necho in\n' >root/script && chmod +x root/script
	status "chroot: a script" 0 hps-record -q --id-file id -- chroot "$T/root" /script
	is "chroot: its interpreter is the one inside" "$(rec "'interpreter' in materials['$T/root/bin/other']['uses'], [g for g in gaps if 'ABI' in g]")" "(True, [])"
fi
ok "ledger: verifies" hps-ledger verify
done_testing
