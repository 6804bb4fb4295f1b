#!/bin/sh
# hps-audit on a real search: a study with a failed trial holds; a better result slipped in beside it does not.
. "${HPS_SOURCE:?}/tests/lib.sh"

hps-ledger init ledger >/dev/null 2>&1
HPS_LEDGER=$T/ledger
export HPS_LEDGER
cat >train.sh <<'END'
[ "$1" = 3 ] && { echo "no <data>" >&2; exit 9; }
printf '{"loss": 0.%s}\n' "$1" >"$HPS_METRICS"
END
cat >study.yaml <<'END'
hps: 1
study: tiny
command: [sh, train.sh, "{x}"]
space:
  x: {type: choice, of: ["1", "2", "3", "4"]}
metrics:
  loss: {goal: min}
search: {sampler: grid}
budget: {trials: 4}
workers: 2
END
hps-search run study.yaml >run.out 2>&1
like "the study ran" "$(hps-search status tiny)" "3 complete, 1 failed"
status "check: a failed trial is no failure of the evidence: 0" 0 hps-audit check --json --strict
is "check: every number has its end" "$(json out '[(r["outcome"], r["failed"]) for r in j["rules"] if r["id"] == "INT-05"][0]')" "('pass', 0)"
is "check: the stop's counts agree" "$(json out '[r["outcome"] for r in j["rules"] if r["id"] == "INT-06"][0]')" pass

status "report" 0 hps-audit report --html report.html
like "report: the goal comes from the plan" "$(cat report.html)" 'The best <bdi>loss</bdi> \(lower is better\) was <strong><bdi>0.1</bdi></strong>'
like "report: the plan was there first" "$(cat report.html)" 'signed into the ledger, as entry @0, before the first trial started'
is "report: the failed trial is marked in the chart" "$(sed -n '/chart wide/,/<\/svg>/p' report.html | grep -c 'class="failed"')" 1
like "report: … and its row names what it said" "$(cat report.html)" 'exit 9</span><br><span class="note">what it said: <bdi>[^<]*/tiny.trials/[0-9]+/stderr.log</bdi>'
is "report: … only its" "$(grep -c 'what it said' report.html)" 1
ok "again: the same bytes" sh -c 'hps-audit report --html again.html && cmp report.html again.html'

# The same study signed anew by its owner, with one thing changed: deciding again finds it.
cat >forge.py <<'PY'
import base64, json, subprocess, sys
what, source, target = sys.argv[1:]
run = lambda *command, **more: subprocess.run(["hps-ledger", *command], check=True, capture_output=True, **more).stdout
run("init", target)
for line in run("list", "--jsonl", "--ledger", source).splitlines():
    entry = json.loads(line)
    statement = json.loads(base64.b64decode(json.load(open("%s/tiles/envelope/%s.json" % (source, entry["id"])))["payload"]))
    p = statement["predicate"]
    if what == "trial seed" and p.get("event") == "commit" and p["number"] == 2:
        p["trialSeed"] = "1"
    if what == "study seed" and p.get("event") == "register":
        p["seed"] = "0" * 64
    if what == "budget" and p.get("event") == "register":
        p["spec"]["budget"]["trials"] = 3
    run("append", "--ledger", target, "-", input=json.dumps(statement).encode())
PY
for what in nothing "trial seed" "study seed" budget; do
	ok "forge: $what" /usr/bin/python3 forge.py "$what" ledger "forged $what"
	hps-audit check --json --ledger "forged $what" >"$T/forged.json" 2>/dev/null
	json "$T/forged.json" '[" ".join([r["outcome"]] + [o["why"] for o in r["offenders"]]) for r in j["rules"] if r["id"] == "INT-05"][0]' >"said $what"
done
is "forge: with nothing changed it passes" "$(cat "said nothing")" pass
like "forge: another seed for a trial" "$(cat "said trial seed")" "^fail number 2 of the study 'tiny' was handed out with another seed for the trial"
like "forge: another seed for the study" "$(cat "said study seed")" "^fail the study 'tiny' has another seed than follows from its specification and the ledger before it"
like "forge: another specification" "$(cat "said budget")" "the study 'tiny' has another specification than its digest says"

status "a better result beside the search" 0 hps-record -q --study tiny --number 1 --param x=0 -- sh train.sh 0
status "check: 1" 1 hps-audit check
like "check: ID-01 names it" "$(cat out)" "^ID-01  fail .*number 1 of the study 'tiny' was run already"
status "a trial under a number that was never handed out" 0 hps-record -q --study tiny --number 9 --param x=0 -- sh train.sh 0
status "check: 1 again" 1 hps-audit check
like "check: INT-05 names it" "$(cat out)" "^INT-05  fail .*number 9 ran in the study 'tiny', but its search never handed it out"
done_testing
