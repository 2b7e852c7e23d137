"""Treatment arms: by whose settings the list of a user is made.

Experiments of one layer exclude each other's users, those of different layers cross: a user is in one arm of
each layer at most, and the settings of all these arms make the list. Arms differ from ranking on: which
candidates are ranked is the same for all.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from itertools import combinations, groupby, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from models.config import flat, overlaid, problem
from models.dataset import Longs
from models.experiments.buckets import ROUNDING, arm_numbers
from models.experiments.config import ExperimentConfig
from models.pipeline.config import NAME, P, PipelineConfig, Settings, pool_size, resolved

VARIED = ("rank", "rankers", "rerank", "exploration")
"""Sections whose settings may differ between arms."""


class Arm(NamedTuple):
    """An arm of an experiment."""

    layer: str
    experiment: str
    name: str
    fraction: float
    overrides: Settings

    @property
    def label(self) -> str:
        """The arm as the rows of its users have it; those in several have several, with | between."""
        return f"{self.experiment}={self.name}"


Chosen = Sequence[Arm | None]
"""An arm of each layer, or None."""


def resolved_arms(config: P) -> P:
    """The same with every setting of every experiment.

    Raises:
        ValueError: settings of experiments make no sense, in one line.
    """
    if not config.experiments:
        return config
    experiments = {name: _experiment(name, settings) for name, settings in config.experiments.items()}
    whole = config.but(experiments={name: of.model_dump(mode="json") for name, of in experiments.items()})
    layers = _layers(whole)
    _check_layers(layers)
    for chosen in product(*((None, *arms) for arms in layers)):
        _check_variant(whole, chosen)
    return whole


def variants(config: P) -> dict[str, P]:
    """The configurations of all users, by the label of their arms; "" is that of users in none."""
    chosen = product(*((None, *arms) for arms in _layers(config)))
    return {_label(arms): _varied(config, arms) for arms in chosen}


def labels(config: PipelineConfig, user_ids: Longs) -> NDArray[np.str_]:
    """(U,) the label of each user's arms, "" for none."""
    layers = _layers(config)
    numbers = np.zeros((len(user_ids), len(layers)), dtype=np.int32)
    for column, arms in enumerate(layers):
        salts = [f"{arm.layer}/{arm.label}" for arm in arms]
        numbers[:, column] = arm_numbers(user_ids, salts, [arm.fraction for arm in arms], f"{arms[0].layer}/")
    found, row = np.unique(numbers, axis=0, return_inverse=True)
    choices = [(*arms, None) for arms in layers]  # the number of none, -1, is the last
    texts = [_label([arms[n] for arms, n in zip(choices, chosen, strict=True)]) for chosen in found]
    return np.array(texts, dtype=str)[row.ravel()]


def state_name(stage: str, config: PipelineConfig, variant: PipelineConfig, *sections: str) -> str:
    """The name of what a stage learned by sections of a variant: the stage where they are as for all."""
    mine, theirs = (
        {section: of.model_dump(mode="json")[section] for section in sections} for of in (config, variant)
    )
    if mine == theirs:
        return stage
    return f"{stage}-{hashlib.sha256(json.dumps(theirs, sort_keys=True).encode()).hexdigest()[:12]}"


def _layers(config: PipelineConfig) -> list[list[Arm]]:
    """The arms of each layer; all by name, so that no order of settings matters."""
    arms = [
        Arm(str(of.layer), name, arm, settings.fraction, settings.overrides)
        for name, of in ((name, ExperimentConfig(**of)) for name, of in config.experiments.items())
        for arm, settings in of.arms.items()
    ]
    return [list(of) for _, of in groupby(sorted(arms, key=lambda arm: arm[:3]), lambda arm: arm.layer)]


def _experiment(name: str, settings: Settings) -> ExperimentConfig:
    try:
        experiment = ExperimentConfig.model_validate({"layer": name} | settings)
    except ValidationError as error:
        raise ValueError(problem(error, ExperimentConfig, f"experiments.{name}")) from None
    for text in (name, str(experiment.layer), *experiment.arms):
        if not re.fullmatch(NAME, text):
            raise ValueError(f"experiments.{name}: {text!r}: a name is made of letters, digits, _ and -")
    controls = [arm for arm, of in experiment.arms.items() if not of.overrides]
    if len(controls) != 1:
        found = " and ".join(controls) or "none"
        raise ValueError(f"experiments.{name}: one arm, the control, has no overrides, not {found}")
    for arm, of in experiment.arms.items():
        for key, _ in flat(of.overrides):
            if key.partition(".")[0] not in VARIED or key == "rank.pool":
                raise ValueError(
                    f"experiments.{name}.arms.{arm}.overrides: {key} is the same for all: arms differ in "
                    f"{', '.join(VARIED)}, but for rank.pool"
                )
    return experiment


def _check_layers(layers: list[list[Arm]]) -> None:
    for arms in layers:
        total = sum(arm.fraction for arm in arms)
        if total > 1 + ROUNDING:
            raise ValueError(
                f"experiments: the fractions of layer {arms[0].layer} sum to {total:g}, more than 1"
            )
    keys = [{key for arm in arms for key, _ in flat(arm.overrides)} for arms in layers]
    for (one, mine), (other, theirs) in combinations(zip(layers, keys, strict=True), 2):
        if both := mine & theirs:
            raise ValueError(
                f"experiments: layers {one[0].layer} and {other[0].layer} cross, and both set "
                f"{', '.join(sorted(both))}: give their experiments one layer"
            )


def _check_variant(config: PipelineConfig, chosen: Chosen) -> None:
    arms = [arm for arm in chosen if arm is not None and arm.overrides]
    where = " with ".join(f"experiments.{arm.experiment}.arms.{arm.name}" for arm in arms)
    try:
        variant = _varied(config, chosen)
    except ValidationError as error:
        raise ValueError(problem(error, type(config), where)) from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if pool_size(variant) != pool_size(config):
        sizes = f"{pool_size(variant)} candidates, not {pool_size(config)}"
        raise ValueError(f"{where}: ranking would leave {sizes}: set rank.pool for all")


def _varied(config: P, chosen: Chosen) -> P:
    overrides = [arm.overrides for arm in chosen if arm is not None and arm.overrides]
    if not overrides:
        return config
    tree = config.model_dump() | {"experiments": {}}
    for changes in overrides:
        tree = overlaid(tree, changes, ("kind", "method"))
    return resolved(type(config).model_validate(tree))


def _label(chosen: Chosen) -> str:
    return "|".join(sorted(arm.label for arm in chosen if arm is not None))
