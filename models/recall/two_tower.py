"""Two-tower retrieval: the histories of users and the attributes of items as vectors of one space.

Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations" (RecSys 2019,
https://doi.org/10.1145/3298689.3346996). The score of an item is the inner product of its vector with that of
the query's history; what the towers are made of and how they learn is in ``models.two_tower``.
"""

from typing import Self

from models.candidates import Candidates
from models.dataset import Dataset, Floats, Longs, Queries
from models.recall.contract import Tables
from models.state import State
from models.two_tower.config import TwoTowerConfig
from models.two_tower.hourly import UpdateReport, learn_hour, learn_hours
from models.two_tower.model import Model
from models.two_tower.presets import PRESETS
from models.two_tower.training import Checkpoint, Watch, learn_from, train


class TwoTower:
    """State: all weights (``weight.*``), item features (``item.*``), ``known`` (I,) items, ``schema`` (JSON
    in bytes), ``curve`` (epochs, 2): the training loss and validation NDCG@10 of each epoch.
    """

    def __init__(self, config: TwoTowerConfig = PRESETS["decayed_means"]) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset, watch: Watch | None = None, resume: Checkpoint | None = None) -> Self:
        """Train from scratch. ``watch`` gets a checkpoint after each epoch; ``resume`` goes on from one.

        A resumed training must be of the same log and config: it then ends as if never interrupted.
        """
        model, curve = train(dataset, self.config, watch, resume)
        self.state = model.state() | {"curve": curve}
        return self

    def warm(self, dataset: Dataset, rows: Longs) -> Self:
        """Train on from the state: all parameters, one epoch over some rows of the log and some replayed.

        Raises:
            ValueError: the state is of another schema; grow it first if users or items were added.
        """
        model = self._model_for(dataset)
        model.refresh(dataset)
        learn_from(model, dataset, rows, self.config)
        self.state = model.state() | {"curve": self.state["curve"]}
        return self

    def catch_up(self, dataset: Dataset, rows: Longs) -> Self:
        """Learn some rows of the log as one update after the other would have, hour by hour.

        Raises:
            ValueError: the state is of another schema; grow it first if users or items were added.
        """
        model = self._model_for(dataset)
        learn_hours(model, dataset, rows, self.config)
        self.state = model.state() | {"curve": self.state["curve"]}
        return self

    def update(self, dataset: Dataset, rows: Longs) -> UpdateReport:
        """Learn some rows of the log in the order of time: ID embeddings alone, all else stays bit for bit.

        Raises:
            ValueError: the state is of another schema; grow it first if users or items were added.
        """
        model = self._model_for(dataset)
        report = learn_hour(model, dataset, rows, self.config)
        self.state = model.state() | {"curve": self.state["curve"]}
        return report

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        """The n nearest items, exactly.

        Raises:
            ValueError: the state is of another schema than the log of the queries.
        """
        return self._model().recommend(queries, n, filter_seen)

    def user_vectors(self, queries: Queries) -> Floats:
        """(B, D + 1): their inner products with the published item vectors are the scores."""
        return self._model_for(queries.log).user_vectors(queries)

    def tables(self) -> Tables:
        """The vectors of the items; the last number is the item's bias. Those of users ask for a history."""
        return Tables(item_embeddings=self._model().item_vectors())

    def _model(self) -> Model:
        return Model.from_state(self.state, self.config.towers)

    def _model_for(self, dataset: Dataset) -> Model:
        model = self._model()
        model.check(dataset)
        return model
