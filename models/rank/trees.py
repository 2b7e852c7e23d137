"""Compiled answers of grown trees: the same bits as LightGBM's own, in less than half of its time.

LightGBM walks down one tree for one row at a time, and mispredicts every other turn. Here a block of rows
takes each step down a tree together, without a branch: a leaf leads to itself until the deepest is reached.
"""

from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
from numba import njit, prange

from models.dataset import Doubles, Floats, Ints

ROWS = 64
"""Rows that walk down together: their features and a tree stay in the cache."""


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


def compiled(booster: lgb.Booster) -> Forest:
    """The trees of a booster that was grown on numbers without nan.

    Raises:
        ValueError: a tree asks for a category, or where a missing value goes.
    """
    nodes: list[tuple[int, float, int, int, float]] = []
    root, depth = [], []
    for tree in booster.dump_model()["tree_info"]:
        root.append(len(nodes))
        depth.append(_append(tree["tree_structure"], nodes))
    feature, threshold, left, right, value = (np.array(column) for column in zip(*nodes, strict=True))
    return Forest(
        feature.astype(np.int32),
        _at_most(threshold),
        np.stack([left, right], axis=1).astype(np.int32).ravel(),
        value.astype(np.float64),
        np.array(root, dtype=np.int32),
        np.array(depth, dtype=np.int32),
    )


def _append(node: dict[str, Any], nodes: list[tuple[int, float, int, int, float]]) -> int:
    """Append a node and all below it; returns the number of steps to the deepest leaf."""
    number = len(nodes)
    if "leaf_value" in node:
        nodes.append((0, np.inf, number, number, node["leaf_value"]))
        return 0
    if node["decision_type"] != "<=" or node["missing_type"] != "None":
        raise ValueError("trees over categories or missing values are not compiled")
    nodes.append((0, 0.0, 0, 0, 0.0))
    below = [_append(node["left_child"], nodes)]
    right = len(nodes)
    below.append(_append(node["right_child"], nodes))
    nodes[number] = (node["split_feature"], node["threshold"], number + 1, right, 0.0)
    return 1 + max(below)


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
