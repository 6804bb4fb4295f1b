"""A table of what hps-ledger must refuse: name, status, and how the input is spoilt. Prints TAP. Runs in an empty folder.

Each row changes one thing of something that is accepted as it stands, which the first row of each group shows."""
import base64, copy, hashlib, json, os, shutil, subprocess, sys

n, failed = 0, 0


def run(*words):
    return subprocess.run(["hps-ledger", *words], capture_output=True, text=True, errors="replace")


def case(name, status, *words):
    global n, failed
    n += 1
    r = run(*words)
    good = r.returncode == status and (status == 0 or r.stderr or r.stdout)
    failed += not good
    print("%sok %d - %s (%d)" % ("" if good else "not ", n, name, status))
    if not good:
        print("# status %d, wanted %d: %s" % (r.returncode, status, (r.stderr or r.stdout).strip()[-300:]), file=sys.stderr)


def write(path, data):
    mode = "wb" if isinstance(data, bytes) else "w"
    with open(path, mode) as f:
        f.write(data if isinstance(data, (bytes, str)) else json.dumps(data))
    return path


def changed(value, path, new):
    """value with what lies at path replaced; new None: removed."""
    value = copy.deepcopy(value)
    at = value
    for step in path[:-1]:
        at = at[step]
    if new is None:
        del at[path[-1]]
    else:
        at[path[-1]] = new
    return value


def statement(number, kind="trial"):
    return {"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "x", "digest": {"sha256": "%064x" % number}}],
            "predicateType": "urn:hps:%s:v1" % kind, "predicate": {"study": "s", "number": number, "state": "complete"}}


run("init", "--origin", "example.org/no", "led")
run("init", "--origin", "example.org/no", "other")
for i in range(5):
    run("append", "--ledger", "led", write("s.json", statement(i)))
run("prove", "--ledger", "led", "-o", "proof", "@2")
run("prove", "--ledger", "led", "-o", "proof3", "@3")
trust = json.load(open("led/trust.json"))
other = json.load(open("other/trust.json"))
log, key = trust["log"], trust["statementKeys"][0]


def witness(name):
    r = run("witness", "--name", name, "w-" + name)
    return r.stdout.split()[1]


w1, w2 = witness("one.example"), witness("two.example")

def of_vkey(vkey):
    """The Ed25519 key of a log or a witness, as a trust file has statement keys."""
    der = bytes.fromhex("302a300506032b6570032100") + base64.b64decode(vkey.split("+", 2)[2])[1:]
    return {"keyid": hashlib.sha256(der).hexdigest(), "publicKey": base64.b64encode(der).decode()}


# ---- trust files
case("trust: as it is", 0, "verify", "--ledger", "led", "--trust", write("t", trust))
for name, value in [
    ("no schema", changed(trust, ["schema"], None)), ("unknown version", changed(trust, ["schema"], "hps.trust/2")),
    ("schema of another type", changed(trust, ["schema"], 1)), ("no origin", changed(trust, ["origin"], None)),
    ("another origin", changed(trust, ["origin"], "example.org/yes")), ("no log", changed(trust, ["log"], None)),
    ("log without id", changed(trust, ["log"], log.replace("+", " ", 1))), ("log with another id", changed(trust, ["log"], "example.org/no+00000000+" + log.split("+", 2)[2])),
    ("log with a cut key", changed(trust, ["log"], log[:-4])), ("log that is a witness's key", changed(trust, ["log"], w1)),
    ("somebody else's log", changed(trust, ["log"], other["log"])), ("no statement keys", changed(trust, ["statementKeys"], None)),
    ("an empty list of keys", changed(trust, ["statementKeys"], [])), ("keys that are no list", changed(trust, ["statementKeys"], {})),
    ("a key without keyid", changed(trust, ["statementKeys", 0, "keyid"], None)), ("a key without public key", changed(trust, ["statementKeys", 0, "publicKey"], None)),
    ("a key with another's id", changed(trust, ["statementKeys", 0, "keyid"], other["statementKeys"][0]["keyid"])),
    ("a public key that is not base64", changed(trust, ["statementKeys", 0, "publicKey"], "!")), ("a public key that is cut", changed(trust, ["statementKeys", 0, "publicKey"], key["publicKey"][:40])),
    ("somebody else's statement key", changed(trust, ["statementKeys"], other["statementKeys"])), ("no kinds at all", changed(trust, ["statementKeys", 0, "kinds"], [])),
    ("kinds that are numbers", changed(trust, ["statementKeys", 0, "kinds"], [1])), ("the wrong kind", changed(trust, ["statementKeys", 0, "kinds"], ["begin"])),
    ("a threshold without root keys", changed(trust, ["rootThreshold"], 1)), ("root keys without threshold", changed(trust, ["rootKeys"], other["statementKeys"])),
    ("a threshold of none", dict(trust, rootKeys=other["statementKeys"], rootThreshold=0)), ("a threshold of more than there are", dict(trust, rootKeys=other["statementKeys"], rootThreshold=2)),
    ("a root key twice", dict(trust, rootKeys=other["statementKeys"] * 2, rootThreshold=2)), ("a root key that signs statements", dict(trust, rootKeys=trust["statementKeys"], rootThreshold=1)),
    ("a log's key that signs statements", dict(trust, statementKeys=trust["statementKeys"] + [of_vkey(log)])),
    ("a witness's key that signs statements", dict(trust, statementKeys=trust["statementKeys"] + [of_vkey(w1)], policy="log %s\nwitness A %s\nquorum none\n" % (log, w1))),
    ("a root key that signs checkpoints", dict(trust, rootKeys=[of_vkey(log)], rootThreshold=1)),
    ("unknown witnessing", dict(trust, witnessing="ajar")), ("a negative age", dict(trust, maximumAge=-1)), ("an age of nothing", dict(trust, maximumAge=0)),
    ("authorities that are none", dict(trust, timestampAuthorities="x")), ("authorities that are a list", dict(trust, timestampAuthorities=[])),
    ("no object", [trust]), ("nothing", b""), ("not JSON", b"trust me"), ("something behind", json.dumps(trust).encode() + b"{}"),
    ("a name twice", json.dumps(trust).replace('"schema"', '"schema": "hps.trust/1", "schema"').encode()), ("not UTF-8", json.dumps(trust).encode().replace(b"example", b"ex\xffmple")),
]:
    case("trust: " + name, 3, "verify", "--ledger", "led", "--trust", write("t", value))

