"""Metrics against closed forms, brute force, and ranx."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranx import Qrels, Run, evaluate

from models.evaluation.metrics import ACCURACY, target_ranks
from models.evaluation.split import Targets, offsets
from models.recall.contract import Candidates

N_ITEMS = 40


def lists(*rows: list[int]) -> Candidates:
    item = np.array(rows, dtype=np.int32)
    return Candidates(item, np.where(item >= 0, -np.arange(item.shape[1], dtype=np.float32), -np.inf))


def answers(*rows: list[int]) -> Targets:
    count = np.array([len(row) for row in rows])
    return Targets(offsets(count), np.concatenate(rows).astype(np.int32))


@st.composite
def ranked(draw: Callable[..., object]) -> tuple[Candidates, Targets]:
    """Lists without repetition, some padded, and their targets."""
    seed, n_queries, n = draw(st.integers(0, 2**32)), draw(st.integers(1, 8)), draw(st.integers(1, 20))
    rng = np.random.default_rng(seed)
    item = np.stack([rng.permutation(N_ITEMS)[:n] for _ in range(n_queries)])
    item[np.arange(n) >= rng.integers(0, n + 1, n_queries)[:, None]] = -1
    wanted = [list(rng.permutation(N_ITEMS)[: rng.integers(1, 25)]) for _ in range(n_queries)]
    return lists(*item.tolist()), answers(*wanted)


RANX = {
    "hr": "hit_rate",
    "ndcg": "ndcg",
    "recall": "recall",
    "precision": "precision",
    "mrr": "mrr",
    "map": "map",
}


@pytest.mark.parametrize("name", ACCURACY)
@settings(max_examples=25, deadline=None)
@given(case=ranked(), k=st.integers(1, 25))
def test_agrees_with_ranx(name: str, case: tuple[Candidates, Targets], k: int) -> None:
    candidates, targets = case
    queries = [f"q{b}" for b in range(len(targets))]
    split = np.split(targets.item, targets.indptr[1:-1])
    qrels = Qrels({q: {str(i): 1 for i in items} for q, items in zip(queries, split, strict=True)})
    # A query with an empty list must still be in the run: give it a document that nobody wants.
    run = Run(
        {
            q: {str(i): float(-place) for place, i in enumerate(row) if i >= 0} or {"nothing": 0.0}
            for q, row in zip(queries, candidates.item.tolist(), strict=True)
        }
    )
    ours = ACCURACY[name](target_ranks(candidates, targets), targets, k).mean()
    assert ours == pytest.approx(evaluate(qrels, run, f"{RANX[name]}@{k}", make_comparable=True))
