"""Wide and deep: a linear part that memorises beside dense layers that generalise, their logits added.

Cheng et al. 2016, https://arxiv.org/abs/1606.07792.
"""

from pydantic import PositiveInt
from torch import Tensor, nn

from models.bounds import BelowOne
from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.constraints import Units
from models.rank.layers import MLP, Embedding, FirstOrder
from models.rank.networks import single_task
from models.rank.rows import Batch
from models.rank.trainer import TrainerConfig


class WideDeepConfig(Config):
    """Sizes of the deep part, and training of the network."""

    embedding_dim: PositiveInt = 16
    """Length of a feature's embedding."""
    hidden: Units = (64, 64)
    """Units of the dense layers."""
    dropout: BelowOne = 0.0
    """Fraction of hidden units left out in training."""
    training: TrainerConfig = TrainerConfig()
    """Training of the network."""


class WideDeep(nn.Module):
    """(B, 1) logits."""

    def __init__(self, schema: FeatureSchema, config: WideDeepConfig = WideDeepConfig()) -> None:
        super().__init__()
        self.wide = FirstOrder(schema)
        self.embedding = Embedding(schema, config.embedding_dim)
        self.deep = MLP(self.embedding.width, config.hidden, config.dropout)
        self.out = nn.Linear(config.hidden[-1], 1)

    def forward(self, batch: Batch) -> Tensor:
        logits: Tensor = self.wide(batch) + self.out(self.deep(self.embedding(batch).flat))
        return logits


RANKER = single_task(WideDeep, WideDeepConfig())
