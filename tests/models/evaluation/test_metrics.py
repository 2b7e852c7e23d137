"""Metrics against closed forms, brute force, and a peer's implementation (ranx)."""

import json
import os
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.candidates import Candidates
from models.evaluation import metrics
from models.evaluation.metrics import ACCURACY, target_rank0
from models.targets import Targets
from tests.models.evaluation.logs import answers, lists, log_of, random_lists, random_log

N_ITEMS = 40
SEEDS = st.integers(0, 2**32)
RANX = {
    "hr": "hit_rate",
    "ndcg": "ndcg",
    "recall": "recall",
    "precision": "precision",
    "mrr": "mrr",
    "map": "map",
}
ASK_RANX = """
import json, sys
from ranx import Qrels, Run, evaluate
qrels, run, names = json.load(sys.stdin)
found = evaluate(Qrels(qrels), Run(run), names, return_mean=False)
json.dump({name: list(values) for name, values in found.items()}, sys.stdout)
"""


def random_answers(seed: int, n_queries: int) -> Targets:
    rng = np.random.default_rng(seed)
    return answers([rng.permutation(N_ITEMS)[: rng.integers(1, 25)].tolist() for _ in range(n_queries)])


def by_query(targets: Targets) -> list[list[int]]:
    return [part.tolist() for part in np.split(targets.item, targets.indptr[1:-1])]


def test_the_error_of_a_mean_is_that_of_users_drawn_anew() -> None:
    rng = np.random.default_rng(0)
    user_idx = np.repeat(np.arange(400), rng.integers(1, 6, 400)).astype(np.int32)
    values = np.clip(rng.random(400)[user_idx] + 0.1 * rng.random(len(user_idx)), 0, 1)
    sums, counts = np.bincount(user_idx, values), np.bincount(user_idx)
    drawn = rng.integers(0, 400, (4_000, 400))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    assert metrics.clustered_error(values, user_idx) == pytest.approx(means.std(), rel=0.05)
    alone = np.arange(400, dtype=np.int32)
    assert metrics.clustered_error(values[:400], alone) == pytest.approx(values[:400].std() / 20)


def test_accuracy_agrees_with_ranx() -> None:
    ks = (1, 2, 3, 7, 20)
    candidates, targets = random_lists(1, 200, 20, N_ITEMS), random_answers(2, 200)
    qrels = {f"{b:03}": {str(i): 1 for i in items} for b, items in enumerate(by_query(targets))}
    # ranx has no empty lists: such a query gets a document that nobody wants.
    run = {
        f"{b:03}": {str(i): float(-rank0) for rank0, i in enumerate(row) if i >= 0} or {"none": 0.0}
        for b, row in enumerate(candidates.item.tolist())
    }
    names = [f"{name}@{k}" for name in RANX.values() for k in ks]
    # ranx compiles for minutes; interpreted, this takes a second.
    answer = subprocess.run(
        [sys.executable, "-c", ASK_RANX],
        input=json.dumps([qrels, run, names]),
        capture_output=True,
        check=True,
        text=True,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
    )
    theirs = json.loads(answer.stdout)
    assert ACCURACY.keys() == {*RANX, "capped_recall"}
    ranks = target_rank0(candidates, targets)
    for name in RANX:
        function = ACCURACY[name]
        for k in ks:
            expected = theirs[f"{RANX[name]}@{k}"]
            np.testing.assert_allclose(
                function(ranks, targets, k), expected, atol=1e-12, err_msg=f"{name}@{k}"
            )


def test_capped_recall_counts_no_target_beyond_the_length_of_the_list() -> None:
    targets = answers([[1, 2, 3, 4], [1, 2, 3, 4], [5]])
    ranks = target_rank0(lists([[1, 2, 9], [1, 8, 9], [5, 1, 2]]), targets)
    assert metrics.capped_recall(ranks, targets, 2).tolist() == [1, 0.5, 1]
    assert metrics.capped_recall(ranks, targets, 3).tolist() == [2 / 3, 1 / 3, 1]


def test_one_target_at_rank_three() -> None:
    targets = answers([[7]])
    ranks = target_rank0(lists([[1, 2, 7, 9]]), targets)
    values = {name: float(function(ranks, targets, 4)[0]) for name, function in ACCURACY.items()}
    third = 1 / 3
    assert values == pytest.approx(
        {"hr": 1, "ndcg": 0.5, "recall": 1, "capped_recall": 1, "precision": 0.25, "mrr": third, "map": third}
    )
    assert all(function(ranks, targets, 2)[0] == 0 for function in ACCURACY.values())


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, k=st.integers(1, 20))
def test_accuracy_is_between_0_and_1_and_no_list_beats_the_ideal(seed: int, k: int) -> None:
    candidates, targets = random_lists(seed, 6, 20, N_ITEMS), random_answers(seed, 6)
    ideal = lists([(row + [i for i in range(N_ITEMS) if i not in row])[:25] for row in by_query(targets)])
    ranks, best = target_rank0(candidates, targets), target_rank0(ideal, targets)
    for function in ACCURACY.values():
        values = function(ranks, targets, k)
        assert (values >= 0).all()
        assert (values <= function(best, targets, k) + 1e-12).all()
    for name in ("hr", "ndcg", "mrr"):
        np.testing.assert_allclose(ACCURACY[name](best, targets, k), 1)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_accuracy_knows_only_the_first_k_and_each_query_alone(seed: int) -> None:
    candidates, targets = random_lists(seed, 5, 12, N_ITEMS), random_answers(seed, 5)
    cut = Candidates(candidates.item[:, :4], candidates.score[:, :4])
    last, queries = targets.where(targets.query == 4)
    alone = candidates.take(queries)
    for function in ACCURACY.values():
        whole = function(target_rank0(candidates, targets), targets, 4)
        np.testing.assert_array_equal(whole, function(target_rank0(cut, targets), targets, 4))
        np.testing.assert_array_equal(whole[4:], function(target_rank0(alone, last), last, 4))


