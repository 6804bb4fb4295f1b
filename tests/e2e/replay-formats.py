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


@output("xgboost", "json", "json")
@output("xgboostubj", "ubj", "ubjson")
def write_xgboost(path, weights, variant):
    import xgboost
    x = np.linspace(0, 1, 200).reshape(100, 2)
    m = xgboost.train({"max_depth": 2, "nthread": 1, "seed": 1}, xgboost.DMatrix(x, x[:, 0] * (3 + float(weights[2, 3]))), 1)
    m.save_model(path)
    if variant and path.endswith(".json"):
        json.dump(json.load(open(path)), open(path, "w"), indent=1, sort_keys=True)
    elif variant:  # an int64 count written as int32: the same array by another spelling of its length
        raw = open(path, "rb").read()
        at = raw.index(b"#L", raw.index(b"[$"))
        open(path, "wb").write(raw[:at] + b"#l" + raw[at + 6:])


@output("lightgbm", "txt", "lightgbm", "Tree=0/leaf_value[1]", "0.25", "0.26")
def write_lightgbm(path, weights, variant):
    """own: a small model in the text format, its data in another place the second time"""
    change = 0 if weights[2, 3] == WEIGHTS[2, 3] else 1
    open(path, "w").write("tree\nversion=v3\nnum_class=1\nfeature_names=a b\nfeature_infos=[0:1] [0:1]\n\nTree=0\nnum_leaves=2\nsplit_gain=1.5\n"
                          "threshold=0.5\nleaf_value=-0.125 %s\nshrinkage=0.1\n\nend of trees\n\nparameters:\n[boosting: gbdt]\n[data: %s]\n"
                          "[learning_rate: 0.1]\n\nend of parameters\n" % ("0.25" if not change else "0.26", "/a/train" if not variant else "/b/train"))


@output("sqlite", "db", "sqlite", "trials[2]/value")
def write_sqlite(path, weights, variant):
    import sqlite3
    db = sqlite3.connect(path)
    db.execute("PRAGMA page_size=%d" % (4096 if not variant else 1024))
    if variant:
        db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE trials (number INTEGER, name TEXT, value REAL, raw BLOB, empty)")
    rows = [(i, "n%d" % i, float(weights[i, 3]), bytes([i]), None) for i in range(6)]
    db.executemany("INSERT INTO trials VALUES (?,?,?,?,?)", rows if not variant else rows[::-1])
    db.execute("CREATE INDEX by_name ON trials (name)")
    db.commit()
    db.close()


@output("hdf5", "h5", "hdf5", "/model/w[2,3]", W23, C23)
def write_hdf5(path, weights, variant):
    import h5py
    with h5py.File(path, "w", libver="earliest" if not variant else "latest") as f:
        g = f.create_group("model", track_order=bool(variant))
        pack = {} if not variant else {"compression": "gzip", "chunks": (2, 5)}
        for name in ["w", "again"] if not variant else ["again", "w"]:
            g.create_dataset(name, data=weights if name == "w" else np.arange(5), **(pack if name == "w" else {}))
        g.attrs["names"] = ["a", "b"]
        g.attrs["epochs"] = 3
        f["half"] = np.arange(3, dtype=np.float16)
        f["flags"] = np.array([True, False])
        f["text"] = "hello"
        f["pairs"] = np.array([(1, 2.5)], dtype=[("i", "i4"), ("x", "f8")])
        f["link"] = h5py.SoftLink("/model/w")


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, wire, data):
    if wire == 0:
        return varint(number << 3) + varint(data)
    return varint(number << 3 | wire) + (varint(len(data)) if wire == 2 else b"") + data


def crc32c(data):
    c = 0xffffffff
    for b in data:
        c ^= b
        for _ in range(8):
            c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
    c ^= 0xffffffff
    return ((c >> 15 | c << 17) + 0xa282ead8) & 0xffffffff


