#!/bin/sh
# A runner that is killed at any instant loses and doubles nothing: kill -9 at random moments, resume, and compare with a run that nobody
# disturbed. HPS_SEED repeats the moments.
. "${HPS_SOURCE:?}/tests/lib.sh"

HPS_LEDGER=$T/ledger
export HPS_LEDGER
ok "a ledger" hps-ledger init "$HPS_LEDGER"
seed=${HPS_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
echo "# HPS_SEED=$seed"

cat >trial.sh <<'SH'
#!/bin/sh
sleep "0.0$(($2 % 8))"
echo "{\"score\": $2}" >"$HPS_METRICS"
[ $(($2 % 7)) != 0 ]
SH
chmod +x trial.sh
study() {
	cat >"$1.yaml" <<YAML
hps: 1
study: $1
command: [./trial.sh, "{number}", "{n}", "{x}"]
space:
  n: {type: int, low: 0, high: 1000}
  x: {type: float, low: 1e-6, high: 1, log: true}
metrics: {score: {goal: min}}
search: {sampler: sobol, seed: 77}
budget: {trials: 60}
workers: 3
YAML
}
study calm
study storm
status "undisturbed" 0 hps-search run calm.yaml -q

# The runner is killed after a random time, again and again; each next one goes on, until one is not killed in time.
cat >storm.py <<'PY'
import random
import subprocess
import sys
import time

chance = random.Random(int(sys.argv[1]))
kills = 0
while True:
    runner = subprocess.Popen(["hps-search", "run", "storm.yaml", "-q"], stdout=subprocess.DEVNULL, stderr=open("storm.err", "wb"))
    if kills < 15:
        time.sleep(chance.uniform(0.001, 0.35))
        if runner.poll() is None:
            runner.kill()
            kills += 1
    if runner.wait() == 0 and kills >= 15:
        break
    if runner.returncode not in (0, -9):
        sys.exit("the runner ended with %d: %s" % (runner.returncode, open("storm.err").read()))
    if runner.returncode == 0:
        sys.exit("the study was finished after %d kills: too fast for this test" % kills)
print(kills)
PY
ok "killed 15 times, and finished" /usr/bin/python3 storm.py "$seed"
is "every number has exactly one trial" "$(hps-ledger list -s storm -k trial --jsonl | grep -o '"number":[0-9]*' | sort | uniq -c | awk '$1 == 1' | wc -l)" 60
is "… and no trial more" "$(hps-ledger list -s storm -k trial --jsonl | wc -l)" 60
for event in commit result; do
	is "every number has exactly one $event" "$(hps-ledger list -s storm -k search --jsonl | grep "\"$event\"" | grep -o '"number":[0-9]*' | sort | uniq -c | awk '$1 == 1' | wc -l)" 60
done
is "registered once" "$(hps-ledger list -s storm --jsonl | grep -c '"register"')" 1
is "stopped once" "$(hps-ledger list -s storm --jsonl | grep -c '"stop"')" 1
for study in calm storm; do
	hps-search status $study --json >$study.json
	json $study.json '"\n".join(json.dumps([t["number"], t["params"], t["trialSeed"], t["state"], t["metrics"]], sort_keys=True) for t in j["trials"])' >$study.txt
done
ok "the same parameters, seeds, states and metrics as undisturbed" cmp calm.txt storm.txt
is "… of which some failed" "$(json storm.json 'j["counts"]["failed"] > 0 and j["counts"]["complete"] > 0')" True
is "no recorder is left" "$(ls "$HPS_LEDGER/running" | wc -l)" 0
ok "the ledger holds" hps-ledger verify

# A runner that is killed while its trials run: the next one waits for them, says so, and takes their results over.
cat >slow.sh <<'SH'
#!/bin/sh
echo "$1" >>started
n=0
while [ ! -e go ] && [ $n -lt 600 ]; do
	sleep 0.05
	n=$((n + 1))
done
echo "{\"score\": $1}" >"$HPS_METRICS"
SH
chmod +x slow.sh
sed -e 's/^study: .*/study: slow/; s/trial.sh/slow.sh/; s/trials: 60/trials: 4/; s/workers: 3/workers: 2/' calm.yaml >slow.yaml
wait_for() {
	n=0
	while ! eval "$1"; do
		n=$((n + 1))
		[ $n -gt 600 ] && return 1
		sleep 0.05
	done
}
touch started
hps-search run slow.yaml >/dev/null 2>&1 &
runner=$!
ok "two trials run" wait_for '[ "$(wc -l <started)" = 2 ]'
kill -KILL $runner
wait $runner 2>/dev/null
hps-search run slow.yaml >out 2>err &
runner=$!
ok "the next runner says that it waits for them" wait_for 'grep -q "^waiting for 2 trials of an earlier runner$" err'
is "… and starts nothing meanwhile" "$(sort started | tr '\n' ' ')" "0 1 "
touch go
wait $runner
is "… and goes on when they have ended" "$?" 0
is "each trial was started once" "$(sort started | tr '\n' ' ')" "0 1 2 3 "
is "each has one trial entry" "$(hps-ledger list -s slow -k trial --jsonl | wc -l)" 4

