"""Progressive layered extraction: experts of each task beside shared ones, so that no task harms another.

A level gives each task a mix of its own and the shared experts, and the next level also a mix of all.
Tang et al. 2020, https://doi.org/10.1145/3383313.3412236.
"""

from collections.abc import Sequence

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


class PLEConfig(Config):
    """Sizes and training of the network."""

    embedding_dim: PositiveInt = 16
    """Length of a feature's embedding."""
    n_shared_experts: PositiveInt = 2
    """Experts of a level that all tasks share."""
    n_task_experts: PositiveInt = 1
    """Experts of a level that each task has for itself."""
    expert_hidden: Units = (64, 32)
    """Units of an expert, level by level."""
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


class Extraction(nn.Module):
    """One level: T views and a shared one (B, W) each, to as many of H numbers.

    The last level has no use for a shared view and makes none.
    """

    def __init__(self, tasks: int, width: int, units: int, last: bool, config: PLEConfig) -> None:
        super().__init__()
        counts = [config.n_task_experts] * tasks + [config.n_shared_experts]
        self.experts = nn.ModuleList(
            Experts(n, width, (units,), config.dropout, config.crosses) for n in counts
        )
        mixed = [config.n_task_experts + config.n_shared_experts] * tasks + ([] if last else [sum(counts)])
        self.gates = nn.ModuleList(Gate(width, n, config.expert_dropout) for n in mixed)

    def forward(self, views: Sequence[Tensor]) -> list[Tensor]:
        *own, shared = (experts(view) for experts, view in zip(self.experts, views, strict=True))
        pools = [torch.cat([mine, shared], dim=1) for mine in own]
        pools.append(torch.cat([*own, shared], dim=1))
        return [mix(weights, pool) for weights, pool in zip(self.gate_weights(views), pools, strict=False)]

    def gate_weights(self, views: Sequence[Tensor]) -> list[Tensor]:
        """The weights of each gate's experts by its view: (B, experts it mixes)."""
        return [gate(view) for gate, view in zip(self.gates, views, strict=False)]


class PLE(nn.Module):
    """(B, T) logits."""

    def __init__(self, schema: FeatureSchema, tasks: int, config: PLEConfig = PLEConfig()) -> None:
        super().__init__()
        self.embedding = Embedding(schema, config.embedding_dim)
        widths = (self.embedding.width, *config.expert_hidden)
        last = len(config.expert_hidden) - 1
        self.levels = nn.ModuleList(
            Extraction(tasks, widths[level], units, level == last, config)
            for level, units in enumerate(config.expert_hidden)
        )
        towers = (
            TaskTower(config.expert_hidden[-1], config.tower_hidden, config.dropout) for _ in range(tasks)
        )
        self.towers = nn.ModuleList(towers)

    def forward(self, batch: Batch) -> Tensor:
        views = self._views(batch)
        for level in self.levels:
            views = level(views)
        return torch.cat([tower(view) for tower, view in zip(self.towers, views, strict=True)], dim=1)

    def gate_weights(self, batch: Batch) -> list[Tensor]:
        """The weights (B, own + shared) of the experts in the first level, for each task."""
        first, tasks = self.levels[0], len(self.towers)
        assert isinstance(first, Extraction)
        return first.gate_weights(self._views(batch))[:tasks]

    def _views(self, batch: Batch) -> list[Tensor]:
        flat = self.embedding(batch).flat
        return [flat] * (len(self.towers) + 1)


RANKER = multi_task(PLE, PLEConfig())
