"""Multi-gate mixture of experts: shared experts, mixed for each task by a gate of its own.

Ma et al. 2018, https://doi.org/10.1145/3219819.3220007; experts are dropped in training so that gates do
not polarise.
"""

import torch
from torch import Tensor, nn

from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.experts import Experts, Gate, Tower, mix
from models.rank.layers import Embedding
from models.rank.rows import Batch


class MMoEConfig(Config):
    """Sizes of the network."""

    dim: int = 16
    """Numbers in a feature's vector."""
    experts: int = 4
    """Experts that all tasks share."""
    expert: tuple[int, ...] = (64, 32)
    """Units of each expert."""
    tower: tuple[int, ...] = (32,)
    """Units of each task's own layers."""
    dropout: float = 0.0
    """Share of hidden units left out in training."""
    expert_dropout: float = 0.1
    """Chance of an expert to be left out of a row in training."""


class MMoE(nn.Module):
    """(B, T) logits."""

    def __init__(self, schema: FeatureSchema, tasks: int, config: MMoEConfig = MMoEConfig()) -> None:
        super().__init__()
        self.embedding = Embedding(schema, config.dim)
        width = self.embedding.width
        self.experts = Experts(config.experts, width, config.expert, config.dropout)
        gates = (Gate(width, config.experts, config.expert_dropout) for _ in range(tasks))
        self.gates = nn.ModuleList(gates)
        towers = (Tower(config.expert[-1], config.tower, config.dropout) for _ in range(tasks))
        self.towers = nn.ModuleList(towers)

    def forward(self, batch: Batch) -> Tensor:
        flat = self.embedding(batch).flat
        experts = self.experts(flat)  # (B, E, H)
        views = [mix(gate(flat), experts) for gate in self.gates]
        return torch.cat([tower(view) for tower, view in zip(self.towers, views, strict=True)], dim=1)

    def shares(self, batch: Batch) -> list[Tensor]:
        """The shares (B, E) of the experts, for each task."""
        flat = self.embedding(batch).flat
        return [gate(flat) for gate in self.gates]
