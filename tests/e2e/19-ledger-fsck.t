#!/bin/sh
# fsck: what only the owner can compare, the database made again from tiles/.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
HPS_LEDGER=$T/led
export HPS_LEDGER
for i in 0 1 2 3 4 5 6 7 8 9; do statement $i >s$i.json; done
hps-ledger init --origin example.org/d led >/dev/null 2>&1
hps-ledger append s0.json s1.json s2.json >/dev/null
ok "a trial" hps-record -q -- true
cp -a led whole
# fresh: as it was, and nobody remembers having signed more
fresh() {
	rm -rf led "$XDG_STATE_HOME/hps/signed"
	cp -a whole led
}

status "a whole one" 0 hps-ledger fsck
like "says what it did not read" "$(cat out)" "^OK: .*were not read"
status "in full" 0 hps-ledger fsck --full --json
is "everything was read" "$(json out 'j["holds"], j["bodiesChecked"], j["objectsChecked"], j["databaseChecked"], j["size"]')" "(True, True, True, True, 5)"

# ---- who may get at it
chmod 644 led/keys/log.pem
status "a key that others may read" 3 hps-ledger fsck
like "is named" "$(cat out)" "^keys/log.pem: its mode is 0644"
fresh

# ---- the database
hps-ledger list >before
for damage in 'truncate -s 5000 led/ledger.db' 'head -c 20000 /dev/urandom >led/ledger.db' ': >led/ledger.db' 'rm led/ledger.db' \
	'head -c 4096 /dev/urandom | dd of=led/ledger.db bs=4096 seek=2 conv=notrunc 2>/dev/null'; do
	sh -c "$damage"
	case $damage in rm*) ;; *) status "fsck after: $damage" 3 hps-ledger fsck --full ;; esac
	status "append after it" 3 hps-ledger append s3.json
	status "made again" 0 hps-ledger fsck --full --rebuild
	is "everything is found again" "$(hps-ledger list)" "$(cat before)"
	ok "and it can be continued" hps-ledger append s3.json
	status "all holds" 0 hps-ledger verify
	fresh
done
# SQLite's journal of the old one must not be played into the new one.
head -c 5000 /dev/urandom >led/ledger.db-journal
: >led/ledger.db
status "beside a journal of SQLite" 0 hps-ledger fsck --full --rebuild
fresh
hps-ledger withdraw --reason leaked @1 >/dev/null
: >led/ledger.db
status "with a withdrawn body" 0 hps-ledger fsck --rebuild
like "which is still listed" "$(cat out)" "^withdrawn "
ok "the old database is kept" test -e led/ledger.db.damaged
ok "until another body goes, which it may have" hps-ledger withdraw --reason leaked @2
not_ok "it has gone, too" test -e led/ledger.db.damaged
fresh
rm -rf led
hps-ledger init --origin example.org/d led >/dev/null 2>&1
hps-ledger append s0.json s1.json s2.json >/dev/null
rm -rf whole
cp -a led whole

# From tiles that are damaged themselves nothing is made.
bundle=$(find led/tiles/tile/entries -type f | tail -1)
printf x | dd of="$bundle" bs=1 seek=100 conv=notrunc 2>/dev/null
cp led/ledger.db kept.db
status "damaged tiles" 3 hps-ledger fsck --rebuild
ok "the database is as it was" cmp led/ledger.db kept.db
not_ok "nothing is left lying about" sh -c 'ls led | grep unfinished'
fresh
# … not even where every leaf can be read: another signature gives another root.
LC_ALL=C sed -i 's/\("signature":{"content":".\{20\}\)A/\1B/;t;s/\("signature":{"content":".\{20\}\)./\1A/' "$bundle"
not_ok "a leaf is another" cmp "$bundle" "whole/${bundle#led/}"
status "another root" 3 hps-ledger fsck --rebuild
like "is said" "$(cat err)" "do not give the signed root"
ok "the database is as it was" cmp led/ledger.db whole/ledger.db
fresh
rm -r led/keys
status "a published copy needs none" 2 hps-ledger fsck --rebuild
done_testing
