"""What acknowledging an entry costs beside a bare write and flush, and what a ledger of a million entries costs whoever reads it."""
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time

from measure import HERE, QUIET, fdatasync_ms, run, spread, table, watched

TITLE = "Ledger"
ENTRIES = 1000000
WRITERS, EACH, ALONE = 32, 60, 600
LEAST_SPEEDUP, LONGEST_MS, ALONE_RATIO = 5, 250, 1.3
VERIFY_RATIO, MEMORY_MIB, PROOF_MS, LOOK_MS = 2, 64, 2, 50
VERIFY_ROUNDS = 2  # each reads all of the large ledger for most of a minute


class Ledgers:
    """Ledgers in a folder, made and written to by build/bench/ledger. None is removed before the end: a file system without a journal keeps
    away from inodes that were freed within some minutes, and then makes a file in a millisecond instead of ten microseconds."""

    def __init__(self, bench, folder, env=None):
        self.bench, self.folder, self.n, self.env = bench, folder, 0, {**os.environ, **(env or {}), "XDG_STATE_HOME": os.path.join(folder, "state")}
        self.tool = os.path.join(os.path.dirname(bench.programs), "bench", "ledger")

    def new(self):
        self.n += 1
        path = os.path.join(self.folder, "ledger-%d" % self.n)
        subprocess.run([self.bench.program("hps-ledger"), "init", "--origin", "example.org/bench", path], check=True, env=self.env, **QUIET)
        return path

    def do(self, *words):
        return json.loads(subprocess.run([self.tool, *map(str, words)], check=True, capture_output=True, text=True, env=self.env).stdout)


def appends(bench, ledgers, writers, each):
    """Pairs of a ledger and a bare file with the same bytes."""
    pairs, size = [], ledgers.do("append", ledgers.new(), 1, 1)["bytes"]
    for _ in range(bench.rounds):
        ours = ledgers.do("append", ledgers.new(), writers, each)
        pairs.append((ours, ledgers.do("write", ledgers.new() + "/bare", writers, each, size)))
    return pairs


def many_writers(bench, ledgers, where, say):
    pairs = appends(bench, ledgers, WRITERS, EACH)
    ratios = [bare["ms"] / ours["ms"] for ours, bare in pairs]
    longest = [ours["longest"] for ours, _ in pairs]
    name = "%d writers, %s" % (WRITERS, where)
    bench.goal("%s: time beside one commit for each flush" % name, 1 / statistics.median(ratios), 1 / LEAST_SPEEDUP)
    bench.goal("%s: longest wait, ms" % name, statistics.median(longest), LONGEST_MS)
    say("%s: %s of one commit for each flush, longest wait %s ms" % (name, spread(ratios), spread(longest, 0)))
    return [[name + ": entries acknowledged a second", spread([1000 * ours["calls"] / ours["ms"] for ours, _ in pairs], 0),
             "one commit for each flush: " + spread([1000 * bare["calls"] / bare["ms"] for _, bare in pairs], 0), spread(ratios), "≥ %g" % LEAST_SPEEDUP],
            ["… and all moved into place and closed", spread([1000 * ours["calls"] / ours["closed"] for ours, _ in pairs], 0), "",
             spread([bare["closed"] / ours["closed"] for ours, bare in pairs]), "none"],
            ["… longest wait of one", spread(longest, 0) + " ms", spread([bare["longest"] for _, bare in pairs], 0) + " ms", "", "≤ %d ms" % LONGEST_MS]]


