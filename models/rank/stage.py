"""The ranking stage: learns from what recall brought for held-back questions, then orders any pool.

Users are dealt into folds. A ranker is trained for each fold, without its users, who tell it when to stop;
the logits of all of them are averaged. The log odds of the merged list and those of the rankers are blended,

    score = (1 - share) merged + share logit,

with the share that orders the candidates of users the ranker has not learned from best. Share 0 is the
merged list itself: ranking takes charge only where it helps.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from models.dataset import Dataset, Floats, Longs
from models.evaluation import metrics
from models.evaluation.split import Targets
from models.features.compute import Known
from models.features.declare import Declaration
from models.features.encode import Encoder, coverage, fit_encoder
from models.features.extract import expand, extract
from models.features.schema import FeatureSchema
from models.rank.candidates import TASKS, Pool, Sampling, is_target, keep_some, labels
from models.rank.contract import Trained
from models.rank.registry import fit_ranker, restore_ranker
from models.rank.rows import Rows
from models.recall.contract import Candidates, State
from models.recall.merge import Merged, spread
from models.recall.top_n import best_of_rows
from models.state import named, pack_text, unpack_text

log = logging.getLogger("matinee")

BLOCK = 512
"""Queries whose pools are ranked at once: 60 MB of features."""


@dataclass(frozen=True)
class RankingConfig:
    """How rankers are trained, and how it is decided whether to heed them."""

    ranker: str = "gbdt"
    """Name in the registry."""
    folds: int = 3
    """Rankers trained, each without the users of one fold."""
    shares: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """Of the rankers in the blend, to choose from."""
    judged: int = 6_000
    """Queries at most that the share is chosen on."""
    judged_at: int = 10
    """List places looked at, by NDCG."""
    sampling: Sampling = field(default_factory=Sampling)
    """Which candidates are learned from."""
    seed: int = 0
    """Of folds and rankers."""


@dataclass(frozen=True)
class Ranking:
    """A trained ranking stage."""

    ranker: str
    """Name in the registry."""
    lists: tuple[str, ...]
    """The lists that its features speak of: the channels and the merged one."""
    encoder: Encoder
    declared: tuple[Declaration, ...]
    rankers: tuple[Trained, ...]
    share: float
    """Of the rankers in the blend, 0 to 1."""
    ndcg: Mapping[float, float] = field(default_factory=dict)
    """What each share reached on the users left out; not part of the state."""
    coverage: Mapping[str, float] = field(default_factory=dict)
    """Share of the training rows that have each feature; not part of the state."""

    def logits(self, pool: Pool, known: Known | None = None) -> Floats:
        """(B, n) log odds that the candidates are watched next; -inf for padding.

        ``known`` is of the log of the queries; given, what is computed of it once is shared.
        """
        known = known or Known(pool.queries.log)
        logits = np.full(pool.merged.item.shape, -np.inf, dtype=np.float32)
        for begin in range(0, len(pool.queries), BLOCK):
            block = pool.where(np.arange(begin, min(begin + BLOCK, len(pool.queries))))
            there = block.merged.item >= 0
            pairs = block.pairs(known, there)
            columns = self.encoder.encode(extract(self.declared, self.lists, pairs))
            nothing = np.empty((len(pairs.query), 0), dtype=np.float32)
            rows = Rows(self.encoder.schema, pairs.query, pairs.item.astype(np.int64), *columns, nothing, ())
            each = [ranker.logits(rows)[:, 0] for ranker in self.rankers]
            logits[begin : begin + BLOCK][there] = np.mean(each, axis=0)
        return logits

    def scores(self, pool: Pool) -> Floats:
        """(B, n) what the pool is published by."""
        return blended(pool, self.logits(pool), self.share) if self.share else pool.merged.score

    @property
    def state(self) -> State:
        """All that was learned, by name."""
        learned = {
            "share": np.array(self.share),
            "mean": self.encoder.mean,
            "scale": self.encoder.scale,
            "schema": pack_text(self.encoder.schema.to_json()),
            "made_of": pack_text(json.dumps([self.ranker, *self.lists])),
        }
        for number, ranker in enumerate(self.rankers):
            learned |= {f"ranker.{number}.{name}": value for name, value in ranker.state.items()}
        return learned


def fit_ranking(
    pool: Pool,
    targets: Targets,
    answers: Dataset,
    declared: Sequence[Declaration],
    config: RankingConfig = RankingConfig(),
) -> Ranking | None:
    """Learn to order what recall brought for held-back queries; None if it brought too few targets.

    ``answers`` is a log with the ratings of the targets. Nothing of it is read but these.
    """
    known = Known(pool.queries.log)
    kept = keep_some(pool, targets, config.sampling)
    pairs = pool.pairs(known, kept)
    raw = extract(declared, list(pool.lists), pairs)
    encoder = fit_encoder(declared, list(pool.lists), raw, known.log)
    watched = is_target(pool.merged.item, targets)[kept]
    label = labels(watched, pool.queries.user_idx[pairs.query], pairs.item, answers)
    rows = Rows(encoder.schema, pairs.query, pairs.item.astype(np.int64), *encoder.encode(raw), label, TASKS)
    fold = _folds(pool, config)
    rankers = []
    for number in range(config.folds):
        mine = fold[rows.query] == number
        if not (watched & mine).any() or not (watched & ~mine).any():
            return None
        rankers.append(fit_ranker(config.ranker, rows.where(~mine), rows.where(mine), config.seed))
    lists = tuple(pool.lists)
    untried = Ranking(config.ranker, lists, encoder, tuple(declared), tuple(rankers), 0.0, {}, coverage(raw))
    ndcg = _judge(untried, pool, known, targets, fold, config)
    log.info("%s: NDCG@%d by share %s", config.ranker, config.judged_at, ndcg)
    # Of equal ones the smallest.
    return replace(untried, share=max(ndcg, key=lambda share: ndcg[share]), ndcg=ndcg)


def restore_ranking(state: State, declared: Sequence[Declaration]) -> Ranking:
    """The stage that had this state. Raises ValueError if other features are declared now."""
    schema = FeatureSchema.from_json(unpack_text(state["schema"]))
    ranker, *lists = json.loads(unpack_text(state["made_of"]))
    features = tuple(expand(declared, lists))
    if tuple(name for name, _ in features) != tuple(feature.name for feature in schema.features):
        raise ValueError("the ranker was trained on other features than those declared")
    learned = named(state, "ranker.")
    numbers = sorted({name.split(".")[0] for name in learned}, key=int)
    rankers = tuple(restore_ranker(ranker, named(learned, f"{number}.")) for number in numbers)
    encoder = Encoder(features, schema, state["mean"], state["scale"])
    return Ranking(ranker, tuple(lists), encoder, tuple(declared), rankers, float(state["share"]))


def blended(pool: Pool, logits: Floats, share: float) -> Floats:
    """(B, n) the blend of the merged list's log odds and the rankers'; newcomers keep the merged list."""
    known = (pool.queries.end > pool.queries.start)[:, None] & (pool.merged.item >= 0)
    blend = (1 - share) * pool.merged.score[known] + share * logits[known]
    scores = pool.merged.score.copy()
    scores[known] = blend
    return scores


def order(merged: Merged, score: Floats, n: int) -> Merged:
    """The n best of a merged list by another score (B, N), ties in the order of the list."""
    place, score = best_of_rows(score, n)
    item, channels = (
        np.where(place >= 0, np.take_along_axis(values, np.maximum(place, 0), axis=1), nothing)
        for values, nothing in ((merged.candidates.item, -1), (merged.channels, 0))
    )
    return Merged(Candidates(item.astype(np.int32), score), channels)


def _folds(pool: Pool, config: RankingConfig) -> Longs:
    """(B,) the fold of each query's user."""
    users = pool.queries.user_idx
    dealt = np.random.default_rng(config.seed).permutation(users.max(initial=0) + 1)
    return dealt[users] % config.folds


def _judge(
    ranking: Ranking, pool: Pool, known: Known, targets: Targets, fold: Longs, config: RankingConfig
) -> dict[float, float]:
    """The mean NDCG of each share over queries of users that the ranker has not learned from."""
    gained = dict.fromkeys(config.shares, 0.0)
    judged = spread(len(pool.queries), config.judged)
    for number, ranker in enumerate(ranking.rankers):
        chosen = judged[fold[judged] == number]
        part = pool.where(chosen)
        answers, _ = targets.where(np.isin(targets.query, chosen))
        logits = replace(ranking, rankers=(ranker,)).logits(part, known)
        for share in config.shares:
            place, score = best_of_rows(blended(part, logits, share), config.judged_at)
            listed = np.take_along_axis(part.merged.item, np.maximum(place, 0), axis=1)
            ranks = metrics.target_ranks(Candidates(np.where(place >= 0, listed, -1), score), answers)
            gained[share] += float(metrics.ndcg(ranks, answers, config.judged_at).sum()) / len(judged)
    return gained
