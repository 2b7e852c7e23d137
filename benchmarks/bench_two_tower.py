r"""Presets of the two-tower family trained from scratch, alone: metrics and seconds.

    python -m benchmarks.bench_two_tower SOURCE \
        [--channels two_tower,sasrec] [--protocol leave-one-out] [--set KEY=VALUE]...

Hits are fractions of all targets. Compilation is left out of the seconds, by training on a small log first.
With ``--set engine.training_processes=N`` so many processes train together, their start included.
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np

from benchmarks import configuration
from flows.command.screens.terminal import log_to_terminal
from models.dataset import Dataset, queries_at
from models.evaluation import metrics
from models.evaluation.protocols import PROTOCOLS
from models.evaluation.sampling import small_part
from models.pipeline.config import build_channel
from models.recall.contract import Incremental
from models.recall.two_tower import TwoTower
from tasks import processes
from tasks.commands.evaluate import read_log
from tasks.config import Configuration

TOP = 300


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--channels", default="two_tower")
    parser.add_argument("--protocol", default="leave-one-out", choices=list(PROTOCOLS))
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    config = configuration.load(options.set, {"recall": {"channels": options.channels.split(",")}})
    log_to_terminal()
    log, _ = read_log(options.source)
    part = small_part(log)
    some = queries_at(part, users=np.unique(part.user_idx))
    for channel in config.recall.channels:
        fitted(config, channel, part).recommend(some, 10)
        for split in PROTOCOLS[options.protocol].splits(log):
            started = time.perf_counter()
            model = fitted(config, channel, split.train)
            seconds = time.perf_counter() - started
            rank0 = metrics.target_rank0(model.recommend(split.queries, TOP), split.targets)
            hits = " ".join(f"{(rank0 < k).mean():.4f}" for k in (10, 50, 300))
            ndcg = metrics.ndcg(rank0, split.targets, 10).mean()
            print(
                f"{channel:<18} {options.protocol:<14} {split.window or '':<11} seed {config.seed} "
                f"trained in {seconds:6.1f} s  hits @10 @50 @300 {hits}  NDCG@10 {ndcg:.4f}",
                flush=True,
            )


def fitted(config: Configuration, name: str, log: Dataset) -> Incremental:
    """A channel of the family, trained by as many processes as the configuration says.

    Raises:
        SystemExit: it is of no such channel.
    """
    model = build_channel(config, name)
    if not isinstance(model, TwoTower):
        raise SystemExit(f"{name} is no preset of the two-tower family")
    return processes.fit(model, log, config.engine.training_processes)


if __name__ == "__main__":
    main()
