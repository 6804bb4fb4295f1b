#!/bin/sh
# A ledger of more than a page: it is listed in pages, verified within little memory, and the benchmark's own program works.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
HPS_LEDGER=$T/led
export HPS_LEDGER
bench=$HPS_BUILD/bench/ledger
ok "a ledger" hps-ledger init --origin example.org/scale led
status "1,700 entries" 0 "$bench" fill led 1700
is "… are there" "$(cat out)" '{"entries":1700}'

# peak COMMAND…: its peak of resident memory, MiB
peak() {
	/usr/bin/python3 -c 'import os, subprocess, sys
p = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(p.pid, 0)
print(usage.ru_maxrss // 1024 if status == 0 else "failed")' "$@"
}
status "all of them verify" 0 hps-ledger verify
like "… and are counted" "$(cat out)" "^entries  1700 of 1700 hold"
case $HPS_BUILD in
*san-*) skip "memory" "sanitizers need more" ;;
*) ok "… within 32 MiB" test "$(peak hps-ledger verify)" -le 32 ;;
esac

status "list shows the newest page" 0 hps-ledger list
is "… of 500" "$(wc -l <out)" 501
like "… and says so" "$(cat err)" "newest 500: --limit 0 shows all"
is "… from the oldest of them" "$(sed -n '2s/^ *\(@[0-9]*\) .*/\1/p' out)" "@1200"
is "all of them" "$(hps-ledger list --limit 0 | wc -l)" 1701
is "the last three" "$(hps-ledger list -n 3 2>/dev/null | sed 1d | awk '{print $1}' | tr '\n' ' ')" "@1697 @1698 @1699 "
status "forward from one" 0 hps-ledger list --from 10 --limit 2
is "… two of them" "$(sed 1d out | awk '{print $1}' | tr '\n' ' ')" "@10 @11 "
like "… and how it goes on" "$(cat err)" "--from 12 goes on"
is "the newest of a study that is not at the end" "$(hps-ledger list --study study-0 -n 2 2>/dev/null | sed 1d | awk '{print $1}' | tr '\n' ' ')" "@998 @999 "
is "JSON is whole unless told otherwise" "$(hps-ledger list --jsonl | wc -l)" 1700
hps-ledger list --json --limit 1 >out
is "… then it is not" "$(json out '[e["index"] for e in j["entries"]]')" "[1699]"
is "an empty page" "$(hps-ledger list --from 1700 | wc -l)" 1

status "proofs by the benchmark's program" 0 "$bench" prove led 50
is "… each of them" "$(json out 'j["calls"], j["longest"] >= j["median"] > 0')" "(50, True)"
status "four writers by it" 0 "$bench" append led 4 5
is "… appended 20" "$(json out 'j["calls"]'),$(hps-ledger list --limit 0 | wc -l)" "20,1721"
status "beside a bare file" 0 "$bench" write bare 2 3 1000
is "… of as many bytes" "$(stat -c %s bare)" 6000
status "all of it holds" 0 hps-ledger verify
done_testing
