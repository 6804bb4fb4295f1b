#!/bin/sh
# Random numbers come from a kept seed, connections are listed, --no-network is what it says.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
ok "ledger: made" hps-ledger init "$T/ledger"
HPS_LEDGER=$T/ledger
export HPS_LEDGER
rec() {
	/usr/bin/python3 "$HPS_SOURCE/tests/e2e/record.py" "$T/ledger" "$(cat "$T/id")" "$1"
}
seed() { echo "$T/ledger/secrets/entropy/$(rec "t['begin']")"; }

cat >draw.py <<'END'
import os, random, subprocess, sys, tempfile, uuid
print(random.random(), hash("x"), uuid.uuid4(), os.urandom(100000)[-4:].hex(), os.path.basename(tempfile.mktemp()))
if len(sys.argv) < 2:
    for i in range(2):
        subprocess.run([sys.executable, sys.argv[0], "child"])
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        print("forked", os.urandom(4).hex(), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
END
draw() { hps-record -q --id-file id "$@" -- /usr/bin/python3 -u draw.py; }
draw >first
is "record: coverage" "$(rec "t['coverage']['complete'], t['entropy']['mode'], t['entropy']['unanswered']")" "(True, 'record', 0)"
like "record: counted, for each process" "$(rec "t['entropy']['calls'] > 10 and [p['getrandom'] > 2 for p in processes]")" "True, True, True"
kept=$(seed) kept_id=$(rec "t['entropy']['seedId']")
is "seed: for its owner alone" "$(stat -c %a "$kept" "${kept%/*}" "$T/ledger/secrets" | tr '\n' ' ')" "600 700 700 "
is "seed: its id" "$(/usr/bin/python3 -c 'import hashlib, sys
print(hashlib.sha256(b"hps.entropy/1\n\0" + bytes.fromhex(open(sys.argv[1]).read().split("\n")[1])).hexdigest())' "$kept")" "$kept_id"
draw >second
not_ok "record: another run draws other numbers" cmp -s first second
draw --entropy-from "$kept" >again
is "from: the same numbers, in children, too" "$(cat again)" "$(cat first)"
is "from: whose seed it was" "$(rec "t['entropy']['mode'], t['entropy']['seedId']")" "('from', '$kept_id')"
not_ok "from: no second copy is kept" test -e "$(seed)"
is "five streams differ" "$(cut -d ' ' -f 2 first | sort -u | wc -l)" 4
draw --entropy seed:7 >first
draw --entropy seed:7 >second
is "seed:N: the same numbers" "$(cat second)" "$(cat first)"
draw --entropy seed:8 >second
not_ok "seed:N: other ones for another N" cmp -s first second
draw --entropy off >/dev/null
is "off: counted, not answered, nothing kept" "$(rec "t['entropy']['mode'], t['entropy']['calls'] > 10, 'seedId' in t['entropy']") $([ -e "$(seed)" ] && echo kept)" "('off', True, False) "

# Children that run beside each other.
cat >race.sh <<'END'
for i in 1 2 3 4 5 6; do /usr/bin/python3 -c 'import os, sys; os.write(1, (sys.argv[1] + " " + os.urandom(8).hex() + "\n").encode())' $i & done
wait
END
hps-record -q --entropy seed:1 -- sh race.sh | sort >first
hps-record -q --entropy seed:1 -- sh race.sh | sort >second
is "children beside each other: each has its own" "$(cat second)" "$(cat first)"

cat >device.py <<'END'
with open("/dev/urandom", "rb") as f:
    print(f.read(300000)[-4:].hex(), id(object()) & 0xffffffff)
END
hps-record -q --id-file id -- /usr/bin/python3 device.py >first
is "device: counted, and whose" "$(rec "t['entropy']['devices'], t['entropy']['devicesUnanswered'], processes[0]['randomDevices']")" "(1, 1, 1)"
hps-record -q --id-file id --entropy seed:1 --entropy-full -- /usr/bin/python3 device.py >first
is "device, full: answered" "$(rec "t['entropy']['devices'], t['entropy']['devicesUnanswered'], t['entropy']['full']")" "(1, 0, True)"
hps-record -q --id-file id --entropy seed:1 --entropy-full -- /usr/bin/python3 device.py >second
is "device, full: the same bytes, and the same places in memory" "$(cat second)" "$(cat first)"
is "device, full: places are fixed" "$(rec "t['entropy']['placesUnanswered']")" 0
hps-record -q --id-file id --entropy-full -- /usr/bin/python3 -c 'import ctypes, os
ctypes.CDLL(None).personality(0)
os.execv("/bin/true", ["true"])'
is "a program that takes fixed places back is counted" "$(rec "t['entropy']['full'], t['entropy']['placesUnanswered']")" "(True, 1)"

status "bad mode" 125 hps-record --entropy maybe -- true
like "bad mode: said" "$(cat err)" "'record', 'seed:N' or 'off'"
status "bad seed" 125 hps-record --entropy seed:x -- true
echo nonsense >bad
status "bad file" 125 hps-record --entropy-from bad -- true
like "bad file: said" "$(cat err)" "no seed that a recorder kept"
is "seeds: in no entry and no object" "$(cat "$T"/ledger/secrets/entropy/* | sed -n '/^[0-9a-f]\{64\}$/p' | grep -rFf - "$T/ledger" --exclude-dir secrets -l | wc -l)" 0

# Connections.
cat >net.py <<'END'
import socket, threading
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"x", ("192.0.2.7", 9))
u = socket.socket(socket.AF_UNIX); u.bind("own"); u.listen()
c = socket.socket(socket.AF_UNIX); c.connect("own")
d = socket.socket(socket.AF_UNIX); d.connect("../other")
END
mkdir here
/usr/bin/python3 -c 'import socket, time
s = socket.socket(socket.AF_UNIX); s.bind("other"); s.listen(); time.sleep(30)' &
server=$!
i=0; until [ -e other ] || [ $((i += 1)) -gt 500 ]; do sleep 0.02; done
status "connections: run" 0 sh -c 'cd here && hps-record -q --id-file ../id -- /usr/bin/python3 ../net.py'
is "connections: listed" "$(rec "[(c['how'], c['family'], c.get('path') or c.get('address'), c.get('port'), c['process']) for c in manifests['connections']['items']]")" \
	"[('datagram', 'inet', None, None, 0), ('send', 'inet', '192.0.2.7', '9', 0), ('bind', 'unix', 'own', None, 0), ('listen', 'unix', 'own', None, 0), ('connect', 'unix', 'own', None, 0), ('connect', 'unix', '../other', None, 0)]"
is "connections: the gaps name what lies outside" "$(rec "sorted((g['what'].split()[1], g['names']) for g in t['coverage']['gaps'])")" "[('network', ['inet 192.0.2.7 9']), ('socket', ['../other']), ('socket', ['inet'])]"
kill $server

cat >refused.py <<'END'
import socket
for family in socket.AF_INET, socket.AF_INET6, socket.AF_PACKET:
    try:
        socket.socket(family, socket.SOCK_DGRAM)
        print("made")
    except OSError as e:
        print(e.errno)
a, b = socket.socketpair()
a.send(b"x"); print(b.recv(1))
END
status "no network: run" 0 hps-record -q --id-file id --no-network -- /usr/bin/python3 refused.py
is "no network: refused, by path allowed" "$(tr '\n' ' ' <out)" "101 101 101 b'x' "
is "no network: listed, and no gap" "$(rec "sorted({c['how'] for c in manifests['connections']['items']}), gaps, t['buildDefinition']['internalParameters']['options']['noNetwork']")" "(['refused'], {}, True)"
/usr/bin/python3 - >out <<'END'
import socket, subprocess
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
code = "import socket,sys\ns = socket.socket(fileno=int(sys.argv[1]))\ntry: s.connect(('192.0.2.1', 9))\nexcept OSError as e: print(e.errno)"
subprocess.run(["hps-record", "-q", "--no-network", "--", "/usr/bin/python3", "-c", code, str(s.fileno())], pass_fds=[s.fileno()])
END
is "no network: nor over a socket that was there" "$(cat out)" 101
ok "ledger: verifies" hps-ledger verify
done_testing
