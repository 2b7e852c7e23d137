"""The part of a process in a training that several do together: its rows, and what it sends the others."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import distributed, nn

from models.dataset import Longs
from models.state import State


@dataclass(frozen=True)
class Replica:
    """One of the processes that train the same model; by default the only one, with nobody to talk to."""

    rank: int = 0
    size: int = 1

    def rows(self, n: int) -> Longs:
        """Its rows of a batch of n."""
        return np.arange(self.rank, n, self.size)

    def draws(self, rng: np.random.Generator) -> np.random.Generator:
        """Its own random numbers beside those that all have in common."""
        return rng if self.size == 1 else rng.spawn(self.size)[self.rank]

    def sums(self, *numbers: float) -> list[float]:
        """The sums of some numbers over all."""
        if self.size == 1:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.float64)
        distributed.all_reduce(total)
        return total.tolist()

    def add_gradients(self, dense: Iterable[nn.Parameter], tables: Iterable[nn.Embedding]) -> None:
        """Give all of them the sums of their gradients: of tables those of the rows that anybody read."""
        if self.size == 1:
            return
        gradients = [_gradient(weight) for weight in dense]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(together)
        totals = torch.split(together, [gradient.numel() for gradient in gradients])
        for gradient, total in zip(gradients, totals, strict=True):
            gradient.copy_(total.view_as(gradient))
        for table in tables:
            rows = _rows(table.weight)
            distributed.all_reduce(rows)
            table.weight.grad = rows

    def of_first(self, arrays: State) -> State:
        """The arrays that the first of them has."""
        if self.size == 1:
            return arrays
        found = [arrays]
        distributed.broadcast_object_list(found, src=0)
        return found[0]


def _gradient(weight: nn.Parameter) -> torch.Tensor:
    """The gradient of a weight; zeros, which it then has, where its part of a batch gave none."""
    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    return weight.grad


def _rows(weight: torch.Tensor) -> torch.Tensor:
    """The sparse gradient of a table; without rows where its part of a batch read none."""
    if weight.grad is not None:
        return weight.grad.coalesce()
    nothing = torch.empty(1, 0, dtype=torch.int64), torch.empty(0, weight.shape[1])
    return torch.sparse_coo_tensor(*nothing, weight.shape, check_invariants=False).coalesce()
