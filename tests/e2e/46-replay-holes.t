#!/bin/sh
# No REPRODUCED for what was not compared: products of every type, records with gaps; and what a rerun must have to be fair.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
mkdir w
cd w
# A program can tell that it is a rerun: the first process of its world is another.
cat >isrerun <<'S'
case $(cat /proc/1/comm) in hps-replay*) exit 0 ;; esac
exit 1
S
# What only the rerun would run must be there all the same.
cat >use <<'S'
for p in mkdir rmdir rm chmod ln mkfifo; do $p --version; done >/dev/null
S
record() { hps-record -q --id-file "$T/id" "$@" </dev/null >/dev/null 2>"$T/trial.err"; }
replay() { # replay NAME STATUS VERDICT [OPTION…]
	replay_name=$1
	replay_status=$2
	replay_verdict=$3
	shift 3
	status "$replay_name: status" "$replay_status" hps-replay --json "$@" "$(cat "$T/id")"
	is "$replay_name: verdict" "$(json "$T/out" "j['verdict']")" "$replay_verdict"
}
of() { json "$T/out" "[o for o in j['outputs'] if o['path'].split('/')[-1] == '$1'][0].get('$2')"; }
hole() { json "$T/out" "[h['why'] for h in j['holes'] if h['what'] == '$1' or h['what'].endswith('/$1')]"; }
# differs NAME OUTPUT FILE TRIAL RERUN: TRIAL makes FILE when it is recorded, RERUN when it is replayed; AGAIN puts back what was there
AGAIN=:
differs() {
	eval "$AGAIN"
	ok "$1: recorded" record -- sh -c ". ./use; echo x >always; if sh isrerun; then $5; else $4; fi"
	replay "$1" 1 DIVERGED
	is "$1: the output" "$(of "$3" verdict) $(of "$3" place)" "$2"
	eval "$AGAIN"
	ok "$1: control, recorded" record -- sh -c "echo x >always; $4"
	replay "$1: control" 0 REPRODUCED-BITS
	AGAIN=:
}

differs "symlink-target" "DIVERGED target" sl "ln -sfn a sl" "ln -sfn b sl"
differs "directory-extra" "EXTRA None" only ":" "mkdir only"
AGAIN="rm -rf made"
differs "directory-missing" "MISSING None" made "mkdir made" ":"
AGAIN="echo old >gone"
differs "deletion-missing" "MISSING None" gone "rm gone" ":"
AGAIN="echo old >kept"
differs "deletion-extra" "EXTRA None" kept ":" "rm kept"
AGAIN="echo old >both"
differs "deletion-or-change" "STRUCTURE state" both "rm both" "echo new >both"
AGAIN="mkdir empty; ln -s nowhere dangling"
differs "deleted-directory" "MISSING None" empty "rmdir empty; rm dangling" "rm dangling"
AGAIN="rm -f m"
differs "mode" "DIVERGED mode" m "echo x >m; chmod 640 m" "echo x >m; chmod 600 m"
AGAIN="rm -rf dm"
differs "mode-of-directory" "DIVERGED mode" dm "mkdir dm; chmod 700 dm" "mkdir dm; chmod 755 dm"
AGAIN="rm -rf ty"
differs "type" "STRUCTURE type" ty "echo x >ty" "mkdir ty"
AGAIN="rm -f cm"
differs "content-before-mode" "DIVERGED line 1" cm "echo x >cm; chmod 600 cm" "echo y >cm; chmod 644 cm"

