#!/bin/sh
# For negative controls: a program with one guarantee broken. One source is changed by a sed expression, compiled with the flags
# of the build and linked with its objects. usage: tests/broken.sh PROGRAM SOURCE EXPRESSION OUT
set -eu
folder=${1#hps-} source=$2 out=$4
[ "$1" != hps-record ] || folder=recorder
cd "${HPS_SOURCE:?}"
sed "$3" "$source" >"$out.c"
! cmp -s "$source" "$out.c" || { echo "the expression changes nothing in '$source'" >&2; exit 1; }
build=$(cat "${HPS_BUILD:?}/flags")
$build -w -c -o "$out.o" "$out.c"
objects=
for c in "$folder"/*.c; do
	[ "$c" = "$source" ] || objects="$objects $HPS_BUILD/${c%.c}.o"
done
$build -o "$out" "$out.o" $objects "$HPS_BUILD/libhps.a" $(make -s libs)
