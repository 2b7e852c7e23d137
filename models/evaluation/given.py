"""Lists that somebody else made, one a user, as answers to the queries of a split.

A list answers every query of its user. The films of the query's history are left out, and those after them
close up: what is measured is the order, ranks may have gaps.
"""

from dataclasses import dataclass

import numpy as np

from models.candidates import Candidates
from models.dataset import Ints, Longs
from models.encoding import Vocabulary, positions
from models.evaluation.split import Split
from models.top_n import first_unseen


@dataclass(frozen=True)
class GivenLists:
    """R rows of lists, sorted by user and rank; no film twice in a list."""

    user_id: Longs  # (R,)
    item_id: Longs  # (R,)


@dataclass(frozen=True)
class Answered:
    """The lists of B queries, and how much of what was given does not answer them."""

    lists: Candidates  # (B, n), n the length of the longest list
    rows: int
    """Rows of the lists that were given."""
    unknown_users: int
    """Rows whose user has no query."""
    unknown_items: int
    """Other rows whose film is none of the split's."""
    seen: int
    """Films left out because the user had watched them, summed over queries."""
    n_queries: int
    """B, the queries."""
    unanswered: int
    """Queries without a list, which count as misses."""


def answer(given: GivenLists, split: Split, vocabulary: Vocabulary) -> Answered:
    """The given lists as answers to the queries of a split of a log with this vocabulary."""
    queries = split.queries
    user_idx = positions(given.user_id, vocabulary.user_ids)
    item_idx = positions(given.item_id, vocabulary.item_ids[split.items])
    has_query = np.isin(user_idx, queries.user_idx)
    used = has_query & (item_idx >= 0)
    users, listed = _by_user(user_idx[used], item_idx[used])
    row = positions(queries.user_idx, users).astype(np.int64)
    lists = first_unseen(listed, row, queries, listed.shape[1])
    n_listed = (listed >= 0).sum(axis=1)[row[row >= 0]].sum()
    return Answered(
        lists,
        rows=len(used),
        unknown_users=int((~has_query).sum()),
        unknown_items=int((has_query & ~used).sum()),
        seen=int(n_listed - (lists.item >= 0).sum()),
        n_queries=len(queries),
        unanswered=int((row < 0).sum()),
    )


def _by_user(user_idx: Ints, item_idx: Ints) -> tuple[Ints, Ints]:
    """The users (L,) of rows that are sorted by user, ascending, and the items of each, (L, n)."""
    users, begin, count = np.unique(user_idx, return_index=True, return_counts=True)
    listed = np.full((len(users), count.max(initial=0)), -1, dtype=np.int32)
    listed[np.repeat(np.arange(len(users)), count), np.arange(len(user_idx)) - np.repeat(begin, count)] = (
        item_idx
    )
    return users, listed
