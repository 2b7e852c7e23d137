"""How much each feature weighed in the ranking of a candidate."""

from dataclasses import replace

import numpy as np

from models.dataset import Floats, Mask
from models.features.compute import PastIndex
from models.rank.candidates import Pool
from models.rank.contract import Trained
from models.rank.rows import Rows
from models.rank.stage import Ranking


def contributions(ranking: Ranking, pool: Pool, past: PastIndex, chosen: Mask) -> Floats:
    """(N, F) what each feature gives to the log odds of the main task, for N chosen candidates, (B, n) bool.

    The features are those of ``ranking.encoder.schema``; of several rankers it is the mean.
    """
    rows = ranking.rows(pool, past, chosen)
    of_rankers = [_of_ranker(ranker, rows) for ranker in ranking.rankers]
    mean: Floats = np.mean(of_rankers, axis=0, dtype=np.float32)
    return mean


def ablated(ranker: Trained, rows: Rows) -> Floats:
    """(N, F) how much the log odds of the main task fall when a feature is missing, each feature alone."""
    whole = ranker.logits(rows)[:, 0]
    without = [ranker.logits(_without(rows, feature.name))[:, 0] for feature in rows.schema.features]
    return whole[:, None] - np.stack(without, axis=1)


def _of_ranker(ranker: Trained, rows: Rows) -> Floats:
    """By the ranker's own account, where it has one."""
    own = getattr(ranker, "contributions", None)
    found: Floats = ablated(ranker, rows) if own is None else own(rows)
    return found


def _without(rows: Rows, name: str) -> Rows:
    """The rows with 0, which stands for missing in every encoding, in place of a feature."""
    queries, items, pairs = (
        {column: np.zeros_like(of) if column == name else of for column, of in part.items()}
        for part in (rows.queries, rows.items, rows.pairs)
    )
    return replace(rows, queries=queries, items=items, pairs=pairs)
