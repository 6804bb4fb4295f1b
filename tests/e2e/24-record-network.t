#!/bin/sh
# Who is at the other end of a socket: the trial itself, which is no gap, or anybody else, which is one with a name.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
visited='a socket of the trial was connected to from outside'
connected='a network connection was made'
socket='a socket of another program was connected to'
fact() {
	is "$1" "$(rec "$2")" "$3"
}
python() { # python NAME STATUS FILE ARGUMENTS…
	name=$1
	shift
	status "$name: run" 0 timeout 60 "${recorder:-hps-record}" -q --id-file id -- /usr/bin/python3 "$@"
}
names="{g['what']: g.get('names') for g in t['coverage']['gaps']}, t['coverage']['complete']"
none="({}, True)"

cat >visitor.py <<'END'
"""From outside: waits for the trial's socket, sends a line, waits for the end, says from where it came. usage: visitor.py FILE [FAMILY]"""
import os, socket, sys, time
while True:
    try:
        where = open(sys.argv[1]).read().split()
        if where:
            break
    except OSError:
        pass
    time.sleep(0.02)
s = socket.socket(getattr(socket, where[0]))
s.connect(where[1] if where[0] == "AF_UNIX" else (where[1], int(where[2])))
if where[0] != "AF_UNIX":
    print(*s.getsockname()[:2])
s.sendall(b"from outside\n")
s.recv(1)
END
cat >host.py <<'END'
"""Listens, and takes what comes. usage: host.py FAMILY ADDRESS FILE here|thread|loop|selector"""
import os, selectors, socket, sys, threading
family, address, file, how = sys.argv[1:]
s = socket.socket(getattr(socket, family))
s.bind(address if family == "AF_UNIX" else (address, 0))
s.listen()
with open(file + ".new", "w") as f:
    f.write(" ".join([family] + ([address] if family == "AF_UNIX" else [str(x) for x in s.getsockname()[:2]])))
os.rename(file + ".new", file)
def take():
    with s.accept()[0] as c:
        print(c.makefile().readline(), end="")
def loop():
    while True:
        take()
        done.set()
done = threading.Event()
if how == "selector":
    s.setblocking(False)
    with selectors.DefaultSelector() as waiting:
        waiting.register(s, selectors.EVENT_READ)
        waiting.select()
    take()
elif how == "here":
    take()
else:
    t = threading.Thread(target=take if how == "thread" else loop, daemon=True)
    t.start()
    t.join() if how == "thread" else done.wait()
END
visit() { # visit NAME FAMILY ADDRESS HOW
	rm -f where from
	/usr/bin/python3 visitor.py where >from &
	python "$1" host.py "$2" "$3" where "$4"
	wait $!
	is "$1: it came" "$(cat out)" "from outside"
}
for how in here thread loop selector; do
	visit "TCP, visited, $how" AF_INET 127.0.0.1 $how
	fact "TCP, visited, $how: by whom" "$names" "({'$visited': ['inet $(cat from)']}, False)"
	rm -f door
	visit "unix, visited, $how" AF_UNIX door $how
	fact "unix, visited, $how: where" "$names" "({'$visited': ['unix door']}, False)"
done
visit "TCP over IPv6, visited" AF_INET6 ::1 here
fact "TCP over IPv6, visited: by whom" "$names" "({'$visited': ['inet6 $(cat from)']}, False)"

cat >both.py <<'END'
"""Client and server in one, by threads and by processes, each with more than one connection."""
import os, socket, threading, sys
family, address, how = sys.argv[1:]
s = socket.socket(getattr(socket, family))
s.bind(address if family == "AF_UNIX" else (address, 0))
s.listen(64)
def serve():
    for i in range(20):
        with s.accept()[0] as c:
            c.sendall(c.recv(100) + b"!")
def ask():
    for i in range(10):
        with socket.socket(getattr(socket, family)) as c:
            c.connect(s.getsockname())
            c.sendall(b"12345")
            assert c.recv(100) == b"12345!"
if how == "processes":
    if not os.fork():
        serve()
        os._exit(0)
else:
    t = threading.Thread(target=serve)
    t.start()
ask()
if not os.fork():
    ask()
    os._exit(0)
