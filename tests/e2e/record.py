"""Prints the value of a Python expression over one trial's record. usage: record.py LEDGER-FOLDER ID EXPRESSION
Names: t (the predicate), subject, materials, products, misses (by path), processes, libraries (by soname), python (by name),
gaps (what -> count), text(path) (content of a stored material), objects (the raw bytes of every manifest)."""
import json
import os
import subprocess
import sys

ledger, trial, expression = sys.argv[1:4]
shown = subprocess.run(["hps-ledger", "show", "--ledger", ledger, "--json", trial], capture_output=True, check=True).stdout
statement = json.loads(shown)["statement"]
t, subject = statement["predicate"], statement["subject"]


def stored(digest):
    with open(os.path.join(ledger, "objects", digest[:2], digest[2:]), "rb") as f:
        return f.read()


manifests = {d["name"]: json.loads(stored(d["digest"]["sha256"]))
             for d in t["buildDefinition"]["resolvedDependencies"] + subject[:1] if "annotations" not in d}
for name, m in manifests.items():
    assert m["schema"] == "hps.%s/1" % name, name


def by(name, key):
    return {item.get(key): item for item in manifests[name]["items"]}


materials, products, misses = by("materials", "path"), by("products", "path"), by("misses", "path")
processes, libraries, python = manifests["processes"]["items"], by("libraries", "soname"), by("python", "name")
gaps = {g["what"]: g["count"] for g in t["coverage"]["gaps"]}


def text(path):
    return stored(materials[path]["digest"]["sha256"]).decode()


print(eval(expression))
