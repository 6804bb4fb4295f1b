#!/bin/sh
# What cannot be rebuilt is not run: contents that are missing or changed, records that are damaged, words that are none.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
mkdir w
cd w
record() { hps-record -q --id-file "$T/id" "$@" </dev/null >"$T/trial.log" 2>&1; }
entries() { hps-ledger list --json | /usr/bin/python3 -c 'import json, sys
text = sys.stdin.read()
try:
    j = json.loads(text); print(len(j["entries"]))
except ValueError:
    print(len(text.splitlines()))'; }
object() { h=$(sha256sum "$1" | cut -d ' ' -f 1); echo "$T/ledger/objects/$(echo "$h" | cut -c1-2)/$(echo "$h" | cut -c3-)"; }

printf '1 2 3\n' >data
printf '4 5 6\n' >more
ok "recorded with what it read" record -- sh -c 'cat data more >sum'
trial=$(cat "$T/id")
status "control: replays" 0 hps-replay "$trial"
stored=$(object data)
ok "control: data is stored" test -s "$stored"

# changed and missing, both named at once, nothing run
cp data keep
rm -f "$stored" "$(object more)"
rm more
printf '1 2 4\n' >data
before=$(entries)
status "missing and changed: not rebuilt" 4 hps-replay "$trial" --json
is "missing and changed: verdict" "$(json "$T/out" "j['verdict']")" NOT-REBUILT
is "missing and changed: both are named" "$(json "$T/out" "sorted((m['path'], m['why'].split(':')[0]) for m in j['missing'])")" \
	"[('$T/w/data', 'changed'), ('$T/w/more', 'missing')]"
is "missing and changed: nothing was run, the verdict alone is new" "$(entries)" "$((before + 1))"
is "missing and changed: no rerun is named" "$(json "$T/out" "j.get('rerun'), j['outputs']")" "(None, [])"
status "missing and changed: for people" 4 hps-replay "$trial"
like "missing and changed: the reason" "$(cat "$T/out")" "2 of [0-9]+ contents cannot be had; nothing was run"
like "missing and changed: the changed one" "$(cat "$T/out")" "$T/w/data +changed: the stored copy is gone, and the system's file has other content"
like "missing and changed: the missing one" "$(cat "$T/out")" "$T/w/more +missing: the stored copy is gone, and the system's file is gone"
status "plan: says the same and appends nothing" 4 hps-replay --plan "$trial" --json
is "plan: schema and names" "$(json "$T/out" "j['schema'], [m['path'].split('/')[-1] for m in sorted(j['missing'], key=str)]")" "('hps.plan/1', ['data', 'more'])"
is "plan: appends nothing" "$(entries)" "$((before + 2))"

# the same size, another content; then a link in its place; then the right content again
printf '1 2 3\n' >data
printf '4 5 6\n' >more
status "back again: replays from the system" 0 hps-replay "$trial"
not_ok "back again: the rerun stored no input" test -e "$(object data)"
mv data elsewhere
ln -s elsewhere data
status "a link in its place: not rebuilt" 4 hps-replay "$trial"
like "a link in its place: named" "$(cat "$T/out")" "$T/w/data +changed: .* leads through a symbolic link"
rm data
mv elsewhere data

# nothing stored at all
ok "capture none: recorded" record --capture none -- sh -c 'cat data >copy'
none=$(cat "$T/id")
status "capture none: replays while the system has it" 0 hps-replay "$none"
rm -f "$(object data)" # the copy that the rerun left has the same content
printf '9 2 3\n' >data
status "capture none: refuses the changed input" 4 hps-replay "$none"
like "capture none: names it" "$(cat "$T/out")" "$T/w/data +changed:"

# a damaged object is not used; the whole copy on the system is
printf '1 2 3\n' >data
ok "damaged object: recorded" record -- sh -c 'cat data >copy2'
damaged=$(cat "$T/id")
o=$(object data)
chmod u+w "$o"
printf 'X' | dd of="$o" bs=1 seek=2 conv=notrunc 2>/dev/null
status "damaged object: the system's whole copy is used" 0 hps-replay "$damaged"
printf '1 2 5\n' >data
status "damaged object: without it, not rebuilt" 4 hps-replay "$damaged"
like "damaged object: named" "$(cat "$T/out")" "$T/w/data +changed: the stored copy is damaged"

# a manifest that is gone; an entry that is damaged
printf '1 2 3\n' >data
ok "manifest: recorded" record -- sh -c 'cat data >copy3'
lost=$(cat "$T/id")
hps-ledger show "$lost" --json >"$T/show"
m=$(json "$T/show" "[d['digest']['sha256'] for d in j['statement']['predicate']['buildDefinition']['resolvedDependencies'] if d['name'] == 'materials'][0]")
mv "$T/ledger/objects/$(echo "$m" | cut -c1-2)/$(echo "$m" | cut -c3-)" "$T/manifest"
status "manifest gone: not rebuilt" 4 hps-replay "$lost"
like "manifest gone: the verdict" "$(cat "$T/out")" "^NOT-REBUILT: trial $(echo "$lost" | cut -c1-12)$"
like "manifest gone: named" "$(cat "$T/out")" "^  the manifest 'materials' +missing: sha256 $m$"
status "manifest gone: cannot be explained" 4 hps-replay explain "$lost"
like "manifest gone: cannot be explained: said" "$(cat "$T/err")" "reading the manifest 'materials' of trial $(echo "$lost" | cut -c1-12)"
mv "$T/manifest" "$T/ledger/objects/$(echo "$m" | cut -c1-2)/$(echo "$m" | cut -c3-)"

# clocks that are gone: a level that does not need them goes on
mkdir d
touch d/x d/y
ok "clocks: recorded" record --level 3 -- sh -c 'date +%s%N >when; ls -ai d >listed'
clocked=$(cat "$T/id")
hps-ledger show "$clocked" --json >"$T/show"
c=$(json "$T/show" "[d['digest']['sha256'] for d in j['statement']['predicate']['buildDefinition']['resolvedDependencies'] if d['name'] == 'clocks'][0]")
mv "$T/ledger/objects/$(echo "$c" | cut -c1-2)/$(echo "$c" | cut -c3-)" "$T/clocks"
status "clocks gone: no rerun at level 3" 4 hps-replay --json "$clocked"
like "clocks gone: said" "$(json "$T/out" "j['verdict'], j['reason']")" "INCONCLUSIVE.*their manifest is not in the content store \(sha256 $c\)"
hps-replay --json --level 2 "$clocked" >"$T/out"
is "clocks gone: level 2 does without" "$(json "$T/out" "j['verdict'], [o['verdict'] for o in j['outputs'] if o['path'].endswith('/listed')]")" "('DIVERGED', ['IDENTICAL'])"
mv "$T/clocks" "$T/ledger/objects/$(echo "$c" | cut -c1-2)/$(echo "$c" | cut -c3-)"

# a store that is empty
mv "$T/ledger/objects" "$T/all"
mkdir -m 700 "$T/ledger/objects"
status "store emptied: not rebuilt" 4 hps-replay --json "$lost"
is "store emptied: what is missing" "$(json "$T/out" "j['verdict'], [m['path'] for m in j['missing']]")" "('NOT-REBUILT', [\"the manifest 'materials'\", \"the manifest 'products'\", \"the manifest 'misses'\"])"
status "store emptied: the plan" 4 hps-replay plan "$lost"
like "store emptied: the plan says it" "$(cat "$T/out")" "the manifest 'products' +missing: sha256"
rm -f copy3
status "store emptied: from another store" 0 hps-replay --json --store "$T/all" "$lost"
is "store emptied: from another store: verdict" "$(json "$T/out" "j['verdict'], j['level'], j['missing']")" "('REPRODUCED-BITS', 'L2', [])"
(cd "$T/all" && exec /usr/bin/python3 -u -m http.server --bind 127.0.0.1 0 >"$T/http" 2>/dev/null) &
http=$!
for i in $(seq 100); do
	grep -q 'port [1-9]' "$T/http" 2>/dev/null && break
	sleep 0.1
done
status "store emptied: from a mirror" 0 hps-replay --json --mirror "http://127.0.0.1:$(sed 's/.*port \([0-9]*\).*/\1/' "$T/http")" "$lost"
is "store emptied: from a mirror: verdict" "$(json "$T/out" "j['verdict']")" "REPRODUCED-BITS"
rm -f when listed
status "store emptied: clocks and processes from another store" 0 hps-replay --json --level 3 --store "$T/all" "$clocked"
is "store emptied: clocks and processes from another store: verdict" "$(json "$T/out" "j['verdict'], j['level']")" "('REPRODUCED-BITS', 'L3')"
status "store emptied: clocks and processes from a mirror" 0 hps-replay --json --mirror "http://127.0.0.1:$(sed 's/.*port \([0-9]*\).*/\1/' "$T/http")" "$clocked"
kill "$http"
cp -a "$T/all/." "$T/ledger/objects"

# who is asked for
status "unknown id" 4 hps-replay 0123456789ab
status "not an id" 2 hps-replay xyz
status "no id" 2 hps-replay
status "two ids" 2 hps-replay "$trial" "$none"
status "a verdict is no trial" 2 hps-replay @4
status "a bad tolerance" 2 hps-replay --rtol -1 "$trial"
like "a bad tolerance: said" "$(cat "$T/err")" "option --rtol: '-1' is no tolerance"
status "no ledger" 4 hps-replay --ledger "$T/nowhere" "$trial"
ok "begin id: stands for its trial" sh -c "hps-ledger show $trial --json | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)[\"statement\"][\"predicate\"][\"begin\"])' | xargs hps-replay --plan"

# secrets are not run
ok "a secret: recorded" record -- sh -c 'echo "$1" >/dev/null; echo done >copy4' sh --password=hunter2hunter2
status "a secret in the command: not rebuilt" 4 hps-replay "$(cat "$T/id")"
like "a secret in the command: named" "$(cat "$T/out")" "word [0-9]+ of the command +missing: the record withholds it"

# a flipped byte anywhere in the trial's entry
cp -R "$T/ledger" "$T/flipped"
/usr/bin/python3 - "$T/flipped/ledger.db" <<'P'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for (table,) in db.execute("select name from sqlite_master where type='table'").fetchall():
    for column in [r[1] for r in db.execute(f"pragma table_info({table})")]:
        for (value,) in db.execute(f"select {column} from {table} where length({column}) > 2000").fetchall():
            raw = bytearray(value.encode() if isinstance(value, str) else value)
            raw[len(raw) // 2] ^= 1
            db.execute(f"update {table} set {column}=? where {column}=?", (raw.decode() if isinstance(value, str) else bytes(raw), value))
db.commit()
P
status "a damaged ledger: refused" 3 hps-replay --ledger "$T/flipped" "$trial"

done_testing
