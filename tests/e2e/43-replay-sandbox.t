#!/bin/sh
# What the rerun cannot do: see the host's files, reach the network, gain rights, change what it was given.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
mkdir w
cd w
echo secret >"$T/secret"
# While it is recorded it does nothing; only a rerun finds that its parent's network is gone, and probes.
cat >probe.py <<'P'
import ctypes, os, socket, sys, time
inside = len(socket.if_nameindex()) == 1
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, f):
    try:
        out.write("%s: %s\n" % (name, f() if inside else "-"))
    except OSError as e:
        out.write("%s: %s\n" % (name, os.strerror(e.errno)))
def call(r):
    if r < 0:
        raise OSError(ctypes.get_errno(), "")
    return r
def status(key):
    return [l.split()[1] for l in open("/proc/self/status") if l.startswith(key + ":")][0]
out = open("probe.out", "w")
attempt("capabilities", lambda: " ".join("%x" % int(status(k), 16) for k in ("CapEff", "CapPrm", "CapAmb")))
def helper(): # which runs programs of the view to compare compiled files
    for i in range(300):
        kept = [int(l.split()[1], 16) for p in os.listdir("/proc") if p.isdigit() and open("/proc/%s/comm" % p).read() == "facts\n" for l in open("/proc/%s/status" % p) if l.startswith(("CapEff", "CapPrm", "CapAmb"))]
        if kept and not any(k >> 18 & 1 for k in kept):
            break
        time.sleep(0.1)
    return " ".join("%x" % k for k in kept)
attempt("helper's capabilities", helper)
attempt("places in memory", lambda: open("/proc/self/personality").read().strip())
attempt("no new privileges", lambda: status("NoNewPrivs"))
attempt("host file", lambda: open(sys.argv[1]).read())
attempt("host file elsewhere", lambda: open("/var/lib/dpkg/status").read())
attempt("host ledger", lambda: open(sys.argv[2] + "/trust.json").read())
attempt("connect", lambda: socket.socket().connect(("192.0.2.1", 80)))
attempt("interfaces", lambda: [n for _, n in socket.if_nameindex()])
attempt("chroot", lambda: os.chroot("."))
attempt("mount", lambda: call(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)))
attempt("unmount", lambda: call(libc.umount2(b"/proc", 2)))
attempt("new user namespace", lambda: call(libc.unshare(0x10000000)))
attempt("set host name", lambda: socket.sethostname("x"))
attempt("kernel setting", lambda: os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)))
attempt("init's root", lambda: os.listdir("/proc/1/root"))
attempt("recorder's root", lambda: os.listdir("/proc/2/root"))
attempt("recorder's memory", lambda: open("/proc/2/mem", "rb"))
attempt("recorder's descriptors", lambda: os.readlink("/proc/2/fd/0"))
attempt("own library", lambda: os.close(os.open("/proc/self/exe", os.O_WRONLY)))
attempt("terminal", lambda: open("/dev/tty"))
attempt("processes", lambda: len([p for p in os.listdir("/proc") if p.isdigit()]) < 6)
attempt("descriptors", lambda: sorted(int(f) for f in os.listdir("/proc/self/fd"))[:3])
attempt("device", lambda: call(libc.mknod(b"/tmp/sda", 0o60600, os.makedev(8, 0))))
attempt("setuid", lambda: os.setuid(12345))
for name, number in (("bpf", 321), ("perf", 298), ("userfaultfd", 323), ("keyctl", 250), ("setns", 308), ("open tree", 428), ("kexec", 246), ("syslog", 103), ("modules", 175), ("clock", 227)):
    attempt(name, lambda: call(libc.syscall(number, 0, 0, 0, 0, 0)))
attempt("null", lambda: open("/dev/null", "w").write("x"))
attempt("shm", lambda: open("/dev/shm/x", "w").write("x"))
attempt("tmp", lambda: open("/tmp/x", "w").write("x"))
out.close()
P
ok "probe: recorded" hps-record -q --entropy-full --id-file "$T/id" -- /usr/bin/python3 probe.py "$T/secret" "$T/ledger"
status "probe: the rerun differs, and was refused something" 4 hps-replay "$(cat "$T/id")" --keep "$T/kept"
got=$T/kept/files$T/w/probe.out
expect() { like "$1: $2" "$(grep "^$1: " "$got")" "^$1: $2\$"; }
if [ "$(id -u)" = 0 ]; then kept=1b; else kept=0; fi # root's over files: chown, dac_override, fowner, fsetid
expect "capabilities" "$kept $kept $kept"
expect "helper's capabilities" "$kept $kept $kept"
expect "no new privileges" 1
expect "places in memory" 00040000
expect "host file" "(Input/output error|Permission denied|No such file or directory)"
expect "host ledger" "(Input/output error|No such file or directory|Permission denied)"
expect "host file elsewhere" "No such file or directory"
expect "connect" "Network is unreachable"
expect "interfaces" "\\['lo'\\]"
expect "chroot" "Operation not permitted"
expect "mount" "Operation not permitted"
expect "unmount" "Operation not permitted"
expect "new user namespace" "Operation not permitted"
expect "set host name" "Operation not permitted"
expect "kernel setting" "(Read-only file system|Permission denied)"
expect "init's root" "Permission denied"
expect "recorder's root" "Permission denied"
expect "recorder's memory" "Permission denied"
expect "recorder's descriptors" "Permission denied"
expect "own library" "(Text file busy|Read-only file system|Permission denied)"
expect "terminal" "No such device or address"
expect "processes" "True"
expect "descriptors" "\\[0, 1, 2\\]"
expect "device" "Operation not permitted"
expect "setuid" "(Operation not permitted|Invalid argument)"
for call in bpf perf userfaultfd keyctl setns "open tree" kexec syslog modules clock; do
	expect "$call" "(Operation not permitted|Function not implemented)"
