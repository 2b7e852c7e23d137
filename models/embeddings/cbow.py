"""Continuous bag of words (Mikolov et al. 2013, arXiv 1301.3781) that looks back, compiled.

The bag of a position in a sequence is the mean of the input vectors of the tokens before it, the k-th newest
weighing exp(-k / decay): the very vector of a history that asks for its next item. The bag h, the
token c that came next and k uniform noise tokens n give a step down

    -log sigmoid(h . y_c) - sum_n log sigmoid(-h . y_n)

Uniform noise leaves popularity in the score, see ``skip_gram``. One thread, so that two fits are equal.
"""

import numpy as np
from numba import njit
from pydantic import NonNegativeInt, PositiveInt

from models.bounds import Positive
from models.config import Config
from models.dataset import Floats, Ints, Longs
from models.embeddings.retrieval import HistoryConfig
from models.embeddings.skip_gram import FAST, TokenVectors, draw, first_vectors, push
from models.splitmix import GOLDEN, mix


class CbowConfig(Config):
    """Training of token vectors by continuous bags of words."""

    embedding_dim: PositiveInt = 64
    """Length of a token vector."""
    n_negatives: NonNegativeInt = 20
    """Noise tokens a position, uniform over the tokens that occur."""
    epochs: NonNegativeInt = 10
    """Passes over the sequences."""
    max_tokens: PositiveInt = 16_000_000
    """Tokens of all passes together, at most: of more there are fewer passes, but one."""
    learning_rate: Positive = 0.1
    """Step size at first; it falls linearly to a ten thousandth of that."""
    seed: int = 0
    """Seed of the first vectors and the noise."""


def cbow(
    token: Ints,
    indptr: Longs,
    n_tokens: int,
    history: HistoryConfig,
    config: CbowConfig = CbowConfig(),
    before: TokenVectors | None = None,
    warm_fraction: float = 1.0,
) -> TokenVectors:
    """Vectors of ``n_tokens`` tokens from the sequences ``token[indptr[s]:indptr[s + 1]]``, oldest first.

    From the vectors ``before`` of earlier sequences only this fraction of the passes is made, the last ones.
    """
    vocabulary, vectors = first_vectors(token, n_tokens, config.embedding_dim, config.seed, before)
    n_passes = passes(len(token), config)
    first = 0 if before is None else max(0, n_passes - max(1, round(n_passes * warm_fraction)))
    _train(
        token,
        indptr,
        vocabulary,
        vectors.input,
        vectors.output,
        np.exp(-np.arange(history.newest) / history.decay).astype(np.float32),
        config.n_negatives,
        first,
        n_passes,
        config.learning_rate,
        np.uint64(config.seed),
    )
    return vectors


def passes(n_tokens: int, config: CbowConfig) -> int:
    """Passes over so many tokens: as many as are wanted, or as ``max_tokens`` allow."""
    return min(config.epochs, max(1, config.max_tokens // max(1, n_tokens)))


@njit(cache=True, fastmath=FAST, nogil=True)
def _train(
    token: Ints,
    indptr: Longs,
    vocabulary: Ints,
    inputs: Floats,
    outputs: Floats,
    weight: Floats,
    n_negatives: int,
    first_epoch: int,
    epochs: int,
    learning_rate: float,
    seed: np.uint64,
) -> None:
    state = mix(seed + GOLDEN)
    bag = np.empty(inputs.shape[1], dtype=np.float32)
    step = np.empty(inputs.shape[1], dtype=np.float32)
    noise = np.empty(n_negatives, dtype=np.int32)
    for epoch in range(first_epoch, epochs):
        for sequence in range(len(indptr) - 1):
            begin, end = indptr[sequence], indptr[sequence + 1]
            for position in range(begin + 1, end):
                done = (epoch + position / len(token)) / epochs
                rate = np.float32(learning_rate * max(1e-4, 1 - done))
                size = min(len(weight), position - begin)
                total = weight[:size].sum()
                bag[:] = 0
                step[:] = 0
                for back in range(size):
                    _add(bag, weight[back] / total, inputs[token[position - 1 - back]])
                state = draw(noise, vocabulary, state)
                push(bag, token[position], outputs, noise, rate, step)
                for back in range(size):
                    _add(inputs[token[position - 1 - back]], weight[back] / total, step)


@njit(cache=True, fastmath=FAST, inline="always")
def _add(vector: Floats, weight: np.float32, other: Floats) -> None:
    for dim in range(len(vector)):
        vector[dim] += weight * other[dim]
