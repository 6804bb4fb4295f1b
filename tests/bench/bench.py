#!/usr/bin/python3
"""make bench: what recording costs, beside the peers, in one run.

usage: bench.py FOLDER-OF-THE-PROGRAMS [--rounds N] [--only W1,W5] [--no-write]

Every tool runs every workload in turn with the plain command (plain, tool, plain, tool, ...), so that both see the same
machine; a figure is the ratio of a pair's wall times, given as minimum / median / maximum. docs/benchmarks.md is written anew.
"""
import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
PYTHON = "/usr/bin/python3"
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def workloads(folder):
    """id -> (what it is, command, goal for hps-record or None)"""
    src = os.path.join(HERE, "workloads")
    out = os.path.join(folder, "out")

    def built(name, *flags):
        target = os.path.join(folder, name)
        subprocess.run(["gcc", "-O2", "-w", "-o", target, os.path.join(src, name + ".c"), *flags], check=True)
        return target

    opens = built("w3_opens", "-pthread")
    files = os.path.join(folder, "files")
    subprocess.run([opens, files, "20000", "0", "0"], check=True)
    tree = os.path.join(folder, "tree")
    subprocess.run(["sh", os.path.join(src, "w4_gen.sh"), tree], check=True)
    big = os.path.join(folder, "big")
    with open(big, "wb") as f:
        for _ in range(1024):
            f.write(os.urandom(1 << 20))
    return {
        "W1": ("scikit-learn forest and MLP", [PYTHON, os.path.join(src, "w1_sklearn.py"), out], 1.10),
        "W2": ("torch CNN, 12 epochs", [PYTHON, os.path.join(src, "w2_torch.py"), out], 1.10),
        "W3a": ("100,000 open+read+close, 1 thread", [opens, files, "20000", "5", "1"], 8),
        "W3b": ("the same, 2 threads", [opens, files, "20000", "5", "2"], None),
        "W4": ("make -j2 of 101 C files", ["make", "-C", tree, "-s", "-B", "-j2"], None),
        "W5": ("2,000 x exec of /bin/true", ["sh", os.path.join(src, "w5_exec.sh")], 1.6),
        "W6": ("reading 1 GiB", [built("w6_read"), big], None),
        "W7": ("grid search with worker processes, xgboost", [PYTHON, os.path.join(src, "w7_grid.py"), out], 1.10),
        "W8": ("arithmetic, no system calls", [built("w8_compute")], None),
    }


class Tool:
    """A recorder: how it wraps a command in a fresh place."""

    def __init__(self, name, wrap, ours=False):
        self.name, self.wrap, self.ours = name, wrap, ours

    def command(self, command, folder):
        return self.wrap(command, folder)


def tools(programs, folder):
    ledger = os.path.join(folder, "ledger")
    subprocess.run([os.path.join(programs, "hps-ledger"), "init", ledger], check=True, **QUIET)
    record = [os.path.join(programs, "hps-record"), "-q", "--ledger", ledger, "--id-file", os.path.join(folder, "id")]
    found = [Tool("hps-record", lambda c, f: [*record, "--", *c], ours=True)]
    if shutil.which("strace"):
        found.append(Tool("strace -f", lambda c, f: ["strace", "-f", "-o", os.path.join(f, "strace"), *c]))
        found.append(Tool("strace -f --seccomp-bpf", lambda c, f: ["strace", "-f", "--seccomp-bpf", "-e", "trace=%file,%process", "-o", os.path.join(f, "strace"), *c]))
    if shutil.which("reprozip"):
        found.append(Tool("reprozip", lambda c, f: ["reprozip", "trace", "-w", "-d", os.path.join(f, "reprozip"), *c]))
    return found, ledger


def run(command, folder):
    """Wall seconds and exit status of one run, the folder of its output emptied before."""
    shutil.rmtree(os.path.join(folder, "out"), ignore_errors=True)
    for leftover in ("strace", "reprozip"):
        path = os.path.join(folder, leftover)
        shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else os.path.exists(path) and os.remove(path)
    started = time.perf_counter()
    status = subprocess.run(command, cwd=folder, timeout=600, **QUIET).returncode
    return time.perf_counter() - started, status


def measure(tool, command, folder, rounds):
    """Ratios of `rounds` pairs, after a run that fills our own cache; None when the tool fails."""
    if tool.ours and run(tool.command(command, folder), folder)[1] != 0:
        return None
    ratios = []
    for _ in range(rounds):
        plain, _ = run(command, folder)
        wrapped, status = run(tool.command(command, folder), folder)
        if status != 0:
            return None
        ratios.append(wrapped / plain)
    return ratios


