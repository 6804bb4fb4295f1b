#!/bin/sh
# Temporary folders: a killed replay's is removed by the next one, a living one's is not.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
mkdir w tmp
cd w
TMPDIR=$T/tmp
export TMPDIR
folders() { find "$TMPDIR" -mindepth 1 -maxdepth 1 -name 'hps-replay.*' | wc -l; }
# until COMMAND…: within ten seconds
until_() {
	tries=0
	while [ $tries -lt 100 ] && ! "$@"; do
		sleep 0.1
		tries=$((tries + 1))
	done
	"$@"
}
runs() { [ "$(find "$TMPDIR" -name report | wc -l)" -ge 1 ]; }
ok "slow: recorded" hps-record -q --id-file "$T/slow" -- sh -c 'sleep 3; echo x >y'
ok "fast: recorded" hps-record -q --id-file "$T/fast" -- sh -c 'echo x >z'

hps-replay "$(cat "$T/slow")" >"$T/killed.out" 2>&1 &
killed=$!
ok "killed: it runs" until_ runs
kill -KILL $killed
wait $killed 2>/dev/null
is "killed: its folder stays" "$(folders)" 1
status "next: replays" 0 hps-replay "$(cat "$T/fast")"
is "next: removes it, and its own" "$(ls -A "$TMPDIR")" ""

hps-replay --json "$(cat "$T/slow")" >"$T/slow.out" 2>&1 &
slow=$!
ok "living: it runs" until_ runs
status "beside it: another replays" 0 hps-replay "$(cat "$T/fast")"
is "beside it: the first one's folder stays" "$(folders)" 1
wait $slow
is "living: it ends well" "$? $(json "$T/slow.out" "j['verdict']")" "0 REPRODUCED-BITS"
is "at the end nothing is left" "$(ls -A "$TMPDIR")" ""

# Not ours: another user's, a file, a link.
mkdir "$TMPDIR/hps-replay.run.foreign" "$TMPDIR/target"
[ "$(id -u)" != 0 ] || chown 65534 "$TMPDIR/hps-replay.run.foreign"
echo x >"$TMPDIR/target/kept"
echo x >"$TMPDIR/hps-replay.file"
ln -s target "$TMPDIR/hps-replay.run.link"
status "others': replays" 0 hps-replay "$(cat "$T/fast")"
is "others': a file and a link stay" "$(ls "$TMPDIR/hps-replay.file" "$TMPDIR/target/kept" | wc -l) $(readlink "$TMPDIR/hps-replay.run.link")" "2 target"
[ "$(id -u)" != 0 ] || is "others': another user's folder stays" "$(ls -d "$TMPDIR/hps-replay.run.foreign" | wc -l)" 1
done_testing
