#!/bin/sh
# Running a study: what is committed before what, failing and killed trials, workers, a second run, stopping, and what is refused.
. "${HPS_SOURCE:?}/tests/lib.sh"

HPS_LEDGER=$T/ledger
export HPS_LEDGER
ok "a ledger" hps-ledger init "$HPS_LEDGER"

# study NAME WORKERS TRIALS COMMAND: command is a YAML list that holds {n}
study() {
	cat >"$1.yaml" <<YAML
hps: 1
study: $1
command: $4
space: {n: {type: int, low: 0, high: 1000000}}
metrics: {score: {goal: max}, other: {goal: min}}
search: {sampler: random, seed: 4}
budget: {trials: $3}
workers: $2
env: {STUDY_COLOR: blue}
YAML
}
# entries STUDY: "<kind or event> <number>" of each entry, in ledger order
entries() {
	hps-ledger list --study "$1" --jsonl | /usr/bin/python3 -c 'import json, sys
for line in sys.stdin:
    e = json.loads(line)
    print(e.get("event") or e["kind"], e.get("number", "-"))'
}
size() {
	hps-ledger list --jsonl | wc -l
}

# ---- a study with trials that fail and are killed

cat >trial.sh <<'SH'
#!/bin/sh
# trial.sh NUMBER N SEED OUT STUDY
echo "number $1 n $2 seed $3 study $5 color $STUDY_COLOR"
echo "to stderr" >&2
[ "$(pwd -P)/first.trials/$1" = "$4" ] || echo "out is $4"
case $1 in
2) exit 3 ;;
4) kill -KILL $$ ;;
esac
echo "{\"score\": $1.5, \"other\": 1e-7}" >"$HPS_METRICS"
SH
chmod +x trial.sh
study first 2 6 '[./trial.sh, "{number}", "{n}", "{seed}", "{out}", "{study}"]'
status "run: failing trials are results, the study is finished" 0 hps-search run first.yaml
cp out table
cp err progress
is "run: a line for each finished trial" "$(grep -c '^trial ' progress)" 6
like "run: … of a complete one" "$(cat progress)" '^trial 0  n=[0-9]+  score=0\.5 other=1e-7  [0-9.]+ s  [0-9a-f]{12}$'
like "run: … of a failed one, with its status" "$(cat progress)" '^trial 2  n=[0-9]+  failed 3  [0-9.]+ s  [0-9a-f]{12}$'
like "run: … of a killed one, with its signal" "$(cat progress)" '^trial 4  n=[0-9]+  killed 9  [0-9.]+ s  [0-9a-f]{12}$'
like "run: the table has a heading" "$(head -n 1 table)" '^ +trial +n +score +other +seconds +state +digest$'
like "run: … marks the best" "$(cat table)" '^\* +5 +[0-9]+ +5\.5 +1e-7 +[0-9.]+  complete  [0-9a-f]{12}$'
like "run: … says which is the best" "$(cat table)" '^best: trial 5 with score 5\.5 \(max\), digest [0-9a-f]{12}$'
like "run: … and counts" "$(tail -n 1 table)" '^6 trials: 4 complete, 1 failed, 1 killed, 0 lost, 0 running, 0 open$'

