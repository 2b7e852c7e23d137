"""Walks against the exact transition probabilities of a graph built by networkx."""

from collections import Counter
from itertools import pairwise

import networkx as nx
import numba
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pydantic import ValidationError
from scipy.stats import chisquare

from models.dataset import DAY, Dataset, Ints
from models.embeddings.walks import WalkConfig, bipartite_graph, random_walks
from tests.models.evaluation.logs import random_log
from tests.models.recall.small_logs import small_log

AS_OF = 100 * DAY


@pytest.fixture
def log() -> Dataset:
    """Three users and four items; user 2 rated item 1 twice, first with 5 and then with 1."""
    user = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2], dtype=np.int32)
    item = np.array([0, 1, 2, 1, 3, 1, 1, 2, 3], dtype=np.int32)
    rating = np.array([5, 1, 3, 2, 4, 5, 1, 4, 2], dtype=np.float32)
    days = np.array([10, 60, 90, 40, 80, 20, 50, 70, 95], dtype=np.int64)
    return Dataset(user, item, rating, days * DAY, 3, 4, AS_OF)


def oracle_graph(log: Dataset, config: WalkConfig) -> nx.Graph:
    """The weighted graph, edge by edge; a later rating of the same pair replaces the earlier one."""
    graph = nx.Graph()
    for user, item, rating, at in zip(log.user_idx, log.item_idx, log.rating, log.at, strict=True):
        age = (log.as_of - at) / DAY
        weight = float(rating) ** config.rating_power * 0.5 ** (age / config.half_life)
        graph.add_edge(int(user), log.n_users + int(item), weight=weight)
    return graph


def oracle_step(graph: nx.Graph, config: WalkConfig, before: int, node: int) -> dict[int, float]:
    """node2vec's chances to go from ``node`` to each neighbour, having come from ``before``."""
    weight = {}
    for other in graph.neighbors(node):
        bias = 1 / config.p if other == before else 1.0 if graph.has_edge(before, other) else 1 / config.q
        weight[other] = bias * graph.edges[node, other]["weight"]
    total = sum(weight.values())
    return {other: value / total for other, value in weight.items()}


def assert_frequencies(counts: Counter[int], chances: dict[int, float]) -> None:
    assert set(counts) <= set(chances)
    total = sum(counts.values())
    assert total > 2000
    if len(chances) > 1:
        nodes = sorted(chances)
        expected = [total * chances[node] for node in nodes]
        assert chisquare([counts[node] for node in nodes], expected).pvalue > 1e-4


def walks_of(log: Dataset, config: WalkConfig) -> Ints:
    return random_walks(bipartite_graph(log, config), config)


WEIGHTS = [
    WalkConfig(),
    WalkConfig(rating_power=1.0),
    WalkConfig(half_life=20.0),
    WalkConfig(rating_power=2.0, half_life=50.0),
]


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize(("p", "q"), [(1.0, 1.0), (4.0, 0.5), (0.25, 2.0)])
def test_steps_have_the_exact_chances(log: Dataset, weights: WalkConfig, p: float, q: float) -> None:
    config = weights.but(per_node=5000, length=8, p=p, q=q, seed=3)
    graph = oracle_graph(log, config)
    first: dict[int, Counter[int]] = {}
    later: dict[tuple[int, int], Counter[int]] = {}
    for walk in walks_of(log, config).tolist():
        first.setdefault(walk[0], Counter())[walk[1]] += 1
        for before, node, after in zip(walk, walk[1:], walk[2:], strict=False):
            later.setdefault((before, node), Counter())[after] += 1
    first_order = config.but(p=1.0, q=1.0)
    for node, counts in first.items():
        assert_frequencies(counts, oracle_step(graph, first_order, -1, node))
    for (before, node), counts in later.items():
        if sum(counts.values()) > 2000:
            assert_frequencies(counts, oracle_step(graph, config, before, node))


def test_walks_follow_edges_from_every_node_that_has_one() -> None:
    log = small_log()
    config = WalkConfig(per_node=3, length=12)
    edges = oracle_graph(log, config)
    walks = walks_of(log, config)
    assert Counter(walks[:, 0].tolist()) == dict.fromkeys(edges, 3)
    assert all(edges.has_edge(*step) for walk in walks.tolist() for step in pairwise(walk))


def test_walks_do_not_depend_on_the_number_of_threads() -> None:
    log = small_log()
    config = WalkConfig(p=2.0, q=0.5)
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = walks_of(log, config)
    finally:
        numba.set_num_threads(threads)
    assert_array_equal(walks_of(log, config), alone)


def test_a_walk_depends_on_its_number_and_seed_alone() -> None:
    log = small_log()
    few, many = walks_of(log, WalkConfig(per_node=2)), walks_of(log, WalkConfig(per_node=5))
    assert_array_equal(many[: len(few)], few)
    longer = walks_of(log, WalkConfig(per_node=2, length=60))
    assert_array_equal(longer[:, : few.shape[1]], few)
    assert (walks_of(log, WalkConfig(per_node=2, seed=1)) != few).any()


def test_a_node_with_one_neighbour_turns_back_however_dear_it_is() -> None:
    log = Dataset(
        np.zeros(1, np.int32), np.zeros(1, np.int32), np.ones(1, np.float32), np.zeros(1, np.int64), 1, 1, 1
    )
    assert_array_equal(walks_of(log, WalkConfig(per_node=1, length=4, p=1e12)), [[0, 1, 0, 1], [1, 0, 1, 0]])


def test_very_old_ratings_keep_their_proportions() -> None:
    """Weights of 2^-100,000 and less cannot be held as numbers, their ratios can."""
    item, days = np.array([0, 1], dtype=np.int32), np.array([0, 1], dtype=np.int64)
    log = Dataset(np.zeros(2, np.int32), item, np.ones(2, np.float32), days * DAY, 1, 2, 100_001 * DAY)
    config = WalkConfig(per_node=3000, length=2, half_life=1.0)
    walks = walks_of(log, config)
    to_item = Counter(walks[walks[:, 0] == 0, 1].tolist())
    assert_frequencies(to_item, {1: 1 / 3, 2: 2 / 3})


def test_no_rating_no_walk() -> None:
    nobody = small_log().before(0)
    assert walks_of(nobody, WalkConfig(length=7)).shape == (0, 7)


@pytest.mark.parametrize("wrong", [{"length": 0}, {"per_node": -1}, {"p": 0.0}, {"q": -1.0}])
def test_impossible_configurations_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="greater than"):
        WalkConfig(**wrong)  # type: ignore[arg-type]


def test_the_graph_is_the_sorted_list_of_its_edges() -> None:
    log = random_log(3, "2000-01-01", "2001-01-01", n_users=40, n_items=50, n_events=1500)
    graph = bipartite_graph(log, WalkConfig(half_life=180.0))
    pairs = np.unique(np.stack([log.user_idx, log.n_users + log.item_idx], axis=1), axis=0)
    edges = np.concatenate([pairs, pairs[:, ::-1]])
    edges = edges[np.lexsort((edges[:, 1], edges[:, 0]))]
    assert_array_equal(graph.neighbour, edges[:, 1])
    assert_array_equal(np.repeat(np.arange(90), np.diff(graph.indptr)), edges[:, 0])
