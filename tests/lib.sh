# Sourced by every tests/e2e/*.t: TAP output, a folder of its own, and comparisons that say what they saw.
# The programs are in $HPS_BIN (first on PATH), the compiled test programs in $HPS_TRACEES, the checkout is $HPS_SOURCE.

: "${HPS_BIN:?set HPS_BIN to the folder of the programs (tests/run.sh does)}"
PATH=$HPS_BIN:/usr/bin:/bin:/usr/sbin:/sbin
export PATH
unset HPS_LEDGER HPS_RECORD_ID HPS_METRICS HPS_SOCKET
LC_ALL=C.UTF-8
export LC_ALL

T=$(mktemp -d "${TMPDIR:-/tmp}/hps-test.XXXXXX") || exit 99
T=$(cd "$T" && pwd -P)
XDG_STATE_HOME=$T/.state
XDG_CACHE_HOME=$T/.cache
export T XDG_STATE_HOME XDG_CACHE_HOME
cd "$T" || exit 99
n_tests=0
n_failed=0
# What a compiler must be told whose output is linked with ours.
san=$(case ${HPS_BUILD:-} in *san-*) echo "-fsanitize=${HPS_BUILD##*san-}" | tr - , | sed 's/^,/-/' ;; esac)
pids= # of what runs beside the test
cleanup() {
	[ -z "$pids" ] || kill $pids 2>/dev/null
	cd /
	chmod -R u+rwX "$T" 2>/dev/null
	rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

pass() {
	n_tests=$((n_tests + 1))
	echo "ok $n_tests - $1"
}
fail() {
	n_tests=$((n_tests + 1))
	n_failed=$((n_failed + 1))
	echo "not ok $n_tests - $1"
}
note() {
	printf '%s\n' "$*" | sed 's/^/# /' >&2
}

# ok NAME COMMAND…: the command succeeds
ok() {
	ok_name=$1
	shift
	if "$@" >"$T/.ok.out" 2>&1; then
		pass "$ok_name"
	else
		ok_status=$?
		fail "$ok_name"
		note "command: $*" "status: $ok_status" "$(head -c 2000 "$T/.ok.out")"
	fi
}

# not_ok NAME COMMAND…: the command fails
not_ok() {
	ok_name=$1
	shift
	if "$@" >"$T/.ok.out" 2>&1; then
		fail "$ok_name"
		note "command succeeded: $*" "$(head -c 2000 "$T/.ok.out")"
	else
		pass "$ok_name"
	fi
}

# status NAME WANT COMMAND…: the command ends with status WANT; its output is left in $T/out and $T/err
status() {
	st_name=$1
	st_want=$2
	shift 2
	"$@" >"$T/out" 2>"$T/err"
	st_got=$?
	if [ "$st_got" = "$st_want" ]; then
		pass "$st_name"
	else
		fail "$st_name"
		note "command: $*" "status: $st_got, wanted $st_want" "$(head -c 1000 "$T/out")" "$(head -c 1000 "$T/err")"
	fi
}

# is NAME GOT WANT
is() {
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1"
		note "got:    $2" "wanted: $3"
	fi
}

# like NAME TEXT PATTERN: TEXT has a line that the extended regular expression matches
like() {
	if printf '%s\n' "$2" | grep -Eq -- "$3"; then
		pass "$1"
	else
		fail "$1"
		note "no line matches: $3" "$(printf '%s\n' "$2" | head -c 2000)"
	fi
}
unlike() {
	if printf '%s\n' "$2" | grep -Eq -- "$3"; then
		fail "$1"
		note "a line matches: $3" "$(printf '%s\n' "$2" | grep -E -- "$3" | head -n 3)"
	else
		pass "$1"
	fi
}

# skip NAME REASON: only for what cannot exist on this machine, never for a missing package
skip() {
	n_tests=$((n_tests + 1))
	echo "ok $n_tests - $1 # SKIP $2"
}

# json FILE EXPRESSION: prints a Python expression over the parsed JSON, j
json() {
	/usr/bin/python3 -c 'import json, sys
j = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$1" "$2"
}

# new_ledger [AS…]: makes $T/ledger, the one that every program uses from here on
new_ledger() {
	HPS_LEDGER=$T/ledger
	export HPS_LEDGER
	ok "ledger: made" "$@" hps-ledger init "$T/ledger"
}

# bare: from here on programs get no variable whose value a record would withhold, but for a sanitizer's: --allow-env $BARE
BARE=ASAN_OPTIONS
bare() {
	unset UBSAN_OPTIONS
	for bare_name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
		case $bare_name in
		PATH | LC_ALL | HPS_* | XDG_*_HOME | "$BARE") ;;
		*) eval "bare_value=\$$bare_name; unset $bare_name; $bare_name=\$bare_value" ;;
		esac
	done
}

# rec EXPRESSION: over the record whose id is in $T/id (record.py)
rec() {
	/usr/bin/python3 "$HPS_SOURCE/tests/e2e/record.py" "$T/ledger" "$(cat "$T/id")" "$1"
}

# background NAME COMMAND…: starts a server and waits until it says where it serves; $NAME.out has that, $NAME_pid its id
background() {
	bg=$1
	shift
	: >"$bg.out"
	"$@" >"$bg.out" 2>&1 &
	eval "${bg}_pid=$!"
	pids="$pids $!"
	for bg_tries in $(seq 100); do
		grep -qE 'serving|^http' "$bg.out" && return
		sleep 0.1
	done
	note "$bg does not start: $(cat "$bg.out")"
}

# statement NUMBER [KIND]: one to append, on stdout
statement() {
	printf '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"%064d"}}],"predicateType":"urn:hps:%s:v1",' "$1" "${2:-search}"
	printf '"predicate":{"study":"s","event":"commit","number":%d}}\n' "$1"
}

sum() { sha256sum "$1" | cut -d ' ' -f 1; }

# as_user COMMAND…: as an ordinary user ("nobody" when we are root)
as_user() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"
	else
		"$@"
	fi
}

done_testing() {
	echo "1..$n_tests"
	[ "$n_failed" = 0 ] || exit 1
	exit 0
}
