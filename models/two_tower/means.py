"""Decayed means of a sequence at each of its positions, in time linear in its length, with gradients.

One thread: it is a few percent of a training step, and a second pool of threads beside that of torch makes
each wait for the other, which costs several times as much as it saves.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from models.dataset import Floats


def decayed_means(events: Tensor, decays: tuple[float, ...]) -> Tensor:
    """(B, L, K, D) means of events (B, L, D) up to each position, the k-th newest weighs exp(-k / decay)."""
    fading = np.exp(-1 / np.array(decays)).astype(np.float32)
    means: Tensor = _DecayedMeans.apply(events, fading)  # type: ignore[no-untyped-call]
    return means


class _DecayedMeans(torch.autograd.Function):
    """The sums obey s_t = f s_(t-1) + e_t; gradients run the same recurrence backwards."""

    @staticmethod
    def forward(ctx: Any, events: Tensor, fading: Floats) -> Tensor:
        ctx.fading = fading
        return torch.from_numpy(_forward(events.detach().contiguous().numpy(), fading))

    @staticmethod
    def backward(ctx: Any, *up: Tensor) -> tuple[Tensor, None]:
        return torch.from_numpy(_backward(up[0].contiguous().numpy(), ctx.fading)), None


@njit(cache=True)
def _forward(events: Floats, fading: Floats) -> Floats:
    batch, length, embedding_dim = events.shape
    means = np.empty((batch, length, len(fading), embedding_dim), dtype=np.float32)
    for row in range(batch):
        total = np.zeros((len(fading), embedding_dim), dtype=np.float32)
        weight = np.zeros(len(fading), dtype=np.float32)
        for position in range(length):
            for k in range(len(fading)):
                weight[k] = fading[k] * weight[k] + np.float32(1)
                scale = np.float32(1) / weight[k]
                for dim in range(embedding_dim):
                    total[k, dim] = fading[k] * total[k, dim] + events[row, position, dim]
                    means[row, position, k, dim] = scale * total[k, dim]
    return means


@njit(cache=True)
def _backward(up: Floats, fading: Floats) -> Floats:
    batch, length, _, embedding_dim = up.shape
    gradient = np.zeros((batch, length, embedding_dim), dtype=np.float32)
    for row in range(batch):
        total = np.zeros((len(fading), embedding_dim), dtype=np.float32)
        weight = np.zeros((length, len(fading)), dtype=np.float32)
        for position in range(length):
            for k in range(len(fading)):
                before = weight[position - 1, k] if position > 0 else np.float32(0)
                weight[position, k] = fading[k] * before + np.float32(1)
        for position in range(length - 1, -1, -1):
            for k in range(len(fading)):
                scale = np.float32(1) / weight[position, k]
                for dim in range(embedding_dim):
                    total[k, dim] = fading[k] * total[k, dim] + scale * up[row, position, k, dim]
                    gradient[row, position, dim] += total[k, dim]
    return gradient