# neither file, directory nor link: what it is was not recorded
ok "fifo: recorded" record -- sh -c 'echo x >always; mkfifo pipe'
replay "fifo" 4 INCONCLUSIVE
is "fifo: the output" "$(of pipe verdict)" OPAQUE
like "fifo: the reason" "$(json "$T/out" "j['reason']")" "pipe' cannot be compared: neither file, directory nor link"
rm -f pipe
ok "fifo-used: recorded" record -- sh -c 'echo x >always; mkfifo pipe; echo y >pipe & cat pipe >/dev/null; wait'
replay "fifo-used" 4 INCONCLUSIVE
rm -f pipe
ok "fifo-extra: recorded" record -- sh -c '. ./use; echo x >always; if sh isrerun; then mkfifo pipe; fi'
replay "fifo-extra" 1 DIVERGED
cat >bind.py <<'P'
import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])
P
ok "socket: recorded" record -- sh -c 'echo x >always; /usr/bin/python3 bind.py sock'
replay "socket" 4 INCONCLUSIVE
is "socket: the output" "$(of sock verdict)" OPAQUE
rm -f sock
ok "socket-extra: recorded" record -- sh -c '/usr/bin/python3 bind.py gone; rm gone; if sh isrerun; then /usr/bin/python3 bind.py sock; fi; echo x >always'
replay "socket-extra" 1 DIVERGED
is "socket-extra: the output" "$(of sock verdict)" EXTRA

# several names of one file
AGAIN="rm -f h1 h2"
differs "hard-link-or-copy" "DIVERGED link" h2 "echo x >h1; ln h1 h2" "echo x >h1; echo x >h2"
for view in overlay mounts copy best; do
	rm -f a1 a2 b1 b2
	echo one >a1
	ln a1 a2
	echo two >b1
	ln b1 b2
	ok "hard-links, $view: recorded" record -- sh -c 'cat a1 a2 b2 >read; if [ a1 -ef a2 ]; then echo same; else echo other; fi >links; ls -i a1 a2 | cut -d " " -f 1 | uniq | wc -l >>links; stat -c %h a1 >>links'
	rm -f a1 a2 b1 b2
	replay "hard-links, $view" 0 REPRODUCED-BITS --view "$view"
done
for view in mounts best; do
	rm -f a1 a2
	echo one >a1
	ln a1 a2
	ok "hard-links-written, $view: recorded" record -- sh -c 'echo two >>a1; cat a2 >read'
	is "hard-links-written: control" "$(cat read)" "$(printf 'one\ntwo')"
	rm -f a1 a2
	replay "hard-links-written, $view" 0 REPRODUCED-BITS --view "$view"
	like "hard-links-written, $view: by mounts" "$(json "$T/out" "j['view']")" "'kind': 'mounts'"
done
mkdir -p dir/sub
echo x >dir/sub/f
ok "directory-renamed: recorded" record -- sh -c 'mv dir moved; cat moved/sub/f >f.out; echo new >moved/sub/g'
replay "directory-renamed" 0 REPRODUCED-BITS
like "directory-renamed: why not an overlay" "$(json "$T/out" "j['view']")" "'why': 'the trial renames a directory"

# a listing taken while a file of the trial's own was there, which is gone again at the end
ok "passing-name: recorded" record -- sh -c '[ ! -e passing ] || exit 3; echo a >passing; ls >listed; rm passing; ls >listed.after; sync . 2>/dev/null; :'
rm -f listed listed.after
replay "passing-name" 0 REPRODUCED-BITS
ok "journal: recorded" record -- /usr/bin/python3 -c 'import sqlite3; c = sqlite3.connect("data.db"); c.execute("create table t(a)"); c.execute("insert into t values(1)"); c.commit()'
rm -f data.db
replay "journal" 0 REPRODUCED-BITS