def recorder_memory(programs, ledger, folder):
    """Peak resident memory, MiB, that the newest record gives for the recorder itself."""
    trial = open(os.path.join(folder, "id")).read().strip()
    shown = subprocess.run([os.path.join(programs, "hps-ledger"), "show", "--ledger", ledger, "--json", trial], capture_output=True, check=True)
    return find(json.loads(shown.stdout), "recorderMaxRssBytes") / (1 << 20)


def find(value, name):
    """The first member of that name, at any depth."""
    queue = [value]
    while queue:
        v = queue.pop(0)
        if isinstance(v, dict):
            if name in v:
                return v[name]
            queue.extend(v.values())
        elif isinstance(v, list):
            queue.extend(v)
    return float("nan")


def text_of(ratios):
    if ratios is None:
        return "fails"
    return "%.2f / **%.2f** / %.2f" % (min(ratios), statistics.median(ratios), max(ratios))


def machine():
    cpu = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown CPU")
    memory = int(next(l.split()[1] for l in open("/proc/meminfo") if l.startswith("MemTotal"))) // (1 << 20)
    virtual = "virtual machine" if " hypervisor " in open("/proc/cpuinfo").read() else "bare machine"
    return "%d cores of %s, %d GiB, %s, Linux %s" % (os.cpu_count(), cpu, memory, virtual, platform.release().split("-")[0])


def fdatasync_ms(folder):
    path = os.path.join(folder, "sync")
    times = []
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    for _ in range(100):
        os.write(fd, b"x" * 4096)
        started = time.perf_counter()
        os.fdatasync(fd)
        times.append(time.perf_counter() - started)
    os.close(fd)
    return statistics.median(times) * 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("programs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--no-write", action="store_true")
    args = parser.parse_args()
    programs = os.path.abspath(args.programs)
    folder = tempfile.mkdtemp(prefix="hps-bench.", dir=os.path.join(SOURCE, "build"))
    os.environ["XDG_CACHE_HOME"] = os.path.join(folder, "cache")
    os.environ["LC_ALL"] = "C.UTF-8"
    try:
        loads = workloads(folder)
        found, ledger = tools(programs, folder)
        chosen = [w for w in loads if not args.only or w in args.only.split(",")]
        rows, missed = [], []
        for w in chosen:
            what, command, goal = loads[w]
            plain = run(command, folder)[0]
            cells, memory = [], float("nan")
            for tool in found:
                print("%s %s under %s" % (w, what, tool.name), file=sys.stderr, flush=True)
                ratios = measure(tool, command, folder, args.rounds if tool.ours else args.peer_rounds)
                cells.append(text_of(ratios))
                print("    " + cells[-1], file=sys.stderr, flush=True)
                if tool.name == "hps-record" and ratios:
                    memory = recorder_memory(programs, ledger, folder)
                    if goal and statistics.median(ratios) > goal:
                        missed.append("%s: %.2f, the goal is %.2f" % (w, statistics.median(ratios), goal))
                    if memory > 64:
                        missed.append("%s: %.0f MiB, the goal is 64" % (w, memory))
            rows.append("| %s | %s | %.2f s | %s | %s | %.0f MiB |" % (w, what, plain, "≤ %.2f" % goal if goal else "–", " | ".join(cells), memory))
        table = "\n".join(
            ["| | workload | plain | goal | " + " | ".join(t.name for t in found) + " | our memory |", "|" + "---|" * (5 + len(found)), *rows]
        )
        verdict = "All goals of this table are met." if not missed else "Not met: " + "; ".join(missed) + "."
        page = PAGE % (time.strftime("%Y-%m-%d", time.gmtime()), machine(), fdatasync_ms(folder), args.rounds, args.peer_rounds, table, verdict)
        print(page)
        if not args.no_write and not args.only:
            with open(os.path.join(SOURCE, "docs", "benchmarks.md"), "w") as f:
                f.write(page)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


PAGE = """# Benchmarks

Written by `make bench` on %s; %s; its fdatasync takes %.2f ms (median).

Wall time with a recorder divided by wall time without, minimum / **median** / maximum of %d pairs (peers: %d), plain and recorded runs
in turn, ours after one run that fills its cache of digests. hps-record hashes every file, keeps the contents that no package has, signs, and waits for the disk; the
others do none of that. "fails": the tool ends with an error on this workload. "our memory": the recorder's own peak.

%s

%s
"""

if __name__ == "__main__":
    main()
