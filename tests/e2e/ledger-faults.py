"""Each call on files that a command makes fails once, or is its last (strace injects it). Each time: what was acknowledged is there, the
ledger and its published copy verify without help, and they go on. Prints TAP. Runs in an empty folder.

Which calls there are is read from a run without a fault; the n-th of each name is struck by itself, from the first that touches the
ledger on (those before are the loader's). With HPS_TEST_FULL unset one in 29, and one of the controls."""
import os, re, shutil, subprocess, sys, time

FULL = bool(os.environ.get("HPS_TEST_FULL"))
SEED = int(os.environ.get("HPS_TEST_SEED", time.time_ns() % 1000000))
STEP = 1 if FULL else 29
FAULTS = {"KILL": "signal=KILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC", "EINTR": "error=EINTR"}
SPARED = {"close": "what was written has been flushed before", "mmap": "memory; out of it the program aborts", "munmap": "memory", "mprotect": "memory"}
CALL = re.compile(r"^(?:\d+ +)?([a-z_0-9]+)\((.*)")
HPS = shutil.which("hps-ledger")
n_tests, n_failed, serial = 0, 0, 0


def is_true(name, good, *notes):
    global n_tests, n_failed
    n_tests += 1
    n_failed += not good
    print("%sok %d - %s" % ("" if good else "not ", n_tests, name), flush=True)
    for note in [] if good else notes:
        print("# " + str(note), file=sys.stderr)


def run(*words, program=HPS, wrapper=()):
    return subprocess.run([*wrapper, program, *words], capture_output=True, text=True, errors="replace", timeout=30)


def statement():
    global serial
    serial += 1
    with open("s.json", "w") as f:
        f.write('{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"%064d"}}],'
                '"predicateType":"urn:hps:trial:v1","predicate":{"number":%d}}' % (serial, serial))
    return "s.json"


# ---- the commands: what they need before, what they run, what has to hold after

def anew():
    """The ledger as it was, and nobody remembers having signed more."""
    for path in "led", "site", os.environ["XDG_STATE_HOME"] + "/hps/signed":
        shutil.rmtree(path, ignore_errors=True)
    subprocess.run(["cp", "-a", "whole", "led"], check=True)


def ready_to_append():
    return ["append", statement()]


def ready_to_publish():
    run("append", statement())
    return ["publish", "site"]


def ready_to_collect():
    """Something that nobody names, and a manifest that a killed collection has set aside."""
    for i in range(3):
        text = "stray %d %d" % (serial, i)
        digest = subprocess.run(["sha256sum"], input=text, capture_output=True, text=True).stdout[:64]
        os.makedirs("led/objects/" + digest[:2], mode=0o700, exist_ok=True)
        path = "led/objects/%s/%s" % (digest[:2], digest[2:])
        with open(path, "w") as f:
            f.write(text)
        os.utime(path, (1e9, 1e9))
    manifest = sorted(MANIFESTS)[serial % len(MANIFESTS)]
    path = "led/objects/%s/%s" % (manifest[:2], manifest[2:])
    if os.path.exists(path):
        os.utime(path, (1e9, 1e9))
        os.rename(path, "led/objects/.gc." + manifest)
    statement()
    return ["gc"]


def holds(*words):
    r = run("verify", *words)
    return "" if r.returncode == 0 else "verify %s: %s" % (" ".join(words), (r.stdout + r.stderr)[:300])


def holds_or_goes_on():
    """Half a batch of a writer that was killed is named, for nobody can tell it from a damaged one; the next writer clears it."""
    wrong = holds()
    if "behind the last whole batch" not in wrong:
        return wrong
    r = run("append", statement())
    return holds() or r.stderr


def after_append(r):
    acknowledged = re.match(r"@\d+ ([0-9a-f]{64})$", r.stdout)
    if acknowledged and run("show", acknowledged[1]).returncode:
        return "acknowledged, not there: " + acknowledged[1]
    return "acknowledged with status %d" % r.returncode if acknowledged and r.returncode not in (0, -9) else ""


def after_publish(r):
    if os.path.exists("site/tiles/checkpoint"):
        return holds("--ledger", "site", "--trust", "led/trust.json")
    return "published nothing" if r.returncode == 0 else ""


def after_collect(r):
    run("gc")
    if subprocess.run("grep -rq '^stray ' led/objects; test $? = 1; ls -A led/objects | grep -q '^.gc'; test $? = 1", shell=True).returncode:
        return "the next collection leaves something"
    return ""


COMMANDS = {"append": (ready_to_append, after_append), "publish": (ready_to_publish, after_publish), "gc": (ready_to_collect, after_collect)}


# ---- sweeping

