"""Channels by name, their settings, and the seed that reaches all of them."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from models.recall.registry import CHANNELS, build
from tests.models.recall.small_logs import small_log


def leaves(settings: Any, path: str = "") -> dict[str, Any]:
    """Settings by their path, at any depth."""
    if not isinstance(settings, dict):
        return {path: settings}
    return {name: value for key in settings for name, value in leaves(settings[key], f"{path}.{key}").items()}


def settings_of(channel: Any) -> dict[str, Any]:
    return leaves(channel.config.model_dump())


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_a_seed_reaches_every_part_of_a_channel_and_changes_nothing_else(name: str) -> None:
    seeded, plain = settings_of(build(name, 7)), leaves(CHANNELS[name].settings.model_dump())
    assert seeded.keys() == plain.keys()
    for path, value in seeded.items():
        assert value == (7 if path.endswith(".seed") else plain[path])


def test_settings_change_what_they_name_and_nothing_else() -> None:
    plain, changed = build("dssm"), build("dssm", settings={"loss": {"kind": "bce"}, "seed": 3})
    differing = {path for path, value in settings_of(changed).items() if value != settings_of(plain)[path]}
    assert differing == {".loss.kind", ".seed"}


def test_another_kind_of_trainer_starts_from_its_own_defaults() -> None:
    assert build("mf", settings={"trainer": {"kind": "bpr"}}).config == build("bpr").config


@pytest.mark.parametrize("settings", [{"trainer": {"kind": "svd"}}, {"decey": 3.0}, {"decay": "fast"}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        build("mf", settings=settings)


@pytest.mark.parametrize("name", ["word2vec", "deepwalk"])
def test_channels_that_draw_at_random_learn_otherwise_with_another_seed(name: str) -> None:
    log = small_log()
    first, second, again = (build(name, seed).fit(log).state for seed in (1, 2, 1))
    assert any((first[key] != second[key]).any() for key in first)
    for key, array in first.items():
        np.testing.assert_array_equal(array, again[key])
