"""Learned state on disk: named arrays with the ids that their rows stand for, and the tables made of them."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from models import merge
from models.candidates import Neighbours
from models.dataset import Floats, Longs
from models.encoding import Vocabulary
from models.merge import FittedMerge
from models.pipeline.channels import new_incremental, rows_of_state, trains_alike
from models.recall.contract import Incremental, Recaller
from models.state import State, moved
from tasks import config as configuration
from tasks.cost import RowCounts
from tasks.data import RunData
from warehouse.errors import MatineeError
from warehouse.runs import files
from warehouse.runs.run import Run

USER_IDS, ITEM_IDS = "vocabulary.user_ids", "vocabulary.item_ids"
"""Source ids by dense index, stored with every model."""

HOLDOUT = "holdout_model"
"""Folder under ``models/`` of states that know nothing of the holdout."""

WEIGHTS, NEWCOMERS = "merge_weights", "newcomers"
"""Tables of what the merge learned; of the latter releases of earlier versions have none."""


def write_state(data: RunData, name: str, state: State) -> None:
    """Write what a channel or a stage learned."""
    ids = {USER_IDS: data.vocabulary.user_ids, ITEM_IDS: data.vocabulary.item_ids}
    files.write_columns(data.run, f"models/{name}", state | ids)


def has_state(run: Run, name: str) -> bool:
    """True if the run has a state of that name."""
    return files.has_columns(run, f"models/{name}")


def read_state(run: Run, name: str) -> tuple[State, Vocabulary]:
    """The state that ``write_state`` wrote, mapped into memory, and the vocabulary that it speaks of.

    Raises:
        MatineeError: the run has no such state.
    """
    arrays = files.read_columns(run, f"models/{name}")
    vocabulary = Vocabulary(arrays.pop(USER_IDS), arrays.pop(ITEM_IDS))
    return arrays, vocabulary


def write_merge(run: Run, names: Sequence[str], merging: FittedMerge) -> RowCounts:
    """Write what the merge of these channels (C,) learned."""
    columns = zip(merge.CANDIDATE_FEATURES, merging.weights.T, strict=True)
    newcomers = pl.DataFrame({"until": [merging.newcomers_until]}, schema={"until": pl.Int64})
    files.write_table(run, NEWCOMERS, newcomers)
    return {WEIGHTS: files.write_table(run, WEIGHTS, pl.DataFrame({"channel": names} | dict(columns)))}


def read_merge(run: Run) -> FittedMerge:
    """The weights and bounds that the merge learned."""
    weights: Floats = files.read_table(run, WEIGHTS).select(merge.CANDIDATE_FEATURES).to_numpy()
    return FittedMerge(weights.astype(np.float32), read_newcomers_until(run))


def read_newcomers_until(run: Run) -> int | None:
    """The ratings from which on users are no newcomers, as the merge learned; None if it did not."""
    if not files.has_table(run, NEWCOMERS):
        return None
    until: int | None = files.read_table(run, NEWCOMERS)["until"].item()
    return until


def read_weights_before(run: Run, names: Sequence[str]) -> Floats:
    """(C, 3) the weights of channels in the merge of the run's parent; NaN for those it did not have."""
    before = np.full((len(names), len(merge.CANDIDATE_FEATURES)), np.nan, dtype=np.float32)
    if run.parent_id is None:
        return before
    parent = run.parent()
    row_of = {name: row for row, name in enumerate(files.read_table(parent, WEIGHTS)["channel"])}
    there = [row for row, name in enumerate(names) if name in row_of]
    before[there] = read_merge(parent).weights[[row_of[names[row]] for row in there]]
    return before


def load_grown(data: RunData, name: str, channel: str) -> Incremental:
    """An incremental channel as the parent run left it, with rows for whoever is new since."""
    state, then = read_state(data.parent, name)
    now = data.vocabulary
    model = new_incremental(data.config, channel)
    model.state = state
    users, items = then.user_positions(now), then.item_positions(now)
    return model.grow(users, items, len(now.user_ids), len(now.item_ids))


def read_state_before(data: RunData, name: str, channel: str) -> State | None:
    """The parent's state of a name for a training to start from: the rows of now, zeros for new ids.

    None where there is no such thing, or the parent's was trained by other settings.
    """
    rows = rows_of_state(data.config, channel)
    if not rows or data.run.parent_id is None or not has_state(data.parent, name):
        return None
    if not trains_alike(data.config, configuration.of(data.parent), channel):
        return None
    state, then = read_state(data.parent, name)
    if not rows.keys() <= state.keys():
        return None
    now = data.vocabulary
    users, items = then.user_positions(now), then.item_positions(now)
    size = {"user": len(now.user_ids), "item": len(now.item_ids)}
    position = {"user": users, "item": items}
    return {array: moved(state[array], position[side], size[side]) for array, side in rows.items()}


def write_tables(data: RunData, channel: str, model: Recaller) -> RowCounts:
    """Write the similarities and embeddings that people query.

    Raises:
        MatineeError: the channel shall explain recommendations, and has no similarities.
    """
    tables = model.tables()
    rows: RowCounts = {}
    if tables.item_similarity is not None:
        frame = _similarity_rows(data, channel, tables.item_similarity)
        rows["item_similarity"] = files.write_table(data.run, f"item_similarity/{channel}", frame)
    elif channel == data.config.explain.channel:
        raise MatineeError(f"explain.channel: {channel} publishes no similarities of films")
    for side, vectors, ids in (
        ("item", tables.item_embeddings, data.vocabulary.item_ids),
        ("user", tables.user_embeddings, data.vocabulary.user_ids),
    ):
        if vectors is not None:
            name = f"{side}_embeddings"
            frame = embedding_rows(channel, f"{side}_id", ids, vectors)
            rows[name] = files.write_table(data.run, f"{name}/{channel}", frame)
    return rows


def embedding_rows(channel: str, label: str, ids: Longs, vectors: Floats) -> pl.DataFrame:
    """model, label, vector: one row for each id (N,) and its vector (N, D)."""
    rows = pl.DataFrame({label: ids, "vector": pl.Series(vectors).cast(pl.List(pl.Float32))})
    return rows.select(pl.lit(channel).alias("model"), label, "vector")


def _similarity_rows(data: RunData, channel: str, neighbours: Neighbours) -> pl.DataFrame:
    nearest = neighbours.item[:, : data.config.recall.n_neighbours]
    item, rank0 = np.nonzero(nearest >= 0)
    item_ids = data.vocabulary.item_ids
    rows = pl.DataFrame(
        {
            "item_id": item_ids[item],
            "neighbour_id": item_ids[nearest[item, rank0]],
            "rank": rank0 + 1,
            "score": neighbours.score[item, rank0].astype(np.float64),
        }
    )
    return rows.select(pl.lit(channel).alias("channel"), pl.all())
