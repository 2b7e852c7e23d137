"""The hourly flow after a nightly one, on a small log: what changes, what stays, what is refused."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest

from flows.hourly import hourly
from flows.nightly import nightly
from models.config import configured
from tasks import config as configuration
from tasks.states import HOLDOUT
from tasks.steps import start
from tasks.steps.features import build_features
from tasks.steps.recall import recall
from tests.flows.published import SOURCE, active, ask, lists, median_event, movie_lines
from warehouse.errors import LostRace, MatineeError
from warehouse.events import log as event_log
from warehouse.releases import contents, serving
from warehouse.releases.rollback import roll_back
from warehouse.runs import checkpoints, files, lifecycle
from warehouse.runs.run import Run

TOP_N = 20
HOLDOUT_MODEL = f"models/{HOLDOUT}/two_tower"

pytestmark = pytest.mark.usefixtures("short_training", "prefect_server")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hourly")


@pytest.fixture(autouse=True)
def in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(home))


@pytest.fixture(scope="module")
def first(home: Path, short_training: None, prefect_server: None) -> dict[str, Any]:
    """A full release as of the median event."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATINEE_HOME", str(home))
        event_log.ingest(home, SOURCE)
        return nightly(as_of=median_event(home), config={"top_n": TOP_N})


@pytest.fixture(scope="module")
def second(home: Path, first: dict[str, Any]) -> dict[str, Any]:
    """An incremental release a week later."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATINEE_HOME", str(home))
        return hourly(as_of=(datetime.fromisoformat(first["as_of"]) + timedelta(days=7)).isoformat())


def test_only_users_with_new_events_get_new_rows(
    home: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    before, after = lists(home, first["release_id"]), lists(home, second["release_id"])
    target_users = active(home, first["as_of"], second["as_of"])
    assert 0 < len(target_users) < len(before)
    for user, rows in after.items():
        if user in target_users:
            assert {row[2] for row in rows} == {second["release_id"]}
        else:
            assert rows == before[user]
    log, as_of = str(home / "events" / "*.parquet"), second["as_of"]
    seen = f"select count(*) from recommendations join read_parquet('{log}') using (user_id, item_id)"
    assert ask(home, f"{seen} where event_at < '{as_of}'") == [(0,)]


def test_the_release_says_what_it_is(home: Path, first: dict[str, Any], second: dict[str, Any]) -> None:
    rows = ask(home, "select kind, parent_id from releases order by created_at")
    assert rows == [("full", None), ("incremental", first["release_id"])]
    of_update = dict(ask(home, "select metric, value from metrics where stage = 'update'"))
    assert of_update["skipped"] == 0
    assert of_update["new_after"] < of_update["new_before"]
    # What is known of the ranker stays.
    of_ranker = (
        "select model, slice, metric, value from metrics where stage = 'rank'",
        "select model, curve, x, y from curves",
    )
    with duckdb.connect(str(serving.file_of(home, first["release_id"])), read_only=True) as con:
        then = [con.execute(query).fetchall() for query in of_ranker]
    for query, rows in zip(of_ranker, then, strict=True):
        assert sorted(ask(home, query)) == sorted(rows) != []
    shown = {
        (row["stage"], row["slice"], row["metric"]) for row in contents.metrics(serving.current_file(home))
    }
    assert {("rank", "all", "blend_weight"), ("update", "all", "skipped")} <= shown


def test_only_id_embeddings_of_what_was_learned_move(
    home: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    then, now = (
        files.read_columns(Run.read(home, release["release_id"]), "models/two_tower")
        for release in (first, second)
    )
    moved = {name for name in then if not np.array_equal(then[name], now[name])}
    assert moved
    assert {name for name in moved if name.startswith("weight.")} <= {
        f"weight.tables.{table}.weight" for table in ("item_id", "history", "bias", "user_id")
    }
    vectors = "select user_id, vector from user_embeddings where model = 'two_tower'"
    with duckdb.connect(str(serving.file_of(home, first["release_id"])), read_only=True) as con:
        earlier = dict(con.execute(vectors).fetchall())
    target_users = active(home, first["as_of"], second["as_of"])
    for user, vector in ask(home, vectors):
        assert (vector == earlier[user]) == (user not in target_users)


def test_nothing_new_publishes_nothing(home: Path, second: dict[str, Any]) -> None:
    again = hourly(as_of=second["as_of"])
    assert again["release_id"] is None
    assert serving.current_release(home) == second["release_id"]


def test_an_earlier_moment_is_refused(home: Path, first: dict[str, Any], second: dict[str, Any]) -> None:
    with pytest.raises(MatineeError, match="choose a later"):
        hourly(as_of=first["as_of"])


def test_late_events_of_unknown_users_and_films_in_a_new_batch(
    home: Path, second: dict[str, Any], tmp_path: Path
) -> None:
    late = int(datetime.fromisoformat(second["as_of"]).timestamp()) - 86_400
    films = ask(home, "select item_id from items order by 1")
    batch = tmp_path / "batch"
    batch.mkdir()
    # One before all others, of a genre that nobody has heard of.
    new = ["999001::Brand New (2002)::Drama", "0::Older Id (2002)::Anthology|Drama"]
    (batch / "movies.dat").write_text(movie_lines(home) + "\n".join(new) + "\n")
    events = [(987654, films[0][0], 5), (987654, films[3][0], 4), (987654, 999001, 5), (987654, 0, 5)]
    (batch / "ratings.dat").write_text("".join(f"{u}::{i}::{r}::{late}\n" for u, i, r in events))
    event_log.ingest(home, str(batch))
    done = hourly(as_of=second["as_of"])
    assert done["parent_id"] == second["release_id"]
    after = lists(home, done["release_id"])
    assert len(after[987654]) == TOP_N
    assert {user for user, rows in after.items() if rows[0][2] == done["release_id"]} == {987654}
    state = files.read_columns(Run.read(home, done["release_id"]), "models/two_tower")
    assert 999001 in state["vocabulary.item_ids"]
    assert ask(
        home, "select count(*) from item_embeddings where item_id = 999001 and model = 'two_tower'"
    ) == [(1,)]
    assert hourly(as_of=second["as_of"])["release_id"] is None


def test_a_run_that_lost_the_race_computes_anew(
    home: Path, second: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Run.read(home, serving.current_release(home) or "")
    real, begun = start.describe, []

    def overtaken(*words: Any) -> Run:
        run = real(*words)
        begun.append(run.id)
        if len(begun) == 1:  # somebody publishes the same release again, while the first attempt computes
            roll_back(home, base.id)
        return run

    monkeypatch.setattr(start, "describe", overtaken)
    done = hourly(as_of=(base.as_of + timedelta(days=3)).isoformat())
    assert len(begun) == 2
    assert done["release_id"] == begun[1]
    assert not (home / "runs" / begun[0]).exists()


def test_who_always_loses_gives_up_and_nothing_is_lost(
    home: Path, second: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = serving.current_release(home)
    real = start.describe

    def overtaken(*words: Any) -> Run:
        run = real(*words)
        roll_back(home, now)
        return run

    monkeypatch.setattr(start, "describe", overtaken)
    monkeypatch.setattr("flows.hourly.MAX_RACES", 1)
    later = Run.read(home, now or "").as_of + timedelta(days=2)
    with pytest.raises(LostRace, match="next hour"):
        hourly(as_of=later.isoformat())
    assert serving.current_release(home) == now


def test_drift_leaves_the_parameters_as_they_were(
    home: Path, second: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = Run.read(home, serving.current_release(home) or "")
    real = configuration.of

    def strict(run: Run) -> configuration.Configuration:
        update = {"channels": {"two_tower": {"update": {"max_shift": 1e-9}}}}
        return configured(real(run), update)

    monkeypatch.setattr(configuration, "of", strict)
    done = hourly(as_of=(parent.as_of + timedelta(days=5)).isoformat())
    skipped = "select value from metrics where stage = 'update' and metric = 'skipped'"
    assert ask(home, f"{skipped} and release_id = '{done['release_id']}'") == [(1.0,)]
    then, now = (
        files.read_columns(Run.read(home, release), "models/two_tower")
        for release in (parent.id, done["release_id"])
    )
    assert all(np.array_equal(then[name], now[name]) for name in then)
    mine = ask(
        home, f"select count(distinct user_id) from recommendations where release_id = '{done['release_id']}'"
    )
    assert mine[0][0] > 0


def test_the_next_nightly_goes_on_from_the_full_release(
    home: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    done = nightly(as_of=second["as_of"], config={"top_n": TOP_N})
    rows = dict(ask(home, "select release_id, parent_id from releases"))
    assert rows[done["release_id"]] == first["release_id"]
    assert {row[2] for rows in lists(home, done["release_id"]).values() for row in rows} == {
        done["release_id"]
    }


def test_warm_without_anything_to_go_on_from_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    event_log.ingest(tmp_path, SOURCE)
    with pytest.raises(MatineeError, match="--mode cold"):
        nightly(mode="warm")


def test_an_hourly_run_goes_by_the_configuration_of_its_release(
    home: Path, second: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = Run.read(home, serving.current_release(home) or "")
    (home / "matinee.toml").write_text("top_n = 7\n[rank]\nranker = 'lr'\n")
    try:
        done = hourly(as_of=(parent.as_of + timedelta(days=1)).isoformat())
    finally:
        (home / "matinee.toml").unlink()
    assert {len(rows) for rows in lists(home, done["release_id"]).values()} == {TOP_N}
    assert Run.read(home, done["release_id"]).config == parent.config


def test_a_release_of_another_version_is_not_gone_on_from(home: Path, second: dict[str, Any]) -> None:
    release = serving.current_release(home) or ""
    manifest = home / "runs" / release / "manifest.json"
    text = manifest.read_text()
    facts = json.loads(text)
    later = (datetime.fromisoformat(second["as_of"]) + timedelta(days=30)).isoformat()
    try:
        manifest.write_text(json.dumps(facts | {"config": {"top_n": 20, "ranker": "gbdt"}}))
        with pytest.raises(MatineeError, match=r"another version .*run `matinee nightly` first"):
            hourly(as_of=later)
    finally:
        manifest.write_text(text)
    changed = {"top_n": TOP_N, "channels": {"two_tower": {"training": {"epochs": 5}}}}
    with pytest.raises(MatineeError, match=r"two_tower\.training\.epochs.*use --mode cold"):
        nightly(as_of=later, mode="warm", config=changed)


def test_a_killed_training_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_log.ingest(tmp_path, SOURCE)
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    run = begun(tmp_path, None)
    epochs: list[int] = []
    written = checkpoints.write

    def counted(home: Path, key: str, arrays: dict[str, Any]) -> None:
        written(home, key, arrays)
        epochs.append(int(arrays["epoch"]))
        if epochs == [1]:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "write", counted)
    with pytest.raises(KeyboardInterrupt):
        recall.fn(run, "two_tower")
    assert len(list((tmp_path / "checkpoints").glob("*.npz"))) == 1
    recall.fn(run, "two_tower")
    assert epochs[:2] == [1, 2], "the epoch that was done is not done again"
    assert not list((tmp_path / "checkpoints").glob("*"))
    resumed = files.read_columns(run, HOLDOUT_MODEL)
    files.drop(run, "lineage")  # else the step counts as taken
    recall.fn(run, "two_tower")
    straight = files.read_columns(run, HOLDOUT_MODEL)
    assert epochs.count(1) == 2
    assert all(np.array_equal(resumed[name], straight[name]) for name in straight)


def test_vectors_answer_like_the_channel(home: Path, second: dict[str, Any]) -> None:
    """Inner products of the published vectors rank unseen films as the channel's candidates do."""
    items = pl.DataFrame(
        ask(home, "select item_id, vector from item_embeddings where model = 'two_tower'"), orient="row"
    )
    release = serving.current_release(home) or ""
    pools = files.read_parts(Run.read(home, release), "pools")
    candidates = pools.select("user_id", "item_id", score="score_two_tower").drop_nulls()
    user = candidates["user_id"][0]
    vector = ask(home, f"select vector from user_embeddings where model = 'two_tower' and user_id = {user}")[
        0
    ][0]
    score = np.array(items["column_1"].to_list()) @ np.array(vector)
    top = candidates.filter(pl.col("user_id") == user)
    published = dict(zip(items["column_0"], score, strict=True))
    assert [published[item] for item in top["item_id"]] == pytest.approx(top["score"].to_list(), rel=1e-3)


