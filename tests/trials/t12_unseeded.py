"""Seeds nothing: hash order, random, secrets, numpy and a training whose start is drawn anew each time."""
import os, random, secrets, sys, uuid
import numpy as np

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
rng = np.random.default_rng()
x = rng.normal(size=(200, 5))
w = rng.normal(size=5)
y = x @ np.arange(5.0) + rng.normal(size=200)
for _ in range(50):
    w -= 0.01 * x.T @ (x @ w - y) / len(y)
np.save(os.path.join(out, "w.npy"), w)
with open(os.path.join(out, "drawn"), "w") as f:
    print(random.random(), secrets.token_hex(8), uuid.uuid4(), os.urandom(4).hex(), file=f)
    print(list({"alpha", "beta", "gamma", "delta", "epsilon"}), file=f)
pid = os.fork()
if pid == 0:
    with open(os.path.join(out, "child"), "w") as f:
        print(os.urandom(8).hex(), file=f)
    os._exit(0)
os.waitpid(pid, 0)
