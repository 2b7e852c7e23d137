"""Histories packed into batches: windows of users' logs in buckets of like length, collated by compiled code.

A window is a run of one user's rows. Its inputs are the rows [start, stop), its targets the rows after them:
the position of row t predicts row t + 1, if that is one of the rows to learn from. Windows of all users cover
each of those rows once; longer logs are cut, at random positions in each epoch, and every window reaches back
over the cut for as much context as fits.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numba import njit

from models.dataset import Dataset, Floats, Ints, Longs, Mask, Queries
from models.features.schema import Columns, FeatureSchema
from models.features.statistics import sums_before
from models.two_tower.inputs import RUN, context_columns, pace_columns, scaled_count, scaled_mean

Tensors = dict[str, torch.Tensor]

BUCKET = 8
"""Windows whose lengths differ by less share a bucket."""


@dataclass(frozen=True)
class Windows:
    """W windows of a log, by row numbers."""

    user: Ints  # (W,)
    start: Longs  # (W,) first input
    stop: Longs  # (W,) the last target, and the row after the last input
    first: Longs  # (W,) the first row that may be a target; earlier ones belong to another window

    def __len__(self) -> int:
        return len(self.user)

    @property
    def longest(self) -> int:
        """Inputs of the longest window."""
        return int((self.stop - self.start).max(initial=0))

    def take(self, rows: Longs) -> "Windows":
        """Some of the windows."""
        return Windows(self.user[rows], self.start[rows], self.stop[rows], self.first[rows])


@dataclass(frozen=True)
class Histories:
    """A batch: the inputs of the user tower, by feature, and the target of each position."""

    inputs: Tensors  # history, numbers, moments (B, L), codes (B,); histories are padded at the end with 0
    user: torch.Tensor  # (B,) user_idx
    target: torch.Tensor  # (B, L) item_idx, -1 where there is none
    row: torch.Tensor  # (B, L) the row of the log that is the target, -1 where there is none


def windows_over(dataset: Dataset, wanted: Mask, newest: int, rng: np.random.Generator) -> Windows:
    """Windows of at most ``newest`` inputs that cover the wanted rows (E,) with a row before them once."""
    shift = rng.integers(1, newest + 1, dataset.n_users)
    return Windows(*_windows(dataset.indptr, wanted, newest, shift))


def in_buckets(windows: Windows, tokens: int, rng: np.random.Generator) -> Iterator[Windows]:
    """Batches of at most ``tokens`` positions, padding included, in random order."""
    length = windows.stop - windows.start
    order = np.lexsort((rng.random(len(windows)), length // BUCKET))
    bounds = cuts(length[order], tokens)
    for number in rng.permutation(len(bounds) - 1):
        yield windows.take(order[bounds[number] : bounds[number + 1]])


class Collator:
    """Gathers windows and queries of one log into tensors for the user tower."""

    def __init__(self, dataset: Dataset, schema: FeatureSchema, users: Columns) -> None:
        self.dataset = dataset
        self.users = users
        self.context = bool(schema.of("context"))
        self.pace = any(feature.name == RUN for feature in schema.of("user"))
        self.numeric = any(feature.kind == "numeric" for feature in schema.of("user"))
        self.sums = sums_before(dataset.rating) if self.numeric else np.empty(0)

    def histories(self, windows: Windows, wanted: Mask, ahead: Floats | None = None) -> Histories:
        """A batch of windows; ``wanted`` (E,) are the rows that may be targets.

        ``ahead`` (B, L) in [0, 1): targets are drawn from all later rows of the user, this far on the way;
        without it the target is the next row.
        """
        inputs = self._inputs(windows.user, windows.start, windows.stop)
        length = inputs["history"].shape[1]
        ahead = np.zeros((0, 0), dtype=np.float32) if ahead is None else ahead
        end = self.dataset.indptr[windows.user + 1]
        row = _target_rows(windows.start, windows.stop, windows.first, end, wanted, length, ahead)
        target = np.where(row < 0, -1, self.dataset.item_idx[row])
        if self.context:
            newest = np.minimum(windows.start[:, None] + np.arange(length), windows.stop[:, None] - 1)
            # A question is asked when it is answered.
            inputs |= self._context(self.dataset.at[np.where(row < 0, newest, row)], self.dataset.at[newest])
        user = torch.from_numpy(windows.user.astype(np.int64))
        return Histories(inputs, user, torch.from_numpy(target), torch.from_numpy(row))

    def queries(self, queries: Queries, newest: int) -> tuple[Tensors, torch.Tensor]:
        """The newest events of B histories, and the last position (B,) of each, of padding if it is empty."""
        recent = queries.last(newest)
        inputs = self._inputs(queries.user_idx, recent.start, recent.end, queries.start)
        if self.context:
            newest_at = queries.at.copy()
            has_history = queries.end > queries.start
            newest_at[has_history] = self.dataset.at[queries.end[has_history] - 1]
            inputs |= self._context(queries.at, newest_at)
        return inputs, torch.from_numpy(np.maximum(recent.end - recent.start - 1, 0))

    def _context(self, at: Longs, newest: Longs) -> Tensors:
        """The moments of questions as the towers read them, (B, L) or (B,)."""
        return {name: torch.from_numpy(column) for name, column in context_columns(at, newest).items()}

    def _inputs(self, user: Ints, start: Longs, stop: Longs, origin: Longs | None = None) -> Tensors:
        """Inputs by feature; statistics count from the row ``origin`` on, by default the user's first."""
        length = int(max(1, (stop - start).max(initial=0)))
        inputs = {"history": torch.from_numpy(_padded(start, stop, self.dataset.item_idx, length))}
        origin = self.dataset.indptr[user] if origin is None else origin
        after = np.minimum(start[:, None] + 1 + np.arange(length), stop[:, None])  # (B, L)
        if self.pace:
            pace = pace_columns(self.dataset.at, np.broadcast_to(origin[:, None], after.shape), after)
            inputs |= {name: torch.from_numpy(codes) for name, codes in pace.items()}
        if self.numeric:
            count = after - origin[:, None]
            total = self.sums[after] - self.sums[origin][:, None]
            inputs["history_events"] = torch.from_numpy(scaled_count(count))
            inputs["history_rating"] = torch.from_numpy(scaled_mean(total, count))
        return inputs | {name: torch.from_numpy(codes[user]) for name, codes in self.users.items()}


