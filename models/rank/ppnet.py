"""PPNet: gates by who asks, over every hidden layer of a network that is the same for all.

    h' = h * 2 sigmoid(MLP([user features, features without gradient]))

Learning hidden unit contributions (LHUC) as in Chang et al. 2023, "PEPNet",
https://arxiv.org/abs/2302.01115, section 3.3.
"""

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from models.bounds import BelowOne
from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.constraints import Units
from models.rank.layers import MLP, Embedding
from models.rank.networks import single_task
from models.rank.rows import Batch
from models.rank.trainer import TrainerConfig


class PPNetConfig(Config):
    """Sizes and training of the network."""

    embedding_dim: PositiveInt = 16
    """Length of a feature's embedding."""
    hidden: Units = (64, 64)
    """Units of the dense layers."""
    gate_hidden: PositiveInt = 32
    """Hidden units of the gate by the user that each dense layer has."""
    dropout: BelowOne = 0.0
    """Fraction of hidden units left out in training."""
    training: TrainerConfig = TrainerConfig()
    """Training of the network."""


class UserGate(nn.Module):
    """Factors between 0 and 2, (B, W) to (B, units)."""

    def __init__(self, width: int, hidden: int, units: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, hidden)
        self.out = nn.Linear(hidden, units)

    def forward(self, x: Tensor) -> Tensor:
        return 2 * torch.sigmoid(self.out(torch.relu(self.hidden(x))))


class PPNet(nn.Module):
    """(B, 1) logits."""

    def __init__(self, schema: FeatureSchema, config: PPNetConfig = PPNetConfig()) -> None:
        super().__init__()
        self.embedding = Embedding(schema, config.embedding_dim)
        self.personal = [n for n, feature in enumerate(self.embedding.symbolic) if feature.side == "user"]
        width = self.embedding.width
        widths = (width, *config.hidden)
        prior = len(self.personal) * config.embedding_dim + width
        self.layers = nn.ModuleList(
            MLP(before, (size,), config.dropout) for before, size in zip(widths, config.hidden, strict=False)
        )
        self.gates = nn.ModuleList(UserGate(prior, config.gate_hidden, size) for size in config.hidden)
        self.out = nn.Linear(config.hidden[-1], 1)

    def forward(self, batch: Batch) -> Tensor:
        embedded = self.embedding(batch)
        x = embedded.flat
        prior = torch.cat([embedded.vectors[:, self.personal].flatten(1), x.detach()], dim=1)
        for layer, gate in zip(self.layers, self.gates, strict=True):
            x = layer(x) * gate(prior)
        logits: Tensor = self.out(x)
        return logits


RANKER = single_task(PPNet, PPNetConfig())
