"""Two-tower retrieval: the histories of users and the attributes of items as vectors of one space.

Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations" (RecSys 2019,
https://doi.org/10.1145/3298689.3346996). The score of an item is the inner product of its vector with that of
the query's history; what the towers are made of and how they learn is in ``models.two_tower``.

Methods import it themselves: torch takes 1.5 s to import, for which settings alone need not wait.
"""

from typing import TYPE_CHECKING, Self

import numpy as np

from models.candidates import Candidates
from models.dataset import Dataset, Doubles, Floats, Ints, Longs, Queries
from models.embeddings.ann import Index, build_index, recommend_nearest
from models.incremental import Checkpoint, CheckpointCallback, UpdateReport
from models.recall.contract import Tables
from models.state import Derived, State
from models.two_tower import vocabulary
from models.two_tower.config import TwoTowerConfig
from models.two_tower.presets import PRESETS

if TYPE_CHECKING:
    from models.two_tower.model import Model
    from models.two_tower.replica import Replica


class TwoTower:
    """State: all weights (``weight.*``), item features (``item.*``), ``has_events`` (I,), ``schema`` (JSON in
    bytes), ``curve`` (epochs, 2): the training loss and validation metric of each epoch; if ids are hashed
    the rows that they read, ``rows.item`` and ``rows.user``.
    """

    def __init__(self, config: TwoTowerConfig = PRESETS["decayed_means"]) -> None:
        self.config = config
        self.state: State = {}
        self._loaded: Derived[Model] = Derived()
        self._indexed: Derived[Index] = Derived()

    def n_epochs(self, dataset: Dataset) -> int:
        """Largest number of epochs of a training from scratch on this log."""
        from models.two_tower import training

        return training.epochs_and_patience(dataset, self.config.training)[0]

    def fit(
        self,
        dataset: Dataset,
        checkpoint_callback: CheckpointCallback | None = None,
        resume: Checkpoint | None = None,
        rejected: Ints | None = None,
        replica: "Replica | None" = None,
    ) -> Self:
        """Train from scratch, or on from a checkpoint of the same log, config and ``rejected``.

        ``rejected`` (U, K), padded with -1, are the items that hard negatives of this source are drawn from;
        without them they are the model's own.
        """
        from models.two_tower import training
        from models.two_tower.replica import Replica

        model, curve = training.train(
            dataset, self.config, checkpoint_callback, resume, rejected, replica or Replica()
        )
        self.state = model.state() | {"curve": curve}
        return self

    def warm(self, dataset: Dataset, rows: Longs, rejected: Ints | None = None) -> Self:
        """Train on from the state: all parameters, one epoch over some rows of the log and some replayed.

        Raises:
            ValueError: the state is of another schema; grow it first if users or items were added.
        """
        from models.two_tower import training

        model = self._trainable(dataset)
        model.refresh(dataset)
        training.warm(model, dataset, rows, self.config, rejected)
        self.state = model.state() | {"curve": self.state["curve"]}
        return self

    def catch_up(self, dataset: Dataset, rows: Longs) -> Self:
        """Learn some rows of the log as one update after the other would have, hour by hour.

        Raises:
            ValueError: the state is of another schema; grow it first if users or items were added.
        """
        from models.two_tower import hourly

        model = self._trainable(dataset)
        hourly.catch_up(model, dataset, rows, self.config)
        self.state = model.state() | {"curve": self.state["curve"]}
        return self

    def update(self, dataset: Dataset, rows: Longs) -> UpdateReport:
        """Learn some rows of the log in the order of time: ID embeddings alone, all else stays bit for bit.

        Raises:
            ValueError: the state is of another schema; grow it first if users or items were added.
        """
        from models.two_tower import hourly

        model = self._trainable(dataset)
        report = hourly.update(model, dataset, rows, self.config)
        self.state = model.state() | {"curve": self.state["curve"]}
        return report

    def grow(self, users: Ints, items: Ints, n_users: int, n_items: int) -> Self:
        """Take the state over to a larger vocabulary: user (item) u is now ``users[u]`` of ``n_users``."""
        self.state = vocabulary.grow(self.state, users, items, n_users, n_items)
        return self

    def copy(self) -> Self:
        """Another channel of the same config and state; no method changes an array of a state."""
        other = type(self)(self.config)
        other.state = dict(self.state)
        return other

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        """The n items of the highest score: exactly up to ``ann.flat_up_to`` items, beyond it nearly all.

        Raises:
            ValueError: the state is of other users or items than the log of the queries.
        """
        model = self._model()
        if self.config.ann.kind_for(int(model.has_events.sum())) == "flat":
            return model.recommend(queries, n, filter_seen)
        index, vectors = self._index(), self.user_vectors(queries)
        return recommend_nearest(index, vectors, queries, n, filter_seen)

    def ratings(self, queries: Queries, query: Longs, item: Ints) -> Doubles:
        """(N,) the rating of each pair of a query's number and an item, on the scale of the log.

        Raises:
            ValueError: the loss is not that of ratings.
        """
        if self.config.loss.kind != "rating":
            raise ValueError("predicts no ratings: loss.kind must be rating")
        from models.two_tower import training

        model = self._model()
        model.check_ids(queries.log)
        return training.ratings(model, queries, query, item)

    def user_vectors(self, queries: Queries) -> Floats:
        """(B, D + 1): their inner products with the published item vectors are the scores.

        Raises:
            ValueError: the state is of other users or items than the log of the queries.
        """
        model = self._model()
        model.check_ids(queries.log)
        return model.user_vectors(queries)

    def nearest(self, users: Floats, items: Floats, queries: Queries, n: int) -> Candidates:
        """The candidates of queries whose vectors, as those of the items, are given: without the towers."""
        index = build_index(np.where(self.state["has_events"][:, None], items, 0), self.config.ann)
        return recommend_nearest(index, users, queries, n)

    def tables(self) -> Tables:
        """The vectors of the items; the last number is the item's bias. Those of users ask for a history."""
        return Tables(item_embeddings=self._model().item_vectors())

    def _model(self) -> "Model":
        """The model of the state, made once for all questions, and not to be changed."""
        from models.two_tower.model import Model

        return self._loaded.of(self.state, lambda: Model.from_state(self.state, self.config.towers))

    def _index(self) -> Index:
        """The index of the state, made once."""
        return self._indexed.of(self.state, lambda: self._model().index(self.config.ann))

    def _trainable(self, dataset: Dataset) -> "Model":
        """A model of the state that learns on.

        Raises:
            ValueError: it is of another schema than the log.
        """
        from models.two_tower.model import Model

        model = Model.from_state(self.state, self.config.towers)
        model.check(dataset)
        return model
