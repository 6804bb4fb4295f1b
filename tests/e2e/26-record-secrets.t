#!/bin/sh
# No secret of the environment, the arguments or credential files is in any byte that is written; equal values can be told.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
# Made anew each time, so that no such text is in the checkout.
secret() { printf '%s' "$1$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')"; }
env_key=$(secret k) env_plain=$(secret p) option=$(secret o) equals=$(secret e) user=$(secret u) query=$(secret q) netrc=$(secret n) pem=$(secret m)
bearer=$(secret b) json=$(secret j) short=$(secret t) basic=$(secret B) sas=$(secret S) amz=$(secret A) inline=$(secret I) named=$(secret N) dotenv=$(secret D)
token_json=$(secret T) kaggle=$(secret K) yaml=$(secret Y) settings=$(secret c) logged=$(secret l) filename=$(secret f) metric=$(secret M)
all="env_key env_plain option equals user query netrc pem shape inner param bearer json short basic sas amz inline named dotenv token_json kaggle yaml settings logged filename metric"
shape=ghp_$(secret s)$(secret s) inner=$(secret i) param=hf_$(secret h)$(secret h)
mkdir home job
printf 'machine example.org login me password %s\n' "$netrc" >home/.netrc
printf -- '-----BEGIN %s KEY-----\n%s\n-----END %s KEY-----\n' PRIVATE "$pem" PRIVATE >job/key.txt
echo plain >job/input
echo "SECRET_KEY=$dotenv" >job/.env
echo "{\"access\": \"$token_json\"}" >job/token.json
echo "{\"username\":\"me\",\"key\":\"$kaggle\"}" >job/kaggle.json
echo "pin: $yaml" >job/secrets.yaml
printf 'lr: 0.1\nstore:\n  password: "%s"\n' "$settings" >job/config.yaml
cat >job/trial.sh <<'END'
cat ~/.netrc key.txt input .env token.json kaggle.json secrets.yaml config.yaml >/dev/null
/bin/true -H "Authorization: Bearer $BEARER"
/bin/true --json "{\"lr\": 0.1, \"api_key\": \"$JSON\"}"
/bin/true -p"$SHORT" -u "me:$BASIC"
/bin/true "https://x.blob.core.windows.net/c?sv=1&sig=$SAS" "https://b.s3.amazonaws.com/k?X-Amz-Signature=$AMZ"
env "MYTOKEN=$INLINE" sh -c true
cp .env settings-copy
echo "used $APP_PASSWORD" >log.txt
mkdir out
: >"out/$FILE_TOKEN"
echo "{\"loss\": 0.5, \"$METRIC_TOKEN\": 1}" >"$HPS_METRICS"
/bin/true --api-key "$FIRST" "token=$SECOND"
cp key.txt copy.txt
END
cd job
status "run" 0 env HOME="$T/home" MY_API_KEY="$env_key" SOMETHING="$env_plain" URL="https://me:$user@example.org/x?token=$query" GH="$shape" OMP_NUM_THREADS=1 FIRST="$option" SECOND="$equals" \
	BEARER="$bearer" JSON="$json" SHORT="$short" BASIC="$basic" SAS="$sas" AMZ="$amz" INLINE="$inline" APP_PASSWORD="$logged" FILE_TOKEN="$filename" METRIC_TOKEN="$metric" \
	hps-record --id-file "$T/id" --param "token=$param" --param "api_key=$named" -- sh trial.sh --password "$inner"
for name in $all; do
	eval "value=\$$name"
	for form in "$value" "$(printf '%s' "$value" | base64 -w 0 | tr -d =)" "$(printf '%s' "$value" | od -An -tx1 | tr -d ' \n')"; do
		is "$name: in no written byte ($(printf %.6s "$form")…)" "$(grep -raFl -- "$form" "$T/ledger" "$XDG_STATE_HOME" "$XDG_CACHE_HOME" "$T/err" 2>/dev/null | head -n 1)" ""
	done
done
is "environment: allowed in clear" "$(rec "t['buildDefinition']['externalParameters']['environment']['OMP_NUM_THREADS']")" 1
like "environment: others as tags" "$(rec "t['buildDefinition']['externalParameters']['environmentDigests']['SOMETHING']")" "^hmac:[0-9a-f]{32}$"
is "arguments: what is harmless stays" "$(rec "processes[0]['argv'][:2], [p['argv'][1][:7] for p in processes if p['argv'][0] == '/bin/true']")" "(['sh', 'trial.sh'], ['-H', '--json', '-phmac:', 'https:/', '--api-k'])"
is "credential file: a keyed tag in place of its digest, and no content" "$(rec "materials['$T/home/.netrc']['digestTag'][:5], [k in materials['$T/home/.netrc'] for k in ('digest', 'size', 'stored')], materials['$T/home/.netrc']['withheld']")" "('hmac:', [False, False, False], 'netrc')"
is "private key under any name: not stored" "$(rec "'stored' in materials['$T/job/key.txt'], 'stored' in products['$T/job/copy.txt']")" "(False, False)"
is "settings with a password that nobody guesses: a digest, no content" "$(rec "[k in materials['$T/job/config.yaml'] for k in ('digest', 'digestTag', 'stored')]")" "[True, False, False]"
for file in .env token.json kaggle.json secrets.yaml; do
	is "$file: neither digest nor content" "$(rec "[k in materials['$T/job/$file'] for k in ('digest', 'digestTag', 'stored')]")" "[False, True, False]"
