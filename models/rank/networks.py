"""Rankers that are networks, made of one: how it learns is ``models.rank.trainer``."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.contract import Ranker, Trained
from models.rank.rows import Rows
from models.rank.trainer import Build, Loss, Network, fit_network, multi_task_loss, restore_network
from models.state import State


def single_task(network: Callable[[FeatureSchema, Any], nn.Module], settings: Config) -> Ranker:
    """A network that learns the main task alone: (B, 1) logits of a batch."""
    return _network(lambda schema, n_tasks, config: network(schema, config), settings, most_tasks=1)


def multi_task(network: Callable[[FeatureSchema, int, Any], nn.Module], settings: Config) -> Ranker:
    """A network that learns T tasks together: (B, T) logits of a batch."""
    return _network(network, settings, most_tasks=None)


def with_auxiliary(network: Callable[[FeatureSchema, int, Any], nn.Module], settings: Config) -> Ranker:
    """A network that predicts the main task alone, and learns the others beside it with weight ``auxiliary``.

    Its layer ``out`` maps to the T tasks; once it is trained, the rows of the others are dropped.
    """
    of_main = single_task(lambda schema, config: network(schema, 1, config), settings)

    def fit(train: Rows, validation: Rows, seed: int, config: Any) -> Trained:
        if not config.auxiliary:
            return of_main.fit(train, validation, seed, config)
        judged = of_main_task(validation)
        trained = fit_network(
            lambda schema, n_tasks: network(schema, n_tasks, config),
            *(train.tasks, train, judged, seed, config.training, _auxiliary_loss(config.auxiliary)),
        )
        return _main_alone(trained)

    return replace(of_main, fit=fit)


def of_main_task(rows: Rows) -> Rows:
    """The same rows without labels of other tasks: training that they judge stops by the main one."""
    label = rows.label.copy()
    label[:, 1:] = np.nan
    return replace(rows, label=label)


def _auxiliary_loss(auxiliary: float) -> Loss:
    def loss(logits: Tensor, label: Tensor, weight: Tensor | None) -> Tensor:
        main = multi_task_loss(logits[:, :1], label[:, :1], weight)
        return main + auxiliary * multi_task_loss(logits[:, 1:], label[:, 1:], weight)

    return loss


def _main_alone(trained: Network) -> Network:
    """The network as one of the main task, whose row of the last layer is the first."""
    out: nn.Linear = trained.module.out  # type: ignore[assignment]
    out.out_features = 1
    out.weight, out.bias = (nn.Parameter(values[:1].detach().clone()) for values in (out.weight, out.bias))
    return replace(trained, tasks=trained.tasks[:1])


def _network(
    network: Callable[[FeatureSchema, int, Any], nn.Module], settings: Config, most_tasks: int | None
) -> Ranker:
    def build(config: Any) -> Build:
        return lambda schema, n_tasks: network(schema, n_tasks, config)

    def fit(train: Rows, validation: Rows, seed: int, config: Any) -> Trained:
        tasks = train.tasks[:most_tasks]
        return fit_network(build(config), tasks, train, validation, seed, config.training)

    def restore(state: State, config: Any) -> Trained:
        return restore_network(build(config), state)

    return Ranker(fit, restore, settings, network, most_tasks)
