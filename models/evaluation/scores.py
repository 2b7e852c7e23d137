"""Measuring lists of candidates on the splits of a protocol, by slice.

Every averaged metric is stored as two sums a user, numerator and denominator. They add up over windows, give
the metric as a ratio of totals, and are all that the bootstrap needs, also for the paired difference of
two models.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Annotated

import numpy as np
from pydantic import Field, PositiveInt, field_validator
from scipy.sparse import csr_array

from models.candidates import Candidates
from models.config import Config
from models.dataset import Doubles, Ints, Longs, Mask
from models.evaluation import metrics
from models.evaluation.metrics import ACCURACY
from models.evaluation.slices import Categories, SliceConfig, query_slices, target_slices
from models.evaluation.split import Split
from models.targets import Targets

OVERALL = "all"
"""The slice of all queries."""

WINDOW = "window="
"""Prefix of the name of a slice of one window."""

RANKING_METRICS = (*ACCURACY, "pooled_recall", "serendipity", "novelty", "ild", "coverage", "gini")

Key = tuple[str, str, int]
"""Slice, metric, k."""

Ratios = dict[tuple[str, int], Doubles]
"""(2, B) numerators and denominators by metric and k."""


class EvaluationConfig(Config):
    """The metrics that lists are measured by."""

    ks: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (10, 50, 300)
    """Lengths of lists, in items; those longer than the lists at hand are left out."""
    metrics: tuple[str, ...] = RANKING_METRICS
    """Names of metrics; ``ild`` is left out where items have no genres."""
    slices: SliceConfig = SliceConfig()
    """Bounds of the groups of users and items."""

    @field_validator("metrics")
    @classmethod
    def _has_such_metrics(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(names) - set(RANKING_METRICS):
            raise ValueError(
                f"unknown metrics: {', '.join(sorted(unknown))}; there are {', '.join(RANKING_METRICS)}"
            )
        return names


@dataclass(frozen=True)
class Scores:
    """All that the metrics of one model and their intervals are made of."""

    protocol: str
    digest: str  # of the splits: only scores of equal digests are comparable
    size: Mapping[str, tuple[int, int]]  # slice: users, events (targets)
    keys: list[Key]  # M averaged metrics
    numerator: Doubles  # (U, M)
    denominator: Doubles  # (U, M)
    catalogue: Mapping[Key, float]  # coverage and gini: one value of all lists together

    def values(self) -> Doubles:
        """(M,) the averaged metrics; nan where nothing defines one."""
        with np.errstate(invalid="ignore"):
            ratios: Doubles = self.numerator.sum(axis=0) / self.denominator.sum(axis=0)
        return ratios

    def only(self, keys: Sequence[Key]) -> "Scores":
        """The same scores with some of the averaged metrics, in the order given."""
        number = {key: column for column, key in enumerate(self.keys)}
        columns = [number[key] for key in keys]
        return replace(
            self,
            keys=list(keys),
            numerator=self.numerator[:, columns],
            denominator=self.denominator[:, columns],
        )


@dataclass(frozen=True)
class _Window:
    """A split and the statistics of its training part that metrics need."""

    split: Split
    user: Longs  # (B,) from 0 to U - 1
    popularity_rank0: Longs  # (I,)
    information: Doubles  # (I,)
    by_query: Mapping[str, Mask]  # (B,)
    by_target: Mapping[str, Mask]  # (T,)


class Evaluator:
    """Measures any number of models on the splits of one protocol.

    Metrics of slice ``all`` and of every other group pool the queries of all windows. Where there are
    several windows, each also has slices named like ``window=2001-06-01`` and ``window=2001-06-01|known``.
    """

    def __init__(
        self,
        splits: Sequence[Split],
        config: EvaluationConfig | None = None,
        categories: Categories | None = None,
    ) -> None:
        """``categories`` name the codes of user attributes; without them the codes are the names."""
        self.config = config or EvaluationConfig()
        self.protocol = splits[0].protocol
        self.digest = " ".join(split.digest() for split in splits)
        users = np.unique(np.concatenate([split.queries.user_idx for split in splits]))
        self.n_users = len(users)
        self.windows = [
            _Window(
                split,
                np.searchsorted(users, split.queries.user_idx),
                metrics.popularity_rank0(split.train),
                metrics.self_information(split.train),
                _named_queries(split, len(splits) > 1, self.config.slices, categories or {}),
                _not_empty(target_slices(split, self.config.slices)),
            )
            for split in splits
        ]
        self.size = dict(self._sizes())

    def _sizes(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """The users and the events of every slice."""
        users: dict[str, Mask] = defaultdict(lambda: np.zeros(self.n_users, dtype=np.bool_))
        events: dict[str, int] = defaultdict(int)
        for window in self.windows:
            query = window.split.targets.query
            groups = {name: mask[query] for name, mask in window.by_query.items()} | dict(window.by_target)
            for name, mask in groups.items():
                users[name][window.user[query[mask]]] = True
                events[name] += int(mask.sum())
        return ((name, (int(users[name].sum()), n)) for name, n in events.items())

    def scores(self, lists: Sequence[Candidates]) -> Scores:
        """Measure the lists of one model, (B, n) for each split.

        Raises:
            ValueError: they do not match the queries or are shorter than every k.
        """
        if [len(c.item) for c in lists] != [len(window.user) for window in self.windows]:
            raise ValueError("there must be one list for each query of each split")
        width = min(c.n for c in lists)
        ks = [k for k in self.config.ks if k <= width]
        if not ks:
            raise ValueError(f"lists of {width} items are shorter than every k: {self.config.ks}")
        sums: dict[Key, Doubles] = {}
        for window, candidates in zip(self.windows, lists, strict=True):
            for key, pair in self._sums(window, candidates, ks):
                sums[key] = sums.get(key, 0.0) + pair
        table = np.array(list(sums.values())).reshape(len(sums), 2, self.n_users)
        numerator, denominator = table.transpose(1, 2, 0)
        catalogue = dict(self._catalogue(lists, ks))
        return Scores(self.protocol, self.digest, self.size, list(sums), numerator, denominator, catalogue)

    def _sums(
        self, window: _Window, candidates: Candidates, ks: Sequence[int]
    ) -> Iterator[tuple[Key, Doubles]]:
        """(2, U) sums of the metrics of one window: all metrics by query, those of targets by target."""
        targets = window.split.targets
        rank0 = metrics.target_rank0(candidates, targets)
        wanted = self.config.metrics
        columns = _of_targets(window, rank0, targets, ks, wanted) | _of_lists(window, candidates, ks, wanted)
        for name, mask in window.by_query.items():
            yield from self._by_user(name, columns, window.user, mask)
        for name, mask in window.by_target.items():
            part, queries = targets.where(mask)
            columns = _of_targets(window, rank0[mask], part, ks, wanted)
            yield from self._by_user(name, columns, window.user[queries], np.ones(len(part), dtype=np.bool_))

    def _catalogue(self, lists: Sequence[Candidates], ks: Sequence[int]) -> Iterator[tuple[Key, float]]:
        """Coverage and gini of the lists of all windows together."""
        functions = {"coverage": metrics.coverage, "gini": metrics.gini}
        wanted = [name for name in functions if name in self.config.metrics]
        shown: dict[tuple[str, int], Longs] = {}
        for window, candidates in zip(self.windows, lists, strict=True):
            for name, k in product(window.by_query if wanted else (), ks):
                exposure = metrics.exposure(candidates, k, window.split.train.n_items, window.by_query[name])
                shown[name, k] = shown.get((name, k), 0) + exposure
        for (name, k), exposure in shown.items():
            yield from (((name, metric, k), functions[metric](exposure)) for metric in wanted)

    def _by_user(self, name: str, columns: Ratios, user: Longs, mask: Mask) -> Iterator[tuple[Key, Doubles]]:
        """(2, U) the columns summed over each user's queries that are in the mask."""
        if not columns:
            return
        table = np.concatenate(list(columns.values())).T  # (B, 2 M)
        cells = user, np.arange(len(user))
        sums = csr_array((mask.astype(np.float64), cells), shape=(self.n_users, len(user))) @ table
        for column, (metric, k) in enumerate(columns):
            yield (name, metric, k), sums[:, 2 * column : 2 * column + 2].T


