"""Plants secrets and looks for them. Everything follows from SEED, so that no secret is in this file or in what the trial reads by name.

planted.py plant SEED N        makes ./repo, records a trial there (hps-record is on PATH, HPS_LEDGER set), prints what was planted
planted.py trial SEED N        the trial: uses them in all the places below
planted.py scan SEED N PATH…   prints each secret (by number and place) of which a form is in a file below PATH…; the last line is a count
"""
import base64
import json
import os
import random
import shlex
import socket
import subprocess
import sys
import urllib.parse
import xml.sax.saxutils

ALPHABETS = ["abcdefghijklmnopqrstuvwxyz0123456789", "0123456789abcdef", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
             "abcDEF012!#$%&()*+-./:;<=>?@[]^_{|}~", "abcDEF0123456789\"'\\/", "abcdef0123äöüß€漢", "abcDEF012345 -_"]
ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# Where a secret is announced, and how many of a hundred there are.
PLACES = [("env", 20), ("env-other", 7), ("argv", 17), ("exec", 20), ("file", 9), ("settings", 11), ("shape", 5), ("param", 2), ("mark", 3), ("name", 2), ("study", 4)]
ARGUMENTS = [
    lambda s: ["--api-key", s], lambda s: ["--password=" + s], lambda s: ["MYTOKEN=" + s], lambda s: ["logger.api_key=" + s],
    lambda s: ["-H", "Authorization: Bearer " + s], lambda s: ["-H", "X-Api-Key: " + s], lambda s: ["--json", json.dumps({"lr": 0.1, "api_key": s, "n": 3})],
    lambda s: ["--json", json.dumps({"a": {"client_secret": s}}, ensure_ascii=False)], lambda s: ["--nested", json.dumps(json.dumps({"password": s}))],
    lambda s: ["https://example.org/a?lr=1&sig=" + urllib.parse.quote(s, safe="") + "&x=2"], lambda s: ["https://example.org/?X-Amz-Signature=" + urllib.parse.quote_plus(s)],
    lambda s: ["postgresql://me:" + urllib.parse.quote(s, safe="") + "@db.example.org/x"], lambda s: ["--config", "lr: 0.1\npassword: " + json.dumps(s) + "\nn: 3\n"],
    lambda s: ["--config", "[db]\nuser = me\npassword = " + s + "\n"], lambda s: ["--note", "+api_key: " + json.dumps(s) + "\n-old\n"],
    lambda s: ["-c", "connect(user='me', password=" + json.dumps(s) + ")"], lambda s: ["-u", "me:" + s],
    lambda s: ["--passwd" if s.startswith("/") else "--pwd", s], lambda s: ["--otp", s], lambda s: ["--pin=" + s], lambda s: ["--user-pin", s],  # a --pwd may be a directory
    lambda s: ["--xml", "<a><password>" + xml.sax.saxutils.escape(s) + "</password></a>"],
]


def secret(rng, place, i):
    alphabet = ALNUM if place in ("shape",) else ALPHABETS[i % len(ALPHABETS)]
    while True:
        s = "".join(rng.choice(alphabet) for _ in range(rng.randint(12, 32)))
        if s.strip(" -,;") == s and not s.isdigit() and s[0] not in "$":  # an option, a reference, what separates and counts
            return s


def plan(seed, n):
    rng = random.Random(seed)
    places = [p for p, share in PLACES for _ in range(share)]
    for i in range(n):
        place = places[i % len(places)]
        yield i, place, secret(rng, place, i)


def shape(i, s):
    prefix, size = [("ghp_", 36), ("hf_", 34), ("glpat-", 20), ("sk-proj-", 48), ("npm_", 36), ("AKIA", 16), ("AIza", 35), ("xoxb-", 40)][i % 8]
    body = (s + s + s + s)[:size]
    return prefix + (body.upper() if prefix == "AKIA" else body[:-4] + "x4Z9" if prefix != "AKIA" else body)


# ---- plant


