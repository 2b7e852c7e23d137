"""Fitting the ranking stage: on what recall brought for held-back questions, judged by users left out.

Users are dealt into folds. A ranker is trained for each fold, without its users, who tell it when to stop;
then they choose the weights of the tasks, and the share of the rankers in the blend. How far the
probabilities of the rankers can be believed is measured on them as well.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.candidates import Candidates
from models.config import Config
from models.dataset import Dataset, Floats, Longs, Mask
from models.evaluation import metrics
from models.features.compute import Known
from models.features.declare import Declaration
from models.features.encode import coverage, fit_encoder
from models.features.extract import extract
from models.rank.calibration import Reliability, fit_isotonic, reliability, undo_sampling
from models.rank.candidates import TASKS, Pool, Sampling, is_target, keep_some, labels
from models.rank.contract import Trained
from models.rank.fusion import FusionConfig, fit_fusion
from models.rank.registry import fit_ranker
from models.rank.rows import Rows
from models.rank.stage import Ranking, blended, task_probabilities
from models.rank.validation import probability
from models.sampling import spread
from models.targets import Targets
from models.top_n import best_of_rows

log = logging.getLogger("matinee")

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the rankers in the blend, to choose from."""


class RankingConfig(Config):
    """How rankers are trained, and how it is decided whether to heed them."""

    ranker: str = "gbdt"
    """Name in the registry."""
    formula: str = "boosted"
    """How the probabilities of several tasks become one: a name of ``models.rank.fusion.FORMULAS``."""
    folds: int = 3
    """Rankers trained, each without the users of one fold."""
    judged: int = 6_000
    """Queries at most that the share is chosen on."""
    judged_at: int = 10
    """List places looked at, by NDCG."""
    sampling: Sampling = Sampling()
    """Which candidates are learned from."""
    seed: int = 0
    """Of the negatives drawn, folds and rankers."""


@dataclass(frozen=True)
class Fitted:
    """A ranking stage, and what is known of it from users that its rankers have not learned from."""

    ranking: Ranking
    ndcg: Mapping[float, float]
    """What each share of the rankers in the blend reached."""
    reliability: Mapping[str, Reliability]
    """Of the probability to be watched: as the rankers say it, and by both ways to calibrate it."""
    coverage: Mapping[str, float]
    """Share of the training part's rows that have each feature; of its queries or items for one of these."""


def fit_ranking(
    pool: Pool,
    targets: Targets,
    answers: Dataset,
    declared: Sequence[Declaration],
    config: RankingConfig = RankingConfig(),
) -> Fitted | None:
    """Learn to order what recall brought for held-back queries; None if it brought too few targets.

    ``answers`` is a log with the ratings of the targets. Nothing of it is read but these.
    """
    known = Known(pool.queries.log)
    kept = keep_some(pool, targets, config.sampling, config.seed)
    pairs = pool.pairs(known, kept)
    raw = extract(declared, list(pool.lists), pairs)
    encoder = fit_encoder(declared, list(pool.lists), raw, known.log)
    watched = is_target(pool.merged.item, targets)[kept]
    label = labels(watched, pool.queries.user_idx[pairs.query], pairs.item, answers)
    rows = Rows(encoder.schema, pairs.query, pairs.item.astype(np.int64), *encoder.encode(raw), label, TASKS)
    fold = _folds(pool, config)
    left_out = [fold[rows.query] == number for number in range(config.folds)]
    if not all((watched & mine).any() and (watched & ~mine).any() for mine in left_out):
        return None
    rankers = tuple(
        fit_ranker(config.ranker, rows.where(~mine), rows.where(mine), config.seed) for mine in left_out
    )
    fusion = _fit_fusion(rankers, rows, left_out, config)
    made_of = config.ranker, tuple(pool.lists), encoder, tuple(declared), rankers
    untried = Ranking(*made_of, config.sampling.negatives, fusion, share=0.0)
    judged = spread(len(pool.queries), config.judged)
    part = pool.where(judged)
    answered, _ = targets.where(np.isin(targets.query, judged))
    logits = _of_left_out(untried, part, known, fold[judged])
    ndcg = _ndcg_by_share(part, untried.fused(logits), answered, config.judged_at)
    told = ", ".join(f"{share:.2f}: {value:.4f}" for share, value in ndcg.items())
    log.info("%s: NDCG@%d by its share in the list %s", config.ranker, config.judged_at, told)
    # Of equal ones the smallest.
    ranking = replace(untried, share=max(ndcg, key=lambda share: ndcg[share]))
    curves = _reliability(part, logits, answered, ranking.kept)
    return Fitted(ranking, ndcg, curves, coverage(raw))


def _folds(pool: Pool, config: RankingConfig) -> Longs:
    """(B,) the fold of each query's user."""
    users = pool.queries.user_idx
    dealt = np.random.default_rng(config.seed).permutation(users.max(initial=0) + 1)
    return dealt[users] % config.folds


def _fit_fusion(
    rankers: Sequence[Trained], rows: Rows, left_out: Sequence[Mask], config: RankingConfig
) -> FusionConfig:
    """The weights of the tasks, chosen on each fold's rows by the ranker that has not learned from them."""
    tasks = len(rankers[0].tasks)
    if tasks == 1:
        return FusionConfig(config.formula)
    logits = np.empty((len(rows), tasks), dtype=np.float32)
    for ranker, mine in zip(rankers, left_out, strict=True):
        logits[mine] = ranker.logits(rows.where(mine))
    return fit_fusion(
        task_probabilities(logits, config.sampling.negatives), rows.label[:, 0], rows.query, config.formula
    )


def _of_left_out(ranking: Ranking, pool: Pool, known: Known, fold: Longs) -> Floats:
    """(B, n, T) logits of every query's candidates by the ranker that has not learned from its user."""
    logits = np.empty((*pool.merged.item.shape, len(ranking.tasks)), dtype=np.float32)
    for number, ranker in enumerate(ranking.rankers):
        mine = np.flatnonzero(fold == number)
        logits[mine] = replace(ranking, rankers=(ranker,)).task_logits(pool.where(mine), known)
    return logits


def _ndcg_by_share(pool: Pool, logits: Floats, targets: Targets, at: int) -> dict[float, float]:
    """The mean NDCG of the blend with each share of the rankers."""
    reached = {}
    for share in SHARES:
        place, score = best_of_rows(blended(pool, logits, share), at)
        listed = np.take_along_axis(pool.merged.item, np.maximum(place, 0), axis=1)
        blend = Candidates(np.where(place >= 0, listed, -1), score)
        reached[share] = metrics.mean_ndcg(blend, targets, at)
    return reached


def _reliability(pool: Pool, logits: Floats, targets: Targets, kept: float) -> dict[str, Reliability]:
    """Of the main task, on every second query; isotonic regression learns from the others."""
    there = pool.merged.item >= 0
    watched = is_target(pool.merged.item, targets)[there].astype(np.float32)
    as_trained = probability(logits[there][:, 0])
    corrected = undo_sampling(as_trained, kept)
    shown = np.nonzero(there)[0] % 2 == 1
    isotonic = fit_isotonic(watched[~shown], corrected[~shown])
    said = {"as trained": as_trained, "sampling undone": corrected, "isotonic": isotonic(corrected)}
    return {name: reliability(watched[shown], by[shown]) for name, by in said.items()}
