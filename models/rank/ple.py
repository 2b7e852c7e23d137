"""Progressive layered extraction: experts of each task beside shared ones, so that no task harms another.

A level gives each task a mix of its own and the shared experts, and the next level also a mix of all.
Tang et al. 2020, https://doi.org/10.1145/3383313.3412236.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.experts import Experts, Gate, Tower, mix
from models.rank.layers import Embedding
from models.rank.rows import Batch


class PLEConfig(Config):
    """Sizes of the network."""

    dim: int = 16
    """Numbers in a feature's vector."""
    shared: int = 2
    """Shared experts of a level."""
    own: int = 1
    """Experts of each task in a level."""
    levels: tuple[int, ...] = (64, 32)
    """Units of the experts of each level."""
    tower: tuple[int, ...] = (32,)
    """Units of each task's own layers."""
    dropout: float = 0.0
    """Share of hidden units left out in training."""
    expert_dropout: float = 0.1
    """Chance of an expert to be left out of a row in training."""


class Extraction(nn.Module):
    """One level: T views and a shared one (B, W) each, to as many of H numbers.

    The last level has no use for a shared view and makes none.
    """

    def __init__(self, tasks: int, width: int, units: int, last: bool, config: PLEConfig) -> None:
        super().__init__()
        counts = [config.own] * tasks + [config.shared]
        self.experts = nn.ModuleList(Experts(n, width, (units,), config.dropout) for n in counts)
        mixed = [config.own + config.shared] * tasks + ([] if last else [sum(counts)])
        self.gates = nn.ModuleList(Gate(width, n, config.expert_dropout) for n in mixed)

    def forward(self, views: Sequence[Tensor]) -> list[Tensor]:
        *own, shared = (experts(view) for experts, view in zip(self.experts, views, strict=True))
        pools = [torch.cat([mine, shared], dim=1) for mine in own]
        pools.append(torch.cat([*own, shared], dim=1))
        return [mix(share, pool) for share, pool in zip(self.shares(views), pools, strict=False)]

    def shares(self, views: Sequence[Tensor]) -> list[Tensor]:
        """What each gate makes of its view: (B, experts it mixes)."""
        return [gate(view) for gate, view in zip(self.gates, views, strict=False)]


class PLE(nn.Module):
    """(B, T) logits."""

    def __init__(self, schema: FeatureSchema, tasks: int, config: PLEConfig = PLEConfig()) -> None:
        super().__init__()
        self.embedding = Embedding(schema, config.dim)
        widths = (self.embedding.width, *config.levels)
        last = len(config.levels) - 1
        self.levels = nn.ModuleList(
            Extraction(tasks, widths[level], units, level == last, config)
            for level, units in enumerate(config.levels)
        )
        towers = (Tower(config.levels[-1], config.tower, config.dropout) for _ in range(tasks))
        self.towers = nn.ModuleList(towers)

    def forward(self, batch: Batch) -> Tensor:
        views = self._views(batch)
        for level in self.levels:
            views = level(views)
        return torch.cat([tower(view) for tower, view in zip(self.towers, views, strict=True)], dim=1)

    def shares(self, batch: Batch) -> list[Tensor]:
        """The shares (B, own + shared) of the experts in the first level, for each task."""
        first, tasks = self.levels[0], len(self.towers)
        assert isinstance(first, Extraction)
        return first.shares(self._views(batch))[:tasks]

    def _views(self, batch: Batch) -> list[Tensor]:
        flat = self.embedding(batch).flat
        return [flat] * (len(self.towers) + 1)
