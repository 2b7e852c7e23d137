"""Learned state on disk: named arrays with the ids that their rows stand for, and the tables made of them."""

import numpy as np
import polars as pl

from models.candidates import Neighbours
from models.dataset import Floats, Longs
from models.encoding import Vocabulary
from models.pipeline.channels import new_incremental
from models.recall.contract import Incremental, Recaller
from models.state import State
from tasks.data import RunData
from tasks.step import Rows
from warehouse.errors import MatineeError
from warehouse.runs import files
from warehouse.runs.run import Run

USER_IDS, ITEM_IDS = "vocabulary.user_ids", "vocabulary.item_ids"
"""Source ids by dense index, stored with every model."""

HOLDOUT = "holdout_model"
"""Folder under ``models/`` of states that know nothing of the holdout."""


def write_state(data: RunData, name: str, state: State) -> None:
    """Write what a channel or a stage learned."""
    ids = {USER_IDS: data.vocabulary.user_ids, ITEM_IDS: data.vocabulary.item_ids}
    files.write_arrays(data.run, f"models/{name}", state | ids)


def has_state(run: Run, name: str) -> bool:
    """Whether the run has a state of that name."""
    return files.has_arrays(run, f"models/{name}")


def read_state(run: Run, name: str) -> tuple[State, Vocabulary]:
    """What ``write_state`` wrote, and the vocabulary that it speaks of.

    Raises:
        MatineeError: the run has no such state.
    """
    arrays = files.read_arrays(run, f"models/{name}")
    vocabulary = Vocabulary(arrays.pop(USER_IDS), arrays.pop(ITEM_IDS))
    return arrays, vocabulary


def load_grown(data: RunData, name: str, channel: str) -> Incremental:
    """An incremental channel as the parent run left it, with rows for whoever is new since."""
    state, then = read_state(data.parent, name)
    now = data.vocabulary
    model = new_incremental(data.config, channel)
    model.state = state
    users, items = then.user_positions(now), then.item_positions(now)
    return model.grow(users, items, len(now.user_ids), len(now.item_ids))


def write_tables(data: RunData, channel: str, model: Recaller) -> Rows:
    """Write the similarities and embeddings that people query.

    Raises:
        MatineeError: reasons of recommendations shall come from similarities that the channel does not have.
    """
    tables = model.tables()
    if channel == data.config.explain.channel and tables.item_similarity is None:
        raise MatineeError(
            f"explain.channel: {channel} has no similarities of films; try item_cf, ease or swing"
        )
    rows: Rows = {}
    if tables.item_similarity is not None:
        frame = _similarity_rows(data, channel, tables.item_similarity)
        rows["item_similarity"] = files.write_table(data.run, f"item_similarity/{channel}", frame)
    for side, vectors, ids in (
        ("item", tables.item_embeddings, data.vocabulary.item_ids),
        ("user", tables.user_embeddings, data.vocabulary.user_ids),
    ):
        if vectors is not None:
            name = f"{side}_embeddings"
            frame = _embedding_rows(channel, f"{side}_id", ids, vectors)
            rows[name] = files.write_table(data.run, f"{name}/{channel}", frame)
    return rows


def write_user_vectors(data: RunData, channel: str, model: Incremental) -> Rows:
    """Write vectors of the target users; those of others stay as the parent has them."""
    frame = _embedding_rows(channel, "user_id", data.target_ids, model.user_vectors(data.queries))
    name = f"user_embeddings/{channel}"
    if data.run.kind == "incremental":
        others = files.read_table(data.parent, name)
        frame = pl.concat([frame, others.join(frame, on="user_id", how="anti")])
    return {"user_embeddings": files.write_table(data.run, name, frame)}


def _embedding_rows(channel: str, label: str, ids: Longs, vectors: Floats) -> pl.DataFrame:
    """model, label, vector: one row for each id (N,) and its vector (N, D)."""
    return pl.DataFrame(
        {"model": channel, label: ids, "vector": pl.Series(vectors).cast(pl.List(pl.Float32))}
    )


def _similarity_rows(data: RunData, channel: str, neighbours: Neighbours) -> pl.DataFrame:
    nearest = neighbours.item[:, : data.config.recall.n_neighbours]
    item, rank0 = np.nonzero(nearest >= 0)
    item_ids = data.vocabulary.item_ids
    return pl.DataFrame(
        {
            "channel": channel,
            "item_id": item_ids[item],
            "neighbour_id": item_ids[nearest[item, rank0]],
            "rank": rank0 + 1,
            "score": neighbours.score[item, rank0].astype(np.float64),
        }
    )
