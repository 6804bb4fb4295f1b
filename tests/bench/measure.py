"""Paired measurements: what every section of `make bench` uses."""
import ctypes
import os
import platform
import resource
import shutil
import signal
import statistics
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
PYTHON = "/usr/bin/python3"
PR_SET_CHILD_SUBREAPER = 36
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Bench:
    """One run of the benchmark: where the programs are, a folder to work in, how many pairs, and which goals were missed."""

    def __init__(self, programs, folder, rounds, peer_rounds, only, without=()):
        self.programs, self.folder, self.rounds, self.peer_rounds, self.only, self.without = programs, folder, rounds, peer_rounds, only, without
        self.missed = []
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # for wait_for_orphans()

    def program(self, name):
        return os.path.join(self.programs, name)

    def wants(self, name):
        return name not in self.without and (not self.only or name in self.only)

    def goal(self, name, value, at_most):
        """Notes a missed goal; returns the goal as a cell of a table."""
        if value > at_most:
            self.missed.append("%s: %.3g, the goal is %.3g" % (name, value, at_most))
        return "≤ %.4g" % at_most


def end_stopped():
    """A tracer that died can leave a process stopped for ever: reprozip has done so to make."""
    for pid in open("/proc/self/task/%d/children" % os.getpid()).read().split():
        if open("/proc/%s/stat" % pid).read().rpartition(")")[2].split()[0] == "T":
            os.kill(int(pid), signal.SIGKILL)


def wait_for_orphans():
    """They have become ours: joblib's resource tracker, for one, outlives the program by 30 ms."""
    limit = threading.Timer(60, end_stopped)
    limit.start()
    try:
        while True:
            os.wait()
    except ChildProcessError:
        pass
    limit.cancel()


def run(command, folder, leftovers=(), **options):
    """Wall and CPU seconds until the last process of the tree has ended (who traces a tree waits for all of it), and exit status of
    one run; what an earlier run left is removed before."""
    for leftover in leftovers:
        path = os.path.join(folder, leftover)
        shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else os.path.exists(path) and os.remove(path)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    status = subprocess.run(command, cwd=folder, timeout=1200, **{**QUIET, **options}).returncode
    wait_for_orphans()
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, status


WATCH = """import resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"""


def watched(command, folder):
    """Seconds of one run that must end well, and the largest resident MiB of a process of it. A small process starts it: the kernel
    counts what the starting one had, too."""
    seconds, mib = subprocess.run([PYTHON, "-c", WATCH, *command], cwd=folder, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), float(mib)


def spread(values, digits=2):
    """Minimum / median / maximum, as a cell of a table."""
    return "%.*f / **%.*f** / %.*f" % (digits, min(values), digits, statistics.median(values), digits, max(values))


def table(head, rows):
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])


def machine():
    cpu = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown CPU")
    memory = int(next(l.split()[1] for l in open("/proc/meminfo") if l.startswith("MemTotal"))) // (1 << 20)
    virtual = "virtual machine" if " hypervisor " in open("/proc/cpuinfo").read() else "bare machine"
    return "%d cores of %s, %d GiB, %s, Linux %s" % (os.cpu_count(), cpu, memory, virtual, platform.release().split("-")[0])


def fdatasync_ms(folder):
    """Median milliseconds of a 4 KiB append and fdatasync on the disk that holds folder."""
    fd = os.open(os.path.join(folder, "sync"), os.O_CREAT | os.O_WRONLY)
    times = []
    for _ in range(100):
        started = time.perf_counter()
        os.write(fd, b"x" * 4096)
        os.fdatasync(fd)
        times.append(time.perf_counter() - started)
    os.close(fd)
    return statistics.median(times) * 1000