def calls_of(name, program):
    """(call, how manieth of its name) of a run without a fault, from the first that touches the ledger on."""
    words = COMMANDS[name][0]()
    run(*words, program=program, wrapper=("strace", "-f", "-q", "-o", "trace", "-e", "trace=%file,%desc"))
    count, found, ours = {}, [], False
    for line in open("trace", errors="replace"):
        m = CALL.match(line)
        if not m:
            continue
        count[m[1]] = count.get(m[1], 0) + 1
        ours |= os.getcwd() in m[2]
        if ours and m[1] not in SPARED and m[1] != "execve":
            found.append((m[1], count[m[1]]))
    return found


def sweep(name, fault, calls, program=HPS, until_bad=False):
    """How many calls were struck, and what was wrong."""
    ready, after = COMMANDS[name]
    struck, fewer, refused, bad = set(), set(), 0, []
    for i, (call, nth) in enumerate(calls):
        if i % 40 == 0:
            anew()
        words = ready()
        try:
            r = run(*words, program=program, wrapper=("strace", "-f", "-q", "-o", "trace", "-e", "trace=" + call,
                                                      "-e", "inject=%s:%s:when=%d" % (call, FAULTS[fault], nth)))
        except subprocess.TimeoutExpired:
            bad.append("%s %d: does not end" % (call, nth))
            continue
        trace = open("trace", errors="replace").read()
        if "INJECTED" in trace or r.returncode == -9:
            struck.add((call, nth))
        elif len(re.findall(r"^(?:\d+ +)?%s\(" % call, trace, re.M)) < nth:
            fewer.add((call, nth))  # it had less to do this time
        refused += r.returncode != 0
        crashed = r.returncode not in (0, 1, 2, 3, 4, 5) and not (fault == "KILL" and r.returncode == -9)
        wrong = "ended with %d: %s" % (r.returncode, r.stderr[:300]) if crashed else after(r) or holds_or_goes_on()
        if wrong:
            bad.append("%s, %s at %s %d: %s" % (name, fault, call, nth, wrong))
            if until_bad:
                break
            anew()
    if run("append", statement()).returncode:
        bad.append("%s, %s: does not go on" % (name, fault))
    return struck, fewer, refused, bad


def broken(source, expression):
    program = os.path.abspath("hps-ledger-broken")
    subprocess.run(["sh", os.environ["HPS_SOURCE"] + "/tests/broken.sh", "hps-ledger", source, expression, program], check=True)
    return program


print("# HPS_TEST_SEED=%d" % SEED, file=sys.stderr)
anew()
MANIFESTS = {p[12:].replace("/", "") for p in subprocess.run(["grep", "-rl", '"schema":"hps.', "led/objects"], capture_output=True, text=True).stdout.split()}
for name in COMMANDS:
    anew()
    every = calls_of(name, HPS)
    kinds = {c for c, _ in every}
    for fault in FAULTS if name != "gc" else ("KILL", "EIO"):
        picked = [c for i, c in enumerate(every) if (i + SEED) % STEP == 0]
        struck, fewer, refused, bad = sweep(name, fault, picked)
        is_true("%s, %s at %d of its %d calls, %d refused" % (name, fault, len(struck), len(every), refused), not bad, *bad[:5])
        is_true("... it struck where it was meant to", struck | fewer == set(picked) and len(fewer) * (4 if FULL else 2) <= len(picked), set(picked) - struck, fewer)
        if FULL:
            is_true("... each of %s" % " ".join(sorted(kinds)), {c for c, _ in struck} == kinds, kinds - {c for c, _ in struck})
anew()
is_true("staging/ is empty", not os.listdir("led/staging"))

# The rig has teeth: with one guarantee broken it goes red.
for name, fault, call, source, expression in [
    ("append", "ENOSPC", "pwrite64", "ledger/journal.c", 's/if (n < 0 && errno != EINTR)/if (n < 0 \\&\\& errno != EINTR) return 0;\\n\\t\\tif (0)/'),
    ("publish", "KILL", "renameat", "ledger/mirror.c", 's/r = copy_below(t, "", 0, err);/r = put(t, "tiles\\/checkpoint", note, err);\\n\\tif (!r)\\n\\t\\tr = copy_below(t, "", 0, err);/'),
    ("gc", "KILL", None, "ledger/gc.c", "s/return hps_map_get(&m->pinned, hex) != NULL;/return hex[0] != hex[0];/"),
]:
    if not FULL and SEED % 3 != list(COMMANDS).index(name):
        continue
    program = broken(source, expression)
    anew()
    calls = [c for c in calls_of(name, program) if call in (None, c[0])]
    struck, fewer, refused, bad = sweep(name, fault, calls, program, until_bad=True)
    is_true("a broken %s (%s) is found out" % (name, source), bad)

print("1..%d" % n_tests)
sys.exit(n_failed != 0)
