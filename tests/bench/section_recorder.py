"""What recording costs, beside the peers that Debian has."""
import json
import os
import shutil
import statistics
import subprocess

from measure import HERE, PYTHON, QUIET, SOURCE, run, spread, table

TITLE = "Recording"
LEFTOVERS = ("out", "strace", "reprozip", "cde-package", "cde.options")
MEMORY_MIB = 64


def workloads(folder):
    """id -> (what it is, command, goal with a warm cache, goal with an empty one; None: no goal)"""
    src, out = os.path.join(HERE, "workloads"), os.path.join(folder, "out")

    def built(name, *flags):
        target = os.path.join(folder, name)
        subprocess.run(["gcc", "-O2", "-w", "-o", target, os.path.join(src, name + ".c"), *flags], check=True)
        return target

    opens, files, tree, big = built("w3_opens", "-pthread"), *(os.path.join(folder, name) for name in ("files", "tree", "big"))
    subprocess.run([opens, files, "20000", "0", "0"], check=True)
    subprocess.run(["sh", os.path.join(src, "w4_gen.sh"), tree], check=True)
    with open(big, "wb") as f:
        for _ in range(4096):
            f.write(os.urandom(1 << 20))
    return {
        "W1": ("scikit-learn forest and MLP", [PYTHON, os.path.join(src, "w1_sklearn.py"), out], 1.05, 1.10),
        "W2": ("torch CNN, 12 epochs", [PYTHON, os.path.join(src, "w2_torch.py"), out], 1.05, 1.10),
        "W3a": ("100,000 open+read+close, 1 thread", [opens, files, "20000", "5", "1"], 5, None),
        "W3b": ("the same, 2 threads", [opens, files, "20000", "5", "2"], 12, None),
        "W4": ("make -j2 of 101 C files", ["make", "-C", tree, "-s", "-B", "-j2"], 1.35, None),
        "W5": ("2,000 x exec of /bin/true", ["sh", os.path.join(src, "w5_exec.sh")], 1.20, None),
        "W6": ("reading 4 GiB", [built("w6_read"), big], 1.05, None),
        "W7": ("grid search with worker processes, xgboost", [PYTHON, os.path.join(src, "w7_grid.py"), out], 1.05, 1.10),
        "W8": ("arithmetic, no system calls", [built("w8_compute")], 1.005, None),
    }


def peers(folder):
    """name -> how it wraps a command; those that are installed"""
    strace = ["strace", "-f", "-o", os.path.join(folder, "strace")]
    known = {
        "let go on, unread": [os.path.join(SOURCE, "build", "bench", "floor")],
        "strace -f": strace,
        "strace -f --seccomp-bpf": [*strace, "--seccomp-bpf", "-e", "trace=%file,%process"],
        "reprozip": ["reprozip", "trace", "-w", "-d", os.path.join(folder, "reprozip")],
        "cde": ["cde"],
        "proot": ["proot"],
    }
    return {name: wrap for name, wrap in known.items() if shutil.which(wrap[0])}


def ratios(wrap, command, folder, rounds, before=lambda: None):
    """Wall and CPU ratios of pairs, plain and wrapped in turn, and the plain walls; None when the tool fails."""
    walls, cpus, plains = [], [], []
    for _ in range(rounds):
        before()
        plain = run(command, folder, LEFTOVERS)
        wrapped = run([*wrap, *command], folder, LEFTOVERS)
        if plain[2] or wrapped[2]:
            return None
        walls.append(wrapped[0] / plain[0])
        cpus.append(wrapped[1] / plain[1])
        plains.append(plain[0])
    return walls, cpus, plains


def recorder_memory(bench, ledger):
    """Peak resident memory, MiB, that the newest record gives for the recorder itself."""
    trial = open(os.path.join(bench.folder, "id")).read().strip()
    shown = subprocess.run([bench.program("hps-ledger"), "show", "--ledger", ledger, "--json", trial], capture_output=True, check=True)
    return json.loads(shown.stdout)["statement"]["predicate"]["resources"]["recorderMaxRssBytes"] / (1 << 20)


def section(bench, say):
    if bench.only and not any(name.startswith("W") for name in bench.only):
        return None  # to make what they read takes longer than some other section
    folder, ledger = bench.folder, os.path.join(bench.folder, "ledger")
    cache = os.path.join(folder, "cache")
    os.environ["XDG_CACHE_HOME"] = cache
    subprocess.run([bench.program("hps-ledger"), "init", ledger], check=True, **QUIET)
    ours = [bench.program("hps-record"), "-q", "--ledger", ledger, "--id-file", os.path.join(folder, "id"), "--"]
    others, loads, rows = peers(folder), workloads(folder), []

    for name, (what, command, warm_goal, cold_goal) in loads.items():
        if not bench.wants(name):
            continue
        run(command, folder, LEFTOVERS)  # what it reads is in the page cache from then on
        cold = ratios(ours, command, folder, bench.peer_rounds, before=lambda: shutil.rmtree(cache, ignore_errors=True))
        run([*ours, *command], folder, LEFTOVERS)
        warm = ratios(ours, command, folder, bench.rounds)
        memory = recorder_memory(bench, ledger)
        plain = statistics.median(warm[2])
        say("%s %s: plain %.2f s" % (name, what, plain))
        say("    hps-record %s, CPU %s, cold %s" % (spread(warm[0]), spread(warm[1]), spread(cold[0])))
        goal = bench.goal("%s" % name, statistics.median(warm[0]), warm_goal)
        if cold_goal:
            goal += ", cold " + bench.goal("%s with an empty cache" % name, statistics.median(cold[0]), cold_goal)
        bench.goal("%s, memory in MiB" % name, memory, MEMORY_MIB)
        cells = [name, what, "%.2f s" % plain, goal, spread(warm[0]), spread(warm[1]), spread(cold[0]), "%.0f MiB" % memory]
        for peer, wrap in others.items():
            found = ratios(wrap, command, folder, bench.peer_rounds)
            cells.append("fails" if found is None else spread(found[0]))
            say("    %s %s" % (peer, cells[-1]))
        rows.append(cells)
    if not rows:
        return None
    head = ["", "workload", "plain", "goal", "hps-record", "its CPU time", "its cache empty", "its memory", *others]
    return TEXT % (bench.rounds, bench.peer_rounds, table(head, rows))


TEXT = """Wall time with a recorder divided by wall time without, minimum / **median** / maximum of %d pairs (peers, and ours with an empty cache
of digests: %d), plain and recorded runs in turn. "its CPU time": the same ratio over the CPU seconds of the whole tree, which other work on the
machine disturbs less. hps-record hashes every file, keeps the contents that no package has, signs, and waits for the disk; strace, cde and
proot do none of that, reprozip hashes what it packs later. "fails": the tool ends with an error on this workload. fsatrace, the cheapest of the
peers, is not in Debian 12 and so not in this table; it preloads a library, sees no static binaries and no raw calls, and hashes nothing.
"let go on, unread" is the least that a recorder of this kind costs: the same calls are stopped, and nothing is done about them
(`build/bench/floor COMMAND`, which also says how many they were).

%s"""
