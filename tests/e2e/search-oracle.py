"""A second, slow implementation of docs/FORMATS.md, "Search decisions": standard library only, written from the document.

usage: search-oracle.py COMPILED-STUDY.json SEED-HEX
Prints each decision on a line: number, values, trial seed.
"""
import hashlib
import json
import struct
import sys


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def stream(name):
    return struct.unpack(">II", hashlib.sha256(name.encode()).digest()[:8])


def exp(x):
    k = int(x * float.fromhex("0x1.71547652b82fep+0") + (-0.5 if x < 0 else 0.5))
    high = x - k * float.fromhex("0x1.62e42fefap-1")
    low = k * float.fromhex("0x1.cf79abc9e3b3ap-40")
    r = high - low
    low = (high - r) - low
    total, factorial = 0.0, [1]
    for i in range(1, 16):
        factorial.append(factorial[-1] * i)
    for i in range(15, 1, -1):
        total = total * r + 1.0 / factorial[i]
    return (1 + (r + (total * r * r + low))) * 2.0**k


def log(x):
    bits = struct.unpack(">Q", struct.pack(">d", x))[0]
    k = (bits >> 52) - 1023
    m = struct.unpack(">d", struct.pack(">Q", bits & (2**52 - 1) | 1023 << 52))[0]
    if m >= float.fromhex("0x1.6a09e667f3bcdp+0"):
        k, m = k + 1, m / 2
    f = m - 1
    s = f / (2 + f)
    z, total = s * s, 0.0
    for i in range(12, 0, -1):
        total = (total + 2.0 / (2 * i + 1)) * z
    half = 0.5 * f * f
    high, low = float.fromhex("0x1.62e42fefap-1"), float.fromhex("0x1.cf79abc9e3b3ap-40")
    return k * high - ((half - (s * (half + total) + k * low)) - f)


def text(x):
    """ECMAScript Number::toString."""
    if x == 0:
        return "0"
    mantissa, exponent = ("%r" % float("%r" % abs(x))), 0
    if "e" in mantissa:
        mantissa, e = mantissa.split("e")
        exponent = int(e)
    whole, _, fraction = mantissa.partition(".")
    if fraction == "0":
        fraction = ""
    digits = whole + fraction
    point = len(whole) + exponent
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    digits = stripped.rstrip("0")
    n = len(digits)
    if n <= point <= 21:
        out = digits + "0" * (point - n)
    elif 0 < point <= 21:
        out = digits[:point] + "." + digits[point:]
    elif -6 < point <= 0:
        out = "0." + "0" * -point + digits
    else:
        e = point - 1
        out = digits[0] + ("." + digits[1:] if n > 1 else "") + "e" + ("+" if e >= 0 else "-") + str(abs(e))
    return ("-" if x < 0 else "") + out


def nearest(x):
    whole = int(x)
    rest = x - whole
    return whole + 1 if rest >= 0.5 else whole - 1 if rest <= -0.5 else whole


def between(p, low, high, u):
    bounds = float(p["low"]), float(p["high"])
    if p["log"]:
        a, b = log(low), log(high)
        x = exp(a + u * (b - a))
    else:
        x = low + u * (high - low)
    return min(max(x, bounds[0]), bounds[1])


def at(p, u):
    if p["type"] == "choice":
        return p["of"][min(int(u * float(len(p["of"]))), len(p["of"]) - 1)]
    low, high = float(p["low"]), float(p["high"])
    if p["type"] == "float":
        return text(between(p, low, high, u))
    if p["log"]:
        return str(nearest(between(p, low - 0.5, high + 0.5, u)))
    return str(int(min(low + float(int(u * (high - low + 1))), high)))


def grid_values(p):
    if p["type"] == "choice":
        return p["of"]
    if "points" in p:
        return p["points"]
    low, high = float(p["low"]), float(p["high"])
    if "steps" not in p:
        return [str(i) for i in range(int(low), int(high) + 1)]
    n = p["steps"]
    values = [low] + [between(p, low, high, float(i) / float(n - 1)) for i in range(1, n - 1)] + [high]
    return [text(x) if p["type"] == "float" else str(nearest(x)) for x in values]


def directions(polynomial, first):
    s = polynomial.bit_length() - 1
    m = list(first[:s]) if s else [1] * 32
    for k in range(len(m), 32):
        x = m[k - s] ^ m[k - s] << s
        for j in range(1, s):
            if polynomial >> (s - j) & 1:
                x ^= m[k - j] << j
        m.append(x)
    return m


def sobol(m, index):
    gray, x = index ^ index >> 1, 0
    for k in range(32):
        if gray >> k & 1:
            x ^= m[k] << (31 - k)
    return x & 0xFFFFFFFF


def owen(x, key, name):
    out = 0
    for level in range(32):
        bit = x >> (31 - level) & 1
        flip = philox((256 + level, x >> (32 - level)) + stream(name), key)[0] & 1
        out = out << 1 | bit ^ flip
    return out


# The first eight dimensions, which is enough for a test: polynomial, first numbers.
SOBOL = [(1, []), (3, [1]), (7, [1, 3]), (11, [1, 3, 1]), (13, [1, 1, 1]), (19, [1, 1, 3, 3]), (25, [1, 3, 5, 13]), (37, [1, 1, 5, 5, 17])]


def decide(study, key, number):
    sampler, space = study["search"]["sampler"], study["space"]
    if sampler == "list":
        return [study["search"]["trials"][number][p["name"]] for p in space]
    if sampler == "grid":
        values = []
        for p in reversed(space):
            steps = grid_values(p)
            values.append(steps[number % len(steps)])
            number //= len(steps)
        return values[::-1]
    values = []
    for i, p in enumerate(space):
        if sampler == "random":
            words = philox((0, number) + stream(p["name"]), key)
            u = (float((words[0] << 32 | words[1]) >> 12) + 0.5) * 2.0**-52
        else:
            x = owen(sobol(directions(*SOBOL[i]), number), key, p["name"])
            u = (x + 0.5) * 2.0**-32
        values.append(at(p, u))
    return values


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        study = json.load(f)
    key = struct.unpack(">II", bytes.fromhex(sys.argv[2])[24:])
    for number in range(study["budget"]["trials"]):
        seed = philox((512, number, 0, 0), key)[0] >> 1
        print(number, *decide(study, key, number), seed)


main()