done
is "a copy of credentials: as they" "$(rec "products['$T/job/settings-copy']['digestTag'] == materials['$T/job/.env']['digestTag'], [s['name'] for s in subject if 'copy' in s['name'] and 'settings' in s['name']]")" "(True, [])"
is "a log with a secret that was seen: not stored, and as hard to guess as the secret" "$(rec "'stored' in products['$T/job/log.txt'], 'digest' in products['$T/job/log.txt']")" "(False, True)"
is "… and why is in the record" "$(rec "materials['$T/job/config.yaml'].get('notStored'), materials['$T/job/input'].get('notStored')")" "('secret', None)"
is "what is no secret is stored" "$(rec "text('$T/job/input').strip()")" plain
tag=$(rec "t['buildDefinition']['externalParameters']['environmentDigests']['SOMETHING']")
status "again, with the same value" 0 env SOMETHING="$env_plain" hps-record -q --id-file "$T/id" -- true
is "tags: equal for equal values" "$(rec "t['buildDefinition']['externalParameters']['environmentDigests']['SOMETHING']")" "$tag"
status "again, with another" 0 env SOMETHING=x hps-record -q --id-file "$T/id" --allow-env SOMETHING -- true
is "--allow-env: in clear" "$(rec "t['buildDefinition']['externalParameters']['environment']['SOMETHING']")" x
status "replay: a trial that writes credentials" 0 hps-record -q --id-file "$T/id" -- sh -c 'echo X=1 >made.env'
is "replay: … is compared by their tag" "$(hps-replay --json "$(cat "$T/id")" 2>/dev/null | json /dev/stdin "j['verdict'], [(o['path'], o['verdict']) for o in j['outputs']]")" "('REPRODUCED-BITS', [('$T/job/made.env', 'IDENTICAL')])"
status "replay: a trial that writes others each time" 0 hps-record -q --id-file "$T/id" -- sh -c 'date +%N >made.env'
is "replay: … is not called reproduced" "$(hps-replay --json "$(cat "$T/id")" 2>/dev/null | json /dev/stdin "j['verdict']")" "INCONCLUSIVE"
status "replay: a trial that reads credentials" 0 hps-record -q --id-file "$T/id" -- cat .env
is "replay: … is not rebuilt, and why is said" "$(hps-replay --json "$(cat "$T/id")" 2>/dev/null | json /dev/stdin "j['verdict'], j['missing']")" "('NOT-REBUILT', [{'path': '$T/job/.env', 'why': 'missing: it holds secrets, and is not kept'}])"
status "--seed: a word is refused" 125 hps-record --seed abc -- true
like "--seed: … and the message says what it is" "$(cat "$T/err")" "seed 'abc': a seed is a whole number"
status "a package's own settings" 0 hps-record -q --id-file "$T/id" -- cat /etc/ssl/openssl.cnf
is "a package's own settings: what looks like a password in them is nobody's" "$(rec "[k in materials['/etc/ssl/openssl.cnf'] for k in ('digest', 'withheld', 'notStored')]")" "[True, False, False]"
status "replay: a trial that reads settings with a password" 0 hps-record -q --id-file "$T/id" -- cat config.yaml
is "replay: … from the system, while they are there" "$(hps-replay --json "$(cat "$T/id")" 2>/dev/null | json /dev/stdin "j['verdict']")" "REPRODUCED-BITS"
echo 'n: 1' >>config.yaml
is "replay: … and else it is said why they were not stored" "$(hps-replay --json "$(cat "$T/id")" 2>/dev/null | json /dev/stdin "j['verdict'], [m['why'][:43] for m in j['missing']]")" "('NOT-REBUILT', ['changed: it holds a secret and is not kept,'])"
for seed in 7 -3 0xdeadbeef 340282366920938463463374607431768211455; do
	status "--seed $seed" 0 hps-record -q --id-file "$T/id" --seed=$seed -- true
	is "--seed $seed: as given" "$(rec "t['seeds'][0]['value']")" "$seed"
done
status "--dataset: a path that is not there is refused" 125 hps-record --dataset "$T/nowhere" -- true
like "--dataset: … by its name" "$(cat "$T/err")" "nowhere.*No such file"
done_testing