def one_writer(bench, ledgers, where, say):
    pairs = appends(bench, ledgers, 1, ALONE)
    calls = [ours["median"] / bare["median"] for ours, bare in pairs]
    totals = [ours["closed"] / bare["closed"] for ours, bare in pairs]
    name = "one writer, %s" % where
    goal = bench.goal("%s: a call, beside write and fdatasync" % name, statistics.median(calls), ALONE_RATIO)
    say("%s: a call %s, all with moving into place %s of write and fdatasync" % (name, spread(calls), spread(totals)))
    return [[name + ": a call (median)", spread([p[0]["median"] for p in pairs], 3) + " ms", "write and fdatasync of the same bytes: " + spread([p[1]["median"] for p in pairs], 3) + " ms",
             spread(calls), goal],
            ["… %d calls, all moved into place and closed" % ALONE, spread([p[0]["closed"] for p in pairs], 0) + " ms", spread([p[1]["closed"] for p in pairs], 0) + " ms",
             spread(totals), "none"]]


def controlled(bench, folder, flush_ms):
    """Each flush a sleep: what does not depend on the disk of the day."""
    preload = os.path.join(folder, "flush.so")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-DFLUSH_MS=%d" % flush_ms, "-o", preload, os.path.join(HERE, "flush.c")], check=True)
    return Ledgers(bench, folder, {"LD_PRELOAD": preload})


def make_large(bench, say):
    """Flushed once, when all is there: how long it takes to make is measured elsewhere."""
    folder, started = os.path.join(bench.folder, "large"), time.perf_counter()
    os.mkdir(folder)
    ledgers = controlled(bench, folder, 0)
    ledger = ledgers.new()
    ledgers.do("fill", ledger, ENTRIES)
    os.sync()
    say("a ledger of %d entries made in %.0f s" % (ENTRIES, time.perf_counter() - started))
    return ledger


def verifications_a_second():
    """ECDSA P-256 on all cores at once, as openssl itself counts."""
    out = subprocess.run(["openssl", "speed", "-seconds", "3", "-multi", str(os.cpu_count()), "ecdsap256"], capture_output=True, text=True, check=True).stdout
    return float(re.search(r"ecdsa \(nistp256\).*?([\d.]+)\s*$", out, re.M).group(1))


def verify(bench, ledger, say):
    """From a published copy: tiles and a trust file. The same bytes are hashed by openssl where they lie."""
    copy = os.path.join(bench.folder, "copy")
    os.makedirs(copy, exist_ok=True)
    if not os.path.exists(os.path.join(copy, "tiles")):
        os.rename(os.path.join(ledger, "tiles"), os.path.join(copy, "tiles"))
        shutil.copy(os.path.join(ledger, "trust.json"), copy)
    hashing = ["sh", "-c", "find %s/tiles -type f -print0 | xargs -0 openssl dgst -sha256" % copy]
    ratios, seconds, memories, parts = [], [], [], []
    for _ in range(min(bench.rounds, VERIFY_ROUNDS)):
        hashed, signatures = run(hashing, bench.folder)[0], ENTRIES / verifications_a_second()
        took, memory = watched([bench.program("hps-ledger"), "verify", "--ledger", copy], bench.folder)
        ratios.append(took / (hashed + signatures))
        seconds.append(took)
        memories.append(memory)
        parts.append((hashed, signatures))
        say("verify: %.1f s, %.0f MiB; openssl: hashing %.1f s, signatures %.1f s" % (took, memory, hashed, signatures))
    os.rename(os.path.join(copy, "tiles"), os.path.join(ledger, "tiles"))
    goal = bench.goal("verifying %d entries, beside openssl" % ENTRIES, statistics.median(ratios), VERIFY_RATIO)
    bench.goal("verifying %d entries: memory in MiB" % ENTRIES, max(memories), MEMORY_MIB)
    whole, memory = watched([bench.program("hps-ledger"), "verify", "--ledger", ledger], bench.folder)
    say("verify with the database: %.1f s, %.0f MiB" % (whole, memory))
    return [["verify, from tiles", spread(seconds, 1) + " s", "`openssl dgst -sha256` of the same files %s s, signatures on all cores (`openssl speed`) %s s"
             % (spread([p[0] for p in parts], 1), spread([p[1] for p in parts], 1)), spread(ratios), goal],
            ["… its memory", "%.0f MiB" % max(memories), "", "", "≤ %d MiB" % MEMORY_MIB],
            ["verify of the owner's ledger, database compared (one run)", "%.1f s, %.0f MiB" % (whole, memory), "", "", "none"]]