os.wait()
os.wait() if how == "processes" else t.join()
END
for how in threads processes; do
	python "TCP, own, $how" both.py AF_INET 127.0.0.1 $how
	fact "TCP, own, $how: no gap" "$names" "$none"
	rm -f door
	python "unix, own, $how" both.py AF_UNIX door $how
	fact "unix, own, $how: no gap" "$names" "$none"
done
fact "unix, own: listed" "sorted({c['how'] for c in manifests['connections']['items']})" "['bind', 'connect', 'listen']"
python "TCP over IPv6, own" both.py AF_INET6 ::1 threads
fact "TCP over IPv6, own: no gap" "$names" "$none"
cat >abstract.py <<'END'
import os, socket
a = socket.socket(socket.AF_UNIX); a.bind("\0hps-%d" % os.getpid()); a.listen()
b = socket.socket(socket.AF_UNIX); b.connect(a.getsockname())
END
python "abstract, own" abstract.py
fact "abstract, own: no gap" "$names" "$none"
cat >manager.py <<'END'
"""What Python itself makes sockets for."""
import multiprocessing as m
def work(d, i):
    d[i] = i
if __name__ == "__main__":
    c = m.get_context("forkserver")
    with c.Manager() as manager:
        d = manager.dict()
        all = [c.Process(target=work, args=(d, i)) for i in range(4)]
        for p in all: p.start()
        for p in all: p.join()
        print(sum(d.values()))
END
python "Python's manager and fork server" manager.py
fact "Python's manager and fork server: no gap" "$names" "$none"

cat >asyncio_own.py <<'END'
import asyncio
async def answer(r, w):
    w.write(await r.read(5)); await w.drain(); w.close()
async def main():
    s = await asyncio.start_server(answer, "127.0.0.1", 0)
    for i in range(5):
        r, w = await asyncio.open_connection(*s.sockets[0].getsockname())
        w.write(b"hello"); assert await r.read(5) == b"hello"; w.close()
asyncio.run(main())
END
python "asyncio" asyncio_own.py
fact "asyncio: no gap" "$names" "$none"

# A call that took no connection gave none. (It was counted, and a visitor seen where there was none.)
followed="connections to or from the trial's own sockets could not be followed"
accepts() { # accepts HOW WANT
	rm -f door
	status "accept, $1: run" 0 timeout 60 "${recorder:-hps-record}" -q --id-file id -- "$HPS_TRACEES/accepts" $1 door
	is "accept, $1: as it ends without us" "$(cat out)" "$2 "
}
accepts emfile "EMFILE EMFILE 0"
fact "accept, emfile: no gap" "$names" "$none"
for how in "eintr EINTR 0" "restart 0"; do
	accepts ${how%% *} "${how#* }"
	fact "accept, ${how%% *}: with a handler for signals nobody can know" "list({g['what']: g.get('names') for g in t['coverage']['gaps']}.items())" "[(\"$followed\", ['unix door'])]"
done

# A server outside, which is met by programs that have sockets of their own.
cat >server.py <<'END'
import os, socket, sys, threading
u, t = socket.socket(socket.AF_UNIX), socket.socket()
u.bind("theirs"); u.listen(); t.bind(("127.0.0.1", 0)); t.listen(256)
open("port.new", "w").write(str(t.getsockname()[1])); os.rename("port.new", "port")
def serve(s):
    kept = []
    while True:
        kept.append(s.accept()[0])
for s in u, t:
    threading.Thread(target=serve, args=(s,), daemon=True).start()
