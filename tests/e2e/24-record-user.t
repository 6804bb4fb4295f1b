#!/bin/sh
# The recorder's own tests again: as an ordinary user, when we are root; in a user namespace where we are nobody special; in the
# layout of a rootless container (own user, mount and process namespaces, another root); under chroot.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
chmod 1777 "$T"
TMPDIR=$T
HOME=$T
HPS_TEST_MANY=8
export TMPDIR HOME HPS_TEST_MANY
tests='20-record-content 21-record-links'
[ -z "${HPS_TEST_FULL:-}" ] || tests="$tests 20-record-files 20-record-peers 21-record-names 21-record-attributes 21-record-foreign 24-record-bypasses 24-record-races 24-record-channels 24-record-network 25-record-limits"
again() { # again NAME PREFIX…
	name=$1
	shift
	for t in $tests; do
		"$@" sh "$HPS_SOURCE/tests/e2e/$t.t" >"$T/all" 2>"$T/notes"
		is "$t: $name" "$? $(grep -v '^ok\|^1\.\.' all | cat - notes | head -n 5)" "0 "
	done
}
[ "$(id -u)" != 0 ] || again "as an ordinary user" as_user
again "in a user namespace" unshare -U --map-user=1000 --map-group=1000
[ -n "${HPS_TEST_FULL:-}" ] || tests=21-record-links
mkdir box
cat >container.sh <<'END'
mount --rbind / box && mount -t proc proc box/proc && cd box && pivot_root . mnt && cd / && exec unshare -U --map-user=1000 --map-group=1000 "$@"
END
again "in a container's layout" unshare -Urmpf sh container.sh
if [ "$(id -u)" = 0 ]; then
	cat >chroot.sh <<'END'
mount --make-rprivate / && mount --rbind / box && exec chroot box "$@"
END
	again "under chroot" unshare -m sh chroot.sh
fi
done_testing