@output("events", "tfevents", "events", "event 4/summary/value/loss/simple_value")
def write_events(path, weights, variant):
    """own: TFRecord frames of Event messages"""
    out = b""
    events = [field(3, 2, b"brain.Event:2")]
    for i in range(5):
        value = field(1, 2, b"loss") + field(2, 5, struct.pack("<f", weights[2, i]))
        tensor = field(1, 0, 1) + field(2, 2, field(2, 2, field(1, 0, 2))) + field(4, 2, struct.pack("<ff", i, 0.5))
        events.append(field(2, 0, i) + field(5, 2, field(1, 2, value) + field(1, 2, field(1, 2, b"pair") + field(8, 2, tensor))))
    for i, event in enumerate(events):
        data = field(1, 1, struct.pack("<d", 1.7e9 + i + 1e6 * variant)) + event
        head = struct.pack("<Q", len(data))
        out += head + struct.pack("<I", crc32c(head)) + data + struct.pack("<I", crc32c(data))
    open(path, "wb").write(out)


@output("png", "png", "png", "pixels[2,3,0]")
def write_png(path, weights, variant):
    from PIL import Image, PngImagePlugin
    note = PngImagePlugin.PngInfo()
    note.add_text("Software", "writer %d" % variant)
    note.add_text("Title", "curve")
    pixels = ((weights + 1) * 100).astype(np.uint8)
    picture = Image.fromarray(np.stack([pixels, pixels, 255 - pixels], axis=-1))
    picture.save(path, pnginfo=note, compress_level=1 if not variant else 9)


@output("onnx", "onnx", "onnx", "/graph/initializer/w/raw_data[2,3]", W23, C23)
def write_onnx(path, weights, variant):
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    initializers = [numpy_helper.from_array(weights, "w"), helper.make_tensor("b", TensorProto.FLOAT, [2], [0.5, 1.5])]
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], alpha=0.5)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 6])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])], initializers if not variant else initializers[::-1])
    onnx.save(helper.make_model(graph, producer_name="writer", producer_version=str(variant)), path)


def thrift(fields):
    """A struct of the compact protocol: {number: (type, value)}; types i, s, S (struct), L (list of structs), I (list of i32), N (list of strings)."""
    def zigzag(n):
        return varint((n << 1 ^ n >> 63) & 0xffffffffffffffff)

    def head(n, t):
        return bytes([n << 4 | t]) if n < 15 else bytes([0xf0 | t]) + varint(n)
    out, last = b"", 0
    for number, (kind, value) in sorted(fields.items()):
        code = {"i": 6, "s": 8, "S": 12, "L": 9, "I": 9, "N": 9}[kind]
        out += bytes([(number - last) << 4 | code])
        last = number
        if kind == "i":
            out += zigzag(value)
        elif kind == "s":
            out += varint(len(value)) + value
        elif kind == "S":
            out += value
        elif kind == "L":
            out += head(len(value), 12) + b"".join(value)
        elif kind == "I":
            out += head(len(value), 5) + b"".join(zigzag(v) for v in value)
        else:
            out += head(len(value), 8) + b"".join(varint(len(v)) + v for v in value)
    return out + b"\0"


