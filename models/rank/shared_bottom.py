"""Shared bottom: dense layers that all tasks share, and a small tower for each.

Caruana 1997, https://doi.org/10.1023/A:1007379606734.
"""

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from models.bounds import BelowOne
from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.constraints import Units
from models.rank.experts import TaskTower, network
from models.rank.layers import Embedding
from models.rank.networks import multi_task
from models.rank.rows import Batch
from models.rank.trainer import TrainerConfig


class SharedBottomConfig(Config):
    """Sizes and training of the network."""

    embedding_dim: PositiveInt = 16
    """Length of a feature's embedding."""
    hidden: Units = (128, 64)
    """Units of the layers that all tasks share."""
    crosses: NonNegativeInt = 0
    """Cross layers beside the dense layers of the shared part; 0 for none."""
    tower_hidden: Units = (32,)
    """Units of each task's own layers."""
    dropout: BelowOne = 0.0
    """Fraction of hidden units left out in training."""
    training: TrainerConfig = TrainerConfig()
    """Training of the network."""


class SharedBottom(nn.Module):
    """(B, T) logits."""

    def __init__(
        self, schema: FeatureSchema, tasks: int, config: SharedBottomConfig = SharedBottomConfig()
    ) -> None:
        super().__init__()
        self.embedding = Embedding(schema, config.embedding_dim)
        self.bottom = network(self.embedding.width, config.hidden, config.dropout, config.crosses)
        towers = (TaskTower(config.hidden[-1], config.tower_hidden, config.dropout) for _ in range(tasks))
        self.towers = nn.ModuleList(towers)

    def forward(self, batch: Batch) -> Tensor:
        shared = self.bottom(self.embedding(batch).flat)
        return torch.cat([tower(shared) for tower in self.towers], dim=1)


RANKER = multi_task(SharedBottom, SharedBottomConfig())
