#!/bin/sh
# However a trial ends, its entry says so: failed, killed, timed out, out of memory, ended by its scheduler.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
ok "ledger: made" hps-ledger init "$T/ledger"
HPS_LEDGER=$T/ledger
export HPS_LEDGER
rec() {
	/usr/bin/python3 "$HPS_SOURCE/tests/e2e/record.py" "$T/ledger" "$(cat "$T/id")" "$1"
}
signals() { rec "[(s['signal'], s['from'], s.get('pid') is not None) for s in t['ending']['signals']]"; }
wait_for() {
	i=0
	until "$@" 2>/dev/null || [ $((i += 1)) -gt 500 ]; do sleep 0.02; done
}

status "failed: run" 3 hps-record -q --id-file id -- sh -c 'exit 3'
is "failed: nobody did anything to it" "$(rec "t['state'], t['exit'], t['ending']")" "('failed', {'code': 3}, {'signals': []})"
timeout 1 hps-record -q --id-file id -- sleep 60
is "timed out: the status of timeout" "$?" 124
is "timed out: killed, by a signal that came from a process" "$(rec "t['state'], t['exit'], {(s['signal'], s['from'], s['program']) for s in t['ending']['signals']}")" "('killed', {'signal': 15}, {(15, 'process', 'timeout')})"