done
expect "null" 1
expect "shm" 1
expect "tmp" 1
is "the host keeps what it had" "$(cat "$T/secret") $(ls /tmp/x /dev/shm/x 2>/dev/null | wc -l)" "secret 0"

# The recorder of a rerun starts outside of the view: what a record says of the environment, and anybody may have written one, is the command's alone.
mkdir "$T/loader" bin
printf '#!/bin/sh\nenv | grep -E "^(LD_|XDG_|PATH=)" | sort >variables\n' >bin/own-command
chmod +x bin/own-command
ok "variables: recorded" env PATH="$T/w/bin:$PATH" LD_DEBUG=libs LD_DEBUG_OUTPUT="$T/loader/ld" XDG_STATE_HOME="$T/made/state" XDG_CACHE_HOME="$T/made/cache" hps-record -q \
	--allow-env LD_DEBUG --allow-env LD_DEBUG_OUTPUT --allow-env XDG_STATE_HOME --allow-env XDG_CACHE_HOME --id-file "$T/id" -- own-command
is "variables: control: the recorder heeds them where they are its own" "$(ls "$T/loader" | grep -c . | sed 's/^[1-9].*/some/') $(ls "$T/made" | sort | tr '\n' ' ')" "some cache state "
cp "$T/id" "$T/variables"
ok "variables: packed" hps-replay pack "$(cat "$T/variables")" "$T/variables.hps"
for what in "$(cat "$T/variables")" "$T/variables.hps"; do
	rm -rf "$T/loader" "$T/made"
	mkdir "$T/loader"
	hps-replay --json "$what" >"$T/out" 2>"$T/err"
	is "variables: a rerun's command has them" "$(json "$T/out" "j['rerun'] is not None, [o['verdict'] for o in j['outputs'] if o['path'].endswith('/variables')]")" "(True, ['IDENTICAL'])"
	is "variables: nobody outside of the view heeds them" "$(ls -A "$T/loader") $(ls -d "$T/made" 2>/dev/null)" " "
done

# Files of the view are opened from outside while the trial begins: a link that it puts in a directory's place leads nobody to the host, where a FIFO
# would tell. It takes many files for the trial to be the first at the last one, and even so it is not always.
if [ -n "${HPS_TEST_FULL:-}" ]; then
	cat >many.py <<'P'
import os, socket, sys
if len(socket.if_nameindex()) == 1:
    os.unlink("zz/f")
    os.rmdir("zz")
    os.symlink(sys.argv[1], "zz")
    sys.exit(0)
open("zz/f").close()
for i in range(8000):
    open("z/%05d" % i).close()
P
	mkdir z zz "$T/host"
	echo x >zz/f
	/usr/bin/python3 -c 'for i in range(8000): open("z/%05d" % i, "w").write("x" * 5000)'
	ok "ahead: recorded" hps-record -q --id-file "$T/id" -- /usr/bin/python3 many.py "$T/host"
	mkfifo "$T/host/f"
	(: >"$T/host/f"; echo opened >"$T/opened") 2>/dev/null &
	pids="$pids $!"
	for i in 1 2 3; do
		hps-replay --json "$(cat "$T/id")" >"$T/out" 2>"$T/err"
		is "ahead: the trial put a link there" "$(json "$T/out" "[o['verdict'] for o in j['outputs'] if o['path'].endswith('/zz')]")" "['EXTRA']"
	done
	is "ahead: a FIFO of the host is not opened" "$(cat "$T/opened" 2>/dev/null)" ""
	rm -rf z zz
fi

# No namespace, no rerun.
cat >deny.c <<'C'
#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	unsigned flag = (unsigned)strtoul(argv[1], NULL, 16);
	if (seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(unshare), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag)) || seccomp_load(f))
		return 99;
	execvp(argv[2], argv + 2);
	return 98;
}
C
ok "deny: compiled" gcc -o deny deny.c -lseccomp
ok "deny: a trial" hps-record -q --id-file "$T/id" -- sh -c 'echo x >y'
status "control: replays" 0 hps-replay "$(cat "$T/id")"
mkdir "$T/tmp"
TMPDIR=$T/tmp
export TMPDIR
for layer in "user 10000000" "mount 00020000" "pid 20000000" "uts 04000000" "ipc 08000000" "net 40000000"; do
	set -- $layer
	status "without a $1 namespace: refused" 4 ./deny "$2" hps-replay "$(cat "$T/id")" --json
	is "without a $1 namespace: inconclusive" "$(json "$T/out" "j['verdict'], j.get('rerun')")" "('INCONCLUSIVE', None)"
	like "without a $1 namespace: said" "$(json "$T/out" "j['reason']")" "the sandbox cannot be set up: an? $1 namespace"
done
is "nothing stays behind" "$(ls -A "$TMPDIR")" ""
done_testing
