"""The rig of the comparators. Writes N pairs of outputs into A/ and B/, a file a pair:
values: one value changed (a bit, a sign, two swapped, NaN), written by the programs that people use: none may be called the same;
stamps: the same values, other times, durations, hosts, processes, temporary paths, ids: at most one in 1,000 may be called different.

usage: replay-mutations.py values|stamps N SEED OUT"""
import json
import os
import pickle
import random
import struct
import sys
import uuid

import numpy as np

KIND, N, SEED, OUT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
R = random.Random(SEED)
G = np.random.default_rng(SEED)
for side in "AB":
    os.makedirs(os.path.join(OUT, side))


# ---- values

def mutate(v):
    while True:
        w = v.copy()
        i, j = R.randrange(v.size), R.randrange(v.size)
        how = R.randrange(5)
        if how == 0:
            w.view(np.uint32 if v.itemsize == 4 else np.uint64)[i] ^= np.array(1 << R.randrange(8 * v.itemsize), dtype=np.uint32 if v.itemsize == 4 else np.uint64)
        elif how == 1:
            w[i] = -w[i]
        elif how == 2:
            w[i], w[j] = v[j], v[i]
        elif how == 3:
            w[i] = np.nan
        else:
            w = np.roll(w, 1)
        if not np.array_equal(v.view(np.uint8), w.view(np.uint8)) and not (np.isnan(v).any()):
            return w


def text(x):
    x = float(x)
    return "NaN" if x != x else "Infinity" if x == np.inf else "-Infinity" if x == -np.inf else repr(x)


def save_json(f, v):
    f.write(("{\"loss\": [%s], \"n\": %d}" % (", ".join(map(text, v)), v.size)).encode())


def save_jsonl(f, v):
    f.write("".join('{"step": %d, "loss": %s}\n' % (i, text(x)) for i, x in enumerate(v)).encode())


def save_csv(f, v):
    f.write(("step,loss\n" + "".join("%d,%s\n" % (i, text(x)) for i, x in enumerate(v))).encode())


def save_log(f, v):
    f.write("".join("step %d loss %s\n" % (i, text(x)) for i, x in enumerate(v)).encode())


def save_npy(f, v):
    np.save(f, v.reshape(4, -1))


def save_npz(f, v):
    R.choice([np.savez, np.savez_compressed])(f, w=v, b=np.arange(3))


def save_pickle(f, v):
    pickle.dump({"w": v, "list": v.tolist(), "n": 3}, f, protocol=R.randrange(6))


def save_joblib(f, v):
    import joblib
    joblib.dump({"w": v, "n": 3}, f)


def save_torch(f, v):
    import torch
    torch.save({"w": torch.from_numpy(v), "epoch": 3}, f)


def save_hdf5(f, v):
    import h5py
    with h5py.File(f, "w") as h:
        h.create_dataset("w", data=v, compression="gzip" if R.randrange(2) else None)


def save_safetensors(f, v):
    head = json.dumps({"w": {"dtype": "F32" if v.itemsize == 4 else "F64", "shape": [v.size], "data_offsets": [0, v.nbytes]}}).encode()
    f.write(struct.pack("<Q", len(head)) + head + v.tobytes())


def save_onnx(f, v):
    import onnx
    from onnx import helper, numpy_helper
    f.write(helper.make_model(helper.make_graph([], "g", [], [], [numpy_helper.from_array(v, "w")])).SerializeToString())


def save_sqlite(f, v):
    import sqlite3
    os.unlink(f.name)
    db = sqlite3.connect(f.name)
    db.execute("PRAGMA synchronous=OFF")
    db.execute("CREATE TABLE t (i INTEGER, x REAL, s TEXT)")
    db.executemany("INSERT INTO t VALUES (?,?,?)", [(i, float(x), text(x)) for i, x in enumerate(v)])
    db.commit()
    db.close()


def save_png(f, v):
    from PIL import Image
    Image.fromarray(v.view(np.uint8).reshape(v.itemsize, -1)).save(f, format="PNG")


