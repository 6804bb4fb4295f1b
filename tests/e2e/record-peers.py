"""What strace or reprozip sees of a program against its record. Reads programs from standard input, "NAME: COMMAND" a line, runs each
in $T/place, made anew by "SETUP" before, and prints for each what the peer saw and the record lacks, but for what is explained here.
usage: record-peers.py strace|reprozip RECORDER LEDGER WORK SETUP"""
import collections
import glob
import os
import re
import shutil
import sqlite3
import subprocess
import sys

peer, recorder, ledger, work, setup = sys.argv[1:6]
here = os.path.dirname(os.path.abspath(__file__))
record_py = os.path.join(here, "record.py")
side = work + ".peer"


class Failed(Exception):
    pass


Seen = collections.namedtuple("Seen", "path looked executed")


def fresh():
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(side, ignore_errors=True)
    os.mkdir(work)
    os.mkdir(side)
    subprocess.run(["sh", "-c", setup], cwd=work, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def run(prefix, command):
    fresh()
    with open(side + "/output", "w+") as output:
        done = subprocess.run(prefix + ["sh", "-c", command], cwd=work, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=300)
        if done.returncode:
            output.seek(0)
            raise Failed("%s: status %d: %s" % (prefix[0], done.returncode, output.read()[-300:]))


def unescape(text):
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1", "replace").decode("utf-8", "surrogateescape")


def by_strace(command):
    """Each process has a file of its own; an open's result is shown with its real path."""
    run(["strace", "-ff", "-y", "-qq", "-s", "4096", "-e", "trace=open,openat,openat2,creat,execve", "-o", side + "/t", "--"], command)
    for name in glob.glob(side + "/t.*"):
        for line in open(name, errors="surrogateescape"):
            opened = re.match(r"(?:open|openat|openat2|creat)\((.*)\) = \d+<(.*)>$", line)
            ran = re.match(r'execve\("((?:[^"\\]|\\.)*)".* = 0$', line)
            if opened:
                arguments, path = opened.groups()
                yield Seen(unescape(path).removesuffix(" (deleted)"), "O_PATH" in arguments, False)
            elif ran:
                yield Seen(os.path.join(work, unescape(ran[1])), False, True)


def by_reprozip(command):
    """Its trace is a database: names as given, with a mode of bits: read, write, working directory, stat, link."""
    os.environ["REPROZIP_USAGE_STATS"] = "off"
    run(["reprozip", "trace", "--dont-identify-packages", "-w", "-d", side + "/r"], command)
    trace = sqlite3.connect(side + "/r/trace.sqlite3")
    for path, mode in trace.execute("select name, mode from opened_files"):
        yield Seen(path, not mode & 3, False)
    for path, in trace.execute("select name from executed_files"):
        yield Seen(path, False, True)


def plain(path):
    """One name for what differs from run to run, or has several: /proc of a process, symlinks."""
    path = re.sub(r"^/proc/(\d+|self)(/task/\d+)?(?=/|$)", "/proc/self", path)
    return path if path.startswith("/proc/self") else os.path.realpath(path)


def by_record(command):
    run([recorder, "-q", "--id-file", side + "/id", "--"], command)
    out = subprocess.run([sys.executable, record_py, ledger, open(side + "/id").read().strip(),
                          "[list(materials), list(products), [p['from'] for p in products.values() if 'from' in p], [p['program'] for p in processes], gaps]"],
                         capture_output=True, text=True, check=True).stdout
    materials, products, renamed, programs, gaps = eval(out)
    named = {unescape(p) for p in materials + products + renamed}
    return named | {plain(p) for p in named}, {unescape(p) for p in programs}, gaps


def explained(seen):
    if not seen.path.startswith("/") or seen.path.startswith(("/memfd:", "/dev/pts/", "/dev/tty")):
        return "a pipe, socket, memory or terminal: no file"
    if seen.looked:
        return "looked at, not opened: gives no content"
    if seen.path.startswith(side):
        return "the peer's own"
    return None


def came_and_went(path):
    """Made by the trial and removed by it: there neither before nor after."""
    if os.path.lexists(path):
        return False
    fresh()
    return not os.path.lexists(path)


def compare(command):
    theirs = list(by_strace(command) if peer == "strace" else by_reprozip(command))
    opened = {s.path for s in theirs if not s.executed and not explained(s)}
    ran = {os.path.realpath(s.path) for s in theirs if s.executed}
    files, programs, gaps = by_record(command)
    lacking = [p for p in sorted(opened) if p not in files and plain(p) not in files]
    lacking = [p for p in lacking if not came_and_went(p)]
    if os.environ.get("PEERS_VERBOSE"):
        print("#", len(theirs), len(files), programs, gaps)
    return "files %s, programs %s" % (lacking[:5] or "same", sorted(ran - programs) or "same")


for line in sys.stdin:
    name, command = line.rstrip("\n").split(": ", 1)
    try:
        print("%s: %s" % (name, compare(command)))
    except Failed as e:
        print("%s: %s" % (name, str(e).replace("\n", " ")))
