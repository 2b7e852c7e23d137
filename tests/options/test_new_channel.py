"""A new channel with settings is a file and a line in the registry: its name then works everywhere."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.nightly import nightly
from models.recall.registry import CHANNELS, Channel
from tasks import config as configuration
from tasks.commands.evaluate import evaluate
from tests.flows.published import SOURCE, ask
from warehouse.errors import MatineeError
from warehouse.events import log as event_log

FILE = '''
"""Films by their mean rating."""

import numpy as np
from pydantic import PositiveInt

from models.config import Config
from models.recall.contract import Tables
from models.top_n import recommend_by_score


class LovedConfig(Config):
    """Which films count."""

    least: PositiveInt = 10
    """Ratings that a film needs."""


class Loved:
    """Films of the highest mean rating. State: score (I,)."""

    def __init__(self, config=LovedConfig()):
        self.config = config
        self.state = {}

    def fit(self, dataset):
        n = np.bincount(dataset.item_idx, minlength=dataset.n_items)
        total = np.bincount(dataset.item_idx, dataset.rating, dataset.n_items)
        mean = total / np.maximum(n, 1)
        self.state = {"score": np.where(n >= self.config.least, mean, -np.inf).astype(np.float32)}
        return self

    def recommend(self, queries, n, filter_seen=True):
        score = self.state["score"]
        every = lambda block: np.broadcast_to(score, (len(block), len(score)))
        return recommend_by_score(every, queries, n, filter_seen)

    def tables(self):
        return Tables()
'''

SETTINGS = """
top_n = 10

[recall]
channels = ["popular", "loved", "loved_by_few"]

[channels.loved]
least = 20

[channels.loved_by_few]
kind = "loved"
least = 1

[rank]
ranker = "lr"
"""

MINE = {"loved", "loved_by_few"}

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    event_log.ingest(home, SOURCE)
    (home / "matinee.toml").write_text(SETTINGS)
    return home


@pytest.fixture(autouse=True)
def one_file_and_one_line(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(home))
    (tmp_path / "loved.py").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    loved = importlib.import_module("loved")
    monkeypatch.delitem(sys.modules, "loved")
    monkeypatch.setitem(CHANNELS, "loved", Channel(loved.Loved, loved.LovedConfig()))


def test_its_settings_come_from_the_file_and_are_checked() -> None:
    config = configuration.load()
    assert config.channels["loved"] == {"kind": "loved", "least": 20}
    assert config.channels["loved_by_few"] == {"kind": "loved", "least": 1}
    with pytest.raises(MatineeError, match=r"channels\.loved\.leest.*did you mean least"):
        configuration.load({"channels": {"loved": {"leest": 3}}})
    with pytest.raises(MatineeError, match=r"channels\.loved_by_few\.least"):
        configuration.load({"channels": {"loved_by_few": {"least": 0}}})


def test_it_is_evaluated_by_name() -> None:
    answer = evaluate("leave-one-out", channels=["popular", *sorted(MINE)], rankers=[], ks=[10])
    hits = {
        row["model"]: row["value"]
        for row in answer["rows"]
        if (row["stage"], row["slice"]) == ("recall", "all")
    }
    assert set(hits) == {"popular", *MINE}
    assert len(set(hits.values())) == 3


def test_the_nightly_flow_publishes_it(home: Path) -> None:
    release = nightly()["release_id"]
    assert_published(home, release, {"popular", *MINE})
    config = json.loads(ask(home, f"select config from releases where release_id = '{release}'")[0][0])
    assert config["channels"]["loved"] == {"kind": "loved", "least": 20}


def test_parameters_of_a_deployment_name_it(home: Path) -> None:
    parameters: dict[str, Any] = json.loads('{"config": {"recall": {"channels": ["popular", "loved"]}}}')
    release = nightly(**parameters)["release_id"]
    assert_published(home, release, {"popular", "loved"})


def assert_published(home: Path, release: str, channels: set[str]) -> None:
    """The release names these channels and no other one: in its lists, its lineage and its configuration."""
    named = {name for (name,) in ask(home, "select distinct unnest(channels) from recommendations")}
    assert {"popular"} <= named <= channels  # a list names those that mattered
    steps = {step for (step,) in ask(home, f"select step from lineage where release_id = '{release}'")}
    assert {step.removeprefix("recall ") for step in steps if step.startswith("recall ")} == channels
    config = json.loads(ask(home, f"select config from releases where release_id = '{release}'")[0][0])
    assert set(config["recall"]["channels"]) == channels
