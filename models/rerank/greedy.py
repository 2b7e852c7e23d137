"""Lists chosen film by film, each for what it adds to those before it.

The next film of a list L is the candidate with the highest

    score(i) - price(i) + diversity D(i | L) - calibration KL(p, q(L + i)).

Scores are log odds, so the two weights say what log odds a unit is worth. D looks at the last ``window``
films W of L alone, whose similarities S are inner products of unit vectors:

    mmr   -max over j in W of S(i, j)            Carbonell & Goldstein 1998, https://doi.org/10.1145/290941.291025
    dpp   log det S(W + i) - log det S(W)        Chen, Zhang & Zhou 2018, https://arxiv.org/abs/1709.05135

Both papers weigh relevance by lambda or theta and diversity by what is left to 1: here their ratio is
``diversity``. A determinantal process with kernel q(i) S(i, j) q(j) and q = exp(score / 2 diversity) has the
sum of scores and of log determinants as its log likelihood, and the fast greedy algorithm chooses by exactly
this gain: a Cholesky factor grows by a row a film; as the window leaves a film behind, Givens rotations take
it out. S is shrunk by JITTER off the diagonal, so that no film is impossible beside its double.

KL(p, q) = sum of p log(p / ((1 - alpha) q + alpha p)) is the calibration of Steck 2018
(https://doi.org/10.1145/3240323.3240372): p is the mix of genres of the history, q that of the list.

Rules and quotas come before all of this: of the candidates, those that break the fewest of them are compared.
A film breaks a rule if one of its groups is full in the window of rules, and the quotas if it serves none
that is missing while the page has no more positions than are missing.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit, prange

from models.dataset import Doubles, Floats, Ints, Longs, Mask, Queries

QUERIES = 64
"""Queries that share scratch arrays."""

JITTER = 0.01
"""Fraction by which similarities are shrunk for determinants: a double of a film adds log(2 JITTER) or so."""


@dataclass(frozen=True)
class Traits:
    """All that is known of I items beside scores."""

    vectors: Floats  # (I, D) of length 1 or 0
    groups: Ints  # (I, K) numbers of the groups that rules are about, padded with -1
    limits: Ints  # (G,) films of each group in a window of rules at most
    serves: Mask  # (I, Q) the quotas that an item serves
    genres: Floats  # (I, H) each row sums to 1, or to 0 for an item without genres


@dataclass(frozen=True)
class Aims:
    """The weights and sizes that lists are chosen by."""

    dpp: bool
    diversity: float
    window: int
    calibration: float
    alpha: float
    rule_window: int
    quotas: Ints  # (Q,) films on each page at least
    page_size: int


def choose(item: Ints, score: Doubles, mix: Doubles, traits: Traits, aims: Aims, n: int) -> Ints:
    """(B, n) columns of the chosen candidates, best first, padded with -1.

    Candidates ``item`` (B, M) are padded with -1 at the end; of equal gains the first is taken. ``score``
    (B, M) is less the price; ``mix`` (B, H) are the users' genres, which sum to 1, or to 0 for none.
    """
    of_items = traits.vectors, traits.groups, traits.limits, traits.serves, traits.genres
    weights = aims.dpp, aims.diversity, aims.window, aims.calibration, aims.alpha
    counts = aims.rule_window, aims.quotas, aims.page_size
    return _choose(item, score, mix, of_items, weights, counts, n)


def genre_mix(queries: Queries, genres: Floats) -> Doubles:
    """(B, H) the mean of the genres (I, H) of each history, scaled to sum to 1; 0 without any."""
    return _genre_mix(queries.start, queries.end, queries.log.item_idx, genres)


@njit(parallel=True, cache=True)
def _genre_mix(start: Longs, end: Longs, log_item: Ints, genres: Floats) -> Doubles:
    mix = np.zeros((len(start), genres.shape[1]))
    for row in prange(len(start)):
        for event in range(start[row], end[row]):
            mix[row] += genres[log_item[event]]
        total = mix[row].sum()
        if total > 0:
            mix[row] /= total
    return mix


@njit(parallel=True, cache=True)
def _choose(
    item: Ints, score: Doubles, mix: Doubles, of_items: Any, weights: Any, counts: Any, n: int
) -> Ints:
    vectors, groups, limits, serves, genres = of_items
    dpp, diversity, window, calibration, alpha = weights
    rule_window, quotas, page_size = counts
    rows, width = item.shape
    n_dims, n_genres = vectors.shape[1], genres.shape[1]
    chosen = np.full((rows, n), -1, dtype=np.int32)
    for chunk in prange((rows + QUERIES - 1) // QUERIES):
        vector = np.empty((n_dims, width), dtype=np.float32)
        near = np.empty((window, width))  # MMR: similarities to the window; DPP: rows of its Cholesky factor
        factor = np.empty((window, window))
        distance = np.empty(width)
        alike = np.empty(width, dtype=np.float32)
        in_window = np.zeros(len(limits), dtype=np.int32)
        taken = np.empty(width, dtype=np.bool_)
        have = np.empty(len(quotas), dtype=np.int32)
        listed = np.empty(n_genres)
        base = np.empty(n_genres)
        for row in range(chunk * QUERIES, min((chunk + 1) * QUERIES, rows)):
            size = 0
            while size < width and item[row, size] >= 0:
                size += 1
            taken[:], listed[:], have[:], in_window[:] = False, 0.0, 0, 0
            distance[:] = 1.0 if dpp else 0.0
            if diversity > 0:
                for i in range(size):
                    for d in range(n_dims):
                        vector[d, i] = vectors[item[row, i], d]
            n_near = 0
            length = min(n, size)
            for position in range(length):
                if position % page_size == 0:
                    have[:] = 0
                missing = 0
                for q in range(len(quotas)):
                    missing += max(0, quotas[q] - have[q])
                page_end = min(length, (position // page_size + 1) * page_size)
                due = missing > 0 and missing >= page_end - position
                weight = (1 - alpha) / (position + 1)
                if calibration > 0:
                    base[:] = weight * listed + alpha * mix[row]
                best, fewest, most = -1, 0, 0.0
                for i in range(size):
                    if taken[i]:
                        continue
                    film = item[row, i]
                    broken = _broken(groups[film], in_window, limits)
                    if due:
                        broken += _serves_none(serves[film], have, quotas)
                    gain = score[row, i]
                    if diversity > 0:
                        gain += diversity * (np.log(distance[i]) if dpp else -distance[i])
                    if calibration > 0:
                        gain += calibration * _closer(mix[row], base, weight, genres[film])
                    if best < 0 or broken < fewest or (broken == fewest and gain > most):
                        best, fewest, most = i, broken, gain
                chosen[row, position], taken[best] = best, True
                film = item[row, best]
                listed += genres[film]
                for q in range(len(quotas)):
                    have[q] += serves[film, q]
                _count(groups[film], in_window, 1)
                if position + 1 >= rule_window:
                    _count(groups[item[row, chosen[row, position + 1 - rule_window]]], in_window, -1)
                if diversity > 0 and position + 1 < length:
                    _similarities(vector, best, size, alike)
                    if dpp:
                        if n_near == window:
                            _forget(near, factor, distance, size)
                            n_near -= 1
                        _factorise(near, factor, distance, alike, best, n_near, size)
                        n_near += 1
                    else:
                        near[position % window, :size] = alike[:size]
                        n_near = min(n_near + 1, window)
                        for i in range(size):
                            distance[i] = near[0, i]
                            for k in range(1, n_near):
                                distance[i] = max(distance[i], near[k, i])
    return chosen


@njit(cache=True, inline="always")
def _broken(groups: Ints, in_window: Ints, limits: Ints) -> int:
    """The number of groups of a film that are full."""
    broken = 0
    for group in groups:
        if group >= 0 and in_window[group] >= limits[group]:
            broken += 1
    return broken


@njit(cache=True, inline="always")
def _serves_none(serves: Mask, have: Ints, quotas: Ints) -> int:
    """0 if a film serves a quota that is missing, else 1."""
    for q in range(len(quotas)):
        if serves[q] and have[q] < quotas[q]:
            return 0
    return 1


@njit(cache=True, inline="always")
def _count(groups: Ints, in_window: Ints, change: int) -> None:
    for group in groups:
        if group >= 0:
            in_window[group] += change


@njit(cache=True, inline="always")
def _closer(mix: Doubles, base: Doubles, weight: float, genres: Floats) -> float:
    """The divergence of ``base``, the mix of a list one film longer without that film, less that with it."""
    total = 0.0
    for g in range(len(mix)):
        if genres[g] > 0 and mix[g] > 0:
            total += mix[g] * np.log(1 + weight * genres[g] / base[g])
    return total


@njit(cache=True)
def _similarities(vector: Floats, chosen: int, size: int, alike: Floats) -> None:
    """Inner products of the chosen candidate with all, by dimension, so that the inner loop is vectorised."""
    alike[:size] = 0.0
    for d in range(len(vector)):
        weight = vector[d, chosen]
        for i in range(size):
            alike[i] += weight * vector[d, i]


@njit(cache=True)
def _factorise(
    near: Doubles, factor: Doubles, distance: Doubles, alike: Floats, chosen: int, m: int, size: int
) -> None:
    """Add the chosen film to the factor of m films; ``distance`` is what a candidate multiplies det S by."""
    root = np.sqrt(distance[chosen])
    for k in range(m):
        factor[m, k] = near[k, chosen]
    factor[m, m] = root
    row = near[m]
    for i in range(size):
        row[i] = (1 - JITTER) * alike[i]
    for k in range(m):
        weight = near[k, chosen]
        for i in range(size):
            row[i] -= weight * near[k, i]
    for i in range(size):
        row[i] /= root
        # A chosen film is no candidate any more: only its own logarithm could be of 0.
        distance[i] = max(distance[i] - row[i] * row[i], 1e-12)


@njit(cache=True)
def _forget(near: Doubles, factor: Doubles, distance: Doubles, size: int) -> None:
    """Take the oldest of a full window out of the factor: rotate its column into the others, up to a rest."""
    m = len(factor)
    for k in range(1, m):
        length = np.hypot(factor[k, k], factor[k, 0])
        cosine, sine = factor[k, k] / length, factor[k, 0] / length
        for r in range(k, m):
            left, gone = factor[r, k], factor[r, 0]
            factor[r, k], factor[r, 0] = cosine * left + sine * gone, cosine * gone - sine * left
        for i in range(size):
            left, gone = near[k, i], near[0, i]
            near[k, i], near[0, i] = cosine * left + sine * gone, cosine * gone - sine * left
    for i in range(size):
        distance[i] += near[0, i] * near[0, i]
    for k in range(1, m):
        near[k - 1, :size] = near[k, :size]
        factor[k - 1, : m - 1] = factor[k, 1:]
