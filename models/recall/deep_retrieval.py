"""Deep Retrieval (Gao et al. 2020, arXiv 2007.07203): items live on paths, and the paths are learned.

A path c = (c_1, ..., c_D) picks one of K nodes in each of D layers. From the vector x of a history

    p(c | x) = prod_d softmax(MLP_d(x + e_1(c_1) + ... + e_{d-1}(c_{d-1})))[c_d]

(the paper concatenates what is summed here, where each layer has its own node vectors). Every item v lies on
J paths pi_1(v), ..., pi_J(v). Expectation-maximisation learns both:

- E-step: with the paths fixed, gradient steps raise the mean of log sum_j p(pi_j(v) | x) over pairs of a
  history x and its next item v.
- M-step: with the network fixed, s(v, c) is the sum of p(c | x) over the N_v pairs of v, for the paths of a
  beam search. Items choose their paths in turn, greedily by the gain of N_v log sum_j s(v, pi_j(v)) less the
  growth of alpha |c|^4 / 4, |c| being the number of items on path c: no path collects them all.

Retrieval is a beam search: the items on the likeliest paths, ordered by output vectors that are trained
beside the paths, from the same x by a sampled softmax, as in the paper.
"""

from typing import TYPE_CHECKING, Self

import numpy as np
from numba import njit, prange
from pydantic import NonNegativeInt, PositiveInt
from scipy.sparse import csr_array

from models.bounds import NonNegative, Positive
from models.candidates import Candidates
from models.config import Config
from models.dataset import Dataset, Doubles, Floats, Ints, Longs, Queries
from models.embeddings.retrieval import HistoryConfig
from models.recall.contract import Tables
from models.state import State
from models.top_n import best_first, offer

if TYPE_CHECKING:  # torch, for fits and answers alone
    from models.recall.path_network import PathNetwork

QUERIES = 1024
"""Queries answered at once."""

ROWS = 64
"""Queries that share a scratch row of all items."""


class DeepRetrievalConfig(Config):
    """Shape of the paths, and their training."""

    depth: PositiveInt = 3
    """Layers that a path crosses (D)."""
    width: PositiveInt = 32
    """Nodes of each layer (K)."""
    paths_per_item: PositiveInt = 3
    """Paths that an item lies on (J)."""
    beam: PositiveInt = 64
    """Paths that a beam search holds after each layer."""
    embedding_dim: PositiveInt = 64
    """Length of all vectors, and units of the hidden layers."""
    history: HistoryConfig = HistoryConfig()
    """The part of a history that stands for its user."""
    epochs: NonNegativeInt = 4
    """Passes over the log, each an E-step; an M-step lies between two."""
    assignment_pairs: PositiveInt = 50_000
    """Largest number of pairs of a history and its next item that an M-step looks at."""
    penalty: NonNegative = 1e-8
    """Price of crowded paths (alpha) over the number of pairs looked at."""
    n_negatives: NonNegativeInt = 512
    """Items that compete with the next ones, uniform, the same for all of a batch."""
    batch_size: PositiveInt = 4096
    """Pairs of a gradient step."""
    learning_rate: Positive = 3e-3
    """Step size of Adam."""
    seed: int = 0
    """Seed of the first vectors and paths, the batches and the negatives."""


