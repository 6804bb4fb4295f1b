#!/bin/sh
# Follows NAME.tlog-proof from NAME.leaf to the root of the checkpoint in it (RFC 9162, 2.1.3.2), with openssl alone.
# usage: sh verify.sh NAME
set -eu
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
sed '/^$/,$d' "$1.tlog-proof" >"$t/path"
sed '1,/^$/d' "$1.tlog-proof" >"$t/checkpoint"
index=$(sed -n 's/^index //p' "$t/path")
size=$(sed -n 2p "$t/checkpoint")
[ "$index" -lt "$size" ] || { echo "$1: the index is outside the tree" >&2; exit 1; }
{ printf '\000'; cat "$1.leaf"; } | openssl dgst -sha256 -binary >"$t/hash"
echo $((size - 1)) >"$t/last"
grep -vE '^(c2sp\.org/|extra |index )' "$t/path" | {
	at=$index last=$((size - 1))
	while read -r line; do
		[ $last -gt 0 ] || { echo "$1: the proof has too many hashes" >&2; exit 1; }
		printf '%s\n' "$line" | openssl base64 -d -A >"$t/other"
		if [ $((at & 1)) = 1 ] || [ "$at" = $last ]; then
			cat "$t/other" "$t/hash" >"$t/pair"
			while [ $((at & 1)) = 0 ] && [ "$at" != 0 ]; do at=$((at >> 1)) last=$((last >> 1)); done
		else
			cat "$t/hash" "$t/other" >"$t/pair"
		fi
		{ printf '\001'; cat "$t/pair"; } | openssl dgst -sha256 -binary >"$t/hash"
		at=$((at >> 1)) last=$((last >> 1))
	done
	echo $last >"$t/last"
}
[ "$(cat "$t/last")" = 0 ] || { echo "$1: the proof has too few hashes" >&2; exit 1; }
[ "$(openssl base64 -A <"$t/hash")" = "$(sed -n 3p "$t/checkpoint")" ] || { echo "$1: the proof leads to another root" >&2; exit 1; }
echo "$1: entry $index is in the tree of $size entries with the root $(sed -n 3p "$t/checkpoint")"
