#!/bin/sh
# Two hundred commands with and without the recorder: the same output, status, death, files. One in four, or with HPS_TEST_FULL all.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
ok "ledger: made" hps-ledger init "$T/ledger"
HPS_LEDGER=$T/ledger
export HPS_LEDGER
PYTHONDONTWRITEBYTECODE=1 HOME=$T/home GIT_CONFIG_NOSYSTEM=1
export PYTHONDONTWRITEBYTECODE HOME GIT_CONFIG_NOSYSTEM
mkdir "$HOME"

# Each line of same.txt is run by bash in an empty folder, plainly and recorded; "tty: " on a terminal of its own.
try() { # try NAME COMMAND PREFIX…
	try_name=$1 try_command=$2
	shift 2
	rm -rf "$T/try" && mkdir "$T/try" && cd "$T/try" || exit 99
	case $try_command in
	tty:*)
		printf '%s\n' "${try_command#tty: }" >"$T/on-terminal"
		script -qec "$* bash $T/on-terminal" /dev/null >"$T/$try_name.out" 2>"$T/$try_name.err" </dev/null
		;;
	*) "$@" bash -c "$try_command" >"$T/$try_name.out" 2>"$T/$try_name.err" </dev/null ;;
	esac
	echo "status $?" >"$T/$try_name.status"
	find . -path ./.git -prune -o -path ./a/.git -prune -o -path ./b/.git -prune -o -printf '%p %m %s %y %l\n' | sed 's,[td]...$,X,; s/[td][A-Za-z0-9]\{3\} /X /' | sort >"$T/$try_name.files"
	cd "$T" || exit 99
}
same() {
	try plain "$1" env
	try recorded "$1" hps-record -q --
	same_as=
	for part in out err status files; do
		sed -i 's/line [0-9]*: *[0-9]* /line: /; s/^\[[0-9]*\] [0-9]*/[job]/' "$T/plain.$part" "$T/recorded.$part"
		cmp -s "$T/plain.$part" "$T/recorded.$part" || same_as="$same_as $part: $(diff "$T/plain.$part" "$T/recorded.$part" | head -n 4)"
	done
	is "same: $1" "$same_as" ""
}
# A command that the recorder changes is told from one that it does not.
try plain 'echo x; exit 3' env
try recorded 'echo y; exit 4' hps-record -q --
not_ok "control: another output is seen" cmp -s plain.out recorded.out
not_ok "control: another status is seen" cmp -s plain.status recorded.status

line=0
while IFS= read -r command <&3; do
	line=$((line + 1))
	[ -n "${HPS_TEST_FULL:-}" ] || [ $((line % 4)) = 0 ] || continue
	same "$command"
done 3<"$HPS_SOURCE/tests/e2e/same.txt"
ok "there are two hundred" test "$line" -ge 200
ok "ledger: verifies" hps-ledger verify
done_testing
