"""Makes the ledgers that the tests of hps-audit judge, without running anything: statements go in by 'hps-ledger append'.

usage: audit-ledger.py LEDGER SCENARIO
The scenario 'clean' is a study that nothing can be said against; each other one is clean but for what it is named after.
Prints "name index id" for each entry worth naming.
"""
import json
import subprocess
import sys

LEDGER, SCENARIO = sys.argv[1:3]
STUDY = {"hostile": "<script>alert(1)</script>\"'\x1b[31m\u202egnp"}.get(SCENARIO, "digits")
PARAM = {"hostile": "</td><img src=x onerror=alert(1)>"}.get(SCENARIO, "width")
METRIC = {"hostile": "--></svg><b onload='x'>"}.get(SCENARIO, "accuracy")
DIGEST = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
PREDICATES = {"begin": "urn:hps:begin:v1", "trial": "urn:hps:trial:v1", "lost": "urn:hps:lost:v1", "search": "urn:hps:search:v1",
              "verdict": "https://slsa.dev/verification_summary/v1"}
count = 0


def append(kind, predicate, name=None):
    global count
    count += 1
    predicate = {"nonce": "%032x" % count, "time": "2026-03-01T09:00:%02d.000000000Z" % (count % 60), **predicate}
    statement = {"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": kind, "digest": {"sha256": DIGEST}}],
                 "predicateType": PREDICATES[kind], "predicate": predicate}
    done = subprocess.run(["hps-ledger", "append", "--ledger", LEDGER, "--json", "-"], input=json.dumps(statement).encode(),
                          stdout=subprocess.PIPE, check=True)
    entry = json.loads(done.stdout)["entries"][0]
    if name:
        print(name, entry["index"], entry["id"])
    return entry["id"]


def begin(number, name=None, **more):
    recorder = {"version": "0.1.0", "digest": DIGEST, "pid": 7, "host": "node1", "bootId": "b-1", "uid": 1000, "user": "ada"}
    return append("begin", {"command": ["train"], "cwd": "/home/ada", "study": STUDY, "number": number, "recorder": recorder, **more}, name)


def trial(begin_id, number, state, metrics, name=None):
    done = {"complete": {"code": 0}, "failed": {"code": 3}, "killed": {"signal": 9}}[state]
    identity = [{"name": "cpu.model", "value": "Example CPU", "source": "/proc/cpuinfo", "strength": "observed"},
                *({"name": n, "value": v, "source": "test", "strength": "observed"} for n, v in (("cpu.microcode", "0x1"), ("cpu.isa", "x86-64-v3"), ("limits.cores", "none"), ("limits.memoryBytes", "none"))),
                {"name": "user.name", "value": "ada", "source": "getpwuid", "strength": "observed"},
                {"name": "clock.synchronized", "value": "true", "source": "adjtimex", "strength": "observed"},
                {"name": "scheduler", "missing": "none", "why": "no scheduler started it"},
                {"name": "recorder.selftest", "value": "passed", "source": "recorder", "strength": "observed"}]
    given = {"command": ["train"], "cwd": "/home/ada", "params": {PARAM: str(16 * (number + 1))}, "environment": {}, "environmentDigests": {}}
    return append("trial", {"begin": begin_id, "study": STUDY, "number": number, "state": state, "exit": done, "metrics": metrics,
                            "buildDefinition": {"buildType": "urn:hps:command:v1", "externalParameters": given, "resolvedDependencies": []},
                            "runDetails": {"metadata": {"invocationId": begin_id, "startedOn": "2026-03-01T09:00:00.000000000Z",
                                                        "finishedOn": "2026-03-01T09:00:05.250000000Z"}},
                            "seeds": [], "identities": identity, "coverage": {"complete": SCENARIO != "gap", "gaps": [] if SCENARIO != "gap" else [
                                {"what": "io_uring", "why": "the command used it", "count": 1}]},
                            "resources": {"wallSeconds": "5.25"}}, name)


def search(event, **more):
    return append("search", {"study": STUDY, "event": event, **more}, event)


def number(n, state="complete"):
    metrics = {METRIC: "0.9%d" % n} if state == "complete" else {}
    search("commit", number=n, params={PARAM: str(16 * (n + 1))}, trialSeed="1", command=["train"])
    identity = trial(begin(n), n, state, metrics, "trial%d" % n)
    if SCENARIO != "dropped" or n != 2:
        said = "complete" if SCENARIO == "whitewashed" else state
        search("result", number=n, trial=identity, state=said, metrics=metrics)
    return identity


search("register", spec={"study": STUDY, "metrics": [{"name": METRIC, "goal": "max"}]}, specDigest=DIGEST)
best = number(0)
number(1, "failed")
best = number(2)
counts = {"complete": 2, "failed": 1, "killed": 0, "lost": 0}
if SCENARIO == "whitewashed":
    counts = {"complete": 3, "failed": 0, "killed": 0, "lost": 0}
if SCENARIO == "twice":
    trial(begin(0), 0, "complete", {METRIC: "0.99"}, "second")
if SCENARIO == "dead":
    begin(0, "dead")
if SCENARIO == "lost":
    dead = begin(7, "dead", study="other")
    append("lost", {"begin": dead, "study": "other", "number": 7, "why": "its recorder died"}, "lost")
if SCENARIO != "unfinished":
    search("stop", reason="budget", counts=counts)
append("verdict", {"hps_trial": best, "hps_verdict": "REPRODUCED-BITS", "hps_level": "L1", "verificationResult": "PASSED"}, "verdict")
