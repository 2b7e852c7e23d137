"""Rows of an embedding table and means of them, with compiled gradients.

On a CPU, torch's gradient of a gather takes most of the time of training a small ranker; these loops take a
sixth of that.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from models.dataset import Floats, Ints


def lookup(table: Tensor, codes: Tensor) -> Tensor:
    """The rows (..., D) of a table (R, D) float32 at codes (...) int32."""
    found: Tensor = _Lookup.apply(table, codes)  # type: ignore[no-untyped-call]
    return found


def mean_lookup(table: Tensor, codes: Tensor, begin: int) -> Tensor:
    """The mean (B, D) of the rows ``begin + code`` over codes (B, L) int32 other than 0; 0 without any."""
    mean: Tensor = _MeanLookup.apply(table, codes, begin)  # type: ignore[no-untyped-call]
    return mean


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, codes: Tensor) -> Tensor:
        ctx.codes, ctx.n_rows = codes, len(table)
        return torch.embedding(table, codes)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        flat = gradient.reshape(-1, gradient.shape[-1]).contiguous()
        return torch.from_numpy(_add_rows(ctx.codes.reshape(-1).numpy(), flat.numpy(), ctx.n_rows)), None


class _MeanLookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, codes: Tensor, begin: int) -> Tensor:
        ctx.codes, ctx.begin, ctx.n_rows = codes, begin, len(table)
        return torch.from_numpy(_mean_rows(table.detach().numpy(), codes.numpy(), begin))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        flat = gradient.contiguous().numpy()
        return torch.from_numpy(_add_means(ctx.codes.numpy(), flat, ctx.begin, ctx.n_rows)), None, None


@njit(cache=True)
def _add_rows(codes: Ints, gradient: Floats, n_rows: int) -> Floats:
    total = np.zeros((n_rows, gradient.shape[1]), dtype=np.float32)
    for row in range(len(codes)):
        for d in range(gradient.shape[1]):
            total[codes[row], d] += gradient[row, d]
    return total


@njit(cache=True)
def _mean_rows(table: Floats, codes: Ints, begin: int) -> Floats:
    mean = np.zeros((len(codes), table.shape[1]), dtype=np.float32)
    for row in range(len(codes)):
        count = 0
        for code in codes[row]:
            if code:
                count += 1
                for d in range(table.shape[1]):
                    mean[row, d] += table[begin + code, d]
        if count:
            mean[row] /= count
    return mean


@njit(cache=True)
def _add_means(codes: Ints, gradient: Floats, begin: int, n_rows: int) -> Floats:
    total = np.zeros((n_rows, gradient.shape[1]), dtype=np.float32)
    for row in range(len(codes)):
        count = np.count_nonzero(codes[row])
        for code in codes[row]:
            if code:
                for d in range(gradient.shape[1]):
                    total[begin + code, d] += gradient[row, d] / count
    return total
