"""Cross layers: products of the features of a row, of ever higher order.

    x' = x0 <w, x> + b + x

Wang et al. 2017, "Deep & Cross Network for Ad Click Predictions", https://arxiv.org/abs/1708.05123.
"""

import torch
from torch import Tensor, nn


class Cross(nn.Module):
    """Cross layers with a vector of weights each: (B, W) to (B, W); n of them cross up to n + 1 features."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.weights = nn.ModuleList(nn.Linear(width, 1, bias=False) for _ in range(layers))
        self.bias = nn.Parameter(torch.zeros(layers, width))

    def forward(self, start: Tensor) -> Tensor:
        x = start
        for weight, bias in zip(self.weights, self.bias, strict=True):
            x = start * weight(x) + bias + x
        return x


class CrossBeside(nn.Module):
    """Cross layers beside a network over the same numbers, mapped to its H outputs: (B, W) to (B, H)."""

    def __init__(self, width: int, layers: int, network: nn.Module, out: int) -> None:
        super().__init__()
        self.cross, self.network = Cross(width, layers), network
        self.joined = nn.Linear(width + out, out)

    def forward(self, x: Tensor) -> Tensor:
        joined: Tensor = self.joined(torch.cat([self.cross(x), self.network(x)], dim=1))
        return joined
