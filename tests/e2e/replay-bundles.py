"""Bundles that must not be unpacked, made from an unpacked one. usage: replay-bundles.py UNPACKED OUT; prints their names.
Each changes one thing of a bundle that holds, which is written as good.hps beside them."""
import hashlib, io, json, os, sys, tarfile

source, out = sys.argv[1:]
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
    with tarfile.open(os.path.join(out, name + ".hps"), "w") as t:
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
                         "./seed", "evil", "objects/" + "A" * 2 + "/" + "b" * 62, "evidence/x\n", "evidence/-rf\x1b[2J", "evidence/" + "n" * 300]):
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
sizes = json.loads(listing(files))
for name, size in (("negative", -1), ("huge", 2**62), ("no-number", "1"), ("fraction", 1.5)):
    sizes["files"][last]["size"] = size
    write("size-" + name, files, json.dumps(sizes).encode())
many = {"schema": "hps.bundle/1", "files": [entry(*f) for f in files] + [{"name": "evidence/e%d" % i, "size": 2**30, "sha256": "0" * 64} for i in range(32)]}
write("more-bytes-than-the-limit", files, json.dumps(many).encode())
for name, kind in (("symlink", tarfile.SYMTYPE), ("hardlink", tarfile.LNKTYPE), ("device", tarfile.CHRTYPE), ("fifo", tarfile.FIFOTYPE), ("directory", tarfile.DIRTYPE)):
    write(name + "-for-an-object", files[:last], listing(files), lambda t, kind=kind: member(t, files[last][0], b"", kind, "/etc/passwd", 0o4777))
whole = open(os.path.join(out, "good.hps"), "rb").read()
for n in range(12):
    open(os.path.join(out, f"cut-{n}.hps"), "wb").write(whole[: len(whole) * n // 13])
    print(f"cut-{n}")
    data = bytearray(whole)
    at = 512 + (len(data) - 8192) * n // 12
    for k in range(64):
        data[at + k] ^= 0x5A
    open(os.path.join(out, f"bytes-{n}.hps"), "wb").write(bytes(data))
    print(f"bytes-{n}")