entries first >list
is "entries: one of each for every number" "$(sort list | uniq -c | awk '$1 != 1' | wc -l)" 0
is "entries: registered first, stopped last" "$(sed -n '1p;$p' list | tr '\n' ' ')" "register - stop - "
early=$(awk '{ seen[$1 " " $2] = NR }
	END { for (n = 0; n < 6; n++) if (!(seen["commit " n] < seen["begin " n] && seen["begin " n] < seen["trial " n] && seen["trial " n] < seen["result " n])) print n }' list)
is "entries: committed before begun before ended before its result" "$early" ""
is "entries: 6 commits, begins, trials and results" "$(wc -l <list)" 26

hps-search status first --json >status.json
is "status: the states" "$(json status.json '[t["state"] for t in j["trials"]]')" "['complete', 'complete', 'failed', 'complete', 'killed', 'complete']"
is "status: the best" "$(json status.json 'j["best"]["number"], j["best"]["metric"], j["best"]["value"]')" "(5, 'score', '5.5')"
is "status: … is a trial of the ledger" "$(hps-ledger list --kind trial --jsonl | grep -c "\"$(json status.json 'j["best"]["trial"]')\"")" 1
hps-search plan first.yaml | sed 's/^[0-9]* //' >plan
json status.json '"\n".join("n=" + t["params"]["n"] + " seed=" + t["trialSeed"] for t in j["trials"])' >ran
ok "status: the parameters are the planned ones" cmp plan ran
hps-search status first >again
ok "status: the same table as after the run" cmp table again
is "out: every trial has its own directory" "$(cd first.trials && echo *)" "0 1 2 3 4 5"
is "out: the words and the environment as declared" "$(cat first.trials/3/stdout.log)" \
	"number 3 n $(json status.json 'j["trials"][3]["params"]["n"]') seed $(json status.json 'j["trials"][3]["trialSeed"]') study first color blue"
is "out: stderr is the trial's" "$(cat first.trials/3/stderr.log)" "to stderr"
is "out: the id of the trial" "$(cat first.trials/3/trial.id)" "$(json status.json 'j["trials"][3]["trial"]')"
ok "the ledger holds" hps-ledger verify

# ---- again, and otherwise

before=$(size)
status "again: a finished study is finished" 0 hps-search run first.yaml
is "again: nothing new in the ledger" "$(size)" "$before"
like "again: says so" "$(cat err)" "^hps-search: study 'first' is finished: every trial has its result, nothing was run$"
ok "again: the same table" cmp table out
sed -i 's/high: 1000000/high: 1000001/' first.yaml
status "other: the same name with another specification is refused" 2 hps-search run first.yaml
like "other: says what differs and the next step" "$(cat err)" "study 'first' is registered with another specification: 'space' \\('n'\\): .*high.*1000000.* is registered, the file has .*1000001.*; restore the file, or give the new study another name"
sed -i 's/high: 1000001/high: 1000000/; s/workers: 2/workers: 3/' first.yaml
: >out
status "other: so are other workers" 2 hps-search run first.yaml
like "other: … with the option for them" "$(cat err)" "'workers': 2 is registered, the file has 3; restore the file and use --workers"
is "other: … and no table is printed" "$(wc -c <out)" 0
is "other: nothing was appended" "$(size)" "$before"
status "status: an unknown study" 4 hps-search status frist
like "status: … and the nearest" "$(cat err)" "no study 'frist' in the ledger: did you mean 'first'"

# ---- workers

cat >meet.sh <<'SH'
#!/bin/sh
# Waits until three are here at once, three seconds at most (the last one may be alone); says how many it saw at most.
mkdir "$1/here.$2"
most=0
for i in $(seq 60); do
	n=$(ls -d "$1"/here.* | wc -l)
	[ "$n" -gt "$most" ] && most=$n
	[ "$most" -ge 3 ] && [ "$i" -gt 5 ] && break
	sleep 0.05
done
rmdir "$1/here.$2"
echo "{\"score\": $most}" >"$HPS_METRICS"
SH
chmod +x meet.sh
study meet 3 6 "[./meet.sh, '$T', '{number}', '{n}']"
status "workers: a study with three" 0 hps-search run meet.yaml
hps-search status meet --json >meet.json
is "workers: … ends all six" "$(json meet.json 'j["counts"]["complete"]')" 6
is "workers: … three run at a time, and never more" "$(json meet.json 'max(t["metrics"]["score"] for t in j["trials"])')" 3

# ---- a trial that cannot be started

