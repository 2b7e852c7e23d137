"""Algorithms on arrays and tensors, from features and recall channels to the published list."""

import os

SPINS = "5000"
"""Turns that a thread of OpenMP makes while it waits for the others at the end of a loop, before it sleeps.

By its own default, 300,000, an epoch of the towers takes 3.4 times as long beside another busy process, by
this one 2.3 times; without turns it is an eighth slower alone (benchmarks/bench_waiting.py).
"""

if "OMP_WAIT_POLICY" not in os.environ:
    # Read when OpenMP loads, with torch, numba or faiss.
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
