#!/bin/sh
# What is opened, by which call and under which name, is recorded with the digest of what was opened.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
run() { # run NAME COMMAND…
	run_name=$1
	shift
	status "$run_name" 0 hps-record -q --id-file "$T/id" -- "$@"
}
mkdir -p w/sub
cd w
for f in one two sub/three; do echo "content of $f" >$f; done

run "relative: runs" "$HPS_TRACEES/relative" one sub three
is "relative: digest of the first" "$(rec "materials['$T/w/one']['digest']['sha256']")" "$(sum one)"
is "relative: digest after chdir" "$(rec "materials['$T/w/sub/three']['digest']['sha256']")" "$(sum sub/three)"
is "relative: the content is stored" "$(rec "text('$T/w/one').strip()")" "content of one"
is "relative: its use" "$(rec "materials['$T/w/one']['uses']")" "['read']"
is "relative: mode and size" "$(rec "materials['$T/w/one']['mode'], materials['$T/w/one']['size']")" "('0644', 15)"
is "relative: the parents" "$(rec "materials['$T/w/sub']['type'], materials['/']['type']")" "('directory', 'directory')"
is "relative: coverage is complete" "$(rec "t['coverage']['complete'], gaps")" "(True, {})"

run "dirfd: runs" "$HPS_TRACEES/dirfd" sub three
is "dirfd: digest" "$(rec "materials['$T/w/sub/three']['digest']['sha256']")" "$(sum sub/three)"
is "dirfd: listing of the opened directory" "$(rec "materials['$T/w/sub']['listing']")" "['three']"

run "openat2: runs" "$HPS_TRACEES/openat2" sub /three
is "openat2: digest" "$(rec "materials['$T/w/sub/three']['digest']['sha256']")" "$(sum sub/three)"
mkdir sub/etc; echo inside >sub/etc/passwd
run "openat2: a directory as the root" "$HPS_TRACEES/openat2" sub /etc/passwd
is "openat2: … the file in it, not the machine's" "$(rec "materials['$T/w/sub/etc/passwd']['digest']['sha256'], '/etc/passwd' in materials")" "('$(sum sub/etc/passwd)', False)"
rm -r sub/etc

run "creat: runs" "$HPS_TRACEES/creat" made text
is "creat: product" "$(rec "products['$T/w/made']['state'], products['$T/w/made']['mode'], products['$T/w/made']['digest']['sha256']")" "('written', '0600', '$(sum made)')"
is "creat: a new file is no material" "$(rec "'$T/w/made' in materials")" False
is "creat: it is a subject" "$(rec "[s['name'] for s in subject]")" "['products', '$T/w/made']"
before=$(sum made)
run "creat: over an old one" "$HPS_TRACEES/creat" made other
is "creat: what was there" "$(rec "products['$T/w/made']['before']['sha256'], materials['$T/w/made']['uses']")" "('$before', ['write'])"
is "creat: the old content is stored" "$(rec "text('$T/w/made')")" text

run "tmpfile: runs" "$HPS_TRACEES/tmpfile" . linked nameless
is "tmpfile: product by its name" "$(rec "products['$T/w/linked']['digest']['sha256']")" "$(sum linked)"

run "dlopen: runs" "$HPS_TRACEES/dlopen" libz.so.1
is "dlopen: soname and package" "$(rec "libraries['libz.so.1']['package'].split()[0], len(libraries['libz.so.1']['buildId'])")" "('zlib1g', 40)"
real=$(readlink -f /usr/lib/x86_64-linux-gnu/libz.so.1)
is "dlopen: digest of the real file" "$(rec "materials['$real']['digest']['sha256'], 'library' in materials['$real']['uses']")" "('$(sum "$real")', True)"
is "dlopen: the link that led there" "$(rec "materials['/usr/lib/x86_64-linux-gnu/libz.so.1']['target']")" "$(readlink /usr/lib/x86_64-linux-gnu/libz.so.1)"
is "dlopen: the interpreter" "$(rec "[m['uses'] for p, m in materials.items() if '/ld-linux' in p and m['type'] == 'file']")" "[['interpreter', 'library']]"
is "dlopen: a package's file is not stored" "$(rec "'stored' in materials['$real']")" False

