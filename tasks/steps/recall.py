"""One channel: what it brings for the held-back part of the log, and what it brings now."""

import numpy as np
import polars as pl

from models.candidates import Neighbours
from models.dataset import Dataset, Floats, Longs
from models.encoding import Vocabulary, reindexed
from models.evaluation.split import Split
from models.pipeline.config import DEFAULT_CHANNELS
from models.recall.contract import Recaller
from models.recall.registry import build
from models.sampling import cap_active_users
from models.state import State
from tasks import data
from tasks.step import step
from warehouse.runs import snapshot
from warehouse.runs.run import Run

NEIGHBOURS = 100
"""Nearest films published of each film."""

MAX_USER_EVENTS = 2_000
"""Ratings a user, beyond which a sample of so many is learned from."""

USER_IDS, ITEM_IDS = "vocabulary.user_ids", "vocabulary.item_ids"
"""Source ids by dense index, stored with every model."""

__all__ = ["DEFAULT_CHANNELS", "MAX_USER_EVENTS", "fitted", "recall", "recall_again"]


@step(
    "recall {channel}",
    reads=["events", "users", "items"],
    writes=["candidates/{channel}", "validation/{channel}", "models/{channel}"],
)
def recall(run: Run, channel: str, n: int, objective: str, cap: int, seed: int) -> dict[str, int]:
    """Fit a channel twice, before the validation window and on all; write its candidates and tables."""
    dataset, vocabulary = data.load(run)
    held_back = data.validation(run, objective)
    rows: dict[str, int] = {}
    if held_back is not None:
        rows |= write_validation(run, channel, fitted(channel, held_back.train, cap, seed), held_back, n)
    model = fitted(channel, dataset, cap, seed)
    write_state(run, channel, model.state, vocabulary)
    return rows | write_candidates(run, channel, model, vocabulary, n) | write_tables(run, channel, model)


@step("recall again {channel}", reads=["models/{channel}", "events"], writes=["candidates/{channel}"])
def recall_again(run: Run, channel: str, n: int) -> dict[str, int]:
    """Candidates of the users whom the run answers, by the channel as its release has it."""
    state, then = read_state(run, channel)
    model = build(channel)
    model.state = state
    return write_candidates(run, channel, model, then, n)


def fitted(channel: str, dataset: Dataset, cap: int, seed: int) -> Recaller:
    """A channel that learned from at most ``cap`` ratings of each user."""
    return build(channel, seed).fit(cap_active_users(dataset, cap, seed))


def write_validation(run: Run, channel: str, model: Recaller, held_back: Split, n: int) -> dict[str, int]:
    """What a channel that knows only what was before them brings for the held-back queries."""
    _, vocabulary = data.load(run)
    numbers = np.arange(len(held_back.queries))
    frame = data.candidate_rows(model.recommend(held_back.queries, n), numbers, vocabulary, "query")
    return {"validation": snapshot.write_table(run, f"validation/{channel}", frame)}


def write_candidates(run: Run, channel: str, model: Recaller, then: Vocabulary, n: int) -> dict[str, int]:
    """What a channel, which learned the vocabulary ``then``, brings for the users whom the run answers."""
    _, vocabulary = data.load(run)
    queries = data.queries(run)
    candidates = model.recommend(reindexed(queries, vocabulary, then), n)
    asked = vocabulary.user_ids[queries.user_idx]
    frame = data.candidate_rows(candidates, asked, then, "user_id")
    return {"candidates": snapshot.write_table(run, f"candidates/{channel}", frame)}


def write_state(run: Run, name: str, state: State, vocabulary: Vocabulary) -> None:
    """What a channel or the ranking stage learned, with the ids that its rows stand for."""
    ids = {USER_IDS: vocabulary.user_ids, ITEM_IDS: vocabulary.item_ids}
    snapshot.write_arrays(run, f"models/{name}", state | ids)


def read_state(run: Run, name: str) -> tuple[State, Vocabulary]:
    """What ``write_state`` wrote. Raises MatineeError if the run has no such model."""
    arrays = snapshot.read_arrays(run, f"models/{name}")
    vocabulary = Vocabulary(arrays.pop(USER_IDS), arrays.pop(ITEM_IDS))
    return arrays, vocabulary


def write_tables(run: Run, channel: str, model: Recaller) -> dict[str, int]:
    """The similarities and embeddings that people query."""
    _, vocabulary = data.load(run)
    tables = model.tables()
    rows: dict[str, int] = {}
    if tables.item_similarity is not None:
        frame = _similarity_rows(channel, tables.item_similarity, vocabulary)
        rows["item_similarity"] = snapshot.write_table(run, f"item_similarity/{channel}", frame)
    for side, vectors, ids in (
        ("item", tables.item_embeddings, vocabulary.item_ids),
        ("user", tables.user_embeddings, vocabulary.user_ids),
    ):
        if vectors is not None:
            frame = embedding_rows(channel, f"{side}_id", ids, vectors)
            rows[f"{side}_embeddings"] = snapshot.write_table(run, f"{side}_embeddings/{channel}", frame)
    return rows


def embedding_rows(channel: str, label: str, ids: Longs, vectors: Floats) -> pl.DataFrame:
    """model, label, vector: one row for each id (N,) and its vector (N, D)."""
    return pl.DataFrame(
        {"model": channel, label: ids, "vector": pl.Series(vectors).cast(pl.List(pl.Float32))}
    )


def _similarity_rows(channel: str, neighbours: Neighbours, vocabulary: Vocabulary) -> pl.DataFrame:
    item, place = np.nonzero(neighbours.item[:, :NEIGHBOURS] >= 0)
    return pl.DataFrame(
        {
            "channel": channel,
            "item_id": vocabulary.item_ids[item],
            "neighbour_id": vocabulary.item_ids[neighbours.item[item, place]],
            "rank": place + 1,
            "score": neighbours.score[item, place].astype(np.float64),
        }
    )