def write(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def credential_file(i, s):
    return [("c%d/.env" % i, "SERVICE=" + s), ("c%d/token.json" % i, json.dumps({"t": s})), ("c%d/secrets.yaml" % i, "a: " + json.dumps(s)), ("c%d/.netrc" % i, "machine m login l password " + s),
            ("c%d/.aws/credentials" % i, "[default]\nx = " + s), ("c%d/kaggle.json" % i, json.dumps({"username": "u", "key": s})), ("c%d/prod.env" % i, "X='%s'" % s), ("c%d/id_rsa" % i, s)][i % 8]


def settings_file(i, s):
    return [("s%d.yaml" % i, "lr: 0.1\ndb:\n  password: " + json.dumps(s) + "\n"), ("s%d.json" % i, json.dumps({"lr": 0.1, "api_key": s})), ("s%d.ini" % i, "[a]\nsecret_key = " + s + "\n"),
            ("s%d.toml" % i, "access_token = " + json.dumps(s) + "\n"),
            ("s%d.xml" % i, '<?xml version="1.0"?>\n<c><lr>0.1</lr><password>' + xml.sax.saxutils.escape(s) + "</password></c>\n"),
            ("s%d.config" % i, '<c><add key="DbPassword" value=' + xml.sax.saxutils.quoteattr(s) + "/></c>\n"),
            ("s%d.sh" % i, "#!/bin/sh\nset -e\nexport API_KEY=" + shlex.quote(s) + "\npython3 train.py\n"), ("run%d" % i, "#!/bin/bash\ncurl --pwd " + shlex.quote("x" + s) + " https://example.org\n"),
            ("s%d_history" % i, "ls\ncurl -u " + shlex.quote("me:" + s) + " https://example.org\ncd\n"), ("s%d.txt" % i, "GET / HTTP/1.1\nHost: example.org\nAuthorization: Bearer " + s + "\n\n"),
            ("s%d.log" % i, "12:00 connected to postgresql://me:" + urllib.parse.quote(s, safe="") + "@db.example.org/x\n"), ("service%d" % i, "host = db\nuser = me\npassword = " + s + "\nport = 1\n"),
            ("s%d/.htpasswd" % i, "me:" + s + "\n")][i // 100 % 13]


def plant(seed, n):
    os.makedirs("repo")
    os.chdir("repo")
    with open(sys.argv[0], encoding="utf-8") as f:
        write("planted.py", f.read())
    env, argv, params = dict(os.environ), [], []
    for i, place, s in plan(seed, n):
        if place == "env":
            env[["SVC%d_PASSWORD", "SVC%d_API_KEY", "TOKEN_%d_TOKEN", "A%d_CLIENT_SECRET"][i % 4] % i] = s
        elif place == "env-other":
            env["OTHER_%d" % i] = s
        elif place == "argv":
            argv += ARGUMENTS[i // 100 % len(ARGUMENTS)](s)
        elif place == "param":
            params += ["--param", "api_key_%d=%s" % (i, s)]
        elif place == "file":
            write(*credential_file(i, s))
        elif place == "settings":
            write(*settings_file(i, s))
        elif place == "shape":
            write("src/m%d.py" % i, "client = login('%s')\n" % shape(i, s))
    git = lambda *a: subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *a], check=True, capture_output=True)
    git("init", "-q")
    write("tracked.py", "x = 1\n")
    git("add", "tracked.py")
    git("commit", "-qm", "one")
    names = [s for _, p, s in plan(seed, n) if p == "env"]
    git("remote", "add", "origin", "https://me:%s@example.org/x.git" % urllib.parse.quote(names[0], safe=""))
    write("tracked.py", "x = 1\npassword = %s\n" % json.dumps(names[1]))
    study(env, [s for _, p, s in plan(seed, n) if p == "study"])
    # The control: nothing says that these two are secrets. A scanner that does not find them finds nothing.
    env["OMP_CANARY"] = canary(seed, 0)
    write("notes.txt", "see " + canary(seed, 1) + "\n")
    command = ["hps-record", "-q", "--id-file", "../id", *params, "--", "/usr/bin/python3", "planted.py", "trial", str(seed), str(n), *argv]
    r = subprocess.run(command, env=env, stdout=open("stdout.log", "wb"), stderr=open("stderr.log", "wb"))
    print(r.returncode)


def study(env, secrets):
    """One of two trials, with secrets in its command, its environment and a choice."""
    words = [w.replace("{", "{{").replace("}", "}}") for i, s in enumerate(secrets[2:]) for w in ARGUMENTS[i % len(ARGUMENTS)](s)]
    document = {"hps": 1, "study": "planted", "command": ["/bin/true", "--lr", "{lr}", "--token", "{api_key}", *words], "workers": 1, "budget": {"trials": 2},
                "space": {"lr": {"type": "float", "low": 0.1, "high": 1}, "api_key": {"type": "choice", "of": [secrets[0], "none"]}}, "metrics": {"loss": {"goal": "min"}},
                "search": {"sampler": "random", "seed": 1}, "env": {"SVC_PASSWORD": secrets[1]}}
    write("study.yaml", json.dumps(document, ensure_ascii=False))
    r = subprocess.run(["hps-search", "run", "-q", "study.yaml"], env=env, stdout=open("study.out", "wb"), stderr=subprocess.STDOUT)
    assert r.returncode == 0, open("study.out").read()


def canary(seed, k):
    rng = random.Random("canary %s %d" % (seed, k))
    return "".join(rng.choice(ALNUM) for _ in range(24))


# ---- the trial


def echoes(i, s):
    """A secret that was seen under its name, where no name is."""
    q = urllib.parse.quote(s, safe="")
    kind = i // 7 % 8
    if kind == 0:
        write("out/f-%s.txt" % q[:200], "x")
    elif kind == 1:
        write("out/e%d.txt" % i, "log: " + base64.b64encode(("user:" + s).encode()).decode())
    elif kind == 2:
        write("out/e%d.txt" % i, json.dumps(["x", s]))
    elif kind == 3:
        with open("out/e%d.bin" % i, "wb") as f:
            f.write(b"\0" + ("value " + s).encode("utf-16-le" if i % 2 else "utf-16-be"))
    elif kind == 4:
        write("out/e%d.txt" % i, s.encode().hex())
    elif kind == 5:
        os.path.exists("/nowhere/" + s) or subprocess.run(["/bin/true", "x" + s, base64.urlsafe_b64encode(s.encode()).decode()])
        try:
            open("nowhere-" + q)
        except OSError:
            pass
    elif kind == 6:
        os.symlink("to-" + q[:200], "out/l%d" % i)
        sys.stderr.write("failed: " + s + "\n")
    else:
        print("using " + s, urllib.parse.quote_plus(s))


def trial(seed, n):
    os.makedirs("out")
    arguments, marks, names_of = [], [], []
    for i, place, s in plan(seed, n):
        if place in ("env", "param"):
            echoes(i, s)
        elif place == "exec":
            arguments += ARGUMENTS[i // 26 % len(ARGUMENTS)](s)
        elif place in ("file", "settings"):
            path = (credential_file if place == "file" else settings_file)(i, s)[0]
            text = open(path, encoding="utf-8").read()
            if i % 3 == 0:
                write("out/copy%d%s" % (i, os.path.basename(path) if place == "settings" else ""), text)
        elif place == "name":
            names_of.append(s)
            write("out/password=%s.txt" % urllib.parse.quote(s, safe=""), "x")
        elif place == "shape":
            open("src/m%d.py" % i).read()
            print(shape(i, s))
        elif place == "mark":
            marks.append(s)
    for k in range(0, len(arguments), 40):
        subprocess.run(["/bin/true", *arguments[k:k + 40]], check=True)
    open("notes.txt").read()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ["HPS_SOCKET"])
    f = connection.makefile("rw", encoding="utf-8")
    for s in marks:
        for line in ("begin " + json.dumps({"params": {"password": s}}), "end " + json.dumps({"metrics": {"loss": 1}, "params": {"url": "https://u:%s@h/" % urllib.parse.quote(s, safe="")}})):
            f.write(line + "\n")
            f.flush()
            assert f.readline().startswith("ok "), line
    names = [s for _, p, s in plan(seed, n) if p == "env"]
    write(os.environ["HPS_METRICS"], json.dumps({"loss": 0.5, "m-" + names[2]: 1, **{"password=" + s: 1 for s in names_of}}))
    if os.environ.get("HPS_FILL"):  # the ledger's file system: the record goes into the spool
        try:
            with open(os.environ["HPS_FILL"], "wb", buffering=0) as f:
                while f.write(bytes(4096)):
                    pass
        except OSError:
            pass


# ---- scan


def forms(s):
    b = s.encode()
    yield b
    for k in range(3):
        code = base64.b64encode(b"\0" * k + b)
        code = code[(k * 8 + 5) // 6:(k + len(b)) * 8 // 6]
        yield code
        yield code.replace(b"+", b"-").replace(b"/", b"_")
    yield from (b.hex().encode(), b.hex().upper().encode())
    for safe in ("", "/", "-_.!~*'()"):
        yield from (urllib.parse.quote(s, safe=safe).encode(), urllib.parse.quote_plus(s, safe=safe).encode())
    yield from (json.dumps(s)[1:-1].encode(), json.dumps(s, ensure_ascii=False)[1:-1].encode(), json.dumps(json.dumps(s))[3:-3].encode())
    yield from (s.encode("utf-16-le"), s.encode("utf-16-be"))


def files(paths):
    for path in paths:
        for folder, _, names in os.walk(path) if os.path.isdir(path) else [(os.path.dirname(path) or ".", 0, [os.path.basename(path)])]:
            for name in names:
                yield os.path.join(folder, name)


def scan(seed, n, paths):
    import numpy
    needles = {}
    wanted = [(i, place, shape(i, s) if place == "shape" else s) for i, place, s in plan(seed, n)]
    for i, place, s in wanted + [("canary %d" % k, "none", canary(seed, k)) for k in range(2)]:
        for form in forms(s):
            if len(form) >= 8:
                needles.setdefault(form[:8], []).append((form, i, place))
    firsts = numpy.unique(numpy.array([int.from_bytes(f, "little") for f in needles], dtype=numpy.uint64))
    found, looked = {}, 0
    for path in files(paths):
        data = os.fsencode(path) + b"\0" + open(path, "rb").read() + b"\0" * 8
        looked += len(data)
        for shift in range(8):
            words = numpy.frombuffer(data, dtype="<u8", offset=shift, count=(len(data) - shift) // 8)
            for at in numpy.nonzero(numpy.isin(words, firsts))[0]:
                at = int(at) * 8 + shift
                for form, i, place in needles[data[at:at + 8]]:
                    if data.startswith(form, at):
                        found.setdefault(i, (place, path, form))
    for i in sorted(found, key=str):
        print(i, *found[i])
    print("%d of %d secrets in %d bytes, %d of 2 controls" % (len([i for i in found if isinstance(i, int)]), n, looked, len([i for i in found if isinstance(i, str)])))


if __name__ == "__main__":
    mode, seed, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
    {"plant": lambda: plant(seed, n), "trial": lambda: trial(seed, n), "scan": lambda: scan(seed, n, sys.argv[4:])}[mode]()
