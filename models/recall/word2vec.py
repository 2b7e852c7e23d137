"""word2vec over films: what a user watched is a text whose words are items, in the order of time (Mikolov
et al. 2013, arXiv 1301.3781; Barkan & Koenigstein 2016, "item2vec", arXiv 1603.04259).

An item has an input vector, by which it predicts others, and an output vector, by which it is predicted.
``u2i`` finds the outputs nearest to the decayed mean of the last items' inputs, the very bag of words that
was trained to predict the next; ``i2i`` sums the lists of each last item's likely next ones.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import PositiveInt, model_validator

from models.bounds import Fraction, only_where
from models.candidates import Candidates, Neighbours
from models.config import Config
from models.dataset import Dataset, Queries
from models.embeddings.ann import AnnConfig, Index, build_index, recommend_nearest
from models.embeddings.cbow import CbowConfig, cbow
from models.embeddings.gensim import VectorTrainer, gensim_bags
from models.embeddings.retrieval import HistoryConfig, history_vectors, likely_next, recommend_by_neighbours
from models.embeddings.skip_gram import TokenVectors
from models.recall.contract import Tables
from models.state import Derived, State


class Word2VecConfig(Config):
    """Training of the vectors and their use."""

    trainer: VectorTrainer = "compiled"
    """Trainer of the vectors: bags of what came before, newer items heavier, or gensim's of both sides."""
    training: CbowConfig = CbowConfig()
    """Training of the item vectors."""
    use: Literal["u2i", "i2i"] = "u2i"
    """Search by the user's vector (u2i), or by the neighbours of the user's items (i2i)."""
    history: HistoryConfig = HistoryConfig()
    """The part of a history that stands for its user, in training as in use."""
    n_neighbours: PositiveInt = 100
    """Nearest items of each item, published and used by i2i."""
    warm_fraction: Fraction = 0.1
    """Fraction of the training, its end, that a warm night makes from earlier vectors; 0 trains anew."""
    ann: AnnConfig = AnnConfig()
    """Index of the vectors that is searched."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        only_where(self.trainer == "compiled", "trainer is compiled", self, "warm_fraction")
        return self


class Word2Vec:
    """State: ``input`` and ``output`` (I, D), zero for items without an event."""

    rows: ClassVar[Mapping[str, Literal["user", "item"]]] = {"input": "item", "output": "item"}

    def __init__(self, config: Word2VecConfig = Word2VecConfig()) -> None:
        self.config = config
        self.state: State = {}
        self._indexed: Derived[Index] = Derived()
        self._similar: Derived[Neighbours] = Derived()

    def fit(self, dataset: Dataset, before: State | None = None) -> Self:
        config = self.config
        first = TokenVectors(before["input"], before["output"]) if before and config.warm_fraction else None
        log = dataset.item_idx, dataset.indptr, dataset.n_items
        if config.trainer == "gensim":
            vectors = gensim_bags(*log, config.history.newest, config.training)
        else:
            vectors = cbow(*log, config.history, config.training, first, config.warm_fraction)
        self.state = {"input": vectors.input, "output": vectors.output}
        return self

    def recommend(self, queries: Queries, n: int, filter_seen: bool = True) -> Candidates:
        config = self.config
        if config.use == "i2i":
            return recommend_by_neighbours(self._neighbours(), queries, n, config.history, filter_seen)
        vectors = history_vectors(queries, self.state["input"], config.history)
        return recommend_nearest(self._index(), vectors, queries, n, filter_seen)

    def tables(self) -> Tables:
        return Tables(item_similarity=self._neighbours(), item_embeddings=self.state["input"])

    def _neighbours(self) -> Neighbours:
        def likely() -> Neighbours:
            return likely_next(self._index(), self.state["input"], self.config.n_neighbours)

        return self._similar.of(self.state, likely)

    def _index(self) -> Index:
        return self._indexed.of(self.state, lambda: build_index(self.state["output"], self.config.ann))
