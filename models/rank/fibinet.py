"""FiBiNET: features weighted by squeeze and excitation, pairs of them crossed by bilinear products.

A pair's cross is ``(v_i W_i) * v_j``, elementwise, of the vectors as they are and as they are weighted; all
crosses go through dense layers, beside a linear part. Huang et al. 2019, https://arxiv.org/abs/1905.09433.
"""

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from models.bounds import BelowOne
from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.constraints import Units
from models.rank.layers import MLP, Embedding, FirstOrder
from models.rank.networks import single_task
from models.rank.rows import Batch
from models.rank.trainer import TrainerConfig


class FiBiNETConfig(Config):
    """Sizes and training of the network."""

    embedding_dim: PositiveInt = 16
    """Length of a feature's embedding."""
    reduction: PositiveInt = 3
    """Features for each hidden unit of the layer that weighs the features."""
    hidden: Units = (64, 64)
    """Units of the dense layers."""
    dropout: BelowOne = 0.0
    """Fraction of hidden units left out in training."""
    training: TrainerConfig = TrainerConfig()
    """Training of the network."""


class SENet(nn.Module):
    """Vectors (B, S, D), each times a weight of at least 0 that depends on the means of all.

    ``weights = relu(W2 relu(W1 means))``; Hu et al. 2018, https://arxiv.org/abs/1709.01507.
    """

    def __init__(self, features: int, reduction: int) -> None:
        super().__init__()
        hidden = max(features // reduction, 1)
        self.squeeze = nn.Linear(features, hidden, bias=False)
        self.excite = nn.Linear(hidden, features, bias=False)

    def forward(self, vectors: Tensor) -> Tensor:
        weight = torch.relu(self.excite(torch.relu(self.squeeze(vectors.mean(2)))))  # (B, S)
        return vectors * weight.unsqueeze(-1)


class Bilinear(nn.Module):
    """Crosses of all pairs: (B, S, D) to (B, S (S - 1) / 2, D), with a matrix for each left feature."""

    def __init__(self, features: int, embedding_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, embedding_dim, embedding_dim) / embedding_dim**0.5)
        self.left, self.right = torch.triu_indices(features, features, offset=1).tolist()

    def forward(self, vectors: Tensor) -> Tensor:
        turned = torch.einsum("bsd,sde->bse", vectors, self.weight)
        return turned[:, self.left] * vectors[:, self.right]


class FiBiNET(nn.Module):
    """(B, 1) logits. Numeric features go to the linear part and the dense layers alone."""

    def __init__(self, schema: FeatureSchema, config: FiBiNETConfig = FiBiNETConfig()) -> None:
        super().__init__()
        self.linear = FirstOrder(schema)
        self.embedding = Embedding(schema, config.embedding_dim)
        features, dim = len(self.embedding.symbolic), config.embedding_dim
        self.senet = SENet(features, config.reduction)
        self.plain, self.weighted = Bilinear(features, dim), Bilinear(features, dim)
        width = features * (features - 1) * dim + self.embedding.n_numbers
        self.deep = MLP(width, config.hidden, config.dropout)
        self.out = nn.Linear(config.hidden[-1], 1)

    def forward(self, batch: Batch) -> Tensor:
        vectors, numbers = self.embedding(batch)
        crosses = torch.cat([self.plain(vectors), self.weighted(self.senet(vectors))], dim=1)
        hidden = self.deep(torch.cat([crosses.flatten(1), numbers], dim=1))
        logits: Tensor = self.linear(batch) + self.out(hidden)
        return logits


RANKER = single_task(FiBiNET, FiBiNETConfig())
