"""Lists film by film against formulas written down naively: determinants, maxima, divergences."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.dataset import Doubles, Floats, Ints
from models.rerank.greedy import JITTER, Aims, Traits, choose

N_ITEMS, N_DIMS, N_GENRES = 40, 6, 5

PLAIN = Aims(False, 0.0, 3, 0.0, 0.01, 4, np.zeros(0, dtype=np.int32), 5)
"""Nothing but scores."""


@dataclass(frozen=True)
class Case:
    """Candidates of some queries."""

    item: Ints
    score: Doubles
    mix: Doubles
    traits: Traits


def case(seed: int, *, n_queries: int = 3, width: int = 12) -> Case:
    rng = np.random.default_rng(seed)
    item = np.stack([rng.permutation(N_ITEMS)[:width] for _ in range(n_queries)]).astype(np.int32)
    item[0, width - 2 :] = -1  # a short pool
    score = -np.sort(-rng.normal(size=item.shape), axis=1)
    vectors = rng.normal(size=(N_ITEMS, N_DIMS))
    vectors[3] = 0  # nothing is known of it
    vectors[5] = vectors[4]  # a double
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0).astype(np.float32)
    has = rng.random((N_ITEMS, N_GENRES)) < 0.4
    genres = (has / np.maximum(has.sum(axis=1, keepdims=True), 1)).astype(np.float32)
    mix = rng.dirichlet(np.full(N_GENRES, 0.5), n_queries)
    groups = np.where(rng.random((N_ITEMS, 2)) < 0.8, rng.integers(0, 4, (N_ITEMS, 2)), -1).astype(np.int32)
    groups[groups[:, 0] == groups[:, 1], 1] = -1  # in a group once
    limits = np.array([1, 2, 1, 3], dtype=np.int32)
    serves = rng.random((N_ITEMS, 2)) < 0.2
    return Case(item, score, mix, Traits(unit, groups, limits, serves, genres))


def without_rules(traits: Traits) -> Traits:
    nothing = np.full((N_ITEMS, 1), -1, dtype=np.int32), np.zeros(0, dtype=np.int32)
    return Traits(traits.vectors, *nothing, np.zeros((N_ITEMS, 0), dtype=np.bool_), traits.genres)


def diversity(vectors: Floats, window: list[int], film: int, dpp: bool) -> float:
    """D(i | L) as the papers have it."""
    if not window:
        return 0.0
    v = vectors.astype(np.float64)
    if not dpp:
        return -float(max(v[film] @ v[other] for other in window))

    def log_det(films: list[int]) -> float:
        kernel = (1 - JITTER) * v[films] @ v[films].T
        np.fill_diagonal(kernel, 1.0)
        return float(np.linalg.slogdet(kernel)[1])

    return log_det([*window, film]) - log_det(window)


def divergence(p: Doubles, q: Doubles, alpha: float) -> float:
    """KL(p, q) with q smoothed by p."""
    smooth = (1 - alpha) * q + alpha * p
    return float(sum(a * np.log(a / b) for a, b in zip(p, smooth, strict=True) if a > 0))


def by_hand(one: Case, aims: Aims, n: int) -> list[list[int]]:
    """The columns that ``choose`` shall find, query by query, film by film, candidate by candidate."""
    lists = []
    for row, pool in enumerate(one.item):
        films = [int(film) for film in pool if film >= 0]
        chosen: list[int] = []
        length = min(n, len(films))
        while len(chosen) < length:
            at = len(chosen)
            page = [films[c] for c in chosen[at // aims.page_size * aims.page_size :]]
            have = one.traits.serves[page].sum(axis=0) if page else np.zeros(len(aims.quotas))
            missing = np.maximum(aims.quotas - have, 0)
            left = min(length, (at // aims.page_size + 1) * aims.page_size) - at
            due = missing.sum() > 0 and missing.sum() >= left
            recent = [films[c] for c in chosen][-aims.window :]
            ruled = [films[c] for c in chosen][-(aims.rule_window - 1) :] if aims.rule_window > 1 else []
            keys = []
            for column in range(len(films)):
                if column in chosen:
                    continue
                film = films[column]
                groups = [g for g in one.traits.groups[film] if g >= 0]
                broken = sum(
                    sum(g in one.traits.groups[other] for other in ruled) >= one.traits.limits[g]
                    for g in groups
                )
                broken += bool(due) and not (one.traits.serves[film] & (missing > 0)).any()
                listed = [films[c] for c in chosen] + [film]
                q = one.traits.genres[listed].astype(np.float64).sum(axis=0) / len(listed)
                gain = one.score[row, column]
                if aims.diversity:
                    gain += aims.diversity * diversity(one.traits.vectors, recent, film, aims.dpp)
                if aims.calibration:
                    gain -= aims.calibration * divergence(one.mix[row], q, aims.alpha)
                keys.append((broken, -gain, column))
            chosen.append(min(keys)[2])
        lists.append(chosen + [-1] * (n - length))
    return lists


def but(aims: Aims, **changes: object) -> Aims:
    return Aims(**{**vars(aims), **changes})  # type: ignore[arg-type]


def test_scores_alone_are_the_order_of_the_pool() -> None:
    one = case(0)
    expected = np.tile(np.arange(8), (3, 1))
    np.testing.assert_array_equal(
        choose(one.item, one.score, one.mix, without_rules(one.traits), PLAIN, 8), expected
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    dpp=st.booleans(),
    weight=st.sampled_from([0.3, 1.0, 4.0]),
    window=st.integers(1, 14),
)
def test_diversity_is_that_of_the_papers(seed: int, dpp: bool, weight: float, window: int) -> None:
    one = case(seed)
    free = Case(one.item, one.score, one.mix, without_rules(one.traits))
    aims = but(PLAIN, dpp=dpp, diversity=weight, window=window)
    found = choose(one.item, one.score, one.mix, free.traits, aims, 12)
    assert found.tolist() == by_hand(free, aims, 12)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), weight=st.sampled_from([0.5, 5.0]), alpha=st.sampled_from([0.01, 0.3]))
def test_calibration_is_that_of_the_paper(seed: int, weight: float, alpha: float) -> None:
    one = case(seed)
    free = Case(one.item, one.score, one.mix, without_rules(one.traits))
    aims = but(PLAIN, calibration=weight, alpha=alpha)
    assert choose(one.item, one.score, one.mix, free.traits, aims, 12).tolist() == by_hand(free, aims, 12)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rule_window=st.integers(1, 6),
    quotas=st.tuples(st.integers(0, 3), st.integers(0, 2)),
    page_size=st.integers(1, 6),
    dpp=st.booleans(),
)
def test_rules_and_quotas_come_first_and_give_way_one_by_one(
    seed: int, rule_window: int, quotas: tuple[int, int], page_size: int, dpp: bool
) -> None:
    one = case(seed)
    aims = Aims(dpp, 0.5, 3, 1.0, 0.05, rule_window, np.array(quotas, dtype=np.int32), page_size)
    assert choose(one.item, one.score, one.mix, one.traits, aims, 10).tolist() == by_hand(one, aims, 10)


@pytest.mark.parametrize("dpp", [False, True])
def test_a_query_alone_gets_the_list_that_it_gets_among_many(dpp: bool) -> None:
    one = case(1, n_queries=150)
    aims = Aims(dpp, 1.0, 4, 0.5, 0.01, 3, np.array([1, 1], dtype=np.int32), 5)
    together = choose(one.item, one.score, one.mix, one.traits, aims, 10)
    for row in (0, 63, 64, 149):
        alone = slice(row, row + 1)
        found = choose(one.item[alone], one.score[alone], one.mix[alone], one.traits, aims, 10)
        np.testing.assert_array_equal(found[0], together[row])
