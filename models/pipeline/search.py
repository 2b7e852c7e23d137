"""The settings of channels and rankers that a search tries, and between which bounds: declared here alone.

By the class of a configuration, at whatever depth it stands. What costs time or memory and buys accuracy for
it (numbers of neighbours, sizes of samples) is left to people, as are kinds, presets and seeds.
"""

from dataclasses import dataclass

from models.config import Config
from models.embeddings.cbow import CbowConfig
from models.embeddings.retrieval import HistoryConfig
from models.embeddings.skip_gram import SkipGramConfig
from models.embeddings.walks import WalkConfig
from models.rank.bayesian_fm import BayesianFMConfig
from models.rank.deep import DeepConfig
from models.rank.gbdt import GbdtConfig
from models.rank.trainer import TrainerConfig
from models.recall.attribute import AttributeConfig
from models.recall.deep_retrieval import DeepRetrievalConfig
from models.recall.ease import EaseConfig
from models.recall.item_cf import ItemCFConfig
from models.recall.mf import Als, MFConfig
from models.recall.new_items import NewItemsConfig
from models.recall.popular import PopularConfig
from models.recall.region import RegionConfig
from models.recall.segment import SegmentConfig
from models.recall.sequential_linear import SequentialLinearConfig
from models.recall.swing import SwingConfig
from models.recall.user_cf import UserCFConfig
from models.two_tower.config import TowersConfig, TrainingConfig


@dataclass(frozen=True)
class Range:
    """Values between two bounds, both included: whole numbers if the bounds are, else real ones."""

    low: float
    high: float
    log: bool = True
    """Drawn evenly in the logarithm."""

    @property
    def is_whole(self) -> bool:
        """True if only whole numbers are tried."""
        return isinstance(self.low, int)


RATE, FRACTION, DROPOUT = Range(1e-4, 1e-1), Range(0.1, 1.0, log=False), Range(0.0, 0.5, log=False)
L2, EVENTS, DAYS, COUNT = Range(1.0, 1e4), Range(1.0, 100.0), Range(10.0, 1000.0), Range(1.0, 1e5)

SPACE: dict[type[Config], dict[str, Range]] = {
    PopularConfig: {"half_life": DAYS},
    NewItemsConfig: {"half_life": DAYS, "novelty": DAYS},
    SegmentConfig: {"half_life": DAYS, "smoothing": COUNT},
    RegionConfig: {"half_life": DAYS, "smoothing": COUNT},
    AttributeConfig: {"half_life": DAYS, "decay": EVENTS, "smoothing": Range(0.1, 100.0)},
    ItemCFConfig: {"decay": EVENTS, "shrinkage": Range(0.0, 100.0, log=False)},
    SwingConfig: {"decay": EVENTS, "alpha": Range(0.1, 100.0), "damping": Range(0.0, 1.0, log=False)},
    UserCFConfig: {"decay": EVENTS, "neighbour_decay": EVENTS},
    MFConfig: {"decay": EVENTS},
    Als: {"l2": L2, "alpha": Range(1.0, 100.0)},
    SequentialLinearConfig: {"l2": L2, "target_decay": Range(0.3, 10.0)},
    EaseConfig: {"l2": L2, "decay": EVENTS},
    CbowConfig: {"learning_rate": Range(1e-2, 1.0), "epochs": Range(2, 20)},
    HistoryConfig: {"decay": EVENTS},
    WalkConfig: {"half_life": DAYS, "p": Range(0.25, 4.0), "q": Range(0.25, 4.0)},
    SkipGramConfig: {"learning_rate": Range(5e-3, 0.5), "window": Range(2, 10)},
    DeepRetrievalConfig: {"learning_rate": RATE, "epochs": Range(1, 10)},
    TowersConfig: {"dropout": DROPOUT},
    TrainingConfig: {"learning_rate": RATE, "id_learning_rate": Range(1e-3, 1.0), "epochs": Range(1, 10)},
    TrainerConfig: {"learning_rate": RATE, "l2": Range(1e-6, 1e-1)},
    DeepConfig: {"dropout": DROPOUT},
    BayesianFMConfig: {"embedding_dim": Range(4, 64)},
    GbdtConfig: {
        "learning_rate": Range(0.02, 0.3),
        "num_leaves": Range(7, 127),
        "min_data_in_leaf": Range(10, 1000),
        "feature_fraction": FRACTION,
        "bagging_fraction": FRACTION,
        "lambda_l2": Range(1e-3, 1e2),
    },
}
"""The ranges of fields."""


def ranges(config: Config, prefix: str = "") -> dict[str, Range]:
    """The ranges of a configuration and of all parts of it, by dotted key."""
    found = {f"{prefix}{name}": limits for name, limits in SPACE.get(type(config), {}).items()}
    for name in type(config).model_fields:
        part = getattr(config, name)
        if isinstance(part, Config):
            found |= ranges(part, f"{prefix}{name}.")
    return found
