"""The three-tower network trained and scoring, each tower as seldom as it needs."""

import json
from dataclasses import asdict, dataclass

import numpy as np
import torch

from models.dataset import Floats
from models.features.schema import Columns, FeatureSchema
from models.prerank.three_tower import Parts, ThreeTower, ThreeTowerConfig
from models.rank.contract import Ranker
from models.rank.rows import Batch, Rows, check_features
from models.rank.trainer import Build, Network, fit_network, restore_network
from models.state import State, pack_text, unpack_text

BLOCK = 1 << 16
"""Candidates scored at once."""


@dataclass(frozen=True)
class PreRanker:
    """A trained pre-ranker: a ranker as in :class:`models.rank.contract.Trained`, of the main task alone."""

    network: Network
    parts: Parts

    @property
    def tasks(self) -> tuple[str, ...]:
        """The main task."""
        return self.network.tasks

    @property
    def state(self) -> State:
        """The state of the network, and ``parts``: the features of each tower, as JSON."""
        return self.network.state | {"parts": pack_text(json.dumps(asdict(self.parts)))}

    def logits(self, rows: Rows) -> Floats:
        """(N, 1) log odds; the user tower runs once a query of the rows, the item tower once an item.

        Raises:
            ValueError: the schema of the rows is not the one it was trained on.
        """
        check_features(rows, self.network.schema)
        module = self.network.module
        assert isinstance(module, ThreeTower)
        logits = np.empty((len(rows), 1), dtype=np.float32)
        with torch.inference_mode():
            user, item = module.user(_tensors(rows.queries)), module.item(_tensors(rows.items))
            for begin in range(0, len(rows), BLOCK):
                part = slice(begin, begin + BLOCK)
                cross = _tensors({name: column[part] for name, column in rows.pairs.items()})
                met = module.meet(user[rows.query[part]], item[rows.item[part]], cross)
                logits[part] = met.numpy()
        return logits


def fit_pre_ranker(
    train: Rows, validation: Rows, seed: int, config: ThreeTowerConfig = ThreeTowerConfig()
) -> PreRanker:
    """Train the towers on the main task; each reads what the rows keep once a query, an item or a pair.

    Raises:
        ValueError: there are no rows, or no features, for a tower to learn from.
        FloatingPointError: the training diverged.
    """
    parts = Parts(tuple(train.queries), tuple(train.items), tuple(train.pairs))
    if not (parts.user and parts.item):
        raise ValueError("a two- or three-tower pre-ranker needs features of users and attributes of items")
    network = fit_network(_build(parts, config), train.tasks[:1], train, validation, seed, config.training)
    return PreRanker(network, parts)


def restore_pre_ranker(state: State, config: ThreeTowerConfig = ThreeTowerConfig()) -> PreRanker:
    """The pre-ranker that had this state.

    Raises:
        ValueError: it was trained with other settings.
    """
    parts = {name: tuple(names) for name, names in json.loads(unpack_text(state["parts"])).items()}
    return PreRanker(restore_network(_build(Parts(**parts), config), state), Parts(**parts))


def _build(parts: Parts, config: ThreeTowerConfig) -> Build:
    def build(schema: FeatureSchema, n_tasks: int) -> ThreeTower:
        return ThreeTower(schema, parts, config)

    return build


def _tensors(columns: Columns) -> Batch:
    return {name: torch.from_numpy(np.ascontiguousarray(column)) for name, column in columns.items()}


THREE_TOWER = Ranker(fit_pre_ranker, restore_pre_ranker, ThreeTowerConfig())
TWO_TOWER = Ranker(fit_pre_ranker, restore_pre_ranker, ThreeTowerConfig(cross=()))
