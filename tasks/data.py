"""The run's log and catalogue as arrays, and lists of candidates as tables."""

from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.candidates import Candidates, Neighbours
from models.dataset import Dataset, Floats, Ints, Longs, Queries
from models.encoding import Vocabulary, encode
from models.evaluation.split import Split
from models.pipeline import holdout as objectives
from warehouse.runs import run as runs
from warehouse.runs import snapshot
from warehouse.runs.run import Run

LABELS = "models/labels"
"""Where the labels of the vocabulary are."""


@lru_cache(maxsize=1)  # every step of a run reads the same log
def load(run: Run) -> tuple[Dataset, Vocabulary]:
    """All ratings before ``as_of`` with the users and items of the run, densely indexed."""
    return encode_snapshot(run)


def encode_snapshot(run: Run) -> tuple[Dataset, Vocabulary]:
    """The log and the catalogue as the run sees them; the run need not have begun."""
    events, users, items = _snapshot(run)
    return encode(events, users, items, _epoch(run.as_of), _labels(run))


def write_labels(run: Run) -> None:
    """Write down what the codes of attributes stand for: runs that go on from this one keep them."""
    _, vocabulary = load(run)
    labels = {name: np.array(label, dtype=str) for name, label in vocabulary.labels.items()}
    snapshot.write_arrays(run, LABELS, labels)


def _labels(run: Run) -> dict[str, list[str]]:
    """Of the run, or of the one that it goes on from."""
    known = run if run.parent_id is None or snapshot.has_arrays(run, LABELS) else runs.parent(run)
    if not snapshot.has_arrays(known, LABELS):
        return {}
    return {name: label.tolist() for name, label in snapshot.read_arrays(known, LABELS).items()}


def new_rows(run: Run, since: Run) -> Longs:
    """Rows of the run's log that an earlier run did not see: later ones, and those of later batches."""
    events, _, _ = _snapshot(run)
    known = [int(name.partition("-")[0]) for name in since.batches]
    return np.flatnonzero((events["at"] >= _epoch(since.as_of)) | ~np.isin(events["batch"], known))


@lru_cache(maxsize=1)
def _snapshot(run: Run) -> tuple[snapshot.Arrays, pl.DataFrame, pl.DataFrame]:
    with snapshot.connect(run) as con:
        return snapshot.read_events(con), con.table("users").pl(), con.table("items").pl()


def _epoch(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp())


def asked(run: Run) -> Ints:
    """The users whom the run answers: all in a full run, those with news in an incremental one."""
    if run.kind == "full":
        return np.arange(load(run)[0].n_users, dtype=np.int32)
    users: Ints = snapshot.read_table(run, "touched")["user_idx"].to_numpy()
    return users


def queries(run: Run) -> Queries:
    """What is asked for every user whom the run answers."""
    return objectives.questions(load(run)[0], run.config["objective"], asked(run))


@lru_cache(maxsize=1)
def validation(run: Run, objective: str) -> Split | None:
    """The newest part of the run's log, held back to choose weights by; None for a log too small."""
    return objectives.validation(load(run)[0], objective)


def candidate_rows(
    candidates: Candidates, labels: NDArray[np.integer], vocabulary: Vocabulary, label: str
) -> pl.DataFrame:
    """label, rank (from 1), item_id, score: one row a candidate, without padding; a label a query."""
    row, place = np.nonzero(candidates.item >= 0)
    return pl.DataFrame(
        {
            label: labels[row],
            "rank": place + 1,
            "item_id": vocabulary.item_ids[candidates.item[row, place]],
            "score": candidates.score[row, place],
        }
    )


def read_candidates(run: Run, channel: str, vocabulary: Vocabulary) -> Candidates:
    """What the channel recalled, one row a user whom the run answers."""
    frame = snapshot.read_table(run, f"candidates/{channel}")
    user_ids = vocabulary.user_ids[asked(run)]
    row = np.searchsorted(user_ids, frame["user_id"].to_numpy())
    item = np.searchsorted(vocabulary.item_ids, frame["item_id"].to_numpy())
    return Candidates(*_lists(frame, row, item, len(user_ids), run.config["candidates"]))


def read_validation(run: Run, channel: str, n_queries: int, vocabulary: Vocabulary) -> Candidates:
    """What the channel recalled for the queries of the validation split, one row a query."""
    frame = snapshot.read_table(run, f"validation/{channel}")
    item = np.searchsorted(vocabulary.item_ids, frame["item_id"].to_numpy())
    row = frame["query"].to_numpy()
    return Candidates(*_lists(frame, row, item, n_queries, run.config["candidates"]))


def read_neighbours(run: Run, channel: str, vocabulary: Vocabulary) -> Neighbours:
    """The channel's item similarities, one row an item of the vocabulary."""
    frame = snapshot.read_table(run, f"item_similarity/{channel}")
    row = np.searchsorted(vocabulary.item_ids, frame["item_id"].to_numpy())
    item = np.searchsorted(vocabulary.item_ids, frame["neighbour_id"].to_numpy())
    return Neighbours(
        *_lists(frame, row, item, len(vocabulary.item_ids), int(frame["rank"].to_numpy().max(initial=1)))
    )


def _lists(frame: pl.DataFrame, row: Longs, item: Longs, n_rows: int, n: int) -> tuple[Ints, Floats]:
    """Ranked rows as padded matrices of items and scores, (n_rows, n)."""
    place = frame["rank"].to_numpy() - 1
    items = np.full((n_rows, n), -1, dtype=np.int32)
    scores = np.full((n_rows, n), -np.inf, dtype=np.float32)
    items[row, place] = item
    scores[row, place] = frame["score"].to_numpy()
    return items, scores
