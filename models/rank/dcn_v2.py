"""DCN-V2: cross layers with a matrix of weights, beside dense layers, one output over both.

A cross layer is ``x' = x0 * (W x + b) + x``, elementwise. Wang et al. 2021,
https://arxiv.org/abs/2008.13535.
"""

import torch
from torch import Tensor, nn

from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.layers import MLP, Embedding
from models.rank.rows import Batch


class DCNv2Config(Config):
    """Sizes of the network."""

    dim: int = 16
    """Numbers in a feature's vector."""
    crosses: int = 3
    """Cross layers: the last one holds crosses of one feature more than that."""
    hidden: tuple[int, ...] = (64, 64)
    """Units of the dense layers."""
    dropout: float = 0.1
    """Share of hidden units left out in training."""


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
    """(B, 1) logits."""

    def __init__(self, schema: FeatureSchema, config: DCNv2Config = DCNv2Config()) -> None:
        super().__init__()
        self.embedding = Embedding(schema, config.dim)
        self.cross = MatrixCross(self.embedding.width, config.crosses)
        self.deep = MLP(self.embedding.width, config.hidden, config.dropout)
        self.out = nn.Linear(self.embedding.width + config.hidden[-1], 1)

    def forward(self, batch: Batch) -> Tensor:
        flat = self.embedding(batch).flat
        logits: Tensor = self.out(torch.cat([self.cross(flat), self.deep(flat)], dim=1))
        return logits