study absent 2 3 '[./absent.sh, "{n}"]'
hps-search run absent.yaml >out 2>err
is "absent: a command that is not there stops the study or fails its trials" "$(entries absent | grep -c '^stop')" 1
if [ "$(entries absent | grep -c '^trial')" = 0 ]; then
	like "absent: the recorder's words are shown" "$(cat err)" "trial ([0-2]) was not started \\(status 127\\): .*absent.sh.*; all of it is in '.*/absent.trials/\\1/stderr.log'"
	printf '#!/bin/sh\necho "{\\"score\\": 1}" >"$HPS_METRICS"\n' >absent.sh
	chmod +x absent.sh
	status "absent: once it is there, the study goes on" 0 hps-search run absent.yaml
	is "absent: … with the same numbers, each once" "$(entries absent | grep -c '^trial [012]$')" 3
	is "absent: … each committed once" "$(entries absent | grep '^commit' | sort -u | wc -l) $(entries absent | grep -c '^commit')" "3 3"
else
	is "absent: the status says not found" "$(hps-search status absent | grep -c 'failed 127')" 3
fi

# ---- directories of another ledger's study

ok "dirs: another ledger" hps-ledger init other
status "dirs: trials of another ledger are not overwritten" 4 hps-search run meet.yaml --ledger other
like "dirs: … and the next step is told" "$(cat err)" "meet.trials/0' is there already, from another ledger's study; move it away or give --out"
is "dirs: … nothing is committed" "$(hps-ledger list --ledger other --jsonl | grep -c '"event":"commit"')" 0
printf '#!/bin/sh\necho "{\\"score\\": 1}" >"$HPS_METRICS"\n' >meet.sh
status "dirs: --out takes another place" 0 hps-search run meet.yaml --ledger other --out "$T/elsewhere"
is "dirs: … and all are there" "$(cd elsewhere && echo *)" "0 1 2 3 4 5"

# ---- keys with a passphrase

printf 'correct horse\n' >passphrase
ok "passphrase: a ledger with encrypted keys" sh -c 'hps-ledger init --key-passphrase-fd 9 locked 9<passphrase'
status "passphrase: without it the study is refused" 5 sh -c 'exec hps-search run meet.yaml --ledger locked --out locked.trials </dev/null'
ok "passphrase: the runner and its recorders have it" sh -c 'hps-search run meet.yaml --ledger locked --out locked.trials --key-passphrase-fd 9 9<passphrase'
is "passphrase: … every trial is recorded" "$(hps-ledger list --ledger locked -k trial --jsonl | wc -l)" 6
is "passphrase: … and it is nowhere on the disk" "$(grep -rl 'correct horse' locked locked.trials | wc -l)" 0

# ---- descriptors

study fds 1 1 '[/bin/ls, /proc/self/fd, "{n}"]'
hps-search run fds.yaml 7<trial.sh 8>/dev/null >/dev/null 2>&1
is "descriptors: a trial gets 0, 1 and 2 (and 3, with which ls reads them)" "$(sed -n '/^[0-9]*$/p' fds.trials/0/stdout.log | tr '\n' ' ')" "0 1 2 3 "

# ---- stopping

cat >slow.sh <<'SH'
#!/bin/sh
touch "started.$1"
n=0
while [ ! -e go ] && [ $n -lt 600 ]; do
	sleep 0.05
	n=$((n + 1))
