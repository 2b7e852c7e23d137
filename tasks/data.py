"""The data of a run as a step reads it: the log and the catalogue as arrays, and candidates as tables.

The first step of a run encodes its log once and writes the arrays, those of the holdout too; every later step
and every process that does a part of one maps them into memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.behaviour import Behaviour
from models.candidates import Candidates, Neighbours
from models.dataset import Dataset, Floats, Ints, Longs, Mask, Queries
from models.encoding import Vocabulary, encode_catalog
from models.evaluation.split import Split
from models.features.compute import PastIndex
from models.features.statistics import orders, updated_orders
from models.graph import Communities
from models.pipeline.channels import capped
from models.pipeline.holdout import holdout, questions
from models.state import named
from models.targets import Targets
from tasks import config as configuration
from tasks.config import Configuration
from warehouse.arrays import Arrays
from warehouse.runs import behaviour as behaviour_log
from warehouse.runs import files, snapshot
from warehouse.runs.run import Run
from warehouse.runs.snapshot import LOG, Snapshot

HOLDOUT = "holdout/split"
"""Folder of a run that holds its holdout as arrays, as LOG does its log."""

ORDERS = "log_orders"
"""Folder of a run that holds its log by time and by item."""

CAPPED = {LOG: "log_capped", HOLDOUT: "holdout/log_capped"}
"""Folders of what channels learn from of either, where that is less."""

EVENT = ("user_idx", "item_idx", "rating", "at")
"""Columns of a log, (E,) each."""

POOLS = "pools"
"""Folder of a run that holds the candidates that were ranked."""

COMMUNITIES = "item_communities/films"
"""Table of a run: the community and the centrality of each film."""

CATEGORIES = "models/categories"
"""Arrays of a run: the category of each code of an attribute."""


@dataclass(frozen=True)
class RunData:
    """A run with its configuration and its log, loaded once by each step and passed on."""

    run: Run
    config: Configuration
    dataset: Dataset
    vocabulary: Vocabulary
    batch: Ints  # (E,) sequence number of the event file of each event

    @cached_property
    def holdout(self) -> Split | None:
        """The newest part of the log, held back to fit weights on; None for a log too small."""
        if files.has_columns(self.run, HOLDOUT):
            return _split(files.read_columns(self.run, HOLDOUT), self.dataset)
        return holdout(self.dataset, self.config.objective, self.config.holdout)

    @cached_property
    def past(self) -> PastIndex:
        """The log as features of the lists look it up.

        Who is asked at the time of the own newest event sees what others did since: channels learned it too.
        """
        return self._past(self.dataset)

    @cached_property
    def holdout_past(self) -> PastIndex:
        """The same for the queries of the holdout, whose log has the same events."""
        assert self.holdout is not None
        return self._past(self.holdout.train)

    def _past(self, train: Dataset) -> PastIndex:
        """The log, of which every query sees at least as much as channels have learned from."""
        return PastIndex.of(self.dataset, files.read_columns(self.run, ORDERS), visible_until=train.as_of)

    @cached_property
    def training_log(self) -> Dataset:
        """The log as channels learn from it."""
        return self._capped(LOG, self.dataset)

    @cached_property
    def holdout_training_log(self) -> Dataset:
        """The log before the holdout as channels learn from it."""
        assert self.holdout is not None
        return self._capped(HOLDOUT, self.holdout.train)

    def _capped(self, name: str, log: Dataset) -> Dataset:
        if not files.has_columns(self.run, CAPPED[name]):
            return log
        return _with_events(log, files.read_columns(self.run, CAPPED[name]), log.as_of)

    @cached_property
    def target_users(self) -> Ints:
        """Users for whom the run computes lists: all in a full run, the selected in an incremental one."""
        if self.run.kind == "full":
            return np.arange(self.dataset.n_users, dtype=np.int32)
        users: Ints = files.read_table(self.run, "target_users")["user_idx"].to_numpy()
        return users

    @cached_property
    def queries(self) -> Queries:
        """One query for each target user."""
        return questions(self.dataset, self.config.objective, self.config.holdout, self.target_users)

    @cached_property
    def target_ids(self) -> Longs:
        """Source ids of the target users."""
        return self.vocabulary.user_ids[self.target_users]

    @cached_property
    def parent(self) -> Run:
        """The run that this one goes on from."""
        return self.run.parent()

    @cached_property
    def new_events(self) -> Longs:
        """Rows of the log that the parent did not see: later ones, and those of later batches."""
        return snapshot.new_rows({"at": self.dataset.at, "batch": self.batch}, self.parent)

    @cached_property
    def is_active(self) -> Mask:
        """(U,) the users with an event that the parent did not see."""
        active = np.zeros(self.dataset.n_users, dtype=np.bool_)
        active[self.dataset.user_idx[self.new_events]] = True
        return active


def load(run: Run) -> RunData:
    """The run with what ``write_log`` wrote."""
    return _decoded(run, files.read_columns(run, LOG))


def write_log(run: Run) -> None:
    """Encode the catalogue beside the events; keep the categories of attributes for later runs."""
    columns = _catalog(run, snapshot.read(run))
    files.write_columns(run, LOG, columns)
    files.write_arrays(run, CATEGORIES, named(columns, "category."))


def write_orders(data: RunData) -> None:
    """Write the log by time and by item; that of an incremental run from its parent's, if it is there."""
    files.write_columns(data.run, ORDERS, _orders(data))


