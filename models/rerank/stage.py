"""The re-ranking stage: lists chosen from ranked pools."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models import merge
from models.candidates import Candidates
from models.dataset import DAY, Dataset, Doubles, Floats, Ints, Longs, Mask, Queries
from models.merge import Merged
from models.rerank.config import RerankConfig
from models.rerank.greedy import Aims, Traits, choose, genre_mix
from models.rerank.prices import fit_prices
from models.rerank.traits import FRESH, traits_of
from models.splitmix import GOLDEN, mix, unit
from models.state import State

PRICE = "price"
"""Name of the prices in the state."""


@dataclass(frozen=True)
class Reranking:
    """A re-ranking stage: equal pools get equal lists, each query's for itself."""

    config: RerankConfig
    traits: Traits
    price: Floats  # (I,) in log odds
    seed: int

    @property
    def fresh(self) -> Mask:
        """(I,) the items that serve the quota of fresh ones."""
        fresh: Mask = self.traits.serves[:, FRESH]
        return fresh

    @property
    def state(self) -> State:
        """All that was fitted, by name."""
        return {PRICE: self.price}

    def lists(self, ranked: Merged, queries: Queries, n: int) -> Merged:
        """The n films that make the best lists, from the first ``pool`` of each ranked list.

        Scores are those of ranking, of single films: they need not fall along the list. Users without a
        history keep theirs: all of them have the same one, which knows nothing of them. A pool has
        as many fresh films as their quota asks for, if need be from beyond its end.
        """
        pool = self._pool(ranked, queries, n)
        order = drawn(pool.candidates.item, queries, self.config.band, self.seed)
        item = np.take_along_axis(pool.candidates.item, order, axis=1)
        weight = score_weights(queries, self.config.absence, self.config.least_weight)
        score = weight[:, None] * pool.candidates.score - self.price[item]
        mix = genre_mix(queries, self.traits.genres)
        chosen = choose(item, score, mix, self.traits, aims_of(self.config), n)
        column = np.where(chosen >= 0, np.take_along_axis(order, np.maximum(chosen, 0), axis=1), -1)
        column = np.where((queries.end > queries.start)[:, None], column, np.arange(n))
        found = pool.candidates
        return Merged(
            Candidates(
                _at(found.item, column, np.int32(-1)),
                _at(found.score, column, np.float32(-np.inf)),
            ),
            _at(pool.channels, column, np.int64(0)),
        )

    def _pool(self, ranked: Merged, queries: Queries, n: int) -> Merged:
        """The candidates of each list of n, with the fresh ones that its quota asks for."""
        pool, wanted = merge.first(ranked, max(self.config.pool, n)), fresh_wanted(self.config, n)
        if not wanted:
            return pool
        # Those among the first n may all be chosen for one page.
        reserve = merge.first_among(ranked, self.fresh, wanted, n)
        reserve.candidates.item[queries.end == queries.start] = -1
        return merge.with_least(pool, reserve, self.fresh, wanted, n)

    def priced(self, ranked: Merged, queries: Queries) -> "Reranking":
        """The same with prices that keep the cap on the lists of these users, from their ranked pools.

        They begin with the prices of now, so that lists change no more than they must.
        """

        def pages(price: Floats) -> Ints:
            return replace(self, price=price).lists(ranked, queries, self.config.page_size).candidates.item

        return replace(self, price=fit_prices(pages, self.price, self.config.cap.fraction))


def new_reranking(
    config: RerankConfig, log: Dataset, vectors: Floats | None, seed: int, price: Floats | None = None
) -> Reranking:
    """A stage with the prices (I,) of an earlier one, or without any."""
    free = np.zeros(log.n_items, dtype=np.float32)
    return Reranking(config, traits_of(config, log, vectors), free if price is None else price, seed)


def fresh_wanted(config: RerankConfig, n: int) -> int:
    """Fresh films that the pages of a list of n must have."""
    return config.quotas.fresh * math.ceil(n / config.page_size)


def score_weights(queries: Queries, absence: float, least: float) -> Doubles:
    """(B,) the weight of a user's scores: 1 / (1 + days since the newest event / absence), and ``least``.

    The longer a user is away, the less the scores say of what the user will want, and the less likely it is
    that anybody looks: diversity and the cap cost least there. Without a history the weight is 1.
    """
    newest = queries.log.at[np.maximum(queries.end - 1, 0)]
    days = np.where(queries.end > queries.start, np.maximum(queries.at - newest, 0) / DAY, 0.0)
    return least + (1 - least) / (1 + days / absence)


def aims_of(config: RerankConfig) -> Aims:
    """The configuration as the choice of films reads it."""
    return Aims(
        config.method == "dpp",
        config.diversity,
        config.window,
        config.calibration,
        config.alpha,
        config.rules.window,
        np.array([config.quotas.fresh, config.quotas.long_tail], dtype=np.int32),
        config.page_size,
    )


def drawn(item: Ints, queries: Queries, band: int, seed: int) -> Longs:
    """(B, M) an order of the candidates (B, M): at random within bands of so many; padding stays at the end.

    Drawn as ``random_keys`` says: another release draws anew, the same one does not.
    """
    rows, width = item.shape
    if band == 1:
        return np.tile(np.arange(width), (rows, 1))
    key = random_keys(queries, width, seed)
    key[item < 0] = 1.0  # above all that is drawn
    return np.argsort(np.arange(width) // band + key * (1 - 2.0**-20), axis=1, kind="stable")


def random_keys(queries: Queries, width: int, seed: int) -> Doubles:
    """(B, width) numbers of [0, 1) by the seed, the user, the time of the query and the end of the log."""
    return _random_keys(queries.user_idx, queries.at, queries.log.as_of, width, seed)


@njit(cache=True)
def _random_keys(user_idx: Ints, at: Longs, as_of: int, width: int, seed: int) -> Doubles:
    key = np.empty((len(user_idx), width))
    for row in range(len(user_idx)):
        state = mix(mix(np.uint64(seed) + GOLDEN) + np.uint64(user_idx[row]))
        state = mix(mix(state + np.uint64(at[row])) + np.uint64(as_of))
        for column in range(width):
            state += GOLDEN
            key[row, column] = unit(mix(state))
    return key


def _at(values: NDArray[Any], column: Longs, nothing: np.generic) -> NDArray[Any]:
    """(B, n) the values at columns, and something for -1."""
    return np.where(column >= 0, np.take_along_axis(values, np.maximum(column, 0), axis=1), nothing)
