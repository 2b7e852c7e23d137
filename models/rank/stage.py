"""The ranking stage: orders what recall found, by rankers and the merged list together.

The log odds of the rankers, one for each fold of the users that it was fitted on, are averaged. A ranker of
several tasks has its probabilities fused into one score s; that of one task alone is its log odds. It is
blended with the log odds of the merged list, with blend weight w:

    score = (1 - w) merged + w s.

Blend weight 0 is the merged list itself: ranking takes charge only where it helps.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType

import numpy as np

from models.candidates import Candidates
from models.dataset import Doubles, Floats, Ints, Mask
from models.features.compute import PastIndex
from models.features.declare import Declaration, is_content
from models.features.encode import Encoder, encoder_state, restored_encoder
from models.features.extract import expand, extract
from models.features.schema import FeatureSchema
from models.merge import Merged
from models.rank.behaviour import ODDS, LengthCurve, minutes
from models.rank.calibration import undo_sampling
from models.rank.candidates import Pool
from models.rank.contract import Trained
from models.rank.fusion import FusionConfig, fuse
from models.rank.registry import BuiltRanker
from models.rank.rows import Rows
from models.rank.validation import probability
from models.state import State, named, pack_text, unpack_text
from models.top_n import best_of_rows

SAMPLED = ("watched", "click")
"""Tasks of candidates that were not watched too, of which a fraction is learned from."""

BLOCK = 512 * 300
"""Candidates that are ranked at once: 60 MB of features."""


@dataclass(frozen=True)
class Ranking:
    """A fitted ranking stage."""

    ranker: str
    """Kind of its rankers."""
    lists: tuple[str, ...]
    """The lists that its features read: the channels and the merged one."""
    encoder: Encoder
    declared: tuple[Declaration, ...]
    rankers: tuple[Trained, ...]
    negative_rate: float
    """Fraction of the negatives that the rankers have learned from."""
    fusion: FusionConfig
    """Fusion of the probabilities of their tasks into one score."""
    blend_weight: float
    """Weight of the rankers in the blend with the merged list, 0 to 1."""
    memory: float = 0.0
    """Weight of the release before in scores of users who did nothing since (``models.rank.memory``)."""
    usual: Mapping[str, LengthCurve] = field(default_factory=dict)
    """By task of the part watched, what is usual for the length of a film."""
    unit: float = 1.0
    """Minutes of the unit of the watch time."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that the rankers predict, the main task first."""
        return self.rankers[0].tasks

    @property
    def task_weights(self) -> dict[str, float]:
        """The weight of each task in the fused score."""
        return dict(zip(self.tasks, self.fusion.weights, strict=True))

    def task_logits(self, pool: Pool, past: PastIndex | None = None) -> Floats:
        """(B, n, T) log odds of each task, the mean of the rankers'; -inf for padding.

        ``past`` is of the log of the queries; given, what is computed of it once is shared.
        """
        past = past or PastIndex(pool.queries.log)
        logits = np.full((*pool.merged.item.shape, len(self.tasks)), -np.inf, dtype=np.float32)
        n_queries = max(1, BLOCK // max(1, pool.merged.n))
        for begin in range(0, len(pool.queries), n_queries):
            block = pool.where(np.arange(begin, min(begin + n_queries, len(pool.queries))))
            mask = block.merged.item >= 0
            rows = self.rows(block, past, mask)
            logits[begin : begin + n_queries][mask] = np.mean([r.logits(rows) for r in self.rankers], axis=0)
        return logits

    def rows(self, pool: Pool, past: PastIndex, chosen: Mask) -> Rows:
        """The chosen candidates of a pool, (B, n) bool, as its rankers read them."""
        pairs = pool.pairs(past, chosen)
        return Rows.of(pairs, extract(self.declared, self.lists, pairs), self.encoder)

    def fused(self, logits: Floats, pool: Pool) -> Floats:
        """(B, n) the score of all tasks together from their logits (B, n, T); -inf for padding."""
        if len(self.tasks) == 1:
            return logits[..., 0]
        mask = np.isfinite(logits[..., 0])
        values = self.task_values(logits[mask], pool.lengths[mask])
        score = np.full(mask.shape, -np.inf, dtype=np.float32)
        score[mask] = np.log(fuse(values, np.nonzero(mask)[0], self.fusion))
        return score

    def task_values(self, logits: Floats, length: Floats) -> Doubles:
        """(N, T) what formulas read of each task, from logits (N, T) and lengths of films in seconds (N,).

        Probabilities, of the watch time minutes, of the part watched how it compares with what is usual.
        """
        values = task_probabilities(logits, self.tasks, self.negative_rate)
        for number, task in enumerate(self.tasks):
            if task in ODDS:
                values[:, number] = minutes(values[:, number], self.unit)
            if task in self.usual:
                values[:, number] /= self.usual[task](length)
        return values

    def logits(self, pool: Pool, past: PastIndex | None = None) -> Floats:
        """(B, n) the rankers' own score of each candidate; -inf for padding."""
        return self.fused(self.task_logits(pool, past), pool)

    def scores(self, pool: Pool, past: PastIndex | None = None, least: int = 1) -> Floats:
        """(B, n) the blended scores that the pool is sorted by; see :func:`blended`."""
        if not self.blend_weight:
            return pool.merged.score
        return blended(pool, self.logits(pool, past), self.blend_weight, least)

    @property
    def state(self) -> State:
        """All that was learned, by name."""
        state = {
            "blend_weight": np.array(self.blend_weight),
            "memory": np.array(self.memory),
            "negative_rate": np.array(self.negative_rate),
            "fusion": pack_text(json.dumps(asdict(self.fusion))),
            "unit": np.array(self.unit),
            "schema": pack_text(self.encoder.schema.to_json()),
            "made_of": pack_text(json.dumps([self.ranker, *self.lists])),
            **encoder_state(self.encoder),
        }
        for number, ranker in enumerate(self.rankers):
            state |= {f"ranker.{number}.{name}": value for name, value in ranker.state.items()}
        for task, curve in self.usual.items():
            state[f"usual.{task}"] = np.concatenate([curve.weights, curve.bounds])
        return state


def kind_of(state: State) -> str:
    """The kind of the rankers of a stage that had this state."""
    kind: str = json.loads(unpack_text(state["made_of"]))[0]
    return kind


def restore_ranking(
    state: State,
    declared: Sequence[Declaration],
    ranker: BuiltRanker,
    codes: Mapping[str, Ints] = MappingProxyType({}),
) -> Ranking:
    """The stage that had this state; ``codes`` are the indices then of the users and items of now, by side.

    Raises:
        ValueError: it was trained on features of other names, or with a ranker of other kind or sizes.
    """
    schema = FeatureSchema.from_json(unpack_text(state["schema"]))
    kind, *lists = json.loads(unpack_text(state["made_of"]))
    if kind != ranker.kind:
        raise ValueError(f"the ranker that was trained is {kind}, not {ranker.kind}")
    names = {feature.name for feature in schema.features}
    declared = tuple(feature for feature in declared if not is_content(feature) or feature.column in names)
    features = tuple(expand(declared, lists))
    if tuple(name for name, _ in features) != tuple(feature.name for feature in schema.features):
        raise ValueError("the ranker was trained on other features than those declared")
    of_rankers = named(state, "ranker.")
    numbers = sorted({name.split(".")[0] for name in of_rankers}, key=int)
    rankers = tuple(ranker.restore(named(of_rankers, f"{number}.")) for number in numbers)
    encoder = restored_encoder(features, schema, state, codes)
    fused = json.loads(unpack_text(state["fusion"]))
    fusion = FusionConfig(**fused | {"weights": tuple(fused["weights"])})
    blend_weight, negative_rate = float(state["blend_weight"]), float(state["negative_rate"])
    memory, unit = float(state["memory"]), float(state["unit"])
    usual = {task: LengthCurve(at[:3], at[3:]) for task, at in named(state, "usual.").items()}
    made_of = kind, tuple(lists), encoder, declared, rankers
    return Ranking(*made_of, negative_rate, fusion, blend_weight, memory, usual, unit)


def task_probabilities(logits: Floats, tasks: Sequence[str], negative_rate: float) -> Doubles:
    """(N, T) from logits (N, T) of rankers that have learned from a fraction of the negatives.

    Those of SAMPLED alone were sampled: the others are of what was watched.
    """
    found = probability(logits)
    for number, task in enumerate(tasks):
        if task in SAMPLED:
            found[:, number] = undo_sampling(found[:, number], negative_rate)
    return found


def blended(pool: Pool, logits: Floats, blend_weight: float, least: int = 1) -> Floats:
    """(B, n) the blend of the merged list's log odds and the rankers'.

    Where the history has fewer events than ``least`` the merged list is kept.
    """
    mask = ~pool.queries.with_fewer_than(least)[:, None] & (pool.merged.item >= 0)
    blend = (1 - blend_weight) * pool.merged.score[mask] + blend_weight * logits[mask]
    scores = pool.merged.score.copy()
    scores[mask] = blend
    return scores


def order(merged: Merged, score: Floats, n: int) -> Merged:
    """The n best of a merged list by another score (B, N), ties in the order of the list."""
    rank0, score = best_of_rows(score, n)
    item, channels = (
        np.where(rank0 >= 0, np.take_along_axis(values, np.maximum(rank0, 0), axis=1), nothing)
        for values, nothing in ((merged.candidates.item, -1), (merged.channels, 0))
    )
    return Merged(Candidates(item.astype(np.int32), score), channels)
