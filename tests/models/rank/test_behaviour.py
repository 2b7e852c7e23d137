"""Labels of behaviour, the odds that minutes are learned by, and what is usual for a length."""

import numpy as np
import pytest
import torch

from models.behaviour import Behaviour
from models.rank.behaviour import (
    LengthCurve,
    behaviour_labels,
    fit_length_curve,
    graded_as_binary,
    minutes,
)
from models.rank.trainer import multi_task_loss

NAN = np.nan
USER, ITEM = np.array([0, 0, 1, 1, 2]), np.array([1, 2, 0, 2, 0])
PAIRS = Behaviour(
    USER,
    ITEM,
    clicked=np.array([1, 0, 1, 1, 1], dtype=np.float32),
    liked=np.array([1, 0, 0, NAN, 0], dtype=np.float32),
    collected=np.array([0, 0, 0, 0, 0], dtype=np.float32),
    shared=np.array([NAN] * 5, dtype=np.float32),
    watch_seconds=np.array([60, 6, 180, 80, NAN], dtype=np.float32),
    duration_seconds=np.array([120, 60, 90, 100, 100], dtype=np.float32),
    n_items=3,
)


def test_labels() -> None:
    """Asked for a pair that is not in the log, a play, an impression, and the others."""
    user, item = np.array([2, 0, 0, 1, 1, 2]), np.array([1, 1, 2, 0, 2, 0])
    labels = behaviour_labels(PAIRS, user, item)
    expected = {
        "click": [NAN, 1, 0, 1, 1, 1],
        "like": [NAN, 1, NAN, 0, NAN, 0],  # collect is 0 for all, and share not known
        "watch_time": [NAN, 9 / 25, NAN, 27 / 43, 3 / 7, NAN],  # the unit is their mean, 320 / 3 seconds
        "completion": [NAN, 0.5, NAN, 1, 0.8, NAN],
        "finish": [NAN, 0, NAN, 1, 1, NAN],
    }
    assert list(labels) == list(expected)
    for task, label in expected.items():
        np.testing.assert_allclose(labels[task], label, rtol=1e-6, err_msg=task)


def test_a_log_without_pairs_has_no_tasks() -> None:
    none = Behaviour(*(np.empty(0, np.int32),) * 2, *(np.empty(0, np.float32),) * 6, n_items=3)
    assert behaviour_labels(none, USER, ITEM) == {}


def test_the_loss_of_odds_is_weighted_logistic_regression() -> None:
    """With label t / (1 + t) and weight 1 + t it is -(t log p + log(1 - p)), and its gradient at z is
    (1 + t) p - t."""
    t = torch.tensor([0.5, 3.0, 40.0])
    z = torch.tensor([0.3, -1.0, 2.0], requires_grad=True)
    loss = multi_task_loss(z[:, None], (t / (1 + t))[:, None], odds=[True])
    p = torch.sigmoid(z)
    expected = -(t * torch.log(p) + torch.log(1 - p)).mean()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    loss.backward()
    gradient = ((1 + t) * p - t).detach() / len(t)
    np.testing.assert_allclose(z.grad, gradient, rtol=1e-4)


def test_other_tasks_keep_their_loss_beside_odds() -> None:
    logits, label = torch.randn(8, 2), torch.rand(8, 2).round()
    label[:, 1] *= 0.9
    both = multi_task_loss(logits, label, odds=[False, True])
    plain = multi_task_loss(logits[:, :1], label[:, :1])
    odds = multi_task_loss(logits[:, 1:], label[:, 1:], odds=[True])
    assert float(both) == pytest.approx(float(plain + odds), rel=1e-5)


def test_odds_learn_the_mean() -> None:
    """A model of nothing but a constant has the closed form exp(z) = mean of t, not of its label."""
    times = np.random.default_rng(0).lognormal(3, 1, 4_000)
    label = torch.tensor(times / (1 + times))[:, None]
    z = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([z], max_iter=100)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = multi_task_loss(z.expand(len(label), 1), label, odds=[True])
        value.backward()
        return value

    optimizer.step(loss)
    assert float(z.detach().exp()) == pytest.approx(times.mean(), rel=1e-4)
    assert float(label.mean() / (1 - label).mean()) < 0.7 * times.mean()


def test_graded_labels_are_judged_by_their_median() -> None:
    label = np.array([0.1, NAN, 0.4, 0.9, 0.2], dtype=np.float32)
    np.testing.assert_array_equal(graded_as_binary(label), [0, NAN, 1, 1, 0])


def test_minutes_and_what_is_usual_for_a_length() -> None:
    curve = LengthCurve(np.array([np.log(0.5), -1, 0]), np.array([50.0, 200.0]))  # 50 / L
    length = np.array([30, 80, 200, 999, NAN], dtype=np.float32)
    np.testing.assert_allclose(curve(length), [1, 0.625, 0.25, 0.25, 0.5])
    np.testing.assert_allclose(minutes(np.array([0.5, 0.6]), 20), [20, 30])


def test_parts_over_what_is_usual_do_not_go_with_the_length() -> None:
    rng = np.random.default_rng(1)
    length = rng.lognormal(8.7, 0.4, 5_000)
    usual = 1 / (1 + (length / 6_000) ** 2)
    part = usual * rng.uniform(0.5, 1.5, len(length))
    curve = fit_length_curve(length, part)
    assert curve is not None
    assert np.corrcoef(length, part)[0, 1] < -0.6
    over = part / curve(length)
    assert over.mean() == pytest.approx(1, abs=1e-4)
    for of in (length, np.log(length)):
        assert abs(np.corrcoef(of, over)[0, 1]) < 1e-3
    ordinary = (length > np.quantile(length, 0.05)) & (length < np.quantile(length, 0.95))
    np.testing.assert_allclose(curve(length[ordinary]), usual[ordinary], rtol=0.05)
    assert fit_length_curve(length[:49], part[:49]) is None
    assert fit_length_curve(np.full(5_000, NAN), part) is None
    assert fit_length_curve(np.full(5_000, 60.0), part) is None
