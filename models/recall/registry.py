"""All recall channels by name: a new one is a file and a line here, and the contract tests run over it."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from models.recall.attribute import Attribute
from models.recall.contract import Recaller
from models.recall.deep_retrieval import DeepRetrieval
from models.recall.deepwalk import DeepWalk, DeepWalkConfig
from models.recall.ease import Ease, EaseConfig
from models.recall.history import FOREVER
from models.recall.item_cf import ItemCF
from models.recall.mf import MF
from models.recall.new_items import NewItems
from models.recall.popular import Popular
from models.recall.region import Region
from models.recall.segment import Segment
from models.recall.sequential_linear import SequentialLinear
from models.recall.swing import Swing
from models.recall.two_tower import TwoTower
from models.recall.user_cf import UserCF
from models.recall.walks import WalkConfig
from models.recall.word2vec import Word2Vec
from models.two_tower.presets import PRESETS

CHANNELS: dict[str, Callable[[], Recaller]] = {
    "popular": Popular,
    "segment": Segment,
    "item_cf": ItemCF,
    "swing": Swing,
    "user_cf": UserCF,
    "attribute": Attribute,
    "region": Region,
    "new_items": NewItems,
    "mf": MF,
    "sequential_linear": SequentialLinear,
    "ease": Ease,
    "ease_plain": lambda: Ease(EaseConfig(decay=FOREVER)),
    "word2vec": Word2Vec,
    "deepwalk": DeepWalk,
    "node2vec": lambda: DeepWalk(DeepWalkConfig(walks=WalkConfig(half_life=180.0, p=4.0, q=0.5))),
    "deep_retrieval": DeepRetrieval,
    "two_tower": TwoTower,
    "dssm": lambda: TwoTower(PRESETS["dssm"]),
    "youtube_dnn": lambda: TwoTower(PRESETS["youtube_dnn"]),
    "sasrec": lambda: TwoTower(PRESETS["sasrec"]),
}

DEFAULT_CHANNELS = (
    "popular",
    "segment",
    "item_cf",
    "swing",
    "user_cf",
    "attribute",
    "new_items",
    "mf",
    "sequential_linear",
    "ease",
    "ease_plain",
    "word2vec",
    "deepwalk",
    "two_tower",
)
"""The channels that recall unless told otherwise."""


def build(channel: str, seed: int = 0) -> Recaller:
    """A channel that is yet to be fitted; every ``seed`` in its config, at any depth, is this one."""
    made: Any = CHANNELS[channel]()
    seeded: Recaller = type(made)(_with_seed(made.config, seed))
    return seeded


def _with_seed(config: Any, seed: int) -> Any:
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    changed = {name: _with_seed(value, seed) for name, value in values.items() if is_dataclass(value)}
    return replace(config, **changed, **({"seed": seed} if "seed" in values else {}))
