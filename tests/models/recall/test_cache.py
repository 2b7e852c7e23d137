"""Queues of ranked films, against a queue written down in plain Python."""

import numpy as np
import pytest

from models.dataset import DAY, Ints, queries_at
from models.recall.cache import Cache, CacheConfig
from tests.models.recall.small_logs import small_log

LOG = small_log(n_users=6, n_items=40)


def ranked(seed: int, n: int = 12) -> Ints:
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(LOG.n_items)[:n] for _ in range(LOG.n_users)], dtype=np.int32)


def test_a_queue_drops_what_was_shown_what_is_old_and_what_came_in_first() -> None:
    model = Cache(CacheConfig(size=12, max_age_days=2.5)).fit(LOG)
    queues: list[list[tuple[int, int]]] = [[] for _ in range(LOG.n_users)]
    rng = np.random.default_rng(9)
    for night in range(6):
        now, films = night * DAY, ranked(night)
        model.push(films, now)
        shown = rng.random(model.state["item"].shape) < 0.2
        gone = [set(row[mask].tolist()) for row, mask in zip(model.state["item"], shown, strict=True)]
        model.evict(shown, now + DAY)
        for user, queue in enumerate(queues):
            mine = films[user].tolist()
            queue[:] = [(film, now) for film in mine] + [entry for entry in queue if entry[0] not in mine]
            queue[:] = [
                entry for entry in queue if entry[0] not in gone[user] and entry[1] >= now - 1.5 * DAY
            ]
            del queue[12:]
            held = model.state["item"][user] >= 0
            found = zip(model.state["item"][user][held], model.state["at"][user][held], strict=True)
            assert list(found) == queue
    assert max(map(len, queues)) == 12


def test_a_list_is_the_queue_without_what_was_watched_and_what_is_too_old_by_then() -> None:
    model = Cache(CacheConfig(max_age_days=3.0)).fit(LOG)
    model.push(ranked(1), LOG.as_of - 4 * DAY).push(ranked(2), LOG.as_of - DAY)
    found = model.recommend(queries_at(LOG), 40)
    for user, row in enumerate(found.item):
        seen = LOG.item_idx[LOG.indptr[user] : LOG.indptr[user + 1]]
        expected = [film for film in ranked(2)[user].tolist() if film not in seen]
        assert row[row >= 0].tolist() == expected
    earlier = model.recommend(queries_at(LOG, LOG.as_of - 2 * DAY), 40, filter_seen=False)
    first = set(ranked(1)[0].tolist())
    assert first <= set(earlier.item[0].tolist())


def test_queues_go_over_to_a_larger_vocabulary() -> None:
    model = Cache().fit(LOG).push(ranked(1), LOG.as_of)
    users = np.arange(LOG.n_users, dtype=np.int32) * 2 + 1
    items = np.arange(LOG.n_items, dtype=np.int32)[::-1] + 3
    before = model.state["item"]
    model.grow(users, items, 2 * LOG.n_users + 1)
    np.testing.assert_array_equal(model.state["item"][users], items[before])
    others = np.setdiff1d(np.arange(2 * LOG.n_users + 1), users)
    assert (model.state["item"][others] == -1).all()


def test_a_log_alone_says_nothing_of_earlier_runs() -> None:
    assert (Cache().fit(LOG).recommend(queries_at(LOG), 5).item == -1).all()


@pytest.mark.parametrize("settings", [{"size": 0}, {"max_age_days": 0.0}])
def test_a_queue_holds_something(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        CacheConfig.model_validate(settings)