done
echo "{\"score\": $1}" >"$HPS_METRICS"
SH
chmod +x slow.sh
study slow 2 5 '[./slow.sh, "{number}", "{n}"]'
wait_for() {
	n=0
	while ! eval "$1"; do
		n=$((n + 1))
		[ $n -gt 600 ] && return 1
		sleep 0.05
	done
}
hps-search run slow.yaml >out1 2>err1 &
runner=$!
ok "two runners: the first starts trials" wait_for '[ -e started.0 ] && [ -e started.1 ]'
status "two runners: the second is refused" 4 hps-search run slow.yaml
like "two runners: … and told by whom" "$(cat err)" "study 'slow' is being run already, by process $runner: 'hps-search status slow' shows it"
like "two runners: status shows the running trials" "$(hps-search status slow)" "^5 trials: 0 complete, 0 failed, 0 killed, 0 lost, 2 running, 3 open$"
kill -INT $runner
sleep 0.3
ok "stop: one signal lets the running trials end" kill -0 $runner
touch go
wait $runner
is "stop: … and ends with 4" "$?" 4
like "stop: … saying how to go on" "$(cat err1)" "stopped by a signal with 2 of 5 trials done; the same command resumes"
is "stop: no further trial was started" "$(echo started.*)" "started.0 started.1"
is "stop: … the ledger says interrupted" "$(entries slow | tail -n 1)" "stop -"
rm go
hps-search run slow.yaml >out1 2>err1 &
runner=$!
ok "second signal: the study goes on with the next numbers" wait_for '[ -e started.2 ] && [ -e started.3 ]'
kill -TERM $runner
sleep 0.3
kill -TERM $runner
wait $runner
is "second signal: the runner ends with 4" "$?" 4
like "second signal: it is passed on to the trials" "$(cat err1)" "^trial 2  n=[0-9]+  killed 15 "
is "second signal: … and their results are kept" "$(entries slow | grep -c '^result [0123]$')" 4
touch go
status "resume: the last one" 0 hps-search run slow.yaml
is "resume: every number has one commit, trial and result" "$(entries slow | grep -E '^(commit|trial|result)' | sort | uniq -c | awk '$1 == 1' | wc -l)" 15
ok "the ledger still holds" hps-ledger verify

# ---- a killed recorder: the trial cannot do that, so somebody outside does

cat >die.sh <<'SH'
#!/bin/sh
# The first attempt of number 1 asks to be ended with its recorder; number 2 does so each time.
if [ "$1" = 2 ] || { [ "$1" = 1 ] && [ ! -e died ]; }; then
	touch died
	echo $PPID >"kill.$1.new"
	mv "kill.$1.new" "kill.$1"
	sleep 30
fi
echo "{\"score\": $1}" >"$HPS_METRICS"
SH
chmod +x die.sh
study die 1 3 '[./die.sh, "{number}", "{n}"]'
hps-search run die.yaml >out 2>err &
runner=$!
while kill -0 $runner 2>/dev/null; do
	for n in 1 2; do
		[ -e kill.$n ] || continue
		is "lost: the trial's parent is its recorder" "$(cat "/proc/$(cat kill.$n)/comm")" hps-record
		kill -KILL "$(cat kill.$n)"
		rm kill.$n
	done
	sleep 0.05
done
wait $runner
is "lost: a recorder that dies does not stop the study" "$?" 0
is "lost: the number is run again, with one trial" "$(entries die | grep -cE '^(lost|trial) 1$')" 2
like "lost: what was left of it stays" "$(echo die.trials/*)" "die.trials/1.lost-1"
is "lost: after three times it is given up" "$(entries die | grep -c '^lost 2$') $(entries die | grep -c '^result 2$')" "3 1"
like "lost: … and counted" "$(cat out)" '^3 trials: 2 complete, 0 failed, 0 killed, 1 lost, 0 running, 0 open$'
# Secrets of a study file reach the trials, and not the ledger; the same file resumes the study.
cat >tell.sh <<'SH'
#!/bin/sh
echo "$*" "$SVC_PASSWORD" >"$OUT/told"
echo '{"score": 1}' >"$HPS_METRICS"
[ "$OUT" != 1 ] || exit 1
SH
chmod +x tell.sh
first=s3cr3t$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')X9 second=t0k3n$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')Z8
cat >secrets.yaml <<YAML
hps: 1
study: secrets
command: [env, "OUT={out}", ./tell.sh, --api-key, "$first", "--token={token}", "--lr={lr}"]
space:
  lr: {type: float, low: 0.1, high: 1}
  token: {type: choice, of: ["$second"]}
