"""From all candidates to the few hundred that ranking can afford."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from models.dataset import Floats, Longs, Mask
from models.features.schema import FeatureSchema
from models.prerank.three_tower import Parts, ThreeTower, ThreeTowerConfig
from models.rank.rows import Batch, Columns, Rows, check_features
from models.rank.trainer import Network, TrainerConfig, fit_network, restore_network
from models.rank.validation import places
from models.state import State, pack_text, unpack_text

TWO_TOWERS = ThreeTowerConfig(cross=())
"""The alternative that knows nothing of user and item together."""

BLOCK = 1 << 16
"""Candidates scored at once."""


@dataclass(frozen=True)
class PreRanker:
    """A trained pre-ranker: a ranker as in :class:`models.rank.contract.Trained`, of the main task alone."""

    network: Network
    parts: Parts
    config: ThreeTowerConfig

    @property
    def tasks(self) -> tuple[str, ...]:
        """The main task."""
        return self.network.tasks

    @property
    def state(self) -> State:
        """That of the network, and ``towers``: the features and sizes of each tower, as JSON."""
        towers = json.dumps({"parts": asdict(self.parts), "config": asdict(self.config)})
        return self.network.state | {"towers": pack_text(towers)}

    def logits(self, rows: Rows) -> Floats:
        """(N, 1) log odds; the user tower runs once a query of the rows, the item tower once an item.

        Raises ValueError if the schema of the rows is not the one it was trained on.
        """
        check_features(rows, self.network.schema, "pre-ranker")
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


def fit_prerank(
    train: Rows,
    validation: Rows,
    seed: int = 0,
    config: ThreeTowerConfig = ThreeTowerConfig(),
    training: TrainerConfig = TrainerConfig(),
) -> PreRanker:
    """Train the towers on the main task; each reads what the rows keep once a query, an item or a pair."""
    parts = Parts(tuple(train.queries), tuple(train.items), tuple(train.pairs))
    network = fit_network(
        lambda schema, tasks: ThreeTower(schema, parts, config),
        train.tasks[:1],
        train,
        validation,
        seed,
        training,
    )
    return PreRanker(network, parts, config)


def restore_prerank(state: State) -> PreRanker:
    """The pre-ranker that had this state."""
    towers = json.loads(unpack_text(state["towers"]))
    parts = Parts(**{name: tuple(value) for name, value in towers["parts"].items()})
    sizes: dict[str, Any] = towers["config"]
    listed = {name: tuple(size) for name, size in sizes.items() if isinstance(size, list)}
    config = ThreeTowerConfig(**(sizes | listed))

    def build(schema: FeatureSchema, tasks: int) -> ThreeTower:
        return ThreeTower(schema, parts, config)

    return PreRanker(restore_network(build, state), parts, config)


def best_of_query(score: Floats, query: Longs, n: int) -> Mask:
    """(N,) bool: which rows are among the n best of their query, ties by row."""
    kept: Mask = places(score, query) < n
    return kept


def _tensors(columns: Columns) -> Batch:
    return {name: torch.from_numpy(np.ascontiguousarray(column)) for name, column in columns.items()}
