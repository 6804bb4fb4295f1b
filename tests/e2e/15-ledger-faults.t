#!/bin/sh
# Every system call on files that an append, its publication and a collection make fails once, or is the last (strace injects it). Each
# time: what was acknowledged is there, the ledger verifies without help, and it goes on. One call in some with HPS_TEST_FULL unset.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
HPS_LEDGER=$T/led
export HPS_LEDGER
step=13
[ -z "${HPS_TEST_FULL:-}" ] || step=1
calls=pwrite64,write,pread64,read,fsync,fdatasync,syncfs,ftruncate,renameat,unlinkat,openat,mkdirat,flock,fallocate,fcntl
if ! strace -o /dev/null -e inject=getppid:error=EIO true 2>/dev/null; then
	skip "faults" "strace cannot trace here"
	done_testing
fi
hps-ledger init led >/dev/null 2>&1
echo content >input
hps-record -q -- cat input >/dev/null

n=0
statement() {
	n=$((n + 1))
	printf '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"%064d"}}],"predicateType":"urn:hps:trial:v1","predicate":{"number":%d}}' $n $n >s.json
}
# sweep NAME FAULT COMMAND…: the fault at call 1, 1 + step, …, until the command makes fewer calls. Sets runs, bad, refused.
sweep() {
	name=$1 fault=$2
	shift 2
	runs=0 bad=0 refused=0 i=1
	while :; do
		statement
		timeout 20 strace -f -o trace -e trace=$calls -e inject=$calls:$fault:when=$i "$@" >faulty.out 2>faulty.err
		status=$?
		grep -q 'INJECTED\|+++ killed by SIGKILL' trace && [ $i -lt 600 ] || break
		runs=$((runs + 1))
		[ $status = 0 ] || refused=$((refused + 1))
		if [ -s faulty.out ] && id=$(sed -n 's/^@[0-9]* \([0-9a-f]\{64\}\)$/\1/p' faulty.out) && [ -n "$id" ]; then
			hps-ledger show "$id" >/dev/null 2>err || { bad=$((bad + 1)) && note "$name, $fault at call $i: acknowledged, not there: $(cat err)"; }
		fi
		hps-ledger verify >verified 2>&1 || { bad=$((bad + 1)) && note "$name, $fault at call $i: $(head -3 verified)"; }
		i=$((i + step))
	done
	hps-ledger append s.json >/dev/null 2>err || { bad=$((bad + 1)) && note "$name, $fault: does not go on: $(cat err)"; }
}
for fault in signal=KILL error=EIO error=ENOSPC error=EINTR; do
	sweep append $fault hps-ledger append s.json
	is "append, $fault at one in $step of its calls ($runs runs, $refused refused)" $bad 0
	ok "… it did strike" test $runs -gt $((50 / step))
done
for fault in signal=KILL error=EIO; do
	for k in 1 2 3; do
		d=$(printf 'stray %s' $k | sha256sum | cut -c1-64)
		mkdir -p -m 700 "led/objects/$(echo "$d" | cut -c1-2)" && printf 'stray %s' $k >"led/objects/$(echo "$d" | cut -c1-2)/$(echo "$d" | cut -c3-)"
	done
	find led/objects -type f -exec touch -d '3 days ago' {} +
	sweep gc $fault hps-ledger gc
	is "gc, $fault ($runs runs): everything that is named is there" $bad 0
	ok "gc, $fault: then it ends its work" hps-ledger gc
	is "gc, $fault: nothing is left of what nobody names" "$(find led/objects -type f -exec grep -l '^stray ' {} + | wc -l)" 0
done
ok "the ledger holds at the end" hps-ledger verify
is "staging/ is empty" "$(ls -A led/staging)" ""
done_testing
