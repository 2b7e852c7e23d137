"""The graph of items: its communities, and how central each item is.

An item is a node; an edge joins two of which one is among the strongest neighbours of the other. Its weight
is the sum of their similarities, by every list of neighbours and in both directions, those of an item divided
by that of its nearest: no list and no item counts for more because its numbers are larger.

Communities are those of Louvain's method, which moves nodes while modularity grows: Blondel, Guillaume,
Lambiotte and Lefebvre, "Fast unfolding of communities in large networks" (2008),
https://doi.org/10.1088/1742-5468/2008/10/P10008, with the resolution of Reichardt and Bornholdt (2006).
Centrality is PageRank: Brin and Page, "The Anatomy of a Large-Scale Hypertextual Web Search Engine" (1998),
https://doi.org/10.1016/S0169-7552(98)00110-X.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from models.candidates import Neighbours
from models.config import Config
from models.dataset import Doubles, Ints, Longs


class GraphConfig(Config):
    """The graph of films, whose communities are published."""

    n_neighbours: PositiveInt = 10
    """Strongest edges kept of each film."""
    resolution: PositiveFloat = 1.0
    """Resolution of the communities: the larger, the more and the smaller they are."""


@dataclass(frozen=True)
class Communities:
    """The community and the centrality of each item."""

    community: Ints  # (I,) from 1, the largest first; -1 for an item without an edge
    centrality: Doubles  # (I,) the fraction of a random walk that is spent there; 0 without an edge


def find_communities(
    similarities: Sequence[Neighbours], n_items: int, config: GraphConfig = GraphConfig(), seed: int = 0
) -> Communities:
    """Communities and centrality in the graph of some lists of neighbours, (I, K) each.

    The seed decides the order in which Louvain's method looks at nodes.
    """
    # Only here: it takes a third of a second to load, and most processes find no communities.
    import networkx as nx

    left, right, weight = edges(similarities, n_items, config.n_neighbours)
    community, centrality = np.full(n_items, -1, dtype=np.int32), np.zeros(n_items)
    graph = nx.Graph()
    graph.add_weighted_edges_from(zip(left.tolist(), right.tolist(), weight.tolist(), strict=True))
    if not len(graph):
        return Communities(community, centrality)
    found = nx.community.louvain_communities(graph, resolution=config.resolution, seed=seed)
    for number, members in enumerate(sorted(found, key=lambda of: (-len(of), min(of))), start=1):
        community[list(members)] = number
    ranks = nx.pagerank(graph)
    centrality[list(ranks)] = list(ranks.values())
    return Communities(community, centrality)


def layout(low: Longs, high: Longs, n_nodes: int, seed: int = 0) -> Doubles:
    """(N, 2) positions of the nodes of a graph with edges (M,) each, near each other where edges join them.

    Of Fruchterman and Reingold, "Graph drawing by force-directed placement" (1991),
    https://doi.org/10.1002/spe.4380211102; the seed decides where nodes begin.
    """
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(range(n_nodes))
    graph.add_edges_from(zip(low.tolist(), high.tolist(), strict=True))
    positions = nx.spring_layout(graph, seed=seed)
    return np.array([positions[node] for node in range(n_nodes)], dtype=np.float64).reshape(n_nodes, 2)


def edges(similarities: Sequence[Neighbours], n_items: int, n: int) -> tuple[Longs, Longs, Doubles]:
    """The edges: the lower item, the higher one, the weight, (M,) each, by ascending items.

    At most ``n`` an item are its own; more of them lead to it from others.
    """
    directed = [_directed(neighbours, n_items, n) for neighbours in similarities]
    pair, weight = _summed(
        np.concatenate([np.empty(0, np.int64), *(pair for pair, _ in directed)]),
        np.concatenate([np.empty(0), *(weight for _, weight in directed)]),
    )
    item, neighbour = pair // n_items, pair % n_items
    strongest = np.lexsort((neighbour, -weight, item))
    first = np.searchsorted(item, item)  # of the item; sorted by weight they begin there too
    own = strongest[np.arange(len(item)) - first < n]
    low, high = np.minimum(item[own], neighbour[own]), np.maximum(item[own], neighbour[own])
    pair, weight = _summed(low * n_items + high, weight[own])
    return pair // n_items, pair % n_items, weight


def _directed(neighbours: Neighbours, n_items: int, n: int) -> tuple[Longs, Doubles]:
    """Pairs (item x I + neighbour) and weights of the first n neighbours of each item."""
    near, score = neighbours.item[:, :n], neighbours.score[:, :n].astype(np.float64)
    item, rank0 = np.nonzero((near >= 0) & (score > 0))
    weight = score[item, rank0] / score[item, 0]
    return item * np.int64(n_items) + near[item, rank0], weight


def _summed(pair: Longs, weight: Doubles) -> tuple[Longs, Doubles]:
    """Every pair once, ascending, with the sum of its weights."""
    once, number = np.unique(pair, return_inverse=True)
    total: Doubles = np.bincount(number, weights=weight, minlength=len(once)).astype(np.float64)
    return once, total
