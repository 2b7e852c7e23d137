"""FiBiNET: features weighed by squeeze and excitation, pairs of them crossed by bilinear products.

A pair's cross is ``(v_i W_i) * v_j``, elementwise, of the vectors as they are and as they are weighed; all
crosses go through dense layers, beside a linear part. Huang et al. 2019, https://arxiv.org/abs/1905.09433.
"""

import torch
from torch import Tensor, nn

from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.layers import MLP, Embedding, FirstOrder
from models.rank.rows import Batch


class FiBiNETConfig(Config):
    """Sizes of the network."""

    dim: int = 16
    """Numbers in a feature's vector."""
    reduction: int = 3
    """The hidden layer that weighs S features has S over this many units."""
    hidden: tuple[int, ...] = (64, 64)
    """Units of the dense layers."""
    dropout: float = 0.0
    """Share of hidden units left out in training."""


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

    def __init__(self, features: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, dim, dim) / dim**0.5)
        self.left, self.right = torch.triu_indices(features, features, offset=1).tolist()

    def forward(self, vectors: Tensor) -> Tensor:
        turned = torch.einsum("bsd,sde->bse", vectors, self.weight)
        return turned[:, self.left] * vectors[:, self.right]


class FiBiNET(nn.Module):
    """(B, 1) logits. Numeric features go to the linear part and the dense layers alone."""

    def __init__(self, schema: FeatureSchema, config: FiBiNETConfig = FiBiNETConfig()) -> None:
        super().__init__()
        self.linear = FirstOrder(schema)
        self.embedding = Embedding(schema, config.dim)
        features = len(self.embedding.symbolic)
        self.senet = SENet(features, config.reduction)
        self.plain, self.weighed = Bilinear(features, config.dim), Bilinear(features, config.dim)
        width = features * (features - 1) * config.dim + self.embedding.n_numbers
        self.deep = MLP(width, config.hidden, config.dropout)
        self.out = nn.Linear(config.hidden[-1], 1)

    def forward(self, batch: Batch) -> Tensor:
        vectors, numbers = self.embedding(batch)
        crosses = torch.cat([self.plain(vectors), self.weighed(self.senet(vectors))], dim=1)
        hidden = self.deep(torch.cat([crosses.flatten(1), numbers], dim=1))
        logits: Tensor = self.linear(batch) + self.out(hidden)
        return logits
