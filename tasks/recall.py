"""One channel: what it brings for the held-back part of the log, and what it brings now."""

import numpy as np
import polars as pl

from models.dataset import Dataset, queries_at
from models.encoding import Vocabulary
from models.recall.cap import cap_active_users
from models.recall.contract import Neighbours, Recaller, State, Tables
from models.recall.registry import DEFAULT_CHANNELS, build
from tasks import data
from tasks.step import step
from warehouse import snapshot
from warehouse.runs import Run

NEIGHBOURS = 100
"""Nearest films published of each film."""

MAX_USER_EVENTS = 2_000
"""Ratings a user, beyond which a sample of so many is learned from."""

__all__ = ["DEFAULT_CHANNELS", "MAX_USER_EVENTS", "fitted", "recall"]


@step(
    "recall {channel}",
    reads=["events", "users", "items"],
    writes=["candidates/{channel}", "validation/{channel}", "models/{channel}"],
)
def recall(run: Run, channel: str, n: int, objective: str, cap: int, seed: int) -> dict[str, int]:
    """Fit a channel twice, before the validation window and on all; write its candidates and tables."""
    dataset, vocabulary = data.load(run)
    rows = {}
    held_back = data.validation(run, objective)
    if held_back is not None:
        model = fitted(channel, held_back.train, cap, seed)
        numbers = np.arange(len(held_back.queries))
        frame = data.candidate_rows(model.recommend(held_back.queries, n), numbers, vocabulary, "query")
        rows["validation"] = snapshot.write_table(run, f"validation/{channel}", frame)
    model = fitted(channel, dataset, cap, seed)
    candidates = model.recommend(queries_at(dataset), n)
    frame = data.candidate_rows(candidates, vocabulary.user_ids, vocabulary, "user_id")
    rows["candidates"] = snapshot.write_table(run, f"candidates/{channel}", frame)
    _write_state(run, channel, model.state)
    return rows | _write_tables(run, channel, model.tables(), vocabulary)


def fitted(channel: str, dataset: Dataset, cap: int, seed: int) -> Recaller:
    """A channel that learned from at most ``cap`` ratings of each user."""
    return build(channel, seed).fit(cap_active_users(dataset, cap, seed))


def _write_state(run: Run, channel: str, state: State) -> None:
    np.savez(run.file(f"models/{channel}.npz"), **state)  # type: ignore[arg-type]


def _write_tables(run: Run, channel: str, tables: Tables, vocabulary: Vocabulary) -> dict[str, int]:
    rows = {}
    if tables.item_similarity is not None:
        frame = _similarity_rows(channel, tables.item_similarity, vocabulary)
        rows["item_similarity"] = snapshot.write_table(run, f"item_similarity/{channel}", frame)
    for side, vectors, ids in (
        ("item", tables.item_embeddings, vocabulary.item_ids),
        ("user", tables.user_embeddings, vocabulary.user_ids),
    ):
        if vectors is not None:
            frame = pl.DataFrame({"model": channel, f"{side}_id": ids, "vector": pl.Series(vectors)})
            frame = frame.with_columns(pl.col("vector").cast(pl.List(pl.Float32)))
            rows[f"{side}_embeddings"] = snapshot.write_table(run, f"{side}_embeddings/{channel}", frame)
    return rows


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
