"""The merge and its weights against slow oracles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import merge
from models.candidates import Candidates
from models.dataset import Queries
from models.top_n import top_n
from tests.models.histories import queries_of

TRUE_WEIGHT = 3.0
"""Weight of the scaled score of the channel ``good`` in the choices of users."""


def candidates(lists: list[list[int]], width: int, scores: list[list[float]] | None = None) -> Candidates:
    item = np.full((len(lists), width), -1, dtype=np.int32)
    score = np.full((len(lists), width), -np.inf, dtype=np.float32)
    for row, found in enumerate(lists):
        item[row, : len(found)] = found
        score[row, : len(found)] = scores[row] if scores else -np.arange(len(found))
    return Candidates(item, score)


def features(scores: list[float], width: int) -> list[tuple[float, float, float]]:
    """Features of each item of one list: the score min-max scaled, 1 - (rank - 1) / width, 1."""
    span = max(scores, default=0) - min(scores, default=0)
    scaled = [(score - min(scores)) / span if span else 1.0 for score in scores]
    return [(value, 1 - rank / width, 1.0) for rank, value in enumerate(scaled)]


@st.composite
def recalled_lists(draw: st.DrawFn, n_items: int, rows: int) -> tuple[list[list[int]], list[list[float]]]:
    """Lists without repetition with falling scores, which may tie."""
    items = st.lists(st.integers(0, n_items - 1), unique=True, max_size=n_items)
    lists = [draw(items) for _ in range(rows)]
    quarters = [
        draw(st.lists(st.integers(-8, 8), min_size=len(found), max_size=len(found))) for found in lists
    ]
    return lists, [sorted((value / 4 for value in row), reverse=True) for row in quarters]


@given(data=st.data(), n_items=st.integers(3, 12), n=st.integers(1, 12), rows=st.integers(1, 4))
def test_the_merged_score_is_the_weighted_sum_of_the_features(
    data: st.DataObject, n_items: int, n: int, rows: int
) -> None:
    n = min(n, n_items)
    items = st.permutations(range(n_items))
    histories = [list(data.draw(items))[: data.draw(st.integers(0, n_items))] for _ in range(rows)]
    order = list(data.draw(items))
    channels = {name: data.draw(recalled_lists(n_items, rows)) for name in "ab"}
    weights = np.array([[1.0, 0.25, 0.5], [0.0, 2.0, 0.125]], dtype=np.float32)
    # Lists of two widths, the second with more padding.
    lists = {
        name: candidates(found, n_items + width, scores)
        for width, (name, (found, scores)) in enumerate(channels.items())
    }
    merged = merge.merge(lists, weights, queries_of(histories, n_items), np.array(order), n)
    for row in range(rows):
        score: dict[int, float] = {}
        for weight, (name, (found, scores)) in zip(weights, channels.items(), strict=True):
            for item, feature in zip(found[row], features(scores[row], lists[name].n), strict=True):
                score[item] = score.get(item, 0.0) + float(weight @ feature)
        unseen = {item: value for item, value in score.items() if item not in histories[row]}
        best = sorted(unseen.values(), reverse=True)[:n]
        filled = [i for i in order if i not in score and i not in histories[row]][: n - len(best)]
        listed = merged.candidates.item[row][merged.candidates.item[row] >= 0].tolist()
        assert len(set(listed)) == len(listed)
        assert listed[len(best) :] == filled
        # The oracle adds in float64, so that near ties may fall the other way: compare the scores.
        assert [unseen[item] for item in listed[: len(best)]] == pytest.approx(best, abs=1e-5)
        assert merged.candidates.score[row] == pytest.approx(
            [*best, *[0.0] * len(filled), *[-np.inf] * (n - len(listed))], abs=1e-5
        )
        for rank0, item in enumerate(listed):
            who = [name for name, (found, _) in channels.items() if item in found[row]]
            assert [name for bit, name in enumerate("ab") if merged.channels[row, rank0] >> bit & 1] == who
    parts = merge.contributions(lists, weights, merged.candidates.item, n_items)
    listed = merged.candidates.item >= 0
    np.testing.assert_allclose(parts.sum(-1)[listed], merged.candidates.score[listed], atol=1e-5)
    given = merged.channels[..., None] >> np.arange(2) & 1 == 1
    assert (parts[~given] == 0).all()
    for channel, name in enumerate("ab"):
        for row, rank0 in zip(*np.nonzero(given[..., channel] & listed), strict=True):
            position = channels[name][0][row].index(merged.candidates.item[row, rank0])
            feature = features(channels[name][1][row], lists[name].n)[position]
            assert parts[row, rank0, channel] == pytest.approx(float(weights[channel] @ feature), abs=1e-5)


@given(
    st.permutations(range(12)),
    st.integers(1, 12),
    st.integers(1, 12),
    st.sets(st.integers(0, 11)),
    st.integers(0, 6),
    st.integers(0, 12),
)
def test_a_list_has_at_least_so_many_of_some_items_from_beyond_its_end(
    order: list[int], length: int, n: int, wanted: set[int], n_least: int, beyond: int
) -> None:
    ordered = merge.Merged(candidates([order[:length]], 12), np.arange(12)[None])
    only = np.isin(np.arange(12), list(wanted))
    reserve = merge.first_among(ordered, only, n_least, beyond)
    found = merge.with_least(merge.first(ordered, n), reserve, only, n_least, beyond)
    head, tail = order[:length][:n], order[:length][n:]
    missing = max(0, n_least - len(wanted.intersection(head[beyond:])))
    added = [item for item in order[beyond:length] if item in wanted][:n_least]
    added = [item for item in added if item in tail][:missing]
    left = [item for item in head if item not in wanted]
    dropped = left[max(0, len(left) - len(added)) :] if len(head) == n else []
    expected = [item for item in head if item not in dropped] + added
    listed = found.candidates.item[0][found.candidates.item[0] >= 0].tolist()
    assert listed == expected[:n]
    for rank0, item in enumerate(listed):
        assert found.candidates.score[0, rank0] == -order.index(item)
        assert found.channels[0, rank0] == order.index(item)


def test_only_some_items_may_be_candidates() -> None:
    channels, queries, _ = choices(seed=3, n_queries=20)
    weights = np.array([[1.0, 0.5, 0.2], [0.3, 0.1, 0.7]], dtype=np.float32)
    only = np.arange(30) % 3 == 0
    whole = merge.merge(channels, weights, queries, np.arange(30), 30)
    part = merge.merge(channels, weights, queries, np.arange(30), 10, only=only)
    for row in range(20):
        is_one = only[whole.candidates.item[row]] & (whole.channels[row] > 0)
        by_channel = part.channels[row] > 0
        for values, others in (
            (whole.candidates.item, part.candidates.item),
            (whole.candidates.score, part.candidates.score),
        ):
            np.testing.assert_array_equal(values[row][is_one][:10], others[row][by_channel])


def test_weights_remember_those_of_the_release_before() -> None:
    nothing = [np.nan] * 3
    fitted, before = np.array([[1, 2, 3], [4, 5, 6]], np.float32), np.array([[3, 2, 1], nothing], np.float32)
    np.testing.assert_allclose(merge.remembered(fitted, before, 0.25), [[1.5, 2, 2.5], [4, 5, 6]])
    np.testing.assert_array_equal(merge.remembered(fitted, before, 0.0), fitted)


def test_ties_go_to_the_smaller_item() -> None:
    channels = {"a": candidates([[3, 0]], 2, [[1, 1]]), "b": candidates([[0, 3]], 2, [[1, 1]])}
    merged = merge.merge(channels, np.ones((2, 3), np.float32), queries_of([[1]], 4), np.arange(4), 2)
    assert merged.candidates.item.tolist() == [[0, 3]]


def test_a_list_is_full_unless_all_items_are_seen() -> None:
    queries = queries_of([[0, 1], [0, 1, 2, 3]], 4)
    weights = np.ones((1, 3), dtype=np.float32)
    merged = merge.merge({"a": candidates([[2], []], 1)}, weights, queries, np.array([3, 2, 1, 0]), 3)
    assert merged.candidates.item.tolist() == [[2, 3, -1], [-1, -1, -1]]


def test_blocks_of_queries_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    channels, queries, _ = choices(seed=3, n_queries=50)
    weights = np.array([[1.0, 0.5, 0.2], [0.3, 0.1, 0.7]], dtype=np.float32)
    whole = merge.merge(channels, weights, queries, np.arange(30), 20)
    monkeypatch.setattr(merge, "BLOCK", 7)
    parts = merge.merge(channels, weights, queries, np.arange(30), 20)
    np.testing.assert_array_equal(parts.candidates.item, whole.candidates.item)
    np.testing.assert_array_equal(parts.candidates.score, whole.candidates.score)
    np.testing.assert_array_equal(parts.channels, whole.channels)


def choices(
    seed: int, n_queries: int = 400, n_items: int = 30
) -> tuple[dict[str, Candidates], Queries, np.ndarray]:
    """Channels ``good`` and ``noise`` and, of each query, the one item that its user chose.

    The choice is a logit of the good channel's scaled score; the noise ranks the same items at random.
    """
    rng = np.random.default_rng(seed)
    score = np.sort(rng.random((n_queries, 10)).astype(np.float32), axis=1)[:, ::-1]
    item = 1 + np.argsort(rng.random((n_queries, n_items - 1)), axis=1)[:, :10].astype(np.int32)
    scaled = (score - score[:, -1:]) / (score[:, :1] - score[:, -1:])
    chosen = np.argmax(TRUE_WEIGHT * scaled + rng.gumbel(size=score.shape), axis=1)
    noise = rng.permuted(item, axis=1)
    queries = queries_of([[0]] * n_queries, n_items)
    return (
        {"good": Candidates(item, score), "noise": Candidates(noise, score)},
        queries,
        item[range(n_queries), chosen],
    )


def test_fitted_weights_find_the_channel_that_informs() -> None:
    channels, queries, target = choices(seed=0, n_queries=4000)
    weights = merge.fit_weights(channels, queries, np.arange(len(target) + 1), target)
    assert weights.shape == (2, len(merge.CANDIDATE_FEATURES))
    assert weights.dtype == np.float32
    # Score and rank of one channel hang together: the value of the best item over the worst counts.
    worth = weights @ [1.0, 0.9, 0.0]
    assert worth[0] == pytest.approx(TRUE_WEIGHT, rel=0.15)
    assert worth[1] == pytest.approx(0, abs=0.2)


def test_a_channel_that_misleads_counts_for_nothing() -> None:
    channels, queries, target = choices(seed=1, n_queries=500)
    good = channels["good"]
    upside_down = Candidates(good.item[:, ::-1].copy(), 1 - good.score[:, ::-1])
    weights = merge.fit_weights(
        {"good": good, "bad": upside_down}, queries, np.arange(len(target) + 1), target
    )
    # It would help with negative weights; being there says nothing, both recall the same.
    assert weights[1, :2] == pytest.approx([0, 0], abs=0.1)
    assert weights.min() == np.float32(merge.MergeConfig().min_weight)
    assert weights[0, :2].sum() > 2


def test_the_fit_is_the_minimum_of_a_plain_conditional_logit() -> None:
    channels, queries, target = choices(seed=2, n_queries=60)
    # Two targets for every query, one of which no channel may have recalled.
    targets = np.stack([target, np.arange(len(target)) % 30], axis=1).astype(np.int32)
    weights = merge.fit_weights(channels, queries, 2 * np.arange(len(target) + 1), targets.ravel())

    def loss(flat: np.ndarray) -> float:
        total = merge.MergeConfig().l2 * float(flat @ flat)
        for row in range(len(queries)):
            score: dict[int, float] = {}
            for weight, channel in zip(flat.reshape(2, 3), channels.values(), strict=True):
                listed = features(channel.score[row].tolist(), channel.n)
                for item, feature in zip(channel.item[row].tolist(), listed, strict=True):
                    score[item] = score.get(item, 0.0) + float(weight @ feature)
            evidence = np.log(sum(np.exp(value) for value in score.values()))
            hits = [score[item] for item in targets[row].tolist() if item in score]
            total += sum(evidence - value for value in hits) / len(queries)
        return total

    flat = weights.ravel().astype(np.float64)
    fitted = loss(flat)
    for step in 0.02 * np.concatenate([np.eye(6), -np.eye(6)]):
        if (flat + step > 0).all():
            assert loss(flat + step) > fitted


def test_a_channel_of_no_use_keeps_its_order_where_it_is_alone() -> None:
    channels, queries, target = choices(seed=0, n_queries=500)
    good = channels["good"]
    useless = Candidates(np.sort(good.item, axis=1)[:, ::-1].copy(), np.ones_like(good.score))
    weights = merge.fit_weights(
        {"good": good, "useless": useless}, queries, np.arange(len(target) + 1), target
    )
    silent = Candidates(np.full_like(good.item, -1), np.full_like(good.score, -np.inf))
    merged = merge.merge({"good": silent, "useless": useless}, weights, queries, np.arange(30), 10)
    np.testing.assert_array_equal(merged.candidates.item, useless.item)


def test_the_fit_is_the_same_every_time() -> None:
    channels, queries, target = choices(seed=4)
    first, second = (
        merge.fit_weights(channels, queries, np.arange(len(target) + 1), target) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_targets_that_no_channel_recalled_are_left_out() -> None:
    queries = queries_of([[0], [1]], 4)
    channels = {"a": candidates([[2], [2]], 1), "b": candidates([[], []], 1)}
    weights = merge.fit_weights(channels, queries, np.array([0, 1, 2]), np.array([3, 3], dtype=np.int32))
    assert weights.tolist() == [[1, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize(("until", "is_newcomer"), [(1, [0, 0, 1]), (2, [0, 1, 1]), (3, [1, 1, 1])])
def test_newcomers_get_the_list_of_one_channel_alone(until: int, is_newcomer: list[int]) -> None:
    queries = queries_of([[0, 3], [0], []], 4)
    channels = {"a": candidates([[1], [1], [1]], 1), "segment": candidates([[2], [2], [2]], 1)}
    left = merge.newcomers_from(channels, "segment", queries, until)
    assert left["a"].item.tolist() == [[-1 if new else 1] for new in is_newcomer]
    assert left["a"].score.tolist() == [[-np.inf if new else 0] for new in is_newcomer]
    assert left["segment"].item.tolist() == [[2], [2], [2]]


def test_the_fallback_order_is_by_popularity_then_index() -> None:
    log = queries_of([[2], [2, 3]], 5).log
    assert merge.fallback_order(log).tolist() == [2, 3, 0, 1, 4]


def test_the_merge_is_the_best_of_dense_rows() -> None:
    """The former computation: the score of every item of a query, then its best; equal to the last bit."""
    n_items, rows = 60, 150
    rng = np.random.default_rng(7)
    channels = {}
    for name, width in (("a", 9), ("b", 20), ("c", 14)):
        item = np.argsort(rng.random((rows, n_items)), axis=1)[:, :width].astype(np.int32)
        item[np.arange(width) >= rng.integers(0, width + 1, rows)[:, None]] = -1
        score = -np.sort(-rng.random((rows, width)).astype(np.float32), axis=1)
        channels[name] = Candidates(item, np.where(item >= 0, score, -np.inf).astype(np.float32))
    weights = rng.random((3, 3)).astype(np.float32)
    queries = queries_of(
        [rng.permutation(n_items)[: rng.integers(0, 40)].tolist() for _ in range(rows)], n_items
    )
    order = rng.permutation(n_items)
    merged = merge.merge(channels, weights, queries, order, 25)
    dense = np.full((rows, n_items), -np.inf, dtype=np.float32)
    bits = np.zeros((rows, n_items), dtype=np.int64)
    for number, (weight, channel) in enumerate(zip(weights, channels.values(), strict=True)):
        for row in range(rows):
            found = channel.item[row][channel.item[row] >= 0]
            listed = features(channel.score[row, : len(found)].tolist(), channel.n)
            for item, feature in zip(found, listed, strict=True):
                bits[row, item] |= 1 << number
                dense[row, item] = max(dense[row, item], np.float32(0))
                for w, value in zip(weight, np.array(feature, dtype=np.float32), strict=True):
                    dense[row, item] += w * value
    best = top_n(dense, queries, 25)
    for row, (item, score) in enumerate(zip(best.item, best.score, strict=True)):
        n = int((item >= 0).sum())
        assert merged.candidates.item[row, :n].tolist() == item[:n].tolist()
        np.testing.assert_allclose(merged.candidates.score[row, :n], score[:n], rtol=1e-6)
        assert merged.channels[row].tolist() == [*bits[row, item[:n]], *[0] * (25 - n)]
