"""One trial of the demo: a small neural network learns scikit-learn's bundled digits.

Nothing in here knows hps but one line: HPS_METRICS names the file for the numbers that the search looks at.
"""
import argparse
import json
import os
import warnings

# Before NumPy is imported: with one thread the sums are always added in the same order.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lr", type=float, required=True, help="learning rate")
    parser.add_argument("--width", type=int, required=True, help="neurons of the hidden layer")
    parser.add_argument("--activation", choices=["relu", "tanh", "logistic"], required=True)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=".", help="directory for the results")
    options = parser.parse_args()

    images, labels = load_digits(return_X_y=True)
    # The split has a seed of its own: all trials are measured on the same images.
    x_train, x_test, y_train, y_test = train_test_split(images / 16.0, labels, test_size=0.25, random_state=0, stratify=labels)

    model = MLPClassifier(
        hidden_layer_sizes=(options.width,),
        activation=options.activation,
        learning_rate_init=options.lr,
        max_iter=options.epochs,
        batch_size=100,
        tol=0.0,
        random_state=options.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is our choice
        model.fit(x_train, y_train)

    probability = model.predict_proba(x_test)
    metrics = {
        "accuracy": accuracy_score(y_test, model.classes_[probability.argmax(axis=1)]),
        "loss": log_loss(y_test, probability, labels=model.classes_),
    }
    print("epochs %d, training loss %.6f, accuracy %.4f" % (model.n_iter_, model.loss_, metrics["accuracy"]))

    os.makedirs(options.out, exist_ok=True)
    arrays = {"w%d" % i: w for i, w in enumerate(model.coefs_)}
    arrays.update({"b%d" % i: b for i, b in enumerate(model.intercepts_)})
    numpy.savez(os.path.join(options.out, "weights.npz"), **arrays)
    for path in (os.path.join(options.out, "metrics.json"), os.environ.get("HPS_METRICS")):
        if path:
            with open(path, "w", encoding="utf-8") as f:
                json.dump(metrics, f, sort_keys=True)
                f.write("\n")


main()
