"""The rig of the explainer. Makes N pairs of trials, B with ten things changed at once of those that a random draw picked; has hps-replay explain why
they differ; and checks each answer without hps, by running the trial plainly: A with the reported cause leaves B's bytes, and with no member of it left out.

usage: replay-explain.py N SEED WORK KINDS (comma-separated: formula, awk, python, numpy, sklearn); prints a JSON summary. The control: causes with one factor
more, and with one less, are put to the same check, which must refuse all of them."""
import hashlib
import itertools
import json
import os
import random
import shutil
import statistics
import subprocess
import sys

N, SEED, WORK, KINDS = int(sys.argv[1]), int(sys.argv[2]), os.path.abspath(sys.argv[3]), sys.argv[4].split(",")
TRIALS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "trials")
R = random.Random(SEED)
RUN = os.path.join(WORK, "run")
PYTHON = "/usr/bin/python3"
BASE = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
        "OPENBLAS_CORETYPE": "Haswell"}
# What can be changed: kind, name, A's value, B's value. None: there is none.
HARMLESS = [("variable", "TERM", "xterm", "dumb"), ("variable", "SHELL", "/bin/sh", "/bin/bash"), ("variable", "XDG_CACHE_HOME", None, "/nonexistent/cache"), ("variable", "OMP_DISPLAY_ENV", None, "FALSE"),
            ("variable", "LOGNAME", None, "somebody"), ("variable", "CUDA_VISIBLE_DEVICES", None, "0"), ("variable", "JOBLIB_TEMP_FOLDER", None, "/tmp"), ("variable", "SHLVL", "1", "2"),
            ("file", "notes.txt", "read by nobody", "still read by nobody")]
NUMERIC = [("variable", "OMP_NUM_THREADS", "1", "2"), ("variable", "OPENBLAS_NUM_THREADS", "1", "2"), ("variable", "OPENBLAS_CORETYPE", "Haswell", "Prescott"), ("variable", "OPENBLAS_CORETYPE", "Haswell", "Zen"),
           ("variable", "NPY_DISABLE_CPU_FEATURES", None, "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"), ("variable", "GLIBC_TUNABLES", None, "glibc.cpu.hwcaps=-AVX2,-FMA"),
           ("variable", "MALLOC_PERTURB_", None, "85"), ("variable", "TZ", "UTC", "Asia/Tokyo"), ("variable", "PYTHONHASHSEED", "0", "1"), ("variable", "LC_ALL", "C.UTF-8", "C"), ("umask", "umask", 0o022, 0o077)]


def source(name, **changes):
    text = open(os.path.join(TRIALS, name)).read()
    for a, b in changes.items():
        text = text.replace(*b)
    return text


def formula():
    """A program that computes bits of what it finds, so that any cause can be: one factor, several together, one that hides another."""
    factors = [("variable", n, "a", "b") for n in ("SEED", "EPOCHS", "TF_MODE", "MKL_CBWR", "NCCL_ALGO")] + [("variable", "TORCH_HOME", None, "b"), ("variable", "PL_GLOBAL_SEED", "a", None)]
    factors += [("argument", 2, "a", "b"), ("argument", 3, "a", "b"), ("umask", "umask", 0o022, 0o077)]
    factors += [("file", "config", "a", "b"), ("file", "extra", None, "b"), ("file", "gone", "a", None), ("file", "data", "a", "b")]
    chosen = pick(factors, 10)
    lines = []
    for i, (kind, name, a, b) in enumerate(chosen):
        what = {"variable": "${%s-none}", "argument": "$%s", "file": "$(cat %s 2>/dev/null || echo none)", "umask": "$(%s)"}[kind] % (name - 1 if kind == "argument" else name)
        lines.append("case %s in %s) b%d=1 ;; *) b%d=0 ;; esac" % (what, "0077" if kind == "umask" else b or "none", i, i))
    # Sizes as they were measured on real trials: 10 of 25 causes had one member, 11 two, 4 three. A second term hides the first, or is hidden by it.
    size = R.choice([1] * 10 + [2] * 11 + [3] * 4)
    terms = " | ".join("(" + " & ".join("b%d" % i for i in R.sample(range(10), n)) + ")" for n in [size] + [3] * (R.random() < 0.3))
    lines.append("echo \"$((%s)) $((%s))\" >>out" % (terms, "b%d ^ b%d" % tuple(R.sample(range(10), 2)) if R.random() < 0.2 else "1"))
    return ["sh", "t.sh", "a", "a"], {"t.sh": "\n".join(lines) + "\n"}, chosen


