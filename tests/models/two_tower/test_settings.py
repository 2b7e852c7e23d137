"""Every loss and every source of negatives, reached by the settings of a channel; impossible ones refused."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from models.dataset import Dataset, Ints, queries_at, queries_before
from models.recall.registry import build
from models.recall.two_tower import TwoTower
from models.two_tower.config import TwoTowerConfig
from tests.models.recall.small_logs import small_log
from tests.models.two_tower.circle import N_ITEMS, accuracy, circle, small

SMALL = {
    "towers": {"embedding_dim": 16, "mean_hidden": 0, "dropout": 0.0, "pace": False},
    "training": {
        "first_vectors": None,
        "epochs": 40,
        "learning_rate": 0.05,
        "id_learning_rate": 0.2,
        "batch_tokens": 200,
        "validation_users": 4,
        "patience": 40,
    },
}
"""Settings by which small towers learn fast."""


def channel(**settings: Any) -> TwoTower:
    """A small channel as a configuration makes it."""
    towers = SMALL["towers"] | settings.pop("towers", {})
    model = build("two_tower", 0, SMALL | {"towers": towers} | settings)
    assert isinstance(model, TwoTower)
    return model


def rejected_by(log: Dataset, items: range) -> Ints:
    """(U, K) the same rejected items for every user."""
    return np.tile(np.array(items, dtype=np.int32), (log.n_users, 1))


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": {"kind": "bce"}, "negatives": {"uniform": 3}},
        {"loss": {"kind": "hinge"}, "negatives": {"uniform": 10}},
        {
            "loss": {"kind": "hinge", "margin": 0.4},
            "towers": {"similarity": "cosine", "temperature": 0.2},
            "negatives": {"uniform": 10},
        },
        {"loss": {"kind": "logistic"}, "negatives": {"uniform": 10}},
        {"negatives": {"uniform": 40}},
        {"negatives": {"uniform": 0}},
        {"negatives": {"uniform": 0, "popularity": 40}},
        {"negatives": {"uniform": 10, "popularity": 20, "popularity_top": 10}},
        {"negatives": {"uniform": 0, "in_batch": 40}},
        {"negatives": {"uniform": 0, "in_batch": 40, "correct_in_batch": False}},
        {"negatives": {"uniform": 20, "hard": 4, "hard_ranks": [2, 10]}},
        {"negatives": {"uniform": 20, "hard": 4, "hard_source": "rejected", "hard_ranks": [2, 10]}},
        {"negatives": {"uniform": 20, "popularity": 10, "in_batch": 20, "hard": 2, "hard_ranks": [2, 10]}},
        {"loss": {"kind": "logistic"}, "negatives": {"uniform": 5, "in_batch": 20}},
    ],
    ids=[
        "bce, 3 uniform",
        "hinge",
        "cosine margin",
        "logistic",
        "sampled softmax",
        "full softmax",
        "popularity",
        "popularity of the top",
        "in-batch, corrected",
        "in-batch, not corrected",
        "hard, model",
        "hard, rejected",
        "mixture",
        "pairs in the batch",
    ],
)
def test_every_loss_and_source_of_negatives_learns_the_circle(settings: dict[str, Any]) -> None:
    log = circle()
    model = channel(**settings)
    rejected = rejected_by(log, range(0, N_ITEMS, 3))
    assert accuracy(model.fit(log, rejected=rejected), log) > 0.85


def test_ratings_as_weights_silence_the_disliked() -> None:
    log = circle()
    # Nobody likes items below 15: as targets they weigh nothing.
    liked = replace_ratings(log, np.where(log.item_idx < 15, 0, 5))
    model = channel(loss={"ratings": "weight"}, negatives={"uniform": 40}).fit(liked)
    first = model.recommend(queries_before(log, log.indptr[1:] - 1), 1, filter_seen=False).item[:, 0]
    assert (first >= 15).all()


def test_ratings_as_labels_lower_the_disliked() -> None:
    log = circle()
    disliked = replace_ratings(log, np.where(log.item_idx < 15, 1, 5))
    rows = log.indptr[1:] - 1
    target = log.item_idx[rows]
    model = channel(loss={"kind": "bce", "ratings": "label"}, negatives={"uniform": 40}).fit(disliked)
    found = model.recommend(queries_before(log, rows), N_ITEMS, filter_seen=False)
    score = found.score[found.item == target[:, None]]
    assert score[target < 15].mean() < score[target >= 15].mean() - 1


def replace_ratings(log: Dataset, rating: np.ndarray) -> Dataset:
    return Dataset(
        log.user_idx, log.item_idx, rating.astype(np.float32), log.at, log.n_users, log.n_items, log.as_of
    )


def test_without_the_correction_in_batch_negatives_push_popular_items_down() -> None:
    log = small_log(n_users=120)
    count = np.bincount(log.item_idx, minlength=log.n_items)
    queries = queries_at(log, users=np.arange(1, log.n_users, dtype=np.int32))
    popularity = {}
    for corrected in (True, False):
        negatives = {"uniform": 0, "in_batch": 40, "correct_in_batch": corrected}
        found = channel(negatives=negatives).fit(log).recommend(queries, 5, filter_seen=False)
        popularity[corrected] = count[found.item].mean()
    assert popularity[False] < 0.95 * popularity[True]


def mean_rank(model: TwoTower, log: Dataset, items: range) -> float:
    """The mean 0-based rank of some items over all users' lists of all items."""
    users = np.arange(1, log.n_users, dtype=np.int32)
    found = model.recommend(queries_at(log, users=users), log.n_items, filter_seen=False)
    return float(np.nonzero(np.isin(found.item, items))[1].mean())


