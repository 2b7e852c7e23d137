"""The trainer: what it learns from, by what it stops, what it keeps."""

import logging
import re
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.features.schema import FeatureSchema
from models.rank.deep import Deep
from models.rank.lr import LR
from models.rank.mmoe import MMoE
from models.rank.registry import build_ranker
from models.rank.rows import Rows
from models.rank.trainer import Network, TrainerConfig, fit_network, multi_task_loss
from models.rank.validation import Metric, metric_value, ranks0
from tests.models.rank.small_rows import small_rows

FAST = TrainerConfig(batch_size=64, epochs=4)


def fit(train: Rows, validation: Rows, config: TrainerConfig = FAST, seed: int = 0) -> Network:
    return fit_network(lambda schema, tasks: Deep(schema), ("watched",), train, validation, seed, config)


def test_the_loss_is_that_of_the_known_labels_task_by_task() -> None:
    logits = torch.tensor([[0.5, 2.0], [-1.0, 0.3], [4.0, -2.0]])
    label = torch.tensor([[1.0, torch.nan], [0.0, torch.nan], [torch.nan, 1.0]])

    def cross_entropy(logit: float, label: int) -> float:
        p = 1 / (1 + np.exp(-logit))
        return float(-np.log(p if label else 1 - p))

    expected = (cross_entropy(0.5, 1) + cross_entropy(-1.0, 0)) / 2 + cross_entropy(-2.0, 1)
    assert float(multi_task_loss(logits, label)) == pytest.approx(expected)
    logits.requires_grad_()
    loss = multi_task_loss(logits, torch.full((3, 2), torch.nan))
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_rows_without_a_label_change_nothing() -> None:
    train, validation = small_rows(400, 0), small_rows(200, 1)
    label, item = train.label.copy(), train.item.copy()
    label[::2] = np.nan
    item[::2] = 0
    once = FAST.but(batch_size=400, epochs=1)
    one = fit(replace(train, label=label), validation, once)
    two = fit(replace(train, label=label, item=item), validation, once)
    np.testing.assert_allclose(two.logits(validation), one.logits(validation), atol=1e-6)


def test_a_seed_decides_everything_and_the_generator_outside_nothing() -> None:
    train, validation = small_rows(400, 0), small_rows(200, 1)
    first = fit(train, validation).logits(validation)
    torch.manual_seed(99)
    expected = torch.rand(1)
    torch.manual_seed(99)
    np.testing.assert_array_equal(fit(train, validation).logits(validation), first)
    assert torch.equal(torch.rand(1), expected)
    assert (fit(train, validation, seed=1).logits(validation) != first).any()


def progress(caplog: pytest.LogCaptureFixture) -> list[float]:
    lines = [record.getMessage() for record in caplog.records]
    return [float(found[1]) for line in lines if (found := re.search(r"validation \w+ (-?[\d.]+)", line))]


def test_it_stops_on_a_plateau_and_keeps_the_best_weights(caplog: pytest.LogCaptureFixture) -> None:
    """Labels that are noise: whatever is learned after the first epochs is worth nothing on validation."""
    rng = np.random.default_rng(0)
    train, validation = small_rows(300, 0), small_rows(1000, 1)
    noise = replace(train, label=(rng.random(train.label.shape) < 0.5).astype(np.float32))
    config = FAST.but(epochs=60, ema_decay=0.0, patience=3)
    with caplog.at_level(logging.INFO, "matinee"):
        network = fit(noise, validation, config)
    reached = progress(caplog)
    assert len(reached) < 60
    best = metric_value(validation.label[:, 0], network.logits(validation)[:, 0], validation.query, "auc")
    assert best == pytest.approx(max(reached), abs=6e-5)
    assert max(reached) > max(reached[-3:])


def test_the_average_follows_the_weights_slowly() -> None:
    """With a step an epoch, a slow average is at first the mean of the weights after each step."""
    train, validation = small_rows(256, 0), small_rows(200, 1)
    sequence = []
    for epochs in (1, 2, 3):
        config = TrainerConfig(
            batch_size=256, epochs=epochs, ema_decay=0.0, patience=9, monitor="logloss", l2=0
        )
        sequence.append(last_weights(train, validation, config))
    config = TrainerConfig(batch_size=256, epochs=3, ema_decay=0.999, patience=9, monitor="logloss", l2=0)
    averaged = last_weights(train, validation, config)
    torch.testing.assert_close(averaged, torch.stack(sequence).mean(0))


def last_weights(train: Rows, validation: Rows, config: TrainerConfig) -> Tensor:
    network = fit_network(lambda schema, tasks: LR(schema), ("watched",), train, validation, 0, config)
    return torch.cat([weight.flatten() for weight in network.module.state_dict().values()])


