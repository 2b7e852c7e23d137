"""The run's log and catalogue as arrays, and lists of candidates as tables."""

from datetime import UTC
from functools import lru_cache

import numpy as np
import polars as pl

from models.dataset import Dataset, Floats, Ints, Longs
from models.encoding import Vocabulary, encode
from models.recall.contract import Candidates, Neighbours
from warehouse import snapshot
from warehouse.runs import Run


@lru_cache(maxsize=1)  # every step of a run reads the same log
def load(run: Run) -> tuple[Dataset, Vocabulary]:
    """All ratings before ``as_of`` with the users and items of the run, densely indexed."""
    users, items = snapshot.read_table(run, "users"), snapshot.read_table(run, "items")
    as_of = int(run.as_of.replace(tzinfo=UTC).timestamp())
    return encode(snapshot.read_events(run), users, items, as_of)


def candidate_rows(candidates: Candidates, users: Ints, vocabulary: Vocabulary) -> pl.DataFrame:
    """user_id, rank (from 1), item_id, score: one row a candidate, without padding."""
    row, place = np.nonzero(candidates.item >= 0)
    return pl.DataFrame(
        {
            "user_id": vocabulary.user_ids[users[row]],
            "rank": place + 1,
            "item_id": vocabulary.item_ids[candidates.item[row, place]],
            "score": candidates.score[row, place],
        }
    )


def read_candidates(run: Run, channel: str, vocabulary: Vocabulary) -> Candidates:
    """What the channel recalled, one row a user of the vocabulary."""
    frame = snapshot.read_table(run, f"candidates/{channel}")
    row = np.searchsorted(vocabulary.user_ids, frame["user_id"].to_numpy())
    item = np.searchsorted(vocabulary.item_ids, frame["item_id"].to_numpy())
    return Candidates(*_lists(frame, row, item, len(vocabulary.user_ids)))


def read_neighbours(run: Run, channel: str, vocabulary: Vocabulary) -> Neighbours:
    """The channel's item similarities, one row an item of the vocabulary."""
    frame = snapshot.read_table(run, f"item_similarity/{channel}")
    row = np.searchsorted(vocabulary.item_ids, frame["item_id"].to_numpy())
    item = np.searchsorted(vocabulary.item_ids, frame["neighbour_id"].to_numpy())
    return Neighbours(*_lists(frame, row, item, len(vocabulary.item_ids)))


def _lists(frame: pl.DataFrame, row: Longs, item: Longs, n_rows: int) -> tuple[Ints, Floats]:
    """Ranked rows as padded matrices of items and scores, (n_rows, highest rank)."""
    place = frame["rank"].to_numpy() - 1
    shape = (n_rows, int(place.max(initial=0)) + 1)
    items = np.full(shape, -1, dtype=np.int32)
    scores = np.full(shape, -np.inf, dtype=np.float32)
    items[row, place] = item
    scores[row, place] = frame["score"].to_numpy()
    return items, scores
