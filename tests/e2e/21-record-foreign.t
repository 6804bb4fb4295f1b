#!/bin/sh
# Processes under other roots, namespaces and rights make, move and remove names, and directories are closed to the recorder:
# what became of each name is on record, or it is said that it could not be seen.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
what='files were opened under another root, namespace or user'
record() { # record NAME COMMAND…
	name=$1
	shift
	status "$name: run" 0 hps-record -q --id-file "$T/id" -- "$@"
}
fact() {
	is "$1" "$(rec "$2")" "$3"
}
cat >script <<'END_SCRIPT'
echo made >made
mkdir dir dir/sub
echo below >dir/sub/f
mv dir moved
mv input renamed
rm gone
echo more >>changed
ln linked link
ln -s made symlink
rmdir stays 2>/dev/null
truncate -s 1 cut
mv nothing anywhere 2>/dev/null
mv loser winner
:
END_SCRIPT
cat >bind.py <<'END'
import socket
socket.socket(socket.AF_UNIX).bind("door")
END
check() { # check NAME: after the script ran in $T/$1
	fact "$1: made" "products['$T/$1/made']['digest']['sha256'], products['$T/$1/made']['unverified'], '$T/$1/made' in materials" "('$(sum $1/made)', True, False)"
	fact "$1: what was moved with its directory" "products['$T/$1/moved/sub/f']['from'], products['$T/$1/moved']['type'], '$T/$1/dir' in products" "('$T/$1/dir/sub/f', 'directory', False)"
	fact "$1: renamed" "products['$T/$1/renamed']['from'], products['$T/$1/input']['state'], text('$T/$1/input')" "('$T/$1/input', 'deleted', 'input\n')"
	fact "$1: removed" "products['$T/$1/gone']['state'], text('$T/$1/gone')" "('deleted', 'gone\n')"
	fact "$1: changed" "products['$T/$1/changed']['digest']['sha256'], text('$T/$1/changed')" "('$(sum $1/changed)', 'changed\n')"
	fact "$1: linked" "products['$T/$1/link']['link'], '$T/$1/linked' in products" "('$T/$1/linked', False)"
	fact "$1: a symlink" "products['$T/$1/symlink']['target']" made
	fact "$1: truncated" "products['$T/$1/cut']['size'], text('$T/$1/cut')" "(1, 'cut\n')"
	fact "$1: over an old one" "products['$T/$1/winner']['from'], text('$T/$1/winner')" "('$T/$1/loser', 'winner\n')"
	fact "$1: what failed is nothing" "[p for p in ('stays', 'nothing', 'anywhere', 'linked') if '$T/$1/' + p in products]" "[]"
	fact "$1: it is said" "gaps.get('$what', 0) > 10, list(gaps)" "(True, ['$what'])"
}
populate() {
	mkdir -p "$1/stays"
	touch "$1/stays/f"
	for f in input gone changed linked cut loser winner; do echo $f >"$1/$f"; done
}
populate userns
record "user namespace" sh -c 'cd userns && exec unshare -Ur sh ../script'
check userns
record "a socket's name" sh -c 'cd userns && exec unshare -Ur /usr/bin/python3 ../bind.py'
fact "a socket's name: on record" "products['$T/userns/door']['type'], products['$T/userns/door']['unverified'], gaps['$what'] > 0" "('other', True, True)"
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$T"
	populate other
	chown -R 65534 other
	record "another user" sh -c 'cd other && exec setpriv --reuid 65534 --clear-groups sh ../script'
	check other
	populate root/in
	mkdir -p root/bin root/lib64 root/lib/x86_64-linux-gnu
	cp /bin/sh /bin/mkdir /bin/mv /bin/rm /bin/ln /bin/rmdir /usr/bin/truncate root/bin/
	cp /lib64/ld-linux-x86-64.so.2 root/lib64/
	cp /lib/x86_64-linux-gnu/libc.so.6 /lib/x86_64-linux-gnu/libselinux.so.1 /lib/x86_64-linux-gnu/libpcre2-8.so.0 \
		/lib/x86_64-linux-gnu/libacl.so.1 /lib/x86_64-linux-gnu/libattr.so.1 root/lib/x86_64-linux-gnu/
	mkdir root/dev && mknod -m 666 root/dev/null c 1 3
	cp script root/
	record "another root" chroot root /bin/sh -c 'cd /in && exec /bin/sh /script'
	check root/in

	mkdir user && chown 65534 user
fi
mkdir -p user
closed() { # closed NAME SCRIPT: as an ordinary user in $T/user
	rm -f user/id
	chmod u+rwx user/dd 2>/dev/null
	rm -rf user/dd
	status "$1: run" 0 as_user sh -c 'cd user && exec hps-record -q --id-file id -- sh -c "$1"' sh "$2"
	cp user/id id
}
if [ "$(id -u)" = 0 ]; then
	as_user env XDG_CACHE_HOME="$T/user/c" hps-ledger init "$T/user/ledger" >out 2>&1
	HPS_LEDGER=$T/user/ledger
	XDG_CACHE_HOME=$T/user/c
	rec() {
		as_user /usr/bin/python3 "$HPS_SOURCE/tests/e2e/record.py" "$HPS_LEDGER" "$(cat "$T/id")" "$1"
	}
fi
closed "closed directory" 'mkdir dd; date +%N >dd/sec; chmod 0 dd'
fact "closed directory: what is in it" "products['$T/user/dd/sec']['digest']['sha256'], products['$T/user/dd']['mode'], gaps" "('$(chmod 700 user/dd; sum user/dd/sec)', '0000', {})"
closed "closed and opened" 'mkdir dd; date >dd/a; date >dd/b; chmod 0 dd; chmod 700 dd; mv dd/a dd/c; rm dd/b; chmod 0 dd'
fact "closed and opened: what was left" "sorted(p[len('$T/user/dd/'):] for p in products if p.startswith('$T/user/dd/')), gaps" "(['c'], {})"
closed "closed file" 'mkdir dd; echo secret >dd/f; chmod 0 dd/f'
fact "closed file: its digest" "products['$T/user/dd/f']['digest']['sha256'], products['$T/user/dd/f']['mode'], gaps" "('$(chmod 600 user/dd/f; sum user/dd/f)', '0000', {})"
closed "closed in another namespace" 'mkdir dd; echo x >dd/f; unshare -Ur chmod 0 dd'
fact "closed in another namespace: not called deleted" "products['$T/user/dd/f']['state'], products['$T/user/dd/f']['type'], gaps.get('a file could not be hashed')" "('unreadable', 'file', 1)"
ok "ledger: verifies" as_user hps-ledger verify
done_testing
