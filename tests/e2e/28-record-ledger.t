#!/bin/sh
# A ledger that is absent, damaged, foreign, locked, full: an error before the start, or nothing lost after it.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
HPS_LEDGER=$T/ledger
export HPS_LEDGER
status "no ledger: refused before the start" 125 hps-record -- sh -c ': >ran'
like "no ledger: what to do" "$(cat err)" "'hps-ledger init .*' makes it"
not_ok "no ledger: nothing ran" test -e ran
ok "ledger: made" hps-ledger init "$T/ledger"

cp -r ledger damaged
printf x | dd of=damaged/ledger.db bs=1 seek=0 conv=notrunc 2>/dev/null
status "damaged: refused before the start" 125 hps-record --ledger damaged -- sh -c ': >ran'
not_ok "damaged: nothing ran" test -e ran
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$T"
	mkdir foreign && chown 65534 foreign
	as_user hps-ledger init "$T/foreign/ledger" >out 2>&1
	status "foreign: refused before the start" 125 hps-record --ledger "$T/foreign/ledger" -- sh -c ': >ran'
	like "foreign: why" "$(cat err)" "belongs to|own"
	# A ledger on a file system that fills up while the trial runs: the trial's status passes, its record is kept aside.
	mkdir small
	if unshare -m true 2>/dev/null; then
		cat >fill.sh <<'END'
mount -t tmpfs -o size=6m none small && hps-ledger init small/ledger >/dev/null 2>&1 || exit 99
hps-record --ledger "$PWD/small/ledger" --id-file id -- sh -c 'dd if=/dev/zero of=small/fill bs=64k 2>/dev/null; exit 7'
echo "status $?"
ls "$XDG_STATE_HOME/hps/spool" | wc -l
cp "$XDG_STATE_HOME"/hps/spool/*.json spooled.json
rm small/fill
hps-audit check --ledger small/ledger >audit.out
hps-ledger push --ledger small/ledger >/dev/null && hps-audit check --ledger small/ledger >pushed.out
END
		unshare -m sh fill.sh >out 2>err
		is "full disk: the command's status, a record in the spool" "$(tr '\n' ' ' <out)" "status 7 1 "
		like "full disk: what is said" "$(cat err)" "could not be appended to the ledger: .*; it is kept in '.*/hps/spool/[0-9a-f]{64}.json'"
		is "full disk: the record is whole" "$(json spooled.json "j['schema'], j['statement']['predicate']['exit'], sorted(d['digest']['sha256'] in j['manifests'] for d in j['statement']['predicate']['buildDefinition']['resolvedDependencies'])[0]")" "('hps.spool/1', {'code': 7}, True)"
		like "full disk: INT-05 knows where the record is" "$(cat audit.out)" "^INT-05  unknown .*: its record could not be appended and waits in the spool"
		like "full disk: … until it is pushed" "$(cat pushed.out)" "^INT-05  pass"
		rm -rf "$XDG_STATE_HOME/hps/spool"
	fi
fi

# The objects folder vanishes while the trial runs.
hps-ledger init gone >/dev/null 2>&1
status "no content store at the end: the command's status" 5 hps-record --ledger "$T/gone" -- sh -c "chmod 000 $T/gone/objects; mv $T/gone/objects $T/gone/moved; exit 5"
like "no content store at the end: said" "$(cat err)" "kept in|recorded"

# A recorder that dies holding the ledger's lock does not keep others out.
hps-record -q -- sh -c ': >started; exec sleep 30' 2>/dev/null &
recorder=$!
i=0
until [ -e started ] || [ $((i += 1)) -gt 500 ]; do sleep 0.02; done
status "beside a running one: recorded" 0 hps-record -q -- true
is "beside a running one: it is not lost" "$(hps-ledger list | grep -c ' lost ')" 0
kill -9 $recorder
wait $recorder 2>/dev/null
status "after a dead one: recorded" 0 hps-record -q -- true
is "after a dead one: it is lost" "$(hps-ledger list | grep -c ' lost ')" 1

# Many at once.
for i in 1 2 3 4 5 6 7 8; do
	hps-record -q --id-file "id$i" -- sh -c "exit $i" &
done
wait
is "eight at once: eight records" "$(cat id1 id2 id3 id4 id5 id6 id7 id8 | sort -u | wc -l)" 8
ok "ledger: verifies" hps-ledger verify
# A recorder that runs out of descriptors before the start ends, and says so (it hung: nobody answered its own thread).
for limit in 8 12 14 16 17 18 19 20 24 32; do
	(ulimit -n $limit && timeout 20 hps-record -q -- sh -c 'ls >/dev/null') >out 2>err
	case $? in
	0 | 125) pass "few descriptors ($limit): recorded, or refused before the start" ;;
	*) fail "few descriptors ($limit): recorded, or refused before the start" && note "$(cat err)" ;;
	esac
	unlike "few descriptors ($limit): the ledger is not called damaged" "$(cat err)" damaged
done
status "id-file: in a folder that goes away" 0 hps-record --id-file "$(mkdir goes && echo goes/id)" -- rmdir goes
like "id-file: said, and recorded all the same" "$(cat err)" "writing the id: .*'goes': No such file"
printf 'right\n' >passphrase
ok "passphrase: ledger" sh -c "hps-ledger init --key-passphrase-fd 4 $T/locked 4<passphrase"
status "passphrase: needed" 125 hps-record --ledger locked -- sh -c ': >ran'
status "passphrase: given" 0 hps-record --ledger locked --key-passphrase-fd 4 -- sh -c 'ls /proc/self/fd | grep -c "^4$" >has4; true' 4<passphrase
is "passphrase: the command does not get the descriptor" "$(cat has4)" 0
not_ok "no refused command ran" test -e ran
done_testing
