"""One trainer for all neural rankers: Adam, learning-rate drops on a plateau, early stopping.

The loss is binary cross entropy, the mean over a task's known labels, summed over tasks. What is kept are
the weights of the best evaluation. A first drop of the learning rate alone is worth half a point of AUC.
"""

import copy
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from models.dataset import Floats, Longs
from models.evaluation import metrics
from models.evaluation.split import Targets, offsets
from models.features.schema import FeatureSchema
from models.rank.layers import Embedding
from models.rank.rows import Rows
from models.recall.contract import State

log = logging.getLogger("matinee")

Build = Callable[[FeatureSchema, int], nn.Module]

NDCG_AT = 10
"""Places of a query's list that the metric ``ndcg`` looks at."""


@dataclass(frozen=True)
class TrainerConfig:
    """How a network is trained, whatever it is."""

    batch_size: int = 4096
    """Rows a step."""
    learning_rate: float = 1e-3
    """Of Adam, at the start."""
    embedding_l2: float = 0.0
    """L2 penalty on embedding tables: this times the table is added to its gradient."""
    weight_decay: float = 0.0
    """Decoupled decay (AdamW) of all other weights, a step, times the learning rate."""
    evaluations: int = 1
    """Evaluations an epoch."""
    patience: int = 1
    """Evaluations without improvement after which the learning rate drops."""
    drop: float = 0.1
    """What the learning rate is multiplied by at a drop; training goes on from the best weights."""
    max_drops: int = 1
    """Drops; the plateau after the last one ends training."""
    max_epochs: int = 30
    """Passes over the training rows at most."""
    monitor: Literal["auc", "gauc", "logloss", "ndcg"] = "auc"
    """What improves or does not, on the main task of the validation rows."""


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
        return weights | {name: np.frombuffer(text.encode(), dtype=np.uint8) for name, text in texts.items()}

    def logits(self, rows: Rows) -> Floats:
        """(N, T) log odds; raises ValueError if the rows have other features."""
        if rows.schema != self.schema:
            raise ValueError("these rows have other features than those the ranker was trained on")
        return predict(self.module, rows)


def restore_network(build: Build, state: State) -> Network:
    """The network that had this state."""
    schema = FeatureSchema.from_json(state["schema"].tobytes().decode())
    tasks = tuple(json.loads(state["tasks"].tobytes().decode()))
    module = build(schema, len(tasks))
    weights = {
        name.removeprefix("weight."): torch.from_numpy(value.copy())
        for name, value in state.items()
        if name.startswith("weight.")
    }
    module.load_state_dict(weights)
    return Network(module, schema, tasks)


def fit_network(
    build: Build,
    tasks: tuple[str, ...],
    train: Rows,
    validation: Rows,
    seed: int,
    config: TrainerConfig = TrainerConfig(),
) -> Network:
    """Train a fresh network on some tasks of the rows, the main task first.

    Raises ValueError without training or validation rows, or if the two differ in features.
    """
    if not len(train) or not len(validation):
        raise ValueError("training needs rows to learn from and rows to stop by")
    if train.schema != validation.schema:
        raise ValueError("training and validation rows have different features")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build(train.schema, len(tasks))
        _train(module, tasks, train, validation, np.random.default_rng(seed), config)
    return Network(module.eval(), train.schema, tasks)


def predict(module: nn.Module, rows: Rows, batch_size: int = 16384) -> Floats:
    """(N, T) logits of all rows, in evaluation mode."""
    module.eval()
    with torch.inference_mode():
        parts = [
            module(rows.batch(np.arange(begin, min(begin + batch_size, len(rows))))).numpy()
            for begin in range(0, len(rows), batch_size)
        ]
    return np.concatenate(parts)


def evaluate(label: Floats, logits: Floats, query: Longs, metric: str) -> float:
    """One figure of one task, higher is better; (N,) each, rows without a label left out.

    The log loss comes with a minus sign. ``gauc`` and ``ndcg`` are taken within a query.
    """
    known = ~np.isnan(label)
    label, logits, query = label[known], logits[known], query[known]
    if metric == "auc":
        return metrics.auc(label, logits)
    if metric == "gauc":
        return metrics.gauc(label, logits, query.astype(np.int32))
    if metric == "ndcg":
        return _ndcg(label, logits, query)
    return -float(metrics.log_loss(label, 1 / (1 + np.exp(-logits.astype(np.float64)))).mean())


