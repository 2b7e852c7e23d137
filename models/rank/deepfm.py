"""DeepFM: a factorisation machine and dense layers over the same vectors, their logits added.

Guo et al. 2017, https://arxiv.org/abs/1703.04247.
"""

from pydantic import PositiveInt
from torch import Tensor, nn

from models.bounds import BelowOne
from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.constraints import Units
from models.rank.fm import pairwise
from models.rank.layers import MLP, Embedding, FieldVectors, FirstOrder
from models.rank.networks import single_task
from models.rank.rows import Batch
from models.rank.trainer import TrainerConfig


class DeepFMConfig(Config):
    """Sizes and training of the network."""

    embedding_dim: PositiveInt = 16
    """Length of a feature's embedding."""
    hidden: Units = (64, 64)
    """Units of the dense layers."""
    dropout: BelowOne = 0.0
    """Fraction of hidden units left out in training."""
    training: TrainerConfig = TrainerConfig()
    """Training of the network."""


class DeepFM(nn.Module):
    """(B, 1) logits."""

    def __init__(self, schema: FeatureSchema, config: DeepFMConfig = DeepFMConfig()) -> None:
        super().__init__()
        self.linear = FirstOrder(schema)
        self.embedding = Embedding(schema, config.embedding_dim)
        self.fields = FieldVectors(self.embedding.n_numbers, config.embedding_dim)
        self.deep = MLP(self.embedding.width, config.hidden, config.dropout)
        self.out = nn.Linear(config.hidden[-1], 1)

    def forward(self, batch: Batch) -> Tensor:
        embedded = self.embedding(batch)
        machine = self.linear(batch) + pairwise(self.fields(embedded))
        logits: Tensor = machine + self.out(self.deep(embedded.flat))
        return logits


RANKER = single_task(DeepFM, DeepFMConfig())
