"""Gibbs sampling of a factorization machine whose rows repeat the rows of a few sparse matrices.

    y = sum_j w_j x_j + sum_{j < k} (v_j v_k) x_j x_k

Every weight is drawn from its normal distribution given all others; means and precisions of the weights of
each feature and dimension, with their hyperpriors, as in Rendle, "Factorization Machines with libFM" (TIST
2012, https://doi.org/10.1145/2168752.2168771). What a weight's distribution needs of the rows is summed up
once for each row of its matrix, so that a weight costs the entries of its column, however often they repeat:
Rendle, "Scaling Factorization Machines to Relational Data" (VLDB 2013,
https://doi.org/10.14778/2535573.2488340).
"""

from collections.abc import Sequence

import numpy as np
from numba import njit
from scipy.sparse import csc_array

from models.dataset import Doubles, Floats, Ints, Longs
from models.rank.design import DesignBlock

INITIAL_SCALE = 0.1
"""Standard deviation of the first vectors."""


class Weights:
    """The weights of the columns of a matrix, in sampling.

    ``linear`` (J,), ``vectors`` (D, J), and of each feature (G of them) mean and precision by dimension, the
    linear weights first: (D + 1, G).
    """

    def __init__(self, part: DesignBlock, embedding_dim: int, rng: np.random.Generator) -> None:
        columns = csc_array(part.matrix)
        self.row = part.row.astype(np.int32)
        self.indptr, self.index, self.value = columns.indptr, columns.indices, columns.data
        self.group, self.size = part.group, np.bincount(part.group).astype(np.float64)
        self.linear = np.zeros(columns.shape[1])
        self.vectors = rng.normal(0, INITIAL_SCALE, (embedding_dim, columns.shape[1]))
        self.sums = np.stack([part.matrix @ vector for vector in self.vectors])  # (D, R) of v_j x_j
        self.count = np.bincount(self.row, minlength=columns.shape[0]).astype(np.float64)
        self.mean = np.zeros((embedding_dim + 1, len(self.size)))
        self.precision = np.ones((embedding_dim + 1, len(self.size)))

    @property
    def columns(self) -> tuple[Longs, Ints, Floats]:
        """The matrix by columns."""
        return self.indptr, self.index, self.value

    def prior(self, dimension: int) -> tuple[Doubles, Doubles]:
        """(J,) the mean and the precision of each weight; dimension 0 is the linear weights."""
        return self.mean[dimension][self.group], self.precision[dimension][self.group]

    def draw_prior(self, rng: np.random.Generator) -> None:
        """Means and precisions from the weights as they are; hyperpriors of one observation."""
        for dimension, weight in enumerate((self.linear, *self.vectors)):
            total = np.bincount(self.group, weight)
            spread = np.bincount(self.group, (weight - self.mean[dimension][self.group]) ** 2)
            rate = 1 + spread + self.mean[dimension] ** 2
            self.precision[dimension] = rng.gamma((2 + self.size) / 2, 2 / rate)
            scale = 1 / np.sqrt((1 + self.size) * self.precision[dimension])
            self.mean[dimension] = rng.normal(total / (1 + self.size), scale)


def sweep(parts: Sequence[Weights], residual: Doubles, rng: np.random.Generator) -> None:
    """Draw every weight once, in place, given the rest; noise has variance 1.

    ``residual`` (N,), what rows are more than predicted, is changed along.
    """
    for part in parts:
        part.draw_prior(rng)
        noise = rng.normal(size=len(part.linear))
        total = np.bincount(part.row, residual, len(part.count)).astype(np.float64)
        moved = _draw_linear(part.columns, part.count, total, part.linear, *part.prior(0), noise)
        _subtract(residual, part.row, moved)
    for dimension in range(len(parts[0].vectors)):
        whole = np.zeros(len(residual))
        for part in parts:
            _add(whole, part.row, part.sums[dimension])
        for part in parts:
            noise = rng.normal(size=len(part.linear))
            _draw_dimension(
                part.columns,
                part.row,
                part.count,
                part.sums[dimension],
                part.vectors[dimension],
                *part.prior(dimension + 1),
                noise,
                whole,
                residual,
            )


@njit(cache=True)
def _draw_linear(
    columns: tuple[Longs, Ints, Floats],
    count: Doubles,
    total: Doubles,
    weight: Doubles,
    mean: Doubles,
    precision: Doubles,
    noise: Doubles,
) -> Doubles:
    """(R,) by how much the predictions of each row of the matrix move; ``total`` are its residuals' sums."""
    indptr, index, value = columns
    moved = np.zeros(len(count))
    for j in range(len(weight)):
        squares, product = precision[j], precision[j] * mean[j]
        for at in range(indptr[j], indptr[j + 1]):
            r, x = index[at], value[at]
            squares += x * x * count[r]
            product += x * (total[r] + weight[j] * x * count[r])
        change = product / squares + noise[j] / np.sqrt(squares) - weight[j]
        weight[j] += change
        for at in range(indptr[j], indptr[j + 1]):
            r, step = index[at], change * value[at]
            moved[r] += step
            total[r] -= step * count[r]
    return moved


@njit(cache=True)
def _draw_dimension(
    columns: tuple[Longs, Ints, Floats],
    row: Ints,
    count: Doubles,
    sums: Doubles,
    weight: Doubles,
    mean: Doubles,
    precision: Doubles,
    noise: Doubles,
    whole: Doubles,
    residual: Doubles,
) -> None:
    """One number of each vector of a matrix. ``whole`` (N,) are the sums of v_j x_j over all matrices.

    A weight moves the prediction of a row by x (other + own), where other is the sum over other matrices and
    own the sum over the other columns of this one, which is the same for all rows of one row of the matrix.
    """
    indptr, index, value = columns
    n = len(count)
    first, second, error, product = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    for row_n in range(len(row)):
        r = row[row_n]
        other = whole[row_n] - sums[r]
        first[r] += other
        second[r] += other * other
        error[r] += residual[row_n]
        product[r] += residual[row_n] * other
    before, moved = sums.copy(), np.zeros(n)
    for j in range(len(weight)):
        v = weight[j]
        squares, dot = 0.0, 0.0
        for at in range(indptr[j], indptr[j + 1]):
            r, x = index[at], value[at]
            own = sums[r] - v * x
            squares += x * x * (second[r] + own * (2 * first[r] + own * count[r]))
            dot += x * (product[r] + own * error[r])
        total = squares + precision[j]
        drawn = (dot + v * squares + precision[j] * mean[j]) / total + noise[j] / np.sqrt(total)
        weight[j] = drawn
        for at in range(indptr[j], indptr[j + 1]):
            r, x = index[at], value[at]
            own, step = sums[r] - v * x, (drawn - v) * x
            error[r] -= step * (first[r] + own * count[r])
            product[r] -= step * (second[r] + own * first[r])
            moved[r] += step * own
            sums[r] += step
    for row_n in range(len(row)):
        r = row[row_n]
        change = sums[r] - before[r]
        residual[row_n] -= (whole[row_n] - before[r]) * change + moved[r]
        whole[row_n] += change


@njit(cache=True)
def _add(values: Doubles, row: Ints, of_row: Doubles) -> None:
    for n in range(len(values)):
        values[n] += of_row[row[n]]


@njit(cache=True)
def _subtract(values: Doubles, row: Ints, of_row: Doubles) -> None:
    for n in range(len(values)):
        values[n] -= of_row[row[n]]
