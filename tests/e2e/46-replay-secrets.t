#!/bin/sh
# An output that held a secret before the trial is a hole, not a missing input: it starts empty, and what the verdict may say is less. No secret
# leaves in a bundle.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
mkdir w
cd w || exit 99
secret=$(head -c 48 /dev/urandom | base64 | tr -d '/+=\n')
header="curl -H 'Authorization: Bearer $secret'"
replay() { # replay NAME STATUS VERDICT [ARGUMENT…]
	replay_name=$1
	replay_status=$2
	replay_verdict=$3
	shift 3
	status "$replay_name: status" "$replay_status" hps-replay --json "${@:-$(cat "$T/id")}"
	is "$replay_name: verdict" "$(json "$T/out" "j['verdict'], j['level']")" "$replay_verdict"
}
of() { json "$T/out" "[o for o in j['outputs'] if o['path'].split('/')[-1] == '$1'][0].get('$2')"; }
hole() { json "$T/out" "[h['why'] for h in j['holes'] if h['what'].endswith('/$1')]"; }
starts="['it held a secret before the trial, which is not kept: in the rerun it starts empty']"

# a log that all trials append to
echo "$header" >err.log
ok "log: recorded" sh -c 'hps-record -q --id-file "$1" -- sh -c "echo said >&2; echo x >y" </dev/null 2>>err.log' - "$T/id"
echo "of another trial" >>err.log
replay "log: it still begins with what was there" 0 "('REPRODUCED-BITS', 'L2')"
is "log: no hole" "$(hole err.log)" "[]"
mv err.log gone
replay "log: gone" 4 "('INCONCLUSIVE', 'L0')"
is "log: a hole" "$(hole err.log)" "$starts"
is "log: cannot be compared, and the other output can" "$(of err.log verdict) $(of y verdict)" "OPAQUE IDENTICAL"
like "log: the reason" "$(json "$T/out" "j['reason']")" "err.log' cannot be compared: what it held before"
status "log: the plan" 0 hps-replay plan --json "$(cat "$T/id")"
is "log: the plan says it, too" "$(hole err.log) $(json "$T/out" "j['missing']")" "$starts []"
ok "log: the script" sh -c "hps-replay emit-script '$(cat "$T/id")' >script"
like "log: the script says it" "$(cat script)" "^# .*/err.log: it held a secret before the trial"

# … and those that have nothing to say, too
for log in quiet.log quiet.env; do
	printf '%s\nAPI_TOKEN=%s\n' "$header" "$secret" >$log
	ok "$log: recorded" sh -c 'hps-record -q --id-file "$1" -- sh -c "echo x >y" </dev/null 2>>"$2"' - "$T/id" $log
	rm $log
	replay "$log" 0 "('REPRODUCED-BITS', 'L0')"
	is "$log: a hole" "$(hole $log)" "$starts"
done

# what is written anew does not depend on it; whether it was read is not known, so that nothing is called diverged
echo "$header" >new.log
ok "written anew: recorded" hps-record -q --id-file "$T/id" -- sh -c 'echo x >new.log'
replay "written anew" 0 "('REPRODUCED-BITS', 'L0')"
is "written anew: a hole" "$(hole new.log)" "$starts"
echo "$header" >own.log
ok "read as its own: recorded" hps-record -q --id-file "$T/id" -- sh -c 'echo x >>own.log; wc -c <own.log >size'
rm own.log
replay "read as its own" 4 "('INCONCLUSIVE', 'L0')"
like "read as its own: the reason" "$(json "$T/out" "j['reason']")" "^1 files held secrets and started empty; .*size"

# one that it could have written to, and did not
printf 'password=hunter2\n' >quiet
ok "not written to: recorded" sh -c 'hps-record -q --id-file "$1" -- sh -c "echo x >y" </dev/null 2>>quiet' - "$T/id"
replay "not written to" 0 "('REPRODUCED-BITS', 'L0')"
is "not written to: a hole" "$(hole quiet)" "$starts"

# by name, without so much as a digest
for f in appended removed moved; do echo "API_TOKEN=$secret" >"$f.env"; done
ok "credentials: recorded" hps-record -q --id-file "$T/id" -- sh -c 'echo X=1 >>appended.env; rm removed.env; mv moved.env to.env; echo x >y'
replay "credentials" 4 "('INCONCLUSIVE', 'L0')"
is "credentials: holes" "$(hole appended.env) $(hole removed.env) $(hole moved.env)" "$starts $starts $starts"
is "credentials: the outputs" "$(of appended.env verdict) $(of removed.env verdict) $(of to.env verdict) $(of y verdict)" "OPAQUE IDENTICAL OPAQUE IDENTICAL"

# what was read is an input
echo "$header" >in.log
ok "read, then written: recorded" hps-record -q --id-file "$T/id" -- sh -c 'wc -c <in.log >size; echo x >in.log'
replay "read, then written" 4 "('NOT-REBUILT', 'L1')"
like "read, then written: missing" "$(json "$T/out" "[m['path'] for m in j['missing']]")" "/in.log'"

