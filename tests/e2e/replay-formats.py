"""Writes pairs of outputs in each format that hps-replay compares, by the programs that people use where Debian has them, else by a
writer of its own that follows the published description (marked "own"). Below OUT, for each NAME: a.EXT, same.EXT (the same values,
other bytes) and other.EXT (one value changed); lines "NAME EXT FORMAT PLACE WAS IS" go to stdout.

usage: replay-formats.py OUT [NAME…]"""
import json
import os
import struct
import sys

import numpy as np

OUT = sys.argv[1]
WEIGHTS = np.linspace(-1, 1, 60, dtype=np.float32).reshape(6, 10)
CHANGED = WEIGHTS.copy()
CHANGED[2, 3] += 0.125
TABLE = []


def output(name, ext, fmt, place="", was="", now=""):
    """Registers a writer: write(path, weights, variant), variant 0 or 1 asks for other bytes."""
    def add(write):
        TABLE.append((name, ext, fmt, place, was, now, write))
        return write
    return add


def shown(x):
    return np.format_float_positional(np.float64(x), trim="-", unique=True)


W23, C23 = shown(WEIGHTS[2, 3]), shown(CHANGED[2, 3])


class Model:
    def __init__(self, weights, order):
        self.coef = weights
        names = ["alpha", "beta", "gamma"]
        self.tags = set(names if not order else reversed(names))
        self.params = dict(sorted({"lr": 0.1, "depth": 3, "big": 2 ** 80, "none": None, "ok": True}.items(), reverse=bool(order)))
        self.self = self


def pickled(protocol):
    def write(path, weights, variant):
        import pickle
        with open(path, "wb") as f:
            pickle.dump(Model(weights if not variant else np.asfortranarray(weights), variant), f, protocol=protocol)
    return write


for p in range(6):
    output(f"pickle{p}", "pkl", "pickle", "@coef[2,3]", W23, C23)(pickled(p))


@output("joblib", "joblib", "pickle", "/w[2,3]", W23, C23)
def write_joblib(path, weights, variant):
    import joblib
    items = [("w", weights if not variant else np.asfortranarray(weights)), ("n", 3)]
    joblib.dump(dict(items if not variant else items[::-1]), path)


@output("sklearn", "pkl", "pickle", "@coef_[0]")
def write_sklearn(path, weights, variant):
    import pickle
    from sklearn.linear_model import LinearRegression
    m = LinearRegression().fit(np.eye(3), [1, 2, 3 + weights[2, 3]])
    m.note = {"a": 1, "b": 2} if not variant else {"b": 2, "a": 1}
    pickle.dump(m, open(path, "wb"))


@output("torch", "pt", "torch", "/layer.weight[2,3]", W23, C23)
def write_torch(path, weights, variant):
    import torch
    w = torch.from_numpy(weights.copy())
    items = [("layer.weight", w if not variant else w.t().contiguous().t()), ("half", w.half()), ("bf", w.bfloat16()), ("tied", w[0]),
             ("param", torch.nn.Parameter(w[1:3].clone())), ("long", torch.arange(5)), ("epoch", 3)]
    torch.save(dict(items if not variant else items[::-1]), path)


@output("torchmodel", "pth", "torch", "/weight[0,0]")
def write_torch_state(path, weights, variant):
    import torch
    torch.manual_seed(1)
    m = torch.nn.Linear(3, 2)
    with torch.no_grad():
        m.weight[0, 0] = float(weights[2, 3])
    torch.save(m.state_dict(), path, pickle_protocol=2 if not variant else 4)


@output("safetensors", "safetensors", "safetensors", "w[2,3]", W23, C23)
def write_safetensors(path, weights, variant):
    """own"""
    tensors = [("w", "F32", weights), ("i", "I64", np.arange(4)), ("b", "BOOL", np.array([True, False]))]
    header, body = {}, b""
    for name, dtype, array in tensors if not variant else tensors[::-1]:
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + body)


def main():
    wanted = sys.argv[2:]
    for name, ext, fmt, place, was, now, write in TABLE:
        if wanted and name not in wanted:
            continue
        folder = os.path.join(OUT, name)
        os.makedirs(folder)
        write(os.path.join(folder, "a." + ext), WEIGHTS, 0)
        write(os.path.join(folder, "same." + ext), WEIGHTS, 1)
        write(os.path.join(folder, "other." + ext), CHANGED, 0)
        print("|".join([name, ext, fmt, place, was, now]))


main()
