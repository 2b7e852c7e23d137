"""Decayed means of a sequence at each of its positions, in time linear in its length, with gradients.

One thread: it is a few percent of a training step, and a second pool of threads beside that of torch makes
each wait for the other, which costs several times as much as it saves.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from models.dataset import Floats, Longs


def decayed_means(events: Tensor, at: tuple[Tensor, Tensor], decays: tuple[float, ...]) -> Tensor:
    """(N, K, D) means of events (B, L, D) up to N positions, the k-th newest weighs exp(-k / decay).

    ``at``: the numbers (N,) of the sequence and of the event, both ascending.
    """
    fading = np.exp(-1 / np.array(decays)).astype(np.float32)
    means: Tensor = _DecayedMeans.apply(events, *at, fading)  # type: ignore[no-untyped-call]
    return means


class _DecayedMeans(torch.autograd.Function):
    """The sums obey s_t = f s_(t-1) + e_t; gradients run the same recurrence backwards."""

    @staticmethod
    def forward(ctx: Any, events: Tensor, sequence: Tensor, position: Tensor, fading: Floats) -> Tensor:
        ctx.sequence, ctx.position, ctx.fading = sequence.numpy(), position.numpy(), fading
        ctx.n_sequences, ctx.length, _ = events.shape
        # Of torch's memory, which is aligned: how a product of matrices rounds depends on that.
        means = torch.empty(len(position), len(fading), events.shape[2])
        values = events.detach().contiguous().numpy()
        _forward(values, ctx.sequence, ctx.position, fading, means.numpy())
        return means

    @staticmethod
    def backward(ctx: Any, *up: Tensor) -> tuple[Tensor, None, None, None]:
        gradient = torch.zeros(ctx.n_sequences, ctx.length, up[0].shape[2])
        _backward(up[0].contiguous().numpy(), ctx.sequence, ctx.position, ctx.fading, gradient.numpy())
        return gradient, None, None, None


@njit(cache=True)
def _forward(events: Floats, sequence: Longs, at: Longs, fading: Floats, means: Floats) -> None:
    dim, n_means = events.shape[2], len(fading)
    total = np.empty((n_means, dim), dtype=np.float32)
    weight = np.empty(n_means, dtype=np.float32)
    done = 0
    for row in range(len(at)):
        if row == 0 or sequence[row] != sequence[row - 1]:
            total[:] = 0
            weight[:] = 0
            done = 0
        for position in range(done, at[row] + 1):
            for k in range(n_means):
                weight[k] = fading[k] * weight[k] + np.float32(1)
                for d in range(dim):
                    total[k, d] = fading[k] * total[k, d] + events[sequence[row], position, d]
        done = at[row] + 1
        for k in range(n_means):
            scale = np.float32(1) / weight[k]
            for d in range(dim):
                means[row, k, d] = scale * total[k, d]


@njit(cache=True)
def _backward(up: Floats, sequence: Longs, at: Longs, fading: Floats, gradient: Floats) -> None:
    n_means, dim = up.shape[1:]
    total = np.empty((n_means, dim), dtype=np.float32)
    weight = _weights(gradient.shape[1], fading)
    for row in range(len(at) - 1, -1, -1):
        if row == len(at) - 1 or sequence[row] != sequence[row + 1]:
            total[:] = 0
        for k in range(n_means):
            scale = np.float32(1) / weight[at[row], k]
            for d in range(dim):
                total[k, d] += scale * up[row, k, d]
        before = at[row - 1] if row > 0 and sequence[row - 1] == sequence[row] else -1
        for position in range(at[row], before, -1):
            for k in range(n_means):
                for d in range(dim):
                    gradient[sequence[row], position, d] += total[k, d]
                    total[k, d] *= fading[k]


@njit(cache=True)
def _weights(length: int, fading: Floats) -> Floats:
    """(L, K) the sum of the weights up to each position."""
    weight = np.ones((length, len(fading)), dtype=np.float32)
    for position in range(1, length):
        weight[position] += fading * weight[position - 1]
    return weight
