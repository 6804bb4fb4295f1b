#!/bin/sh
# Proves README's two commands on a bare system (`make check-fresh`): a minimal Debian 12 tree, a clone of the checkout, and the
# commands as README.md writes them. Needs root and mmdebstrap; takes about as long as a first installation.
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" = 0 ] || { echo "check-fresh: needs root (it makes and enters a system tree)" >&2; exit 2; }
[ -z "$(git -C "$source" status --porcelain)" ] || echo "check-fresh: note: uncommitted changes are not tested" >&2

tree=$(mktemp -d "${TMPDIR:-/var/tmp}/hps-fresh.XXXXXX")
# shellcheck disable=SC2317 # called by the trap
cleanup() {
	case $tree in */hps-fresh.*) rm -rf --one-file-system "$tree" ;; esac
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# inside COMMAND: runs it in the tree as a system of its own. Not by chroot(1): in a changed root nobody may make a user namespace,
# which replaying needs; so the tree becomes the root of a mount namespace, which takes its mounts along when it ends.
inside() {
	# shellcheck disable=SC2016 # expanded inside
	unshare --mount --propagation private sh -c '
		set -e
		mount --bind "$1" "$1"
		cd "$1"
		mount -t proc proc proc
		mount --rbind /sys sys
		mount --rbind /dev dev
		mkdir -p .old
		pivot_root . .old
		cd /
		umount -l /.old
		exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" \
			NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-}" \
			sh -c "cd /root/hps && $2"' inside "$tree" "$1" </dev/null
}

# The package sources of this machine are the ones that are reachable from it.
echo "== a minimal Debian 12"
set --
for file in /etc/apt/apt.conf.d/*; do
	grep -qE '^(Acquire|APT::Get)' "$file" 2>/dev/null && set -- "$@" "--aptopt=$file"
done
cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
	mmdebstrap --quiet --variant=minbase --include=git,ca-certificates "$@" bookworm "$tree" -
# … and so are the authorities that it trusts.
for file in /etc/resolv.conf /etc/hosts "${NODE_EXTRA_CA_CERTS:-}"; do
	if [ -e "$file" ]; then mkdir -p "$tree${file%/*}" && cp -L "$file" "$tree$file"; fi
done
git clone -q "$source" "$tree/root/hps"
# What README.md says, word for word: the lines between the two markers.
commands=$(sed -n '/<!-- fresh: begin/,/<!-- fresh: end/{/^    /p}' "$source/README.md" | sed 's/^    //')
[ -n "$commands" ] || { echo "check-fresh: README.md has no commands between its markers" >&2; exit 1; }
status=0
printf '%s\n' "$commands" | while IFS= read -r command; do
	echo "== $command"
	inside "$command" || { echo "check-fresh: '$command' failed" >&2; exit 1; }
done || status=1
[ "$status" = 0 ] && echo "check-fresh: README's commands work on a minimal Debian 12"
exit "$status"
