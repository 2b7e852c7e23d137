"""Hashed ids: fewer numbers than a row an id, in tables that do not grow with the ids.

Frequency based double hashing (Zhang et al., "Model Size Reduction Using Frequency Based Double Hashing for
Recommender Systems", RecSys 2020, https://arxiv.org/abs/2007.14523): the most frequent ids have a row each,
any other id the sum of two shared rows, which two hashes of its source id name. Two ids have the same vector
only where both hashes meet: among n rows that is one pair of ids in about n^2 / 2, in bucket of one in n.

Departure: shared rows are shorter and mapped to the length of the others, so that there are more of them in
the same memory. What a few events tell of a rare id fits into few numbers (mixed dimensions: Ginart et al.
2019, https://arxiv.org/abs/1909.11810); whom it shares them with matters more.

The hash is SplitMix64. The rows of every id are kept with the model: they stay when dense indices move, and
an id that is new is hashed when a model first learns from a log that has it. An id that is not seen for long
leaves its own row, in a night that learns on, to one that is.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse as sp
import torch
from numba import njit

from models.dataset import DAY, Dataset, Doubles, Floats, Ints, Longs
from models.splitmix import GOLDEN, below, mix
from models.state import State, named
from models.two_tower.config import TowersConfig

Side = Literal["user", "item"]

SIDES: dict[str, Side] = {"item_id": "item", "history": "item", "user_id": "user"}
"""ID tables of vectors: the side whose ids read them."""

SHARED = "_shared"
"""Ends the name of the table of shared rows of an ID table."""

ITERATIONS = 50
"""Steps of conjugate gradients by which shared rows are fitted to vectors."""

RIDGE, TINY = 1e-3, 1e-30
"""Weight of the squared norm of a row in that fit; what keeps a converged one from dividing by zero."""


@dataclass(frozen=True)
class Sharing:
    """The rows that the n ids of a side read in tables of its own rows and of shared ones."""

    rows: Ints  # (n, 1 + H): its own one, and H shared ones; from 1 on, 0 for none
    n_own: int
    n_shared: int

    def placed(self, dataset: Dataset, side: Side) -> "Sharing":
        """The same with shared rows for ids that have none yet."""
        new = np.flatnonzero(~self.rows.any(axis=1))
        rows = self.rows.copy()
        rows[new, 1:] = 1 + hashed(source_ids(dataset, side)[new], self.n_shared, rows.shape[1] - 1)
        return replace(self, rows=rows)

    def retired(self, dataset: Dataset, side: Side, days: float) -> "Sharing":
        """The same where rows of their own of ids without an event for so many days are those of active ids.

        They go to the sharing ids that have the most events in these days; ids with few events in all leave
        theirs first.
        """
        of_users = (dataset.user_idx, dataset.n_users)
        ids, n = of_users if side == "user" else (dataset.item_idx, dataset.n_items)
        recent = dataset.at > dataset.at.max(initial=0) - days * DAY
        count = np.bincount(ids[recent], minlength=n)
        idle = np.flatnonzero((count == 0) & (self.rows[:, 0] > 0))
        sharing = np.flatnonzero((count > 0) & (self.rows[:, 0] == 0))
        active = sharing[np.argsort(-count[sharing], kind="stable")][: len(idle)]
        in_all = np.bincount(ids, minlength=n)
        idle = idle[np.argsort(in_all[idle], kind="stable")][: len(active)]
        rows = self.rows.copy()
        rows[active] = 0
        rows[active, 0] = rows[idle, 0]
        rows[idle] = 0
        return replace(self, rows=rows).placed(dataset, side)

    def fitted(self, vectors: Floats, weight: Doubles, dim: int) -> tuple[Floats, Floats, Floats]:
        """Own rows (n_own + 1, D), shared ones (n_shared + 1, dim) and their map (D, dim) for vectors (n, D).

        Vectors of ids that share rows are approximated by weighted least squares: by their principal
        directions, and in these by sums of rows.
        """
        own = np.zeros((self.n_own + 1, vectors.shape[1]), dtype=np.float32)
        own[self.rows[:, 0]] = vectors
        own[0] = 0
        others = self.rows[:, 0] == 0
        # By torch, whose products are the same to the bit for any number of threads.
        wanted, weight = torch.from_numpy(vectors[others]).double(), weight[others]
        second_moments = (wanted.T @ (torch.from_numpy(weight)[:, None] * wanted)).numpy()  # (D, D)
        directions = np.linalg.eigh(second_moments)[1][:, ::-1][:, :dim].copy()  # (D, dim)
        reads = self.rows[others, 1:]
        begin = np.arange(0, reads.size + 1, reads.shape[1])
        shape = len(reads), self.n_shared + 1
        sums = sp.csr_matrix((np.ones(reads.size), reads.ravel(), begin), shape)[:, 1:]
        shared = summands(sums, (wanted @ torch.from_numpy(directions)).numpy(), weight)
        # Of a map this long a step of a shared row moves the vector as far as one of its own row would.
        length = np.sqrt(vectors.shape[1] / dim)
        return (
            own,
            np.pad(shared / length, ((1, 0), (0, 0))).astype(np.float32),
            (directions * length).astype(np.float32),
        )


def summands(sums: sp.csr_matrix, wanted: Doubles, weight: Doubles) -> Doubles:
    """(R, D) x such that ``sums`` (n, R) x is nearest to ``wanted`` (n, D), by rows of some weight (n,).

    Conjugate gradients of all dimensions side by side, scaled by the diagonal.
    """
    weighted = sp.diags(weight) @ sums
    normal = sums.T @ weighted + RIDGE * sp.eye(sums.shape[1])
    scale = 1 / normal.diagonal()[:, None]
    residual = weighted.T @ wanted  # (R, D)
    found: Doubles = np.zeros_like(residual)
    step = scale * residual
    norm = (residual * step).sum(axis=0)
    for _ in range(ITERATIONS):
        ahead = normal @ step
        length = norm / np.maximum((step * ahead).sum(axis=0), TINY)
        found += length * step
        residual -= length * ahead
        scaled = scale * residual
        norm, before = (residual * scaled).sum(axis=0), norm
        step = scaled + norm / np.maximum(before, TINY) * step
    return found


def sharing_of(dataset: Dataset, config: TowersConfig) -> dict[Side, Sharing]:
    """The rows of ids by side, as a training from scratch begins with them; empty where ids are dense."""
    if config.ids == "dense":
        return {}
    items = _sharing(dataset.item_idx, dataset.n_items, config.item_rate, config).placed(dataset, "item")
    sides: dict[Side, Sharing] = {"item": items}
    if config.user_id:
        users = _sharing(dataset.user_idx, dataset.n_users, config.user_rate, config)
        sides["user"] = users.placed(dataset, "user")
    return sides


def _sharing(ids: Ints, n: int, rate: float, config: TowersConfig) -> Sharing:
    """Own rows for the most frequent of n ids, ties by index; ``ids`` (E,) are those of the log's events."""
    n_own = round(config.own_rate * rate * n)
    rows = np.zeros((n, 1 + config.hashes), dtype=np.int32)
    frequent = np.argsort(-np.bincount(ids, minlength=n), kind="stable")[:n_own]
    rows[frequent, 0] = np.arange(1, n_own + 1)
    n_shared = round((rate * n - n_own) * config.embedding_dim / config.shared_dim)
    return Sharing(rows, n_own, max(1, n_shared))


