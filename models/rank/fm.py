"""Factorisation machine: a linear part, and a dot product for every pair of features.

    logit = linear + sum over pairs i < j of <v_i, v_j> x_i x_j

computed in linear time as half of ``|sum of v|^2 - sum of |v|^2``. Rendle 2010,
https://doi.org/10.1109/ICDM.2010.127.
"""

from pydantic import PositiveInt
from torch import Tensor, nn

from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.layers import Embedding, FieldVectors, FirstOrder
from models.rank.networks import single_task
from models.rank.rows import Batch
from models.rank.trainer import TrainerConfig


class FMConfig(Config):
    """Size of the factors, and training of the network."""

    embedding_dim: PositiveInt = 16
    """Length of a feature's embedding."""
    training: TrainerConfig = TrainerConfig()
    """Training of the network."""


class FM(nn.Module):
    """(B, 1) logits."""

    def __init__(self, schema: FeatureSchema, config: FMConfig = FMConfig()) -> None:
        super().__init__()
        self.linear = FirstOrder(schema)
        self.embedding = Embedding(schema, config.embedding_dim)
        self.fields = FieldVectors(self.embedding.n_numbers, config.embedding_dim)

    def forward(self, batch: Batch) -> Tensor:
        logits: Tensor = self.linear(batch) + pairwise(self.fields(self.embedding(batch)))
        return logits


def pairwise(vectors: Tensor) -> Tensor:
    """The dot products of all pairs of F vectors, summed: (B, F, D) to (B, 1)."""
    total = vectors.sum(1).square() - vectors.square().sum(1)  # (B, D)
    return 0.5 * total.sum(1, keepdim=True)


RANKER = single_task(FM, FMConfig())
