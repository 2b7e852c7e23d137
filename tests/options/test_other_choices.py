"""A night and an hour with other choices than the defaults: learner, a channel twice, a pre-ranker, arms."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from flows.hourly import hourly
from flows.nightly import nightly
from models.pipeline import arms
from models.state import unpack_text
from tasks import config as configuration
from tasks.commands.why import why
from tasks.config import Changes
from tests.flows.published import SOURCE, active, ask, lists, median_event
from warehouse.events import log as event_log
from warehouse.releases import serving
from warehouse.runs import files
from warehouse.runs.run import Run

SMALL = {
    "towers": {"embedding_dim": 4},
    "negatives": {"uniform": 16},
    "training": {"epochs": 1, "first_vectors": None},
}
CONFIG: dict[str, Any] = {
    "top_n": 10,
    "recall": {"channels": ["popular", "near", "far", "two_tower", "dssm"], "candidates": 60},
    "channels": {
        "near": {"kind": "item_cf", "decay": 1.0},
        "far": {"kind": "item_cf", "decay": 50.0, "n_neighbours": 5},
        "two_tower": SMALL,
        "dssm": SMALL
        | {
            "towers": {"embedding_dim": 4, "ids": "hashed", "shared_dim": 2},
            "update": {"max_shift": 10.0},  # of few rows many move
        },
    },
    "incremental": {"channel": "dssm"},
    "prerank": {
        "method": "three_tower",
        "pool": 60,
        "settings": {"hidden": [8], "output_dim": 4, "training": {"epochs": 2}},
    },
    "rank": {"ranker": "lr", "pool": 20},
    "experiments": {
        "diverse": {
            "arms": {
                "control": {"fraction": 0.4},
                "bold": {"fraction": 0.4, "overrides": {"rerank": {"method": "mmr", "pool": 20}}},
            }
        }
    },
}

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(home))


@pytest.fixture(scope="module")
def night(home: Path, prefect_server: None) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATINEE_HOME", str(home))
        event_log.ingest(home, SOURCE)
        return nightly(as_of=median_event(home), config=Changes.model_validate(CONFIG))


@pytest.fixture(scope="module")
def hour(home: Path, night: dict[str, Any]) -> dict[str, Any]:
    """A week later."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATINEE_HOME", str(home))
        return hourly(as_of=(datetime.fromisoformat(night["as_of"]) + timedelta(days=7)).isoformat())


def moved(home: Path, night: dict[str, Any], hour: dict[str, Any], channel: str) -> set[str]:
    """Names of the arrays of a channel that differ after the hour."""
    then, now = (
        files.read_columns(Run.read(home, release["release_id"]), f"models/{channel}")
        for release in (night, hour)
    )
    assert then.keys() == now.keys()
    return {name for name in then if not np.array_equal(then[name], now[name])}


def test_the_channel_that_is_named_learns_on_and_no_other(
    home: Path, night: dict[str, Any], hour: dict[str, Any]
) -> None:
    ids = ("item_id", "history", "user_id")
    names = ["bias", *ids, *(f"{table}_shared" for table in ids)]
    tables = {f"weight.tables.{table}.weight" for table in names}
    changed = {name for name in moved(home, night, hour, "dssm") if name.startswith("weight.")}
    assert changed
    assert changed <= tables
    assert moved(home, night, hour, "two_tower") == set()


def test_how_many_ids_of_hashed_tables_collide_is_published(home: Path, night: dict[str, Any]) -> None:
    rows = ask(home, "select model, slice, metric, value from metrics where metric like 'shares_%'")
    published = {(part, metric): value for _, part, metric, value in rows}
    assert {model for model, *_ in rows} == {"dssm"}
    state = files.read_columns(Run.read(home, night["release_id"]), "models/dssm")
    for side in ("item", "user"):
        of_side = state[f"rows.{side}"]
        shared = [set(row.tolist()) - {0} for row in of_side[:, 1:]]
        one = np.mean([any(mine & other for other in shared if other is not mine) for mine in shared])
        alike = np.mean([bool(mine) and shared.count(mine) > 1 for mine in shared])
        assert published[side, "shares_a_row"] == pytest.approx(one)
        assert published[side, "shares_all_rows"] == pytest.approx(alike)


