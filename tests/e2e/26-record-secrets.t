#!/bin/sh
# No secret of the environment, the arguments or credential files is in any byte that is written; equal values can be told.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
# Made anew each time, so that no such text is in the checkout.
secret() { printf '%s' "$1$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')"; }
env_key=$(secret k) env_plain=$(secret p) option=$(secret o) equals=$(secret e) user=$(secret u) query=$(secret q) netrc=$(secret n) pem=$(secret m)
shape=ghp_$(secret s)$(secret s) inner=$(secret i) param=hf_$(secret h)$(secret h)
mkdir home job
printf 'machine example.org login me password %s\n' "$netrc" >home/.netrc
printf -- '-----BEGIN %s KEY-----\n%s\n-----END %s KEY-----\n' PRIVATE "$pem" PRIVATE >job/key.txt
echo plain >job/input
cat >job/trial.sh <<'END'
cat ~/.netrc key.txt input >/dev/null
/bin/true --api-key "$FIRST" "token=$SECOND"
cp key.txt copy.txt
END
cd job
status "run" 0 env HOME="$T/home" MY_API_KEY="$env_key" SOMETHING="$env_plain" URL="https://me:$user@example.org/x?token=$query" GH="$shape" OMP_NUM_THREADS=1 FIRST="$option" SECOND="$equals" \
	hps-record --id-file "$T/id" --param "token=$param" -- sh trial.sh --password "$inner"
for name in env_key env_plain option equals user query netrc pem shape inner param; do
	eval "value=\$$name"
	for form in "$value" "$(printf '%s' "$value" | base64 -w 0 | tr -d =)" "$(printf '%s' "$value" | od -An -tx1 | tr -d ' \n')"; do
		is "$name: in no written byte ($(printf %.6s "$form")…)" "$(grep -raFl -- "$form" "$T/ledger" "$XDG_STATE_HOME" "$XDG_CACHE_HOME" "$T/err" 2>/dev/null | head -n 1)" ""
	done
done
is "environment: allowed in clear" "$(rec "t['buildDefinition']['externalParameters']['environment']['OMP_NUM_THREADS']")" 1
like "environment: others as tags" "$(rec "t['buildDefinition']['externalParameters']['environmentDigests']['SOMETHING']")" "^hmac:[0-9a-f]{32}$"
is "arguments: what is harmless stays" "$(rec "processes[0]['argv'][:2], processes[2]['argv'][:2]")" "(['sh', 'trial.sh'], ['/bin/true', '--api-key'])"
is "credential file: its digest, not its content" "$(rec "'digest' in materials['$T/home/.netrc'], 'stored' in materials['$T/home/.netrc']")" "(True, False)"
is "private key under any name: not stored" "$(rec "'stored' in materials['$T/job/key.txt'], 'stored' in products['$T/job/copy.txt']")" "(False, False)"
is "what is no secret is stored" "$(rec "text('$T/job/input').strip()")" plain
tag=$(rec "t['buildDefinition']['externalParameters']['environmentDigests']['SOMETHING']")
status "again, with the same value" 0 env SOMETHING="$env_plain" hps-record -q --id-file "$T/id" -- true
is "tags: equal for equal values" "$(rec "t['buildDefinition']['externalParameters']['environmentDigests']['SOMETHING']")" "$tag"
status "again, with another" 0 env SOMETHING=x hps-record -q --id-file "$T/id" --allow-env SOMETHING -- true
is "--allow-env: in clear" "$(rec "t['buildDefinition']['externalParameters']['environment']['SOMETHING']")" x
done_testing
