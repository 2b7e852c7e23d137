"""DeepFM: a factorisation machine and dense layers over the same vectors, their logits added.

Guo et al. 2017, https://arxiv.org/abs/1703.04247.
"""

from torch import Tensor, nn

from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.fm import pairwise
from models.rank.layers import MLP, Embedding, FieldVectors, FirstOrder
from models.rank.rows import Batch


class DeepFMConfig(Config):
    """Sizes of the network."""

    dim: int = 16
    """Numbers in a feature's vector."""
    hidden: tuple[int, ...] = (64, 64)
    """Units of the dense layers."""
    dropout: float = 0.0
    """Share of hidden units left out in training."""


class DeepFM(nn.Module):
    """(B, 1) logits."""

    def __init__(self, schema: FeatureSchema, config: DeepFMConfig = DeepFMConfig()) -> None:
        super().__init__()
        self.linear = FirstOrder(schema)
        self.embedding = Embedding(schema, config.dim)
        self.fields = FieldVectors(self.embedding.n_numbers, config.dim)
        self.deep = MLP(self.embedding.width, config.hidden, config.dropout)
        self.out = nn.Linear(config.hidden[-1], 1)

    def forward(self, batch: Batch) -> Tensor:
        embedded = self.embedding(batch)
        machine = self.linear(batch) + pairwise(self.fields(embedded))
        logits: Tensor = machine + self.out(self.deep(embedded.flat))
        return logits
