#!/bin/sh
# Ways out of the sandbox (tests/tracees/probes.c): all are denied, to root and to an ordinary user; and those of them that can succeed
# somewhere do so outside, which shows that the probes can fail.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
[ "$(id -u)" != 0 ] || chown 65534:65534 "$T"
chmod 755 "$T"

# What the machine has and a rerun must not reach. usage: outside.py FOLDER; prints the port and its own pid
cat >outside.py <<'P'
import ctypes, os, socket, sys, time
folder, libc, keep = sys.argv[1], ctypes.CDLL(None, use_errno=True), []
os.chdir(folder)
tcp = socket.create_server(("127.0.0.1", 0), backlog=100)
port = tcp.getsockname()[1]
for name in (folder + "/socket", "\0hps-probe-%d" % port):
    s = socket.socket(socket.AF_UNIX)
    s.bind(name)
    s.listen(100)
    keep.append(s)
shm = libc.shmget(0x68707300 + port % 200, 4096, 0o1600)
libc.mq_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
libc.mq_open(b"/hps-probe-%d" % port, os.O_CREAT | os.O_RDWR, 0o600, None)
open("/dev/shm/hps-probe-%d" % port, "w").write("x")
print(port, os.getpid(), flush=True)
sys.stdin.read()
libc.shmctl(shm, 0, None)
libc.mq_unlink(b"/hps-probe-%d" % port)
os.unlink("/dev/shm/hps-probe-%d" % port)
P
# A program can tell that it is a rerun: the first process of its world is another.
cat >trial.sh <<'S'
cat "$0" "$1" >/dev/null
case $(cat /proc/1/comm) in hps-replay*) "$1" probes.out "$2" "$3" 2 ;; esac # the recorder
echo x >always
S

# probe WHO RUN: RUN runs a command as that user
probe() {
	who=$1
	shift
	home=$T/$who
	mkdir -p "$home/canary" "$home/w"
	echo secret >"$home/canary/secret"
	ln -s ../ledger "$home/canary/ledger"
	[ "$(id -u)" != 0 ] || [ "$who" = root ] || chown -R 65534:65534 "$home"
	HPS_LEDGER=$home/ledger HOME=$home XDG_CACHE_HOME=$home/cache XDG_STATE_HOME=$home/state
	export HPS_LEDGER HOME
	ok "$who: ledger" "$@" hps-ledger init "$home/ledger"
	rm -f "$T/to" "$T/from"
	mkfifo "$T/to" "$T/from"
	chmod 666 "$T/to" "$T/from"
	"$@" /usr/bin/python3 outside.py "$home/canary" <"$T/to" >"$T/from" &
	exec 8>"$T/to"
	read -r port pid <"$T/from"
	cd "$home/w"
	ok "$who: recorded" "$@" hps-record -q --id-file "$home/id" -- sh ../../trial.sh "$HPS_TRACEES/probes" "$home/canary" "$port"
	"$@" hps-replay --json --keep "$home/kept" "$(cat "$home/id")" >"$home/verdict" 2>"$home/err"
	got=$home/kept/files$home/w/probes.out
	like "$who: the rerun probed" "$(json "$home/verdict" "j['verdict'], j['outputs']")" "probes.out"
	ok "$who: at least 70 probes" test "$(wc -l <"$got")" -ge 70
	is "$who: all denied" "$(grep -v "${tab}denied: " "$got")" ""
	like "$who: what was refused is named" "$(json "$home/verdict" "[h['why'] for h in j['holes'] if h['what'].startswith('calls were refused')]")" "unshare.*mount"
	like "$who: and the reason that nothing is decided" "$(json "$home/verdict" "j['verdict'], j['reason']")" "INCONCLUSIVE.*the sandbox refused the rerun"
	is "$who: the layers in force are named" "$(json "$home/verdict" "sum(x in j['sandbox'] for x in ('user namespace', 'mount namespace', 'uts namespace', 'ipc namespace', 'net namespace', 'pid namespace', 'no new privileges', 'system calls: those of a list, all others refused'))")" 8
	exec 8>&-
	wait
	is "$who: the machine is as it was" "$(cat "$home/canary/secret"; ls "$home/canary")" "$(printf 'secret\nledger\nsecret\nsocket')"
	cd "$T"
}

# outside WHO COMMAND…: the same probes with namespaces of their own for what would harm, and nothing else
outside() {
	who=$1
	shift
	home=$T/$who
	rm -f "$home/canary/socket" "$home/canary/made"
	cat >control.sh <<'S'
mkfifo "$2/to"
"$0" "$1" "$2/canary" <"$2/to" >"$2/from" &
exec 8>"$2/to"
sleep 1
read -r port pid <"$2/from"
cd "$2/w" && "$3" control.out "$2/canary" "$port" "$pid" "$4"
exec 8>&-
wait
S
	sed -i 's/"\$0" "\$1"/\/usr\/bin\/python3 "$1"/' control.sh
	"$@" sh control.sh "$T/outside.py" "$home" "$HPS_TRACEES/probes" "$who" 8>&-
	is "$who: control: outside they succeed" "$(grep -v "${tab}ESCAPED" "$home/w/control.out")" ""
	ok "$who: control: … many of them" test "$(wc -l <"$home/w/control.out")" -ge 40
}

tab=$(printf '\t')
if [ "$(id -u)" = 0 ]; then
	probe root env
	outside root unshare -mui
fi
probe user as_user
outside user as_user unshare -Urmui
done_testing
