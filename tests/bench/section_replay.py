"""What rebuilding and rerunning costs: the view, and each level in it, beside reprounzip when Debian's is installed."""
import json
import os
import shutil
import statistics
import subprocess
import time

from measure import HERE, PYTHON, QUIET, run, spread, table

TITLE = "Replaying"
FILES = 5000
REBUILD_SECONDS = 0.080
VIEW, LEVEL_2, LEVEL_3 = 1.03, 1.02, 1.10
READ_ALL = """import sys
n = 0
for i in range(int(sys.argv[2])):
    with open("%s/%04d" % (sys.argv[1], i)) as f: n += len(f.read())
open("sum", "w").write(str(n))
"""


def record(bench, command, *options):
    """The id of its record."""
    name = os.path.join(bench.folder, "id")
    subprocess.run([bench.program("hps-record"), "-q", *options, "--id-file", name, "--", *command], check=True, cwd=bench.folder, **QUIET)
    with open(name) as f:
        return f.read().strip()


def replay(bench, trial, *options):
    """The verdict, as the program prints it; one that does not reproduce is no measurement."""
    out = subprocess.run([bench.program("hps-replay"), "--json", *options, trial], capture_output=True, text=True, cwd=bench.folder)
    verdict = json.loads(out.stdout)
    if not verdict["verdict"].startswith("REPRODUCED"):
        raise RuntimeError("%s: %s" % (verdict["verdict"], verdict.get("reason")))
    return verdict


def rerun_seconds(bench, verdict):
    """How long the command of the rerun took, by its own record."""
    out = subprocess.run([bench.program("hps-ledger"), "show", verdict["rerun"], "--json"], capture_output=True, text=True, check=True).stdout
    return float(json.loads(out)["statement"]["predicate"]["resources"]["wallSeconds"])


# ---- the view

def make_files(folder):
    os.mkdir(os.path.join(folder, "many"))
    for i in range(FILES):
        with open(os.path.join(folder, "many", "%04d" % i), "w") as f:
            f.write("%d\n" % i * (1 + i % 200))
    with open(os.path.join(folder, "read_all.py"), "w") as f:
        f.write(READ_ALL)


def unpacker(bench, command):
    """Seconds that `reprounzip directory setup` takes, or why there are none."""
    if not shutil.which("reprozip") or not shutil.which("reprounzip"):
        return "not installed"
    folder = os.path.join(bench.folder, "peer")
    os.mkdir(folder)
    env = {**os.environ, "HOME": folder, "REPROZIP_USAGE_STATS": "off"}
    for step in (["reprozip", "trace", "-w", *command], ["reprozip", "pack", "pack.rpz"]):
        if subprocess.run(step, cwd=folder, env=env, **QUIET).returncode:
            return "%s %s fails" % tuple(step[:2])
    times = []
    for i in range(bench.peer_rounds):
        started = time.perf_counter()
        if subprocess.run(["reprounzip", "directory", "setup", "pack.rpz", "set%d" % i], cwd=folder, env=env, **QUIET).returncode:
            return "reprounzip directory setup fails"
        times.append(time.perf_counter() - started)
    return "%.2f s" % statistics.median(times)


def view(bench, say):
    make_files(bench.folder)
    command = [PYTHON, os.path.join(bench.folder, "read_all.py"), os.path.join(bench.folder, "many"), str(FILES)]
    trial = record(bench, command)
    replay(bench, trial)  # warm
    verdicts = [replay(bench, trial) for _ in range(bench.rounds)]
    times = [float(v["rebuildSeconds"]) for v in verdicts]
    goal = bench.goal("rebuilding a view of %d files, seconds" % FILES, statistics.median(times), REBUILD_SECONDS)
    say("view: %s s" % spread(times, 3))
    return table(["files in it", "how", "rebuilt in, s", "goal", "reprounzip directory setup"],
                 [["%d" % verdicts[0]["view"]["files"], verdicts[0]["view"]["kind"], spread(times, 3), goal, unpacker(bench, command)]])


# ---- the levels

def levels(bench, say):
    rows = []
    for name, what in (("w1_sklearn", "scikit-learn forest and MLP"), ("w2_torch", "torch CNN, 12 epochs")):
        out = os.path.join(bench.folder, "out")
        command = [PYTHON, os.path.join(HERE, "workloads", name + ".py"), out]
        shutil.rmtree(out, ignore_errors=True)
        trial = record(bench, command, "--level", "3")
        native, viewed, level2, level3, reached = [], [], [], [], set()
        for i in range(bench.rounds):
            plain = run(command, bench.folder, ("out",))[0]
            order = sorted((1, 2, 3), key=lambda level: (level + i) % 3)  # what comes first or last in a round may be at a disadvantage
            by_level = {level: replay(bench, trial, "--level", str(level)) for level in order}
            verdicts = [by_level[level] for level in (1, 2, 3)]
            seconds = [rerun_seconds(bench, v) for v in verdicts]
            reached.add(verdicts[2]["level"])
            native.append(plain)
            viewed.append(seconds[0] / plain)
            level2.append(seconds[1] / seconds[0])
            level3.append(seconds[2] / seconds[0])
            say("%s: native %.2f s, level 1 %.2f, level 2 %.2f, level 3 %.2f of it" % (name, plain, *(s / plain for s in seconds)))
        rows.append([what, spread(native), spread(viewed), bench.goal("%s: in the view" % what, statistics.median(viewed), VIEW),
                     spread(level2), bench.goal("%s: level 2" % what, statistics.median(level2), LEVEL_2),
                     spread(level3), bench.goal("%s: level 3" % what, statistics.median(level3), LEVEL_3), "/".join(sorted(reached))])
    return table(["trial", "native, s", "level 1, beside native", "goal", "level 2, beside level 1", "goal", "level 3, beside level 1", "goal", "level reached"], rows)


def section(bench, say):
    if not bench.wants("view") and not bench.wants("levels"):
        return None
    before = dict(os.environ)
    os.environ["HPS_LEDGER"] = os.path.join(bench.folder, "ledger")
    os.environ["XDG_STATE_HOME"] = os.environ["XDG_CACHE_HOME"] = os.path.join(bench.folder, "state")
    subprocess.run([bench.program("hps-ledger"), "init", os.environ["HPS_LEDGER"]], check=True, **QUIET)
    parts = [TEXT % bench.rounds]
    try:
        if bench.wants("view"):
            parts.append(view(bench, say))
        if bench.wants("levels"):
            parts.append(levels(bench, say))
    finally:
        os.environ.clear()
        os.environ.update(before)
    return "\n\n".join(parts)


TEXT = """%d rounds, minimum / **median** / maximum. A rerun is a recording, too: level 1 beside native is what view and recorder cost together. Level 3 answers every
reading of a clock from the record. Each run of a round follows the one before it at once; which level comes first changes from round to round."""
