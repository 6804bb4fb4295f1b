#!/bin/sh
# Calls that change names: what they leave, what was there before.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
mkdir w
echo in >w/in
echo gone >w/gone
in=$(sum w/in) gone=$(sum w/gone)
status "names: run" 0 hps-record -q --id-file "$T/id" -- "$HPS_TRACEES/names" "$T/w"
is "names: done as natively" "$(cd w && ls | tr '\n' ' ')" "final link renamed sub symlink "
is "rename: of a made file" "$(rec "products['$T/w/final']['state'], products['$T/w/final']['from'], products['$T/w/final']['digest']['sha256']")" "('renamed', '$T/w/temporary', '$(sum w/final)')"
is "rename: the temporary name is nothing" "$(rec "'$T/w/temporary' in products or '$T/w/temporary' in materials")" False
is "rename: of an input" "$(rec "products['$T/w/renamed']['from'], products['$T/w/renamed']['digest']['sha256'], products['$T/w/in']['state']")" "('$T/w/in', '$in', 'deleted')"
is "rename: the input is a material, stored" "$(rec "materials['$T/w/in']['digest']['sha256'], text('$T/w/in')")" "('$in', 'in\n')"
is "unlink: of an input" "$(rec "products['$T/w/gone']['state'], products['$T/w/gone']['before']['sha256'], materials['$T/w/gone']['digest']['sha256']")" "('deleted', '$gone', '$gone')"
is "link: a second name" "$(rec "products['$T/w/link']['digest']['sha256']")" "$(sum w/link)"
is "symlink: with its target" "$(rec "products['$T/w/symlink']['type'], products['$T/w/symlink']['target']")" "('symlink', 'final')"
is "mkdir: with its mode" "$(rec "products['$T/w/sub']['type'], products['$T/w/sub']['mode']")" "('directory', '0700')"
is "mkdir: one that was removed again" "$(rec "'$T/w/passing' in products")" False
is "coverage: complete" "$(rec "t['coverage']['complete']")" True

mkdir -p m/old
echo input >m/old/input
status "moved directory: run" 0 hps-record -q --id-file "$T/id" -- "$HPS_TRACEES/moveddir" "$T/m"
is "moved directory: the input has its old name" "$(rec "materials['$T/m/old/input']['digest']['sha256'], '$T/m/new/input' in materials")" "('$(sum m/new/input)', False)"
is "moved directory: a product below has its new name" "$(rec "products['$T/m/new/made']['digest']['sha256'], '$T/m/old/made' in products")" "('$(sum m/new/made)', False)"
is "moved directory: itself" "$(rec "products['$T/m/new']['state'], products['$T/m/new']['from'], products['$T/m/old']['state']")" "('renamed', '$T/m/old', 'deleted')"

# An editor's way of saving, twice.
echo 1 >s
status "saved by rename: run" 0 hps-record -q --id-file "$T/id" -- sh -c 'cat s; echo 2 >s.tmp; mv s.tmp s; cat s; echo 3 >s.tmp; mv s.tmp s'
is "saved by rename: what was first read" "$(rec "text('$T/s').strip()")" 1
is "saved by rename: what was left" "$(rec "products['$T/s']['before']['sha256'] == materials['$T/s']['digest']['sha256'], products['$T/s']['digest']['sha256']")" "(True, '$(sum s)')"

printf 'long content\n' >t
status "truncate: run" 0 hps-record -q --id-file "$T/id" -- /usr/bin/python3 -c 'import os; os.truncate("t", 4)'
is "truncate: product and what was there" "$(rec "products['$T/t']['digest']['sha256'], text('$T/t')")" "('$(sum t)', 'long content\n')"

umask 027
status "umask: run" 0 hps-record -q --id-file "$T/id" -- sh -c 'umask 007; mkdir d; : >d/f; umask 077; : >d/g'
is "umask: as natively" "$(stat -c %a d d/f d/g | tr '\n' ' ')" "770 660 600 "
is "umask: recorded at the start" "$(rec "t['buildDefinition']['externalParameters']['umask']")" 0027

ok "git: a script of many names" hps-record -q --id-file "$T/id" -- sh -c '
	git init -q r && cd r && git config user.email a@example.org && git config user.name a && echo x >f && git add f &&
	git -c commit.gpgsign=false commit -q -m m && git gc -q && git fsck && rm -rf .git/hooks && cp -r .git copy && rm -rf copy'
is "git: no lock file is left on record" "$(rec "[p for p in products if p.endswith('.lock')]")" "[]"
is "git: removed copies are nothing" "$(rec "[p for p in products if '/copy' in p]")" "[]"
ok "ledger: verifies" hps-ledger verify
done_testing
