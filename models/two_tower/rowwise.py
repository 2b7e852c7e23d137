"""Row-wise Adagrad over ID tables: a step reads and writes the rows that have a gradient, and no others.

Duchi, Hazan and Singer 2011, with one accumulator a row as in Mudigere et al. 2022 (arXiv 2104.05158): the
k-th step along a row's gradient g_k is

    rate * g_k / sqrt(initial + sum over steps up to k of the mean square of g)

so that rows that are pushed a lot slow down, and a faint push, as of most negatives, stays a faint one.
Without moments a row that is not read stays where it is: a step costs the same for tables of any size.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from models.dataset import Longs
from models.state import State


class RowwiseAdagrad:
    """The accumulators of some tables, by name, and their steps."""

    def __init__(self, tables: Mapping[str, nn.Embedding], initial: float) -> None:
        """``initial``: mean squared gradient that the accumulator of a row starts with."""
        self.tables, self.initial = tables, initial
        for table in tables.values():
            # Gradients then hold the rows that were read.
            table.sparse = True
        self.forget()

    def forget(self) -> None:
        """Let the accumulators begin anew."""
        self.pushed = {name: torch.zeros(len(table.weight)) for name, table in self.tables.items()}

    def step(self, rate: float, scale: float = 1.0, movable: Mapping[str, Longs] | None = None) -> None:
        """A step down the gradients times ``scale``; with ``movable``, only of these rows of each table."""
        for name, table in self.tables.items():
            if table.weight.grad is None:
                continue
            found = table.weight.grad.coalesce()
            row, gradient = found.indices()[0], found.values() * scale  # (R,), (R, D)
            table.weight.grad = None
            if movable is not None:
                chosen = torch.from_numpy(np.isin(row.numpy(), movable[name]))
                row, gradient = row[chosen], gradient[chosen]
            pushed = self.pushed[name][row] + gradient.square().mean(1)
            self.pushed[name][row] = pushed
            with torch.no_grad():
                table.weight[row] -= (rate / (self.initial + pushed).sqrt())[:, None] * gradient

    def arrays(self) -> State:
        """A copy of the accumulators, by table."""
        return {name: pushed.numpy().copy() for name, pushed in self.pushed.items()}

    def set_arrays(self, arrays: State) -> None:
        """Go back to the accumulators that ``arrays`` gave."""
        self.pushed = {name: torch.tensor(value) for name, value in arrays.items()}
