#!/bin/sh
# What hps-ledger refuses, and with which status: the table is in ledger-refusals.py.
. "${HPS_SOURCE:?}/tests/lib.sh"
/usr/bin/python3 "$HPS_SOURCE/tests/e2e/ledger-refusals.py"
