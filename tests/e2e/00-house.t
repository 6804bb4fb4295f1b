#!/bin/sh
# The house rules that a machine can check: layers, headers, names, manuals, installation.
. "${HPS_SOURCE:?}/tests/lib.sh"
cd "$HPS_SOURCE" || exit 99

# core <- ledger <- {recorder, search, replay, audit}: what each folder may include of ours.
includes_of() {
	cat "$1"/*.c "$1"/*.h "$1"/*/*.c "$1"/*/*.h 2>/dev/null | sed -n 's/^#include "\([^"]*\)".*/\1/p' | sed 's,/.*,,' | sort -u | tr '\n' ' '
}
allowed() {
	case $1 in
	core) echo "core hps" ;;
	shim) echo "core shim" ;;
	ledger) echo "core ledger hps" ;;
	audit) echo "core ledger hps audit search" ;;
	*) echo "core ledger hps $1" ;;
	esac
}
for folder in core ledger recorder search replay audit shim; do
	wrong=
	for used in $(includes_of $folder); do
		case " $(allowed $folder) " in *" $used "*) ;; *) wrong="$wrong $used" ;; esac
	done
	is "layers: $folder/ includes nothing that it may not" "$wrong" ""
done
is "layers: replay/compare/ knows nothing of the rest of replay/" "$(cat replay/compare/*.[ch] | sed -n 's,^#include "\(replay/.*\)".*,\1,p' | sort -u)" replay/compare/compare.h
is "layers: search/decide/ knows core/ alone" "$(cat search/decide/*.[ch] | sed -n 's,^#include "\(.*\)".*,\1,p' | grep -v '^core/' | sort -u)" search/decide/decide.h
is "layers: audit/ knows of search/ what is decided" "$(cat audit/*.[ch] | sed -n 's,^#include "\(search/.*\)".*,\1,p' | sort -u)" search/decide/decide.h
is "layers: only the store of ledger/ knows SQLite" "$(grep -lE 'sqlite3.h|"ledger/store.h"' core/*.[ch] ledger/*.[ch] | grep -v '^ledger/store' | tr '\n' ' ')" ""
is "layers: only one file of recorder/ knows SQLite" "$(grep -l 'sqlite3.h' recorder/*.[ch] | tr '\n' ' ')" "recorder/package_rpm.c "
is "layers: only one file of recorder/ knows YAML" "$(grep -l 'yaml.h' recorder/*.[ch] | wc -l)" 1
is "layers: only one file of replay/ knows SQLite, one HDF5, one PNG" "$(grep -lE '<(sqlite3|hdf5|png).h>' replay/*.[ch] replay/*/*.[ch] | tr '\n' ' ')" "replay/compare/compare_hdf5.c replay/compare/compare_png.c replay/compare/compare_sqlite.c "
is "layers: only one file of search/ knows YAML" "$(grep -l 'yaml.h' search/*.[ch] | wc -l)" 1

