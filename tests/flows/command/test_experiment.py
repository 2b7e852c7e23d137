"""The report on an experiment, held against a count of the exposures one by one."""

import shutil
from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest

from models.config import overlaid
from tests import home as homes
from tests.flows.command.conftest import Matinee, read
from warehouse.events import exposures
from warehouse.releases import serving
from warehouse.releases.publication import publish
from warehouse.runs.run import Run

DAYS = 0.5
EXPERIMENT: dict[str, Any] = {
    "layer": "list",
    "window_days": DAYS,
    "arms": {
        "bold": {"fraction": 0.4, "overrides": {"rerank": {"method": "mmr"}}},
        "control": {"fraction": 0.6, "overrides": {}},
        "empty": {"fraction": 0.0001, "overrides": {"rerank": {"method": "dpp"}}},
    },
}
RELEASED_AT = homes.START + timedelta(hours=20)

Shown = tuple[int, int, datetime, int | None, str | None, float | None]


def release(home: Path, as_of: datetime, experiments: dict[str, Any]) -> Run:
    run = replace(homes.begin(home, as_of), config={"top_n": 5, "experiments": experiments})
    homes.compute(run)
    homes.finish(run)
    publish(run, 5, 10)
    return run


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with ratings of 200 hours and one release, as of the twentieth."""
    home = homes.write_home(tmp_path_factory.mktemp("experiment"), n_events=200)
    (home / "catalog" / "dataset.json").write_text('{"name": "hand", "layout": "dat"}')
    release(home, RELEASED_AT, {"diverse": EXPERIMENT})
    return home


@pytest.fixture
def home(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wide: None) -> Path:
    """A copy of it to report exposures to."""
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / "home"))
    return shutil.copytree(original, tmp_path / "home", symlinks=True)


def label_of(user: int) -> str:
    return f"other=a|diverse={'bold' if user % 2 else 'control'}"


def report(home: Path, shown: list[Shown]) -> None:
    columns = ["user_id", "item_id", "shown_at", "rank", "experiment", "propensity"]
    schema = [pl.Int64, pl.Int64, pl.Datetime("us"), pl.Int32, pl.String, pl.Float64]
    frame = pl.DataFrame(shown, dict(zip(columns, schema, strict=True)), orient="row")
    frame.write_parquet(home / "shown.parquet")
    exposures.record(home, str(home / "shown.parquet"))


def random_exposures(home: Path) -> list[Shown]:
    """Half of them of films that are rated within a day, one in ten of no arm of the experiment."""
    rng = np.random.default_rng(0)
    events = pl.read_parquet(home / "events" / "*.parquet").filter(pl.col("event_at") > RELEASED_AT)
    found: dict[tuple[int, int, datetime], Shown] = {}
    for user, item, at in (
        events.select("user_id", "item_id", "event_at").sample(300, with_replacement=True, seed=1).rows()
    ):
        shown_at = at - timedelta(minutes=int(rng.integers(-60, 24 * 60)))
        if rng.random() < 0.5:
            item = int(rng.integers(1, homes.N_ITEMS + 1)) * 10
        label = label_of(user) if rng.random() < 0.9 else rng.choice(["diversely=bold", "other=a"])
        found[user, item, shown_at] = (user, item, shown_at, None, str(label), None)
    return list(found.values())


def counted(home: Path, shown: list[Shown]) -> dict[str, list[int]]:
    """Users, exposures and watched ones by arm, counted one by one, and the recent ones under an own name."""
    events = pl.read_parquet(home / "events" / "*.parquet")
    rated = defaultdict(list)
    for user, item, at in events.select("user_id", "item_id", "event_at").rows():
        rated[user, item].append(at)
    newest, window = events["event_at"].max(), timedelta(days=DAYS)
    users, n_exposures, n_watched, recent = defaultdict(set), defaultdict(int), defaultdict(int), 0
    of_arms = [row for row in shown if row[4] == label_of(row[0]) and row[2] >= RELEASED_AT]
    for user, item, at, *_ in of_arms:
        if at + window > newest:
            recent += 1
            continue
        arm = "bold" if user % 2 else "control"
        later = [other[2] for other in of_arms if other[:2] == (user, item) and other[2] > at]
        end = min([at + window, *later])
        users[arm].add(user)
        n_exposures[arm] += 1
        n_watched[arm] += any(at <= moment < end for moment in rated[user, item])
    rows = {arm: [len(users[arm]), n_exposures[arm], n_watched[arm]] for arm in ("control", "bold")}
    return rows | {"recent": [recent]}


def answer_of(matinee: Matinee, *words: str) -> dict[str, Any]:
    answer = read(matinee("experiment", "diverse", "--json", *words))
    assert isinstance(answer, dict)
    return answer


def test_exposures_are_counted_by_arm_and_watched_within_the_window(home: Path, matinee: Matinee) -> None:
    shown = random_exposures(home)
    report(home, shown)
    answer, expected = answer_of(matinee), counted(home, shown)
    rows = {row["arm"]: [row["users"], row["exposures"], row["watched"]] for row in answer["arms"]}
    assert rows == {"control": expected["control"], "bold": expected["bold"], "empty": [0, 0, 0]}
    assert min(expected["control"][2], expected["bold"][2], expected["recent"][0]) > 0
    assert f"left out: {expected['recent'][0]} exposures" in " ".join(answer["notes"])
    control, bold, empty = answer["arms"]
    difference = bold["watched"] / bold["exposures"] - control["watched"] / control["exposures"]
    assert bold["difference"]["value"] == pytest.approx(difference)
    assert bold["difference"]["low"] < difference < bold["difference"]["high"]
    assert control["difference"] is empty["difference"] is empty["watched_fraction"] is None
    assert (answer["layer"], answer["window_days"]) == ("list", DAYS)
    assert answer["started_at"] == RELEASED_AT.isoformat()


def test_users_who_were_in_several_arms_are_left_out(home: Path, matinee: Matinee) -> None:
    at = RELEASED_AT
    report(home, [(1, 10, at, None, label_of(1), None), (2, 10, at, None, label_of(2), None)])
    report(home, [(1, 20, at, None, label_of(2), None)])
    answer = answer_of(matinee)
    assert {row["arm"]: row["users"] for row in answer["arms"]} == {"control": 1, "bold": 0, "empty": 0}
    assert "left out: 1 users who were in several arms" in answer["notes"]


def test_lists_that_were_drawn_are_estimated_off_policy(home: Path, matinee: Matinee) -> None:
    """The lists of the release are given arms; of each two ranks are shown, one as listed."""
    file = serving.file_of(home, serving.kept_releases(home)[0])
    with duckdb.connect(str(file)) as con:
        con.execute(
            "update recommendations set experiment = 'diverse=' || if(user_id % 2 = 1, 'bold', 'control')"
        )
        listed = con.execute("select user_id, item_id, rank from recommendations where rank <= 2").fetchall()
    shown: list[Shown] = []
    for user, item, rank in listed:
        shown.append(
            (user, item if rank == 1 else 190, RELEASED_AT, rank, label_of(user), 0.8 if rank == 1 else 0.1)
        )
    shown.append((1, 200, RELEASED_AT - timedelta(hours=1), 1, label_of(1), 0.5))  # before the release
    report(home, shown)
    events = pl.read_parquet(home / "events" / "*.parquet")
    end = RELEASED_AT + timedelta(days=DAYS)
    rated = set(
        events.filter(pl.col("event_at").is_between(RELEASED_AT, end, closed="left"))
        .select("user_id", "item_id")
        .rows()
    )
    for row in answer_of(matinee)["off_policy"]:
        mine = [of for of in shown[:-1] if label_of(of[0]).endswith(row["arm"])]
        weights = [1 / 0.8 if of[3] == 1 else 0.0 for of in mine]
        rewards = [float(of[:2] in rated) for of in mine]
        assert row["exposures"] == len(mine)
        if not mine:
            continue
        assert row["effective_size"] == pytest.approx(len(mine) / 2)
        assert row["ips"]["value"] == pytest.approx(np.dot(weights, rewards) / len(mine))
        assert row["snips"]["value"] == pytest.approx(np.dot(weights, rewards) / sum(weights))
        of_rank = {rank: [r for r, of in zip(rewards, mine, strict=True) if of[3] == rank] for rank in (1, 2)}
        model = np.array([np.mean(of_rank[of[3]]) for of in mine])
        robust = np.mean(model + np.array(weights) * (np.array(rewards) - model))
        assert row["doubly_robust"]["value"] == pytest.approx(robust)
    printed = matinee("experiment", "diverse")
    assert "doubly robust" in printed.out


def test_a_release_is_not_estimated_from_exposures_of_its_own_lists(home: Path, matinee: Matinee) -> None:
    file = serving.file_of(home, serving.kept_releases(home)[0])
    columns = "user_id, item_id, rank, experiment, propensity"
    with duckdb.connect(str(file)) as con:
        con.execute(
            "update recommendations set experiment = 'diverse=' || if(user_id % 2 = 1, 'bold', 'control'), "
            "propensity = if(rank = 2, 0.001, 0.9)"
        )
        listed = con.execute(f"select {columns} from recommendations").fetchall()
    report(home, [(user, item, RELEASED_AT, rank, arm, p) for user, item, rank, arm, p in listed])
    answer = answer_of(matinee)
    assert sum(row["exposures"] for row in answer["arms"]) > 0
    assert [row["effective_size"] for row in answer["off_policy"]] == [0, 0, 0]
    assert "the exposures are of its own lists" in " ".join(answer["notes"])


def test_exposures_of_earlier_settings_do_not_count(home: Path, matinee: Matinee) -> None:
    at = [RELEASED_AT, RELEASED_AT + timedelta(days=1)]
    report(home, [(user, 10, moment, None, label_of(user), None) for user in (1, 2) for moment in at])
    ramped = overlaid(EXPERIMENT, {"arms": {"bold": {"fraction": 0.3}}})
    release(home, at[1], {"diverse": ramped})
    assert answer_of(matinee)["started_at"] == at[0].isoformat(), "a ramp goes on with what the arms show"
    assert sum(row["exposures"] for row in answer_of(matinee)["arms"]) == 4
    changed = overlaid(ramped, {"arms": {"bold": {"overrides": {"top_n": 4}}}})
    release(home, at[1] + timedelta(hours=1), {"diverse": changed})
    answer = answer_of(matinee)
    assert answer["started_at"] == (at[1] + timedelta(hours=1)).isoformat()
    assert sum(row["exposures"] for row in answer["arms"]) == 0


def test_the_screen_has_the_arms_and_says_what_the_intervals_are_for(home: Path, matinee: Matinee) -> None:
    report(home, random_exposures(home))
    called = matinee("experiment", "diverse")
    assert called.code == 0
    assert "Experiment diverse (layer list) since 2001-01-01T20:00:00 UTC" in called.out
    assert "one look at a time fixed before" in called.out
    assert [line.split()[0] for line in called.out.splitlines() if "%" in line[:30]][-3:] == [
        "control",
        "bold",
        "empty",
    ]
    assert "No off-policy estimate of release" in called.err


def test_without_exposures_a_line_says_what_to_report(home: Path, matinee: Matinee) -> None:
    assert "nothing was reported as shown" in answer_of(matinee)["notes"][0]
    report(home, [(1, 10, RELEASED_AT, None, None, None)])
    answer = answer_of(matinee)
    assert answer["notes"][0].startswith(
        "no exposure names an arm of diverse: report the column `experiment`"
    )
    assert [row["users"] for row in answer["arms"]] == [0, 0, 0]
    assert answer["sample_ratio_p"] is None


def test_arms_without_the_users_that_they_should_have_are_not_trusted(home: Path, matinee: Matinee) -> None:
    users = range(1, homes.N_USERS + 1)
    report(home, [(user, 10, RELEASED_AT, None, "diverse=empty", None) for user in users])
    assert "trust no difference" in " ".join(answer_of(matinee)["notes"])


def test_an_experiment_that_has_ended_is_reported_on_as_it_was(home: Path, matinee: Matinee) -> None:
    release(home, RELEASED_AT + timedelta(days=1), {"later": EXPERIMENT | {"window_days": 1.0}})
    assert answer_of(matinee)["window_days"] == DAYS
    called = matinee("experiment", "divers")
    assert (called.code, called.out) == (2, "")
    assert "unknown experiment 'divers': did you mean diverse? choose from diverse, later" in called.err


def test_an_arm_has_been_there_since_the_first_release_with_these_settings(home: Path) -> None:
    changed = overlaid(EXPERIMENT, {"arms": {"bold": {"fraction": 0.3}}})
    later = RELEASED_AT + timedelta(days=1)
    release(home, later, {"diverse": changed})
    with duckdb.connect(str(serving.current_file(home)), read_only=True) as con:
        rows = con.execute("select arm, share, started_at from experiments").fetchall()
    assert rows == [("bold", 0.3, later), ("control", 0.6, RELEASED_AT), ("empty", 0.0001, RELEASED_AT)]


def test_a_release_that_is_gone_and_a_home_without_experiments_are_one_line(
    home: Path, matinee: Matinee, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = matinee("experiment", "diverse", "--release", "20000101")
    assert (called.code, called.err.count("\n")) == (2, 1)
    assert "release 20000101 is not kept" in called.err
    monkeypatch.setenv("MATINEE_HOME", str(homes.write_home(tmp_path / "plain")))
    homes.publish(tmp_path / "plain")
    assert "no release had an experiment" in matinee("experiment", "diverse").err
