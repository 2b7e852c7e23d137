"""Scores remembered from an earlier release, against a dictionary of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.candidates import Candidates
from models.rank.memory import averaged, earlier_scores

N_ITEMS = 12


def candidates(rng: np.random.Generator, n: int) -> Candidates:
    """Different items a query, with scores, some of the end padding."""
    item = np.stack([rng.permutation(N_ITEMS)[:n] for _ in range(5)]).astype(np.int32)
    padding = np.arange(n) >= rng.integers(0, n + 1, (5, 1))
    score = rng.normal(size=item.shape).astype(np.float32)
    return Candidates(np.where(padding, -1, item), np.where(padding, np.float32(-np.inf), score))


@given(seed=st.integers(0, 200), weight=st.floats(0, 0.99))
def test_scores_are_averaged_with_those_of_the_same_film_where_it_had_one(seed: int, weight: float) -> None:
    rng = np.random.default_rng(seed)
    now, before = candidates(rng, 7), candidates(rng, 9)
    earlier = earlier_scores(now.item, before, N_ITEMS)
    found = averaged(now.score, earlier, weight)
    for query in range(5):
        had = {
            int(i): float(s) for i, s in zip(before.item[query], before.score[query], strict=True) if i >= 0
        }
        for rank0, item in enumerate(now.item[query]):
            score = now.score[query, rank0]
            assert (item in had) == (not np.isnan(earlier[query, rank0]))
            expected = (1 - weight) * score + weight * had[item] if item in had else score
            np.testing.assert_allclose(found[query, rank0], expected, rtol=1e-5, atol=1e-6)
