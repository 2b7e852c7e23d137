"""Films to ask newcomers about, against a slow oracle and on tastes that are written down."""

import numpy as np
import pytest

from models.dataset import Dataset, Doubles
from models.questions import QuestionsConfig, choose_questions
from tests.models.evaluation.logs import random_log

LOG = random_log(0, "2001-01-01", "2001-03-01", n_users=40, n_items=15, n_events=400)


def answers(log: Dataset, config: QuestionsConfig) -> Doubles:
    """(U, I) of the users with a history."""
    table = np.zeros((log.n_users, log.n_items))
    for user, item, rating in zip(log.user_idx, log.item_idx, log.rating, strict=True):
        table[user, item] = (rating >= config.like) - float(rating <= config.dislike)
    return table[np.unique(log.user_idx)]


def test_each_question_explains_most_of_what_those_before_it_leave() -> None:
    config = QuestionsConfig(n_films=6)
    found = choose_questions(LOG, config)
    table = answers(LOG, config)
    centred = table - table.mean(axis=0)
    total = (centred**2).sum()

    def explained(items: list[int]) -> float:
        basis = centred[:, items]
        fitted = basis @ np.linalg.lstsq(basis, centred, rcond=None)[0]
        return float(1 - ((centred - fitted) ** 2).sum() / total)

    chosen: list[int] = []
    for item, value in zip(found.item.tolist(), found.explained, strict=True):
        others = [other for other in range(LOG.n_items) if other not in chosen]
        assert explained([*chosen, item]) == pytest.approx(
            max(explained([*chosen, other]) for other in others)
        )
        chosen.append(item)
        assert value == pytest.approx(explained(chosen))


def test_two_questions_are_about_two_tastes() -> None:
    rng = np.random.default_rng(0)
    taste = rng.integers(0, 3, 300)  # three tastes, each with three films that its people like
    pairs = [(user, 3 * taste[user] + n) for user in range(300) for n in range(3) if rng.random() < 0.9]
    user, item = (np.array(column, dtype=np.int32) for column in zip(*pairs, strict=True))
    rating, at = np.full(len(user), 5, dtype=np.float32), np.arange(len(user), dtype=np.int64)
    log = Dataset(user, item, rating, at, 300, 9, len(user))
    found = choose_questions(log, QuestionsConfig(n_films=2))
    assert len(set((found.item // 3).tolist())) == 2


def test_a_log_without_tastes_has_no_questions() -> None:
    assert len(choose_questions(LOG.before(0), QuestionsConfig()).item) == 0
    assert len(choose_questions(LOG, QuestionsConfig(most_rated=3)).item) == 3


def test_what_was_liked_was_not_disliked() -> None:
    with pytest.raises(ValueError, match=r"dislike \(4 stars\) must be below like \(4\)"):
        QuestionsConfig(dislike=4.0)