def stored_sharing(state: State) -> dict[Side, Sharing]:
    """The rows of ids by side that a state has."""
    rows_by_side = named(state, "rows.")
    return {
        side: Sharing(
            rows_by_side[side],
            len(state[f"weight.tables.{side}_id.weight"]) - 1,
            len(state[f"weight.tables.{side}_id{SHARED}.weight"]) - 1,
        )
        for side in dict.fromkeys(SIDES.values())
        if side in rows_by_side
    }


def source_ids(dataset: Dataset, side: Side) -> Longs:
    """(n,) the ids of the source; dense indices where the log does not have them."""
    attributes, n = (dataset.users, dataset.n_users) if side == "user" else (dataset.items, dataset.n_items)
    ids: Longs = np.asarray(attributes.get("id", np.arange(n)), dtype=np.int64)
    return ids


@njit(cache=True)
def hashed(ids: Longs, n: int, hashes: int) -> Ints:
    """(len(ids), hashes) numbers below n; those of one id differ where n allows it."""
    found = np.empty((len(ids), hashes), dtype=np.int32)
    for number in range(len(ids)):
        bucket = np.int64(0)
        for function in range(hashes):
            bits = mix(np.uint64(ids[number]) + np.uint64(function + 1) * GOLDEN)
            bucket = below(bits, n) if function == 0 else (bucket + 1 + below(bits, n - 1)) % n
            found[number, function] = bucket
    return found


def collisions(rows: Ints) -> tuple[float, float]:
    """Fractions of n ids, by their rows (n, 1 + H), that share a row with another id, and that share all."""
    shared = rows[:, 1:]
    readers = np.bincount(shared.ravel())
    common = (shared > 0) & (readers[shared] > 1)
    _, group, size = np.unique(np.sort(rows, axis=1), axis=0, return_inverse=True, return_counts=True)
    alike = (size[group] > 1) & rows.any(axis=1)
    return float(common.any(axis=1).mean()), float(alike.mean())
