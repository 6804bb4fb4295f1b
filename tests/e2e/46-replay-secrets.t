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
done_testing
