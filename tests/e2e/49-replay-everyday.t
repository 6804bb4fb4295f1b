#!/bin/sh
# Everyday commands (everyday.txt) end as they should when they are replayed, as root and as an ordinary user: no DIVERGED where the view, not
# the trial, is another. HPS_EVERYDAY names a pattern of rows to try alone.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
[ "$(id -u)" != 0 ] || chown 65534:65534 "$T"
chmod 755 "$T"
list=$HPS_SOURCE/tests/e2e/everyday.txt
tab=$(printf '\t')

# What each command finds.
mkdir fixture
cd fixture
seq 1 40 | awk '{print ($1 * 7919) % 101}' >numbers.txt
printf '%s\n' one two three two alpha beta one gamma a bb ccc >words.txt
printf 'a,b,c\n' >table.csv
awk 'BEGIN {for (i = 0; i < 30; i++) print i "," i * i % 17 "," i / 4}' >>table.csv
echo 'import os, sys; print(sys.version_info[0], sorted(os.listdir(".")))' >script.py
printf '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n' >prog.c
printf 'prog: prog.c\n\tcc -O1 -o prog prog.c\n' >Makefile
mkdir -p d/sub empty
echo one >d/a
seq 3000 >d/b
echo deep >d/sub/c
ln -s a d/link
cp words.txt changed
sed -i 's/beta/BETA/' changed
diff -u words.txt changed >change.patch
rm changed
touch -d '2021-03-04 05:06:07' old.txt d/a d/sub
git init -q repository
(cd repository && echo 1 >f && git add f && GIT_AUTHOR_DATE='1000000000 +0000' GIT_COMMITTER_DATE='1000000000 +0000' git -c user.name=n -c user.email=e@x commit -qm first && echo 2 >>f)
chmod -R a+rX .
cd "$T"

# one WHO VERDICT NAME COMMAND: in a folder of its own, in the ledger and with the HOME of that user
one() {
	run=
	[ "$1" = root ] || run=as_user
	home=$T/$1
	HOME=$home HPS_LEDGER=$home/ledger TMPDIR=$home/tmp XDG_CACHE_HOME=$home/.cache XDG_STATE_HOME=$home/.state
	export HOME HPS_LEDGER TMPDIR
	$run cp -a "$T/fixture" "$home/t.$3"
	[ "$1" = root ] || [ "$(id -u)" != 0 ] || chown -R 65534:65534 "$home/t.$3"
	cd "$home/t.$3" || exit 99
	$run hps-record -q --id-file "$home/id" -- sh -c "$4" </dev/null >/dev/null 2>"$home/err"
	$run hps-replay --json --keep "$home/t.$3.kept" "$(cat "$home/id")" >"$home/verdict" 2>>"$home/err"
	ended=$(json "$home/verdict" "j['verdict'].replace('REPRODUCED-', '')")
	[ "$2 $ended" != "VALUES BITS" ] || ended=VALUES # stamps may agree
	is "$1: $3" "$ended" "$2"
	[ "$ended" = "$2" ] || note "$(json "$home/verdict" "str(j.get('reason')) + ''.join('\nmissing %s: %s' % (m['path'], m['why']) for m in j['missing']) + ''.join('\n%s %s %s: %s | %s' % (o['path'], o['verdict'], o.get('place'), o.get('original'), o.get('rerun')) for o in j['outputs'] if o['verdict'] not in ('IDENTICAL',))")" "$(head -c 500 "$home/err")"
	cd "$T"
	rm -rf "$home/t.$3" "$home/t.$3.kept"
}

every() { # every WHO ROWS…: the rows that this user is to try
	mkdir -p "$T/$1/tmp"
	[ "$1" = root ] || [ "$(id -u)" != 0 ] || chown -R 65534:65534 "$T/$1"
	run=
	[ "$1" = root ] || run=as_user
	ok "$1: ledger" $run hps-ledger init "$T/$1/ledger"
	while IFS=$tab read -r name verdict who command; do
		case $name in '#'* | '') continue ;; esac
		case $name in
		*'*') name=${name%?} ;;
		*) [ "${HPS_TEST_FULL:-}${HPS_EVERYDAY:-}" ] || continue ;;
		esac
		case $who in both | "$1") ;; *) continue ;; esac
		case $name in ${HPS_EVERYDAY:-*}) ;; *) continue ;; esac
		one "$1" "$verdict" "$name" "$command" </dev/null
	done <"$list"
	ok "$1: the ledger verifies" $run hps-ledger verify --ledger "$T/$1/ledger"
	is "$1: nothing stays behind" "$(ls -A "$T/$1/tmp")" ""
}

[ "$(id -u)" != 0 ] || every root
every user
done_testing