def _named_queries(
    split: Split, several: bool, config: SliceConfig, categories: Categories
) -> dict[str, Mask]:
    everyone = np.ones(len(split.queries), dtype=np.bool_)
    slices = {OVERALL: everyone} | query_slices(split, config, categories)
    if several:
        window = f"{WINDOW}{split.window}"
        slices |= {window: everyone} | {f"{window}|{name}": mask for name, mask in split.slices.items()}
    return _not_empty(slices)


def is_window(name: str) -> bool:
    """True for the slice of all queries of one window."""
    return name.startswith(WINDOW) and "|" not in name


def _not_empty(slices: Mapping[str, Mask]) -> dict[str, Mask]:
    return {name: mask for name, mask in slices.items() if mask.any()}


def _of_targets(
    window: _Window, rank0: Ints, targets: Targets, ks: Iterable[int], wanted: Sequence[str]
) -> Ratios:
    """Numerators and denominators of the metrics that need targets."""
    functions = ACCURACY | {
        "pooled_recall": metrics.recall,
        "serendipity": partial(metrics.serendipity, by_popularity=window.popularity_rank0),
    }
    # Recall pooled over all events is the mean of recall weighted by each query's targets.
    weights = {"pooled_recall": targets.count.astype(np.float64)}
    one = np.ones(len(targets))
    columns = {}
    for name, k in product((name for name in functions if name in wanted), ks):
        weight = weights.get(name, one)
        columns[name, k] = np.stack([functions[name](rank0, targets, k) * weight, weight])
    return columns


def _of_lists(window: _Window, candidates: Candidates, ks: Iterable[int], wanted: Sequence[str]) -> Ratios:
    """Numerators and denominators of the metrics of the list alone; undefined values weigh nothing."""
    functions = {"novelty": partial(metrics.novelty, information=window.information)}
    if "genres" in window.split.train.items:
        vectors = window.split.train.items["genres"]
        functions["ild"] = partial(metrics.intra_list_distance, vectors=vectors)
    columns = {}
    for name, k in product((name for name in functions if name in wanted), ks):
        values = functions[name](candidates, k)
        columns[name, k] = np.stack([np.nan_to_num(values), np.isfinite(values)])
    return columns
