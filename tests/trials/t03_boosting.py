# Histogram gradient boosting (OpenMP inside); seeded. out: proba.npy, model.joblib
import os, sys, joblib, numpy as np
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
out = sys.argv[1]; os.makedirs(out, exist_ok=True)
X, y = make_classification(3000, 12, random_state=3)
m = HistGradientBoostingClassifier(max_iter=20, random_state=3).fit(X[:2000], y[:2000])
np.save(os.path.join(out, "proba.npy"), m.predict_proba(X[2000:])); joblib.dump(m, os.path.join(out, "model.joblib"))
