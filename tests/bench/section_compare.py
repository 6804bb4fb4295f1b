"""What comparing two results costs: tensors from mapped files, in little memory; beside diffoscope on the same files when Debian has it."""
import os
import shutil
import struct
import json

import numpy as np

from measure import run, spread, table, watched

TITLE = "Comparing"
GIGABYTES_A_SECOND = 2
MEMORY_MIB = 64
ELEMENTS = 128 << 20


def write(folder):
    """A pair of 512 MiB files in each format: one element in a thousand differs in its last bits, one by more."""
    g = np.random.default_rng(1)
    a = g.standard_normal(ELEMENTS, dtype=np.float32)
    b = a.copy()
    b[::1000] *= np.float32(1.0000001)
    b[77] += np.float32(1e-3)
    for name, x in (("a", a), ("b", b)):
        np.save(os.path.join(folder, name + ".npy"), x)
        head = json.dumps({"w": {"dtype": "F32", "shape": [x.size], "data_offsets": [0, x.nbytes]}}).encode()
        with open(os.path.join(folder, name + ".safetensors"), "wb") as f:
            f.write(struct.pack("<Q", len(head)) + head)
            x.tofile(f)


def section(bench, say):
    if not bench.wants("compare"):
        return None
    write(bench.folder)
    rows = []
    for kind in ("npy", "safetensors"):
        pair = ["a." + kind, "b." + kind]
        size = sum(os.path.getsize(os.path.join(bench.folder, name)) for name in pair)
        command = [bench.program("hps-replay"), "compare", "--rtol", "1e-3", *pair]
        speeds = [size / run(command, bench.folder)[1] / 1e9 for _ in range(bench.rounds)]
        memory = watched(command, bench.folder)[1]
        bench.goal("comparing %s: seconds of CPU for a gigabyte" % kind, 1 / sorted(speeds)[len(speeds) // 2], 1 / GIGABYTES_A_SECOND)
        bench.goal("comparing %s: memory in MiB" % kind, memory, MEMORY_MIB)
        peer = "–"
        if shutil.which("diffoscope"):
            small = [name + ".small" for name in pair]
            for name in pair:
                with open(os.path.join(bench.folder, name), "rb") as f, open(os.path.join(bench.folder, name + ".small"), "wb") as out:
                    out.write(f.read(1 << 20))
            wall = run(["diffoscope", *small], bench.folder)[0]
            peer = "%.3f" % (2 * (1 << 20) / wall / 1e9)
        rows.append([kind, "%d MiB" % (size >> 20), spread(speeds), "≥ %g" % GIGABYTES_A_SECOND, "%.0f MiB" % memory, "≤ %d MiB" % MEMORY_MIB, peer])
        say("compare %s: %s GB/s, %.0f MiB" % (kind, spread(speeds), memory))
    return ("Two float32 tensors, bytes of both files for each second of CPU, decoder, confined process and tolerance included. diffoscope (1 MiB of each, wall time) "
            "compares bytes, not numbers.\n\n" + table(["format", "bytes", "GB/s", "goal", "memory", "goal", "diffoscope, GB/s"], rows))