def awk():
    edited = source("t11_awk.sh")
    return ["sh", "t.sh", "out"], {"t.sh": edited}, drift([("file", "t.sh", edited, edited.replace("rand()<.3", "rand()<.2"))])


def python():
    text = """import os, random, sys
random.seed(int(os.environ.get("SEED", "1")))
rows = [[float(x) for x in l.split(",")] for l in open("data.csv")]
rate = float(open("rate").read()) if os.path.exists("rate") else 0.1
w = [0.0] * len(rows[0])
for epoch in range(int(sys.argv[1])):
    random.shuffle(rows)
    for *x, y in rows:
        e = sum(a * b for a, b in zip(w, x + [1.0])) - y
        w = [a - rate * e * b for a, b in zip(w, x + [1.0])]
os.makedirs("out", exist_ok=True)
open("out/w.txt", "w").write(" ".join(map(repr, w)))
open("out/names.txt", "w").write(" ".join({"alpha", "beta", "gamma", "delta"}))
"""
    data = "".join("%.3f,%.3f,%.3f\n" % (i * 0.37 % 1, i * 0.71 % 1, i * 0.13 % 1) for i in range(40))
    return [PYTHON, "t.py", "5"], {"t.py": text, "data.csv": data, "rate": "0.1"}, drift([
        ("variable", "SEED", "1", "2"), ("argument", 2, "5", "6"), ("file", "rate", "0.1", "0.05"), ("file", "data.csv", data, data.replace("0.740", "0.741")), ("file", "t.py", text, text.replace("0.0]", "0.0625]"))])


def numpy():
    text = source("t09_numpy_sgd.py")
    return [PYTHON, "t.py", "out"], {"t.py": text}, drift([("file", "t.py", text, text.replace("0.05 *", "0.04 *"))])


def sklearn():
    text = source("t01_sk_mlp.py")
    return [PYTHON, "t.py", "out"], {"t.py": text}, drift([("file", "t.py", text, text.replace("max_iter=15", "max_iter=16"))])


def drift(edits):
    """Surroundings that changed, and in half of the pairs one thing that somebody edited."""
    edit = [R.choice(edits)] if R.random() < 0.5 else []
    return edit + pick([f for f in NUMERIC + HARMLESS if f[:2] not in [e[:2] for e in edit]], 10 - len(edit))


def pick(factors, n):
    """n of them, of each name one."""
    chosen = {}
    for f in R.sample(factors, len(factors)):
        chosen.setdefault(f[:2], f)
    return list(chosen.values())[:n]


