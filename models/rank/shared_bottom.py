"""Shared bottom: dense layers that all tasks share, and a small tower for each.

Caruana 1997, https://doi.org/10.1023/A:1007379606734.
"""

import torch
from torch import Tensor, nn

from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.experts import Tower
from models.rank.layers import MLP, Embedding
from models.rank.rows import Batch


class SharedBottomConfig(Config):
    """Sizes of the network."""

    dim: int = 16
    """Numbers in a feature's vector."""
    bottom: tuple[int, ...] = (128, 64)
    """Units of the shared layers."""
    tower: tuple[int, ...] = (32,)
    """Units of each task's own layers."""
    dropout: float = 0.0
    """Share of hidden units left out in training."""


class SharedBottom(nn.Module):
    """(B, T) logits."""

    def __init__(
        self, schema: FeatureSchema, tasks: int, config: SharedBottomConfig = SharedBottomConfig()
    ) -> None:
        super().__init__()
        self.embedding = Embedding(schema, config.dim)
        self.bottom = MLP(self.embedding.width, config.bottom, config.dropout)
        towers = (Tower(config.bottom[-1], config.tower, config.dropout) for _ in range(tasks))
        self.towers = nn.ModuleList(towers)

    def forward(self, batch: Batch) -> Tensor:
        shared = self.bottom(self.embedding(batch).flat)
        return torch.cat([tower(shared) for tower in self.towers], dim=1)