@output("parquet", "parquet", "parquet", "w[23]", W23, C23)
def write_parquet(path, weights, variant):
    """own: first plain, unpacked, one row group; then by dictionary, zstd and snappy, in two row groups"""
    import snappy
    import zstandard
    w = weights.ravel()
    names = [b"n%d" % (i % 7) for i in range(60)]
    maybe = [None if i % 3 == 0 else i for i in range(60)]
    columns = [(b"w", 4, w, False), (b"name", 6, names, False), (b"maybe", 2, maybe, True)]
    out, groups = b"PAR1", []

    def plain(kind, values):
        if kind == 6:
            return b"".join(struct.pack("<I", len(v)) + v for v in values)
        return b"".join(struct.pack({4: "<f", 2: "<q"}[kind], v) for v in values)

    def levels(values):
        raw = b"".join(varint(1 << 1) + bytes([v is not None]) for v in values)  # runs of one
        return struct.pack("<I", len(raw)) + raw
    for part in [range(60)] if not variant else [range(25), range(25, 60)]:
        chunks = []
        for name, kind, values, optional in columns:
            values = [values[i] for i in part]
            present = [v for v in values if v is not None]
            codec = 0 if not variant else {4: 6, 6: 1, 2: 6}[kind]
            pack = {0: bytes, 1: snappy.compress, 6: zstandard.ZstdCompressor().compress}[codec]
            pages, dictionary_at = b"", None
            body = levels(values) if optional else b""
            encoding = 0
            if variant and kind == 6:
                words = sorted(set(present))
                raw = plain(kind, words)
                packed = pack(raw)
                pages = thrift({1: ("i", 2), 2: ("i", len(raw)), 3: ("i", len(packed)), 7: ("S", thrift({1: ("i", len(words)), 2: ("i", 0)}))}) + packed
                dictionary_at = len(out)
                index = [words.index(v) for v in present] + [0] * (-len(present) % 8)
                bits = sum(v << 3 * i for i, v in enumerate(index))
                body += bytes([3]) + varint(len(index) // 8 << 1 | 1) + bits.to_bytes(len(index) * 3 // 8, "little")
                encoding = 8
            else:
                body += plain(kind, present)
            packed = pack(body)
            data_at = len(out) + len(pages)
            pages += thrift({1: ("i", 0), 2: ("i", len(body)), 3: ("i", len(packed)),
                             5: ("S", thrift({1: ("i", len(values)), 2: ("i", encoding), 3: ("i", 3), 4: ("i", 3)}))}) + packed
            meta = {1: ("i", kind), 2: ("I", [0, 3]), 3: ("N", [name]), 4: ("i", codec), 5: ("i", len(values)), 6: ("i", len(pages)), 7: ("i", len(pages)), 9: ("i", data_at)}
            if dictionary_at:
                meta[11] = ("i", dictionary_at)
            chunks.append(thrift({2: ("i", len(out)), 3: ("S", thrift(meta))}))
            out += pages
        groups.append(thrift({1: ("L", chunks), 2: ("i", 0), 3: ("i", len(part))}))
    schema = [thrift({4: ("s", b"schema"), 5: ("i", 3)})] + [thrift({1: ("i", k), 3: ("i", int(o)), 4: ("s", n)}) for n, k, _, o in columns]
    footer = thrift({1: ("i", 1), 2: ("L", schema), 3: ("i", 60), 4: ("L", groups), 6: ("s", b"writer %d" % variant)})
    open(path, "wb").write(out + footer + struct.pack("<I", len(footer)) + b"PAR1")


@output("rds", "rds", "rds", "[[1]][23]")
def write_rds(path, weights, variant):
    import subprocess
    code = ("f <- compiler::cmpfun(function(x, k = 2) { y <- 0; for (i in 1:3) y <- y + x * k; y }); e <- new.env(); e$a <- 1:3; "
            "saveRDS(list(w = c(%s), frame = data.frame(a = 1:3, b = factor(c('u', 'v', 'u'))), f = f, e = e, fm = y ~ x + log(z), na = c(1, NA, NaN), s = c('a', NA), n = NULL,"
            " cplx = 1+2i, seq = 1:100000, call = quote(g(h(1), b = 2))), %s, compress = %s)"
            % (",".join(repr(float(v)) for v in weights.ravel()), json.dumps(path), "FALSE" if variant else "TRUE"))
    subprocess.run(["Rscript", "--vanilla", "-e", code], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@output("rdslm", "rds", "rds")
def write_rds_model(path, weights, variant):
    import subprocess
    code = ("set.seed(3); d <- data.frame(x = rnorm(50)); d$y <- d$x * %r + rnorm(50); saveRDS(glm(I(y > 0) ~ x, binomial, d), %s, compress = %s)"
            % (float(weights[2, 3]), json.dumps(path), "FALSE" if variant else "TRUE"))
    subprocess.run(["Rscript", "--vanilla", "-e", code], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@output("pyc", "pyc", "pyc", "code")
def write_pyc(path, weights, variant):
    import py_compile
    source = os.path.join(os.path.dirname(path), "m.py")
    open(source, "w").write("x = %r\n" % float(weights[2, 3]))
    os.utime(source, (1.7e9 + variant, 1.7e9 + variant))
    py_compile.compile(source, path, dfile="m.py")


def write_gzip(inside):
    def write(path, weights, variant):
        import gzip
        with open(path, "wb") as f, gzip.GzipFile("b" if variant else "a", "wb", 9 if variant else 1, f, mtime=1.7e9 + variant) as g:
            inside(g, weights)
    return write


output("gzip-npy", "npy.gz", "gzip", "[2,3]", W23, C23)(write_gzip(lambda g, w: np.save(g, w)))
output("gzip-text", "log.gz", "gzip", "line 2")(write_gzip(lambda g, w: g.write(b"epochs 3\nloss %r\n" % float(w[2, 3]))))
output("gzip-json", "json.gz", "gzip", "/w")(write_gzip(lambda g, w: g.write(json.dumps({"w": float(w[2, 3])}).encode())))


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