def test_a_holdout_model_that_has_learned_the_holdout_of_now_is_trained_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("MATINEE_HOME", str(home))
    event_log.ingest(home, SOURCE)
    first = trained(home, None, "visit")
    # As many ratings again, of long ago: a fifth of the log now begins before it did.
    ratings = pl.read_parquet(home / "events" / "*.parquet").sort("event_at")
    at = ratings["event_at"].dt.epoch("s") - 4 * 365 * 86_400
    rows = zip(ratings["user_id"], ratings["item_id"], at, strict=True)
    batch = tmp_path / "batch"
    batch.mkdir()
    (batch / "movies.dat").write_text(movie_lines(home))
    (batch / "ratings.dat").write_text("".join(f"{u + 100_000}::{i}::3::{t}\n" for u, i, t in rows))
    event_log.ingest(home, str(batch))
    warm, cold = (trained(home, parent, "visit") for parent in (first.id, None))
    then, now, anew = (files.read_columns(run, HOLDOUT_MODEL) for run in (first, warm, cold))
    assert all(np.array_equal(now[key], anew[key]) for key in anew)
    assert then["curve"].tolist() != now["curve"].tolist()


def begun(home: Path, parent: str | None, objective: str = "daily") -> Run:
    """A run of the channel that learns on alone, begun."""
    config = configuration.load({"objective": objective, "recall": {"channels": ["two_tower"]}})
    run = replace(start.describe(home, "full", None, config), parent_id=parent)
    lifecycle.begin(run)
    build_features.fn(run)
    return run


def trained(home: Path, parent: str | None, objective: str) -> Run:
    """The same, finished."""
    run = begun(home, parent, objective)
    recall.fn(run, "two_tower")
    lifecycle.finish(run, {})
    return run
