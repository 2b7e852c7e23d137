"""Candidates that ranking had to choose from and did not publish."""

import numpy as np

from models.candidates import Candidates
from models.pipeline.stages import rejected


def of(*items: list[int]) -> Candidates:
    """Lists with scores that nobody reads."""
    item = np.array(items, dtype=np.int32)
    return Candidates(item, np.where(item < 0, -np.inf, 1.0).astype(np.float32))


def test_rejected_is_the_pool_without_what_is_published_list_by_list() -> None:
    pool = of([4, 1, 2], [4, 3, 0])
    left = rejected(pool, of([1, 2], [4, -1]))  # a list shorter than the others
    assert left.item.tolist() == [[4, -1, -1], [-1, 3, 0]]
    assert np.isfinite(left.score).tolist() == (left.item >= 0).tolist()
