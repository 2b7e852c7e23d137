"""Cross-fitting: rankers trained on what recall found for held-back queries, each without some users.

Users are dealt into folds. A ranker is trained for each fold, without its users, who tell it when to stop.
Its answers to their queries are out of fold: as honest as its answers to queries that are yet to come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.behaviour import Behaviour
from models.dataset import Dataset, Floats, Longs, Mask
from models.features.compute import PastIndex
from models.features.declare import Declaration, present
from models.features.encode import coverage, fit_encoder
from models.features.extract import extract
from models.rank.behaviour import behaviour_labels
from models.rank.candidates import (
    TASKS,
    Emphasis,
    Pool,
    Sampling,
    inverse_popularity,
    is_target,
    sample,
    task_labels,
)
from models.rank.fusion import main_task
from models.rank.registry import BuiltRanker
from models.rank.rows import Rows
from models.rank.stage import Ranking
from models.targets import Targets


@dataclass(frozen=True)
class CrossFitted:
    """Rankers, one a fold, and what they were trained on."""

    ranking: Ranking
    """The rankers as a stage that the merged list has no weight in."""
    rows: Rows
    """The training rows of all folds."""
    fold: Longs  # (B,) of each query's user
    past: PastIndex
    """The index of the log of the queries."""
    coverage: Mapping[str, float]
    """Fraction of the training rows, or of their queries or items, that have each feature."""

    def row_logits(self) -> Floats:
        """(N, T) logits of the training rows, out of fold."""
        logits = np.empty((len(self.rows), len(self.ranking.tasks)), dtype=np.float32)
        for ranker, mine in zip(self.ranking.rankers, self._left_out(), strict=True):
            logits[mine] = ranker.logits(self.rows.where(mine))
        return logits

    def task_logits(self, pool: Pool, queries: Longs) -> Floats:
        """(b, n, T) logits of the candidates of some queries of the pool trained on, out of fold."""
        part = pool.where(queries)
        logits = np.empty((*part.merged.item.shape, len(self.ranking.tasks)), dtype=np.float32)
        for number, ranker in enumerate(self.ranking.rankers):
            mine = np.flatnonzero(self.fold[queries] == number)
            logits[mine] = replace(self.ranking, rankers=(ranker,)).task_logits(part.where(mine), self.past)
        return logits

    def _left_out(self) -> list[Mask]:
        return [self.fold[self.rows.query] == number for number in range(len(self.ranking.rankers))]


def cross_fit(
    pool: Pool,
    targets: Targets,
    answers: Dataset,
    declared: Sequence[Declaration],
    sampling: Sampling,
    folds: int,
    ranker: BuiltRanker,
    seed: int,
    past: PastIndex | None = None,
    emphasis: Emphasis | None = None,
    behaviour: Behaviour | None = None,
) -> CrossFitted | None:
    """Train a ranker for each fold; None if recall found too few targets.

    ``answers`` is a log with the ratings of the targets. Nothing of it is read but these. ``past`` is of the
    log of the queries, and made of it if it is not given. By ``emphasis`` some candidates count more;
    ``behaviour`` gives the labels of further tasks.
    """
    past = past or PastIndex(pool.queries.log)
    declared = present(declared, past.log)
    sampled = sample(pool, targets, sampling, seed, emphasis)
    pairs = pool.pairs(past, sampled)
    raw = extract(declared, list(pool.lists), pairs)
    encoder = fit_encoder(declared, list(pool.lists), raw, past.log)
    watched = is_target(pool.merged.item, targets)[sampled]
    user = pool.queries.user_idx[pairs.query]
    label = task_labels(watched, user, pairs.item, answers)
    further = {} if behaviour is None else behaviour_labels(behaviour, user, pairs.item)
    label = np.column_stack([label, *further.values()])
    weight = None if emphasis is None else emphasis.weight[sampled]
    if sampling.popularity_power:
        inverse = inverse_popularity(pairs.item, watched, past.log, sampling.popularity_power)
        weight = inverse if weight is None else weight * inverse
    rows = replace(Rows.of(pairs, raw, encoder), label=label, tasks=(*TASKS, *further), weight=weight)
    fold = _folds(pool, folds, seed)
    left_out = [fold[rows.query] == number for number in range(folds)]
    if not all((watched & mine).any() and (watched & ~mine).any() for mine in left_out):
        return None
    rankers = tuple(ranker.fit(rows.where(~mine), rows.where(mine), seed) for mine in left_out)
    made_of = ranker.kind, tuple(pool.lists), encoder, tuple(declared), rankers
    ranking = Ranking(
        *made_of,
        sampling.negative_rate,
        main_task(len(rankers[0].tasks)),
        blend_weight=1.0,
        unit=1.0 if behaviour is None else behaviour.mean_minutes,
    )
    return CrossFitted(ranking, rows, fold, past, coverage(raw))


def _folds(pool: Pool, folds: int, seed: int) -> Longs:
    """(B,) the fold of each query's user."""
    users = pool.queries.user_idx
    dealt = np.random.default_rng(seed).permutation(users.max(initial=0) + 1)
    return dealt[users] % folds
