"""Random walks on the bipartite user-item graph, compiled: first order and node2vec's second order.

First order, the walker goes from v to a neighbour x with probability w(v, x) / sum of w(v, .), in constant
time with an alias table a node (Walker 1977; Vose 1991). Second order (Grover & Leskovec 2016, "node2vec",
arXiv 1607.00653), having come from t it goes on with probability proportional to alpha(t, x) w(v, x), where
alpha is 1/p for x = t, 1 for the neighbours of t and 1/q for all others. A bipartite graph has no triangle,
so a neighbour of v is never one of t: only the ratio of p and q matters, and no adjacency is looked up. The
second order is drawn by rejection from the first (Yang et al. 2019, "KnightKing").

Every walk has a random stream of its own, seeded by its number: the walks do not depend on the threads.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from pydantic import FiniteFloat, NonNegativeInt, PositiveFloat, PositiveInt

from models.bounds import Positive
from models.config import Config
from models.dataset import DAY, Dataset, Doubles, Floats, Ints, Longs
from models.history import FOREVER
from models.splitmix import GOLDEN, below, mix, unit

_ABREAST = 32
"""Walks a thread takes step by step in turn: while one waits for memory, the others go on."""


class WalkConfig(Config):
    """Random walks from every node that has a neighbour."""

    per_node: NonNegativeInt = 10
    """Walks that start at each node."""
    length: PositiveInt = 40
    """Nodes of a walk, its start included."""
    rating_power: FiniteFloat = 0.0
    """Power of the rating that an edge weighs; 0 treats all ratings alike."""
    half_life: PositiveFloat = FOREVER
    """Days after which a rating weighs half in the walk; infinite for ratings that do not age."""
    p: Positive = 1.0
    """Return parameter of node2vec: the higher, the rarer a step straight back."""
    q: Positive = 1.0
    """In-out parameter of node2vec: the higher, the rarer a step on. With p = q walks are of first order."""
    seed: int = 0
    """Seed of all walks."""


@dataclass(frozen=True)
class Graph:
    """The undirected bipartite graph of N = U + I nodes: users first, then items (item i is node U + i).

    Neighbours of node v are ``neighbour[indptr[v]:indptr[v + 1]]``, ascending, one entry an edge. ``keep``
    and ``alias`` are the alias table of each node's edge weights, entry by entry.
    """

    indptr: Longs  # (N + 1,)
    neighbour: Ints  # (2 edges,)
    keep: Floats  # (2 edges,) chance to keep the drawn entry
    alias: Ints  # (2 edges,) the neighbour taken otherwise
    n_users: int


def bipartite_graph(dataset: Dataset, config: WalkConfig = WalkConfig()) -> Graph:
    """Users joined to the items they rated, weighted as configured; a pair rated twice counts its newest."""
    # Only ratios within a node matter; logarithms keep those of old ratings from vanishing.
    log_weight = (dataset.at - dataset.as_of) / (config.half_life * DAY)
    log_weight += config.rating_power * np.log2(dataset.rating)
    return Graph(
        *_joined(dataset.user_idx, dataset.item_idx, log_weight, dataset.n_users, dataset.n_items),
        dataset.n_users,
    )


def random_walks(graph: Graph, config: WalkConfig = WalkConfig()) -> Ints:
    """(walks, length) nodes: ``per_node`` walks from each node with a neighbour, in rounds over the nodes."""
    starts = np.tile(np.flatnonzero(np.diff(graph.indptr)), config.per_node).astype(np.int32)
    # Chances to accept a proposed step straight back and one on: their ratio is q / p, the larger is 1.
    back, on = min(1.0, config.q / config.p), min(1.0, config.p / config.q)
    return _walk(
        starts, graph.indptr, graph.neighbour, graph.keep, graph.alias, config.length, back, on, config.seed
    )


@njit(cache=True, nogil=True)
def _joined(
    user: Ints, item: Ints, log_weight: Doubles, n_users: int, n_items: int
) -> tuple[Longs, Ints, Floats, Ints]:
    """Bounds, neighbours and alias tables of a log sorted by user and time, in passes that are all linear."""
    by_item, event = _newest_by_item(user, item, n_items)
    n_edges = len(event)
    indptr = np.zeros(n_users + n_items + 1, dtype=np.int64)
    for edge in event:
        indptr[user[edge] + 1] += 1
    indptr[: n_users + 1] = np.cumsum(indptr[: n_users + 1])
    indptr[n_users:] = n_edges + by_item
    # The edges of an item have ascending users; in their order those of a user have ascending items.
    of_edge = np.empty(2 * n_edges, dtype=np.int32)
    neighbour = np.empty(2 * n_edges, dtype=np.int32)
    position = indptr[:n_users].copy()
    for number in range(n_edges):
        edge = event[number]
        of_edge[n_edges + number], neighbour[n_edges + number] = edge, user[edge]
        of_edge[position[user[edge]]], neighbour[position[user[edge]]] = edge, n_users + item[edge]
        position[user[edge]] += 1
    keep, alias = _alias(indptr, neighbour, log_weight, of_edge)
    return indptr, neighbour, keep, alias


@njit(cache=True)
def _newest_by_item(user: Ints, item: Ints, n_items: int) -> tuple[Longs, Ints]:
    """Bounds (I + 1,) of each item's events, the newest of each user that rated it, by ascending user."""
    count = np.zeros(n_items, dtype=np.int64)
    rated_by = np.full(n_items, -1, dtype=np.int32)  # the newest user
    for event in range(len(user)):
        count[item[event]] += rated_by[item[event]] != user[event]
        rated_by[item[event]] = user[event]
    indptr = np.zeros(n_items + 1, dtype=np.int64)
    indptr[1:] = np.cumsum(count)
    newest = np.empty(indptr[-1], dtype=np.int32)
    position = indptr[:-1].copy()
    rated_by[:] = -1
    for event in range(len(user)):
        # The log is in time order within a user: of equal pairs the later takes the position of the earlier.
        again = rated_by[item[event]] == user[event]
        newest[position[item[event]] - again] = event
        position[item[event]] += not again
        rated_by[item[event]] = user[event]
    return indptr, newest


