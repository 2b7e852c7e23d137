"""Wide and deep: a linear part that memorises beside dense layers that generalise, their logits added.

Cheng et al. 2016, https://arxiv.org/abs/1606.07792.
"""

from torch import Tensor, nn

from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.layers import MLP, Embedding, FirstOrder
from models.rank.rows import Batch


class WideDeepConfig(Config):
    """Sizes of the deep part."""

    dim: int = 16
    """Numbers in a feature's vector."""
    hidden: tuple[int, ...] = (64, 64)
    """Units of the dense layers."""
    dropout: float = 0.0
    """Share of hidden units left out in training."""


class WideDeep(nn.Module):
    """(B, 1) logits."""

    def __init__(self, schema: FeatureSchema, config: WideDeepConfig = WideDeepConfig()) -> None:
        super().__init__()
        self.wide = FirstOrder(schema)
        self.embedding = Embedding(schema, config.dim)
        self.deep = MLP(self.embedding.width, config.hidden, config.dropout)
        self.out = nn.Linear(config.hidden[-1], 1)

    def forward(self, batch: Batch) -> Tensor:
        logits: Tensor = self.wide(batch) + self.out(self.deep(self.embedding(batch).flat))
        return logits
