"""The loss of a batch of histories: towers, negatives and loss function put together."""

import numpy as np
import torch
from torch import Tensor

from models.dataset import DAY, Dataset, Floats, Ints, Longs
from models.two_tower.batches import Histories, Tensors
from models.two_tower.config import TwoTowerConfig
from models.two_tower.losses import event_losses, full_softmax
from models.two_tower.model import Model, tensors
from models.two_tower.negatives import Sampler, draw_hard, seen_by

MOST_STARS = 5.0
"""The best rating."""


class BatchLoss:
    """The loss of batches of one log, and the state of its sampler."""

    def __init__(self, model: Model, dataset: Dataset, config: TwoTowerConfig) -> None:
        self.towers, self.dataset, self.config = model.towers, dataset, config
        self.columns = tensors(model.items)
        self.sampler = Sampler(np.bincount(dataset.item_idx, minlength=dataset.n_items), config.negatives)
        self.mask = torch.where(torch.from_numpy(model.has_events), 0.0, -torch.inf)
        self.drawn: Longs = np.empty(0, dtype=np.int64)
        """The negatives that the newest batch shared."""
        self.weight = _event_weights(dataset, config)
        rated = config.loss.ratings == "label"
        self.label = dataset.rating / MOST_STARS if rated else np.ones_like(dataset.rating)

    def loss(
        self,
        histories: Histories,
        rng: np.random.Generator,
        generator: torch.Generator | None = None,
        ranked: Ints | None = None,
    ) -> tuple[Tensor, int]:
        """The mean loss of the positions that have a target, and their number N.

        With a ``generator`` there is dropout; ``ranked`` (U, K) are the items that hard negatives come from.
        """
        window, position = torch.nonzero(histories.target >= 0, as_tuple=True)
        target, row = histories.target[window, position], histories.row[window, position].numpy()
        users = self.towers.users(histories.inputs, (window, position), generator)  # (N, D)
        weight = torch.from_numpy(self.weight[row]) / max(1, len(row))
        if self.config.negatives.every_item:
            items = self.towers.items(self.columns)
            bias = self.towers.biases(self.columns["item_id"]) + self.mask
            return full_softmax(users, items, bias, target, weight), len(row)
        shared = self.sampler.draw(target.numpy(), rng)
        self.drawn = shared.item
        negative, log_expected = torch.from_numpy(shared.item), torch.from_numpy(shared.log_expected)
        masked = target[:, None] == negative  # (N, M)
        if self.config.negatives.mask_seen:
            seen = seen_by(histories.user.numpy(), shared.item, self.dataset)  # (B, M)
            masked |= torch.from_numpy(seen)[window]
        scores = self._score_all(users, negative)
        if ranked is not None:
            drawn = draw_hard(ranked, histories.user[window].numpy(), self.config.negatives.hard, rng)
            hard = torch.from_numpy(drawn)  # (N, K)
            scores = torch.cat([scores, self._score_own(users, hard.clamp_min(0))], dim=1)
            masked = torch.cat([masked, (hard < 0) | (hard == target[:, None])], dim=1)
            log_expected = torch.cat([log_expected, torch.zeros(hard.shape[1])])
        positive = self._score_own(users, target[:, None])[:, 0]
        label = torch.from_numpy(self.label[row])
        losses = event_losses(positive, scores, log_expected, masked, label, self.config.loss)
        return (weight * losses).sum(), len(row)

    def _score_all(self, users: Tensor, item: Tensor) -> Tensor:
        """(N, M) scores of each position (N, D) and each item (M,)."""
        columns = self._columns_of(item)
        return users @ self.towers.items(columns).T + self.towers.biases(columns["item_id"])

    def _score_own(self, users: Tensor, item: Tensor) -> Tensor:
        """(N, K) scores of each position (N, D) and its own items (N, K)."""
        columns = self._columns_of(item.reshape(-1))
        vectors = self.towers.items(columns).view(*item.shape, -1)  # (N, K, D)
        return (users[:, None] * vectors).sum(-1) + self.towers.biases(columns["item_id"]).view(item.shape)

    def _columns_of(self, item: Tensor) -> Tensors:
        return {name: column[item] for name, column in self.columns.items()}


def _event_weights(dataset: Dataset, config: TwoTowerConfig) -> Floats:
    """(E,) the weight of each event as a target, 1 on average."""
    weight = np.ones(dataset.n_events)
    if config.loss.ratings == "weight":
        weight *= dataset.rating
    if config.training.recency:
        # Relative to the newest event: counted from as_of, all might be too old to weigh anything.
        newest = dataset.at.max(initial=np.iinfo(np.int64).min)
        weight *= np.exp((dataset.at - newest) / (config.training.recency * DAY))
    scaled: Floats = (weight / max(weight.sum(), 1e-30) * len(weight)).astype(np.float32)
    return scaled
