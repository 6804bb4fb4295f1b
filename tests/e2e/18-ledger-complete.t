#!/bin/sh
# hps-ledger prove --study: COMPLETE is earned; each thing that is missing or too much is a hole with its entry.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
HPS_LEDGER=$T/led
export HPS_LEDGER
ok "a ledger" hps-ledger init led
cat >digits.yaml <<'YAML'
hps: 1
study: digits
command: [./trial.sh, "{number}", "{n}"]
space: {n: {type: int, low: 0, high: 1000000}}
metrics: {score: {goal: max}}
search: {sampler: random, seed: 4}
budget: {trials: 5}
workers: 2
YAML
cat >trial.sh <<'SH'
#!/bin/sh
[ $1 != 2 ] || exit 3
[ $1 != 3 ] || kill -9 $$
echo "{\"score\": $1.5}" >"$HPS_METRICS"
SH
chmod +x trial.sh
status "an unknown study" 4 hps-ledger prove --study digits
ok "a study" hps-search run digits.yaml
status "it is complete, failed and killed trials and all" 0 hps-ledger prove --study digits
like "and says so" "$(cat out)" "^COMPLETE: study 'digits', 5 numbers"
status "--json" 0 hps-ledger prove -s digits --json
is "has the members" "$(json out 'j["schema"], j["complete"], j["numbers"], j["counts"], j["holes"]')" \
	"('hps.completeness/1', True, 5, {'complete': 3, 'failed': 1, 'killed': 1, 'lost': 0}, [])"
stop=$(hps-ledger list --study digits --kind search --jsonl | tail -1 | sed -n 's/.*"id":"\([0-9a-f]*\)".*/\1/p')
is "the root is what anybody computes from the ids" "$(hps-ledger show --json "$stop" | /usr/bin/python3 -c '
import hashlib, json, subprocess, sys
stop = json.load(sys.stdin)["statement"]["predicate"]
lines = subprocess.run(["hps-ledger", "list", "--study", "digits", "--jsonl"], capture_output=True, text=True).stdout.splitlines()
ids = [bytes.fromhex(json.loads(l)["id"]) for l in lines][:-1]
def mth(d):
    if len(d) == 1: return hashlib.sha256(b"\0" + d[0]).digest()
    k = 1
    while 2 * k < len(d): k *= 2
    return hashlib.sha256(b"\1" + mth(d[:k]) + mth(d[k:])).digest()
print(stop["entries"] == len(ids) and stop["root"] == mth(ids).hex())')" True
status "an entry and a study at once" 2 hps-ledger prove --study digits @0
status "neither" 2 hps-ledger prove

# Another ledger is written entry by entry: a whole study first, then one with each fault.
cat >write.py <<'P'
# write.py LEDGER FAULT: appends a study of two numbers, made by hand, in one go: the ids are known before (docs/FORMATS.md, "Envelope")
import hashlib, json, subprocess, sys
ledger, fault = sys.argv[1:]
ids, files, counter = [], [], 0
def append(kind, **predicate):
    global counter
    statement = {"_type": "https://in-toto.io/Statement/v1", "predicateType": f"urn:hps:{kind}:v1", "subject": [{"name": "x", "digest": {"sha256": "0" * 64}}],
                 "predicate": {"study": "s", "nonce": f"{len(ids):032x}", "time": "2026-01-02T03:04:05.000000006Z", **predicate}}
    files.append(f"{ledger}.{len(ids)}.json")
    json.dump(statement, open(files[-1], "w"))
    if kind == "begin": # the ledger counts them
        statement["predicate"]["counter"] = counter
        counter += 1
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    ids.append(hashlib.sha256(b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)).hexdigest())
    return ids[-1]
def root():
    def mth(d):
        if len(d) == 1: return hashlib.sha256(b"\0" + d[0]).digest()
        k = 1
        while 2 * k < len(d): k *= 2
        return hashlib.sha256(b"\1" + mth(d[:k]) + mth(d[k:])).digest()
    return mth([bytes.fromhex(i) for i in ids]).hex()
def run(n, state="complete"):
    begin = append("begin", number=n)
    if fault == "lost-first" and n == 1:
        append("lost", number=n, begin=begin)
        begin = append("begin", number=n)
    if fault == "open-begin" and n == 1:
        begin = append("begin", number=n)
    trial = append("trial", number=n, begin=begin, state=state)
    if fault == "twice" and n == 1:
        trial2 = append("trial", number=n, begin=append("begin", number=n), state=state)
        return trial2
    return trial
def study():
    if fault == "early": append("trial", number=0, begin="0" * 64, state="complete")
    register = append("search", event="register", spec={"budget": {"trials": 2}})
    if fault == "registered-twice": append("search", event="register", spec={"budget": {"trials": 2}})
    for n in range(2):
        if fault == "never" and n == 1: continue
        if not (fault == "no-commit" and n == 1): append("search", event="commit", number=n)
        if fault == "commit-twice" and n == 1: append("search", event="commit", number=n)
        if fault == "no-trial" and n == 1: continue
        trial = run(n)
        if fault == "no-result" and n == 1: continue
        append("search", event="result", number=n, state="failed" if fault == "wrong-state" and n == 1 else "complete", trial=trial)
        if fault == "result-twice" and n == 1: append("search", event="result", number=n, state="complete", trial=trial)
    if fault == "foreign-number": append("trial", number=7, begin="0" * 64, state="complete")
    if fault == "no-stop": return
    n = 2 - (fault in ("no-trial", "no-result", "never")) - (fault == "counts")
    stop = {"reason": "budget" if fault != "interrupted" else "interrupted", "register": register, "counts": {"complete": n, "failed": 0, "killed": 0, "lost": 0},
            "entries": len(ids) - (fault == "entries"), "root": root()}
    if fault == "root": stop["root"] = "0" * 64
    if fault == "no-root": del stop["root"]
    append("search", event="stop", **stop)
    if fault == "late": append("trial", number=1, begin="0" * 64, state="complete")