class Pair:
    def __init__(self, kind):
        self.argv, self.files, self.factors = globals()[kind]()
        self.plain = {}

    def name(self, f):
        return {"variable": ("variable", f[1]), "argument": ("argument", str(f[1])), "file": ("files", os.path.join(RUN, str(f[1]))), "umask": ("umask", "umask")}[f[0]]

    def lay_out(self, chosen):
        """RUN as it is when the trial starts, the command, its environment, its umask."""
        shutil.rmtree(RUN, ignore_errors=True)
        os.mkdir(RUN)
        argv, env, mask, files = list(self.argv), dict(BASE), 0o022, dict(self.files)
        for f in self.factors:
            kind, name, a, b = f
            value = b if self.name(f) in chosen else a
            if kind == "variable":
                env.pop(name, None)
                if value is not None:
                    env[name] = value
            elif kind == "argument":
                argv[name] = value
            elif kind == "umask":
                mask = value
            elif value is None:
                files.pop(name, None)
            else:
                files[name] = value
        for name, text in files.items():
            open(os.path.join(RUN, name), "w").write(text)
        return argv, env, mask

    def outputs(self):
        left = {}
        for folder, folders, names in os.walk(RUN):
            for n in folders + names:
                path = os.path.join(folder, n)
                if os.path.relpath(path, RUN) not in self.known:
                    left[os.path.relpath(path, RUN)] = (os.lstat(path).st_mode, hashlib.sha256(open(path, "rb").read()).hexdigest() if n in names else "")
        return left

    def run_plainly(self, chosen):
        key = frozenset(chosen)
        if key not in self.plain:
            argv, env, mask = self.lay_out(chosen)
            self.known = set(os.listdir(RUN))
            end = subprocess.run(argv, cwd=RUN, env=env, umask=mask, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
            self.plain[key] = (end, self.outputs())
        return self.plain[key]

    def record(self, chosen):
        argv, env, mask = self.lay_out(chosen)
        path = os.path.join(WORK, "id")
        more = {n: os.environ[n] for n in ("HPS_LEDGER", "XDG_STATE_HOME")}
        subprocess.run([os.path.join(os.environ["HPS_BIN"], "hps-record"), "-q", "--id-file", path, "--", *argv], cwd=RUN, env=dict(env, **more), umask=mask, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return open(path).read().strip()

    def is_cause(self, chosen):
        """It gives B's bytes, and with none of its members left out."""
        all_of_b = self.run_plainly({self.name(f) for f in self.factors})
        return self.run_plainly(chosen) == all_of_b and all(self.run_plainly(chosen - {f}) != all_of_b for f in chosen)


os.makedirs(WORK, exist_ok=True)
total = {"pairs": 0, "same": 0, "causes": 0, "wrong": [], "sizes": {}, "interactions": 0, "runs": [], "controls": 0, "controls_taken": 0, "by_kind": {}}
for n, kind in zip(range(N), itertools.cycle(KINDS)):
    pair = Pair(kind)
    everything = {pair.name(f) for f in pair.factors}
    assert len(everything) == 10
    a, b = pair.record(set()), pair.record(everything)
    said = subprocess.run(["hps-replay", "explain", "--json", a, b], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    total["pairs"] += 1
    try:
        j = json.loads(said.stdout)
    except ValueError:
        total["wrong"].append((n, kind, said.stderr.decode()[-300:]))
        continue
    cause = {(f["kind"], f["name"]) for f in j["cause"]}
    differs = pair.run_plainly(everything) != pair.run_plainly(set())
    if j["conclusion"] == "SAME" and not differs:
        total["same"] += 1
        continue
    if j["conclusion"] != "CAUSE" or not differs or not cause <= everything or not pair.is_cause(cause):
        total["wrong"].append((n, kind, j["conclusion"], sorted(cause), differs, j["residue"][:3]))
        continue
    total["causes"] += 1
    total["runs"].append(j["runs"])
    total["by_kind"].setdefault(kind, []).append(j["runs"])
    total["interactions"] += j["interaction"]
    total["sizes"][len(cause)] = total["sizes"].get(len(cause), 0) + 1
    for wrong in (cause | {R.choice(sorted(everything - cause, key=str))}, cause - {R.choice(sorted(cause, key=str))}):
        total["controls"] += 1
        total["controls_taken"] += pair.is_cause(wrong)
    print("# %d %s: %d of 10 in %d reruns" % (n, kind, len(cause), j["runs"]), file=sys.stderr, flush=True)
    total["median"] = statistics.median(total["runs"]) if total["runs"] else 0
total["most"] = max(total["runs"], default=0)
print(json.dumps(total))
