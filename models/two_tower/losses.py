"""Losses over the scores of one target and its negatives, for N positions and M negatives.

- bce: each score on its own, the negatives' loss averaged
- hinge: triplets, target over each negative by a margin (Schroff, Kalenichenko and Philbin, "FaceNet", 2015)
- logistic: pairs, -log sigmoid(target - negative) (Rendle et al., BPR, 2009)
- softmax: the target among all negatives, each negative's score lowered by the log of how many of it a sample
  holds on average, so that the sum over the sample estimates the one over the catalogue (Bengio and Senécal
  2008; Yi et al. 2019, https://doi.org/10.1145/3298689.3346996). The target is there for certain, so its
  score is not corrected (Khrylchenko et al. 2025, https://arxiv.org/abs/2507.09331).
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.two_tower.config import LossConfig

ROWS = 1024
"""Positions whose scores of all items are held at once."""


def event_losses(
    positive: Tensor,
    negative: Tensor,
    log_expected: Tensor,
    masked: Tensor,
    label: Tensor,
    config: LossConfig,
) -> Tensor:
    """The loss (N,) of each target: scores (N,), (N, M); masked (N, M) negatives count for nothing.

    ``log_expected`` (M,) is used by softmax alone, ``label`` (N,) in [0, 1] by bce.
    """
    if config.kind == "softmax":
        corrected = (negative - log_expected).masked_fill(masked, -torch.inf)
        return torch.logsumexp(torch.cat([positive[:, None], corrected], dim=1), dim=1) - positive
    if config.kind == "bce":
        target = functional.binary_cross_entropy_with_logits(positive, label, reduction="none")
        return target + _mean(functional.softplus(negative), masked)
    difference = positive[:, None] - negative
    if config.kind == "hinge":
        return _mean(functional.relu(config.margin - difference), masked)
    return _mean(functional.softplus(-difference), masked)


def full_softmax(users: Tensor, items: Tensor, bias: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The weighted sum of the softmax losses of positions (N, D) over all items (I, D), bias (I,).

    No (N, I) matrix is held: the gradient is computed beside the loss, a block of positions at a time.
    """
    loss: Tensor = _FullSoftmax.apply(  # type: ignore[no-untyped-call]
        users, items, bias, target, weight
    )
    return loss


class _FullSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        users: Tensor,
        items: Tensor,
        bias: Tensor,
        target: Tensor,
        weight: Tensor,
    ) -> Tensor:
        loss = torch.zeros(())
        to_users, to_items, to_bias = (torch.zeros_like(x) for x in (users, items, bias))
        for start in range(0, len(users), ROWS):
            block = users[start : start + ROWS]
            wanted, weighted = target[start : start + ROWS, None], weight[start : start + ROWS, None]
            chance = torch.softmax(block @ items.T + bias, dim=1)  # (R, I)
            loss -= (weighted * chance.gather(1, wanted).clamp_min(1e-20).log()).sum()
            chance.scatter_add_(1, wanted, -torch.ones_like(weighted))
            chance *= weighted
            to_users[start : start + ROWS] = chance @ items
            to_items += chance.T @ block
            to_bias += chance.sum(dim=0)
        ctx.save_for_backward(to_users, to_items, to_bias)
        return loss

    @staticmethod
    def backward(ctx: Any, *up: Tensor) -> tuple[Tensor | None, ...]:
        to_users, to_items, to_bias = ctx.saved_tensors
        return up[0] * to_users, up[0] * to_items, up[0] * to_bias, None, None


def _mean(losses: Tensor, masked: Tensor) -> Tensor:
    counted = (~masked).float()
    return (losses * counted).sum(1) / counted.sum(1).clamp_min(1)
