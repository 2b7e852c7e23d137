"""Skip-gram with negative sampling (Mikolov et al. 2013, arXiv 1310.4546), compiled, for items and nodes.

For a token w and a token c of its window, k tokens n drawn as noise, it lowers

    -log sigmoid(x_w . y_c) - sum_n log sigmoid(-x_w . y_n)

by stochastic gradient steps, with an input vector x and an output vector y a token. Two choices differ from
the habits of text. Noise is uniform: then x_w . y_c tends to log P(c | w) plus a constant (Levy & Goldberg
2014), the score of c as the next item, while noise drawn by popularity takes popularity out of it
(Caselles-Dupré et al. 2018, arXiv 1804.04212, found the exponent to matter most for recommendation). And
the window may look ahead only, from an item to those that followed it.

One thread: lock-free threads would make two fits differ.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from models.dataset import Floats, Ints, Longs
from models.recall.splitmix import GOLDEN, below, mix

_FAST = {"reassoc", "contract", "nsz"}
"""Sums in any order, so that they are vectorised; infinities stay exact (a sigmoid may overflow)."""


@dataclass(frozen=True)
class SkipGramConfig:
    """How token vectors are trained."""

    dims: int = 64
    """Length of a vector."""
    window: int = 5
    """Tokens away at most; the reach of each step is uniform from 1 to this."""
    ahead_only: bool = True
    """Whether a token predicts only those after it; otherwise those before it as well."""
    negatives: int = 5
    """Noise tokens a pair, uniform over the tokens that occur."""
    epochs: int = 10
    """Passes over the sequences."""
    learning_rate: float = 0.05
    """First step size; falls linearly to a ten thousandth of it."""
    seed: int = 0
    """Seed of the first vectors, the windows and the noise."""


@dataclass(frozen=True)
class TokenVectors:
    """Input and output vectors of T tokens, zero for tokens that never occurred."""

    input: Floats  # (T, D)
    output: Floats  # (T, D)


def skip_gram(token: Ints, indptr: Longs, n_tokens: int, config: SkipGramConfig) -> TokenVectors:
    """Vectors of ``n_tokens`` tokens from the sequences ``token[indptr[s]:indptr[s + 1]]``."""
    occurs = np.bincount(token, minlength=n_tokens) > 0
    rng = np.random.default_rng(config.seed)
    first = rng.uniform(-0.5, 0.5, (n_tokens, config.dims)) / config.dims * occurs[:, None]
    vectors = TokenVectors(first.astype(np.float32), np.zeros_like(first, dtype=np.float32))
    _train(
        token,
        indptr,
        np.flatnonzero(occurs).astype(np.int32),
        vectors.input,
        vectors.output,
        config.window,
        config.ahead_only,
        config.negatives,
        config.epochs,
        config.learning_rate,
        np.uint64(config.seed),
    )
    return vectors


@njit(cache=True, fastmath=_FAST)
def _train(
    token: Ints,
    indptr: Longs,
    vocabulary: Ints,
    inputs: Floats,
    outputs: Floats,
    window: int,
    ahead_only: bool,
    negatives: int,
    epochs: int,
    learning_rate: float,
    seed: np.uint64,
) -> None:
    state = mix(seed + GOLDEN)
    step = np.empty(inputs.shape[1], dtype=np.float32)
    for epoch in range(epochs):
        for sequence in range(len(indptr) - 1):
            begin, end = indptr[sequence], indptr[sequence + 1]
            for place in range(begin, end):
                done = (epoch + place / len(token)) / epochs
                rate = np.float32(learning_rate * max(1e-4, 1 - done))
                state += GOLDEN
                reach = 1 + below(mix(state), window)
                target = token[place]
                last = place if ahead_only else min(end, place + reach + 1)
                for other in range(max(begin, place - reach), last):
                    if other == place:
                        continue
                    source = inputs[token[other]]
                    step[:] = 0
                    _pull(source, outputs[target], step, np.float32(1), rate)
                    for _ in range(negatives):
                        state += GOLDEN
                        noise = vocabulary[below(mix(state), len(vocabulary))]
                        if noise != target:
                            _pull(source, outputs[noise], step, np.float32(0), rate)
                    source += step


@njit(cache=True, fastmath=_FAST, inline="always")
def _pull(source: Floats, output: Floats, step: Floats, label: np.float32, rate: np.float32) -> None:
    """One logistic step on source . output: moves the output, adds the move of the source to ``step``."""
    logit = np.float32(0)
    for dim in range(len(source)):
        logit += source[dim] * output[dim]
    gradient = rate * (label - np.float32(1) / (np.float32(1) + np.exp(-logit)))
    for dim in range(len(source)):
        step[dim] += gradient * output[dim]
        output[dim] += gradient * source[dim]