def test_its_name_is_in_the_tables(home: Path, night: dict[str, Any], hour: dict[str, Any]) -> None:
    n_users = ask(home, "select count(*) from users")[0][0]
    assert ask(home, "select model, count(*) from user_embeddings group by all") == [("dssm", n_users)]
    assert ask(home, "select distinct model from metrics where stage = 'update'") == [("dssm",)]
    assert {model for (model,) in ask(home, "select distinct model from item_embeddings")} == {
        "two_tower",
        "dssm",
    }
    assert ("dssm",) in ask(home, "select distinct model from curves where stage = 'train'")
    for release in (night, hour):
        stored = Run.read(home, release["release_id"]).config
        assert stored["incremental"]["channel"] == "dssm"


def test_a_channel_is_there_twice_with_settings_of_its_own(
    home: Path, night: dict[str, Any], hour: dict[str, Any]
) -> None:
    widest = dict(ask(home, "select channel, max(rank) from item_similarity group by all"))
    assert set(widest) == {"near", "far"}
    assert widest["near"] > widest["far"] == 5
    with duckdb.connect(str(serving.file_of(home, night["release_id"])), read_only=True) as con:
        taken = {name for (name,) in con.execute("select step from lineage").fetchall()}
    assert {"recall near", "recall far"} <= taken
    named = {name for (name,) in ask(home, "select distinct unnest(channels) from recommendations")}
    assert {"near", "far"} <= named <= set(CONFIG["recall"]["channels"])
    for release in (night, hour):
        run = Run.read(home, release["release_id"])
        pools = files.read_parts(run, "pools")
        assert not pools["score_near"].equals(pools["score_far"])


def test_an_hour_ranks_what_the_pre_ranker_of_its_night_leaves(
    home: Path, night: dict[str, Any], hour: dict[str, Any]
) -> None:
    then, now = (Run.read(home, release["release_id"]) for release in (night, hour))
    state = files.read_columns(then, "models/preranking")
    assert json.loads(unpack_text(state["made_of"]))[0] == "three_tower"
    again = files.read_columns(now, "models/preranking")
    assert {name: array.tobytes() for name, array in again.items()} == {
        name: array.tobytes() for name, array in state.items()
    }
    after = lists(home, hour["release_id"])
    refreshed = {user for user, rows in after.items() if rows[0][2] == hour["release_id"]}
    assert refreshed == active(home, night["as_of"], hour["as_of"])
    assert {len(rows) for rows in after.values()} == {CONFIG["top_n"]}


def test_an_hour_leaves_everybody_in_the_arm_of_the_night(
    home: Path, night: dict[str, Any], hour: dict[str, Any]
) -> None:
    rows = ask(home, "select distinct user_id, experiment, release_id from recommendations order by user_id")
    config = configuration.of(Run.read(home, hour["release_id"]))
    users = np.array([user for user, *_ in rows])
    assert [label or "" for _, label, _ in rows] == arms.labels(config, users).tolist()
    assert {label for _, label, release in rows if release == hour["release_id"]} >= {
        "diverse=bold",
        "diverse=control",
    }
    since = ask(home, "select distinct experiment, started_at from experiments")
    assert since == [("diverse", datetime.fromisoformat(night["as_of"]))]
    for label in ("diverse=bold", "diverse=control"):
        query = f"select user_id, item_id from recommendations where experiment = '{label}' and rank = 5"
        user, item = ask(home, f"{query} and release_id = '{hour['release_id']}' order by user_id")[0]
        answer = why(str(user), str(item))
        decides = answer["rank"] if label == "diverse=control" else answer["rerank"]
        assert decides["rank"] == 5
        assert (answer["rerank"] is None) == (label == "diverse=control")