# bundles
echo "$header" >kept.log
ok "bundle: recorded" sh -c 'hps-record -q --id-file "$1" -- sh -c "echo said >&2; echo x >y" </dev/null 2>>kept.log' - "$T/id"
ok "bundle: packed without it" hps-replay pack "$(cat "$T/id")" log.hps
echo "$header" >read.log
ok "bundle: recorded, with a secret that it reads" hps-record -q --id-file "$T/id" -- sh -c 'wc -c <read.log >size'
status "bundle: a secret that it reads is not packed" 4 hps-replay pack "$(cat "$T/id")" read.hps
like "bundle: … which is said" "$(cat "$T/err")" "read.log' \(it holds a secret\); --partial"
ok "bundle: … the rest is" hps-replay pack --partial "$(cat "$T/id")" read.hps
for b in log read; do
	is "bundle: no secret in $b.hps" "$(zstd -dcq $b.hps | grep -c "$secret")" 0
done
rm kept.log
replay "bundle: replays where the log is not" 4 "('INCONCLUSIVE', 'L0')" log.hps
is "bundle: a hole" "$(hole kept.log)" "$starts"

# ---- variables: what has the recorded tag in the environment of a replay is supplied to the rerun, and is written nowhere

rm -f -- *
value=$(head -c 18 /dev/urandom | base64 | tr -d '/+=\n')1a2b label=$(head -c 18 /dev/urandom | base64 | tr -d '/+=\n')1a2b # nobody's guess, whatever was drawn
with() { env -i PATH="$PATH" HPS_LEDGER="$HPS_LEDGER" XDG_STATE_HOME="$XDG_STATE_HOME" XDG_CACHE_HOME="$XDG_CACHE_HOME" "$@"; }
record() { with "$@" </dev/null >/dev/null 2>&1; }
again() { # again NAME STATUS VERDICT LEDGER'S-NAME [--equivalent X] [VARIABLE…]
	again_name=$1 again_status=$2 again_verdict=$3 again_what=$4
	shift 4
	again_options=
	[ "${1:-}" != --equivalent ] || { again_options="$1 $2"; shift 2; }
	status "$again_name: status" "$again_status" with "$@" hps-replay --json $again_options "$again_what"
	is "$again_name: verdict" "$(json "$T/out" "j['verdict']")" "$again_verdict"
	unlike "$again_name: no value in the report" "$(cat "$T/out" "$T/err")" "$value|$label"
}
variables() { json "$T/out" "j['supplied'], [h['what'] for h in j['holes'] if h['what'].startswith('variable')]"; }
cat >isrerun <<'S'
case $(cat /proc/1/comm) in hps-replay*) exit 0 ;; esac
exit 1
S
record API_KEY="$value" LABEL="$label" hps-record -q --id-file "$T/id" -- sh -c 'printf "%s" "$API_KEY$LABEL" | sha256sum >hash'
again "variables that are there" 0 REPRODUCED-BITS "$(cat "$T/id")" API_KEY="$value" LABEL="$label"
is "variables that are there: supplied" "$(variables)" "(['API_KEY', 'LABEL'], [])"
status "variables that are there: for people" 0 with API_KEY="$value" LABEL="$label" hps-replay "$(cat "$T/id")"
like "variables that are there: for people, they are named" "$(cat "$T/out")" "^supplied by equality of its tag: API_KEY, LABEL$"
again "variables, one with another value" 4 INCONCLUSIVE "$(cat "$T/id")" API_KEY="$value" LABEL="other"
is "variables, one with another value: the other is supplied" "$(variables)" "(['API_KEY'], ['variable LABEL'])"
like "variables, one with another value: the reason" "$(json "$T/out" "j['reason']")" "^the rerun lacked a variable whose value the record withholds \(LABEL\); 1 of 1 outputs differ"
again "variables that are not there" 4 INCONCLUSIVE "$(cat "$T/id")"
is "variables that are not there: named" "$(variables)" "([], ['variable API_KEY', 'variable LABEL'])"
many=$(for i in $(seq 11); do echo "LACK_$i=some$i"; done)
record $many hps-record -q --id-file "$T/many" -- sh -c 'echo "$LACK_11" >lacked'
status "many variables that are not there: for people" 4 with hps-replay "$(cat "$T/many")"
is "many variables that are not there: for people, all are named" "$(grep '^  11 variables ' "$T/out" | grep -o 'LACK_[0-9]*' | wc -l)" 11
again "control: what does not use them" 0 REPRODUCED-BITS "$(record API_KEY="$value" hps-record -q --id-file "$T/unused" -- sh -c 'echo x >unused'; cat "$T/unused")"
record API_KEY="$value" hps-record -q --id-file "$T/ends" -- sh -c 'echo x >y; test -n "$API_KEY"'
again "a rerun that ends otherwise for want of one" 4 INCONCLUSIVE "$(cat "$T/ends")"
like "a rerun that ends otherwise for want of one: the reason" "$(json "$T/out" "j['reason']")" "\(API_KEY\); the trial had ended with status 0, the rerun ended with status 1"
again "control: with it" 0 REPRODUCED-BITS "$(cat "$T/ends")" API_KEY="$value"
record LABEL="$label" hps-record -q --id-file "$T/differs" -- sh -c 'if sh isrerun; then echo "$LABEL 2"; else echo 1; fi >shown'
again "control: DIVERGED when nothing lacks" 1 DIVERGED "$(cat "$T/differs")" LABEL="$label"
like "a value where the outputs differ is shown as its tag" "$(json "$T/out" "j['outputs'][0]['rerun']")" "hmac:[0-9a-f]{32} 2"
record LABEL="/$label" hps-record -q --id-file "$T/slash" -- sh -c 'if sh isrerun; then echo "$LABEL 2"; else echo 1; fi >slash'
again "a value that begins as a path does" 1 DIVERGED "$(cat "$T/slash")" LABEL="/$label"
like "a value that begins as a path does is shown as its tag" "$(json "$T/out" "j['outputs'][0]['rerun']")" "hmac:[0-9a-f]{32} 2"
record API_KEY="$value$label" hps-record -q --id-file "$T/cut" -- sh -c 'if sh isrerun; then c=b; else c=a; fi; printf "%s%089d%s\n" $c 0 "$API_KEY" >cut'
again "a value where a long text is cut" 1 DIVERGED "$(cat "$T/cut")" API_KEY="$value$label"
like "a value where a long text is cut: its beginning is not shown" "$(json "$T/out" "j['outputs'][0]['original'] + j['outputs'][0]['rerun']")" "^a0{89}…b0{89}…$"
for n in 1 2; do
	rm -f pair
	record API_KEY="$value" hps-record -q --id-file "$T/pair$n" -- sh -c 'echo "$API_KEY $0" >pair' $n
