"""Words of titles as numbers: TF-IDF, reduced by a singular value decomposition (latent semantic analysis).

A film is the vector of its words, each weighing log(I / df) with df of the I films that have it, of length
1; the right singular vectors V (words, D) of the films' matrix take it to D numbers: x V. Deerwester et al.
1990, "Indexing by Latent Semantic Analysis". Words of one film alone are left out.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.sparse import csr_array, diags_array
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.dataset import Doubles, Floats, Ints
from models.state import State


@dataclass(frozen=True)
class WordVectors:
    """Words with their weights and directions, learned from a catalogue; other titles are read likewise."""

    word: Ints  # (V,) hashes, ascending
    weight: Doubles  # (V,) log(I / df)
    direction: Doubles  # (V, D)

    @classmethod
    def fit(cls, titles: Ints, dim: int) -> Self:
        """From the words (I, W) of titles, hashes padded with -1, each once in a title."""
        from scipy.sparse.linalg import svds  # for fits alone

        word, count = np.unique(titles[titles >= 0], return_counts=True)
        word, count = word[count > 1], count[count > 1]
        weight = np.log(len(titles) / np.maximum(count, 1))
        found = cls(word, weight, np.zeros((len(word), dim)))
        matrix = found._matrix(titles)
        rank = min(dim, min(matrix.shape) - 1)
        if rank > 0:
            with threadpool_limits(1, "blas"):  # the order of sums is that of one thread
                _, _, directions = svds(matrix, k=rank, v0=np.ones(min(matrix.shape)))
            found.direction[:, :rank] = directions[::-1].T  # of the largest singular value first
        return found

    @classmethod
    def of(cls, state: State) -> Self:
        """Those that had this state."""
        return cls(state["word"], state["weight"], state["direction"])

    @property
    def state(self) -> State:
        """All that was learned, by name."""
        return {"word": self.word, "weight": self.weight, "direction": self.direction}

    def vectors(self, titles: Ints) -> Floats:
        """(I, D) of titles (I, W); nan for one without a word that is known."""
        matrix = self._matrix(titles)
        found: Floats = (matrix @ self.direction).astype(np.float32)
        found[np.diff(matrix.indptr) == 0] = np.nan
        return found

    def _matrix(self, titles: Ints) -> csr_array:
        """(I, V) TF-IDF of titles, each row of length 1."""
        position = np.searchsorted(self.word, titles)
        exists = np.append(self.word, -2)[position] == titles
        row, _ = np.nonzero(exists)
        column = position[exists]
        shape = len(titles), len(self.word)
        matrix = csr_array((self.weight[column], (row, column)), shape=shape)
        length = np.sqrt((matrix**2).sum(axis=1))
        return (diags_array(1 / np.maximum(length, np.finfo(np.float64).tiny)) @ matrix).tocsr()