def _orders(data: RunData) -> Arrays:
    run, log = data.run, data.dataset
    if run.kind == "full" or not (snapshot.has_log(data.parent) and files.has_columns(data.parent, ORDERS)):
        return orders(log)
    then = files.read_columns(data.parent, LOG)
    users = np.searchsorted(data.vocabulary.user_ids, then["id.user"])
    if not np.isin(then["id.user"], data.vocabulary.user_ids).all():
        return orders(log)
    earlier = files.read_columns(data.parent, ORDERS)
    return updated_orders(log, earlier, then["event.user_idx"], users, data.is_active)


def write_holdout(data: RunData) -> None:
    """Write the holdout, and what channels learn from of both logs where users are too active."""
    split = data.holdout
    if split is not None:
        files.write_columns(data.run, HOLDOUT, _split_columns(split))
    logs = {LOG: data.dataset} | ({} if split is None else {HOLDOUT: split.train})
    for name, log in logs.items():
        part = capped(data.config, log)
        if part is not log:
            files.write_columns(data.run, CAPPED[name], {column: getattr(part, column) for column in EVENT})


def forget_log(run: Run) -> None:
    """Remove the arrays but those of the log, which hourly runs go on from until retention removes them."""
    for folder in (CAPPED[LOG], "holdout"):
        files.drop(run, folder)


def _split_columns(split: Split) -> dict[str, NDArray[np.generic]]:
    queries = split.queries
    parts: dict[str, NDArray[np.generic]] = {f"train.{name}": getattr(split.train, name) for name in EVENT}
    parts |= {f"query.{name}": getattr(queries, name) for name in ("user_idx", "at", "start", "end")}
    parts |= {"target.indptr": split.targets.indptr, "target.item": split.targets.item}
    moments = np.array([split.train.as_of, queries.log.as_of], dtype=np.int64)
    return {**parts, "items": split.items, "as_of": moments}


def _split(columns: Arrays, log: Dataset) -> Split:
    """The split of ``_split_columns``; its queries are about the whole log: a holdout is the newest part."""
    parts = {part: named(columns, f"{part}.") for part in ("train", "query", "target")}
    of_train, of_queries = (int(moment) for moment in columns["as_of"])
    train = _with_events(log, parts["train"], of_train)
    queries = Queries(**parts["query"], log=replace(log, as_of=of_queries))
    return Split("holdout", train, queries, Targets(**parts["target"]), columns["items"])


def _with_events(log: Dataset, events: Arrays, as_of: int) -> Dataset:
    """Other events of the same users and items."""
    user, item, rating, at = (events[name] for name in EVENT)
    return Dataset(user, item, rating, at, log.n_users, log.n_items, as_of, log.users, log.items)


def encoded(run: Run) -> RunData:
    """A finished run encoded anew; what it learned speaks of these indices and codes."""
    log = snapshot.read(run)
    events = {f"event.{name}": column for name, column in log.events.items()}
    return _decoded(run, events | _catalog(run, log))


def _catalog(run: Run, log: Snapshot) -> dict[str, NDArray[np.generic]]:
    """The columns of a log that are not of its events: attributes, ids, categories."""
    users, items, vocabulary = encode_catalog(log.users, log.items, _categories(run))
    parts: dict[str, Mapping[str, NDArray[np.generic]]] = {
        "user": users,
        "item": items,
        "id": {"user": vocabulary.user_ids, "item": vocabulary.item_ids},
        "category": {name: np.array(texts, dtype=str) for name, texts in vocabulary.categories.items()},
    }
    return {f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()}


def _decoded(run: Run, columns: Mapping[str, NDArray[np.generic]]) -> RunData:
    event, ids, category = (named(dict(columns), f"{part}.") for part in ("event", "id", "category"))
    dataset = Dataset(
        user_idx=event["user_idx"],
        item_idx=event["item_idx"],
        rating=event["rating"],
        at=event["at"],
        n_users=len(ids["user"]),
        n_items=len(ids["item"]),
        as_of=epoch(run.as_of),
        users=named(dict(columns), "user.") | {"id": ids["user"]},
        items=named(dict(columns), "item.") | {"id": ids["item"]},
    )
    categories = {name: array.tolist() for name, array in category.items()}
    vocabulary = Vocabulary(ids["user"], ids["item"], categories)
    return RunData(run, configuration.of(run), dataset, vocabulary, event["batch"])


def _categories(run: Run) -> dict[str, list[str]]:
    """Categories of the run, or of the one that it goes on from: codes of attributes stay what they were."""
    encoded_run = run if run.parent_id is None or files.has_arrays(run, CATEGORIES) else run.parent()
    if not files.has_arrays(encoded_run, CATEGORIES):
        return {}
    return {name: array.tolist() for name, array in files.read_arrays(encoded_run, CATEGORIES).items()}