ln -s one link; ln -s sub dirlink
run "links: runs" cat link dirlink/three
is "links: the links are materials" "$(rec "materials['$T/w/link']['target'], materials['$T/w/dirlink']['target']")" "('one', 'sub')"
is "links: the files have real paths" "$(rec "'$T/w/sub/three' in materials, '$T/w/dirlink/three' in materials")" "(True, False)"

status "misses: the command fails as it would" 1 hps-record -q --id-file "$T/id" -- cat nosuch one/x
is "misses: both" "$(rec "misses['$T/w/nosuch']['error'], misses['$T/w/one/x']['error']")" "('ENOENT', 'ENOTDIR')"

echo old >over
old=$(sum over)
run "barrier: overwritten right after it was opened" "$HPS_TRACEES/barrier" over new
is "barrier: the material is the old content" "$(rec "materials['$T/w/over']['digest']['sha256'], text('$T/w/over')")" "('$old', 'old\n')"
is "barrier: the product is the new one" "$(rec "products['$T/w/over']['digest']['sha256']")" "$(sum over)"

head -c 30000000 /dev/urandom >big
old=$(sum big)
run "barrier: a large file" "$HPS_TRACEES/barrier" big new
is "barrier: the large file's old digest" "$(rec "materials['$T/w/big']['digest']['sha256'], 'changed' in materials['$T/w/big']")" "('$old', False)"

status "inherited: descriptors" 0 hps-record -q --id-file "$T/id" -- sh -c 'cat <&7; echo said' 7<one
is "inherited: the input" "$(rec "materials['$T/w/one']['digest']['sha256']")" "$(sum one)"
is "inherited: output to a file is a product" "$(rec "products['$T/out']['digest']['sha256']")" "$(sum "$T/out")"

run "temporary: made and removed" sh -c 'echo x >gone; rm gone'
is "temporary: no product" "$(rec "'$T/w/gone' in products")" False
run "unchanged: opened for both" sh -c ': 3<>one'
is "unchanged: … a material that was read, too" "$(rec "materials['$T/w/one']['uses']")" "['read', 'write']"
run "unchanged: opened for writing only" sh -c ': 3>>one'
is "unchanged: a material" "$(rec "materials['$T/w/one']['uses']")" "['write']"
is "unchanged: no product" "$(rec "'$T/w/one' in products")" False
printf x >"$(printf 'a\377\\')"
run "names: a name that is no text" sh -c 'cat a*'
is "names: … is escaped without loss" "$(rec "[p[-7:] for p in materials if p.startswith('$T/w/a')]")" "['a\\\\xff\\\\\\\\']"

if [ "$(id -u)" = 0 ]; then
	chmod 755 "$T" && mkdir "$T/user" && chown 65534 "$T/user" && cp one "$T/user/"
	ok "user: ledger" as_user hps-ledger init "$T/user/ledger"
	status "user: records without root" 0 as_user env XDG_CACHE_HOME="$T/user/c" HPS_LEDGER="$T/user/ledger" hps-record --id-file "$T/user/id" -- cat "$T/user/one"
	like "user: the summary" "$(cat "$T/err")" "recorded [0-9a-f]{12}: exit 0, [0-9]+ files read, [01] written, .* coverage complete"
	like "user: the digest" "$(HPS_LEDGER=$T/user/ledger as_user /usr/bin/python3 "$HPS_SOURCE/tests/e2e/record.py" "$T/user/ledger" "$(cat "$T/user/id")" "materials['$T/user/one']['digest']['sha256']")" "$(sum one)"
fi
ok "ledger: verifies" hps-ledger verify
done_testing