def _ndcg(label: Floats, logits: Floats, query: Longs) -> float:
    """The mean NDCG@10 over queries with a positive row."""
    order = np.lexsort((-logits, query))
    begin = np.searchsorted(query[order], query[order])
    place = (np.arange(len(order)) - begin).astype(np.int32)
    positive = label[order] > 0
    count = np.unique(query[order][positive], return_counts=True)[1]
    targets = Targets(offsets(count), place[positive])
    return float(metrics.ndcg(place[positive], targets, NDCG_AT).mean())


def _train(
    module: nn.Module,
    tasks: tuple[str, ...],
    train: Rows,
    validation: Rows,
    rng: np.random.Generator,
    config: TrainerConfig,
) -> None:
    """Leaves the module with its best weights."""
    optimizer = _optimizer(module, config)
    columns = [train.tasks.index(task) for task in tasks]
    label = torch.from_numpy(train.label[:, columns])
    best, best_weights, stale, drops = -math.inf, copy.deepcopy(module.state_dict()), 0, 0
    started = time.perf_counter()
    for number, rows in enumerate(_portions(len(train), rng, config), start=1):
        loss = _learn(module, optimizer, train, label, rows, config.batch_size)
        figure = _validate(module, tasks, validation, config.monitor)
        log.info(
            "epoch %4.1f  loss %.4f  validation %s %.4f  %5.1f s",
            *(number / config.evaluations, loss, config.monitor, figure, time.perf_counter() - started),
        )
        if figure > best:
            best, best_weights, stale = figure, copy.deepcopy(module.state_dict()), 0
            continue
        stale += 1
        if stale < config.patience:
            continue
        if drops == config.max_drops:
            break
        drops, stale = drops + 1, 0
        module.load_state_dict(best_weights)
        for group in optimizer.param_groups:
            group["lr"] *= config.drop
    module.load_state_dict(best_weights)


def _portions(n_rows: int, rng: np.random.Generator, config: TrainerConfig) -> Iterator[Longs]:
    """Row numbers between two evaluations, each epoch in another order."""
    for _ in range(config.max_epochs):
        yield from np.array_split(rng.permutation(n_rows), config.evaluations)


def _learn(
    module: nn.Module, optimizer: torch.optim.Optimizer, train: Rows, label: Tensor, rows: Longs, size: int
) -> float:
    """One pass over some rows; the mean loss of a row."""
    module.train()
    total = 0.0
    for begin in range(0, len(rows), size):
        part = rows[begin : begin + size]
        loss = multi_task_loss(module(train.batch(part)), label[part])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += float(loss.detach()) * len(part)
    return total / len(rows)


def multi_task_loss(logits: Tensor, label: Tensor) -> Tensor:
    """Binary cross entropy, the mean over each task's known labels, summed over tasks; (B, T) each."""
    known = ~label.isnan()
    each = nn.functional.binary_cross_entropy_with_logits(logits, label.nan_to_num(), reduction="none")
    return ((each * known).sum(0) / known.sum(0).clamp(min=1)).sum()


def _validate(module: nn.Module, tasks: tuple[str, ...], rows: Rows, metric: str) -> float:
    """The figure of each task, averaged."""
    logits = predict(module, rows)
    figures = [
        evaluate(rows.label[:, rows.tasks.index(task)], logits[:, place], rows.query, metric)
        for place, task in enumerate(tasks)
    ]
    return float(np.mean(figures))


def _optimizer(module: nn.Module, config: TrainerConfig) -> torch.optim.Optimizer:
    """Adam: tables are penalised, whatever else there is decays."""
    tables = [part.table for part in module.modules() if isinstance(part, Embedding)]
    others = [weight for weight in module.parameters() if all(weight is not table for table in tables)]
    groups = [
        {"params": tables, "weight_decay": config.embedding_l2, "decoupled_weight_decay": False},
        {"params": others, "weight_decay": config.weight_decay, "decoupled_weight_decay": True},
    ]
    return torch.optim.Adam(groups, lr=config.learning_rate, fused=True)
