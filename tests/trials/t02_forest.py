# Random forest grown by two threads; seeded. out: proba.npy, metrics.json
import json, os, sys, numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
out = sys.argv[1]; os.makedirs(out, exist_ok=True)
X, y = load_digits(return_X_y=True)
m = RandomForestClassifier(24, n_jobs=2, random_state=2).fit(X[:1200], y[:1200])
np.save(os.path.join(out, "proba.npy"), m.predict_proba(X[1200:]))
json.dump({"acc": m.score(X[1200:], y[1200:])}, open(os.path.join(out, "metrics.json"), "w"))
