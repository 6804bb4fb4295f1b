"""Bundles that must not be unpacked, made from an unpacked one; each changes one thing of a bundle that holds, which is good.hps beside them.

replay-bundles.py make UNPACKED OUT HOST   writes them, prints their names
replay-bundles.py believe FILE INTO TOP    an unpacker that believes what an archive says, for the negative control; it stays below TOP
replay-bundles.py run OUT INTO HOST        unpacks each into INTO, prints: name, status, seconds of CPU, KiB of memory, what was left, what changed in HOST

HOST is a folder that stands for the machine: names and links point into it, the programs run in it."""
import gzip, hashlib, io, json, lzma, os, random, shutil, stat, struct, subprocess, sys, tarfile
import zstandard


def tree(top):
    """All that a folder is: names, kinds, modes, times, contents."""
    h = hashlib.sha256()
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in [""] + sorted(names + [f for f in folders if os.path.islink(os.path.join(folder, f))]):
            path = os.path.join(folder, name) if name else folder
            s = os.lstat(path)
            h.update(repr((path, s.st_mode, s.st_uid, s.st_gid, s.st_ino, s.st_nlink, s.st_size, s.st_mtime_ns, s.st_ctime_ns)).encode())
            if stat.S_ISREG(s.st_mode):
                h.update(open(path, "rb").read())
    return h.hexdigest()


def run(out, into, host):
    for name in sorted(n[:-4] for n in os.listdir(out) if n.endswith(".hps")):
        before = tree(host)
        child = subprocess.Popen(["hps-replay", "unpack", os.path.join(out, name + ".hps"), os.path.join(into, "x")], cwd=host, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ, HOME=host, TMPDIR=os.path.join(host, "tmp")))
        _, status, used = os.wait4(child.pid, 0)
        left = sorted(os.listdir(into))
        for l in left:
            shutil.rmtree(os.path.join(into, l))
        print(name, os.waitstatus_to_exitcode(status), "%.2f" % (used.ru_utime + used.ru_stime), used.ru_maxrss, ",".join(left) or "-", "-" if tree(host) == before else "CHANGED")


def believe(file, into, top):
    os.mkdir(into)
    with tarfile.open(file) as t:
        for m in t:
            path = os.path.normpath(os.path.join(into, m.name))
            if m.isreg() and path.startswith(top + "/") and not os.path.isdir(path):
                os.makedirs(os.path.dirname(path), exist_ok=True)
                open(path, "wb").write(t.extractfile(m).read())


if sys.argv[1] != "make":
    {"run": run, "believe": believe}[sys.argv[1]](*sys.argv[2:])
    sys.exit()
source, out, host = sys.argv[2:]
R = random.Random(20261126)
files = []
for top in ("evidence", "objects"):
    for folder, _, names in sorted(os.walk(os.path.join(source, top))):
        for name in sorted(names):
            path = os.path.join(folder, name)
            files.append((os.path.relpath(path, source), open(path, "rb").read()))
statement = json.load(open(os.path.join(source, "evidence/entry.statement.json")))
manifests = {d["digest"]["sha256"] for d in statement["subject"] if d["name"] == "products"}
manifests |= {d["digest"]["sha256"] for d in statement["predicate"]["buildDefinition"]["resolvedDependencies"] if "mediaType" in d}
digest = lambda data: hashlib.sha256(data).hexdigest()
order = lambda f: (0 if f[0].startswith("evidence/") else 1 if digest(f[1]) in manifests else 2, f[0])
files.sort(key=order)
entry = lambda name, data: {"name": name, "size": len(data), "sha256": digest(data)}


def listing(these):
    return json.dumps({"schema": "hps.bundle/1", "trial": "0" * 64, "files": [entry(*f) for f in these]}).encode()


def member(t, name, data, kind=tarfile.REGTYPE, link="", mode=0o444):
    i = tarfile.TarInfo(name)
    i.type, i.linkname, i.mode = kind, link, mode
    i.size = len(data) if kind == tarfile.REGTYPE else 0
    t.addfile(i, io.BytesIO(data) if i.size else None)


def write(name, these, the_list=None, extra=lambda t: None, before=lambda t: None):
    with tarfile.open(os.path.join(out, name + ".hps"), "w", format=tarfile.GNU_FORMAT) as t:
        before(t)
        if the_list is not False:
            member(t, "bundle.json", listing(these) if the_list is None else the_list)
        for f in these:
            member(t, *f)
        extra(t)
    if name != "good":
        print(name)


def changed(i, name=None, data=None):
    these = list(files)
    these[i] = (name or these[i][0], these[i][1] if data is None else data)
    return these


