"""Algorithms on arrays and tensors, from features and recall channels to the published list."""

import os

# Read when OpenMP loads, with torch, numba or faiss. At the end of a loop its threads wait for each other, by
# default turning: beside another busy process an epoch of the towers then takes three times as long as alone,
# with threads that sleep 1.4 times (benchmarks/bench_waiting.py).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
