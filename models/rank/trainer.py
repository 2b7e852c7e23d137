"""One trainer for all neural rankers: Adam, averaged weights, early stopping.

The loss is cross entropy, the mean over a task's known labels, summed over tasks. Embedding tables
are penalised strongly and learn fast; what is evaluated and kept is the running average of the weights over
the last few hundred steps (Polyak and Juditsky 1992, https://doi.org/10.1137/0330046). It does what a drop
of the learning rate would, without the overfitting that follows one: on ml-1m .006 of AUC.
"""

import copy
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from models.bounds import BelowOne, NonNegative, Positive
from models.config import Config
from models.dataset import Floats, Longs
from models.features.schema import FeatureSchema
from models.rank.behaviour import GRADED, ODDS, graded_as_binary
from models.rank.layers import Embedding
from models.rank.rows import Rows, check_features, check_training
from models.rank.validation import Metric, metric_value
from models.state import State, named, pack_text, unpack_text

logger = logging.getLogger("matinee")

Build = Callable[[FeatureSchema, int], nn.Module]
"""Makes an untrained network from the schema and the number of tasks."""


Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""The loss of logits and labels, (B, T) each, and weights of rows (B,), None for 1."""


class TrainerConfig(Config):
    """Training of a network, whatever its layers."""

    batch_size: PositiveInt = 4096
    """Rows a step at most; all steps of an epoch are of one size, give or take a row."""
    learning_rate: Positive = 8e-3
    """Learning rate of Adam."""
    l2: NonNegative = 1e-4
    """L2 penalty of the embedding tables: this times the table is added to its gradient."""
    ema_decay: BelowOne = 0.995
    """Decay of the exponential moving average of the weights; 0 for no average."""
    clip_norm: PositiveFloat = math.inf
    """Norm that a larger gradient of a step is scaled down to; infinity never does."""
    patience: PositiveInt = 1
    """Epochs without improvement after which training ends."""
    epochs: PositiveInt = 30
    """Passes over the training rows at most."""
    monitor: Metric = "auc"
    """Metric of the validation rows, averaged over tasks, whose improvement training goes on for."""


@dataclass(frozen=True)
class Network:
    """A trained network: a ranker as in :class:`models.rank.contract.Trained`."""

    module: nn.Module
    schema: FeatureSchema
    tasks: tuple[str, ...]

    @property
    def state(self) -> State:
        """The weights by their names in the module, ``schema`` and ``tasks`` as JSON."""
        weights = {f"weight.{name}": value.numpy() for name, value in self.module.state_dict().items()}
        texts = {"schema": self.schema.to_json(), "tasks": json.dumps(self.tasks)}
        return weights | {name: pack_text(text) for name, text in texts.items()}

    def logits(self, rows: Rows) -> Floats:
        """(N, T) log odds.

        Raises:
            ValueError: the rows have other features.
        """
        check_features(rows, self.schema)
        return predict(self.module, rows)


def restore_network(build: Build, state: State) -> Network:
    """The network that had this state.

    Raises:
        ValueError: the weights are not those of a network that ``build`` makes.
    """
    schema = FeatureSchema.from_json(unpack_text(state["schema"]))
    tasks = tuple(json.loads(unpack_text(state["tasks"])))
    module = build(schema, len(tasks))
    weights = {name: torch.from_numpy(value.copy()) for name, value in named(state, "weight.").items()}
    expected = {name: value.shape for name, value in module.state_dict().items()}
    if expected != {name: value.shape for name, value in weights.items()}:
        raise ValueError("the ranker was trained with other sizes than those of its settings")
    module.load_state_dict(weights)
    return Network(module.eval(), schema, tasks)


def fit_network(
    build: Build,
    tasks: tuple[str, ...],
    train: Rows,
    validation: Rows,
    seed: int,
    config: TrainerConfig = TrainerConfig(),
    loss: Loss | None = None,
) -> Network:
    """Train a fresh network on some tasks of the rows, the main task first; ``loss`` in place of its own.

    Raises:
        ValueError: there are no training or no validation rows, or the two differ in features.
        FloatingPointError: the loss is no longer finite.
    """
    check_training(train, validation)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build(train.schema, len(tasks))
        trainer = _Trainer(
            module, config, loss or partial(multi_task_loss, odds=[task in ODDS for task in tasks])
        )
        _train(trainer, tasks, train, validation, np.random.default_rng(seed))
    return Network(module.eval(), train.schema, tasks)


def predict(module: nn.Module, rows: Rows, batch_size: int = 16384) -> Floats:
    """(N, T) logits of all rows, in evaluation mode."""
    module.eval()
    with torch.inference_mode():
        parts = [
            module(rows.batch(np.arange(begin, min(begin + batch_size, len(rows))))).numpy()
            for begin in range(0, max(len(rows), 1), batch_size)
        ]
    return np.concatenate(parts)


def _train(
    trainer: "_Trainer", tasks: tuple[str, ...], train: Rows, validation: Rows, rng: np.random.Generator
) -> None:
    """Leaves the module with its best weights."""
    module, config = trainer.module, trainer.config
    label = torch.from_numpy(train.label[:, [train.tasks.index(task) for task in tasks]])
    best, weights, stale = math.nan, module.state_dict(), 0
    started = time.perf_counter()
    for epoch in range(1, config.epochs + 1):
        loss = trainer.epoch(train, label, rng.permutation(len(train)))
        value = _validate(trainer, tasks, validation)
        logger.info(
            "epoch %2d  loss %.4f  validation %s %.4f  %5.1f s",
            # Log loss and RMSE have a minus sign, so that more is better.
            *(epoch, loss, config.monitor, abs(value), time.perf_counter() - started),
        )
        if epoch == 1 or value > best:
            best, weights, stale = value, copy.deepcopy(trainer.average.module.state_dict()), 0
        else:
            stale += 1
        if stale == config.patience:
            break
    module.load_state_dict(weights)


class _Trainer:
    """A network in training, and the average of its weights."""

    def __init__(self, module: nn.Module, config: TrainerConfig, loss: Loss) -> None:
        self.module, self.config, self.loss = module, config, loss
        self.optimizer = _optimizer(module, config)
        self.average = AveragedModel(module, multi_avg_fn=running_average(config.ema_decay), use_buffers=True)

    def epoch(self, train: Rows, label: Tensor, rows: Longs) -> float:
        """One pass over the rows in this order, with labels (N, T); the mean loss of a row.

        Raises:
            FloatingPointError: the loss is no longer finite.
        """
        self.module.train()
        total = 0.0
        for part in np.array_split(rows, math.ceil(len(rows) / self.config.batch_size)):
            weight = None if train.weight is None else torch.from_numpy(train.weight[part])
            loss = self.loss(self.module(train.batch(part)), label[part], weight)
            value = float(loss.detach())
            _check_finite(value, "loss", self.config)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if self.config.clip_norm < math.inf:
                nn.utils.clip_grad_norm_(self.module.parameters(), self.config.clip_norm)
            self.optimizer.step()
            self.average.update_parameters(self.module)
            total += value * len(part)
        return total / len(rows)


def running_average(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """Moves averages on towards the newest weights: an exponential moving average after a plain mean.

    The first steps count no more than later ones: until 1 / (1 - decay) steps, it is the mean of all.
    """

    @torch.no_grad()
    def update(averages: Sequence[Tensor], newest: Sequence[Tensor], steps: Tensor | int) -> None:
        weight = max(1 - decay, 1 / (int(steps) + 1))
        for average, now in zip(averages, newest, strict=True):
            if average.is_floating_point():
                average.lerp_(now, weight)
            else:
                average.copy_(now)

    return update


def multi_task_loss(
    logits: Tensor, label: Tensor, weight: Tensor | None = None, odds: Sequence[bool] = ()
) -> Tensor:
    """Cross entropy, the mean over each task's known labels, summed over tasks; (B, T) each.

    ``weight`` (B,) is that of each row, 1 by default. A label y of a task that predicts ``odds`` (T,) counts
    1 / (1 - y) times, one more than its odds: then the curvature of the loss is about 1 a row, whatever the
    odds.
    """
    labelled = ~label.isnan()
    y = label.nan_to_num()
    each = nn.functional.binary_cross_entropy_with_logits(logits, y, reduction="none")
    each = each if weight is None else each * weight[:, None]
    if any(odds):
        each = each * torch.where(torch.tensor(odds), 1 / (1 - y), 1)
    return ((each * labelled).sum(0) / labelled.sum(0).clamp(min=1)).sum()


def _validate(trainer: "_Trainer", tasks: tuple[str, ...], rows: Rows) -> float:
    """The mean of the metric over the tasks that it can be computed of; of logloss, that of the loss."""
    config, logits = trainer.config, predict(trainer.average.module, rows)
    _check_finite(float(np.abs(logits).max()), "largest logit", config)
    if config.monitor == "logloss":
        label = torch.from_numpy(rows.label[:, [rows.tasks.index(task) for task in tasks]])
        return -float(trainer.loss(torch.from_numpy(logits), label, None)) / len(tasks)
    values = [_task_value(rows, task, logits[:, number], config.monitor) for number, task in enumerate(tasks)]
    return math.nan if np.isnan(values).all() else float(np.nanmean(values))


def _task_value(rows: Rows, task: str, logit: Floats, metric: Metric) -> float:
    """The metric of one task; labels between 0 and 1 are judged as above or below their median."""
    label = rows.label[:, rows.tasks.index(task)]
    return metric_value(graded_as_binary(label) if task in GRADED else label, logit, rows.query, metric)


def _check_finite(value: float, name: str, config: TrainerConfig) -> None:
    if not math.isfinite(value):
        raise FloatingPointError(
            f"the {name} is {value}: lower training.learning_rate ({config.learning_rate}) or "
            f"training.clip_norm ({config.clip_norm})"
        )


def _optimizer(module: nn.Module, config: TrainerConfig) -> torch.optim.Optimizer:
    """Adam, with the L2 penalty on embedding tables alone."""
    tables = [part.table for part in module.modules() if isinstance(part, Embedding)]
    others = [weight for weight in module.parameters() if all(weight is not table for table in tables)]
    groups: list[dict[str, Any]] = [
        {"params": tables, "weight_decay": config.l2},
        {"params": others},
    ]
    return torch.optim.Adam(groups, lr=config.learning_rate, fused=True)