done
for how in --json --no-json; do
	status "explain: two trials that left it: $how" 0 with API_KEY="$value" hps-replay explain $([ $how = --no-json ] || echo $how) "$(cat "$T/pair1")" "$(cat "$T/pair2")"
	unlike "explain: two trials that left it: no value in the report: $how" "$(cat "$T/out" "$T/err")" "$value"
	like "explain: two trials that left it: its tag: $how" "$(cat "$T/out")" "hmac:[0-9a-f]{32} [12]"
done
rm -f cut pair
record API_KEY="$value" hps-record -q --id-file "$T/failed" -- sh -c 'echo "{\"acc\": 1}" >"$HPS_METRICS"; test -n "$API_KEY"'
again "a rerun that ends otherwise is not equivalent" 4 INCONCLUSIVE "$(cat "$T/failed")" --equivalent 0.1
record API_KEY="$value" hps-record -q --id-file "$T/length" -- sh -c 'echo "{\"acc\": 1}" >"$HPS_METRICS"; echo ${#API_KEY} >length'
again "control: one whose outputs differ may be" 0 EQUIVALENT "$(cat "$T/length")" --equivalent 0.1
status "explain: without it" 4 with hps-replay explain --json "$(cat "$T/ends")"
like "explain: without it, it is named" "$(json "$T/out" "[h['what'] for h in j['residue']]")" "variable API_KEY"
status "explain: with it" 0 with API_KEY="$value" hps-replay explain --json --state "$T/state" "$(cat "$T/ends")"
is "explain: with it" "$(json "$T/out" "j['conclusion']")" SAME
ok "a script has no value" sh -c 'API_KEY="$2" hps-replay emit-script "$1" >script.sh' - "$(cat "$T/id")" "$value"
ok "a bundle: packed" env API_KEY="$value" LABEL="$label" hps-replay pack "$(cat "$T/id")" variables.hps
again "a bundle is supplied with nothing: its record may be anybody's" 4 INCONCLUSIVE variables.hps API_KEY="$value" LABEL="$label"
is "a bundle is supplied with nothing: named" "$(variables)" "([], ['variable API_KEY', 'variable LABEL'])"
ok "a bundle: unpacked" hps-replay unpack variables.hps unpacked
status "another key: rotated" 0 hps-ledger key rotate
again "what another key signed is supplied with nothing: its tags may have been read elsewhere" 4 INCONCLUSIVE "$(cat "$T/id")" API_KEY="$value" LABEL="$label"
is "what another key signed: named" "$(variables)" "([], ['variable API_KEY', 'variable LABEL'])"
is "no value in ledger, cache, script, bundle" "$(grep -rlF -e "$value" "$T" | sort | tr '\n' ' ')" ""
is "control: it is found where it is" "$(mkdir "$T/planted" && echo "$value" >"$T/planted/f"; grep -rlF -e "$value" "$T")" "$T/planted/f"
done_testing