first = next(i for i, f in enumerate(files) if f[0].startswith("objects/"))
last = len(files) - 1
statement_at = next(i for i, f in enumerate(files) if f[0] == "evidence/entry.statement.json")
evil = b"evil\n"
evil_object = "objects/%s/%s" % (digest(evil)[:2], digest(evil)[2:])
write("good", files)
write("no-list", files, False)
write("list-is-no-json", files, b"{")
write("list-of-another-schema", files, listing(files).replace(b"hps.bundle/1", b"hps.bundle/9"))
write("list-comes-late", files, False, lambda t: member(t, "bundle.json", listing(files)))
write("list-twice", files, None, lambda t: member(t, "bundle.json", listing(files)))
for n, bad in enumerate(["../evil", "/etc/evil", "evidence/../../evil", "evidence/.hidden", "evidence/a/b", "evidence/", "objects/../evil", "objects/ab/..", "seed/x",
                         "./seed", "evil", "objects/" + "A" * 2 + "/" + "b" * 62, "evidence/x\n", "evidence/-rf\x1b[2J", "evidence/" + "n" * 300, host + "/evil", "objects", "evidence", "objects/ab/" + "g" * 62,
                         "objects/ab/" + "a" * 61, "objects/abc/" + "a" * 61, "objects/ab/" + "a" * 62 + "/", "evidence\\..\\evil", "evidence/%2e%2e", "evidence/\u202e", "bundle.json", "",
                         "objects//ab/" + "a" * 62, ".", "..", "seed/../evil", "evidence/entry.sig/x", "evidence/\xc3\xa9"]):
    write(f"name-{n}", files + [(bad, evil)])
    write(f"name-unlisted-{n}", files, None, lambda t, bad=bad: member(t, bad, evil))
