"""What acknowledging an entry costs beside a bare write and flush, and what a ledger of a million entries costs whoever reads it."""
import json
import os
import re
import shutil
import statistics
import subprocess
import time

from measure import QUIET, fdatasync_ms, run, spread, table

TITLE = "Ledger"
ENTRIES = 1000000
WRITERS, EACH, ALONE = 32, 60, 600
LEAST_SPEEDUP, LONGEST_MS, ALONE_RATIO = 5, 250, 1.3
VERIFY_RATIO, MEMORY_MIB, PROOF_MS, LOOK_MS = 2, 64, 2, 50


class Ledgers:
    """Ledgers in the bench's folder, made and written to by build/bench/ledger."""

    def __init__(self, bench):
        self.bench, self.n = bench, 0
        self.tool = os.path.join(os.path.dirname(bench.programs), "bench", "ledger")
        os.environ["XDG_STATE_HOME"] = os.path.join(bench.folder, "state")

    def path(self, name):
        return os.path.join(self.bench.folder, name)

    def new(self, name):
        shutil.rmtree(self.path(name), ignore_errors=True)
        subprocess.run([self.bench.program("hps-ledger"), "init", "--origin", "example.org/bench", self.path(name)], check=True, **QUIET)
        return self.path(name)

    def do(self, *words):
        return json.loads(subprocess.run([self.tool, *map(str, words)], check=True, capture_output=True, text=True).stdout)


def appends(bench, ledgers, writers, each):
    """Pairs of a ledger and a bare file with the same bytes: (ours, bare, the disk's fdatasync in ms) of each."""
    pairs, size = [], ledgers.do("append", ledgers.new("small"), 1, 1)["bytes"]
    for _ in range(bench.rounds):
        ours = ledgers.do("append", ledgers.new("small"), writers, each)
        bare = ledgers.do("write", ledgers.path("bare"), writers, each, size)
        os.remove(ledgers.path("bare"))
        pairs.append((ours, bare, fdatasync_ms(bench.folder)))
    return pairs


def many_writers(bench, ledgers, say):
    pairs = appends(bench, ledgers, WRITERS, EACH)
    ratios = [bare["ms"] / ours["ms"] for ours, bare, _ in pairs]
    longest = [ours["longest"] for ours, _, _ in pairs]
    bench.goal("%d writers: time of a commit for each, beside that of all together" % WRITERS, 1 / statistics.median(ratios), 1 / LEAST_SPEEDUP)
    bench.goal("%d writers: longest wait, ms" % WRITERS, statistics.median(longest), LONGEST_MS)
    rates = [[1000 * one["calls"] / one["ms"] for one in pair[:2]] for pair in pairs]
    say("%d writers: %s of one commit for each flush, longest wait %s ms" % (WRITERS, spread(ratios), spread(longest, 0)))
    return [["%d writers, entries a second" % WRITERS, spread([r[0] for r in rates], 0), "one commit for each flush: " + spread([r[1] for r in rates], 0),
             spread(ratios), "≥ %g" % LEAST_SPEEDUP],
            ["… longest wait of one", spread(longest, 0) + " ms", spread([bare["longest"] for _, bare, _ in pairs], 0) + " ms", "", "≤ %d ms" % LONGEST_MS]]


def one_writer(bench, ledgers, say):
    pairs = appends(bench, ledgers, 1, ALONE)
    calls = [ours["median"] / bare["median"] for ours, bare, _ in pairs]
    totals = [ours["ms"] / bare["ms"] for ours, bare, _ in pairs]
    goal = bench.goal("one writer: a call, beside write and fdatasync", statistics.median(calls), ALONE_RATIO)
    say("one writer: a call %s, all with moving into place %s of write and fdatasync" % (spread(calls), spread(totals)))
    return [["one writer, a call (median)", spread([p[0]["median"] for p in pairs], 3) + " ms", "write and fdatasync of the same bytes: " + spread([p[1]["median"] for p in pairs], 3) + " ms",
             spread(calls), goal],
            ["… %d calls, opening, moving into place and closing included" % ALONE, spread([p[0]["ms"] for p in pairs], 0) + " ms", spread([p[1]["ms"] for p in pairs], 0) + " ms",
             spread(totals), "none"]], [p[2] for p in pairs]


def verifications_a_second():
    """ECDSA P-256 on all cores at once, as openssl itself counts."""
    out = subprocess.run(["openssl", "speed", "-seconds", "3", "-multi", str(os.cpu_count()), "ecdsap256"], capture_output=True, text=True, check=True).stdout
    return float(re.search(r"ecdsa \(nistp256\).*?([\d.]+)\s*$", out, re.M).group(1))


