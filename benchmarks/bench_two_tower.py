"""Presets of the two-tower family trained from scratch, alone: figures and seconds.

    python -m benchmarks.bench_two_tower SOURCE [--channels two_tower,sasrec] [--protocol leave-one-out]

Hits are shares of all targets. Compilation is left out of the seconds, by training on a small log first.
"""

import argparse
import time

import numpy as np

from flows.command.screens.terminal import log_to_terminal
from models.dataset import queries_at
from models.evaluation import metrics
from models.evaluation.protocols import PROTOCOLS
from models.evaluation.sampling import small_part
from models.recall.registry import build
from tasks.commands.evaluate import read_log

TOP = 300


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("--channels", default="two_tower")
    parser.add_argument("--protocol", default="leave-one-out", choices=list(PROTOCOLS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    log_to_terminal()
    log, _ = read_log(options.source)
    part = small_part(log)
    for channel in options.channels.split(","):
        build(channel).fit(part).recommend(queries_at(part, users=np.unique(part.user_idx)), 10)
        for split in PROTOCOLS[options.protocol].splits(log):
            started = time.perf_counter()
            model = build(channel, options.seed).fit(split.train)
            seconds = time.perf_counter() - started
            ranks = metrics.target_rank0(model.recommend(split.queries, TOP), split.targets)
            hits = " ".join(f"{(ranks < k).mean():.4f}" for k in (10, 50, 300))
            ndcg = metrics.ndcg(ranks, split.targets, 10).mean()
            print(
                f"{channel:<18} {options.protocol:<14} {split.window or '':<11} seed {options.seed} "
                f"trained in {seconds:6.1f} s  hits @10 @50 @300 {hits}  NDCG@10 {ndcg:.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
