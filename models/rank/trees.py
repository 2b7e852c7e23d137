"""Compiled answers of grown trees: the same bits as LightGBM's own, in less than half of its time.

LightGBM walks down one tree for one row at a time, and mispredicts every other turn. Here a block of rows
takes each step down a tree together, without a branch: a leaf leads to itself until the deepest is reached.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit, prange

from models.dataset import Doubles, Floats, Ints

ROWS = 64
"""Rows that walk down together: their features and a tree stay in the cache."""

COLUMNS = ("split_feature", "threshold", "decision_type", "left_child", "right_child")
"""Lines of a tree in LightGBM's text that have a number a split; a tree of one leaf has none."""

CATEGORY, MISSING = 1, 4 | 8
"""Bits of ``decision_type``: a split by category, one that says where a missing value goes."""


@dataclass(frozen=True)
class Forest:
    """T trees as one list of N nodes, leaves among them."""

    feature: Ints  # (N,)
    threshold: Floats  # (N,) a row goes to the right whose feature is above; infinite in leaves
    child: Ints  # (2 N,) the left and the right child of each node; a leaf is its own
    value: Doubles  # (N,) of the leaves
    root: Ints  # (T,)
    depth: Ints  # (T,) steps to the deepest leaf

    def scores(self, matrix: Floats) -> Doubles:
        """(B,) the sums of the trees for rows of features (B, F) without nan."""
        scores: Doubles = _scores(
            np.ascontiguousarray(matrix),
            self.feature,
            self.threshold,
            self.child,
            self.value,
            self.root,
            self.depth,
        )
        return scores


def compiled(text: str) -> Forest:
    """The trees of a model in LightGBM's own text, grown on numbers without nan.

    Raises:
        ValueError: a tree asks for a category, or where a missing value goes.
    """
    trees = [_tree(part) for part in text.partition("end of trees")[0].split("\nTree=")[1:]]
    root = np.cumsum([0, *(len(tree.feature) for tree in trees)])[:-1]
    return Forest(
        np.concatenate([tree.feature for tree in trees]),
        np.concatenate([tree.threshold for tree in trees]),
        np.concatenate([tree.child + first for tree, first in zip(trees, root, strict=True)]).astype(
            np.int32
        ),
        np.concatenate([tree.value for tree in trees]),
        root.astype(np.int32),
        np.concatenate([tree.depth for tree in trees]),
    )


def _tree(text: str) -> Forest:
    """One tree: splits before the splits below them, then its leaves, which the text counts -1, -2, ..."""
    lines = dict(line.partition("=")[::2] for line in text.splitlines())
    value = np.array(lines["leaf_value"].split(), dtype=np.float64)
    n_splits, n_leaves = len(value) - 1, len(value)
    column = {name: lines.get(name, "").split() for name in COLUMNS}
    kind = np.array(column["decision_type"], dtype=np.int32)
    if (kind & (CATEGORY | MISSING)).any():
        raise ValueError("trees over categories or missing values are not compiled")
    below = np.array([column["left_child"], column["right_child"]], dtype=np.int32).T  # (S, 2)
    child = np.concatenate([np.where(below < 0, n_splits + ~below, below), _themselves(n_splits, n_leaves)])
    depth = np.zeros(n_splits + n_leaves, dtype=np.int32)
    for split, both in enumerate(child[:n_splits]):
        depth[both] = depth[split] + 1
    return Forest(
        np.append(np.array(column["split_feature"], dtype=np.int32), np.zeros(n_leaves, dtype=np.int32)),
        np.append(
            _at_most(np.array(column["threshold"], dtype=np.float64)), np.full(n_leaves, np.inf, np.float32)
        ),
        child.ravel(),
        np.append(np.zeros(n_splits), value),
        np.zeros(1, dtype=np.int32),
        depth.max(keepdims=True),
    )


def _themselves(begin: int, n: int) -> Ints:
    """(n, 2) each of n nodes from ``begin`` on, twice."""
    return np.repeat(np.arange(begin, begin + n, dtype=np.int32), 2).reshape(n, 2)


def _at_most(threshold: Doubles) -> Floats:
    """The largest float32 up to each threshold: no float32 lies between the two."""
    rounded = threshold.astype(np.float32)
    above = rounded > threshold
    rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
    return rounded


@njit(parallel=True, cache=True)
def _scores(
    matrix: Floats, feature: Ints, threshold: Floats, child: Ints, value: Doubles, root: Ints, depth: Ints
) -> Doubles:
    n_rows, width = matrix.shape
    flat = matrix.ravel()
    scores = np.zeros(n_rows)
    for block in prange((n_rows + ROWS - 1) // ROWS):
        begin, end = block * ROWS, min((block + 1) * ROWS, n_rows)
        node = np.empty(end - begin, dtype=np.int32)
        for tree in range(len(root)):
            node[:] = root[tree]
            for _ in range(depth[tree]):
                for row in range(end - begin):
                    k = node[row]
                    right = flat[(begin + row) * width + feature[k]] > threshold[k]
                    node[row] = child[2 * k + right]
            for row in range(end - begin):
                scores[begin + row] += value[node[row]]
    return scores
