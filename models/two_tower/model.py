"""A fitted pair of towers with all that retrieval needs, to and from named arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from models.candidates import Candidates
from models.dataset import Dataset, Floats, Mask, Queries
from models.embeddings.ann import AnnConfig, Index, build_index
from models.features.schema import Columns, FeatureSchema
from models.state import State, named, pack_text, unpack_text
from models.top_n import BLOCK, products, recommend_by_score
from models.two_tower.batches import Collator, Tensors, cuts
from models.two_tower.config import TowersConfig
from models.two_tower.ids import sharing_of, stored_sharing
from models.two_tower.inputs import item_columns, schema_of, user_columns
from models.two_tower.towers import Towers

TOKENS = 12_800
"""Positions of histories read at once."""


IDS = ("item_id", "user_id", "history")
"""Features whose tables have a row a user or item."""


@dataclass
class Model:
    """Towers, the items they can name, and the schema of both."""

    schema: FeatureSchema
    towers: Towers
    items: Columns  # one row an item
    has_events: Mask  # (I,) the items that occur in the log: the only ones recommended

    @staticmethod
    def new(dataset: Dataset, config: TowersConfig, seed: int) -> "Model":
        """A model that has learned nothing yet."""
        schema = schema_of(dataset, config)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            towers = Towers(schema, config, sharing_of(dataset, config))
        return Model(schema, towers, item_columns(dataset, schema), occurring(dataset))

    @staticmethod
    def from_state(state: State, config: TowersConfig) -> "Model":
        """The model that ``state`` was made of.

        Raises:
            ValueError: the weights are not of towers of this config.
        """
        schema = FeatureSchema.from_json(unpack_text(state["schema"]))
        towers = Towers(schema, config, stored_sharing(state))
        model = Model(schema, towers, named(state, "item."), state["has_events"])
        weights = named(state, "weight.")
        different = _differing(_shapes(weights), _shapes(model.weights()))
        if different:
            raise ValueError(f"The stored weights are of other towers than the config's: {different}.")
        model.set_weights(weights)
        return model

    def weights(self) -> State:
        """A copy of all learned parameters, by name."""
        return {name: value.detach().numpy().copy() for name, value in self.towers.state_dict().items()}

    def set_weights(self, weights: State) -> None:
        """Overwrite all learned parameters by copies of these."""
        self.towers.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})

    def state(self) -> State:
        """Everything learned, as arrays; the schema is JSON in bytes."""
        weights = {f"weight.{name}": value for name, value in self.weights().items()}
        items = {f"item.{name}": column for name, column in self.items.items()}
        schema = pack_text(self.schema.to_json())
        rows = {f"rows.{side}": sharing.rows for side, sharing in self.towers.sharing.items()}
        return {"schema": schema, "has_events": self.has_events, **items, **rows, **weights}

    def refresh(self, dataset: Dataset) -> None:
        """Take the features and the occurrence of all items from this log; ids without rows get theirs.

        Those that are not seen for long leave rows of their own to others.
        """
        self._hash_new(dataset)
        days = self.towers.config.retire_after
        self.towers.move({side: of.retired(dataset, side, days) for side, of in self.towers.sharing.items()})
        self.items, self.has_events = item_columns(dataset, self.schema), occurring(dataset)

    def admit(self, dataset: Dataset) -> None:
        """Take those of items that had not occurred; the features of the others stay."""
        self._hash_new(dataset)
        fresh, new = item_columns(dataset, self.schema), ~self.has_events
        self.items = {
            name: np.where(new.reshape(-1, *[1] * (column.ndim - 1)), fresh[name], column)
            for name, column in self.items.items()
        }
        self.has_events = self.has_events | occurring(dataset)

    def check_ids(self, dataset: Dataset) -> None:
        """Refuse questions about a data set of other users or items.

        Its attributes may be others: those of items are not read, labels of users that are new are unknown.

        Raises:
            ValueError: it has other numbers of them, and which.
        """
        self._compare(dataset, of_questions=True)

    def check(self, dataset: Dataset) -> None:
        """Refuse a data set that the towers were not built for.

        Raises:
            ValueError: its schema differs, and how.
        """
        self._compare(dataset)

    def _compare(self, dataset: Dataset, of_questions: bool = False) -> None:
        needed = schema_of(dataset, self.towers.config)
        mine, theirs = (
            {f.name: f for f in schema.features if f.name in IDS or not of_questions}
            for schema in (self.schema, needed)
        )
        if mine == theirs:
            return
        raise ValueError(
            f"The two-tower model was trained for another schema (different: {_differing(mine, theirs)}): "
            "train it from scratch, or grow it if only users and items were added."
        )

    def item_vectors(self) -> Floats:
        """(I, D + 1) float32: the inner product with a user's vector is the score; the last is the bias."""
        columns = tensors(self.items)
        with torch.no_grad():
            bias = self.towers.biases(columns["item_id"])
            return torch.cat([self.towers.items(columns), bias[:, None]], dim=1).numpy()

    def user_vectors(self, queries: Queries) -> Floats:
        """(B, D + 1) float32 vectors of the queries, whatever their number and lengths."""
        collator = self._collator(queries.log)
        blocks = range(0, len(queries), BLOCK)
        vectors = [self._vectors_of(collator, queries.rows(begin, begin + BLOCK)) for begin in blocks]
        return torch.cat([torch.empty(0, self.towers.config.embedding_dim + 1), *vectors]).numpy()

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        """The n items of the highest score among those that occur in the log, exactly."""
        self.check_ids(queries.log)
        collator, items = self._collator(queries.log), self.item_vectors()

        def score(block: Queries) -> Floats:
            return products(self._vectors_of(collator, block).numpy(), items)

        return recommend_by_score(score, queries, n, filter_seen, among=self.has_events)

    def index(self, config: AnnConfig) -> Index:
        """The items that occur in the log, indexed by their vectors."""
        return build_index(np.where(self.has_events[:, None], self.item_vectors(), 0), config)

    def _hash_new(self, dataset: Dataset) -> None:
        placed = {side: of.placed(dataset, side) for side, of in self.towers.sharing.items()}
        self.towers.set_rows(placed)

    def _collator(self, dataset: Dataset) -> Collator:
        return Collator(dataset, self.schema, user_columns(dataset, self.schema))

    def _vectors_of(self, collator: Collator, queries: Queries) -> torch.Tensor:
        """(b, D + 1) vectors of a block of queries: they do not depend on how many are asked for at once."""
        newest = self.towers.config.newest
        length = np.minimum(queries.end - queries.start, newest)
        order = np.argsort(length, kind="stable")
        vectors = torch.ones(len(queries), self.towers.config.embedding_dim + 1)
        for start, stop in pairwise(cuts(np.maximum(length[order], 1), TOKENS)):
            rows = order[start:stop]
            inputs, last = collator.queries(queries.take(rows), newest)
            with torch.no_grad():
                vectors[rows, :-1] = self.towers.users(inputs, (torch.arange(len(rows)), last))
        return vectors


def occurring(dataset: Dataset) -> Mask:
    """(I,) the items that have an event."""
    return np.bincount(dataset.item_idx, minlength=dataset.n_items) > 0


def tensors(columns: Columns) -> Tensors:
    """Columns as tensors, without copies."""
    return {name: torch.from_numpy(column) for name, column in columns.items()}


def _shapes(weights: State) -> dict[str, tuple[int, ...]]:
    return {name: value.shape for name, value in weights.items()}


def _differing(left: Mapping[str, object], right: Mapping[str, object]) -> str:
    """The names whose values differ in two mappings, for people."""
    return ", ".join(sorted(name for name in {*left, *right} if left.get(name) != right.get(name)))
