"""Losses against closed forms and torch's own."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from models.two_tower.config import LossConfig
from models.two_tower.losses import SharedScores, event_losses, shared_softmax

NOTHING = torch.zeros(1, 2, dtype=torch.bool)


def loss_of(kind: str, positive: float, negative: list[float], label: float = 1.0, masked=NOTHING) -> float:
    losses = event_losses(
        torch.tensor([positive]),
        torch.tensor([negative]),
        torch.zeros(len(negative)),
        masked,
        torch.tensor([label]),
        LossConfig(kind=kind, margin=0.5),
    )
    assert losses.shape == (1,)
    return losses.item()


def sigmoid(x: float) -> float:
    return 1 / (1 + np.exp(-x))


def test_closed_forms() -> None:
    positive, negative = 0.7, [0.9, -1.2]
    assert loss_of("hinge", positive, negative) == pytest.approx((0.5 - 0.7 + 0.9) / 2)
    pairs = [-np.log(sigmoid(positive - n)) for n in negative]
    assert loss_of("logistic", positive, negative) == pytest.approx(np.mean(pairs))
    pushed = [-np.log(sigmoid(-n)) for n in negative]
    assert loss_of("bce", positive, negative) == pytest.approx(-np.log(sigmoid(positive)) + np.mean(pushed))
    soft = 0.6 * -np.log(sigmoid(positive)) + 0.4 * -np.log(sigmoid(-positive))
    assert loss_of("bce", positive, negative, label=0.6) == pytest.approx(soft + np.mean(pushed))
    total = np.exp([positive, *negative]).sum()
    assert loss_of("softmax", positive, negative) == pytest.approx(np.log(total) - positive)


@pytest.mark.parametrize("kind", ["bce", "hinge", "logistic", "softmax"])
def test_a_masked_negative_is_as_good_as_none(kind: str) -> None:
    masked = torch.tensor([[False, True]])
    alone = loss_of(kind, 0.7, [0.9], masked=NOTHING[:, :1])
    assert loss_of(kind, 0.7, [0.9, 50.0], masked=masked) == pytest.approx(alone)


def test_the_corrected_sample_estimates_the_sum_over_the_catalogue() -> None:
    # A sample that holds each other item as often as expected gives the very loss over all items.
    scores = torch.tensor([0.3, -1.0, 2.0, 0.5])
    sample = torch.tensor([1, 1, 1, 2, 2, 3])
    expected = torch.tensor([3.0, 3, 3, 2, 2, 1]).log()
    masked = torch.zeros(1, 6, dtype=torch.bool)
    sampled = event_losses(scores[:1], scores[sample][None], expected, masked, torch.ones(1), LossConfig())
    full = functional.cross_entropy(scores[None], torch.tensor([0]))
    assert sampled.item() == pytest.approx(full.item())


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("n", [0, 1, 1500])
def test_the_softmax_in_blocks_is_the_one_of_torch_and_so_are_its_gradients(n: int, seen: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    users = torch.randn(n, 8, generator=generator, requires_grad=True)
    items = torch.randn(30, 8, generator=generator, requires_grad=True)
    bias = torch.randn(30, generator=generator, requires_grad=True)
    positive = torch.randn(n, generator=generator, requires_grad=True)
    target, item = (
        torch.randint(0, 25, (n,), generator=generator),
        torch.randint(0, 25, (30,), generator=generator),
    )
    weight = torch.rand(n, generator=generator) / max(1, n)
    other = torch.rand(n, 30, generator=generator) < 0.3 if seen else None
    masked = target[:, None] == item
    masked = masked if other is None else masked | other
    ours = shared_softmax(users, items, positive, SharedScores(item, bias - 0.5, target, other), weight)
    each = event_losses(
        positive, users @ items.T + bias, torch.full((30,), 0.5), masked, torch.ones(()), LossConfig()
    )
    theirs = (weight * each).sum()
    torch.testing.assert_close(ours, theirs)
    parameters = (users, items, bias, positive)
    for mine, other in zip(
        torch.autograd.grad(2 * ours, parameters), torch.autograd.grad(2 * theirs, parameters), strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_a_target_whose_negatives_are_all_masked_loses_nothing() -> None:
    users, items, positive = (torch.ones(shape, requires_grad=True) for shape in ((1, 4), (2, 4), (1,)))
    shared = SharedScores(torch.tensor([3, 3]), torch.zeros(2), torch.tensor([3]), None)
    loss = shared_softmax(users, items, positive, shared, torch.ones(1))
    assert loss.item() == 0
    for gradient in torch.autograd.grad(loss, (users, items, positive)):
        assert (gradient == 0).all()
