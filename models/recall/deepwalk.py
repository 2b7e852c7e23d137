"""DeepWalk (Perozzi et al. 2014, arXiv 1403.6652) on the user-item graph: users and items in one space.

Random walks over the ratings are texts whose words are users and items; skip-gram gives both a vector.
With p and q other than 1 the walks are node2vec's (Grover & Leskovec 2016, arXiv 1607.00653). ``u2i``
finds the items whose outputs are nearest to the input of the user, or of the decayed mean of the history's
items for a user unknown at fit; ``i2i`` sums the lists of the items likeliest beside the last ones.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import PositiveInt

from models.bounds import Fraction
from models.candidates import Candidates, Neighbours
from models.config import Config
from models.dataset import Dataset, Floats, Queries
from models.embeddings.ann import AnnConfig, Index, build_index, recommend_nearest
from models.embeddings.retrieval import HistoryConfig, history_vectors, likely_next, recommend_by_neighbours
from models.embeddings.skip_gram import SkipGramConfig, TokenVectors, skip_gram
from models.embeddings.walks import WalkConfig, bipartite_graph, random_walks
from models.recall.contract import Tables
from models.state import Derived, State


class DeepWalkConfig(Config):
    """The walks, the training on them, and the use of the vectors."""

    walks: WalkConfig = WalkConfig(half_life=180.0)
    """Random walks over the graph of users and items; p and q other than 1 make it node2vec."""
    training: SkipGramConfig = SkipGramConfig()
    """Training of the vectors on the walks."""
    use: Literal["u2i", "i2i"] = "u2i"
    """Search by the user's vector (u2i), or by the neighbours of the user's items (i2i)."""
    history: HistoryConfig = HistoryConfig()
    """The part of a history that stands for its user."""
    n_neighbours: PositiveInt = 100
    """Nearest items of each item, published and used by i2i."""
    warm_fraction: Fraction = 0.1
    """Fraction of the training, its end, that a warm night makes from earlier vectors; 0 trains anew."""
    ann: AnnConfig = AnnConfig()
    """Index of the vectors that is searched."""


class DeepWalk:
    """State: ``user``, ``user_output`` (U, D), ``input``, ``output`` (I, D); zero for those without an event.

    The outputs of users are for a later training that starts from them, nothing else.
    """

    rows: ClassVar[Mapping[str, Literal["user", "item"]]] = {
        "user": "user",
        "user_output": "user",
        "input": "item",
        "output": "item",
    }

    def __init__(self, config: DeepWalkConfig = DeepWalkConfig()) -> None:
        self.config = config
        self.state: State = {}
        self._indexed: Derived[Index] = Derived()
        self._similar: Derived[Neighbours] = Derived()

    def fit(self, dataset: Dataset, before: State | None = None) -> Self:
        config, walking = self.config, self.config.walks
        first = _of_nodes(before) if before and config.warm_fraction else None
        if first is not None:
            walking = walking.model_copy(
                update={"per_node": _some_of(walking.per_node, config.warm_fraction)}
            )
        walks = random_walks(bipartite_graph(dataset, walking), walking)
        indptr = np.arange(len(walks) + 1, dtype=np.int64) * walks.shape[1]
        n_nodes = dataset.n_users + dataset.n_items
        vectors = skip_gram(walks.ravel(), indptr, n_nodes, config.training, first, config.warm_fraction)
        user, item = np.split(vectors.input, [dataset.n_users])
        user_output, output = np.split(vectors.output, [dataset.n_users])
        self.state = {"user": user, "user_output": user_output, "input": item, "output": output}
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        config = self.config
        if config.use == "i2i":
            return recommend_by_neighbours(self._neighbours(), queries, n, config.history, filter_seen)
        return recommend_nearest(self._index(), self._vectors(queries), queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables(self._neighbours(), self.state["input"], self.state["user"])

    def _vectors(self, queries: Queries) -> Floats:
        """(B, D): the user's own vector where there is one, else that of the history."""
        own = np.where(queries.user_idx[:, None] >= 0, self.state["user"][queries.user_idx], 0)
        history = history_vectors(queries, self.state["input"], self.config.history)
        return np.where(own.any(axis=1, keepdims=True), own, history)

    def _neighbours(self) -> Neighbours:
        def likely() -> Neighbours:
            return likely_next(self._index(), self.state["input"], self.config.n_neighbours)

        return self._similar.of(self.state, likely)

    def _index(self) -> Index:
        return self._indexed.of(self.state, lambda: build_index(self.state["output"], self.config.ann))


def _some_of(n: int, fraction: float) -> int:
    """A fraction of n, but one at least."""
    return min(n, max(1, round(n * fraction)))


def _of_nodes(state: State) -> TokenVectors:
    """The vectors of users and items as those of nodes."""
    return TokenVectors(
        np.concatenate([state["user"], state["input"]]),
        np.concatenate([state["user_output"], state["output"]]),
    )
