"""DeepWalk (Perozzi et al. 2014, arXiv 1403.6652) on the user-item graph: users and items in one space.

Random walks over the ratings are texts whose words are users and items; skip-gram gives both a vector.
With p and q other than 1 the walks are node2vec's (Grover & Leskovec 2016, arXiv 1607.00653). ``u2i``
finds the items whose outputs are nearest to the input of the user, or of the decayed mean of the history's
items for a user unknown at fit; ``i2i`` sums the lists of the items likeliest beside the last ones; ``ucf``
sums the newest items of the users of the highest cosine.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import PositiveInt, model_validator
from scipy.sparse import csr_array

from models.bounds import Fraction, only_where
from models.candidates import Candidates, Neighbours
from models.config import Config
from models.dataset import Dataset, Floats, Queries, queries_at
from models.embeddings.ann import AnnConfig, Index, build_index, nearest, recommend_nearest
from models.embeddings.gensim import VectorTrainer, gensim_skip_gram
from models.embeddings.retrieval import HistoryConfig, history_vectors, likely_next, recommend_by_neighbours
from models.embeddings.skip_gram import SkipGramConfig, TokenVectors, skip_gram
from models.embeddings.walks import WalkConfig, bipartite_graph, random_walks
from models.history import decayed_history
from models.neighbours import to_sparse
from models.recall.contract import Tables
from models.sparse_product import recommend_by_product, sparse_from_state, sparse_state
from models.state import Derived, State


class DeepWalkConfig(Config):
    """The walks, the training on them, and the use of the vectors."""

    walks: WalkConfig = WalkConfig(half_life=180.0)
    """Random walks over the graph of users and items; p and q other than 1 make it node2vec."""
    trainer: VectorTrainer = "compiled"
    """Trainer of the vectors: the compiled skip-gram, or gensim's."""
    training: SkipGramConfig = SkipGramConfig()
    """Training of the vectors on the walks."""
    use: Literal["u2i", "i2i", "ucf"] = "u2i"
    """Search by the user's vector (u2i), by the neighbours of the user's items (i2i) or of the user (ucf)."""
    history: HistoryConfig = HistoryConfig()
    """The part of a history that stands for its user."""
    n_neighbours: PositiveInt = 100
    """Nearest items of each item, published and used by i2i; nearest users of a user for ucf."""
    warm_fraction: Fraction = 0.1
    """Fraction of the training, its end, that a warm night makes from earlier vectors; 0 trains anew."""
    ann: AnnConfig = AnnConfig()
    """Index of the vectors that is searched."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        only_where(self.trainer == "compiled", "trainer is compiled", self, "warm_fraction")
        return self


class DeepWalk:
    """State: ``user``, ``user_output`` (U, D), ``input``, ``output`` (I, D); zero for those without an event.

    The outputs of users are for a later training that starts from them, nothing else. For the use ucf also
    sparse rows ``recent_*`` (U, I), the newest items of each user with their weights.
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
        self._users: Derived[Index] = Derived()

    def fit(self, dataset: Dataset, before: State | None = None) -> Self:
        config, walking = self.config, self.config.walks
        warm = config.warm_fraction > 0 and config.trainer == "compiled"
        first = _of_nodes(before) if before and warm else None
        if first is not None:
            walking = walking.model_copy(
                update={"per_node": _some_of(walking.per_node, config.warm_fraction)}
            )
        walks = random_walks(bipartite_graph(dataset, walking), walking)
        indptr = np.arange(len(walks) + 1, dtype=np.int64) * walks.shape[1]
        n_nodes = dataset.n_users + dataset.n_items
        if config.trainer == "gensim":
            vectors = gensim_skip_gram(walks.ravel(), indptr, n_nodes, config.training)
        else:
            vectors = skip_gram(walks.ravel(), indptr, n_nodes, config.training, first, config.warm_fraction)
        user, item = np.split(vectors.input, [dataset.n_users])
        user_output, output = np.split(vectors.output, [dataset.n_users])
        self.state = {"user": user, "user_output": user_output, "input": item, "output": output}
        if config.use == "ucf":
            recent = decayed_history(queries_at(dataset), config.history.decay, config.history.newest)
            self.state |= sparse_state("recent", recent)
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        config = self.config
        if config.use == "i2i":
            return recommend_by_neighbours(self._neighbours(), queries, n, config.history, filter_seen)
        if config.use == "ucf":
            recent = sparse_from_state("recent", self.state, len(self.state["input"]))
            return recommend_by_product(self._near_users, recent, queries, n, filter_seen)
        return recommend_nearest(self._index(), self._vectors(queries), queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables(self._neighbours(), self.state["input"], self.state["user"])

    def _vectors(self, queries: Queries) -> Floats:
        """(B, D): the user's own vector where there is one, else that of the history."""
        own = np.where(queries.user_idx[:, None] >= 0, self.state["user"][queries.user_idx], 0)
        history = history_vectors(queries, self.state["input"], self.config.history)
        return np.where(own.any(axis=1, keepdims=True), own, history)

    def _near_users(self, queries: Queries) -> csr_array:
        """(b, U) the nearest users of each query, but oneself, with their cosines above zero."""
        users = self.state["user"]
        by_cosine = self.config.ann.but(metric="cosine")
        index = self._users.of(self.state, lambda: build_index(users, by_cosine))
        near = nearest(index, self._vectors(queries), self.config.n_neighbours + 1)
        left_out = (near.item == queries.user_idx[:, None]) | (near.score <= 0)
        # One more than there are to be was found, in place of oneself.
        left_out[:, -1] |= ~left_out[:, :-1].any(axis=1)
        return to_sparse(Neighbours(np.where(left_out, -1, near.item), near.score), len(users))

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
