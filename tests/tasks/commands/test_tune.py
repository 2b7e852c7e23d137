"""A search for settings: by validation alone, gone on with where it stopped."""

import math
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.config import flat
from models.evaluation.protocols import PROTOCOLS
from models.pipeline.config import channel_settings, ranker_of
from models.pipeline.search import SPACE, ranges
from models.rank.registry import RANKERS
from models.recall.registry import CHANNELS
from tasks import config as configuration
from tasks.commands import tune as command
from tasks.commands.evaluate import read_log
from tasks.commands.tune import tune
from tests.models.evaluation.logs import random_log
from tests.warehouse import batches
from warehouse.errors import MatineeError

PROTOCOL = "temporal-2003"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    log = random_log(0, "2000-10-01", "2003-03-01", n_users=60, n_items=120, n_events=4000)
    return batches.of_log(tmp_path_factory.mktemp("source") / "ratings", log, n_people=50)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    return tmp_path


def test_the_best_settings_are_lines_of_a_configuration_and_a_search_goes_on(
    source: str, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    tried = []
    value = command.channel_value

    def counted(*arguments: object) -> float:
        tried.append(value(*arguments))  # type: ignore[arg-type]
        return tried[-1]

    monkeypatch.setattr(command, "channel_value", counted)
    first = tune("popular", PROTOCOL, 3, source)
    assert (len(tried), first["trials"], first["before"]) == (3, 3, tried[0])
    again = tune("popular", PROTOCOL, 6, source)
    assert (len(tried), again["trials"], again["best"]) == (6, 6, max(tried))
    assert len(set(tried)) > 1
    other = tune("popular", PROTOCOL, 1, source, seed=1)
    assert (len(tried), other["trials"], other["toml"]) == (7, 1, "")
    if again["toml"]:
        (home / "matinee.toml").write_text(again["toml"])
        (half_life,) = tomllib.loads(again["toml"])["channels"]["popular"].values()
        assert channel_settings(configuration.load(), "popular")[1].model_dump() == {"half_life": half_life}


def test_the_test_of_a_protocol_is_not_looked_at(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log, vocabulary = read_log(source)
    (split,) = PROTOCOLS[PROTOCOL].splits(log)
    is_test = log.at >= split.train.as_of
    item = np.where(is_test, (log.item_idx + 7) % log.n_items, log.item_idx).astype(np.int32)
    found = []
    for dataset in (log, replace(log, item_idx=item)):
        monkeypatch.setattr(command, "read_log", lambda _, dataset=dataset: (dataset, vocabulary))
        found.append(tune("popular", PROTOCOL, 2, source))
    assert found[0] == found[1]


def test_a_ranker_is_searched_too(source: str) -> None:
    config = {"recall": {"channels": ["popular", "item_cf"]}}
    answer = tune("gbdt", PROTOCOL, 2, source, config=config)
    assert answer["best"] >= answer["before"] > 0
    if answer["settings"]:
        assert answer["settings"].keys() == ranges(ranker_of(configuration.load(), "gbdt").settings).keys()


@pytest.mark.parametrize(
    ("name", "protocol", "message"),
    [
        ("magic", PROTOCOL, "unknown channel or ranker 'magic': choose from popular, "),
        ("popular", "ctr-random", "unknown protocol for tuning 'ctr-random': choose from "),
        ("cache", PROTOCOL, "cache has no settings to search"),
    ],
)
def test_what_cannot_be_searched_is_refused(name: str, protocol: str, message: str, source: str) -> None:
    with pytest.raises(MatineeError, match=message):
        tune(name, protocol, 1, source)


@pytest.mark.parametrize("config", SPACE, ids=lambda config: config.__name__)
def test_every_range_is_of_a_setting_and_its_bounds_are_allowed(config: type) -> None:
    for name, limits in SPACE[config].items():
        assert name in config.model_fields
        assert limits.low < limits.high
        assert limits.low > 0 or not limits.log
        for bound in (limits.low, limits.high):
            assert getattr(config.model_validate({name: bound}), name) == bound


def test_channels_and_rankers_have_settings_to_search_at_their_values() -> None:
    all_settings = {name: kind.settings for name, kind in (CHANNELS | RANKERS).items()}
    without = {name for name, settings in all_settings.items() if not ranges(settings)}
    assert without == {"cache", "fresh"}, "nothing that a log says would tell good ones from bad ones"
    for settings in all_settings.values():
        values = dict(flat(settings.model_dump()))
        for key, limits in ranges(settings).items():
            now = values[key]
            assert now is None or math.isinf(now) or limits.low <= now <= limits.high or now == 0, key
