#!/bin/sh
# A file is an inode with names: what the trial changed under one is no input under another.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
record() { # record NAME COMMAND: by a shell
	status "$1: run" 0 hps-record -q --id-file "$T/id" -- sh -c "$2"
}
fact() { # fact NAME EXPRESSION WANTED
	is "$1" "$(rec "$2")" "$3"
}
state() { # state PATH: of the material and of the product of that name
	rec "[materials['$T/$1']['digest']['sha256'][:8] if '$T/$1' in materials else None, products['$T/$1']['before']['sha256'][:8] if 'before' in products.get('$T/$1', {}) else None, products['$T/$1']['digest']['sha256'][:8] if '$T/$1' in products else None]"
}
first8() { sum "$1" | cut -c 1-8; }
wanted() { echo "['$1', '$2', '$3']"; }

# Written under one name, read under the other.
echo 1 >ha; ln ha hb
old=$(first8 ha)
record "written elsewhere" 'date +%N >hb; cat ha >hc; echo k >hb'
is "written elsewhere: ha is an input as it was, and a product" "$(state ha)" "$(wanted "$old" "$old" "$(first8 ha)")"
is "written elsewhere: so is hb" "$(state hb)" "$(wanted "$old" "$old" "$(first8 ha)")"
fact "written elsewhere: they were one file" "materials['$T/hb']['link'], materials['$T/ha'].get('link')" "('$T/ha', None)"
fact "written elsewhere: they are one file" "products['$T/hb']['link'], products['$T/ha'].get('link')" "('$T/ha', None)"
fact "written elsewhere: no gap" gaps "{}"

echo 1 >ra; ln ra rb
old=$(first8 ra)
record "read, then written elsewhere" 'cat ra; echo new >>rb; cat ra'
is "read, then written elsewhere: ra" "$(state ra)" "$(wanted "$old" "$old" "$(first8 ra)")"
fact "read, then written elsewhere: content of before is stored" "text('$T/ra'), gaps" "('1\n', {})"

# Names of files that were written, made or moved in between.
echo 1 >ma; ln ma mb
old=$(first8 ma)
record "moved, then written" 'mv ma mc; echo new >mc; cat mb'
is "moved, then written: the other name" "$(state mb)" "$(wanted "$old" "$old" "$(first8 mb)")"
fact "moved, then written: from" "products['$T/mc']['from'], products['$T/mc']['link'], products['$T/ma']['state']" "('$T/ma', '$T/mb', 'deleted')"

echo 1 >la
record "linked by the trial" 'ln la lb; echo new >lb; cat la >lc'
old=$(echo 1 | sha256sum | cut -c 1-8)
is "linked by the trial: the first name" "$(state la)" "$(wanted "$old" "$old" "$(first8 la)")"
fact "linked by the trial: one file" "products['$T/lb']['link']" "$T/la"

echo 1 >ka
record "a link of an input" 'ln ka kb; cat ka'
fact "a link of an input: the source is an input, unchanged" "materials['$T/ka']['uses'], '$T/ka' in products, products['$T/kb']['link'], gaps" "(['read'], False, '$T/ka', {})"

record "made and linked" 'echo x >na; ln na nb; cat nb >nc'
fact "made and linked: no input" "'$T/na' in materials or '$T/nb' in materials" False
fact "made and linked: one file" "products['$T/nb']['link'], 'link' in products['$T/nc']" "('$T/na', False)"

# Replaced, not written: the other name keeps what it has.
echo 1 >pa; ln pa pb
record "replaced" 'echo 2 >p.tmp; mv p.tmp pa; cat pb'
fact "replaced: the other name is an input only" "'$T/pb' in products, text('$T/pb')" "(False, '1\n')"
echo 1 >oa; ln oa ob
record "opened for writing, left alone" ': >>oa; cat ob'
fact "opened for writing, left alone: no products" "'$T/oa' in products, '$T/ob' in products, text('$T/ob')" "(False, False, '1\n')"
record "a number given out again" 'echo 1 >qa; rm qa; echo 2 >qb; cat qb >qc'
fact "a number given out again: nothing is an input" "[p for p in materials if p.startswith('$T/q')]" "[]"

# Names that nobody saw.
echo 1 >ua; ln ua ub
record "a name unseen" 'echo new >ua'
fact "a name unseen: is said" "gaps" "{'a file was changed that has names outside of the record': 1}"
ok "git: a clone that links" git init -q src
(cd src && echo x >f && git add f && git -c user.name=a -c user.email=a@example.org commit -q -m m)
record "git" 'git clone -q --local src dst'
fact "git: objects are links of inputs" "len([p for p in products.values() if '/dst/.git/objects/' in p['path'] and p.get('link', '').startswith('$T/src/')])" 3
fact "git: no gap" gaps "{}"

# Renames both ways, and back.
echo a >xa; echo b >xb; mkdir -p da db; echo a >da/in; echo b >db/in
status "exchange: run" 0 hps-record -q --id-file "$T/id" -- "$HPS_TRACEES/exchange" xa xb da db
fact "exchange: files" "[(products['$T/' + p]['from'], products['$T/' + p]['digest']['sha256'][:8]) for p in ('xa', 'xb')]" \
	"[('$T/xb', '$(first8 xa)'), ('$T/xa', '$(first8 xb)')]"
fact "exchange: directories" "[products['$T/' + p]['from'] for p in ('da', 'db')]" "['$T/db', '$T/da']"
fact "exchange: what was made below them" "[(products['$T/' + p].get('from'), products['$T/' + p]['digest']['sha256'][:8]) for p in ('da/made', 'db/made')]" \
	"[('$T/db/made', '$(first8 da/made)'), ('$T/da/made', '$(first8 db/made)')]"
fact "exchange: what was read below them has its old name" "text('$T/da/in'), text('$T/db/in')" "('a\n', 'b\n')"
echo 1 >back
record "moved and back" 'mv back there; mv there back'
fact "moved and back: not renamed" "products.get('$T/back', {}).get('from'), '$T/there' in products" "(None, False)"

mkdir -p D/sub; echo x >D/sub/in
record "below a moved directory" 'mv D E; echo y >E/sub/made; mkdir E/sub/new; cat E/sub/in'
fact "below a moved directory: nothing was there before" "[p for p in materials if p == '$T/E' or p.startswith('$T/E/')]" "[]"
fact "below a moved directory: the old directory was" "materials['$T/D/sub']['type'], text('$T/D/sub/in')" "('directory', 'x\n')"
ok "ledger: verifies" hps-ledger verify
done_testing
