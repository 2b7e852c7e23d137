"""Behaviour sequence transformer: the history and the candidate after it, through self-attention.

Chen et al. 2019, "Behavior Sequence Transformer for E-commerce Recommendation in Alibaba",
https://arxiv.org/abs/1905.06874, for every sequence whose films share the embedding of a categorical feature.
Positions are counted back from the candidate. Dense layers take the state of the candidate and the mean of
those of the history, where the paper has all states side by side: histories need no fixed length.
"""

from typing import Self

import torch
from pydantic import PositiveInt, model_validator
from torch import Tensor, nn

from models.bounds import BelowOne, NonNegative
from models.config import Config
from models.features.schema import Feature, FeatureSchema
from models.rank.constraints import Units
from models.rank.layers import INITIAL_SCALE, MLP, Embedding, attended
from models.rank.networks import with_auxiliary
from models.rank.rows import Batch
from models.rank.trainer import TrainerConfig


class BSTConfig(Config):
    """Sizes and training of the network."""

    embedding_dim: PositiveInt = 16
    """Length of a feature's embedding."""
    newest: PositiveInt = 20
    """Newest films of a history that are read."""
    blocks: PositiveInt = 1
    """Transformer blocks, each of self-attention and two dense layers."""
    heads: PositiveInt = 4
    """Attention heads of a block; they divide ``embedding_dim``."""
    hidden: Units = (64, 64)
    """Units of the dense layers."""
    dropout: BelowOne = 0.0
    """Fraction of hidden units left out in training."""
    auxiliary: NonNegative = 0.0
    """Weight in the loss of the tasks beside the main one, which alone is predicted; 0 learns none."""
    training: TrainerConfig = TrainerConfig()
    """Training of the network."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.embedding_dim % self.heads:
            raise ValueError(
                f"heads must divide embedding_dim, but {self.heads} does not divide {self.embedding_dim}"
            )
        return self


class SequenceTransformer(nn.Module):
    """States (B, L + 1, D) of histories (B, L, D), present (B, L), and of candidates (B, D) after them."""

    def __init__(self, config: BSTConfig) -> None:
        super().__init__()
        dim = config.embedding_dim
        self.position = nn.Parameter(INITIAL_SCALE * torch.randn(config.newest + 1, dim))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim,
                config.heads,
                dim_feedforward=4 * dim,
                dropout=config.dropout,
                activation=nn.functional.leaky_relu,
                batch_first=True,
            )
            for _ in range(config.blocks)
        )

    def forward(self, history: Tensor, candidate: Tensor, present: Tensor) -> Tensor:
        states = torch.cat([history, candidate.unsqueeze(1)], dim=1)
        states = states + self.position[-states.shape[1] :]
        missing = torch.cat([~present, present.new_zeros(len(present), 1)], dim=1)
        # Torch's attention refuses a batch of no rows.
        for block in self.blocks if len(states) else ():
            states = block(states, src_key_padding_mask=missing)
        return states


class BST(nn.Module):
    """(B, T) logits. Sequences that share no embedding with a categorical feature are averaged."""

    def __init__(self, schema: FeatureSchema, tasks: int = 1, config: BSTConfig = BSTConfig()) -> None:
        super().__init__()
        self.newest = config.newest
        self.pairs = attended(schema)
        left_out = [sequence for sequence, _ in self.pairs]
        self.embedding = Embedding(schema, config.embedding_dim, left_out)
        self.transformers = nn.ModuleList(SequenceTransformer(config) for _ in self.pairs)
        width = self.embedding.width + 2 * len(self.pairs) * config.embedding_dim
        self.deep = MLP(width, config.hidden, config.dropout, lambda size: nn.LeakyReLU())
        self.out = nn.Linear(config.hidden[-1], tasks)

    def forward(self, batch: Batch) -> Tensor:
        parts = [self.embedding(batch).flat]
        for (sequence, target), transformer in zip(self.pairs, self.transformers, strict=True):
            parts += self._states(batch, sequence, target, transformer)
        logits: Tensor = self.out(self.deep(torch.cat(parts, dim=1)))
        return logits

    def _states(
        self, batch: Batch, sequence: Feature, target: Feature, transformer: nn.Module
    ) -> tuple[Tensor, Tensor]:
        """The state of the candidate (B, D), and the mean of those of the history (B, D), zero for none."""
        codes = batch[sequence.name][:, -self.newest :]
        present = codes > 0
        candidate = self.embedding.lookup(target, batch[target.name])
        states = transformer(self.embedding.lookup(sequence, codes), candidate, present)
        on = present.unsqueeze(-1).to(states.dtype)
        return states[:, -1], (on * states[:, :-1]).sum(1) / on.sum(1).clamp(min=1)


RANKER = with_auxiliary(BST, BSTConfig())