class DeepRetrieval:
    """State: the parameters of ``PathNetwork`` by name, and ``paths`` (I, J) numbers, -1 without an event."""

    def __init__(self, config: DeepRetrievalConfig = DeepRetrievalConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        import torch

        from models.recall.path_network import PathNetwork, path_chances, train

        config = self.config
        rng = np.random.default_rng(config.seed)
        n_paths = config.width**config.depth
        paths = rng.integers(0, n_paths, (dataset.n_items, config.paths_per_item))
        paths[np.bincount(dataset.item_idx, minlength=dataset.n_items) == 0] = -1
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            network = PathNetwork(dataset.n_items, config)
        optimiser = torch.optim.Adam(network.parameters(), config.learning_rate)
        # Every event but a user's first is the next item of a history.
        rows = np.flatnonzero(dataset.user_idx[1:] == dataset.user_idx[:-1]) + 1
        for epoch in range(config.epochs if len(rows) else 0):
            if epoch > 0:
                sample = rng.permutation(rows)[: config.assignment_pairs]
                chances, counts = path_chances(network, dataset, sample, n_paths)
                price = config.penalty * len(sample)
                paths = assign_paths(chances, counts, paths, n_paths, price)
            train(network, optimiser, dataset, rng.permutation(rows), paths, rng)
        self.state = {name: value.numpy() for name, value in network.state_dict().items()} | {"paths": paths}
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        import torch

        from models.recall.path_network import bags_of

        network = self._network()
        on_path = items_on_paths(self.state["paths"], self.config.width**self.config.depth)
        items = np.empty((len(queries), n), dtype=np.int32)
        scores = np.empty((len(queries), n), dtype=np.float32)
        for begin in range(0, len(queries), QUERIES):
            block, rows = queries.rows(begin, begin + QUERIES), slice(begin, begin + QUERIES)
            bags = bags_of(block, self.config.history)
            with torch.no_grad():
                user = network(bags)
                path = network.beam_search(user)[0].numpy()
            path[np.diff(bags.indptr) == 0] = -1
            end = block.end if filter_seen else block.start
            items[rows], scores[rows] = _best_on_paths(
                path, user.numpy(), on_path, self.state["output"], (block.start, end, block.log.item_idx), n
            )
        return Candidates(items, scores)

    def tables(self) -> Tables:
        return Tables(item_embeddings=self.state["output"])

    def _network(self) -> "PathNetwork":
        import torch

        from models.recall.path_network import PathNetwork

        network = PathNetwork(len(self.state["paths"]), self.config)
        network.load_state_dict({name: torch.from_numpy(self.state[name]) for name in network.state_dict()})
        return network


def assign_paths(chances: csr_array, counts: Longs, paths: Longs, n_paths: int, price: float) -> Longs:
    """M-step: each item's best paths (I, J) given ``chances`` (I, paths), one item after another.

    An item with fewer paths to choose from than J, or none, keeps old ones for the rest.
    """
    assigned = paths.copy()
    chances.sort_indices()
    size = np.bincount(paths[paths >= 0].ravel(), minlength=n_paths)
    _assign(chances.indptr, chances.indices, chances.data.astype(np.float64), counts, assigned, size, price)
    return assigned


@njit(cache=True)
def _assign(
    indptr: Ints,
    path: Ints,
    chance: Doubles,
    counts: Longs,
    assigned: Longs,
    size: Longs,
    price: float,
) -> None:
    for item in range(len(assigned)):
        begin, end = indptr[item], indptr[item + 1]
        free = np.ones(end - begin, dtype=np.bool_)
        total = 0.0
        for slot in range(min(assigned.shape[1], end - begin)):
            size[assigned[item, slot]] -= 1
            best, best_gain = -1, -np.inf
            for entry in range(begin, end):
                crowd = size[path[entry]]
                growth = ((crowd + 1.0) ** 4 - crowd**4.0) / 4
                # log(total) is the same for all: the order of the gains needs it not.
                gain = counts[item] * np.log(total + chance[entry]) - price * growth
                if free[entry - begin] and gain > best_gain:
                    best, best_gain = entry, gain
            free[best - begin] = False
            total += chance[best]
            assigned[item, slot] = path[best]
            size[path[best]] += 1


def items_on_paths(paths: Longs, n_paths: int) -> tuple[Longs, Ints]:
    """Bounds (n_paths + 1,) of each path's items, and the items; paths (I, J) of -1 are none."""
    item, number = np.nonzero(paths >= 0)
    path = paths[item, number]
    bounds = np.concatenate([[0], np.cumsum(np.bincount(path, minlength=n_paths))])
    return bounds.astype(np.int64), item[np.argsort(path, kind="stable")].astype(np.int32)


@njit(parallel=True, cache=True)
def _best_on_paths(
    path: Longs,
    user: Floats,
    on_path: tuple[Longs, Ints],
    output: Floats,
    history: tuple[Longs, Longs, Ints],
    n: int,
) -> tuple[Ints, Floats]:
    """(b, n) the best items on any of each query's paths (b, beam), without those of its history."""
    (bounds, item_of), (start, end, log_item) = on_path, history
    items = np.full((len(path), n), -1, dtype=np.int32)
    scores = np.full((len(path), n), -np.inf, dtype=np.float32)
    for chunk in prange((len(path) + ROWS - 1) // ROWS):
        met_by = np.full(len(output), -1, dtype=np.int32)  # the newest query
        for query in range(chunk * ROWS, min((chunk + 1) * ROWS, len(path))):
            for event in range(start[query], end[query]):
                met_by[log_item[event]] = query
            size = 0
            for number in path[query]:
                # Path -1, of queries without a history, has no items.
                for position in range(bounds[number], bounds[number + 1] if number >= 0 else 0):
                    item = item_of[position]
                    if met_by[item] == query:
                        continue
                    met_by[item] = query
                    score = np.float32(0)
                    for dim in range(output.shape[1]):
                        score += user[query, dim] * output[item, dim]
                    size = offer(float(score), item, items[query], scores[query], size)
            best_first(items[query], scores[query], size)
    return items, scores
