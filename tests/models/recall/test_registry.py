"""Channels by name, and the seed that reaches all of them."""

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from models.recall.registry import CHANNELS, DEFAULT_CHANNELS, build
from tests.models.recall.small_logs import small_log


def seeds(config: Any) -> list[int]:
    """All seeds of a config, at any depth."""
    found = []
    for field in fields(config):
        value = getattr(config, field.name)
        found += [value] if field.name == "seed" else seeds(value) if is_dataclass(value) else []
    return found


def without_seeds(config: Any) -> Any:
    """Everything else that the config says."""
    return {
        field.name: without_seeds(value) if is_dataclass(value := getattr(config, field.name)) else value
        for field in fields(config)
        if field.name != "seed"
    }


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_a_seed_reaches_every_part_of_a_channel_and_changes_nothing_else(name: str) -> None:
    seeded: Any = build(name, 7)
    plain: Any = CHANNELS[name]()
    assert set(seeds(seeded.config)) <= {7}
    assert without_seeds(seeded.config) == without_seeds(plain.config)


@pytest.mark.parametrize("name", ["word2vec", "deepwalk"])
def test_channels_that_draw_at_random_learn_otherwise_with_another_seed(name: str) -> None:
    log = small_log()
    first, second, again = (build(name, seed).fit(log).state for seed in (1, 2, 1))
    assert any((first[key] != second[key]).any() for key in first)
    for key, learned in first.items():
        np.testing.assert_array_equal(learned, again[key])


def test_the_default_channels_exist() -> None:
    assert set(DEFAULT_CHANNELS) <= set(CHANNELS)
    assert len(set(DEFAULT_CHANNELS)) == len(DEFAULT_CHANNELS)
