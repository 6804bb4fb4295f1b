#!/bin/sh
# Every call on files that appending, publishing and collecting make fails once, or is the last: ledger-faults.py says which, and what holds.
set -u
[ ! -w /dev/shm ] || TMPDIR=/dev/shm # no power fails here: flushing would only make it slow
. "${HPS_SOURCE:?}/tests/lib.sh"
HPS_LEDGER=$T/led
export HPS_LEDGER
if ! strace -o /dev/null -e inject=getppid:error=EIO true 2>/dev/null; then
	skip "faults" "strace cannot trace here"
	done_testing
fi
hps-ledger init led >/dev/null 2>&1
echo content >input
hps-record -q -- cat input >/dev/null
mv led whole
/usr/bin/python3 "$HPS_SOURCE/tests/e2e/ledger-faults.py"
