"""Experts and the gates that mix them, for models of several tasks."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.crosses import CrossBeside
from models.rank.layers import MLP


def network(width: int, sizes: Sequence[int], dropout: float, crosses: int) -> nn.Module:
    """Dense layers, with so many cross layers beside them: (B, W) to (B, sizes[-1])."""
    deep = MLP(width, sizes, dropout)
    return CrossBeside(width, crosses, deep, sizes[-1]) if crosses else deep


class Experts(nn.Module):
    """E networks over the same input: (B, W) to (B, E, H)."""

    def __init__(
        self, count: int, width: int, sizes: Sequence[int], dropout: float, crosses: int = 0
    ) -> None:
        super().__init__()
        self.experts = nn.ModuleList(network(width, sizes, dropout, crosses) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([expert(x) for expert in self.experts], dim=1)


class Gate(nn.Module):
    """The weights of E experts by the row: (B, W) to (B, E), non-negative, adding up to 1.

    In training every expert is left out of a row with some probability, unless all would be, and the others'
    weights grow: no expert can take a gate for itself, which is how gates polarise. Zhao et al. 2019,
    https://doi.org/10.1145/3298689.3346997, section 5.4.
    """

    def __init__(self, width: int, experts: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.logit = nn.Linear(width, experts)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        logit: Tensor = self.logit(x)
        if self.training and self.dropout:
            dropped = torch.rand_like(logit) < self.dropout
            dropped &= ~dropped.all(dim=1, keepdim=True)
            logit = logit.masked_fill(dropped, -torch.inf)
        return logit.softmax(dim=1)


class TaskTower(nn.Sequential):
    """The logit of a task by its view of the row: (B, W) to (B, 1)."""

    def __init__(self, width: int, sizes: Sequence[int], dropout: float) -> None:
        super().__init__(MLP(width, sizes, dropout), nn.Linear(sizes[-1], 1))


def mix(weights: Tensor, experts: Tensor) -> Tensor:
    """Experts (B, E, H) averaged with weights (B, E): (B, H)."""
    return (weights.unsqueeze(1) @ experts).squeeze(1)


def gate_entropy(weights: Tensor) -> Tensor:
    """(B,) entropy of weights (B, E) over its greatest value: 1 if all are equal, 0 if one expert has all."""
    entropy: Tensor = torch.special.entr(weights).sum(1) / math.log(weights.shape[1])
    return entropy