# ---- policies
head = "log %s\nwitness A %s\nwitness B %s\n" % (log, w1, w2)
case("policy: with witnesses, but none needed", 0, "verify", "--ledger", "led", "--trust", write("t", dict(trust, policy=head + "group g 1 A B\nquorum none\n")))
case("policy: a quorum that has not cosigned", 4, "verify", "--ledger", "led", "--trust", write("t", dict(trust, policy=head + "group g 1 A B\nquorum g\n")))
for name, text in [
    ("no quorum", head), ("two quorums", head + "quorum A\nquorum B\n"), ("a quorum without name", head + "quorum\n"), ("a quorum of two names", head + "quorum A B\n"),
    ("a quorum of nobody", head + "quorum C\n"), ("a quorum before its group", head + "quorum g\ngroup g any A\n"), ("no log", head.split("\n", 1)[1] + "quorum A\n"),
    ("another log", "log %s\nquorum none\n" % other["log"]), ("a log twice", "log %s\n" % log + head + "quorum A\n"), ("a log without key", "log\n" + head + "quorum A\n"),
    ("a log with too many words", head.replace(log, log + " http://x y") + "quorum A\n"), ("a witness without key", head + "witness C\nquorum A\n"),
    ("a witness twice", head + "witness C %s\nquorum A\n" % w1), ("a name twice", head + "group A any B\nquorum B\n"), ("a witness called none", head.replace("witness A", "witness none") + "quorum B\n"),
    ("a log's key for a witness", "log %s\nwitness A %s\nquorum A\n" % (log, other["log"])), ("a witness's key for a log", "log %s\nlog %s\nquorum none\n" % (log, w1)),
    ("a group of none", head + "group g any\nquorum g\n"), ("a group of zero", head + "group g 0 A B\nquorum g\n"), ("a group of more than there are", head + "group g 3 A B\nquorum g\n"),
    ("a group of some", head + "group g some A B\nquorum g\n"), ("a group of itself", head + "group g any g\nquorum g\n"), ("a member twice", head + "group g 2 A A\nquorum g\n"),
    ("a member of two groups", head + "group g any A\ngroup h any A B\nquorum h\n"), ("a member that comes later", head + "group g any h\ngroup h any A\nquorum g\n"),
    ("a leading zero", head + "group g 01 A B\nquorum g\n"), ("an unknown word", head + "trust me\nquorum A\n"), ("a control character", head + "quorum\x01 A\n"),
    ("no last line feed", head + "quorum A"), ("a carriage return", head + "quorum A\r\n"), ("nothing", ""),
]:
    case("policy: " + name, 3, "verify", "--ledger", "led", "--trust", write("t", dict(trust, policy=text)))

# ---- bundles
bundle = json.load(open("proof/entry.sigstore.json"))
third = json.load(open("proof3/entry.sigstore.json"))
entry = ["verificationMaterial", "tlogEntries", 0]
proof = entry + ["inclusionProof"]
case("bundle: as it is", 0, "check", "--trust", "led/trust.json", "proof")


