"""Rankers that are networks, made of one: how it learns is ``models.rank.trainer``."""

from collections.abc import Callable
from typing import Any

from torch import nn

from models.config import Config
from models.features.schema import FeatureSchema
from models.rank.contract import Ranker, Trained
from models.rank.rows import Rows
from models.rank.trainer import Build, fit_network, restore_network
from models.state import State


def single_task(network: Callable[[FeatureSchema, Any], nn.Module], settings: Config) -> Ranker:
    """A network that learns the main task alone: (B, 1) logits of a batch."""
    return _network(lambda schema, n_tasks, config: network(schema, config), settings, most_tasks=1)


def multi_task(network: Callable[[FeatureSchema, int, Any], nn.Module], settings: Config) -> Ranker:
    """A network that learns T tasks together: (B, T) logits of a batch."""
    return _network(network, settings, most_tasks=None)


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
