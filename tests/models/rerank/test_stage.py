"""Lists from ranked pools: the cap by prices, bands at random, absence, newcomers, what is known of films."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from models.candidates import Candidates
from models.dataset import DAY, Dataset, Floats, Ints, Queries, queries_at
from models.merge import Merged
from models.rerank.config import CapConfig, QuotaConfig, RerankConfig, RulesConfig
from models.rerank.prices import fit_prices
from models.rerank.stage import drawn, new_reranking, score_weights
from models.rerank.traits import traits_of

N_USERS, N_ITEMS, WIDTH = 90, 60, 30
FIRST = 946_684_800
"""Midnight of 2000-01-01, UTC."""

PLAIN = RerankConfig(
    method="mmr",
    pool=WIDTH,
    diversity=0.0,
    absence=np.inf,
    quotas=QuotaConfig(long_tail=0),
    cap=CapConfig(fraction=1.0),
)
"""Nothing but scores."""


def small_log(seed: int = 0) -> Dataset:
    """A log in which the last ten users have rated nothing."""
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(N_USERS - 10), 4)
    genres = rng.random((N_ITEMS, 4)) < 0.4
    items = {
        "year": np.where(np.arange(N_ITEMS) % 9, 1960 + np.arange(N_ITEMS), -1).astype(np.int32),
        "genres": genres,
        "franchise": np.where(np.arange(N_ITEMS) % 5, -1, np.arange(N_ITEMS) // 20).astype(np.int32),
    }
    return Dataset(
        users.astype(np.int32),
        rng.integers(0, N_ITEMS, len(users)).astype(np.int32),
        np.full(len(users), 4, dtype=np.float32),
        FIRST + DAY * np.tile(np.arange(4), N_USERS - 10),
        N_USERS,
        N_ITEMS,
        FIRST + 10 * DAY,
        items=items,
    )


def pools(seed: int, n_queries: int = N_USERS, width: int = WIDTH) -> Merged:
    """Ranked pools in which the same few films are wanted by most."""
    rng = np.random.default_rng(seed)
    score = rng.normal(size=(n_queries, N_ITEMS)) + np.linspace(3, 0, N_ITEMS)
    item = np.argsort(-score, axis=1)[:, :width].astype(np.int32)
    found = np.take_along_axis(score, item, axis=1).astype(np.float32)
    return Merged(Candidates(item, found), rng.integers(1, 8, item.shape))


def with_history(log: Dataset) -> Queries:
    return queries_at(log, users=np.arange(N_USERS - 10, dtype=np.int32))


def test_films_come_with_the_scores_and_channels_that_ranking_gave_them() -> None:
    log, ranked = small_log(), pools(1)
    stage = new_reranking(PLAIN.but(diversity=1.0, similarity="genre"), log, None, 0)
    lists = stage.lists(ranked, queries_at(log), 20)
    for row in range(0, N_USERS, 17):
        given = ranked.candidates.item[row].tolist()
        columns = [given.index(film) for film in lists.candidates.item[row]]
        assert len(set(columns)) == 20
        np.testing.assert_array_equal(lists.candidates.score[row], ranked.candidates.score[row][columns])
        np.testing.assert_array_equal(lists.channels[row], ranked.channels[row][columns])
    assert (lists.candidates.item != ranked.candidates.item[:, :20]).any()


def test_without_any_aim_lists_are_the_heads_of_the_pools_and_as_long_as_n() -> None:
    log, ranked = small_log(), pools(1)
    lists = new_reranking(PLAIN.but(pool=5), log, None, 0).lists(ranked, queries_at(log), 20)
    np.testing.assert_array_equal(lists.candidates.item, ranked.candidates.item[:, :20])


def test_users_without_a_history_keep_their_list() -> None:
    log, ranked = small_log(), pools(1)
    config = PLAIN.but(diversity=2.0, band=4, quotas=QuotaConfig(long_tail=2, head=0.5))
    stage = new_reranking(config, log, None, 0)
    lists = stage.lists(ranked, queries_at(log), 20).candidates.item
    same = (lists == ranked.candidates.item[:, :20]).all(axis=1)
    assert same[-10:].all()
    assert not same[:-10].any()


@pytest.mark.parametrize("method", ["mmr", "dpp"])
def test_no_film_is_on_more_first_pages_than_the_cap_allows(method: str) -> None:
    log, ranked = small_log(), pools(2, N_USERS - 10)
    config = PLAIN.but(method=method, diversity=0.5, page_size=4, cap=CapConfig(fraction=0.25))
    queries = with_history(log)
    free = new_reranking(config, log, None, 0)
    stage = free.priced(ranked, queries)

    def largest(lists: Ints) -> int:
        return int(np.bincount(lists[:, :4].ravel()).max())

    assert largest(free.lists(ranked, queries, 10).candidates.item) > 30
    assert largest(stage.lists(ranked, queries, 10).candidates.item) <= 20
    assert (stage.price >= 0).all()
    again = stage.priced(ranked, queries)
    assert largest(again.lists(ranked, queries, 10).candidates.item) <= 20


def best_under_cap(score: Floats, cap: int, n: int) -> float:
    """The largest total score of n films a user, each for ``cap`` users at most (a linear programme)."""
    users, items = score.shape
    one_each = np.kron(np.eye(users), np.ones(items))
    of_item = np.kron(np.ones(users), np.eye(items))
    solved = linprog(
        -score.ravel(), A_ub=of_item, b_ub=np.full(items, cap), A_eq=one_each, b_eq=np.full(users, n),
        bounds=(0, 1),
    )  # fmt: skip
    return float(-solved.fun)


def test_prices_give_films_to_those_who_want_them_most() -> None:
    rng = np.random.default_rng(3)
    score = (rng.normal(size=(40, 15)) + np.linspace(2, 0, 15)).astype(np.float32)

    def pages(price: Floats) -> Ints:
        return np.argsort(-(score - price), axis=1, kind="stable")[:, :3].astype(np.int32)

    def total(item: Ints) -> float:
        return float(np.take_along_axis(score, item, axis=1).sum())

    price = fit_prices(pages, np.zeros(15, dtype=np.float32), 0.3)
    capped = pages(price)
    assert np.bincount(capped.ravel()).max() <= 12
    best, free = best_under_cap(score, 12, 3), total(pages(np.zeros(15, dtype=np.float32)))
    assert best - total(capped) < 0.15 * (free - best)
    filtered = first_come(score, 12, 3)
    assert free - total(capped) < 0.7 * (free - filtered)


def first_come(score: Floats, cap: int, n: int) -> float:
    """The total score if every film is gone once ``cap`` users have it."""
    left, total = np.full(score.shape[1], cap), 0.0
    for row in score:
        best = np.argsort(np.where(left > 0, -row, np.inf))[:n]
        left[best] -= 1
        total += row[best].sum()
    return total


def test_prices_begin_with_those_of_before_and_come_down_where_they_are_too_high() -> None:
    rng = np.random.default_rng(4)
    score = (rng.normal(size=(50, 15)) + np.linspace(2, 0, 15)).astype(np.float32)
    calls = []

    def pages(price: Floats) -> Ints:
        calls.append(price)
        return np.argsort(-(score - price), axis=1, kind="stable")[:, :3].astype(np.int32)

    price = fit_prices(pages, np.zeros(15, dtype=np.float32), 0.3)
    from_nothing = len(calls)
    calls.clear()
    again = fit_prices(pages, price, 0.3)
    assert len(calls) < from_nothing
    changed = (pages(again) != pages(price)).mean()
    assert changed < 0.1
    too_high = np.full(15, 9, dtype=np.float32)
    too_high[0] = 12
    assert (fit_prices(pages, too_high, 0.3)[:3] < too_high[:3]).any()
    np.testing.assert_array_equal(fit_prices(pages, price, 1.0), 0)


def test_candidates_are_exchanged_within_bands_by_user_and_time() -> None:
    log = small_log()
    item = pools(0).candidates.item.copy()
    item[3, 22:] = -1
    queries = queries_at(log)
    order = drawn(item, queries, 4, 7)
    np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(WIDTH), (N_USERS, 1)))
    np.testing.assert_array_equal(order // 4, np.tile(np.arange(WIDTH) // 4, (N_USERS, 1)))
    assert (np.take_along_axis(item, order, axis=1)[3, 22:] == -1).all()
    np.testing.assert_array_equal(order, drawn(item, queries, 4, 7))
    np.testing.assert_array_equal(order[40:50], drawn(item[40:50], queries.rows(40, 50), 4, 7))
    tomorrow = replace(queries, log=replace(log, as_of=log.as_of + DAY))  # of users asked at their own times
    for other in (
        drawn(item, queries_at(log, FIRST + 20 * DAY), 4, 7),
        drawn(item, queries, 4, 8),
        drawn(item, tomorrow, 4, 7),
    ):
        assert (order != other).mean() > 0.5
    # Each candidate of a band of four is as likely first as the others.
    counts = np.bincount(order[:, :4][:, 0], minlength=4)
    assert counts.min() > 0.1 * N_USERS
    np.testing.assert_array_equal(drawn(item, queries, 1, 7), np.tile(np.arange(WIDTH), (N_USERS, 1)))


def test_scores_weigh_less_the_longer_a_user_is_away() -> None:
    log = small_log()
    queries = queries_at(log, FIRST + 9 * DAY, np.array([0, N_USERS - 1], dtype=np.int32))
    # The newest rating is six days old; the other user has none.
    np.testing.assert_allclose(score_weights(queries, 3.0, 0.1), [0.1 + 0.9 / 3, 1.0])
    np.testing.assert_allclose(score_weights(queries, np.inf, 0.1), [1.0, 1.0])


def test_similarities_are_cosines_and_a_blend_is_their_weighted_mean() -> None:
    log = small_log()
    vectors = np.random.default_rng(5).normal(size=(N_ITEMS, 7)).astype(np.float32)

    def similarity(**settings: object) -> Floats:
        unit = traits_of(PLAIN.but(diversity=1.0, **settings), log, vectors).vectors
        return unit @ unit.T

    def cosine(values: Floats) -> Floats:
        length = np.linalg.norm(values, axis=1)
        outer = np.outer(length, length)
        return np.divide(values @ values.T, outer, out=np.zeros_like(outer), where=outer > 0)

    genres = cosine(log.items["genres"].astype(np.float32))
    of_towers = cosine(vectors)
    np.testing.assert_allclose(similarity(similarity="genre"), genres, atol=1e-5)
    np.testing.assert_allclose(similarity(similarity="two_tower"), of_towers, atol=1e-5)
    blend = similarity(similarity="blended", genre_weight=0.3)
    np.testing.assert_allclose(blend, 0.3 * genres + 0.7 * of_towers, atol=1e-5)
    alone = traits_of(PLAIN.but(similarity="blended"), log, None).vectors
    np.testing.assert_allclose(alone @ alone.T, genres, atol=1e-5)


@pytest.mark.parametrize("rule", ["genre", "franchise", "decade"])
def test_rules_hold_in_every_window(rule: str) -> None:
    log, ranked = small_log(), pools(6, N_USERS - 10)
    limit = 3 if rule == "genre" else 1
    window = 4 if rule == "genre" else 3
    rules = RulesConfig.model_validate({rule: limit, "window": window})
    lists = new_reranking(PLAIN.but(rules=rules), log, None, 0).lists(ranked, with_history(log), 10)
    free = new_reranking(PLAIN, log, None, 0).lists(ranked, with_history(log), 10)
    year = log.items["year"]
    groups = {
        "genre": [set(np.flatnonzero(row)) for row in log.items["genres"]],
        "franchise": [{code} - {-1} for code in log.items["franchise"]],
        "decade": [{y // 10} - {-1} for y in year],
    }[rule]

    def broken(item: Ints) -> int:
        count = 0
        for row in item:
            for begin in range(len(row) - window + 1):
                films = [groups[film] for film in row[begin : begin + window]]
                count += any(sum(g in film for film in films) > limit for g in set().union(*films))
        return count

    assert broken(free.candidates.item) > 20
    assert broken(lists.candidates.item) == 0


def test_quotas_are_of_fresh_films_and_of_those_that_few_rated() -> None:
    log = small_log()
    config = PLAIN.but(pool=N_ITEMS, quotas=QuotaConfig(fresh=1, fresh_years=3, long_tail=2, head=0.6))
    fresh, tail = traits_of(config, log, None).serves.T
    np.testing.assert_array_equal(fresh, log.items["year"] >= 1997)
    count = np.bincount(log.item_idx, minlength=N_ITEMS)
    assert count[~tail].sum() >= 0.6 * log.n_events > count[~tail].sum() - count[~tail].min()
    assert count[~tail].min() >= count[tail].max()
    stage = new_reranking(config, log, None, 0)
    lists = stage.lists(pools(7, N_USERS - 10, N_ITEMS), with_history(log), 20).candidates.item
    for page in (lists[:, :10], lists[:, 10:]):
        assert (tail[page].sum(axis=1) >= 2).all()
        assert (fresh[page].sum(axis=1) >= 1).all()


def test_fresh_films_come_from_beyond_the_pool_where_their_quota_asks_for_them() -> None:
    log, ranked = small_log(), pools(7, N_USERS, N_ITEMS)
    quotas = QuotaConfig(fresh=1, fresh_years=0, fresh_ratings=2, long_tail=0)
    stage = new_reranking(PLAIN.but(pool=20, quotas=quotas), log, None, 0)
    count = np.bincount(log.item_idx, minlength=N_ITEMS)
    np.testing.assert_array_equal(stage.fresh, (count < 2) | (log.items["year"] >= 2000))
    lists = stage.lists(ranked, queries_at(log), 20)
    item = lists.candidates.item
    within = stage.fresh[ranked.candidates.item[:-10, :20]].sum(axis=1)
    assert (within < 2).any()
    assert (stage.fresh[item[:-10, :10]].any(axis=1) & stage.fresh[item[:-10, 10:]].any(axis=1)).all()
    np.testing.assert_array_equal(item[-10:], ranked.candidates.item[-10:, :20])
    for row in range(0, N_USERS - 10, 9):
        position = {film: rank0 for rank0, film in enumerate(ranked.candidates.item[row].tolist())}
        beyond = [film for film in item[row].tolist() if position[film] >= 20]
        assert stage.fresh[beyond].all()
        assert len(beyond) <= 2
        given = ranked.candidates.score[row][[position[film] for film in item[row].tolist()]]
        np.testing.assert_array_equal(lists.candidates.score[row], given)


def test_a_cap_below_one_page_lets_a_film_be_on_one() -> None:
    alone = np.arange(12, dtype=np.int32).reshape(3, 4)
    np.testing.assert_array_equal(fit_prices(lambda price: alone, np.zeros(12, dtype=np.float32), 0.1), 0)


def test_a_cap_of_everybody_costs_nothing() -> None:
    log = small_log()
    stage = new_reranking(PLAIN, log, None, 0)
    priced = stage.priced(pools(8, N_USERS - 10), with_history(log))
    assert not priced.price.any()
