"""Deep interest network: the history is pooled with a weight for each event that depends on the candidate.

    interest = sum over events e of a(e, c) e,    a = MLP of [e, c, e * c, e - c], not normalised

for every sequence whose films share the embedding of a categorical feature c. Zhou et al. 2018,
https://arxiv.org/abs/1706.06978. The first layer of a is linear, so it is ``e (A + c C) + c B`` with the
row's own matrix in brackets: no (B, L, 4 D) input is ever built.
"""

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from models.bounds import BelowOne, NonNegative
from models.config import Config
from models.features.schema import Feature, FeatureSchema
from models.rank.constraints import Units
from models.rank.layers import MLP, Dice, Embedding, attended
from models.rank.networks import with_auxiliary
from models.rank.rows import Batch
from models.rank.trainer import TrainerConfig


class DINConfig(Config):
    """Sizes and training of the network."""

    embedding_dim: PositiveInt = 16
    """Length of a feature's embedding."""
    attention_hidden: PositiveInt = 16
    """Hidden units of the network that weighs a film of the history by the candidate."""
    hidden: Units = (64, 64)
    """Units of the dense layers."""
    dropout: BelowOne = 0.0
    """Fraction of hidden units left out in training."""
    auxiliary: NonNegative = 0.0
    """Weight in the loss of the tasks beside the main one, which alone is predicted; 0 learns none."""
    training: TrainerConfig = TrainerConfig()
    """Training of the network."""


class Attention(nn.Module):
    """The interest (B, D) of histories (B, L, D) in candidates (B, D), where present (B, L) bool."""

    def __init__(self, embedding_dim: int, units: int) -> None:
        super().__init__()
        self.event = nn.Parameter(torch.randn(embedding_dim, units) / embedding_dim**0.5)
        self.product = nn.Parameter(torch.randn(embedding_dim, units) / embedding_dim**0.5)
        self.candidate = nn.Linear(embedding_dim, units)
        self.dice = Dice(units)
        self.weight = nn.Linear(units, 1)

    def forward(self, history: Tensor, candidate: Tensor, present: Tensor) -> Tensor:
        matrix = self.event + candidate.unsqueeze(-1) * self.product  # (B, D, units)
        hidden = history @ matrix + self.candidate(candidate).unsqueeze(1)  # (B, L, units)
        weight = history.new_zeros(present.shape)
        weight[present] = self.weight(self.dice(hidden[present])).squeeze(-1)
        return (weight.unsqueeze(1) @ history).squeeze(1)


class DIN(nn.Module):
    """(B, T) logits. Sequences that share no embedding with a categorical feature are averaged."""

    def __init__(self, schema: FeatureSchema, tasks: int = 1, config: DINConfig = DINConfig()) -> None:
        super().__init__()
        self.pairs = attended(schema)
        left_out = [sequence for sequence, _ in self.pairs]
        self.embedding = Embedding(schema, config.embedding_dim, left_out)
        dim = config.embedding_dim
        self.attentions = nn.ModuleList(Attention(dim, config.attention_hidden) for _ in self.pairs)
        width = self.embedding.width + 2 * len(self.pairs) * dim
        self.deep = MLP(width, config.hidden, config.dropout, Dice)
        self.out = nn.Linear(config.hidden[-1], tasks)

    def forward(self, batch: Batch) -> Tensor:
        parts = [self.embedding(batch).flat]
        for (sequence, target), attention in zip(self.pairs, self.attentions, strict=True):
            parts += self._interest(batch, sequence, target, attention)
        logits: Tensor = self.out(self.deep(torch.cat(parts, dim=1)))
        return logits

    def _interest(
        self, batch: Batch, sequence: Feature, target: Feature, attention: nn.Module
    ) -> tuple[Tensor, Tensor]:
        """The pooled history (B, D), and that times the candidate (B, D)."""
        codes = batch[sequence.name]
        candidate = self.embedding.lookup(target, batch[target.name])
        interest = attention(self.embedding.lookup(sequence, codes), candidate, codes > 0)
        return interest, interest * candidate


RANKER = with_auxiliary(DIN, DINConfig())