def save_rds(f, v):  # a named list of one double vector, as saveRDS(…, compress = FALSE) writes it
    f.write(b"X\n" + struct.pack(">iii", 2, 0x40202, 0x20300) + struct.pack(">ii", 0x213, 1) + struct.pack(">ii", 14, v.size) + v.astype(">f8").tobytes()
            + struct.pack(">ii", 0x402, 1) + struct.pack(">ii", 9, 5) + b"names" + struct.pack(">iii", 16, 1, 9) + struct.pack(">i", 1) + b"w" + struct.pack(">i", 254))


VALUES = [("json", save_json), ("jsonl", save_jsonl), ("csv", save_csv), ("log", save_log), ("npy", save_npy), ("npz", save_npz), ("pkl", save_pickle),
          ("joblib", save_joblib), ("pt", save_torch), ("h5", save_hdf5), ("safetensors", save_safetensors), ("onnx", save_onnx), ("db", save_sqlite),
          ("png", save_png), ("rds", save_rds)]


def write_values():
    for n in range(N):
        ext, save = VALUES[n % len(VALUES)]
        v = (G.standard_normal(24) * 10.0 ** G.integers(-3, 4)).astype(np.float32 if R.randrange(2) else np.float64)
        if ext == "rds":
            v = v.astype(np.float64)
        state = R.getstate()
        for side, w in (("A", v), ("B", mutate(v))):
            after = R.getstate()
            R.setstate(state)  # the same choices for both
            with open(os.path.join(OUT, side, "%06d.%s" % (n, ext)), "wb") as f:
                save(f, w)
            R.setstate(after)


# ---- stamps

def moment():
    import time
    return time.gmtime(R.randrange(1600000000, 1900000000))


def stamp_times():
    import time
    form = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%a %b %d %H:%M:%S %Y", "%Y-%m-%dT%H:%M:%S+00:00", "%d.%m", "%a, %d %b %Y %H:%M:%S +0000", "%Y%m%d-%H%M%S", "%Y/%m/%d %H:%M:%S"]
    form.remove("%d.%m")
    return lambda k: time.strftime(form[k % len(form)], moment())


def log_line(k):
    now = stamp_times()
    host, pid = "node%02d" % R.randrange(99), R.randrange(2, 4000000)
    return ["%s INFO [%d] step 7 took %.3fs loss 0.125" % (now(k), pid, R.random() * 9),
            "%s,%03d root: started host=%s pid=%d run_id=%s" % (now(0), R.randrange(1000), host, pid, uuid.UUID(int=R.getrandbits(128))),
            "<Model object at 0x%x> saved to /tmp/tmp%08x/model.pt at %s" % (R.getrandbits(44) | 0x7f0000000000, R.getrandbits(32), now(k)),
            "epoch 3: 100%% 40/40 [%02d:%02d:%02d, %.2fit/s] loss 0.5" % (R.randrange(3), R.randrange(60), R.randrange(60), R.random() * 90 + 1),
            "elapsed: %.6f seconds, %d ms" % (R.random() * 100, R.randrange(9000)),
            "run %s done, wrote /home/u%d/out/metrics.json" % (uuid.UUID(int=R.getrandbits(128)), R.randrange(9))][k % 6]


def stamped_json(k):
    return json.dumps({"loss": [0.5, 0.25], "started": stamp_times()(k), "timestamp": 1.6e9 + R.random() * 1e8, "host": "node%d" % R.randrange(99), "pid": R.randrange(2, 99999),
                       "elapsed": R.random() * 99, "fit_time": R.random(), "run_id": "%016x" % R.getrandbits(64), "tmp": "/tmp/x%d/out" % R.randrange(999),
                       "created_at": stamp_times()(1), "wall_seconds": R.randrange(1, 999), "uuid": str(uuid.UUID(int=R.getrandbits(128)))}) + "\n"


def stamped_csv(k):
    return "epoch,loss,time,seconds\n" + "".join("%d,0.5,\"%s\",%.4f\n" % (i, stamp_times()(k), R.random() * 9) for i in range(3))


STAMPS = [("log", log_line), ("json", stamped_json), ("csv", stamped_csv), ("txt", lambda k: "\n".join(log_line(i) for i in range(6)))]


def write_stamps():
    for n in range(N):
        ext, make = STAMPS[n % len(STAMPS)]
        k = R.randrange(1000)
        for side in "AB":
            open(os.path.join(OUT, side, "%06d.%s" % (n, ext)), "w").write(make(k) + "\n")


(write_values if KIND == "values" else write_stamps)()