# A runner that waits can be stopped as well.
rm go started err
touch started
sed -i 's/^study: .*/study: slow2/' slow.yaml
hps-search run slow.yaml >/dev/null 2>&1 &
runner=$!
ok "again, two trials run" wait_for '[ "$(wc -l <started)" = 2 ]'
kill -KILL $runner
wait $runner 2>/dev/null
hps-search run slow.yaml >out 2>err &
runner=$!
wait_for 'grep -qs waiting err'
kill -TERM $runner
wait $runner
is "a waiting runner ends at once" "$?" 4
like "… and says how to go on" "$(cat err)" "stopped while trials of an earlier runner go on; the same command resumes"
touch go
status "… which is true" 0 hps-search run slow.yaml
is "… with each trial once" "$(hps-ledger list -s slow2 -k trial --jsonl | wc -l)" 4

# What was recorded by hand under a committed number, and is not what was committed, is passed over, and seen by whoever looks.
cat >beside.yaml <<'YAML'
hps: 1
study: beside
command: [./other.sh, "{n}"]
space: {n: {type: int, low: 10, high: 99}}
metrics: {score: {goal: max}}
search: {sampler: random, seed: 4}
budget: {trials: 2}
YAML
status "beside: its program is not there yet" 4 hps-search run beside.yaml
n=$(hps-ledger list -s beside --jsonl | sed -n '/"commit"/s/.*"id":"\([0-9a-f]*\)".*/\1/p' | head -n 1)
n=$(hps-ledger show --json "$n" | json /dev/stdin 'j["statement"]["predicate"]["params"]["n"]')
ok "beside: a better result by hand" hps-record -q --study beside --number 0 --param "n=$n" -- sh -c 'echo "{\"score\": 999}" >"$HPS_METRICS"'
printf '#!/bin/sh\necho "{\\"score\\": $1}" >"$HPS_METRICS"\n' >other.sh
chmod +x other.sh
rm -r beside.trials
status "beside: the search goes on" 0 hps-search run beside.yaml
unlike "beside: … without it" "$(hps-search status beside)" 999
status "beside: the audit fails" 1 hps-audit check --study beside
like "beside: … and says why" "$(cat out)" "^INT-05  fail .*number 0 of the study 'beside' ran another command than was handed out"
status "beside: it is not complete" 1 hps-ledger prove --study beside
like "beside: … and says why" "$(cat out)" "begins number 0 with other parameters, or another command, than were handed out"

# A record that could not be appended waits in the spool: the number has run, and is not run again.
cat >full.yaml <<'YAML'
hps: 1
study: full
command: [./full.sh, "{number}", "{n}"]
space: {n: {type: int, low: 10, high: 99}}
metrics: {score: {goal: max}}
search: {sampler: random, seed: 1}
budget: {trials: 3}
YAML
cat >full.sh <<'SH'
#!/bin/sh
[ "$1" = 1 ] && [ ! -e once ] && { : >once; dd if=/dev/zero of=small/fill bs=16k 2>/dev/null; }
echo "{\"score\": $2}" >"$HPS_METRICS"
SH
chmod +x full.sh
cat >full-disk.sh <<'SH'
mkdir small && mount -t tmpfs -o size=8m none small || exit 77
export HPS_LEDGER=$PWD/small/ledger
hps-ledger init "$HPS_LEDGER" >/dev/null 2>&1
hps-search run full.yaml >first 2>&1
echo "first $?"
rm small/fill
ls "$XDG_STATE_HOME"/hps/spool | wc -l
hps-search run full.yaml >second 2>&1
echo "second $?"
ls "$XDG_STATE_HOME"/hps/spool | wc -l
hps-ledger list -s full -k trial --jsonl | wc -l
hps-ledger prove --study full
SH
XDG_STATE_HOME=$T/full-state unshare -m sh full-disk.sh >out 2>err
case $? in
77 | 1) skip "a full disk" "no mount namespaces here" ;;
*)
	is "a full disk: the record waits, the next runner appends it, nothing runs twice" "$(head -n 5 out | tr '\n' ' ')" "first 4 1 second 0 0 3 "
	like "a full disk: … and the study is complete" "$(cat out)" "^COMPLETE"
	;;
esac

# The rig can fail: a trial that is recorded by hand under a committed number is a second one, and the counting above sees it.
hps-record -q --study storm --number 5 --param n=1 -- true
is "the rig sees a doubled trial" "$(hps-ledger list -s storm -k trial --jsonl | grep -o '"number":[0-9]*' | sort | uniq -c | awk '$1 == 1' | wc -l)" 59

done_testing
