"""All recall channels by name: a new one is a file and a line here, and the contract tests run over it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from models.config import Config, configured, with_seed
from models.embeddings.walks import WalkConfig
from models.history import FOREVER
from models.recall.attribute import Attribute, AttributeConfig
from models.recall.cache import Cache, CacheConfig
from models.recall.contract import Recaller
from models.recall.deep_retrieval import DeepRetrieval, DeepRetrievalConfig
from models.recall.deepwalk import DeepWalk, DeepWalkConfig
from models.recall.ease import Ease, EaseConfig
from models.recall.fresh import Fresh, FreshConfig
from models.recall.item_cf import ItemCF, ItemCFConfig
from models.recall.mf import MF, Bpr, MFConfig, Ratings, Sgd
from models.recall.new_items import NewItems, NewItemsConfig
from models.recall.popular import Popular, PopularConfig
from models.recall.region import Region, RegionConfig
from models.recall.segment import Segment, SegmentConfig
from models.recall.sequential_linear import SequentialLinear, SequentialLinearConfig
from models.recall.swing import Swing, SwingConfig
from models.recall.two_tower import TwoTower
from models.recall.user_cf import UserCF, UserCFConfig
from models.recall.word2vec import Word2Vec, Word2VecConfig
from models.two_tower.presets import PRESETS


@dataclass(frozen=True)
class Channel:
    """A kind of channel: its class, and the settings it has unless a configuration says otherwise."""

    make: Callable[[Any], Recaller]
    settings: Config
    one_thread: bool = False
    """A fit takes one thread: several may as well be made at once."""
    rows: Mapping[str, Literal["user", "item"]] = field(default_factory=dict)
    """The side that rows of its state stand for, if it is :class:`models.recall.contract.Continued`."""


CHANNELS: dict[str, Channel] = {
    "popular": Channel(Popular, PopularConfig()),
    "segment": Channel(Segment, SegmentConfig()),
    "first_session": Channel(Segment, SegmentConfig(half_life=60.0, smoothing=2000.0, first_days=0.1)),
    "item_cf": Channel(ItemCF, ItemCFConfig()),
    "swing": Channel(Swing, SwingConfig()),
    "user_cf": Channel(UserCF, UserCFConfig()),
    "attribute": Channel(Attribute, AttributeConfig()),
    "region": Channel(Region, RegionConfig()),
    "new_items": Channel(NewItems, NewItemsConfig()),
    "fresh": Channel(Fresh, FreshConfig()),
    "cache": Channel(Cache, CacheConfig()),
    "mf": Channel(MF, MFConfig()),
    "bpr": Channel(MF, MFConfig(trainer=Bpr())),
    "lfm": Channel(MF, MFConfig(trainer=Ratings())),
    "lfm_sgd": Channel(MF, MFConfig(trainer=Sgd())),
    "sequential_linear": Channel(SequentialLinear, SequentialLinearConfig()),
    "ease": Channel(Ease, EaseConfig()),
    "ease_plain": Channel(Ease, EaseConfig(decay=FOREVER)),
    "word2vec": Channel(Word2Vec, Word2VecConfig(), one_thread=True, rows=Word2Vec.rows),
    "deepwalk": Channel(DeepWalk, DeepWalkConfig(), one_thread=True, rows=DeepWalk.rows),
    "node2vec": Channel(
        DeepWalk,
        DeepWalkConfig(walks=WalkConfig(half_life=180.0, p=4.0, q=0.5)),
        one_thread=True,
        rows=DeepWalk.rows,
    ),
    "deep_retrieval": Channel(DeepRetrieval, DeepRetrievalConfig()),
    "two_tower": Channel(TwoTower, PRESETS["decayed_means"]),
    "dssm": Channel(TwoTower, PRESETS["dssm"]),
    "youtube_dnn": Channel(TwoTower, PRESETS["youtube_dnn"]),
    "sasrec": Channel(TwoTower, PRESETS["sasrec"]),
}


def build(kind: str, seed: int = 0, settings: Mapping[str, Any] = MappingProxyType({})) -> Recaller:
    """A channel that is yet to be fitted.

    ``settings`` change those of its kind, at any depth; every ``seed`` that they do not name is ``seed``.

    Raises:
        KeyError: there is no such kind.
        pydantic.ValidationError: a setting is misspelt, of another type or out of range.
    """
    channel = CHANNELS[kind]
    return channel.make(configured(with_seed(channel.settings, seed), settings))


def is_incremental(kind: str) -> bool:
    """True for kinds of channels that learn on: see :class:`models.recall.contract.Incremental`."""
    return hasattr(CHANNELS[kind].make, "update")


def is_rater(kind: str) -> bool:
    """True for kinds of channels that predict ratings: see :class:`models.recall.contract.Rater`."""
    return hasattr(CHANNELS[kind].make, "ratings")


def is_remembering(kind: str) -> bool:
    """True for kinds of channels that hold what earlier runs ranked: see :mod:`models.recall.cache`."""
    return hasattr(CHANNELS[kind].make, "push")