def test_serendipity_counts_hits_that_popularity_misses() -> None:
    log = log_of(*[("2000-01-01", user, item) for item in range(4) for user in range(4 - item)])
    popularity = metrics.popularity_rank0(log)
    assert popularity.tolist() == [0, 1, 2, 3]
    targets = answers([[3, 0], [0, 1]])
    # The first list finds item 3, third in popularity from 0, at rank0 0; item 0 is no surprise.
    ranks = target_rank0(lists([[3, 0], [0, 1]]), targets)
    np.testing.assert_allclose(metrics.serendipity(ranks, targets, 2, popularity), [3 / 4 / 2, 0])


def test_novelty_is_the_mean_information_of_the_list() -> None:
    log = log_of(
        ("2000-01-01", 0, 0), ("2000-01-01", 1, 0), ("2000-01-02", 1, 0), ("2000-01-02", 1, 1), n_items=3
    )
    # Both users rated item 0 (twice does not count), one rated item 1, none item 2, which counts as one.
    candidates = lists([[0, 1], [1, 2], [0, -1], [-1, -1]])
    values = metrics.novelty(candidates, 2, metrics.self_information(log))
    np.testing.assert_allclose(values, [0.5, 1, 0, np.nan])


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, k=st.integers(1, 12))
def test_intra_list_distance_is_the_mean_over_pairs(seed: int, k: int) -> None:
    candidates = random_lists(seed, 5, 12, N_ITEMS)
    vectors = np.random.default_rng(seed).normal(size=(N_ITEMS, 4)).astype(np.float32)
    vectors[0] = 0  # at distance 1 from all

    def cosine(i: int, j: int) -> float:
        length = np.linalg.norm(vectors[i]) * np.linalg.norm(vectors[j])
        return float(vectors[i] @ vectors[j] / length) if length else 0.0

    pairs = [list(combinations([i for i in row[:k] if i >= 0], 2)) for row in candidates.item]
    expected = [np.mean([1 - cosine(i, j) for i, j in row]) if row else np.nan for row in pairs]
    np.testing.assert_allclose(metrics.intra_list_distance(candidates, k, vectors), expected, atol=1e-5)


def test_coverage_and_gini_of_exposure() -> None:
    candidates = lists([[0, 1], [0, -1], [2, 3]])
    shown = metrics.exposure(candidates, 2, 5, np.array([True, True, False]))
    assert shown.tolist() == [2, 1, 0, 0, 0]
    assert metrics.coverage(shown) == 2 / 5
    assert metrics.gini(np.ones(7)) == pytest.approx(0)
    assert metrics.gini(np.eye(10)[3]) == pytest.approx(0.9)
    assert np.isnan(metrics.gini(np.zeros(3)))


@settings(max_examples=20, deadline=None)
@given(shown=st.lists(st.integers(0, 20), min_size=2, max_size=12).filter(any))
def test_gini_is_half_the_relative_mean_difference(shown: list[int]) -> None:
    x = np.array(shown)
    expected = np.abs(x[:, None] - x).mean() / (2 * x.mean())
    assert metrics.gini(x) == pytest.approx(expected)


def brute_auc(label: np.ndarray, score: np.ndarray) -> float:
    pairs = score[label == 1][:, None] - score[label == 0]
    return float(((pairs > 0) + 0.5 * (pairs == 0)).mean()) if pairs.size else np.nan


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, n=st.integers(1, 60), levels=st.integers(1, 30))
def test_auc_and_gauc_compare_all_pairs(seed: int, n: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    label, score = rng.integers(0, 2, n), rng.integers(0, levels, n).astype(np.float32)
    user = rng.integers(0, 5, n).astype(np.int32)
    np.testing.assert_allclose(metrics.auc(label, score), brute_auc(label, score))
    users, rows = np.unique(user, return_counts=True)
    each = np.array([brute_auc(label[user == u], score[user == u]) for u in users])
    defined = np.isfinite(each)
    expected = (each * rows)[defined].sum() / rows[defined].sum() if defined.any() else np.nan
    np.testing.assert_allclose(metrics.gauc(label, score, user), expected)


def test_log_loss_of_a_coin_of_certainty_and_of_certain_error() -> None:
    loss = metrics.log_loss(np.array([1, 0, 1, 1]), np.array([0.5, 0.5, 1.0, 0.0], dtype=np.float32))
    np.testing.assert_allclose(loss[:2], np.log(2))
    assert loss[2] < 1e-6
    assert loss[3] == pytest.approx(np.log(1e7))


def test_a_query_without_target_is_refused() -> None:
    with pytest.raises(ValueError, match="target"):
        answers([[1], []])


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_popularity_rank0_order_items_by_their_raters(seed: int) -> None:
    log = random_log(seed, "2000-01-01", "2000-03-01")
    pairs = set(zip(log.user_idx.tolist(), log.item_idx.tolist(), strict=True))
    raters = [sum(item == i for _, item in pairs) for i in range(log.n_items)]
    expected = sorted(range(log.n_items), key=lambda i: (-raters[i], i))
    assert np.argsort(metrics.popularity_rank0(log)).tolist() == expected