# values of extended attributes; what the record does not hold: core files
ok "extended: recorded" record -- /usr/bin/python3 -c 'import os, time; open("attributed", "w").write("x"); os.setxattr("attributed", "user.n", str(time.time_ns()).encode())'
rm -f attributed
replay "extended" 1 DIVERGED
is "extended: the output" "$(of attributed verdict) $(of attributed place)" "DIVERGED extended attributes"
ok "extended, the same: recorded" record -- /usr/bin/python3 -c 'import os; open("attributed", "w").write("x"); os.setxattr("attributed", "user.n", b"1")'
rm -f attributed
replay "extended, the same" 0 REPRODUCED-BITS
mkdir inside
echo x >inside/unopened
ok "exchanged: recorded" record -- /usr/bin/python3 -c 'import ctypes, os; os.mkdir("new"); open("new/n", "w").write("x"); ctypes.CDLL(None).renameat2(-100, b"new", -100, b"inside", 2); open("seen", "w").write(str([os.listdir("inside"), os.listdir("new"), os.path.getsize("new/unopened")]))'
is "exchanged: control" "$(cat seen)" "[['n'], ['unopened'], 2]"
rm -rf new inside seen
mkdir inside
replay "exchanged, unopened" 0 REPRODUCED-BITS
rm -rf inside
mkdir -p away/sub
echo x >away/sub/unopened
ok "moved-away: recorded" record -- /usr/bin/python3 -c 'import os; os.rename("away", "aside"); a = os.listdir("aside"); os.rename("aside/sub", "aside/other"); open("seen", "w").write(str([a, os.listdir("aside"), os.listdir("aside/other")])); os.rename("aside", "away"); os.chmod("away", 0o700); print(os.listdir("away"), file=open("after", "w"))'
is "moved-away: control" "$(cat seen after)" "[['sub'], ['other'], ['unopened']]['other']"
rm -rf away seen after
replay "moved-away, moved back, unopened" 0 REPRODUCED-BITS
ok "made-and-found: recorded" record -- sh -c 'mkdir -p m/n; mkdir -p m/n/o; rm -r m; echo x >always'
replay "made-and-found" 0 REPRODUCED-BITS
if [ "$(cat /proc/sys/kernel/core_pattern)" = core ]; then
	ok "core: recorded" record -- sh -c 'ulimit -c unlimited; sh -c "kill -SEGV \$\$"; echo x >always'
	rm -f core core.*
	replay "core" 4 INCONCLUSIVE
	like "core: why" "$(json "$T/out" "j['reason']")" "a process left a core file"
else
	skip "core" "core_pattern of this machine leaves no core file here"
fi

# what mkdir() found is there, too
mkdir -p there
ok "existing-directory: recorded" record -- sh -c 'mkdir there || :; mkdir -p there/not; echo x >always'
rm -rf there
replay "existing-directory" 0 REPRODUCED-BITS

# --metrics FILE
ok "metrics-file: recorded" record --metrics scores.json -- sh -c 'echo "{\"acc\": 0.5}" >scores.json'
replay "metrics-file" 0 REPRODUCED-BITS
is "metrics-file: the metrics are compared" "$(of metrics verdict)" IDENTICAL
ok "metrics-file-differs: recorded" record --metrics scores.json -- sh -c 'if sh isrerun; then v=0.6; else v=0.5; fi; echo "{\"acc\": $v}" >scores.json'
replay "metrics-file-differs" 1 DIVERGED
is "metrics-file-differs: place" "$(of metrics place)" acc

# /dev/shm
shm=/dev/shm/hps-test.$$
echo shared >"$shm"
ok "dev-shm: recorded" record -- sh -c 'cat "$1" >shared.out; echo more >>"$1"' sh "$shm"
rm -f "$shm"
replay "dev-shm" 0 REPRODUCED-BITS
is "dev-shm: what was left there is an output" "$(of "hps-test.$$" verdict)" IDENTICAL

# an empty log
: >empty.log
hps-record -q --capture none --id-file "$T/id" -- sh -c 'echo x >y; echo said >&2' </dev/null >/dev/null 2>empty.log
replay "capture-none, standard error on an empty log" 0 REPRODUCED-BITS
is "capture-none: the log is an output" "$(of empty.log verdict)" IDENTICAL

