#!/bin/sh
# hps-audit on what the recorder and the search really write: whole, running, killed, failed, with damaged content.
. "${HPS_SOURCE:?}/tests/lib.sh"

hps-ledger init ledger >/dev/null 2>&1
HPS_LEDGER=$T/ledger
export HPS_LEDGER
outcome() {
	json out "[r['outcome'] for r in j['rules'] if r['id'] == '$1'][0]"
}
# wait_for N: until the ledger has that many entries
wait_for() {
	i=0
	while [ $i -lt 100 ] && [ "$(hps-audit check --json | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["ledger"]["size"])')" -lt "$1" ]; do
		sleep 0.1
		i=$((i + 1))
	done
}

cat >train.sh <<'END'
echo "lr=$1" >model
printf '{"loss": %s}\n' "$2" >"$HPS_METRICS"
exit "${3:-0}"
END

status "one trial" 0 hps-record -q --study s --number 0 --param lr=0.1 -- sh train.sh 0.1 0.5
status "a failed one" 7 hps-record -q --study s --number 1 --param lr=0.2 -- sh train.sh 0.2 0.4 7
status "check --json" 0 hps-audit check --json
for rule in ID-01 ID-02 ID-04 INT-01 INT-02 INT-04 INT-05 INT-07 INT-08 ENV-05 HW-03; do
	is "recorded: $rule" "$(outcome $rule)" pass
done
is "recorded: INT-06 has no search to compare" "$(outcome INT-06)" n/a
is "recorded: CAP-01" "$(outcome CAP-01)" pass

status "report" 0 hps-audit report --html report.html
like "report: the metric" "$(cat report.html)" '<td class="num"><bdi>0.5</bdi></td>'
like "report: the parameter" "$(cat report.html)" '<td class="num"><bdi>0.2</bdi></td>'
like "report: how the failed one ended" "$(cat report.html)" '>failed</span> <span class="note">exit 7</span>'
like "report: the processor" "$(cat report.html)" '<dt>Processor</dt>'
like "report: packages" "$(cat report.html)" 'Debian packages that own the files \([1-9]'

hps-record -q --study s --number 2 -- sleep 20 &
recorder=$!
wait_for 5
status "running: 0" 0 hps-audit check --json
is "running: INT-05 is unknown" "$(outcome INT-05)" unknown
like "running: … and says so" "$(json out '[r["offenders"][0]["why"] for r in j["rules"] if r["id"] == "INT-05"][0]')" "it is still running"
kill -9 $recorder
wait $recorder 2>/dev/null
status "killed: 1" 1 hps-audit check
like "killed: INT-05 names the begin entry" "$(cat out)" "^INT-05  fail    @4 [0-9a-f]{12}: it began and has no end: its recorder died"
status "killed: the next trial runs" 0 hps-record -q --study s --number 3 -- true
status "killed: then it is lost" 0 hps-audit check --json
is "lost: INT-05 passes" "$(outcome INT-05)" pass
is "lost: who ran it is known all the same" "$(outcome ID-02)" pass
is "lost: what it saw is unknown" "$(outcome CAP-01)" unknown
status "lost: report" 0 hps-audit report --html lost.html
like "lost: the page says so" "$(cat lost.html)" "1 lost because the recorder died"

# What the facts are good for: a package that was edited in place, a card that counts errors, a pointer where a large file should be.
mkdir -p site-packages/mod site-packages/mod-1.5.dist-info code
echo 'x = 1' >site-packages/mod/__init__.py
printf 'Name: mod\nVersion: 1.5\n' >site-packages/mod-1.5.dist-info/METADATA
printf 'mod/__init__.py,sha256=%s,6\n' "$(openssl sha256 -binary <site-packages/mod/__init__.py | basenc --base64url | tr -d =)" >site-packages/mod-1.5.dist-info/RECORD
echo 'x = 2' >site-packages/mod/__init__.py
git init -q code && echo 'import mod' >code/t.py && echo '*.bin filter=lfs' >code/.gitattributes
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n' >code/w.bin
git -C code -c filter.lfs.clean=cat add . && git -C code -c user.name=a -c user.email=a@example.org -c commit.gpgsign=false commit -q -m one
status "facts: a trial with a changed package" 0 env HPS_LEDGER="$T/ledger2" sh -c 'hps-ledger init ledger2 2>/dev/null && PYTHONPATH=site-packages hps-record -q -- /usr/bin/python3 code/t.py'
status "facts: check fails" 1 hps-audit check --json --ledger ledger2
is "facts: the package is named" "$(json out '[r["offenders"][0]["why"] for r in j["rules"] if r["id"] == "ENV-05"]')" "['$T/site-packages/mod/__init__.py is not what mod brought']"
is "facts: so is the pointer" "$(json out '[r["offenders"][0]["why"] for r in j["rules"] if r["id"] == "COD-03"]')" "['w.bin holds a pointer, not the content']"
is "facts: no card, no container: nothing to judge" "$(outcome HW-01) $(outcome HW-02)" "n/a n/a"

echo data >input
status "a trial with an input of its own" 0 hps-record -q --study s --number 4 -- sh -c 'cat input >copy'
object=$(find ledger/objects -type f | while read -r f; do [ "$(cat "$f" 2>/dev/null)" = data ] && echo "$f"; done | head -n 1)
chmod u+w "$object" && echo dat4 >"$object"
status "a stored file was changed: 3" 3 hps-audit check --json
is "stored file: INT-07 fails" "$(outcome INT-07)" fail
is "stored file: INT-04 does not" "$(outcome INT-04)" pass
is "stored file: the entry is named" "$(json out '[r["offenders"][0]["index"] for r in j["rules"] if r["id"] == "INT-07"][0]')" "$(json out 'j["ledger"]["size"] - 1')"
done_testing