@njit(cache=True)
def _alias(indptr: Longs, neighbour: Ints, log_weight: Doubles, event: Ints) -> tuple[Floats, Ints]:
    """Vose's alias table of each node: entries above the mean weight fill up those below it."""
    keep = np.ones(len(neighbour), dtype=np.float32)
    alias = neighbour.copy()
    stack = np.empty(np.diff(indptr).max(), dtype=np.int64)
    for node in range(len(indptr) - 1):
        begin, end = indptr[node], indptr[node + 1]
        if begin == end:
            continue
        logs = log_weight[event[begin:end]]
        weight = np.exp2(logs - logs.max())
        weight *= (end - begin) / weight.sum()  # mean 1
        # One array holds both stacks: small entries grow from the left, large ones from the right.
        small, large = 0, end - begin
        for entry in range(end - begin):
            if weight[entry] < 1:
                stack[small] = entry
                small += 1
            else:
                large -= 1
                stack[large] = entry
        while small > 0 and large < end - begin:
            small -= 1
            poor, rich = stack[small], stack[large]
            keep[begin + poor], alias[begin + poor] = weight[poor], neighbour[begin + rich]
            weight[rich] -= 1 - weight[poor]
            if weight[rich] < 1:
                large += 1
                stack[small] = rich
                small += 1
    return keep, alias


@njit(parallel=True, cache=True)
def _walk(
    starts: Ints,
    indptr: Longs,
    neighbour: Ints,
    keep: Floats,
    alias: Ints,
    length: int,
    back: float,
    on: float,
    seed: int,
) -> Ints:
    walks = np.empty((len(starts), length), dtype=np.int32)
    key = mix(np.uint64(seed) + GOLDEN)
    first_order = back == on
    for block in prange((len(starts) + _ABREAST - 1) // _ABREAST):
        first, last = block * _ABREAST, min((block + 1) * _ABREAST, len(starts))
        states = np.empty(_ABREAST, dtype=np.uint64)
        for walk in range(first, last):
            states[walk - first] = mix(key ^ mix(np.uint64(walk) + GOLDEN))
            walks[walk, 0] = starts[walk]
        for step in range(1, length):
            for walk in range(first, last):
                state = states[walk - first]
                node = walks[walk, step - 1]
                begin = indptr[node]
                degree = indptr[node + 1] - begin
                while True:
                    state += GOLDEN
                    bits = mix(state)
                    entry = begin + below(bits, degree)
                    proposed = neighbour[entry] if unit(bits) < keep[entry] else alias[entry]
                    if first_order or step == 1 or degree == 1:
                        break
                    state += GOLDEN
                    if unit(mix(state)) < (back if proposed == walks[walk, step - 2] else on):
                        break
                states[walk - first] = state
                walks[walk, step] = proposed
    return walks