@njit(cache=True)
def _windows(indptr: Longs, wanted: Mask, newest: int, shift: Longs) -> tuple[Ints, Longs, Longs, Longs]:
    n_users = len(indptr) - 1
    limit = 0
    for user in range(n_users):
        limit += (indptr[user + 1] - indptr[user]) // newest + 2
    users, firsts = np.empty(limit, dtype=np.int32), np.empty(limit, dtype=np.int64)
    starts, stops = np.empty(limit, dtype=np.int64), np.empty(limit, dtype=np.int64)
    size = 0
    for user in range(n_users):
        begin, end = indptr[user], indptr[user + 1]
        first = begin + 1
        # A log that fits is one window; a longer one is cut after ``shift`` targets, then every ``newest``.
        cut = end if end - first <= newest else first + shift[user]
        while first < end:
            last = cut - 1
            while last >= first and not wanted[last]:
                last -= 1
            if last >= first:
                users[size], firsts[size], stops[size] = user, first, last
                starts[size] = max(begin, last - newest)
                size += 1
            first, cut = cut, min(cut + newest, end)
    return users[:size].copy(), starts[:size].copy(), stops[:size].copy(), firsts[:size].copy()


@njit(cache=True)
def cuts(length: Longs, tokens: int) -> Longs:
    """Bounds of batches of lengths, the end of the last included; none is padded to more than ``tokens``."""
    found = [0]
    longest = 0
    for row in range(len(length)):
        longest = max(longest, length[row])
        if row > found[-1] and longest * (row + 1 - found[-1]) > tokens:
            found.append(row)
            longest = length[row]
    if len(length) > 0:
        found.append(len(length))
    return np.array(found)


@njit(cache=True)
def _padded(start: Longs, stop: Longs, item: Ints, length: int) -> Longs:
    codes = np.zeros((len(start), length), dtype=np.int64)
    for window in range(len(start)):
        for position in range(stop[window] - start[window]):
            codes[window, position] = item[start[window] + position] + 1
    return codes


@njit(cache=True)
def _target_rows(
    start: Longs, stop: Longs, first: Longs, end: Longs, wanted: Mask, length: int, ahead: Floats
) -> Longs:
    rows = np.full((len(start), length), -1, dtype=np.int64)
    for window in range(len(start)):
        for position in range(stop[window] - start[window]):
            following = start[window] + position + 1
            if following < first[window] or not wanted[following]:
                continue
            row = following
            if ahead.size > 0:
                row += int(ahead[window, position] * (end[window] - following))
            if wanted[row]:
                rows[window, position] = row
    return rows
