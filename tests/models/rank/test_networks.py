"""Rankers that are networks: what they learn beside the task that they predict."""

from dataclasses import replace

import numpy as np
import pytest

from models.evaluation import metrics
from models.rank.contract import Trained
from models.rank.registry import build_ranker
from models.rank.rows import Rows
from tests.models.rank.small_rows import small_rows

TRAIN, VALIDATION, TEST = small_rows(600, seed=0), small_rows(200, seed=1), small_rows(200, seed=2)
TRAINING = {"batch_size": 64, "epochs": 6, "patience": 6}


def with_few_labels(rows: Rows) -> Rows:
    """The main task is labelled in one of thirty rows, and the other task is the same in all."""
    label = np.repeat(rows.label[:, :1], 2, axis=1)
    label[np.arange(len(rows)) % 30 > 0, 0] = np.nan
    return replace(rows, label=label)


def fit(name: str, auxiliary: float) -> Trained:
    ranker = build_ranker(name, {"auxiliary": auxiliary, "training": TRAINING})
    return ranker.fit(with_few_labels(TRAIN), VALIDATION, 0)


@pytest.mark.parametrize("name", ["dcn_v2", "din", "bst"])
def test_an_auxiliary_task_teaches_the_main_one_which_alone_is_predicted(name: str) -> None:
    alone, beside = fit(name, 0.0), fit(name, 0.5)
    assert alone.tasks == beside.tasks == TRAIN.tasks[:1]
    auc = [metrics.auc(TEST.label[:, 0], trained.logits(TEST)[:, 0]) for trained in (alone, beside)]
    assert auc[1] > auc[0] + 0.02
    again = build_ranker(name, {"auxiliary": 0.5, "training": TRAINING}).restore(beside.state)
    np.testing.assert_array_equal(again.logits(TEST), beside.logits(TEST))
    assert beside.logits(TEST).shape == (len(TEST), 1)
