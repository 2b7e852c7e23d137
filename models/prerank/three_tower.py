"""Three-tower pre-ranker: user and item meet in a dot product, a small third tower reads what is of both.

    logit = <user tower, item tower> + cross tower

The user tower runs once a query and the item tower once an item, so only a dot product and the small tower
are left for each of thousands of candidates. Without the third tower it is the two-tower model of Huang et
al. 2013 (https://doi.org/10.1145/2505515.2505665); with it, what Wang et al. 2020 ask for ("COLD",
https://arxiv.org/abs/2007.16122): cross features as far as they are cheap.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.layers import MLP, Embedding
from models.rank.rows import Batch


class ThreeTowerConfig(Config):
    """Sizes of the towers."""

    dim: int = 16
    """Numbers in a feature's vector."""
    hidden: tuple[int, ...] = (64,)
    """Units of the hidden layers of the user and item towers."""
    out: int = 32
    """Numbers in the vectors that meet in the dot product."""
    cross: tuple[int, ...] = (32,)
    """Units of the cross tower; none for two towers alone."""


@dataclass(frozen=True)
class Parts:
    """Which features each tower reads."""

    user: tuple[str, ...]
    item: tuple[str, ...]
    cross: tuple[str, ...]


class Tower(nn.Module):
    """Features of one kind to a vector: (B, out)."""

    def __init__(self, schema: FeatureSchema, dim: int, hidden: tuple[int, ...], out: int) -> None:
        super().__init__()
        self.embedding = Embedding(schema, dim)
        self.deep = MLP(self.embedding.width, hidden)
        self.out = nn.Linear(hidden[-1], out)

    def forward(self, batch: Batch) -> Tensor:
        vector: Tensor = self.out(self.deep(self.embedding(batch).flat))
        return vector


class ThreeTower(nn.Module):
    """(B, 1) logits."""

    def __init__(
        self, schema: FeatureSchema, parts: Parts, config: ThreeTowerConfig = ThreeTowerConfig()
    ) -> None:
        super().__init__()
        self.user = Tower(_of(schema, parts.user), config.dim, config.hidden, config.out)
        self.item = Tower(_of(schema, parts.item), config.dim, config.hidden, config.out)
        self.bias = nn.Parameter(torch.zeros(1))
        both = bool(parts.cross and config.cross)
        self.cross = Tower(_of(schema, parts.cross), config.dim, config.cross, 1) if both else None

    def forward(self, batch: Batch) -> Tensor:
        return self.meet(self.user(batch), self.item(batch), batch)

    def meet(self, user: Tensor, item: Tensor, batch: Batch) -> Tensor:
        """Logits (B, 1) from the towers' vectors (B, out) and the cross features."""
        logits = (user * item).sum(1, keepdim=True) + self.bias
        return logits if self.cross is None else logits + self.cross(batch)


def _of(schema: FeatureSchema, names: tuple[str, ...]) -> FeatureSchema:
    return FeatureSchema(tuple(feature for feature in schema.features if feature.name in names))