sys.stdin.read()
END
mkfifo hold
/usr/bin/python3 server.py <hold &
exec 9>hold
while [ ! -e port ]; do sleep 0.02; done
port=$(cat port)
cat >bound.py <<'END'
import socket, sys
a = socket.socket(); a.bind(("127.0.0.1", 0)); a.listen(); socket.socket().connect(a.getsockname())
socket.socket().connect(("127.0.0.1", int(sys.argv[1])))
END
python "own port bound, another's connected to" bound.py $port
fact "own port bound, another's connected to: named" "$names" "({'$connected': ['inet 127.0.0.1 $port']}, False)"
cat >taken.py <<'END'
import socket
a = socket.socket(socket.AF_UNIX)
try: a.bind("theirs")
except OSError as e: print(e.strerror)
socket.socket(socket.AF_UNIX).connect("theirs")
END
python "another's name, bound in vain" taken.py
is "another's name, bound in vain: as without us" "$(cat out)" "Address already in use"
fact "another's name, bound in vain: named" "$names" "({'$socket': ['theirs']}, False)"
cat >moved.py <<'END'
import os, socket
a = socket.socket(socket.AF_UNIX); a.bind("mine"); a.listen()
os.rename("mine", "kept"); os.link("theirs", "mine")
socket.socket(socket.AF_UNIX).connect("kept"); socket.socket(socket.AF_UNIX).connect("mine")
END
python "another's socket under one's own name" moved.py
fact "another's socket under one's own name: named" "$names" "({'$socket': ['mine']}, False)"
cat >lie.sh <<'END'
/usr/bin/python3 -c 'import socket, time
a = socket.socket(); a.bind(("127.0.0.1", 0)); a.listen(256)
print(a.getsockname()[1], flush=True)
kept = []
while True: kept.append(a.accept()[0])' >ours &
while [ ! -s ours ]; do sleep 0.02; done
"$HPS_TRACEES/connectflip" $(cat ours) $1 5000
kill $!
END
status "a port changed under our eyes: run" 0 timeout 60 hps-record -q --id-file id -- sh lie.sh $port
like "a port changed under our eyes: both were reached" "$(cat out)" '^[1-9][0-9]* [1-9]'
fact "a port changed under our eyes: seen at the end" "$names" "({'$connected': ['inet 127.0.0.1 $port']}, False)"
exec 9>&-
wait

python "nobody listens" -c 'import socket
for family, address in (socket.AF_INET, ("127.0.0.1", 1)), (socket.AF_UNIX, "nothing"), (socket.AF_UNIX, "\0hps-nothing"):
    try: socket.socket(family).connect(address)
    except OSError: pass'
fact "nobody listens: nobody answered" "$names" "$none"
python "a listener without a name" -c 'import socket
s = socket.socket(); s.listen()'
fact "a listener without a name: cannot be followed" "[g['names'] for g in t['coverage']['gaps'] if 'could not be followed' in g['what']]" "[['inet 0.0.0.0 0']]"
cat >bytes.py <<'END'
import socket, threading
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
c = socket.socket(); c.connect(s.getsockname()); a = s.accept()[0]
def give():
    a.recv(5); a.sendall(bytes(3000000)); a.close()
t = threading.Thread(target=give); t.start()
c.sendall(b"12345")
n = 0
while got := c.recv(1 << 20): n += len(got)
t.join(); print(n)
END
python "bytes" bytes.py
fact "bytes: of what the trial connected, as the kernel counts" "[(c['sentBytes'], c['receivedBytes'] in (3000000, 3000001)) for c in manifests['connections']['items'] if c['how'] == 'connect']" "[(5, True)]"

recorder=$T/believer
ok "negative control: a recorder that takes every other end for the trial's" sh "$HPS_SOURCE/tests/broken.sh" hps-record recorder/peers.c \
	'/^static bool own_at_both/,/^}/s/return .*;/return true;/' "$recorder"
visit "negative control" AF_INET 127.0.0.1 here
fact "negative control: … sees no visitor" "$names" "$none"
ok "negative control: a recorder that does not count" sh "$HPS_SOURCE/tests/broken.sh" hps-record recorder/peers_unix.c \
	'/^static void given/,/^}/s/o->n_given++;/;/' "$recorder"
rm -f door
visit "negative control, unix" AF_UNIX door here
fact "negative control, unix: … sees none, either" "$names" "$none"
ok "negative control: a recorder that counts calls that failed" sh "$HPS_SOURCE/tests/broken.sh" hps-record recorder/peers_unix.c \
	'/^static bool has_room/,/^}/s/return .*;/return true;/' "$recorder"
accepts emfile "EMFILE EMFILE 0"
fact "negative control: … sees a visitor" "$names" "({'$visited': ['unix door']}, False)"
ok "ledger: verifies" hps-ledger verify
done_testing