metrics: {score: {goal: min}}
search: {sampler: random, seed: 3}
budget: {trials: 2}
env: {SVC_PASSWORD: "$first"}
YAML
status "secrets: run" 0 hps-search run secrets.yaml
like "secrets: the trial got them" "$(cat secrets.trials/0/told)" "^--api-key $first --token=$second --lr=0\\.[0-9]+ $first$"
is "secrets: the ledger has them nowhere" "$(grep -raFl -e "$first" -e "$second" "$HPS_LEDGER" "$XDG_STATE_HOME" "$XDG_CACHE_HOME" 2>/dev/null)" ""
status "secrets: the same file goes on with the study" 0 hps-search run secrets.yaml
like "secrets: … and finds it finished" "$(cat err)" "is finished"
is "secrets: what was handed out is what ran" "$(hps-audit check --json --study secrets | json /dev/stdin "[r['outcome'] for r in j['rules'] if r['id'] in ('INT-05', 'INT-06')]")" "['pass', 'pass']"
sed "s/$first/${first}other/" secrets.yaml >secrets2.yaml
status "secrets: another secret is another study" 2 hps-search run secrets2.yaml
unlike "secrets: … and what differs is not told in clear" "$(cat err)" "$first"
sed 's/study: secrets/study: api_key=hunter2hunter2/' secrets.yaml >named.yaml
status "secrets: a name that holds one is refused" 2 hps-search run named.yaml

# ---- a training that diverges reports NaN

cat >diverge.sh <<'SH'
#!/bin/sh
case $1 in
1) value=NaN ;;
2) value=-Infinity ;;
*) value=$1 ;;
esac
echo "{\"score\": $value, \"other\": 5}" >"$HPS_METRICS"
SH
chmod +x diverge.sh
study diverging 1 4 '[./diverge.sh, "{number}", "{n}"]'
sed -i 's/goal: max/goal: min/' diverging.yaml
status "diverged: run" 0 hps-search run diverging.yaml
hps-search status diverging --json >diverging.json
is "diverged: its other metric is kept" "$(json diverging.json '[(t["state"], t["metrics"]["score"], t["metrics"]["other"]) for t in j["trials"]]')" \
	"[('complete', '0', '5'), ('complete', 'NaN', '5'), ('complete', '-Infinity', '5'), ('complete', '3', '5')]"
is "diverged: neither NaN nor -Infinity is the best" "$(json diverging.json 'j["best"]["number"]')" 0
is "diverged: no gap" "$(hps-ledger show "$(json diverging.json 'j["trials"][1]["trial"]')" --json | json /dev/stdin 'j["statement"]["predicate"]["coverage"]["complete"]')" True
like "diverged: the report agrees on the best" "$(hps-audit report --study diverging --html -)" 'was <strong><bdi>0</bdi></strong>, in trial 0'

# ---- started by somebody who ignores SIGCHLD, as some daemons do; and each recorder leads a group of its own: Ctrl-C must reach it once

cat >group.sh <<'SH'
#!/bin/sh
[ "$(cut -d ' ' -f 5 "/proc/$PPID/stat")" = "$PPID" ] && own=1
echo "{\"score\": ${own:-0}}" >"$HPS_METRICS"
[ "$1" != 1 ] || exit 31
SH
chmod +x group.sh
study deaf 1 2 '[./group.sh, "{number}", "{n}"]'
status "SIGCHLD ignored: run" 0 timeout -k 5 60 /usr/bin/python3 -c 'import os, signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execvp("hps-search", ["hps-search", "run", "deaf.yaml"])'
hps-search status deaf --json >deaf.json
is "SIGCHLD ignored: … the statuses are the trials' own" "$(json deaf.json '[(t["state"]) for t in j["trials"]]')" "['complete', 'failed']"
is "groups: each recorder leads its own" "$(json deaf.json '[t["metrics"]["score"] for t in j["trials"]]')" "['1', '1']"

ok "the ledger holds at the end" hps-ledger verify

study silent 1 2 '["/bin/sh", "-c", "true {{}} {n}"]'
status "silent: no trial reports its metric" 0 hps-search run silent.yaml
like "silent: … which is said, and how it would" "$(cat out)" "^no best: no trial reported a number for 'score'; the file that HPS_METRICS names"
study broken 1 2 '["/bin/sh", "-c", "false {n}"]'
status "broken: every trial fails" 0 hps-search run broken.yaml
unlike "broken: … metrics are not what is missing" "$(cat out)" HPS_METRICS

done_testing
