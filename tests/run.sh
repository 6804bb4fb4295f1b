#!/bin/sh
# Runs every test under prove, which prints the closing summary. usage: tests/run.sh BUILD-FOLDER [TEST…]
cd "$(dirname "$0")/.." || exit 99
HPS_SOURCE=$(pwd)
HPS_BUILD=$HPS_SOURCE/${1:?usage: tests/run.sh BUILD-FOLDER [TEST…]}
HPS_BIN=$HPS_BUILD/bin
HPS_TRACEES=$HPS_BUILD/tracees
# A leak checker cannot run where the recorder forbids being traced, and a sanitizer's report must fail the test.
ASAN_OPTIONS=detect_leaks=0:abort_on_error=1
UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export HPS_SOURCE HPS_BUILD HPS_BIN HPS_TRACEES ASAN_OPTIONS UBSAN_OPTIONS
shift
[ $# -gt 0 ] || set -- "$HPS_BUILD"/tests/test_* tests/e2e/*.t
exec prove -j2 --timer -e 'sh tests/exec.sh' "$@"