write("name-of-another-hash", files + [("objects/00/" + "0" * 62, evil)])
write("object-that-no-record-names", files + [(evil_object, evil)])
write("object-before-the-evidence", [files[first]] + files[:first] + files[first + 1:])
write("content-before-its-manifest", files[:first] + [files[last]] + files[first:last])
write("evidence-after-objects", files + [("evidence/more.txt", evil)])
write("object-changed", changed(last, data=files[last][1][:-1] + b"?"), listing(files))
write("object-longer", changed(last, data=files[last][1] + b"?"), listing(files))
write("object-shorter", changed(last, data=files[last][1][:-1]), listing(files))
write("object-missing", files[:last], listing(files))
write("object-twice", files + [files[last]], listing(files))
write("listed-twice", files, listing(files + [files[last]]))
write("statement-changed", changed(statement_at, data=files[statement_at][1].replace(b'"complete"', b'"failed"  ')))
for name in ("entry.sig", "entry.pae", "entry.leaf", "entry.envelope.json", "entry.sigstore.json", "begin.statement.json", "begin.pae", "checkpoint", "entry.tlog-proof"):
    i = next(i for i, f in enumerate(files) if f[0] == "evidence/" + name)
    data = bytearray(files[i][1])
    data[len(data) // 2] ^= 1
    write("evidence-" + name, changed(i, data=bytes(data)))
    write("evidence-without-" + name, files[:i] + files[i + 1:])
    for how, changed_data in (("cut", files[i][1][: len(files[i][1]) // 2]), ("empty", b""), ("longer", files[i][1] + b" x"), ("swapped", files[statement_at][1][:-1])):
        write(f"evidence-{how}-{name}", changed(i, data=changed_data))

# ---- the list
good_list = json.loads(listing(files))
for name, size in (("negative", -1), ("huge", 2**62), ("no-number", "1"), ("fraction", 1.5), ("null", None), ("list", []), ("beyond", 2**30 + 1), ("boolean", True)):
    sizes = json.loads(listing(files))
    sizes["files"][last]["size"] = size
    write("size-" + name, files, json.dumps(sizes).encode())
text = listing(files)
for name, bad in (("deep", b"[" * 100000 + b"]" * 100000), ("deep-objects", b'{"a":' * 50000 + b"1" + b"}" * 50000), ("twice-the-same-name", text.replace(b'"schema"', b'"files": [], "schema"', 1)),
                  ("no-utf8", text.replace(b"hps.bundle", b"\xff\xfe.bundle")), ("nul-in-a-name", text.replace(b"evidence/", b"evidence\\u0000/", 1)), ("bom", b"\xef\xbb\xbf" + text),
                  ("not-a-number", text.replace(b'"size": ', b'"size": NaN', 1)), ("empty", b""), ("an-array", b"[" + text + b"]"), ("two-values", text + text), ("no-files", b'{"schema":"hps.bundle/1"}'),
                  ("files-an-object", b'{"schema":"hps.bundle/1","files":{}}'), ("files-of-numbers", b'{"schema":"hps.bundle/1","files":[1,2,3]}'), ("files-empty", b'{"schema":"hps.bundle/1","files":[]}'),
                  ("no-schema", text.replace(b'"schema"', b'"scheme"')), ("schema-a-number", text.replace(b'"hps.bundle/1"', b"1")), ("cut", text[:-1]), ("upper-case-hash", text.replace(digest(files[0][1]).encode(), digest(files[0][1]).upper().encode())),
                  ("short-hash", text.replace(digest(files[0][1]).encode(), digest(files[0][1])[:-1].encode())), ("another-hash", text.replace(digest(files[0][1]).encode(), b"0" * 64)),
                  ("million-arrays", b'{"schema":"hps.bundle/1","files":[' + b"[]," * 300000 + b"[]]}"), ("million-members", b'{"schema":"hps.bundle/1","files":[{' + b",".join(b'"%d":1' % i for i in range(100000)) + b"}]}"),
                  ("hundred-evidence", json.dumps({"schema": "hps.bundle/1", "files": good_list["files"] + [{"name": "evidence/e%d" % i, "size": 0, "sha256": digest(b"")} for i in range(100)]}).encode())):
    write("list-" + name, files, bad)
write("list-evidence-of-a-gigabyte", files, json.dumps({"schema": "hps.bundle/1", "files": good_list["files"] + [{"name": "evidence/e", "size": 2**30, "sha256": "0" * 64}]}).encode())
many = {"schema": "hps.bundle/1", "files": [entry(*f) for f in files] + [{"name": "objects/%02x/%062x" % (i, i), "size": 2**30, "sha256": "%02x%062x" % (i, i)} for i in range(32)]}
write("more-bytes-than-the-limit", files, json.dumps(many).encode())

# ---- what is no plain file
kinds = (("symlink", tarfile.SYMTYPE), ("hardlink", tarfile.LNKTYPE), ("device", tarfile.CHRTYPE), ("disk", tarfile.BLKTYPE), ("fifo", tarfile.FIFOTYPE), ("directory", tarfile.DIRTYPE))
for name, kind in kinds:
    write(name + "-for-an-object", files[:last], listing(files), lambda t, kind=kind: member(t, files[last][0], b"", kind, "/etc/passwd", 0o4777))
    write(name + "-for-the-list", files, False, lambda t: None, lambda t, kind=kind: member(t, "bundle.json", b"", kind, host + "/etc/passwd"))
    write(name + "-in-addition", files, None, lambda t, kind=kind: member(t, "evidence/more", b"", kind, host + "/etc/passwd"))
    write(name + "-over-evidence", files, None, lambda t: None, lambda t, kind=kind: member(t, "evidence", b"", kind, host, 0o777))
    write(name + "-over-an-object", files, None, lambda t, kind=kind: member(t, files[last][0], b"", kind, host + "/etc/passwd"))
for name, to in (("up", "../../.."), ("absolute", host), ("itself", "objects"), ("root", "/")):
    write(f"two-steps-{name}", files, None, lambda t: None, lambda t, to=to: (member(t, "objects", b"", tarfile.SYMTYPE, to), member(t, "objects/evil", evil)))

# ---- headers
def raw(name, edit, at=None):
    """The plain archive with one header changed: of member `at`, else of the last one."""
    data = bytearray(open(os.path.join(out, "good.hps"), "rb").read())
    with tarfile.open(os.path.join(out, "good.hps")) as t:
        members = t.getmembers()
    offset = (members[-1] if at is None else members[at]).offset
    head = data[offset : offset + 512]
    edit(head)
    if edit is not bad_sum:
        head[148:156] = b" " * 8
        head[148:156] = b"%06o\0 " % sum(head)
    data[offset : offset + 512] = head
    open(os.path.join(out, name + ".hps"), "wb").write(data)
    print(name)


def field(start, value):
    def edit(head):
        if start == 345:
            head[257:265] = b"ustar\00000"  # GNU's format has no prefix
        head[start : start + len(value)] = value
    return edit


def bad_sum(head):
    head[148:156] = b"000001\0 "


for name, value in (("negative", b"\xff" * 12), ("2-to-63", b"\x80" + struct.pack(">3xQ", 2**63)), ("2-to-62", b"\x80" + struct.pack(">3xQ", 2**62)), ("octal-most", b"77777777777\0"), ("no-octal", b"99999999999\0"),
                    ("zero", b"00000000000\0"), ("words", b"hello world\0")):
    raw("header-size-" + name, field(124, value))
    raw("header-size-of-the-list-" + name, field(124, value), 0)
raw("header-sum", bad_sum)
raw("header-sum-of-the-list", bad_sum, 0)
for name, value in (("empty-name", b"\0" * 100), ("name-of-nuls-inside", b"evi\0dence/x".ljust(100, b"\0")), ("name-up", b"../evil".ljust(100, b"\0")), ("name-host", (host + "/evil").encode()[:100].ljust(100, b"\0"))):
    raw("header-" + name, field(0, value))
raw("header-prefix", field(345, b"../../../.."))
raw("header-prefix-absolute", field(345, b"/etc"))
for kind in "123456VMXxgLKD":  # 7 and unknown ones are plain files to a reader, by POSIX
    raw("header-kind-" + kind + ("" if kind.isdigit() else "-upper" if kind.isupper() else "-lower"), field(156, kind.encode()))


def pax(name, headers):
    with tarfile.open(os.path.join(out, name + ".hps"), "w", format=tarfile.PAX_FORMAT) as t:
        member(t, "bundle.json", listing(files))
        for f in files[:last]:
            member(t, *f)
        i = tarfile.TarInfo(files[last][0])
        i.size, i.pax_headers = len(files[last][1]), headers
        t.addfile(i, io.BytesIO(files[last][1]))
    print(name)


for name, headers in (("path", {"path": "../evil"}), ("path-absolute", {"path": host + "/evil"}), ("path-of-another-object", {"path": files[first][0]}), ("size-more", {"size": "999999999"}), ("size-less", {"size": "1"}),
                      ("size-negative", {"size": "-1"}), ("sparse", {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "../evil", "GNU.sparse.realsize": "99999999999"}),
                      ("sparse-map", {"GNU.sparse.map": "0,1,9999999999,1", "GNU.sparse.numblocks": "2", "GNU.sparse.size": "99999999999"}), ("path-of-a-megabyte", {"path": "evidence/" + "n" * 1000000})):
    pax("pax-" + name, headers)

# ---- compression
whole = open(os.path.join(out, "good.hps"), "rb").read()


def packed(name, data):
    open(os.path.join(out, name + ".hps"), "wb").write(data)
    print(name)


zstd = lambda data, window=21: zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters.from_level(1, window_log=window, enable_ldm=window > 27)).compress(data)
blank = lambda n: (lambda b: (member(tarfile.open(fileobj=b, mode="w", format=tarfile.GNU_FORMAT), "bundle.json", b" " * n), b.getvalue())[1])(io.BytesIO())
packed("bomb-zstd-list", zstd(blank(96 << 20)))
packed("bomb-zstd-window", zstd(blank(96 << 20), 27))
packed("bomb-zstd-twice", zstd(zstd(blank(96 << 20))))
packed("bomb-gzip-list", gzip.compress(blank(96 << 20), 1))
packed("bomb-xz-list", lzma.compress(blank(96 << 20), preset=0))
packed("bomb-xz-dictionary", lzma.compress(blank(1 << 20), filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]))
packed("bomb-zeros", zstd(b"\0" * (96 << 20)))
squeezed = zstd(whole)
for n in range(8):
    packed(f"zstd-cut-{n}", squeezed[: len(squeezed) * n // 9 + 3])
    data = bytearray(squeezed)
    data[8 + (len(data) - 24) * n // 8] ^= 1 << n
    packed(f"zstd-flip-{n}", bytes(data))
packed("no-archive", b"#!/bin/sh\ntouch " + host.encode() + b"/evil\n")
packed("nothing", b"")
packed("zip", b"PK\x03\x04" + whole)
for n in range(12):
    packed(f"cut-{n}", whole[: len(whole) * n // 13])
with tarfile.open(os.path.join(out, "good.hps")) as t:
    contents = [(m.offset_data, m.size) for m in t.getmembers() if m.size]
for n in range(24):  # one bit of a content, the list's or a file's
    offset, size = contents[n] if n < 12 else R.choice(contents)
    data = bytearray(whole)
    data[offset + R.randrange(size)] ^= 1 << R.randrange(8)
    packed(f"bit-{n}", bytes(data))
for n in range(8):  # one file of the evidence among the objects
    these = list(files)
    moved = these.pop(R.randrange(first))
    these.insert(R.randrange(first, last), moved)
    write(f"order-{n}", these)
