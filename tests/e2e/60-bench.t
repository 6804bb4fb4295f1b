#!/bin/sh
# The section of `make bench` about replaying, at a size that only shows that it measures what it says. Times are not judged here.
. "${HPS_SOURCE:?}/tests/lib.sh"
mkdir folder
cat >short.py <<'P'
import sys
sys.path.insert(0, sys.argv[1])
import measure, section_replay as s
s.FILES, s.unpacker = 40, lambda bench, command: "not asked"
bench = measure.Bench(sys.argv[2], "folder", 1, 1, {"view"})
import os
bench.folder = os.path.abspath("folder")
print(s.section(bench, lambda line: None))
P
status "replaying: measures" 0 /usr/bin/python3 short.py "$HPS_SOURCE/tests/bench" "$HPS_BIN"
like "replaying: the view has the files" "$(cat out)" "^\| ([4-9][0-9]|[0-9]{3,}) \| (overlay|mounts|copy) \| [0-9.]+ / \*\*[0-9.]+\*\* / [0-9.]+ \| ≤ 0.08 \|"
cat >broken.py <<'P'
import sys
sys.path.insert(0, sys.argv[1])
import measure, section_replay as s
import os
bench = measure.Bench(sys.argv[2], os.path.abspath("."), 1, 1, set())
os.environ["HPS_LEDGER"] = os.path.abspath("ledger")
trial = s.record(bench, ["sh", "-c", "cat /proc/uptime >up"])
s.replay(bench, trial, "--no-mask", "all")
P
ok "ledger: made" hps-ledger init "$T/ledger"
status "replaying: what does not reproduce is no measurement" 1 /usr/bin/python3 broken.py "$HPS_SOURCE/tests/bench" "$HPS_BIN"
like "replaying: … and is said" "$(cat err)" "RuntimeError: DIVERGED"
done_testing
