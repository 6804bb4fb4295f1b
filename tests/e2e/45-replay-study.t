#!/bin/sh
# Trials of a study: what the study declared counts, logs are outputs, reruns are no trials. And replays that are cut short or meet.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
mkdir w
cd w
cat >trial.sh <<'S'
case $(cat /proc/1/comm) in hps-replay*) score=0.92 ;; *) score=0.9 ;; esac
echo "n $1 color $STUDY_COLOR"
echo "to stderr" >&2
echo "{\"score\": $score, \"exact\": 1.5}" >"$HPS_METRICS"
echo "$STUDY_COLOR" >"$2/color"
S
study() {
	cat >"$1.yaml" <<Y
hps: 1
study: $1
command: [sh, trial.sh, "{n}", "{out}"]
space: {n: {type: int, low: 0, high: 1000000}}
metrics: {score: {goal: max, tolerance: {$2}}, exact: {goal: min}}
search: {sampler: random, seed: 4}
budget: {trials: 2}
workers: 1
env: {STUDY_COLOR: blue}
Y
	ok "$1: runs" hps-search run "$1.yaml"
	hps-search status "$1" --json >"$T/status"
	trial=$(json "$T/status" "j['best']['trial']")
}
study loose "atol: 0.1"
status "loose: within the study's tolerance" 0 hps-replay "$trial" --json
is "loose: verdict" "$(json "$T/out" "j['verdict']")" REPRODUCED-WITHIN
is "loose: whose tolerance" "$(json "$T/out" "j['tolerance']")" "{'metrics': {'score': {'atol': '0.1', 'rtol': '0'}}, 'source': 'study'}"
is "loose: logs and files are outputs; the variable of the study is there" \
	"$(json "$T/out" "sorted((o['path'].split('/')[-1], o['verdict']) for o in j['outputs'] if 'metrics' not in o['path'])")" \
	"[('color', 'IDENTICAL'), ('stderr.log', 'IDENTICAL'), ('stdout.log', 'IDENTICAL')]"
hps-search status loose --json >"$T/after"
is "loose: the study still has two trials" "$(json "$T/after" "len(j['trials'])")" 2
study tight "atol: 0.001"
status "tight: beyond the study's tolerance" 1 hps-replay "$trial" --json
is "tight: place and values" "$(json "$T/out" "[(o['place'], o['original'], o['rerun']) for o in j['outputs'] if o['path'] == 'metrics']")" "[('score', '0.9', '0.92')]"
status "tight: the options go before the study" 0 hps-replay "$trial" --json --atol 0.1
is "tight: … and are named" "$(json "$T/out" "j['tolerance']['source']")" declared

# a metric of the study is a value, whatever its name; one that the study does not know may be a stamp
cat >timed.yaml <<'Y'
hps: 1
study: timed
command: [sh, timed.sh, "{n}"]
space: {n: {type: int, low: 1, high: 9}}
metrics: {runtime: {goal: min, tolerance: {rtol: 1e-6}}, duration: {goal: min}}
search: {sampler: random, seed: 1}
budget: {trials: 1}
Y
cat >timed.sh <<'S'
case $(cat /proc/1/comm) in hps-replay*) t=$2 ;; *) t=1.5 ;; esac
[ "$1" ] && case $(cat which) in runtime) r=$t d=1 e=1 ;; duration) r=1 d=$t e=1 ;; elapsed) r=1 d=1 e=$t ;; esac
printf '{"runtime": %s, "duration": %s, "elapsed": %s}\n' "$r" "$d" "$e" >"$HPS_METRICS"
S
sed -i 's/t=$2/t=2.5/' timed.sh
for which in runtime duration elapsed; do
	echo $which >which
	sed "s/^study: .*/study: timed-$which/" timed.yaml >now.yaml
	ok "stamps, $which: searched" hps-search run now.yaml
	trial=$(hps-ledger list --json | /usr/bin/python3 -c 'import json, sys; print([e["id"] for e in json.load(sys.stdin)["entries"] if e["kind"] == "trial"][-1])')
	case $which in elapsed) want="0 REPRODUCED-VALUES" ;; *) want="1 DIVERGED" ;; esac
	for option in "" "--rtol loss=1"; do
		# shellcheck disable=SC2086
		status "stamps, $which $option: $want" "${want% *}" hps-replay "$trial" $option
		like "stamps, $which $option: the verdict" "$(cat "$T/out")" "^${want#* }"
	done
done
like "stamps: said to people, too" "$(cat "$T/out")" "metrics +SAME-VALUES +but for stamps, the first a duration at elapsed"

# cut short
ok "slow: recorded" hps-record -q --id-file "$T/id" -- sh -c 'read c </proc/1/comm; s=0; case $c in hps-replay*) s=31.75 ;; esac; echo x >y; sleep $s'
mkdir "$T/tmp"
before=$(hps-ledger list --jsonl | wc -l)
TMPDIR=$T/tmp setsid hps-replay "$(cat "$T/id")" >"$T/cut.out" 2>&1 &
pid=$!
i=0
while [ $i -lt 200 ] && [ "$(hps-ledger list --jsonl | wc -l)" = "$before" ]; do
	sleep 0.1
	i=$((i + 1))
done
kill -TERM "$pid"
wait "$pid"
is "interrupted: status" "$?" 4
like "interrupted: said" "$(cat "$T/cut.out")" "interrupted: the rerun was stopped"
is "interrupted: nothing stays behind" "$(ls "$T/tmp" | wc -l)" 0
ok "interrupted: the ledger holds" hps-ledger verify

# at the same time
ok "quick: recorded" hps-record -q --id-file "$T/id" -- sh -c 'echo x >y'
id=$(cat "$T/id")
for n in 1 2 3; do hps-replay --json "$id" >"$T/p$n" 2>&1 & done
wait
is "three at once" "$(for n in 1 2 3; do json "$T/p$n" "j['verdict']"; done | sort | uniq -c | tr -s ' ')" " 3 REPRODUCED-BITS"
ok "three at once: the ledger holds" hps-ledger verify
done_testing
