#!/usr/bin/python3
"""make bench: speed and memory as ratios against named peers in the same run; writes docs/benchmarks.md anew.

usage: bench.py FOLDER-OF-THE-PROGRAMS [--rounds N] [--peer-rounds N] [--only NAME,NAME] [--without NAME,NAME] [--no-write]

A section is a file section_<noun>.py with TITLE and section(bench, say) -> Markdown (None: nothing of it was asked for). --only takes
and --without take names of single measurements (W1, …); docs/benchmarks.md is written only by a run of everything, and says what was left out of it.
"""
import argparse
import glob
import importlib
import os
import sys
import tempfile
import time

from measure import HERE, SOURCE, Bench, fdatasync_ms, machine


def say(line):
    print(line, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("programs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-rounds", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--without", default="")
    parser.add_argument("--no-write", action="store_true")
    args = parser.parse_args()
    os.environ["LC_ALL"] = "C.UTF-8"
    only, without = (set(filter(None, names.split(","))) for names in (args.only, args.without))
    parts, missed, load = [], [], os.getloadavg()[0]
    # Nothing is removed before the end: a file system without a journal looks for inodes that were not freed within some minutes, ever longer.
    with tempfile.TemporaryDirectory(prefix="bench.", dir=os.path.join(SOURCE, "build"), ignore_cleanup_errors=True) as top:
        for path in sorted(glob.glob(os.path.join(HERE, "section_*.py"))):
            module = importlib.import_module(os.path.basename(path)[:-3])
            folder = os.path.join(top, os.path.basename(path)[8:-3])
            os.mkdir(folder)
            bench = Bench(os.path.abspath(args.programs), folder, args.rounds, args.peer_rounds, only, without)
            text = module.section(bench, say)
            if text:
                parts.append("## %s\n%s" % (module.TITLE, text))
                missed += bench.missed
            sync_ms = fdatasync_ms(folder)
    if without:
        missed.append("not measured in this run: " + ", ".join(sorted(without)))
    verdict = "\n".join("- " + m for m in missed) or "All goals of this page are met."
    page = PAGE % (time.strftime("%Y-%m-%d", time.gmtime()), machine(), sync_ms, load, "\n\n".join(parts), verdict)
    print(page)
    if not args.no_write and not only:
        with open(os.path.join(SOURCE, "docs", "benchmarks.md"), "w") as f:
            f.write(page)


PAGE = """# Benchmarks

Written by `make bench` on %s; %s; its fdatasync takes %.2f ms (median); load before the start %.1f.

%s

## Goals not met in this run
%s
"""

if __name__ == "__main__":
    main()
