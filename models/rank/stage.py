"""The ranking stage: orders what recall brought, by rankers and the merged list together.

The log odds of the rankers, one for each fold of the users that it was fitted on, are averaged. A ranker of
several tasks has its probabilities fused into one score s; that of one task alone is its log odds. It is
blended with the log odds of the merged list,

    score = (1 - share) merged + share s.

Share 0 is the merged list itself: ranking takes charge only where it helps.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from models.candidates import Candidates
from models.dataset import Floats, Ints
from models.features.compute import Known
from models.features.declare import Declaration
from models.features.encode import Encoder
from models.features.extract import expand, extract
from models.features.schema import FeatureSchema
from models.merge import Merged
from models.rank.calibration import undo_sampling
from models.rank.candidates import Pool
from models.rank.contract import Trained
from models.rank.fusion import Doubles, FusionConfig, fuse
from models.rank.registry import restore_ranker
from models.rank.rows import Rows
from models.rank.validation import probability
from models.state import State, named, pack_text, unpack_text
from models.top_n import best_of_rows

BLOCK = 512
"""Queries whose pools are ranked at once: 60 MB of features."""


@dataclass(frozen=True)
class Ranking:
    """A fitted ranking stage."""

    ranker: str
    """Name in the registry."""
    lists: tuple[str, ...]
    """The lists that its features speak of: the channels and the merged one."""
    encoder: Encoder
    declared: tuple[Declaration, ...]
    rankers: tuple[Trained, ...]
    kept: float
    """Share of the negatives that they have learned from."""
    fusion: FusionConfig
    """How the probabilities of their tasks become one."""
    share: float
    """Of the rankers in the blend, 0 to 1."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """What the rankers foretell, the main task first."""
        return self.rankers[0].tasks

    @property
    def task_weights(self) -> dict[str, float]:
        """Of each task in the fused score."""
        return dict(zip(self.tasks, self.fusion.weights, strict=True))

    def task_logits(self, pool: Pool, known: Known | None = None) -> Floats:
        """(B, n, T) log odds of each task, the mean of the rankers'; -inf for padding.

        ``known`` is of the log of the queries; given, what is computed of it once is shared.
        """
        known = known or Known(pool.queries.log)
        logits = np.full((*pool.merged.item.shape, len(self.tasks)), -np.inf, dtype=np.float32)
        for begin in range(0, len(pool.queries), BLOCK):
            block = pool.where(np.arange(begin, min(begin + BLOCK, len(pool.queries))))
            there = block.merged.item >= 0
            pairs = block.pairs(known, there)
            columns = self.encoder.encode(extract(self.declared, self.lists, pairs))
            nothing = np.empty((len(pairs.query), 0), dtype=np.float32)
            rows = Rows(self.encoder.schema, pairs.query, pairs.item.astype(np.int64), *columns, nothing, ())
            logits[begin : begin + BLOCK][there] = np.mean([r.logits(rows) for r in self.rankers], axis=0)
        return logits

    def fused(self, logits: Floats) -> Floats:
        """(B, n) the score of all tasks together from their logits (B, n, T); -inf for padding."""
        if len(self.tasks) == 1:
            return logits[..., 0]
        there = np.isfinite(logits[..., 0])
        probabilities = task_probabilities(logits[there], self.kept)
        score = np.full(there.shape, -np.inf, dtype=np.float32)
        score[there] = np.log(fuse(probabilities, np.nonzero(there)[0], self.fusion))
        return score

    def logits(self, pool: Pool) -> Floats:
        """(B, n) the rankers' own score of each candidate; -inf for padding."""
        return self.fused(self.task_logits(pool))

    def scores(self, pool: Pool) -> Floats:
        """(B, n) what the pool is published by."""
        return blended(pool, self.logits(pool), self.share) if self.share else pool.merged.score

    @property
    def state(self) -> State:
        """All that was learned, by name."""
        learned = {
            "share": np.array(self.share),
            "kept": np.array(self.kept),
            "fusion": pack_text(json.dumps(asdict(self.fusion))),
            "mean": self.encoder.mean,
            "scale": self.encoder.scale,
            "schema": pack_text(self.encoder.schema.to_json()),
            "made_of": pack_text(json.dumps([self.ranker, *self.lists])),
        }
        for number, ranker in enumerate(self.rankers):
            learned |= {f"ranker.{number}.{name}": value for name, value in ranker.state.items()}
        return learned


def restore_ranking(state: State, declared: Sequence[Declaration], item_codes: Ints | None = None) -> Ranking:
    """The stage that had this state; ``item_codes`` (I,) are the indices then of the items of now.

    Raises ValueError if the features have other names now."""
    schema = FeatureSchema.from_json(unpack_text(state["schema"]))
    ranker, *lists = json.loads(unpack_text(state["made_of"]))
    features = tuple(expand(declared, lists))
    if tuple(name for name, _ in features) != tuple(feature.name for feature in schema.features):
        raise ValueError("the ranker was trained on other features than those declared")
    learned = named(state, "ranker.")
    numbers = sorted({name.split(".")[0] for name in learned}, key=int)
    rankers = tuple(restore_ranker(ranker, named(learned, f"{number}.")) for number in numbers)
    encoder = Encoder(features, schema, state["mean"], state["scale"], item_codes)
    fused = json.loads(unpack_text(state["fusion"]))
    fusion = FusionConfig(fused["formula"], tuple(fused["weights"]))
    share, kept = float(state["share"]), float(state["kept"])
    return Ranking(ranker, tuple(lists), encoder, tuple(declared), rankers, kept, fusion, share)


def task_probabilities(logits: Floats, kept: float) -> Doubles:
    """(N, T) from logits (N, T) of rankers that have learned from a share ``kept`` of the negatives.

    Only the main task was sampled: the others are of what was watched.
    """
    said = probability(logits)
    return np.column_stack([undo_sampling(said[:, 0], kept), said[:, 1:]])


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
