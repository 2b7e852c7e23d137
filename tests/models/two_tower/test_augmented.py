"""Augmented vectors: what they learn by the mimic loss, and what does not learn by it."""

import numpy as np
import torch

from models.dataset import Dataset
from models.two_tower.batch_loss import BatchLoss
from models.two_tower.batches import Collator, windows_over
from models.two_tower.config import LossConfig, NegativesConfig, TowersConfig, TrainingConfig, TwoTowerConfig
from models.two_tower.inputs import user_columns
from models.two_tower.model import Model
from models.two_tower.training import train
from tests.models.recall.small_logs import small_log

TABLES = ("user_id_augmented", "item_id_augmented")


def augmented(mimic: float) -> TwoTowerConfig:
    """Small towers with augmented vectors; all events are targets, and each epoch improves."""
    return TwoTowerConfig(
        towers=TowersConfig(
            embedding_dim=8,
            mean_hidden=0,
            dropout=0.0,
            user_id=True,
            augmented=True,
            user_hidden=(16,),
            item_hidden=(16,),
            similarity="cosine",
            temperature=0.2,
        ),
        negatives=NegativesConfig(uniform=20),
        loss=LossConfig(mimic=mimic),
        training=TrainingConfig(epochs=30, patience=30, batch_tokens=200, validation_users=0),
    )


def gradients(model: Model, log: Dataset, config: TwoTowerConfig) -> dict[str, torch.Tensor]:
    """The gradient of every parameter over all events."""
    collator = Collator(log, model.schema, user_columns(log, model.schema))
    wanted = np.ones(log.n_events, dtype=bool)
    histories = collator.histories(windows_over(log, wanted, 200, np.random.default_rng(0)), wanted)
    model.towers.zero_grad()
    loss, _ = BatchLoss(model, log, config).loss(histories, np.random.default_rng(0))
    loss.backward()
    return {name: weight.grad.clone() for name, weight in model.towers.named_parameters()}


def distances(model: Model, log: Dataset) -> tuple[float, float]:
    """Mean distance of the augmented vectors of users, and of those by chance, from the mean of the item
    tower's outputs of each user's targets: all events but the first.
    """
    is_target = np.ones(log.n_events, dtype=bool)
    is_target[log.indptr[:-1][np.diff(log.indptr) > 0]] = False
    user, item = log.user_idx[is_target], model.item_vectors()[log.item_idx[is_target], :-1]
    number = np.bincount(user, minlength=log.n_users)
    means = np.stack([np.bincount(user, column, log.n_users) for column in item.T], axis=1)
    some = number > 0
    means = means[some] / number[some, None]
    vectors = model.towers.table(TABLES[0]).weight.detach().numpy()[1:][some]
    by_chance = np.roll(vectors, 1, axis=0)
    own, others = (float(np.linalg.norm(v - means, axis=1).mean()) for v in (vectors, by_chance))
    return own, others


def test_the_mimic_loss_moves_augmented_vectors_alone() -> None:
    log = small_log()
    model = Model.new(log, augmented(0.0).towers, seed=0)
    without, beside = (gradients(model, log, augmented(mimic)) for mimic in (0.0, 1.0))
    for name, gradient in without.items():
        is_moved = not torch.allclose(gradient, beside[name], rtol=1e-4, atol=1e-7)
        assert is_moved == any(table in name for table in TABLES), name


def test_augmented_vectors_come_near_what_the_other_tower_says_of_positives() -> None:
    log = small_log()
    ignoring, mimicking = (train(log, augmented(mimic))[0] for mimic in (0.0, 10.0))
    own, others = distances(mimicking, log)
    assert own < 0.25 * distances(ignoring, log)[0]
    assert own < 0.7 * others
