# PCA and a support vector machine, cross-validated over a grid. out: cv.csv
import csv, os, sys
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
out = sys.argv[1]; os.makedirs(out, exist_ok=True)
X, y = load_digits(return_X_y=True)
g = GridSearchCV(make_pipeline(PCA(random_state=4), SVC()), {"pca__n_components": [8, 16], "svc__C": [1, 10]}, cv=3).fit(X[:900], y[:900])
with open(os.path.join(out, "cv.csv"), "w") as f:
    w = csv.writer(f); w.writerow(["components", "C", "score"])
    for p, s in zip(g.cv_results_["params"], g.cv_results_["mean_test_score"]): w.writerow([p["pca__n_components"], p["svc__C"], repr(float(s))])
    w.writerow(["variance", "", repr(float(g.best_estimator_[0].explained_variance_.sum()))])