# standard input
ok "stdin-null: recorded" record -- sh -c 'echo x >y'
replay "stdin-null" 0 REPRODUCED-BITS
is "stdin-null: no hole" "$(hole 'standard input')" "[]"
echo in | hps-record -q --id-file "$T/id" -- sh -c 'cat >y' >/dev/null 2>&1
replay "stdin-pipe" 4 INCONCLUSIVE
like "stdin-pipe: the reason" "$(json "$T/out" "j['reason']")" "^the rerun lacked standard input; 1 of 1 outputs differ"
echo in | hps-record -q --id-file "$T/id" -- sh -c 'echo x >y' >/dev/null 2>&1
replay "stdin-pipe, not read" 0 REPRODUCED-BITS
echo in | hps-record -q --id-file "$T/id" -- sh -c 'cat >y' >/dev/null 2>&1
status "stdin-pipe: again" 4 hps-replay --json "$(cat "$T/id")"
like "stdin-pipe: the hole" "$(hole 'standard input')" "it was a pipe: what came through it was not recorded"

# what is there is not stored again
echo input >input
ok "rerun-stores: recorded" record --capture none -- sh -c 'tr a-z A-Z <input >output'
replay "rerun-stores" 0 REPRODUCED-BITS
h=$(sum input)
not_ok "rerun-stores: a rerun keeps no input" test -e "$T/ledger/objects/$(echo "$h" | cut -c1-2)/$(echo "$h" | cut -c3-)"
ok "ledger: verifies" hps-ledger verify

# What an ordinary user's recorder cannot read: a product, a process.
cd "$T"
mkdir user
[ "$(id -u)" != 0 ] || chown 65534 user
chmod 755 "$T"
cd user
HPS_LEDGER=$T/user/ledger HOME=$T/user XDG_CACHE_HOME=$T/user/cache XDG_STATE_HOME=$T/user/state
export HOME
ok "unreadable: ledger" as_user hps-ledger init "$T/user/ledger"
as_user hps-record -q --id-file id -- sh -c 'echo x >seen' </dev/null >/dev/null 2>&1
status "unreadable: control" 0 as_user hps-replay --json "$(cat id)"
is "unreadable: control's level" "$(json "$T/out" "j['verdict'], j['level']")" "('REPRODUCED-BITS', 'L2')"
as_user hps-record -q --id-file id -- sh -c 'umask 0777; echo x >blind' </dev/null >/dev/null 2>&1
status "unreadable-product: status" 4 as_user hps-replay --json "$(cat id)"
is "unreadable-product: verdict and output" "$(json "$T/out" "j['verdict']") $(of blind verdict)" "INCONCLUSIVE OPAQUE"
# a log in a folder of somebody else
mkdir "$T/closed"
chmod 700 "$T/closed"
as_user hps-record -q --id-file id -- sh -c 'echo said; echo x >seen' </dev/null >"$T/closed/log" 2>"$T/closed/err"
[ "$(id -u)" = 0 ] || chmod 0 "$T/closed"
status "closed-log: status" 4 as_user hps-replay --json "$(cat id)"
like "closed-log: undecided, with the reason" "$(json "$T/out" "j['verdict'], j['reason']")" "INCONCLUSIVE.*closed/.*the way to it was closed"
chmod 700 "$T/closed"
# a mask that takes everything from everybody, and from the recorder
(umask 0777; as_user hps-record -q --id-file id -- sh -c 'umask >mask; chmod 644 mask') </dev/null >/dev/null 2>&1
is "umask-0777: the command has it" "$(cat mask)" 0777
status "umask-0777: replays" 0 as_user hps-replay --json "$(cat id)"
as_user hps-record -q --id-file id -- sh -c '"$1" seen; echo y >seen' sh "$HPS_TRACEES/undumpable" </dev/null >/dev/null 2>&1
status "opaque-process: status" 4 as_user hps-replay --json "$(cat id)"
is "opaque-process: verdict and level" "$(json "$T/out" "j['verdict'], j['level']")" "('INCONCLUSIVE', 'L0')"
like "opaque-process: the gap is the reason" "$(json "$T/out" "j['reason']")" \
	"not all may have been recorded: not seen when it was recorded: a process could not be read"
done_testing
