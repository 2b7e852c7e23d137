"""Drift, overlap and chance against definitions, and against samples drawn at random."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.stability import (
    change_by_chance,
    defect,
    log_deviations,
    overlap,
    psi,
    psi_by_chance,
    rank_biased_overlap,
)

COUNTS = st.integers(2, 8).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(0, 1000), min_size=n, max_size=n) for _ in range(2)))
)


@given(COUNTS)
def test_psi_is_the_sum_over_bins_of_the_definition(counts: tuple[list[int], list[int]]) -> None:
    before, after = counts
    n, total = len(before), 0.0
    for x, y in zip(before, after, strict=True):
        p = (x + 0.5) / (sum(before) + 0.5 * n)
        q = (y + 0.5) / (sum(after) + 0.5 * n)
        total += (q - p) * math.log(q / p)
    found = psi(np.array(before), np.array(after))
    assert found == pytest.approx(total, abs=1e-12)
    assert found == pytest.approx(psi(np.array(after), np.array(before)), abs=1e-12)
    assert psi(np.array(before), np.array(before)) == 0


def test_psi_of_two_samples_of_one_distribution_is_seldom_beyond_chance() -> None:
    rng = np.random.default_rng(0)
    p = np.array([0.1, 0.15, 0.2, 0.25, 0.3])
    found = [psi(rng.multinomial(2000, p), rng.multinomial(500, p)) for _ in range(4000)]
    assert np.quantile(found, 0.9) == pytest.approx(psi_by_chance(5, 2000, 500, 0.1), rel=0.1)
    assert np.mean(np.array(found) > psi_by_chance(5, 2000, 500)) < 0.003


@given(st.lists(st.tuples(*(st.sets(st.integers(0, 9), max_size=5) for _ in range(2))), min_size=1))
def test_overlap_is_that_of_sets(pairs: list[tuple[set[int], set[int]]]) -> None:
    before, after = (
        np.array([[*items, *[-1] * (5 - len(items))] for items in side]) for side in zip(*pairs, strict=True)
    )
    expected = [len(a & b) / max(len(a), len(b)) if a or b else math.nan for a, b in pairs]
    assert overlap(before, after).tolist() == pytest.approx(expected, nan_ok=True)


def agreement(before: list[int], after: list[int], depth: int) -> float:
    """The fraction of the first items that two lists have in common, also beyond their ends.

    There a list has as many more of the common items as it would at the rate of those it has.
    """
    longer, shorter = sorted((before, after), key=len, reverse=True)
    at = min(depth, len(longer))
    common = float(len(set(longer[:at]) & set(shorter[:at])))
    if at > len(shorter):
        common += len(set(longer[: len(shorter)]) & set(shorter)) / len(shorter) * (at - len(shorter))
    return common / at


RANKING = st.lists(st.integers(0, 9), max_size=6, unique=True)


@given(RANKING, RANKING, st.floats(0.3, 0.95))
def test_rank_biased_overlap_is_the_weighted_agreement_at_every_depth(
    before: list[int], after: list[int], persistence: float
) -> None:
    if not before or not after:
        expected = math.nan if before == after else 0.0
    else:
        depths = range(1, 1000)
        weights = [(1 - persistence) * persistence ** (depth - 1) for depth in depths]
        pairs = zip(weights, depths, strict=True)
        expected = sum(weight * agreement(before, after, depth) for weight, depth in pairs)
    rows = (np.array([[*items, *[-1] * (6 - len(items))]]) for items in (before, after))
    found = rank_biased_overlap(*rows, persistence)
    assert found.tolist() == pytest.approx([expected], abs=1e-9, nan_ok=True)


def test_rank_biased_overlap_by_hand() -> None:
    before = np.array([[1, 2], [1, 2], [1, 2]])
    after = np.array([[1, 2], [2, 1], [3, 4]])
    # Swapped: agreement 0 at rank 1, which has the weight 1 - p, and 1 from then on.
    assert rank_biased_overlap(before, after, 0.75).tolist() == pytest.approx([1, 0.75, 0])


def test_chance_alone_seldom_changes_a_mean_so_much() -> None:
    rng = np.random.default_rng(0)
    before, after = (rng.binomial(n, 0.1, 20_000) / n for n in (3000, 1000))
    most = [change_by_chance(one, 3000, other, 1000, 1.96) for one, other in zip(before, after, strict=True)]
    assert np.mean(np.abs(after - before) > most) == pytest.approx(0.05, abs=0.01)


def test_deviations_of_a_steady_source_and_of_one_that_jumps() -> None:
    steady, wild = np.full(28, 1e4), np.array([100.0, 1e4] * 14)
    assert log_deviations(steady, 1e4, 0.1) == 0
    assert log_deviations(steady, 5e3, 0.1) == pytest.approx(-math.log(2) / 0.1, rel=1e-3)
    assert abs(log_deviations(wild, 5e3, 0.1)) < 1


def test_states_that_cannot_be() -> None:
    good = {"weight.bias": np.zeros(3), "weight.out": np.ones(3), "mean": np.array([1.0, np.nan])}
    assert defect(good) is None
    assert defect({"counts": np.zeros(3)}) is None
    assert defect(good | {"weight.out": np.zeros(3)}) == "all weights are 0"
    assert "no finite" in str(defect(good | {"weight.out": np.array([1, np.inf])}))
    assert "ranker.0.weight.x" in str(defect({"ranker.0.weight.x": np.array([np.nan])}))
