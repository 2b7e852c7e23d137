"""Settings that are said to matter to answers alone leave the state as it is."""

import numpy as np
import pytest

from models.recall.contract import fit_settings
from models.recall.registry import CHANNELS, build
from tests.models.recall.small_logs import small_log

DECLARED = [
    (kind, name)
    for kind, channel in CHANNELS.items()
    for name in sorted(getattr(channel.settings, "only_answers", ()))
]


@pytest.mark.parametrize(("kind", "name"), DECLARED)
def test_settings_of_answers_do_not_change_the_state(kind: str, name: str) -> None:
    log = small_log()
    default = build(kind)
    changed = build(kind, settings={name: 3})
    assert getattr(default.config, name) != 3
    assert fit_settings(changed) == fit_settings(default)
    before, after = default.fit(log).state, changed.fit(log).state
    assert before.keys() == after.keys()
    for key, value in before.items():
        np.testing.assert_array_equal(value, after[key])


def test_two_channels_may_share_a_fit() -> None:
    ease, plain = build("ease"), build("ease_plain")
    assert ease.config != plain.config
    assert fit_settings(ease) == fit_settings(plain)
    assert fit_settings(ease) != fit_settings(build("ease", settings={"l2": 3.0}))


def test_by_default_every_setting_matters_to_the_fit() -> None:
    popular = build("popular")
    assert fit_settings(popular) == (type(popular), popular.config.model_dump())