def spoilt(file, data):
    shutil.rmtree("bad", ignore_errors=True)
    shutil.copytree("proof", "bad")
    write("bad/" + file, data)
    return "bad"


hashes = bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["hashes"]
for name, value in [
    ("no media type", changed(bundle, ["mediaType"], None)), ("unknown version", changed(bundle, ["mediaType"], bundle["mediaType"].replace("0.3", "0.9"))),
    ("no material", changed(bundle, ["verificationMaterial"], None)), ("no public key", changed(bundle, ["verificationMaterial", "publicKey"], None)),
    ("another hint", changed(bundle, ["verificationMaterial", "publicKey", "hint"], "0" * 64)), ("no log entry", changed(bundle, ["verificationMaterial", "tlogEntries"], [])),
    ("two log entries", changed(bundle, ["verificationMaterial", "tlogEntries"], bundle["verificationMaterial"]["tlogEntries"] * 2)),
    ("another entry's place", changed(bundle, ["verificationMaterial"], third["verificationMaterial"])), ("another entry's statement", changed(bundle, ["dsseEnvelope"], third["dsseEnvelope"])),
    ("no envelope", changed(bundle, ["dsseEnvelope"], None)), ("no payload", changed(bundle, ["dsseEnvelope", "payload"], None)), ("no payload type", changed(bundle, ["dsseEnvelope", "payloadType"], None)),
    ("another payload type", changed(bundle, ["dsseEnvelope", "payloadType"], "text/plain")), ("no signature", changed(bundle, ["dsseEnvelope", "signatures"], [])),
    ("two signatures", changed(bundle, ["dsseEnvelope", "signatures"], bundle["dsseEnvelope"]["signatures"] * 2)), ("another's signature", changed(bundle, ["dsseEnvelope", "signatures"], third["dsseEnvelope"]["signatures"])),
    ("another kind of entry", changed(bundle, entry + ["kindVersion", "kind"], "dsse")), ("another version of entry", changed(bundle, entry + ["kindVersion", "version"], "0.0.1")),
    ("no index", changed(bundle, entry + ["logIndex"], None)), ("two indexes", changed(bundle, entry + ["logIndex"], "3")), ("an index that is a number", changed(bundle, entry + ["logIndex"], 2)),
    ("no body", changed(bundle, entry + ["canonicalizedBody"], None)), ("another's body", changed(bundle, entry + ["canonicalizedBody"], third["verificationMaterial"]["tlogEntries"][0]["canonicalizedBody"])),
    ("no proof", changed(bundle, proof, None)), ("no root", changed(bundle, proof + ["rootHash"], None)), ("another root", changed(bundle, proof + ["rootHash"], hashes[0])),
    ("no size", changed(bundle, proof + ["treeSize"], None)), ("another size", changed(bundle, proof + ["treeSize"], "4")), ("no hashes", changed(bundle, proof + ["hashes"], [])),
    ("a hash less", changed(bundle, proof + ["hashes"], hashes[:-1])), ("a hash more", changed(bundle, proof + ["hashes"], hashes + hashes[:1])), ("hashes turned around", changed(bundle, proof + ["hashes"], hashes[::-1])),
    ("hashes of another entry", changed(bundle, proof + ["hashes"], third["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["hashes"])), ("a short hash", changed(bundle, proof + ["hashes", 0], "AAAA")),
    ("64 hashes", changed(bundle, proof + ["hashes"], hashes[:1] * 64)), ("no checkpoint", changed(bundle, proof + ["checkpoint"], None)),
    ("a checkpoint without signatures", changed(bundle, proof + ["checkpoint", "envelope"], open("proof/checkpoint.txt").read() + "\n")),
    ("a checkpoint of another log", changed(bundle, proof + ["checkpoint", "envelope"], open("other/tiles/checkpoint").read())), ("a list", [bundle]), ("nothing", b""),
    ("a name twice", json.dumps(bundle).replace('"mediaType"', '"mediaType": "x", "mediaType"').encode()), ("something behind", json.dumps(bundle).encode() + b" x"),
]:
    case("bundle: " + name, 3, "check", "--trust", "led/trust.json", spoilt("entry.sigstore.json", value))

# ---- the other files of a folder
for file in ["statement.json", "pae", "sig", "key.pem", "envelope.json", "leaf", "tlog-proof"]:
    case("folder: another entry's " + file, 3, "check", "--trust", "led/trust.json", spoilt("entry." + file, open("proof3/entry." + file, "rb").read() if file != "key.pem" else b"x"))
for file in ["checkpoint", "checkpoint.txt", "checkpoint.sig", "policy.tlog", "trusted_root.json", "log.key.pem"]:
    case("folder: another " + file, 3, "check", "--trust", "led/trust.json", spoilt(file, b"x\n"))
case("folder: a timestamp that is none", 0, "check", "--trust", "led/trust.json", spoilt("checkpoint.tsr", b"x"))  # no authority is trusted: said, not judged

# ---- statements
good = statement(100)
for name, value in [
    ("no type", changed(good, ["_type"], None)), ("another version", changed(good, ["_type"], "https://in-toto.io/Statement/v0.1")), ("no predicate type", changed(good, ["predicateType"], None)),
    ("an empty predicate type", changed(good, ["predicateType"], "")), ("no predicate", changed(good, ["predicate"], None)), ("a predicate that is a list", changed(good, ["predicate"], [])),
    ("no subject", changed(good, ["subject"], None)), ("an empty subject", changed(good, ["subject"], [])), ("a subject without digest", changed(good, ["subject", 0, "digest"], None)),
    ("a subject with an empty digest", changed(good, ["subject", 0, "digest"], {})), ("a name twice", json.dumps(good).replace('"study"', '"study": "a", "study"').encode()),
    ("not a number", json.dumps(good).replace("100", "NaN").encode()), ("a number beyond 2^53", changed(good, ["predicate", "number"], 2 ** 60)),
    ("half a surrogate", json.dumps(good).replace('"s"', '"\\ud800"').encode()), ("not UTF-8", json.dumps(good).encode().replace(b'"s"', b'"\xff"')), ("two values", json.dumps(good).encode() * 2),
    ("nothing", b""), ("a list", [good]),
]:
    case("statement: " + name, 3, "append", "--ledger", "led", write("s.json", value))
case("statement: as it is", 0, "append", "--ledger", "led", write("s.json", good))

# ---- changes of keys
subprocess.run("openssl genpkey -algorithm ED25519 -out k.pem && chmod 600 k.pem", shell=True, check=True)
draft = json.loads(run("key", "--ledger", "led", "draft-add", "k.pem").stdout)
for name, value in [
    ("no change", changed(draft, ["change"], None)), ("no approvals", changed(draft, ["approvals"], None)), ("no action", changed(draft, ["change", "action"], None)),
    ("an unknown action", changed(draft, ["change", "action"], "forget")), ("another ledger", changed(draft, ["change", "origin"], "example.org/yes")),
    ("another number", changed(draft, ["change", "number"], 1)), ("no keyid", changed(draft, ["change", "keyid"], None)), ("another keyid", changed(draft, ["change", "keyid"], "0" * 64)),
    ("no public key", changed(draft, ["change", "publicKey"], None)), ("no possession", changed(draft, ["possession"], None)), ("more kinds than were signed", changed(draft, ["change", "kinds"], ["trial"])),
    ("not JSON", b"x"),
]:
    case("key: " + name, 3, "key", "--ledger", "led", "apply", write("d.json", value))
case("key: as it is", 0, "key", "--ledger", "led", "apply", write("d.json", draft))
case("key: revoking one that is not there", 3, "key", "--ledger", "led", "revoke", "0" * 64)

# ---- commands
for name, status, words in [
    ("an unknown command", 2, ["destroy"]), ("an unknown option", 2, ["verify", "--quickly"]), ("no argument", 2, ["prove"]), ("an index that is none", 2, ["show", "--ledger", "led", "@x"]),
    ("an id that is too short", 2, ["prove", "--ledger", "led", "abc"]), ("an index that is not there", 4, ["prove", "--ledger", "led", "-o", "x", "@99"]),
    ("no such ledger", 4, ["verify", "--ledger", "nowhere"]), ("no such folder", 4, ["check", "nowhere"]), ("no such trust file", 4, ["check", "--trust", "nowhere", "proof"]),
    ("monitor without keys", 2, ["monitor", "led"]), ("serve without address", 2, ["serve", "--ledger", "led"]), ("an address that is none", 2, ["serve", "--ledger", "led", "--listen", "here"]),
    ("enrol at no URL", 2, ["enrol", "led"]), ("a bucket without credentials", 2, ["publish", "--ledger", "led", "s3://a/b"]), ("no such witness", 4, ["witness", "nowhere"]),
    ("a witness with a bad name", 2, ["witness", "--name", "a b", "w-bad"]), ("a witness for a log that is none", 3, ["witness", "--log", "x", "w-one.example"]),
]:
    case("command: " + name, status, *words)

print("1..%d" % n)
print("# %d refusals" % n, file=sys.stderr)
sys.exit(failed != 0)
