"""The towers against loops; the events that they may see; the parameters that learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.dataset import Dataset
from models.features.schema import Feature
from models.two_tower.batch_loss import BatchLoss
from models.two_tower.batches import Collator, windows_over
from models.two_tower.config import TowersConfig, TwoTowerConfig
from models.two_tower.inputs import user_columns
from models.two_tower.means import decayed_means
from models.two_tower.model import Model
from models.two_tower.presets import PRESETS
from models.two_tower.towers import DecayedMeans
from tests.models.recall.small_logs import small_log

CONFIGS = {name: preset.towers for name, preset in PRESETS.items()} | {
    "attention": TowersConfig(history=("attention",), heads=4),
    "augmented": PRESETS["dssm"].towers.but(augmented=True),
    "hybrid": TowersConfig(history=("mean", "attention", "causal"), tied=False, blocks=1),
}


@pytest.fixture(scope="module")
def log() -> Dataset:
    return small_log()


@pytest.fixture(params=sorted(CONFIGS))
def model(request: pytest.FixtureRequest, log: Dataset) -> Model:
    """A model whose parameters are all at random, so that none is silent."""
    made = Model.new(log, CONFIGS[request.param], seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.towers.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
        for table in made.towers.tables.values():
            table.weight[0] = 0
    return made


def inputs_of(log: Dataset, model: Model, rows: np.ndarray) -> dict[str, torch.Tensor]:
    """A batch whose windows end at some rows."""
    collator = Collator(log, model.schema, user_columns(log, model.schema))
    wanted = np.isin(np.arange(log.n_events), rows)
    windows = windows_over(log, wanted, 30, np.random.default_rng(0))
    return collator.histories(windows, wanted).inputs


def vectors_of(
    model: Model, inputs: dict[str, torch.Tensor], generator: torch.Generator | None = None
) -> torch.Tensor:
    """(B, L, D) the user vectors at all positions."""
    shape = inputs["history"].shape
    positions = torch.nonzero(torch.ones(shape), as_tuple=True)
    return model.towers.users(inputs, positions, generator).view(*shape, -1)


def test_vectors_of_some_positions_are_those_of_all(log: Dataset, model: Model) -> None:
    inputs = inputs_of(log, model, log.indptr[1:] - 1)
    window, position = torch.tensor([0, 0, 2, 5]), torch.tensor([0, 2, 1, 0])
    some = model.towers.users(inputs, (window, position))
    torch.testing.assert_close(some, vectors_of(model, inputs)[window, position])


def slow_means(events: torch.Tensor, decays: tuple[float, ...]) -> torch.Tensor:
    """Decayed means (B, L, K, D) by their definition."""
    positions = []
    for position in range(events.shape[1]):
        age = torch.arange(position, -1, -1)
        weights = torch.stack([torch.exp(-age / decay) for decay in decays])  # (K, position + 1)
        weights = weights / weights.sum(1, keepdim=True)
        positions.append(torch.einsum("kp,bpd->bkd", weights, events[:, : position + 1]))
    return torch.stack(positions, dim=1)


def test_decayed_means_and_their_gradients_are_those_of_the_definition() -> None:
    decays = (0.5, 4.0, float("inf"))
    generator = torch.Generator().manual_seed(0)
    events = torch.randn(3, 9, 4, generator=generator, requires_grad=True)
    at = torch.nonzero(torch.rand(3, 9, generator=generator) < 0.6, as_tuple=True)
    up = torch.randn(len(at[0]), 3, 4, generator=generator)
    ours, slow = decayed_means(events, at, decays), slow_means(events, decays)[at]
    torch.testing.assert_close(ours, slow)
    gradients = [torch.autograd.grad(means, events, up)[0] for means in (ours, slow)]
    torch.testing.assert_close(*gradients)


def test_the_linear_part_of_the_means_is_a_linear_map_of_decayed_means() -> None:
    config = TowersConfig(embedding_dim=3, decays=(1.0, 5.0), mean_hidden=0, newest=4)
    encoder = DecayedMeans([], config)
    events = torch.randn(2, 4, 3)
    at = torch.tensor([0, 1, 1]), torch.tensor([3, 0, 2])
    means = slow_means(events, config.decays).flatten(2)[at]
    torch.testing.assert_close(encoder(events, at, {}, None), encoder.linear(means))


def test_times_weigh_the_means() -> None:
    config = TowersConfig(embedding_dim=3, decays=(1.0, 5.0), mean_hidden=0, newest=4)
    encoder = DecayedMeans([Feature("since", "context", "categorical", 4)], config)
    assert encoder.weights is not None
    torch.nn.init.normal_(encoder.weights.weight)
    events, at = torch.randn(1, 4, 3), (torch.tensor([0, 0]), torch.tensor([3, 3]))
    means = slow_means(events, config.decays)[at]  # (2, K, D)
    since = torch.tensor([1, 3])
    weight = 2 * torch.sigmoid(encoder.weights(encoder.times["since"](since)))  # (2, K)
    expected = encoder.linear((means * weight[:, :, None]).flatten(1))
    torch.testing.assert_close(encoder(events, at, {"since": since}, None), expected)
    assert not torch.allclose(expected[0], expected[1])


def test_a_position_sees_only_earlier_ones(log: Dataset, model: Model) -> None:
    inputs = inputs_of(log, model, log.indptr[1:] - 1)
    before = vectors_of(model, inputs)
    half = inputs["history"].shape[1] // 2
    for values in inputs.values():
        if values.dim() == 2:
            values[:, half:] = values[:, half:].flip(0)
    after = vectors_of(model, inputs)
    torch.testing.assert_close(before[:, :half], after[:, :half])
    assert not torch.allclose(before[:, half:], after[:, half:])


def test_padding_changes_nothing(log: Dataset, model: Model) -> None:
    inputs = inputs_of(log, model, log.indptr[1:] - 1)
    longer = {
        name: torch.nn.functional.pad(values, (0, 3)) if values.dim() == 2 else values
        for name, values in inputs.items()
    }
    length = inputs["history"].shape[1]
    torch.testing.assert_close(vectors_of(model, longer)[:, :length], vectors_of(model, inputs))


def test_dropout_is_for_training_alone(log: Dataset, model: Model) -> None:
    inputs = inputs_of(log, model, log.indptr[1:] - 1)
    sure = [vectors_of(model, inputs) for _ in range(2)]
    assert torch.equal(*sure)
    drawn = [vectors_of(model, inputs, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_every_parameter_learns(log: Dataset, model: Model) -> None:
    config = TwoTowerConfig(towers=model.towers.config)
    collator = Collator(log, model.schema, user_columns(log, model.schema))
    wanted = np.ones(log.n_events, dtype=bool)
    windows = windows_over(log, wanted, 30, np.random.default_rng(0))
    loss, n_positions = BatchLoss(model, log, config).loss(
        collator.histories(windows, wanted), np.random.default_rng(0)
    )
    assert n_positions == (np.diff(log.indptr) - 1).clip(0).sum()
    loss.backward()
    silent = [name for name, p in model.towers.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_cosine_and_temperature(log: Dataset) -> None:
    config = PRESETS["dssm"].towers.but(temperature=0.1)
    model = Model.new(log, config, seed=0)
    users = vectors_of(model, inputs_of(log, model, log.indptr[1:] - 1))
    torch.testing.assert_close(users.norm(dim=2), torch.full(users.shape[:2], 10.0))
    np.testing.assert_allclose(np.linalg.norm(model.item_vectors()[:, :-1], axis=1), 1, rtol=1e-5)


def test_attributes_reach_items_that_nobody_rated(log: Dataset) -> None:
    config = TowersConfig(attributes=True)
    vectors = Model.new(log, config, seed=0).item_vectors()
    other = replace(log, items={**log.items, "genres": ~log.items["genres"]})
    assert (Model.new(other, config, seed=0).item_vectors()[0] != vectors[0]).any()