def rejecting(hard: int = 8) -> TwoTower:
    return channel(negatives={"uniform": 10, "hard": hard, "hard_source": "rejected", "hard_ranks": (2, 10)})


def test_items_that_an_earlier_run_rejected_are_pushed_down_in_training() -> None:
    log = small_log()
    some, others = range(30, 38), range(38, 46)
    pushed, plain = (rejecting().fit(log, rejected=rejected_by(log, items)) for items in (some, others))
    assert mean_rank(pushed, log, some) > mean_rank(plain, log, some) + 2
    assert mean_rank(pushed, log, others) < mean_rank(plain, log, others) - 2


def test_a_warm_training_pushes_rejected_items_down_too() -> None:
    log = small_log()
    some, others = range(30, 38), range(38, 46)
    model = rejecting().fit(log)
    model.config = model.config.but(
        training=model.config.training.but(warm_learning_rate=0.03, warm_id_learning_rate=0.3)
    )
    rows = np.arange(0, log.n_events, 2)
    pushed, plain = model.copy(), model.copy()
    for _ in range(5):
        pushed.warm(log, rows, rejected=rejected_by(log, some))
        plain.warm(log, rows, rejected=rejected_by(log, others))
    assert mean_rank(pushed, log, some) > mean_rank(plain, log, some) + 1


def test_without_rejected_items_hard_negatives_are_those_of_the_model() -> None:
    log = small_log()
    negatives = {"uniform": 10, "hard": 4, "hard_ranks": (2, 10)}
    of_model = channel(negatives=negatives).fit(log).state
    fallback = channel(negatives=negatives | {"hard_source": "rejected"}).fit(log).state
    ignoring = channel(negatives=negatives).fit(log, rejected=rejected_by(log, range(5))).state
    for name, array in of_model.items():
        np.testing.assert_array_equal(fallback[name], array)
        np.testing.assert_array_equal(ignoring[name], array)


def test_rejected_items_need_one_row_a_user() -> None:
    log = small_log()
    with pytest.raises(ValueError, match="rejected items of 39 users, but 40"):
        rejecting().fit(log, rejected=rejected_by(log, range(5))[1:])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"negatives": {"uniform": 0}, "loss": {"kind": "bce"}}, "only the softmax can take all items"),
        ({"update": {"n_negatives": 0}, "loss": {"kind": "hinge"}}, "only the softmax can take all items"),
        ({"loss": {"kind": "rating"}}, "the loss rating has no negatives"),
        (
            {"negatives": {"in_batch": 5, "correct_in_batch": False}, "loss": {"kind": "bce"}},
            "only the softmax corrects",
        ),
        ({"negatives": {"uniform": -1}}, "greater than or equal to 0"),
        ({"negatives": {"popularity_top": 10}}, "popularity_top would do nothing"),
        ({"negatives": {"correct_in_batch": False}}, "correct_in_batch would do nothing"),
        ({"negatives": {"gap_rate": 0.5}}, "gap_rate would do nothing"),
        ({"negatives": {"hard_source": "rejected"}}, "hard_source would do nothing"),
        ({"negatives": {"hard_ranks": (1, 5)}}, "hard_ranks would do nothing"),
        ({"negatives": {"hard": 5, "hard_ranks": (5, 1)}}, "hard_ranks must ascend"),
        ({"negatives": {"hard": 5, "hard_ranks": (0, 5)}}, "greater than 0"),
        ({"negatives": {"uniform": 0, "mask_seen": True}}, "mask_seen would do nothing"),
        ({"loss": {"margin": 0.1}}, "margin would do nothing"),
        ({"loss": {"ratings": "label"}}, "labels of the loss bce alone"),
        ({"loss": {"kind": "hinge", "margin": 0.0}}, "greater than 0"),
        ({"towers": {"augmented": True}}, "set user_id to true"),
        ({"loss": {"mimic": 0.5}}, "mimic would do nothing"),
        ({"towers": {"temperature": 0.0}}, "greater than 0"),
        ({"towers": {"dropout": 1.0}}, "less than 1"),
        ({"towers": {"decays": ()}}, "at least 1"),
        ({"towers": {"decays": (0.0,)}}, "greater than 0"),
        ({"towers": {"blocks": 1}}, "blocks would do nothing"),
        ({"towers": {"item_rate": 0.5, "hashes": 1}}, "item_rate and hashes would do nothing"),
        ({"towers": {"ids": "hashed", "user_rate": 0.5}}, "user_rate would do nothing"),
        ({"towers": {"ids": "hashed", "shared_dim": 65}}, "shared_dim must be at most embedding_dim, 16"),
        ({"towers": {"history": ("causal",), "heads": 3}}, "heads must divide embedding_dim"),
        ({"towers": {"history": ("causal",), "decays": (2.0,)}}, "decays and mean_hidden would do nothing"),
        ({"training": {"warmup": 0.0}}, "greater than 0"),
        ({"training": {"first_vectors": {"embedding_dim": 8}}}, "same embedding_dim"),
        ({"training": {"first_vectors": {"embedding_dim": 16}}, "towers": {"tied": True}}, "not tied"),
        ({"update": {"replay": 1.0}}, "less than 1"),
        ({"update": {"max_shift": 0.0}}, "greater than 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        channel(**settings)


def test_settings_of_all_parts_can_be_changed_at_once() -> None:
    config = small().model_dump() | {"seed": 5}
    assert TwoTowerConfig.model_validate(config) == small(seed=5)