# As a scheduler does it: SIGTERM, then time to write a checkpoint.
cat >graceful.py <<'END'
import signal, sys, time
def end(*a):
    open("checkpoint", "w").write("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open("ready", "w").close()
time.sleep(60)
END
hps-record -q --id-file id -- /usr/bin/python3 graceful.py &
recorder=$!
wait_for test -e ready
kill -TERM $recorder
wait $recorder
is "grace: the command's own end" "$?" 0
is "grace: the checkpoint is a product" "$(rec "t['state'], products['$T/checkpoint']['size']") $(signals)" "('complete', 5) [(15, 'process', True)]"

# Ctrl-C, and again while the record is being made.
rm -f ready
cat >interrupted.py <<'END'
import os, signal, subprocess, time
signal.signal(signal.SIGINT, signal.SIG_DFL)
p = subprocess.Popen(["hps-record", "-q", "--id-file", "id", "--", "sh", "-c", ": >ready; exec sleep 60"])
while not os.path.exists("ready"):
    time.sleep(0.02)
for i in range(40): # the first ends the command, the others meet the recorder at its work
    p.send_signal(signal.SIGINT)
    time.sleep(0.005)
print(p.wait())
END
rm -f id
is "interrupted again and again: dies as the command did" "$(/usr/bin/python3 interrupted.py)" -2
is "interrupted again and again: the record is whole" "$(rec "t['state'], t['exit'], t['ending']['signals'][0]['signal']")" "('killed', {'signal': 2}, 2)"

# Killed for want of memory, where a control group can be made.
group=/sys/fs/cgroup/memory/hps-test.$$ limit=memory.limit_in_bytes
[ -d /sys/fs/cgroup/memory ] || group=/sys/fs/cgroup/hps-test.$$ limit=memory.max
if [ "$(id -u)" = 0 ] && mkdir "$group" 2>/dev/null && echo 40000000 >"$group/$limit" 2>/dev/null; then
	[ ! -e "$group/memory.swap.max" ] || echo 0 >"$group/memory.swap.max"
	hps-record -q --id-file id -- sh -c "echo \$\$ >$group/cgroup.procs; exec /usr/bin/python3 -c 'x = bytearray(400000000)'"
	is "out of memory: killed" "$?" 137
	is "out of memory: the kernel counted it" "$(rec "t['state'], t['exit'], t['ending']['outOfMemory']['machine'] >= 1")" "('killed', {'signal': 9}, True)"
else
	skip "out of memory: killed" "no control group can be made here"
fi
rmdir "$group" 2>/dev/null

# The disk is full for the trial, not for the ledger.
mkdir small
if unshare -m true 2>/dev/null; then
	status "disk full for the trial: its own failure" 1 unshare -m sh -c "mount -t tmpfs -o size=64k none small && hps-record -q --id-file id -- dd if=/dev/zero of=small/fill bs=64k count=9"
	is "disk full for the trial: recorded" "$(rec "t['state'], products['$T/small/fill']['size'], [(f['path'], f['freeBytes']) for f in t['ending']['full']]")" "('failed', 65536, [('$T/small', 0)])"
	status "no inode left for the trial: its own failure" 2 unshare -m sh -c "mount -t tmpfs -o nr_inodes=3 none small && hps-record -q --id-file id -- sh -c 'for i in 1 2 3; do : >small/\$i; done'"
	is "no inode left for the trial: recorded" "$(rec "[(f['path'], f['freeFiles'], f['freeBytes'] > 65536) for f in t['ending']['full']]")" "[('$T/small', 0, True)]"
	is "a full file system that is mounted read-only: is nobody's trouble" "$(unshare -m sh -c "mount -t tmpfs -o size=64k none small && dd if=/dev/zero of=small/fill bs=64k count=1 2>/dev/null && mount -o remount,ro small && cd small && hps-record -q --id-file '$T/image' -- true"; cp image id; rec "t['ending'].get('full')")" None
	mkdir -p root/bin root/lib64 root/lib/x86_64-linux-gnu
	cp /bin/cat root/bin/ && cp /lib64/ld-linux-x86-64.so.2 root/lib64/ && cp /lib/x86_64-linux-gnu/libc.so.6 root/lib/x86_64-linux-gnu/
	is "full under another root: only what the trial could see" "$(unshare -m sh -c "mount -t tmpfs -o size=64k none small && dd if=/dev/zero of=small/fill bs=64k count=1 2>/dev/null && cd small && hps-record -q --id-file '$T/image' --root '$T/root' --cwd / --metrics-path /m -- /bin/cat /bin/cat >/dev/null"; cp image id; rec "t['state'], t['ending'].get('full')")" "('complete', None)"
fi

# A recorder that is killed: the next one says so.
rm -f ready
hps-record -q -- sh -c ': >ready; exec sleep 60' 2>/dev/null &
recorder=$!
wait_for test -e ready
kill -9 $recorder
wait $recorder 2>/dev/null
status "killed recorder: the next run" 0 hps-record -q --id-file id -- true
is "killed recorder: each begin has its end" "$(hps-ledger list --json | /usr/bin/python3 -c 'import json, sys
kinds = [e["kind"] for e in json.load(sys.stdin)["entries"]]
print(kinds.count("begin") == kinds.count("trial") + kinds.count("lost"), kinds.count("lost"))')" "True 1"
# Its folder in TMPDIR stayed for ever: the next one removes it. What lives, and what only looks like it, stays.
rm -f ready
mkdir tmp
TMPDIR=$T/tmp
export TMPDIR
hps-record -q -- sh -c ': >ready; exec sleep 60' 2>/dev/null &
recorder=$!
wait_for test -e ready
is "killed recorder's folder: it has one" "$(ls tmp | grep -c '^hps-record\.[A-Za-z0-9]\{6\}$')" 1
status "killed recorder's folder: another run beside it" 0 hps-record -q -- true
is "killed recorder's folder: … leaves it while its maker lives" "$(ls tmp | wc -l)" 1
kill -9 $recorder
wait $recorder 2>/dev/null
is "killed recorder's folder: it stays" "$(ls tmp | wc -l)" 1
mkdir -m 700 tmp/hps-record.notours tmp/hps-abcdef tmp/hps-record.foreig
mkdir -m 755 tmp/hps-record.opened
ln -s hps-abcdef tmp/hps-record.linked
: >tmp/hps-record.afilex
[ "$(id -u)" != 0 ] || chown 65534 tmp/hps-record.foreig
[ "$(id -u)" = 0 ] || rmdir tmp/hps-record.foreig
before=$(ls -d tmp/hps-record.notours tmp/hps-abcdef tmp/hps-record.opened tmp/hps-record.linked tmp/hps-record.afilex $([ "$(id -u)" != 0 ] || echo tmp/hps-record.foreig))
status "killed recorder's folder: the next run" 0 hps-record -q -- true
is "killed recorder's folder: … removes it, and nothing else" "$(ls -d tmp/*)" "$before"
unset TMPDIR
ok "ledger: verifies" hps-ledger verify
done_testing
