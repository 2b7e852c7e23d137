"""Losses over the scores of one target and its negatives, for N positions and M negatives.

- bce: each score on its own, the negatives' loss averaged
- hinge: triplets, target over each negative by a margin (Schroff, Kalenichenko and Philbin, "FaceNet", 2015)
- logistic: pairs, -log sigmoid(target - negative) (Rendle et al., BPR, 2009)
- softmax: the target among all negatives, each negative's score lowered by the log of how many of it a sample
  holds on average, so that the sum over the sample estimates the one over the catalogue (Bengio and Senécal
  2008; Yi et al. 2019, https://doi.org/10.1145/3298689.3346996). The target is there for certain, so its
  score is not corrected (Khrylchenko et al. 2025, https://arxiv.org/abs/2507.09331).
- rating: the target's rating alone, 1 + 4 sigmoid of the score on a scale of 1 to 5

To any of them the mimic loss of augmented vectors can be added (Yu et al. 2021; ``models.two_tower.towers``).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.two_tower.config import LossConfig

ROWS = 1024
"""Positions whose scores of shared negatives are held at once."""


def event_losses(
    positive: Tensor,
    negative: Tensor,
    log_expected: Tensor,
    masked: Tensor,
    label: Tensor,
    config: LossConfig,
) -> Tensor:
    """The loss (N,) of each target: scores (N,), (N, M); masked (N, M) negatives count for nothing.

    ``log_expected`` (M,) is used by softmax alone, ``label``, (N,) or one number, in [0, 1] by bce.
    """
    if config.kind == "softmax":
        corrected = (negative - log_expected).masked_fill(masked, -torch.inf)
        return torch.logsumexp(torch.cat([positive[:, None], corrected], dim=1), dim=1) - positive
    if config.kind == "bce":
        target = functional.binary_cross_entropy_with_logits(
            positive, label.expand_as(positive), reduction="none"
        )
        return target + _mean(functional.softplus(negative), masked)
    difference = positive[:, None] - negative
    if config.kind == "hinge":
        return _mean(functional.relu(config.margin - difference), masked)
    return _mean(functional.softplus(-difference), masked)


def rating_losses(positive: Tensor, label: Tensor) -> Tensor:
    """The cross entropy (N,) of scores and ratings as fractions of the scale: no negatives."""
    return functional.binary_cross_entropy_with_logits(positive, label, reduction="none")


def mimic_losses(augmented: Tensor, output: Tensor) -> Tensor:
    """Squared distances (N,) of augmented vectors (N, D) from outputs (N, D), which learn nothing by them."""
    return (augmented - output.detach()).square().sum(1)


@dataclass(frozen=True)
class SharedScores:
    """M negatives that N positions share, and those of them that are masked."""

    item: Tensor  # (M,)
    offset: Tensor  # (M,) what is added to the products: the bias less the correction; -inf is no negative
    target: Tensor  # (N,) masked where it is the negative
    seen: Tensor | None  # (N, M) further masked ones


def shared_softmax(
    users: Tensor, vectors: Tensor, positive: Tensor, shared: SharedScores, weight: Tensor
) -> Tensor:
    """The weighted sum of the softmax losses of positions (N, D) over their own and the shared scores.

    ``vectors`` (M, D) of the negatives, ``positive`` (N,) the scores of the targets, ``weight`` (N,). No
    (N, M) matrix is held: the gradient is computed beside the loss, a block of positions at a time.
    """
    loss: Tensor = _SharedSoftmax.apply(  # type: ignore[no-untyped-call]
        users, vectors, positive, shared.offset, shared, weight
    )
    return loss


class _SharedSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        users: Tensor,
        vectors: Tensor,
        positive: Tensor,
        offset: Tensor,
        shared: SharedScores,
        weight: Tensor,
    ) -> Tensor:
        loss = torch.zeros(())
        to_users, to_positive = torch.empty_like(users), torch.empty_like(positive)
        to_vectors, to_offset = torch.zeros_like(vectors), torch.zeros_like(offset)
        for start in range(0, len(users), ROWS):
            rows = slice(start, start + ROWS)
            block, own = users[rows], positive[rows, None]
            chance = torch.addmm(offset, block, vectors.T)  # (R, M)
            chance.masked_fill_(shared.target[rows, None] == shared.item, -torch.inf)
            if shared.seen is not None:
                chance.masked_fill_(shared.seen[rows], -torch.inf)
            largest = torch.maximum(chance.amax(1, keepdim=True), own)
            chance.sub_(largest).exp_()
            of_own = (own - largest).exp()
            total = chance.sum(1, keepdim=True) + of_own
            weighted = weight[rows, None]
            loss -= (weighted * (own - largest - total.log())).sum()
            chance *= weighted / total
            to_positive[rows] = (weighted * (of_own / total - 1))[:, 0]
            torch.mm(chance, vectors, out=to_users[rows])
            to_vectors.addmm_(chance.T, block)
            to_offset += chance.sum(dim=0)
        ctx.save_for_backward(to_users, to_vectors, to_positive, to_offset)
        return loss

    @staticmethod
    def backward(ctx: Any, *up: Tensor) -> tuple[Tensor | None, ...]:
        return (*(up[0] * gradient for gradient in ctx.saved_tensors), None, None)


def _mean(losses: Tensor, masked: Tensor) -> Tensor:
    counted = (~masked).float()
    return (losses * counted).sum(1) / counted.sum(1).clamp_min(1)
