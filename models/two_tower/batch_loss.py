"""The loss of a batch of histories: towers, negatives and loss function put together."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.dataset import DAY, Dataset, Doubles, Ints, Longs
from models.stars import Stars
from models.two_tower.batches import Histories, Tensors
from models.two_tower.config import TwoTowerConfig
from models.two_tower.losses import SharedScores, event_losses, mimic_losses, rating_losses, shared_softmax
from models.two_tower.model import Model, tensors
from models.two_tower.negatives import Sampler, draw_hard, seen_by

MOST_STARS = 5.0
"""The best rating."""


class BatchLoss:
    """The loss of batches of one log, and the state of its sampler."""

    def __init__(self, model: Model, dataset: Dataset, config: TwoTowerConfig) -> None:
        self.towers, self.dataset, self.config = model.towers, dataset, config
        self.columns, self.stars = tensors(model.items), Stars.of(dataset.rating)
        self.sampler = Sampler(np.bincount(dataset.item_idx, minlength=dataset.n_items), config.negatives)
        self.drawn: Longs = np.empty(0, dtype=np.int64)
        """The negatives drawn for the newest batch; none where all items are."""
        self.mean_weight = float(np.mean(event_weights(dataset, config)))

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
        row = histories.row[window, position].numpy()
        users = self.towers.users(histories.inputs, (window, position), generator)
        weight = self._weight(row) / max(1, len(row))
        positions = TargetPositions(window, histories.target[window, position], row, users, weight)
        loss = self._retrieval(histories, positions, rng, ranked)
        if self.config.towers.augmented:
            loss = loss + self.config.loss.mimic * (weight * self._mimic(histories, positions)).sum()
        return loss, len(row)

    def _retrieval(
        self,
        histories: Histories,
        positions: "TargetPositions",
        rng: np.random.Generator,
        ranked: Ints | None,
    ) -> Tensor:
        """The weighted sum of the losses of the targets and their negatives."""
        users, target, weight = positions.users, positions.target, positions.weight
        positive = self._score_own(users, target[:, None])[:, 0]
        if self.config.loss.kind == "rating":
            label = torch.from_numpy(self.stars.fraction(self.dataset.rating[positions.row]))
            return (weight * rating_losses(positive, label)).sum()
        drawn = self.sampler.draw(target.numpy(), rng)
        self.drawn = drawn.item[:0] if self.config.negatives.every_item else drawn.item
        item, log_expected = torch.from_numpy(drawn.item), torch.from_numpy(drawn.log_expected)
        seen = None
        if self.config.negatives.mask_seen:
            marked = seen_by(histories.user.numpy(), drawn.item, self.dataset)  # (B, M)
            seen = torch.from_numpy(marked)[positions.window]  # (N, M)
        columns = self._columns_of(item)
        vectors, bias = self.towers.items(columns), self.towers.biases(columns["item_id"])
        if self.config.loss.kind == "softmax" and ranked is None:
            shared = SharedScores(item, bias - log_expected, target, seen)
            return shared_softmax(users, vectors, positive, shared, weight)
        scores, masked = users @ vectors.T + bias, target[:, None] == item  # (N, M)
        masked = masked if seen is None else masked | seen
        if ranked is not None:
            own = draw_hard(ranked, histories.user[positions.window].numpy(), self.config.negatives.hard, rng)
            hard = torch.from_numpy(own)  # (N, K)
            scores = torch.cat([scores, self._score_own(users, hard.clamp_min(0))], dim=1)
            masked = torch.cat([masked, (hard < 0) | (hard == target[:, None])], dim=1)
            log_expected = torch.cat([log_expected, torch.zeros(hard.shape[1])])
        label = self._label(positions.row)
        return (weight * event_losses(positive, scores, log_expected, masked, label, self.config.loss)).sum()

    def _mimic(self, histories: Histories, positions: "TargetPositions") -> Tensor:
        """(N,) how far the augmented vectors of each user and target are from the other's tower."""
        user_id, columns = histories.inputs["user_id"][positions.window], self._columns_of(positions.target)
        users = positions.users * self.towers.config.temperature
        of_users = mimic_losses(self.towers.augmented("user_id", user_id), self.towers.items(columns))
        return of_users + mimic_losses(self.towers.augmented("item_id", columns["item_id"]), users)

    def _weight(self, row: Longs) -> Tensor:
        """(N,) the weights of some events as targets; those of all events are 1 on average."""
        weight = event_weights(self.dataset, self.config, row) / max(self.mean_weight, 1e-30)
        return torch.from_numpy(weight.astype(np.float32)).expand(len(row))

    def _label(self, row: Longs) -> Tensor:
        """(N,) the labels of bce for some targets."""
        if self.config.loss.ratings != "label":
            return torch.ones(()).expand(len(row))
        return torch.from_numpy(self.dataset.rating[row] / MOST_STARS)

    def _score_own(self, users: Tensor, item: Tensor) -> Tensor:
        """(N, K) scores of each position (N, D) and its own items (N, K)."""
        columns = self._columns_of(item.reshape(-1))
        vectors = self.towers.items(columns).view(*item.shape, users.shape[1])  # (N, K, D)
        return (users[:, None] * vectors).sum(-1) + self.towers.biases(columns["item_id"]).view(item.shape)

    def _columns_of(self, item: Tensor) -> Tensors:
        return {name: column[item] for name, column in self.columns.items()}


@dataclass(frozen=True)
class TargetPositions:
    """The N positions of a batch that have a target."""

    window: Tensor  # (N,) the number of the history
    target: Tensor  # (N,) item_idx
    row: Longs  # (N,) the row of the log that is the target
    users: Tensor  # (N, D) the user tower's vectors, over the temperature
    weight: Tensor  # (N,) adds up to about 1


def event_weights(dataset: Dataset, config: TwoTowerConfig, row: Longs | None = None) -> Doubles:
    """The weights as targets of the events in some rows, by default all: (N,), or (1,) if all are equal."""
    rows = slice(None) if row is None else row
    weight = np.ones(1)
    if config.loss.ratings == "weight":
        weight = weight * dataset.rating[rows]
    if config.training.recency:
        # Relative to the newest event: counted from as_of, all might be too old to weigh anything.
        newest = dataset.at.max(initial=np.iinfo(np.int64).min)
        weight = weight * np.exp((dataset.at[rows] - newest) / (config.training.recency * DAY))
    return weight
