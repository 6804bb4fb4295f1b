# Trains until its time is up, then collects a pool's results as they come. out: steps.json, results.csv
import json, os, sys, time
from multiprocessing import Pool
def work(i):
    n = sum(k * k % 7 for k in range(1000 + (i * 7919) % 13 * 4000)); return i, n
if __name__ == "__main__":
    out = sys.argv[1]; os.makedirs(out, exist_ok=True); end = time.monotonic() + 0.2; w, steps = 0.0, 0
    while time.monotonic() < end: w += 0.001 * (1 - w); steps += 1
    json.dump({"steps": steps, "w": w}, open(os.path.join(out, "steps.json"), "w"))
    with Pool(2) as p, open(os.path.join(out, "results.csv"), "w") as f:
        for i, n in p.imap_unordered(work, range(64)): f.write(f"{i},{n}\n")