for header in include/hps/*.h core/*.h ledger/*.h recorder/*.h search/*.h replay/*.h replay/*/*.h search/*/*.h audit/*.h; do
	ok "headers: $header compiles alone" gcc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Iinclude -I. -fsyntax-only -x c "$header"
done

foreign=$(find "$HPS_BUILD/core" "$HPS_BUILD/ledger" "$HPS_BUILD/recorder" "$HPS_BUILD/search" "$HPS_BUILD/replay" "$HPS_BUILD/audit" -name '*.o' |
	xargs nm --defined-only --extern-only 2>/dev/null | awk 'NF == 3 && $2 ~ /[TDBRC]/ {print $3}' |
	grep -vE '^(hps_|main$|__asan|__ubsan|__odr|_ubsan)' | sort -u | tr '\n' ' ')
is "names: every global starts with hps_" "$foreign" ""

banned=$(grep -nwE 'atoi|strtol|sscanf|strtok|strcpy|strcat|strncpy|sprintf|gmtime|localtime|system|popen|gets' core/*.c ledger/*.c recorder/*.c search/*.c search/*/*.c replay/*.c replay/*/*.c audit/*.c |
	grep -vE '^[^:]*:[0-9]+:\s*(/?\*|//)|"[^"]*\b(system|popen|localtime)\b[^"]*"|/\*.*\*/' | grep -E '\b(atoi|strtol|sscanf|strtok|strcpy|strcat|strncpy|sprintf|gmtime|localtime|system|popen|gets)\s*\(' | grep -v 'core/json.c.*strtol')
is "names: no banned function is called" "$banned" ""

for program in hps-record hps-ledger hps-search hps-replay hps-audit; do
	ok "manual: $program(1) is clean mdoc" sh -c "mandoc -Tlint -W warning docs/man/$program.1 | { ! grep . ; }"
	# Every long option of --help (of the program and each command) stands in the manual, and the other way round.
	{
		"$HPS_BIN/$program" --help
		for command in $("$HPS_BIN/$program" --help | sed -n '/^commands:/,$s/^  \([a-z][a-z-]*\) .*/\1/p'); do
			"$HPS_BIN/$program" "$command" --help
		done
	} 2>/dev/null | grep -oE '^  (-[a-zA-Z], |    )--[a-z][a-z-]*' | grep -oE -- '--[a-z-]+' | sort -u >"$T/help"
	sed -n 's/^\.It Fl \(.*\)/ \1/p' "docs/man/$program.1" | grep -oE ' -[a-z][a-z-]+' | sed 's/ -/--/' | sort -u >"$T/manual"
	is "manual: $program(1) has every option of --help" "$(comm -23 "$T/help" "$T/manual" | tr '\n' ' ')" ""
	is "manual: $program(1) has no option that --help has not" "$(comm -13 "$T/help" "$T/manual" | grep -vE -- '^--(help|version)$' | tr '\n' ' ')" ""
	status "help: $program --version says its version" 0 "$HPS_BIN/$program" --version
	like "help: … $program" "$(cat "$T/out")" "^$program 0\.1\.0$"
	status "help: $program refuses an unknown option with 2, or 125 for the recorder" "$([ $program = hps-record ] && echo 125 || echo 2)" "$HPS_BIN/$program" --no-such-option
done

for folder in core ledger recorder search search/decide replay replay/compare audit shim tests docs; do
	ok "readme: $folder/ has one" test -s "$folder/README.md"
done

# With the flags of this build: others would build anew what other tests are using.
werror=$(grep -c -- '-Werror' "$HPS_BUILD/flags")
ok "install: into a fresh place" make -s install V=1 WERROR="$([ "$werror" = 0 ] || echo 1)" SAN="$(case $HPS_BUILD in *san-*) echo "${HPS_BUILD##*san-}" | tr - , ;; esac)" PREFIX=/opt/hps DESTDIR="$T/root"
ok "install: what is preloaded" test -s "$T/root/opt/hps/libexec/hps/hps-shim.so"
is "install: the five programs" "$(ls "$T/root/opt/hps/bin" | tr '\n' ' ')" "hps-audit hps-ledger hps-record hps-replay hps-search "
ok "install: the manual" test -s "$T/root/opt/hps/share/man/man1/hps-record.1"
ok "uninstall" make -s uninstall PREFIX=/opt/hps DESTDIR="$T/root"
is "uninstall: leaves nothing" "$(find "$T/root" -mindepth 1)" ""

status "make: a missing library is refused" 2 make all B="$T/b" LIBRARIES=hps-no-such-library:libhps-dev
like "make: … by its name and its package's" "$(cat "$T/err")" "'hps-no-such-library' is missing.*'libhps-dev'"
is "make: … before anything is compiled" "$(find "$T/b" -name '*.o')" ""
like "make: help lists the targets" "$(make help)" "make check .*"

done_testing
