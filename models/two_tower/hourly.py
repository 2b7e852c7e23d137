"""The hourly update: the ID embeddings learn the newest events, in the order of time; all else is frozen.

Each step takes a few new events and some replayed ones, and moves only embedding rows of their users and
items and of the sampled negatives, by row-wise Adagrad
(models.two_tower.rowwise).
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch

from models.dataset import HOUR, Dataset, Floats, Longs, Mask
from models.incremental import UpdateReport
from models.two_tower.batch_loss import BatchLoss
from models.two_tower.batches import Collator, Histories, windows_over
from models.two_tower.config import NegativesConfig, TwoTowerConfig
from models.two_tower.drift import drift
from models.two_tower.inputs import user_columns
from models.two_tower.model import Model
from models.two_tower.rowwise import RowwiseAdagrad
from models.two_tower.training import replayed

HOURLY = 1_000_003
"""Second seed of an update."""

REPLAY_LENGTH = 8
"""Consecutive events of a user that are replayed together."""

JUDGED = 256
"""Events of the history that the loss is compared on, before and after."""


def update(model: Model, dataset: Dataset, rows: Longs, config: TwoTowerConfig) -> UpdateReport:
    """Let a model learn some rows of the log, (N,) in any order."""
    rng = np.random.default_rng((config.seed, HOURLY, len(rows)))
    rows = rows[np.lexsort((rows, dataset.at[rows]))]
    model.admit(dataset)
    old = np.setdiff1d(replayed(dataset, JUDGED, rng, REPLAY_LENGTH), rows)
    hour = Hour(model, dataset, config)
    before = hour.mean_loss(rows), hour.mean_loss(old)
    was = hour.item_vectors()
    hour.take_steps(rows, np.union1d(rows, old), rng)
    after = hour.mean_loss(rows), hour.mean_loss(old)
    changed = {name: np.flatnonzero(hour.changed[name]) for name in hour.tables}
    items = hour.towers.readers_of("item_id", hour.changed)
    shift = torch.linalg.vector_norm((hour.item_vectors() - was)[items], dim=1).numpy()
    norm = torch.linalg.vector_norm(was[items], dim=1).numpy()
    report = UpdateReport(
        changed,
        _mean(shift),
        float(shift.max(initial=0)),
        _mean(norm),
        before[0],
        after[0],
        before[1],
        after[1],
    )
    return replace(report, drift=drift(report, config.update))


def catch_up(model: Model, dataset: Dataset, rows: Longs, config: TwoTowerConfig) -> None:
    """Let a model learn some rows of the log, (N,) in any order, as the hours in which they came would have.

    Where little happens an update takes as many hours as fill a step.
    """
    rng = np.random.default_rng((config.seed, HOURLY, len(rows)))
    rows = rows[np.lexsort((rows, dataset.at[rows]))]
    model.admit(dataset)
    hour = Hour(model, dataset, config)
    for begin, end in pairwise(bounds(dataset.at[rows] // HOUR, config.update.batch_size)):
        hour.rows.forget()
        hour.take_steps(rows[begin:end], rows, rng)


def bounds(hour: Longs, least: int) -> list[int]:
    """Bounds of runs of whole hours, (N,) ascending, with at least so many events; the last is N."""
    first = np.flatnonzero(np.diff(hour, prepend=-1))
    chosen = [0]
    while len(hour) - chosen[-1] > least:
        position = np.searchsorted(first, chosen[-1] + least)
        chosen.append(int(first[position]) if position < len(first) else len(hour))
    return chosen if chosen[-1] == len(hour) else [*chosen, len(hour)]


class Hour:
    """The frozen towers, their ID tables, and the accumulators of the steps taken."""

    def __init__(self, model: Model, dataset: Dataset, config: TwoTowerConfig) -> None:
        self.dataset, self.config = dataset, config
        self.newest = config.towers.newest
        self.collator = Collator(dataset, model.schema, user_columns(dataset, model.schema))
        negatives = NegativesConfig(uniform=config.update.n_negatives)
        self.batch_loss = BatchLoss(model, dataset, config.but(negatives=negatives))
        model.towers.requires_grad_(False)
        self.towers = model.towers
        self.tables = model.towers.id_tables()
        for table in self.tables.values():
            table.requires_grad_(True)
        self.rows = RowwiseAdagrad(self.tables, config.update.initial)
        self.changed = {name: np.zeros(len(table.weight), dtype=bool) for name, table in self.tables.items()}

    def item_vectors(self) -> torch.Tensor:
        """(I + 1, D) the ID vectors of nobody and all items as they are now."""
        with torch.no_grad():
            return self.towers.embedded("item_id", torch.arange(self.dataset.n_items + 1)).clone()

    def take_steps(self, rows: Longs, forbidden: Longs, rng: np.random.Generator) -> None:
        """Steps on rows in this order, and on replayed ones that are none of the forbidden."""
        per_new = self.config.update.replay / (1 - self.config.update.replay)
        for start in range(0, len(rows), self.config.update.batch_size):
            new = rows[start : start + self.config.update.batch_size]
            again = replayed(self.dataset, round(per_new * len(new)), rng, REPLAY_LENGTH)
            self.step(np.union1d(new, np.setdiff1d(again, forbidden)), rng)

    def step(self, rows: Longs, rng: np.random.Generator) -> None:
        """One step on the events in some rows of the log, ascending."""
        histories = self._histories(rows, rng)
        loss, n_positions = self.batch_loss.loss(histories, rng)
        if n_positions == 0:
            return
        (loss * n_positions).backward()  # type: ignore[no-untyped-call]
        items: Longs = np.union1d(self.dataset.item_idx[rows], self.batch_loss.drawn) + 1
        users: Longs = np.unique(self.dataset.user_idx[rows]).astype(np.int64) + 1
        movable = {
            name: self.towers.rows_of(name, users if name.startswith("user_id") else items)
            for name in self.tables
        }
        for name, of_events in movable.items():
            self.changed[name][of_events] = True
        self.rows.step(self.config.update.learning_rate, movable=movable)

    def mean_loss(self, rows: Longs) -> float:
        """Mean loss of the events in some rows, ascending or not, with the same negatives at each call."""
        if len(rows) == 0:
            return 0.0
        rng = np.random.default_rng((self.config.seed, HOURLY))
        with torch.no_grad():
            return self.batch_loss.loss(self._histories(rows, rng), rng)[0].item()

    def _histories(self, rows: Longs, rng: np.random.Generator) -> Histories:
        wanted: Mask = np.zeros(self.dataset.n_events, dtype=bool)
        wanted[rows] = True
        return self.collator.histories(windows_over(self.dataset, wanted, self.newest, rng), wanted)


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else 0.0
