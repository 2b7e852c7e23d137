r"""Closed-form channels: seconds and peak of the fit, seconds of all answers, size of the state, quality.

    python -m benchmarks.bench_closed_form SOURCE [--channels ease,ease_plain,sequential_linear]
        [--set n_weights=300]

SOURCE is what ``matinee ingest`` takes, for example a folder with ml-1m or ``synthetic``. Fitted without each
user's two newest ratings; the second newest is predicted (the validation part of ``leave-one-out``). Seconds
are of all threads; peaks are those of the fit above what the process held before it.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from time import process_time

import numpy as np

from benchmarks.logs import read_log
from models.dataset import queries_at
from models.evaluation.leave_out import leave_one_out
from models.recall.registry import build

N = 300
"""Candidates a user."""


def resident(field: str) -> float:
    """Memory of this process in GiB: ``VmRSS`` now, or ``VmHWM`` at its peak."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 2**20


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--channels", default="ease,ease_plain,sequential_linear")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args(arguments)
    settings = {key: json.loads(value) for key, value in (pair.split("=") for pair in options.set)}
    split = leave_one_out(leave_one_out(read_log(options.source)).train)
    print(f"{split.train.n_users:,} users, {split.train.n_items:,} items, {split.train.n_events:,} ratings")
    print(f"{'':18}{'fit s':>8}{'peak GiB':>10}{'answers s':>11}{'state MB':>10}", end="")
    print(f"{'HR@10':>8}{'NDCG@10':>9}{'HR@300':>8}")
    for name in options.channels.split(","):
        few = split.train.where(split.train.user_idx < 2)
        build(name, settings=settings).fit(few).recommend(queries_at(few).rows(0, 2), N)  # compiles
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before, start = resident("VmRSS"), process_time()
        model = build(name, settings=settings).fit(split.train)
        fit, peak = process_time() - start, resident("VmHWM") - before
        start = process_time()
        found = model.recommend(split.queries, N).item
        answers = process_time() - start
        size = sum(value.nbytes for value in model.state.values()) / 1e6
        hit = found == split.targets.item[:, None]  # (B, N)
        discount = 1 / np.log2(np.arange(N) + 2)
        print(
            f"{name:18}{fit:>8.1f}{peak:>10.2f}{answers:>11.1f}{size:>10.1f}{hit[:, :10].any(1).mean():>8.4f}"
            f"{(hit * discount)[:, :10].sum(1).mean():>9.4f}{hit.any(1).mean():>8.4f}"
            + (f"   covered {float(model.state['covered']):.3f}" if "covered" in model.state else "")
        )


if __name__ == "__main__":
    main()
