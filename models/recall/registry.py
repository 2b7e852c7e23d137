"""All recall channels by name: a new one is a file and a line here, and the contract tests run over it."""

from collections.abc import Callable

from models.recall.attribute import Attribute
from models.recall.contract import Recaller
from models.recall.deepwalk import DeepWalk
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
from models.recall.user_cf import UserCF
from models.recall.word2vec import Word2Vec

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
}