def test_a_training_that_diverges_stops_in_one_clear_line() -> None:
    train, validation = small_rows(400, 0), small_rows(200, 1)
    # The weights are beyond float32 after a step: the next loss shows it, or else the validation rows do.
    for batch_size in (64, 400):
        config = FAST.but(learning_rate=1e38, batch_size=batch_size)
        with pytest.raises(FloatingPointError, match=r"is (nan|inf): lower training.learning_rate") as error:
            fit(train, validation, config)
        assert "\n" not in str(error.value)
    settings = {"training": {"learning_rate": 1e38}}
    with pytest.raises(FloatingPointError, match=r"^ranker deep: the .* is"):
        build_ranker("deep", settings).fit(train, validation, seed=0)


def test_a_stronger_penalty_makes_smaller_tables() -> None:
    train, validation = small_rows(1000, 0), small_rows(200, 1)
    sizes = [
        float(network.module.embedding.table.detach().square().sum())
        for penalty in (0.0, 1e-2)
        if (network := fit(train, validation, FAST.but(l2=penalty, epochs=8)))
    ]
    assert sizes[1] < sizes[0] / 2


def test_the_tasks_are_those_of_the_call_in_that_order() -> None:
    train, validation = small_rows(600, 0), small_rows(300, 1)
    flipped = replace(train, label=train.label[:, ::-1].copy(), tasks=("liked", "watched"))
    flipped_validation = replace(
        validation, label=validation.label[:, ::-1].copy(), tasks=("liked", "watched")
    )

    def build(schema: FeatureSchema, tasks: int) -> nn.Module:
        return MMoE(schema, tasks)

    one = fit_network(build, ("watched", "liked"), train, validation, 0, FAST)
    two = fit_network(build, ("watched", "liked"), flipped, flipped_validation, 0, FAST)
    np.testing.assert_array_equal(one.logits(validation), two.logits(validation))
    assert two.tasks == ("watched", "liked")


def test_validation_rows_of_one_class_stop_training_but_what_was_learned_is_kept() -> None:
    train, validation, test = (small_rows(1000, seed) for seed in range(3))
    network = fit(train, replace(validation, label=np.ones_like(validation.label)))
    assert metric_value(test.label[:, 0], network.logits(test)[:, 0], test.query, "auc") > 0.55


def test_training_without_rows_or_with_other_features_is_refused() -> None:
    train, validation = small_rows(100, 0), small_rows(100, 1)
    nothing = replace(train, query=train.query[:0], item=train.item[:0], label=train.label[:0])
    for pair in ((nothing, validation), (train, nothing)):
        with pytest.raises(ValueError, match="needs rows"):
            fit(*pair)
    other = replace(validation, schema=FeatureSchema(validation.schema.features[1:]))
    with pytest.raises(ValueError, match="different features"):
        fit(train, other)


def test_ranks_in_each_list() -> None:
    query = np.array([0, 0, 0, 2, 2])
    np.testing.assert_array_equal(ranks0(np.array([0.1, 0.9, 0.1, 3.0, 5.0]), query), [1, 0, 2, 1, 0])


def test_ndcg_by_hand() -> None:
    query = np.array([0, 0, 0, 1, 1, 2])
    label = np.array([0, 1, 1, 1, 0, 0], dtype=np.float32)
    score = np.array([3.0, 2.0, 1.0, 0.0, 1.0, 0.0])
    first = (1 / np.log2(3) + 1 / np.log2(4)) / (1 + 1 / np.log2(3))
    assert metric_value(label, score, query, "ndcg") == pytest.approx((first + 1 / np.log2(3)) / 2)
    assert np.isnan(metric_value(np.zeros(6, dtype=np.float32), score, query, "ndcg"))


def test_metrics_leave_out_unknown_labels_and_are_better_when_higher() -> None:
    label = np.array([1, np.nan, 0, 1], dtype=np.float32)
    logit = np.array([2.0, -9.0, -1.0, -3.0])
    query = np.array([0, 0, 0, 1])
    assert metric_value(label, logit, query, "auc") == 0.5
    assert metric_value(label, logit, query, "gauc") == 1.0
    loss = (np.log1p(np.exp(-2)) + np.log1p(np.exp(-1)) + np.log1p(np.exp(3))) / 3
    assert metric_value(label, logit, query, "logloss") == pytest.approx(-loss)


@pytest.mark.parametrize("metric", get_args(Metric))
def test_metrics_without_a_label_are_undefined(metric: Metric) -> None:
    nothing = np.full(3, np.nan, dtype=np.float32)
    assert np.isnan(metric_value(nothing, np.arange(3.0), np.arange(3), metric))
