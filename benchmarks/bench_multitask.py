"""Models of two tasks against single-task ones: does one model of both cost either of them anything?

    python -m benchmarks.bench_multitask SOURCE [--set KEY=VALUE]...

Every rating of SOURCE is a row with the seven fields of ``ctr-random``; the tasks are liked (4 or more) and
loved (5). Random 8:1:1. The reference is ``deep`` trained for one task at a time, with as many parameters
as the multi-task models or more. Differences to it are paired, with 95 % intervals over users; the entropy
of the gates is over its greatest value (1: all experts alike, 0: one expert has all).
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from benchmarks import configuration
from flows.command.screens.terminal import log_to_terminal
from models.dataset import Dataset, Longs
from models.evaluation import metrics
from models.evaluation.bootstrap import BootstrapConfig, percentile_interval, resampled_auc
from models.pipeline.config import ranker_of
from models.rank.experts import gate_entropy
from models.rank.mmoe import MMoE
from models.rank.ple import PLE
from models.rank.rating_rows import LIKED, LOVED, rating_rows
from models.rank.rows import Rows
from models.rank.trainer import Network
from tasks.commands.evaluate import read_log

MULTI_TASK = ("shared_bottom", "mmoe", "ple")
TASKS = (LIKED, LOVED)


def labelled(log: Dataset, rows: Longs) -> Rows:
    """Rows of the log with the labels of both tasks."""
    rating = log.rating[np.sort(rows)]
    label = np.stack([rating >= 4, rating == 5], axis=1).astype(np.float32)
    return replace(rating_rows(log, np.sort(rows)), label=label, tasks=TASKS)


def of_task(rows: Rows, task: str) -> Rows:
    """The same rows with one task."""
    number = TASKS.index(task)
    return replace(rows, label=rows.label[:, number : number + 1], tasks=(task,))


def entropies(network: Network, rows: Rows) -> list[float]:
    """Mean entropy of each task's gate on the first rows."""
    module = network.module
    assert isinstance(module, MMoE | PLE)
    with torch.inference_mode():
        weights = module.gate_weights(rows.batch(np.arange(min(len(rows), 20_000))))
    return [float(gate_entropy(gate).mean()) for gate in weights]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    config = configuration.load(options.set)
    log_to_terminal()
    log, _ = read_log(options.source)
    order = np.random.default_rng(config.seed).permutation(log.n_events)
    held_back = np.split(order, [len(order) * 8 // 10, len(order) * 9 // 10])
    train, validation, test = (labelled(log, rows) for rows in held_back)
    user = np.sort(held_back[2])
    user_idx = log.user_idx[user]
    reference = {}
    for task in TASKS:
        trained = ranker_of(config, "deep").fit(of_task(train, task), of_task(validation, task), config.seed)
        reference[task] = trained.logits(test)[:, 0]
    print(f"{'model':15}{'task':8}{'AUC':>8}{'less deep':>11}{'95 % interval':>20}{'entropy':>9}")
    for number, task in enumerate(TASKS):
        print(f"{'deep':15}{task:8}{metrics.auc(test.label[:, number], reference[task]):>8.4f}")
    for name in MULTI_TASK:
        trained = ranker_of(config, name).fit(train, validation, config.seed)
        assert isinstance(trained, Network)
        gates = entropies(trained, test) if isinstance(trained.module, MMoE | PLE) else None
        logits = trained.logits(test)
        for number, task in enumerate(TASKS):
            label, ours, theirs = test.label[:, number], logits[:, number], reference[task]
            draws = [resampled_auc(label, score, user_idx, BootstrapConfig()) for score in (ours, theirs)]
            low, high = (bound[0] for bound in percentile_interval((draws[0] - draws[1])[:, None], 0.95))
            difference = metrics.auc(label, ours) - metrics.auc(label, theirs)
            entropy = "" if gates is None else f"{gates[number]:.2f}"
            print(
                f"{name:15}{task:8}{metrics.auc(label, ours):>8.4f}{difference:>+11.4f}"
                f"{f'{low:+.4f} to {high:+.4f}':>20}{entropy:>9}"
            )


if __name__ == "__main__":
    main()