def looks(bench, ledgers, ledger, say):
    proofs = ledgers.do("prove", ledger, 2000)
    bench.goal("an inclusion proof, 99 of 100, ms", proofs["p99"], PROOF_MS)
    rows = [["an inclusion proof of any entry, made from tiles and checked", "median of 2,000: %.2f ms, 99 of 100: %.2f, longest: %.2f" % (proofs["median"], proofs["p99"], proofs["longest"]),
             "", "", "≤ %g ms for 99 of 100" % PROOF_MS]]
    program = [bench.program("hps-ledger")]
    shown = json.loads(subprocess.run([*program, "show", "--ledger", ledger, "--json", "@%d" % (ENTRIES // 2)], check=True, capture_output=True).stdout)
    for what, words in (("`list`", ["list"]), ("`list --study`", ["list", "--study", "study-77"]), ("`show @N`", ["show", "@%d" % (ENTRIES // 3)]), ("`show ID`", ["show", shown["id"][:12]])):
        times = [1000 * run([*program, words[0], "--ledger", ledger, *words[1:]], bench.folder)[0] for _ in range(bench.rounds + 2)]
        goal = bench.goal("%s of %d entries, ms" % (what, ENTRIES), statistics.median(times), LOOK_MS)
        rows.append([what, spread(times, 1) + " ms", "", "", goal + " ms"])
        say("%s: %s ms" % (what, spread(times, 1)))
    return rows


def section(bench, say):
    rows, ledgers, memory = [], Ledgers(bench, bench.folder), tempfile.mkdtemp(prefix="hps-bench.", dir="/dev/shm")
    os.environ["XDG_STATE_HOME"] = ledgers.env["XDG_STATE_HOME"]
    try:
        for where, chosen in (("this disk", ledgers), ("a flush of 2 ms", controlled(bench, memory, 2))):
            rows += many_writers(bench, chosen, where, say) if bench.wants("L1") else []
            rows += one_writer(bench, chosen, where, say) if bench.wants("L2") else []
        sync_ms = fdatasync_ms(bench.folder)
    finally:
        shutil.rmtree(memory, ignore_errors=True)
    if bench.wants("L3"):
        ledger = make_large(bench, say)
        rows += looks(bench, ledgers, ledger, say) + verify(bench, ledger, say)
    if not rows:
        return None
    return TEXT % (bench.rounds, sync_ms, ENTRIES, min(bench.rounds, VERIFY_ROUNDS), table(["", "hps-ledger", "beside it", "ratio", "goal"], rows))


TEXT = """%d rounds, minimum / **median** / maximum, ours and the other in turn. A 4 KiB append and fdatasync took %.2f ms here (median). "One commit for each
flush": as many processes append the same bytes to one file, each time under a lock and with a flush. "A flush of 2 ms": files in memory, each
flush replaced by a sleep. An append signs the entry and the new checkpoint, reads back what it wrote, and returns when both are flushed; moving
entries from the journal into database and tiles comes later, in some of the calls or when the ledger is closed, and is in the rows that say so.
Where a flush takes a tenth of a millisecond, the processor time of an entry (two signatures, canonical JSON, hashing what was written, waking its
writer) is about as long, and two cores do not give five times what flushing one by one gives; where a flush takes 2 ms, they do.
The large ledger has %d entries of 1.3 KB. Verification (%d rounds) reads every leaf, hash, envelope, signature and statement. Published, not measured here:
Tessera's POSIX driver is said to sustain about 2,900 writes a second without deduplication, by 3,000 writers on 12 cores and mirrored SAS disks (its docs/performance.md).

%s"""
