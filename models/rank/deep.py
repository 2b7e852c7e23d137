"""Embedding and MLP: all features concatenated, then dense layers.

Zhang, Du and Wang 2016, https://arxiv.org/abs/1601.02376 (FNN, without its pre-training).
"""

from torch import Tensor, nn

from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.layers import MLP, Embedding
from models.rank.rows import Batch


class DeepConfig(Config):
    """Sizes of the network."""

    dim: int = 16
    """Numbers in a feature's vector."""
    hidden: tuple[int, ...] = (64, 64)
    """Units of the dense layers."""
    dropout: float = 0.0
    """Share of hidden units left out in training."""


class Deep(nn.Module):
    """(B, 1) logits."""

    def __init__(self, schema: FeatureSchema, config: DeepConfig = DeepConfig()) -> None:
        super().__init__()
        self.embedding = Embedding(schema, config.dim)
        self.deep = MLP(self.embedding.width, config.hidden, config.dropout)
        self.out = nn.Linear(config.hidden[-1], 1)

    def forward(self, batch: Batch) -> Tensor:
        logits: Tensor = self.out(self.deep(self.embedding(batch).flat))
        return logits
