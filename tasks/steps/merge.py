"""The channels' candidates into one list a user, each film with who recalled it and why."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models import merge as fusion
from models.candidates import Candidates
from models.dataset import Dataset, Floats, Ints, Queries
from models.encoding import Vocabulary
from models.merge import Merged
from models.pipeline import explain
from tasks import data
from tasks.step import step
from warehouse.runs import snapshot
from warehouse.runs.run import Run

EXPLAINED_BY = "item_cf"
"""The channel whose similarities say which watched film explains a recommendation."""

NEWCOMERS = "segment"
"""The channel that alone answers for users without any rating."""


@step("fit merge", reads=["validation"], writes=["merge_weights"])
def fit_merge(run: Run, channels: Sequence[str], objective: str) -> dict[str, int]:
    """Fit the weights of the merge on what the channels brought for the held-back part of the log."""
    _, vocabulary = data.load(run)
    held_back = data.validation(run, objective)
    if held_back is None:
        weights = fusion.equal_weights(len(channels))
    else:
        n_queries = len(held_back.queries)
        brought = {name: data.read_validation(run, name, n_queries, vocabulary) for name in channels}
        targets = held_back.targets
        weights = fusion.fit_weights(brought, held_back.queries, targets.indptr, targets.item)
    frame = pl.DataFrame({"channel": channels} | dict(zip(fusion.FEATURES, weights.T, strict=True)))
    return {"merge_weights": snapshot.write_table(run, "merge_weights", frame)}


def write_lists(run: Run, merged: Merged, channels: Sequence[str]) -> int:
    """Write the lists of the users whom the run answers, each film with who recalled it and why."""
    _, vocabulary = data.load(run)
    queries = data.queries(run)
    near = data.read_neighbours(run, EXPLAINED_BY, vocabulary)
    because = explain.because(merged.candidates.item, queries, near)
    asked = vocabulary.user_ids[queries.user_idx]
    frame = data.candidate_rows(merged.candidates, asked, vocabulary, "user_id")
    frame = frame.with_columns(_provenance(merged, because, channels, vocabulary), release_id=pl.lit(run.id))
    return snapshot.write_table(run, "recommended", frame)


def personal_lists(
    brought: Mapping[str, Candidates], weights: Floats, queries: Queries, dataset: Dataset, top_n: int
) -> Merged:
    """The list that is published for each query: merged, and filled up with what is popular in the log."""
    brought = fusion.newcomers_from(brought, NEWCOMERS, queries)
    return fusion.merge(
        brought, weights, queries, fusion.fallback_order(dataset), min(top_n, dataset.n_items)
    )


def read_weights(run: Run) -> Floats:
    """What ``fit_merge`` wrote."""
    return snapshot.read_table(run, "merge_weights").select(fusion.FEATURES).to_numpy().astype(np.float32)


def _provenance(
    merged: Merged, because: Ints, channels: Sequence[str], vocabulary: Vocabulary
) -> list[pl.Series]:
    found = merged.candidates.item >= 0
    cause: NDArray[np.int32] = because[found]
    item_id = pl.Series("because_item_id", vocabulary.item_ids[cause])
    who = fusion.names(list(channels), merged.channels[found])
    return [
        pl.Series("channels", who.tolist(), dtype=pl.List(pl.String)),
        item_id.set(pl.Series(cause < 0), None),
    ]