study()
out = subprocess.run(["hps-ledger", "append", "--ledger", ledger, *files], capture_output=True, text=True, check=True).stdout
assert [line.split()[1] for line in out.splitlines()] == ids, (out, ids)
P
n=0
while read -r fault want; do
	n=$((n + 1))
	hps-ledger init "l$n" >/dev/null 2>&1
	/usr/bin/python3 write.py "l$n" "$fault" || fail "cannot write '$fault'"
	case $want in
	COMPLETE*) status "$fault: complete" 0 hps-ledger prove --ledger "l$n" --study s ;;
	*) status "$fault: not complete" 1 hps-ledger prove --ledger "l$n" --study s ;;
	esac
	like "$fault: said" "$(cat out)" "$want"
done <<'FAULTS'
none COMPLETE
lost-first COMPLETE
early came before the study was registered
registered-twice registers the study once more
never number 1 was never handed out
no-commit begins number 1 before it was handed out
commit-twice hands out number 1 a second time
no-trial number 1 was handed out and has no result
no-result has no result, though it has a record
open-begin begins a trial that has no end
twice a second record of number 1
wrong-state the result of number 1 is not what its record says
result-twice a second result of number 1
foreign-number of number 7, which the study never has
counts counts 1 trials as complete, but 2 are
entries stops the study after
root with root 000000000000
no-root without a root
interrupted stopped at entry .* before its budget was used
no-stop has not been closed
late came after the study was closed
FAULTS
# Where the ledger itself does not hold nothing is decided.
id=$(hps-ledger list --ledger l1 --jsonl | sed -n '3s/.*"id":"\([0-9a-f]*\)".*/\1/p')
rm "l1/tiles/envelope/$id.json"
status "an envelope is missing: nothing is said of the study" 3 hps-ledger prove --ledger l1 --study s
# Nobody can tell whose the entry was that has been withdrawn meanwhile.
ok "an entry is withdrawn" hps-ledger withdraw --ledger l2 --reason test @4
status "then the study is not complete" 1 hps-ledger prove --ledger l2 --study s
like "and the entry is named" "$(cat out)" "entry @4 was withdrawn"
hps-ledger publish --ledger l2 copy2 >/dev/null
status "nor in a published copy" 1 hps-ledger prove --ledger copy2 --study s
like "which has nothing of it" "$(cat out)" "entry @4 was withdrawn"

# What is counted is what was verified: the directory is swapped for another when it is opened for the second time.
cat >swap.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
static int look(const char *name, int dirfd, const char *path, int flags, mode_t mode)
{
	static int n;
	int (*real)(int, const char *, int, ...) = dlsym(RTLD_NEXT, name);
	size_t len = strlen(path);
	if (len >= 4 && !strcmp(path + len - 4, "site") && ++n == 2)
		n += rename("site", "away") || rename("other", "site");
	return real(dirfd, path, flags, mode);
}
#define HOOK(name) int name(int dirfd, const char *path, int flags, ...) { va_list ap; va_start(ap, flags); \
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0; va_end(ap); return look(#name, dirfd, path, flags, mode); }
HOOK(openat)
HOOK(openat64)
C
swapping() { # FIRST SECOND COMMAND…
	rm -rf site other away
	cp -r "$1" site && cp -r "$2" other
	shift 2
	env LD_PRELOAD="$T/swap.so" "$@"
}
if gcc -shared -fPIC -o swap.so swap.c -ldl 2>err; then
	hps-ledger init --origin example.org/s mine >/dev/null 2>&1 && /usr/bin/python3 write.py mine no-result
	hps-ledger init --origin example.org/s theirs >/dev/null 2>&1 && /usr/bin/python3 write.py theirs none
	for l in mine theirs; do hps-ledger publish --ledger $l "$l.copy" >/dev/null; done
	study="hps-ledger prove --ledger site --trust mine/trust.json --study s"
	audit="hps-audit check --ledger site --trust mine/trust.json"
	status "swapped for its like: the study is judged" 1 swapping mine.copy mine.copy $study
	ok "… and it was swapped" test -d away
	status "swapped for a forged one: it is not" 3 swapping mine.copy theirs.copy $study
	status "a forged one swapped for it: neither" 3 swapping theirs.copy mine.copy $study
	unlike "… and it is never complete" "$(cat out)" "^COMPLETE"
	hps-audit check --ledger mine.copy --trust mine/trust.json >whole
	status "hps-audit, swapped for its like" $? swapping mine.copy mine.copy $audit
	status "hps-audit, swapped for a forged one" 3 swapping mine.copy theirs.copy $audit
	like "… says so" "$(cat err)" "no trusted key has signed it"
else
	fail "the directory cannot be swapped: $(cat err)"
fi
done_testing
