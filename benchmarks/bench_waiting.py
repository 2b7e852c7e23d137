"""How threads wait for each other: an epoch of the towers alone, and beside a process that never rests.

    python -m benchmarks.bench_waiting SOURCE

At the end of a loop a thread of OpenMP turns until the last one is done, and sleeps after some turns
(``GOMP_SPINCOUNT``). Prints seconds with OpenMP's own number of turns, Matinee's, and none, and their ratio
to an epoch alone with OpenMP's.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence

from models import SPINS

TURNS = {"OpenMP": "300000", "Matinee": SPINS, "sleep": "0"}

ONE_EPOCH = ("training.first_vectors=null", "training.epochs=1")
"""Settings of ``two_tower``: one pass over the log from random vectors."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    source = parser.parse_args(arguments).source
    alone = 0.0
    for beside in (False, True):
        for name, turns in TURNS.items():
            seconds = trained(source, turns, beside)
            alone = alone or seconds
            where = "beside another process" if beside else "alone"
            print(f"{name:<8} {where:<23} {seconds:7.1f} s  {seconds / alone:5.2f}", flush=True)


def trained(source: str, turns: str, beside: bool) -> float:
    """Seconds of an epoch of ``two_tower`` in a process of its own, beside one that never rests or none."""
    command = [sys.executable, "-m", "benchmarks.bench_two_tower", source]
    command += [word for setting in ONE_EPOCH for word in ("--set", f"channels.two_tower.{setting}")]
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if beside else None
    try:
        environment = os.environ | {"GOMP_SPINCOUNT": turns}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    finally:
        if busy is not None:
            busy.kill()
            busy.wait()
    return float(re.findall(r"trained in +([\d.]+) s", done.stdout)[-1])


if __name__ == "__main__":
    main()
