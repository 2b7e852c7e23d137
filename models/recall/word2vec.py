"""word2vec over films: items watched by the same user are the words of one text (Mikolov et al. 2013;
Barkan & Koenigstein 2016, "item2vec", arXiv 1603.04259), in the order of time and looking ahead only.

An item's input vector says what it announces, its output vector what announces it. ``u2i`` finds the
outputs nearest to the decayed mean of the last items' inputs; ``i2i`` sums the lists of likely next items.
"""

from dataclasses import dataclass, field
from typing import Literal, Self

from models.dataset import Dataset, Queries
from models.recall.ann import AnnConfig, build_index, recommend_nearest
from models.recall.contract import Candidates, Neighbours, State, Tables
from models.recall.embedding import HistoryConfig, history_vectors, likely_next, recommend_by_neighbours
from models.recall.skip_gram import SkipGramConfig, skip_gram


@dataclass(frozen=True)
class Word2VecConfig:
    """Training of the vectors and their use."""

    training: SkipGramConfig = field(default_factory=SkipGramConfig)
    """How vectors are learned."""
    use: Literal["u2i", "i2i"] = "u2i"
    """Search by the user's vector, or by the neighbours of the user's items."""
    history: HistoryConfig = field(default_factory=HistoryConfig)
    """How much of a history speaks for its user."""
    n_neighbours: int = 100
    """Neighbours an item, published and used by i2i."""
    ann: AnnConfig = field(default_factory=AnnConfig)
    """The index that is searched."""


class Word2Vec:
    """State: ``input`` and ``output`` (I, D), zero for items without an event."""

    def __init__(self, config: Word2VecConfig = Word2VecConfig()) -> None:
        self.config = config
        self.state: State = {}

    def fit(self, dataset: Dataset) -> Self:
        vectors = skip_gram(dataset.item_idx, dataset.indptr, dataset.n_items, self.config.training)
        self.state = {"input": vectors.input, "output": vectors.output}
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        config = self.config
        if config.use == "i2i":
            return recommend_by_neighbours(self._neighbours(), queries, n, config.history, filter_seen)
        index = build_index(self.state["output"], config.ann)
        vectors = history_vectors(queries, self.state["input"], config.history)
        return recommend_nearest(index, vectors, queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables(item_similarity=self._neighbours(), item_embeddings=self.state["input"])

    def _neighbours(self) -> Neighbours:
        index = build_index(self.state["output"], self.config.ann)
        return likely_next(index, self.state["input"], self.config.n_neighbours)
