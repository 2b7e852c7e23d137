"""Deep and cross network: crosses of ever higher order beside dense layers, one output over both.

Wang et al. 2017, https://arxiv.org/abs/1708.05123.
"""

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from models.bounds import BelowOne
from models.config import Config
from models.crosses import Cross
from models.features.schema import FeatureSchema
from models.rank.constraints import Units
from models.rank.layers import MLP, Embedding
from models.rank.networks import single_task
from models.rank.rows import Batch
from models.rank.trainer import TrainerConfig


class DCNConfig(Config):
    """Sizes and training of the network."""

    embedding_dim: PositiveInt = 16
    """Length of a feature's embedding."""
    crosses: PositiveInt = 3
    """Number of cross layers; n of them cross up to n + 1 features."""
    hidden: Units = (64, 64)
    """Units of the dense layers."""
    dropout: BelowOne = 0.0
    """Fraction of hidden units left out in training."""
    training: TrainerConfig = TrainerConfig()
    """Training of the network."""


class DCN(nn.Module):
    """(B, 1) logits."""

    def __init__(self, schema: FeatureSchema, config: DCNConfig = DCNConfig()) -> None:
        super().__init__()
        self.embedding = Embedding(schema, config.embedding_dim)
        self.cross = Cross(self.embedding.width, config.crosses)
        self.deep = MLP(self.embedding.width, config.hidden, config.dropout)
        self.out = nn.Linear(self.embedding.width + config.hidden[-1], 1)

    def forward(self, batch: Batch) -> Tensor:
        flat = self.embedding(batch).flat
        logits: Tensor = self.out(torch.cat([self.cross(flat), self.deep(flat)], dim=1))
        return logits


RANKER = single_task(DCN, DCNConfig())
