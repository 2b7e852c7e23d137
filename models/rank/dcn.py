"""Deep and cross network: crosses of ever higher order beside dense layers, one output over both.

A cross layer is ``x' = x0 <w, x> + b + x``. Wang et al. 2017, https://arxiv.org/abs/1708.05123.
"""

import torch
from torch import Tensor, nn

from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.layers import MLP, Embedding
from models.rank.rows import Batch


class DCNConfig(Config):
    """Sizes of the network."""

    dim: int = 16
    """Numbers in a feature's vector."""
    crosses: int = 3
    """Cross layers: the last one holds crosses of one feature more than that."""
    hidden: tuple[int, ...] = (64, 64)
    """Units of the dense layers."""
    dropout: float = 0.0
    """Share of hidden units left out in training."""


class Cross(nn.Module):
    """Cross layers with a vector of weights each: (B, W) to (B, W)."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.weights = nn.ModuleList(nn.Linear(width, 1, bias=False) for _ in range(layers))
        self.bias = nn.Parameter(torch.zeros(layers, width))

    def forward(self, start: Tensor) -> Tensor:
        x = start
        for weight, bias in zip(self.weights, self.bias, strict=True):
            x = start * weight(x) + bias + x
        return x


class DCN(nn.Module):
    """(B, 1) logits."""

    def __init__(self, schema: FeatureSchema, config: DCNConfig = DCNConfig()) -> None:
        super().__init__()
        self.embedding = Embedding(schema, config.dim)
        self.cross = Cross(self.embedding.width, config.crosses)
        self.deep = MLP(self.embedding.width, config.hidden, config.dropout)
        self.out = nn.Linear(self.embedding.width + config.hidden[-1], 1)

    def forward(self, batch: Batch) -> Tensor:
        flat = self.embedding(batch).flat
        logits: Tensor = self.out(torch.cat([self.cross(flat), self.deep(flat)], dim=1))
        return logits
