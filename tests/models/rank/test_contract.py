"""The contract of every ranker, whatever its network: runs over the registry."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.evaluation import metrics
from models.features.schema import FeatureSchema
from models.rank.registry import RANKERS, build_ranker
from models.rank.rows import Batch, Rows
from models.rank.trainer import multi_task_loss
from tests.models.rank.small_rows import SCHEMA, small_rows

Build = Callable[[FeatureSchema], nn.Module]

NETWORKS: dict[str, Build] = {
    name: lambda schema, ranker=ranker: ranker.network(schema, 2, ranker.settings)
    for name, ranker in RANKERS.items()
    if ranker.network
}
"""Each network with its default settings, for two tasks if it can learn several."""


@pytest.fixture(scope="module")
def rows() -> Rows:
    return small_rows()


@pytest.fixture(scope="module")
def batch(rows: Rows) -> Batch:
    return rows.batch(np.arange(64))


@pytest.fixture(params=sorted(NETWORKS))
def network(request: pytest.FixtureRequest) -> nn.Module:
    """A fresh one whose parameters are large enough to tell its parts apart."""
    torch.manual_seed(0)
    module = NETWORKS[request.param](SCHEMA)
    with torch.no_grad():
        for weight in module.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return module


def answers(module: nn.Module, batch: Batch) -> Tensor:
    with torch.no_grad():
        logits: Tensor = module.eval()(batch)
    return logits


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_one_logit_a_row_and_task(name: str, batch: Batch) -> None:
    ranker = RANKERS[name]
    assert ranker.network is not None
    widths = []
    for tasks in (2, 3):
        logits = answers(ranker.network(SCHEMA, tasks, ranker.settings), batch)
        assert len(logits) == 64
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()
        widths.append(logits.shape[1])
    assert widths in ([1, 1], [2, 3])  # one task, or all


def test_rows_are_answered_one_by_one(network: nn.Module, batch: Batch) -> None:
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    logits = answers(network, batch)
    assert logits.std(dim=0).min() > 1e-3
    shuffled = {name: column[order] for name, column in batch.items()}
    torch.testing.assert_close(answers(network, shuffled), logits[order])
    first = {name: column[:1] for name, column in batch.items()}
    torch.testing.assert_close(answers(network, first), logits[:1])


def test_padding_says_nothing(network: nn.Module, batch: Batch) -> None:
    padded = dict(batch)
    for name in ("history", "searches"):
        padded[name] = torch.cat([torch.zeros(64, 3, dtype=torch.int32), batch[name]], dim=1)
    torch.testing.assert_close(answers(network, padded), answers(network, batch))


@pytest.mark.parametrize("feature", [feature.name for feature in SCHEMA.features])
def test_every_feature_is_read(network: nn.Module, batch: Batch, feature: str) -> None:
    changed = batch | {feature: batch[feature].roll(1, dims=0)}
    assert (answers(network, changed) - answers(network, batch)).abs().max() > 1e-5


def test_every_parameter_gets_gradient(network: nn.Module, batch: Batch) -> None:
    network.train()
    logits = network(batch)
    multi_task_loss(logits, (torch.rand(logits.shape) < 0.5).float()).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


def test_a_history_may_be_empty(network: nn.Module, batch: Batch) -> None:
    empty = batch | {name: torch.zeros_like(batch[name]) for name in ("history", "searches")}
    assert answers(network, empty).isfinite().all()
    network.train()
    assert network(empty).isfinite().all()


def test_a_single_row_can_be_learned_from(network: nn.Module, batch: Batch) -> None:
    network.train()
    assert network({name: column[:1] for name, column in batch.items()}).isfinite().all()


@pytest.mark.parametrize("name", sorted({*NETWORKS} - {"lr"}))
def test_it_can_learn_64_rows_by_heart(name: str, batch: Batch) -> None:
    torch.manual_seed(0)
    module = NETWORKS[name](SCHEMA).eval()  # without dropout
    tasks = module(batch).shape[1]
    label = (torch.rand((64, tasks)) < 0.5).float()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(150):
        loss = multi_task_loss(module(batch), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(multi_task_loss(answers(module, batch), label)) < 0.05 * tasks


@pytest.mark.parametrize("name", sorted(RANKERS))
def test_trained_rankers(name: str) -> None:
    """They rank better than chance, again and again the same, and their state is all that they learned."""
    rows, validation, test = (small_rows(400, seed) for seed in range(3))
    ranker = build_ranker(name)
    trained = ranker.fit(rows, validation, seed=3)
    logits = trained.logits(test)
    tasks = rows.tasks[: NETWORKS[name](SCHEMA)(rows.batch(np.arange(8))).shape[1] if name in NETWORKS else 1]
    assert trained.tasks == tasks
    assert logits.shape == (len(test), len(tasks))
    assert logits.dtype == np.float32
    for task in range(len(tasks)):
        assert metrics.auc(test.label[:, task], logits[:, task]) > 0.6
    np.testing.assert_array_equal(ranker.fit(rows, validation, seed=3).logits(test), logits)
    assert all(value.dtype != object for value in trained.state.values())
    assert FeatureSchema.from_json(trained.state["schema"].tobytes().decode()) == SCHEMA
    copied = {key: value.copy() for key, value in trained.state.items()}
    restored = ranker.restore(copied)
    np.testing.assert_array_equal(restored.logits(test), logits)
    assert restored.tasks == trained.tasks
    other = replace(test, schema=FeatureSchema(SCHEMA.features[:-1]))
    with pytest.raises(ValueError, match="other features"):
        trained.logits(other)
    nothing = replace(test, query=test.query[:0], item=test.item[:0], label=test.label[:0])
    assert trained.logits(nothing).shape == (0, len(tasks))
    unlabelled = replace(test, label=np.full_like(test.label, np.nan))
    np.testing.assert_array_equal(trained.logits(unlabelled), logits)
