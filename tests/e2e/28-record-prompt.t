#!/bin/sh
# However a trial ends, its signed entry is there within a second of that. (Once in five tries: the machine may be busy.)
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger

ends() { # ends NAME STATUS STATE COMMAND…
	name=$1 want=$2 state=$3
	shift 3
	for try in 1 2 3 4 5; do
		rm -f stamp
		hps-record -q --id-file id -- "$@" >out 2>err
		got=$?
		late=$(($(date +%s%N) - $(date -r stamp +%s%N)))
		[ "$got" = "$want" ] && [ $late -lt 1000000000 ] && break
	done
	is "$name: its status, and what the entry says" "$got $(rec "(t['state'], *t['exit'].items())")" "$want $state"
	ok "$name: within a second" test $late -lt 1000000000
}
ends "failed" 3 "('failed', ('code', 3))" sh -c ': >stamp; exit 3'
ends "killed" 137 "('killed', ('signal', 9))" sh -c ': >stamp; kill -9 $$'
ends "aborted, with much memory" 134 "('killed', ('signal', 6))" /usr/bin/python3 -c 'import os
x = bytearray(300000000); open("stamp", "w"); os.abort()'
ends "timed out" 124 "('failed', ('code', 124))" timeout 0.2 sh -c ': >stamp; sleep 60'
ends "no room for its output" 1 "('failed', ('code', 1))" sh -c ': >stamp; dd if=/dev/zero of=/dev/full count=1'
ends "with a hundred processes left" 4 "('failed', ('code', 4))" sh -c 'for i in $(seq 100); do sleep 0.3 & done; : >stamp; exit 4'
ends "after many files" 5 "('failed', ('code', 5))" sh -c 'for i in $(seq 2000); do echo $i >f$i; done; : >stamp; exit 5'
ok "ledger: verifies" hps-ledger verify
done_testing
