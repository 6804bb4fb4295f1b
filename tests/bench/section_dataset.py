"""What the digest of a data set costs, beside openssl and sha256sum."""
import os
import re
import shutil
import statistics
import subprocess
import time

from measure import spread, table

TITLE = "Data sets"
SMALL, LARGE, MIB = 50000, 4, 256


def make(folder):
    for d in range(SMALL // 500):
        os.makedirs(os.path.join(folder, "small", "%03d" % d))
        for i in range(500):
            with open(os.path.join(folder, "small", "%03d" % d, "%05d" % i), "wb") as f:
                f.write(os.urandom(1000 + i))
    os.makedirs(os.path.join(folder, "large"))
    for i in range(LARGE):
        with open(os.path.join(folder, "large", str(i)), "wb") as f:
            for _ in range(MIB):
                f.write(os.urandom(1 << 20))
    os.sync()
    time.sleep(3)  # what changed within the last two seconds is not remembered


def seconds(command):
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def openssl_rate():
    """Bytes per second of SHA-256 on all cores at once, as openssl itself counts."""
    out = subprocess.run(["openssl", "speed", "-evp", "sha256", "-bytes", "262144", "-seconds", "2", "-multi", str(os.cpu_count())],
                         capture_output=True, text=True, check=True).stdout
    return float(re.search(r"sha256\s+([\d.]+)k", out, re.I).group(1)) * 1000


def section(bench, say):
    if not bench.wants("D1") and not bench.wants("D2"):
        return None
    folder = bench.folder
    cache = os.environ["XDG_CACHE_HOME"] = os.path.join(folder, "cache")
    small, large = os.path.join(folder, "small"), os.path.join(folder, "large")
    make(folder)
    ours = [bench.program("hps-record"), "dataset"]
    peer = ["sh", "-c", "find %s -type f -print0 | xargs -0 -P%d -n 1000 sha256sum" % (small, os.cpu_count())]
    look = ["du", "-s", small]
    rates, firsts, seconds_time, looks = [], [], [], []
    for _ in range(bench.rounds):
        rates.append(seconds([*ours, "--no-cache", large]) * openssl_rate() / (LARGE * MIB << 20))
        shutil.rmtree(cache, ignore_errors=True)
        theirs, first = seconds(peer), seconds([*ours, small])
        firsts.append(first / theirs)
        again = seconds([*ours, small])
        seconds_time.append(again / first)
        looks.append(again / seconds(look))
        say("D1 %.2f, D2 %.2f, D3 %.3f, D4 %.2f" % (rates[-1], firsts[-1], seconds_time[-1], looks[-1]))
    rows = []
    for name, what, values, goal in (
        ("D1", "%d files of %d MiB, beside `openssl speed` on all cores" % (LARGE, MIB), rates, 1 / 0.9),
        ("D2", "%d small files, beside `find | xargs -P sha256sum`" % SMALL, firsts, 1.5),
        ("D3", "the same again, beside its own first time", seconds_time, 0.05),
        ("D4", "the same again, beside `du -s`, which looks once at each file, too", looks, 1),
    ):
        rows.append([name, what, bench.goal(name, statistics.median(values), goal), spread(values)])
    return TEXT % (bench.rounds, table(["", "data set", "goal", "time, as a part of the other's"], rows))


TEXT = """`hps-record dataset`, %d rounds, minimum / **median** / maximum; files in the page cache. D3 is one look at each file (`fstatat`), which the kernel answers
in about 0.7 µs: for small files that are in memory it is more than a twentieth of reading them, for others it is not. D4 tells how near that floor it is. Nothing
cheaper proves that a file has not changed: times of directories tell names, not contents; a ring (io_uring) hands each statx to a thread.

%s"""
