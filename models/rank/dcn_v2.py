"""DCN-V2: cross layers with a matrix of weights, beside dense layers, one output over both.

A cross layer is ``x' = x0 * (W x + b) + x``, elementwise. Wang et al. 2021,
https://arxiv.org/abs/2008.13535.
"""

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from models.bounds import BelowOne, NonNegative
from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.constraints import Units
from models.rank.layers import MLP, Embedding
from models.rank.networks import with_auxiliary
from models.rank.rows import Batch
from models.rank.trainer import TrainerConfig


class DCNv2Config(Config):
    """Sizes and training of the network."""

    embedding_dim: PositiveInt = 16
    """Length of a feature's embedding."""
    crosses: PositiveInt = 3
    """Number of cross layers; n of them cross up to n + 1 features."""
    hidden: Units = (64, 64)
    """Units of the dense layers."""
    dropout: BelowOne = 0.1
    """Fraction of hidden units left out in training."""
    auxiliary: NonNegative = 0.0
    """Weight in the loss of the tasks beside the main one, which alone is predicted; 0 learns none."""
    training: TrainerConfig = TrainerConfig()
    """Training of the network."""


class MatrixCross(nn.Module):
    """Cross layers with a matrix of weights each: (B, W) to (B, W)."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))

    def forward(self, start: Tensor) -> Tensor:
        x = start
        for layer in self.layers:
            x = start * layer(x) + x
        return x


class DCNv2(nn.Module):
    """(B, T) logits."""

    def __init__(self, schema: FeatureSchema, tasks: int = 1, config: DCNv2Config = DCNv2Config()) -> None:
        super().__init__()
        self.embedding = Embedding(schema, config.embedding_dim)
        self.cross = MatrixCross(self.embedding.width, config.crosses)
        self.deep = MLP(self.embedding.width, config.hidden, config.dropout)
        self.out = nn.Linear(self.embedding.width + config.hidden[-1], tasks)

    def forward(self, batch: Batch) -> Tensor:
        flat = self.embedding(batch).flat
        logits: Tensor = self.out(torch.cat([self.cross(flat), self.deep(flat)], dim=1))
        return logits


RANKER = with_auxiliary(DCNv2, DCNv2Config())
