"""Three-tower pre-ranker: user and item meet in a dot product, a small third tower reads features of both.

    logit = <user tower, item tower> + cross tower

The user tower runs once a query and the item tower once an item, so only a dot product and the small tower
are left for each of a thousand candidates. Without the third tower it is the two-tower model of Huang et
al. 2013 (https://doi.org/10.1145/2505515.2505665); with it, the trade-off of Wang et al. 2020 ("COLD",
https://arxiv.org/abs/2007.16122): cross features as far as they are cheap. Cross layers inside a tower
(``models.crosses``) keep that: they cross the features of one side.
"""

from dataclasses import dataclass

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.constraints import Units
from models.rank.experts import network
from models.rank.layers import Embedding
from models.rank.rows import Batch
from models.rank.trainer import TrainerConfig


class ThreeTowerConfig(Config):
    """Sizes and training of the towers."""

    embedding_dim: PositiveInt = 16
    """Length of a feature's embedding."""
    hidden: Units = (64,)
    """Units of the hidden layers of the user and item towers."""
    output_dim: PositiveInt = 32
    """Length of the vectors of user and item, whose dot product scores a pair."""
    cross: tuple[PositiveInt, ...] = (32,)
    """Units of the tower that reads features of a pair; without any, there is no such tower."""
    crosses: NonNegativeInt = 0
    """Cross layers beside the hidden layers of each tower; 0 for none."""
    training: TrainerConfig = TrainerConfig()
    """Training of the towers."""


@dataclass(frozen=True)
class Parts:
    """Names of the features that each tower reads."""

    user: tuple[str, ...]
    item: tuple[str, ...]
    cross: tuple[str, ...]


class Tower(nn.Module):
    """Features of one kind to a vector: (B, D)."""

    def __init__(
        self, schema: FeatureSchema, hidden: tuple[int, ...], output_dim: int, config: ThreeTowerConfig
    ) -> None:
        super().__init__()
        self.embedding = Embedding(schema, config.embedding_dim)
        self.deep = network(self.embedding.width, hidden, 0.0, config.crosses)
        self.out = nn.Linear(hidden[-1], output_dim)

    def forward(self, batch: Batch) -> Tensor:
        vector: Tensor = self.out(self.deep(self.embedding(batch).flat))
        return vector


class ThreeTower(nn.Module):
    """(B, 1) logits."""

    def __init__(
        self, schema: FeatureSchema, parts: Parts, config: ThreeTowerConfig = ThreeTowerConfig()
    ) -> None:
        super().__init__()
        self.user = Tower(_of(schema, parts.user), config.hidden, config.output_dim, config)
        self.item = Tower(_of(schema, parts.item), config.hidden, config.output_dim, config)
        self.bias = nn.Parameter(torch.zeros(1))
        both = bool(parts.cross and config.cross)
        self.cross = Tower(_of(schema, parts.cross), config.cross, 1, config) if both else None

    def forward(self, batch: Batch) -> Tensor:
        return self.meet(self.user(batch), self.item(batch), batch)

    def meet(self, user: Tensor, item: Tensor, batch: Batch) -> Tensor:
        """Logits (B, 1) from the towers' vectors (B, D) and the cross features."""
        logits = (user * item).sum(1, keepdim=True) + self.bias
        return logits if self.cross is None else logits + self.cross(batch)


def _of(schema: FeatureSchema, names: tuple[str, ...]) -> FeatureSchema:
    return FeatureSchema(tuple(feature for feature in schema.features if feature.name in names))
