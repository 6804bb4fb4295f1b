#!/bin/sh
# Runs libFuzzer's targets, each on a copy of its corpus for so many seconds; what falls out lies in FOLDER/../found/. Status 1 when
# anything did. usage: tests/fuzz/run.sh FOLDER SECONDS [PATTERN], PATTERN being part of a target's name
set -u
folder=$1 seconds=$2 pattern=${3:-}
found=$folder/../found
mkdir -p "$found"
status=0
for target in "$folder"/fuzz_*; do
	noun=${target##*/fuzz_}
	case $noun in *"$pattern"*) ;; *) continue ;; esac
	corpus=$folder/../corpus/$noun
	mkdir -p "$corpus"
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 "$target" -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=2048 -timeout=20 -print_final_stats=1 \
		-artifact_prefix="$found/$noun-" "$corpus" "tests/fuzz/corpus/$noun" >"$found/$noun.log" 2>&1
	ended=$?
	printf '%-24s %s runs, %s features, %s\n' "$noun" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$found/$noun.log")" \
		"$(sed -n 's/.*ft: \([0-9]*\).*/\1/p' "$found/$noun.log" | tail -1)" "$([ $ended = 0 ] && echo "nothing found" || echo "FOUND: see $found/$noun.log")"
	[ $ended = 0 ] || status=1
done
exit $status
