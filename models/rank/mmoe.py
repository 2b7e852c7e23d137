"""Multi-gate mixture of experts: shared experts, mixed for each task by a gate of its own.

Ma et al. 2018, https://doi.org/10.1145/3219819.3220007; experts are dropped in training so that gates do
not polarise.
"""

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from models.bounds import BelowOne
from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.constraints import Units
from models.rank.experts import Experts, Gate, TaskTower, mix
from models.rank.layers import Embedding
from models.rank.networks import multi_task
from models.rank.rows import Batch
from models.rank.trainer import TrainerConfig


class MMoEConfig(Config):
    """Sizes and training of the network."""

    embedding_dim: PositiveInt = 16
    """Length of a feature's embedding."""
    n_experts: PositiveInt = 4
    """Experts that all tasks share."""
    expert_hidden: Units = (64, 32)
    """Units of the layers of each expert."""
    crosses: NonNegativeInt = 0
    """Cross layers beside the dense layers of each expert; 0 for none."""
    tower_hidden: Units = (32,)
    """Units of each task's own layers."""
    dropout: BelowOne = 0.0
    """Fraction of hidden units left out in training."""
    expert_dropout: BelowOne = 0.1
    """Probability that an expert is left out of a row in training."""
    training: TrainerConfig = TrainerConfig()
    """Training of the network."""


class MMoE(nn.Module):
    """(B, T) logits."""

    def __init__(self, schema: FeatureSchema, tasks: int, config: MMoEConfig = MMoEConfig()) -> None:
        super().__init__()
        self.embedding = Embedding(schema, config.embedding_dim)
        width = self.embedding.width
        self.experts = Experts(config.n_experts, width, config.expert_hidden, config.dropout, config.crosses)
        gates = (Gate(width, config.n_experts, config.expert_dropout) for _ in range(tasks))
        self.gates = nn.ModuleList(gates)
        towers = (
            TaskTower(config.expert_hidden[-1], config.tower_hidden, config.dropout) for _ in range(tasks)
        )
        self.towers = nn.ModuleList(towers)

    def forward(self, batch: Batch) -> Tensor:
        flat = self.embedding(batch).flat
        experts = self.experts(flat)  # (B, E, H)
        views = [mix(gate(flat), experts) for gate in self.gates]
        return torch.cat([tower(view) for tower, view in zip(self.towers, views, strict=True)], dim=1)

    def gate_weights(self, batch: Batch) -> list[Tensor]:
        """The weights (B, E) of the experts, for each task."""
        flat = self.embedding(batch).flat
        return [gate(flat) for gate in self.gates]


RANKER = multi_task(MMoE, MMoEConfig())
