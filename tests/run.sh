#!/bin/sh
# Runs every test under prove, which prints the closing summary. usage: tests/run.sh BUILD-FOLDER [TEST…]
cd "$(dirname "$0")/.." || exit 99
build=${1:?usage: tests/run.sh BUILD-FOLDER [TEST…]}
shift

# Some tests run as an ordinary user, who may not enter root's home: then the tests run on a copy that everybody can reach.
copy=
if [ "$(id -u)" = 0 ] && ! setpriv --reuid 65534 --regid 65534 --clear-groups -- test -x "$PWD/$build"; then
	copy=$(mktemp -d "${TMPDIR:-/tmp}/hps-check.XXXXXX") || exit 99
	trap 'rm -rf "$copy"' EXIT
	trap 'exit 130' INT TERM
	chmod 755 "$copy"
	tar -c --exclude './.git' --exclude './build/demo.*' . | tar -x -C "$copy" && cd "$copy" || exit 99
fi

HPS_SOURCE=$(pwd)
HPS_BUILD=$HPS_SOURCE/$build
HPS_BIN=$HPS_BUILD/bin
HPS_TRACEES=$HPS_BUILD/tracees
# A leak checker cannot run where the recorder forbids being traced, and a sanitizer's report must fail the test.
ASAN_OPTIONS=detect_leaks=0:abort_on_error=1
UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export HPS_SOURCE HPS_BUILD HPS_BIN HPS_TRACEES ASAN_OPTIONS UBSAN_OPTIONS
[ $# -gt 0 ] || set -- "$HPS_BUILD"/tests/test_* tests/e2e/*.t
prove -j2 --timer -e 'sh tests/exec.sh' "$@"
