#!/bin/sh
# Modes, owners, times and extended attributes: set as without us, and on record.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
[ "$(id -u)" != 0 ] || chmod 755 "$T"
look() { # what is left, without what differs from run to run
	(cd "$1" && stat -c '%n %a %U %s' * && stat -c '%n %y' f9 f10 f11 f12 f13 l &&
		/usr/bin/python3 -c 'import os
print([(f, os.listxattr(f)) for f in ("f15", "f16", "f17")])')
}
compare() { # compare WHO AS…
	who=$1
	shift
	mkdir -p "$T/$who"
	[ "$(id -u)" != 0 ] || [ "$who" = root ] || chown 65534 "$T/$who"
	cd "$T/$who"
	"$@" sh -c '
		for n in native recorded; do mkdir -p $n/d; ln -s f0 $n/l; for i in $(seq 0 17); do echo $i >$n/f$i; done; done'
	XDG_CACHE_HOME=$T/$who/c
	HPS_LEDGER=$T/$who/ledger
	export HPS_LEDGER XDG_CACHE_HOME
	ok "$who: ledger" "$@" hps-ledger init "$HPS_LEDGER"
	"$@" "$HPS_TRACEES/attributes" native >native.out
	"$@" hps-record -q --id-file id -- "$HPS_TRACEES/attributes" recorded >recorded.out
	is "$who: the calls say the same" "$(cat recorded.out)" "$(cat native.out)"
	is "$who: and leave the same" "$(look recorded)" "$(look native)"
	recorded() {
		"$@" /usr/bin/python3 "$HPS_SOURCE/tests/e2e/record.py" "$HPS_LEDGER" "$(cat id)" "$expression"
	}
	expression="{p.rsplit('/', 1)[1]: i['set'] for p, i in sorted(products.items()) if 'set' in i}"
	is "$who: each is on record" "$(recorded "$@")" "{'recorded': ['mode'], 'd': ['mode'], 'f0': ['mode'], 'f1': ['mode'], 'f10': ['times'], 'f11': ['times'], 'f12': ['times'], 'f13': ['times'], 'f14': ['times'], 'f15': ['extended'], 'f16': ['extended'], 'f2': ['mode'], 'f3': ['mode'], 'f4': ['mode'], 'f5': ['owner'], 'f6': ['owner'], 'f7': ['owner'], 'f8': ['owner'], 'f9': ['times'], 'l': ['owner', 'times']}"
	expression="[(products['$T/$who/recorded/' + f]['mode'], products['$T/$who/recorded/' + f]['digest'] == products['$T/$who/recorded/' + f]['before']) for f in ('f1', 'f4')], products['$T/$who/recorded/f12']['mtime'], products['$T/$who/recorded/f5']['uid'], gaps"
	is "$who: with what was set" "$(recorded "$@")" "([('0601', True), ('0604', True)], '1000000009000000010', $("$@" id -u), {})"
}
compare "$(id -un)" env
[ "$(id -u)" != 0 ] || compare user as_user
done_testing
