"""The channels' candidates into one list a user, each film with who recalled it and why."""

import numpy as np
import polars as pl

from models import explain
from models.dataset import queries_at
from models.encoding import Vocabulary
from models.recall import merge as fusion
from models.recall.merge import Merged
from tasks import data
from tasks.step import step
from warehouse import snapshot
from warehouse.runs import Run

EXPLAINED_BY = "swing"
"""The channel whose similarities say which watched film explains a recommendation."""


@step("merge", reads=["candidates"], writes=["recommended"])
def merge(run: Run, weights: dict[str, float], top_n: int) -> dict[str, int]:
    """Fuse all channels' candidates into each user's top_n, and write them with their reasons."""
    dataset, vocabulary = data.load(run)
    queries = queries_at(dataset)
    channels = {name: data.read_candidates(run, name, vocabulary) for name in weights}
    merged = fusion.merge(
        channels, weights, queries, fusion.fallback_order(dataset), min(top_n, dataset.n_items)
    )
    neighbours = data.read_neighbours(run, EXPLAINED_BY, vocabulary)
    because = explain.because(merged.candidates.item, queries, neighbours)
    frame = data.candidate_rows(merged.candidates, queries.user_idx, vocabulary)
    frame = frame.with_columns(_provenance(merged, because, list(weights), vocabulary))
    frame = frame.with_columns(release_id=pl.lit(run.id))
    return {"recommended": snapshot.write_table(run, "recommended", frame)}


def _provenance(
    merged: Merged, because: np.ndarray, channels: list[str], vocabulary: Vocabulary
) -> list[pl.Series]:
    found = merged.candidates.item >= 0
    cause = because[found]
    item_id = pl.Series("because_item_id", vocabulary.item_ids[cause])
    return [
        pl.Series("channels", fusion.names(channels, merged.channels[found]), dtype=pl.List(pl.String)),
        item_id.set(pl.Series(cause < 0), None),
    ]
