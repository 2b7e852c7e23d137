"""Logistic regression, a weight for each code and number: the reference that all others must beat."""

from torch import Tensor, nn

from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.layers import FirstOrder
from models.rank.networks import single_task
from models.rank.rows import Batch
from models.rank.trainer import TrainerConfig


class LRConfig(Config):
    """Training of the regression."""

    training: TrainerConfig = TrainerConfig()
    """Training of the weights."""


class LR(nn.Module):
    """(B, 1) logits."""

    def __init__(self, schema: FeatureSchema, config: LRConfig = LRConfig()) -> None:
        super().__init__()
        self.linear = FirstOrder(schema)

    def forward(self, batch: Batch) -> Tensor:
        logits: Tensor = self.linear(batch)
        return logits


RANKER = single_task(LR, LRConfig())