def peak_mib(command):
    """Seconds and peak resident MiB of one run."""
    started = time.perf_counter()
    child = subprocess.Popen(command, **QUIET)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def verify(bench, ledger, say):
    """From a published copy: tiles and a trust file. The same bytes are hashed by openssl where they lie."""
    copy = os.path.join(bench.folder, "copy")
    os.makedirs(copy, exist_ok=True)
    if not os.path.exists(os.path.join(copy, "tiles")):
        os.rename(os.path.join(ledger, "tiles"), os.path.join(copy, "tiles"))
        shutil.copy(os.path.join(ledger, "trust.json"), copy)
    hashing = ["sh", "-c", "find %s/tiles -type f -print0 | xargs -0 openssl dgst -sha256" % copy]
    ratios, seconds, memories, parts = [], [], [], []
    for _ in range(bench.rounds):
        hashed, signatures = run(hashing, bench.folder)[0], ENTRIES / verifications_a_second()
        took, memory = peak_mib([bench.program("hps-ledger"), "verify", "--ledger", copy])
        ratios.append(took / (hashed + signatures))
        seconds.append(took)
        memories.append(memory)
        parts.append((hashed, signatures))
        say("verify: %.1f s, %.0f MiB; openssl: hashing %.1f s, signatures %.1f s" % (took, memory, hashed, signatures))
    os.rename(os.path.join(copy, "tiles"), os.path.join(ledger, "tiles"))
    goal = bench.goal("verifying %d entries, beside openssl" % ENTRIES, statistics.median(ratios), VERIFY_RATIO)
    bench.goal("verifying %d entries: memory in MiB" % ENTRIES, max(memories), MEMORY_MIB)
    whole, memory = peak_mib([bench.program("hps-ledger"), "verify", "--ledger", ledger])
    say("verify with the database: %.1f s, %.0f MiB" % (whole, memory))
    return [["verify, from tiles", spread(seconds, 1) + " s", "`openssl dgst -sha256` of the same files %s s, signatures on all cores (`openssl speed`) %s s"
             % (spread([p[0] for p in parts], 1), spread([p[1] for p in parts], 1)), spread(ratios), goal],
            ["… its memory", "%.0f MiB" % max(memories), "", "", "≤ %d MiB" % MEMORY_MIB],
            ["verify of the owner's ledger, database compared (one run)", "%.1f s, %.0f MiB" % (whole, memory), "", "", "none"]]


def looks(bench, ledgers, ledger, say):
    proofs = ledgers.do("prove", ledger, 2000)
    bench.goal("an inclusion proof, longest of 2,000, ms", proofs["longest"], PROOF_MS)
    rows = [["an inclusion proof from tiles, made and checked", "%.2f ms (median of 2,000; longest %.2f)" % (proofs["median"], proofs["longest"]), "", "", "≤ %g ms" % PROOF_MS]]
    program = [bench.program("hps-ledger")]
    shown = json.loads(subprocess.run([*program, "show", "--ledger", ledger, "--json", "@%d" % (ENTRIES // 2)], check=True, capture_output=True).stdout)
    for what, words in (("`list`", ["list"]), ("`list --study`", ["list", "--study", "study-77"]), ("`show @N`", ["show", "@%d" % (ENTRIES // 3)]), ("`show ID`", ["show", shown["id"][:12]])):
        times = [1000 * run([*program, words[0], "--ledger", ledger, *words[1:]], bench.folder)[0] for _ in range(bench.rounds + 2)]
        goal = bench.goal("%s of %d entries, ms" % (what, ENTRIES), statistics.median(times), LOOK_MS)
        rows.append([what, spread(times, 1) + " ms", "", "", goal + " ms"])
        say("%s: %s ms" % (what, spread(times, 1)))
    return rows


def section(bench, say):
    rows, syncs, ledgers = [], [], Ledgers(bench)
    if bench.wants("L1"):
        rows += many_writers(bench, ledgers, say)
    if bench.wants("L2"):
        more, syncs = one_writer(bench, ledgers, say)
        rows += more
    if bench.wants("L3"):
        ledger = ledgers.new("large")
        started = time.perf_counter()
        ledgers.do("fill", ledger, ENTRIES)
        say("a ledger of %d entries made in %.0f s" % (ENTRIES, time.perf_counter() - started))
        rows += looks(bench, ledgers, ledger, say) + verify(bench, ledger, say)
    if not rows:
        return None
    return TEXT % (bench.rounds, fdatasync_ms(bench.folder), ENTRIES, table(["", "hps-ledger", "beside it", "ratio", "goal"], rows))


TEXT = """%d rounds, minimum / **median** / maximum, ours and the other in turn. A 4 KiB append and fdatasync took %.2f ms (median) at the end. "One commit for each
flush": as many processes append the same bytes to one file, each under a lock with a flush of its own. An append signs the entry and the new
checkpoint, reads back what it wrote, and returns when both are flushed; every so often a call also moves what was acknowledged from the journal into
database and tiles, which the median call of one writer does not show, but the row below it. The large ledger has %d entries; verification reads every
leaf, hash, envelope, signature and statement. Published, not measured here: Tessera's POSIX driver is said to sustain about 2,900 writes a second without
deduplication, by 3,000 writers on 12 cores and mirrored SAS disks (its docs/performance.md).

%s"""
