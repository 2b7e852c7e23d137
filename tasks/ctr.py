"""Rankers alone, on single ratings: each is trained on the same rows and asked for the same ones."""

import logging
import time
from collections.abc import Sequence

import numpy as np

from models.dataset import Dataset
from models.evaluation.ctr import CTR_PROTOCOLS
from models.evaluation.rows import Row, Run, classifier_rows
from models.rank.ctr import ctr_rows
from models.rank.registry import fit_ranker

log = logging.getLogger("matinee")

IN_TIME = ("ctr-last",)
"""Protocols whose rows come with the history before them; with a random split that would be the answers."""


def measure(protocol: str, dataset: Dataset, rankers: Sequence[str], seed: int) -> tuple[str, list[Row]]:
    """The hash of the split, and AUC, GAUC and log loss of each ranker on its test rows.

    Raises ValueError if the log is too small for the protocol.
    """
    split = CTR_PROTOCOLS[protocol](dataset, seed)
    parts = (split.train, split.validation, split.test)
    train, validation, test = (ctr_rows(dataset, rows, protocol in IN_TIME) for rows in parts)
    label, user = test.label[:, 0], dataset.user_idx[split.test]
    found: list[Row] = []
    for name in rankers:
        started = time.perf_counter()
        trained = fit_ranker(name, train, validation, seed)
        run = Run("rank", name, seed, round(time.perf_counter() - started, 3))
        probability = 1 / (1 + np.exp(-trained.logits(test)[:, 0].astype(np.float64)))
        found += classifier_rows(label, probability, user, protocol, run)
        log.info("%-18s fit %6.1f s", name, run.fit_seconds)
    return split.digest(dataset), found