def epoch(moment: datetime) -> int:
    """A moment, naive UTC, in epoch seconds."""
    return int(moment.replace(tzinfo=UTC).timestamp())


def candidate_rows(
    candidates: Candidates, keys: NDArray[np.integer], vocabulary: Vocabulary, key: str
) -> pl.DataFrame:
    """key, rank (from 1), item_id, score: one row a candidate, without padding; a key a query."""
    row, rank0 = np.nonzero(candidates.item >= 0)
    return pl.DataFrame(
        {
            key: keys[row],
            "rank": rank0 + 1,
            "item_id": vocabulary.item_ids[candidates.item[row, rank0]],
            "score": candidates.score[row, rank0],
        }
    )


def write_holdout_candidates(data: RunData, channel: str, found: Candidates) -> int:
    """Write what a channel recalled for the queries of the holdout; returns the number of candidates."""
    files.write_columns(data.run, f"holdout/{channel}", {"item": found.item, "score": found.score})
    return int((found.item >= 0).sum())


def read_holdout_candidates(data: RunData) -> dict[str, Candidates]:
    """The lists that each channel recalled for the queries of the holdout, by channel, one row a query."""
    return {
        name: Candidates(**files.read_columns(data.run, f"holdout/{name}"))
        for name in data.config.recall.channels
    }


def ranked_before(data: RunData, published: bool) -> Ints | None:
    """(U, n) films that the parent ranked and published, or did not, padded with -1; None without a table."""
    if not files.has_columns(data.parent, POOLS):
        return None
    frame = files.read_parts(data.parent, POOLS, ["user_id", "item_id", "published"])
    frame = frame.filter(pl.col("published") == published)
    user = np.searchsorted(data.vocabulary.user_ids, frame["user_id"].to_numpy())
    item = np.searchsorted(data.vocabulary.item_ids, frame["item_id"].to_numpy())
    rank0 = frame.select(pl.int_range(pl.len()).over("user_id")).to_series().to_numpy()
    found = np.full((data.dataset.n_users, int(rank0.max(initial=0)) + 1), -1, dtype=np.int32)
    found[user, rank0] = item
    return found


def read_behaviour(data: RunData) -> Behaviour | None:
    """Behaviour from the first query of the holdout on; None for a log of ratings alone."""
    assert data.holdout is not None
    since = datetime.fromtimestamp(int(data.holdout.queries.at.min()), UTC).replace(tzinfo=None)
    found = behaviour_log.read(data.run, since)
    if found is None:
        return None
    columns = {name: found[name].to_numpy() for name in found.columns}
    return Behaviour(**columns, n_items=data.dataset.n_items)


def similar_by(data: RunData) -> list[str]:
    """The recalling channels that published similarities of items, in their order."""
    return [n for n in data.config.recall.channels if files.has_table(data.run, f"item_similarity/{n}")]


def read_neighbours(data: RunData, channel: str, n: int) -> Neighbours:
    """The n nearest items of each item of the vocabulary, (I, n), that a channel published."""
    frame = files.read_table(data.run, f"item_similarity/{channel}").filter(pl.col("rank") <= n)
    row = np.searchsorted(data.vocabulary.item_ids, frame["item_id"].to_numpy())
    item = np.searchsorted(data.vocabulary.item_ids, frame["neighbour_id"].to_numpy())
    return Neighbours(*_lists(frame, row, item, len(data.vocabulary.item_ids), n))


def write_communities(data: RunData, found: Communities) -> int:
    """Write item_id, community (null for a film without an edge), centrality: every film a row."""
    frame = pl.DataFrame(
        {
            "item_id": data.vocabulary.item_ids,
            "community": pl.Series(found.community).cast(pl.Int64).set(pl.Series(found.community < 0), None),
            "centrality": found.centrality,
        }
    )
    return files.write_table(data.run, COMMUNITIES, frame)


def read_communities(data: RunData) -> Ints:
    """(I,) the community of each item, -1 for none: of an item that is newer than the communities too."""
    community = np.full(data.dataset.n_items, -1, dtype=np.int32)
    if files.has_table(data.run, COMMUNITIES):
        frame = files.read_table(data.run, COMMUNITIES).drop_nulls("community")
        row = np.searchsorted(data.vocabulary.item_ids, frame["item_id"].to_numpy())
        community[row] = frame["community"].to_numpy()
    return community


def _lists(frame: pl.DataFrame, row: Longs, item: Longs, n_rows: int, n: int) -> tuple[Ints, Floats]:
    """Ranked rows as padded matrices of items and scores, (n_rows, n)."""
    rank0 = frame["rank"].to_numpy() - 1
    items = np.full((n_rows, n), -1, dtype=np.int32)
    scores = np.full((n_rows, n), -np.inf, dtype=np.float32)
    items[row, rank0] = item
    scores[row, rank0] = frame["score"].to_numpy()
    return items, scores
