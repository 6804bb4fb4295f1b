#!/bin/sh
# Each format, written by the programs that people use: the same values in other bytes are the same, one changed value is found where it is.
. "${HPS_SOURCE:?}/tests/lib.sh"
ok "formats: written" sh -c "/usr/bin/python3 '$HPS_SOURCE/tests/e2e/replay-formats.py' '$T/f' >'$T/table'"

first() { json "$T/out" "j['outputs'][0].get('$1')"; }
while IFS='|' read -r name ext format place was is; do
	status "$name: the same values" 0 hps-replay compare --json "f/$name/a.$ext" "f/$name/same.$ext"
	verdict=$(first verdict)
	is "$name: … by other bytes, read" "$verdict $(first format)" "SAME-VALUES $format"
	status "$name: a changed value" 1 hps-replay compare --json "f/$name/a.$ext" "f/$name/other.$ext"
	is "$name: … is found" "$(first verdict) $(first format)" "DIVERGED $format"
	[ -z "$place" ] || is "$name: … where it is" "$(first place)" "$place"
	[ -z "$was" ] || is "$name: … and what it was and is" "$(first original) $(first rerun)" "$was $is"
	case $name in rdslm | pyc) continue ;; esac # another fit has other numbers of iterations; code is no number
	status "$name: … is within a tolerance" 0 hps-replay compare --json --rtol 2 "f/$name/a.$ext" "f/$name/other.$ext"
	is "$name: … and called so" "$(first verdict)" WITHIN-TOLERANCE
done <"$T/table"
done_testing
