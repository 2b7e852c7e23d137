"""Skip-gram with negative sampling (Mikolov et al. 2013, arXiv 1310.4546), compiled.

For a token w and a token c of its window, k tokens n drawn as noise, it lowers

    -log sigmoid(x_w . y_c) - sum_n log sigmoid(-x_w . y_n)

by stochastic gradient steps, with an input vector x and an output vector y a token. Noise is uniform, which
differs from the habits of text: then x_w . y_c tends to log P(c | w) plus a constant (Levy & Goldberg 2014),
while noise drawn by popularity takes popularity out of the score (Caselles-Dupré et al. 2018, arXiv
1804.04212, found the exponent of the noise to matter most for recommendation). All pairs of a token c at one
position have the same noise (Ji et al. 2016, arXiv 1604.04661): of large vocabularies that is a third of the
vectors to fetch from memory.

One thread: lock-free threads would make two fits differ.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from pydantic import NonNegativeInt, PositiveInt

from models.bounds import Positive
from models.config import Config
from models.dataset import Floats, Ints, Longs
from models.splitmix import GOLDEN, below, mix

FAST = {"reassoc", "contract", "nsz"}
"""Sums in any order, so that they are vectorised; infinities stay exact (a sigmoid may overflow)."""


class SkipGramConfig(Config):
    """Training of token vectors by skip-gram with negative sampling."""

    embedding_dim: PositiveInt = 64
    """Length of a token vector."""
    window: PositiveInt = 5
    """Largest distance of a pair, in tokens; the reach of each step is uniform from 1 to this."""
    n_negatives: NonNegativeInt = 8
    """Noise tokens a position, uniform over the tokens that occur."""
    epochs: NonNegativeInt = 1
    """Passes over the sequences."""
    learning_rate: Positive = 0.05
    """Step size at first; it falls linearly to a ten thousandth of that."""
    seed: int = 0
    """Seed of the first vectors, the windows and the noise."""


@dataclass(frozen=True)
class TokenVectors:
    """Input and output vectors of T tokens, zero for tokens that never occurred."""

    input: Floats  # (T, D)
    output: Floats  # (T, D)


def skip_gram(
    token: Ints,
    indptr: Longs,
    n_tokens: int,
    config: SkipGramConfig,
    before: TokenVectors | None = None,
    warm_fraction: float = 1.0,
) -> TokenVectors:
    """Vectors of ``n_tokens`` tokens from the sequences ``token[indptr[s]:indptr[s + 1]]``.

    From the vectors ``before`` of earlier sequences, the steps are those of this fraction of it, its end.
    """
    vocabulary, vectors = first_vectors(token, n_tokens, config.embedding_dim, config.seed, before)
    _train(
        token,
        indptr,
        vocabulary,
        vectors.input,
        vectors.output,
        config.window,
        config.n_negatives,
        config.epochs,
        config.learning_rate * (1 if before is None else warm_fraction),
        np.uint64(config.seed),
    )
    return vectors


def first_vectors(
    token: Ints, n_tokens: int, embedding_dim: int, seed: int, before: TokenVectors | None = None
) -> tuple[Ints, TokenVectors]:
    """The tokens that occur, and vectors before training: those of ``before``, else small random inputs.

    Outputs are zero at first. Tokens without a vector in ``before`` have zeros there.
    """
    occurs = np.bincount(token, minlength=n_tokens) > 0
    shape = n_tokens, embedding_dim
    inputs = np.random.default_rng(seed).uniform(-0.5, 0.5, shape) / embedding_dim * occurs[:, None]
    vectors = TokenVectors(inputs.astype(np.float32), np.zeros(shape, dtype=np.float32))
    if before is not None:
        trained = occurs & before.input.any(axis=1)
        vectors.input[trained], vectors.output[trained] = before.input[trained], before.output[trained]
    return np.flatnonzero(occurs).astype(np.int32), vectors


@njit(cache=True, fastmath=FAST, nogil=True)
def _train(
    token: Ints,
    indptr: Longs,
    vocabulary: Ints,
    inputs: Floats,
    outputs: Floats,
    window: int,
    n_negatives: int,
    epochs: int,
    learning_rate: float,
    seed: np.uint64,
) -> None:
    state = mix(seed + GOLDEN)
    step = np.empty(inputs.shape[1], dtype=np.float32)
    noise = np.empty(n_negatives, dtype=np.int32)
    for epoch in range(epochs):
        for sequence in range(len(indptr) - 1):
            begin, end = indptr[sequence], indptr[sequence + 1]
            for position in range(begin, end):
                done = (epoch + position / len(token)) / epochs
                rate = np.float32(learning_rate * max(1e-4, 1 - done))
                state += GOLDEN
                reach = 1 + below(mix(state), window)
                target = token[position]
                state = draw(noise, vocabulary, state)
                for other in range(max(begin, position - reach), min(end, position + reach + 1)):
                    if other != position:
                        source = inputs[token[other]]
                        step[:] = 0
                        push(source, target, outputs, noise, rate, step)
                        source += step


@njit(cache=True)
def draw(noise: Ints, vocabulary: Ints, state: np.uint64) -> np.uint64:
    """Fill ``noise`` with tokens drawn uniformly; returns the state of the random stream."""
    for number in range(len(noise)):
        state += GOLDEN
        noise[number] = vocabulary[below(mix(state), len(vocabulary))]
    return state


@njit(cache=True, fastmath=FAST)
def push(source: Floats, target: int, outputs: Floats, noise: Ints, rate: np.float32, step: Floats) -> None:
    """One step of ``source`` towards its target and away from noise.

    Moves the outputs and adds the move of the source to ``step``.
    """
    _logistic_step(source, outputs[target], np.float32(1), rate, step)
    for token in noise:
        if token != target:
            _logistic_step(source, outputs[token], np.float32(0), rate, step)


@njit(cache=True, fastmath=FAST, inline="always")
def _logistic_step(source: Floats, output: Floats, label: np.float32, rate: np.float32, step: Floats) -> None:
    logit = np.float32(0)
    for dim in range(len(source)):
        logit += source[dim] * output[dim]
    gradient = rate * (label - np.float32(1) / (np.float32(1) + np.exp(-logit)))
    for dim in range(len(source)):
        step[dim] += gradient * output[dim]
        output[dim] += gradient * source[dim]
