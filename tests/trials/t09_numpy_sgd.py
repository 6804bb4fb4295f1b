# Minibatch descent in float64; seeded, bound by matrix products. out: loss.csv, w.npy
import os, sys, numpy as np
out = sys.argv[1]; os.makedirs(out, exist_ok=True)
g = np.random.default_rng(9); X = g.standard_normal((2000, 64)); y = np.tanh(X @ g.standard_normal((64, 8))); W = np.zeros((64, 8))
with open(os.path.join(out, "loss.csv"), "w") as f:
    f.write("step,loss\n")
    for step in range(80):
        i = g.integers(0, 2000, 128); e = np.tanh(X[i] @ W) - y[i]; W -= 0.05 * X[i].T @ e / 128
        f.write(f"{step},{float((e * e).mean())!r}\n")
np.save(os.path.join(out, "w.npy"), W)
