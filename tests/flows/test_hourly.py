"""The hourly flow after a nightly one, on a small log: what changes, what stays, what is refused."""

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
from tasks.steps import start
from tasks.steps import train as learner
from tasks.steps.features import READ
from tests.flows.test_nightly import ask, cli, median_event
from warehouse.errors import LostRace, MatineeError
from warehouse.events import log as event_log
from warehouse.releases import queries, serving
from warehouse.releases.rollback import roll_back
from warehouse.runs import files, lifecycle
from warehouse.runs.run import Run

SOURCE = "synthetic:0.01"
TOP_N = 20

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hourly")


@pytest.fixture(autouse=True)
def in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(home))


@pytest.fixture(scope="module")
def first(home: Path, prefect_server: None) -> dict[str, Any]:
    """A full release as of the median event."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATINEE_HOME", str(home))
        event_log.ingest(home, SOURCE)
        return nightly(as_of=median_event(home), top_n=TOP_N)


@pytest.fixture(scope="module")
def second(home: Path, first: dict[str, Any]) -> dict[str, Any]:
    """An incremental release a week later."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATINEE_HOME", str(home))
        return hourly(as_of=(datetime.fromisoformat(first["as_of"]) + timedelta(days=7)).isoformat())


def lists(home: Path, release: str) -> dict[int, list[tuple]]:
    query = "select user_id, item_id, score, release_id from recommendations order by user_id, rank"
    with duckdb.connect(str(serving.file_of(home, release)), read_only=True) as con:
        found: dict[int, list[tuple]] = {}
        for user_id, *row in con.execute(query).fetchall():
            found.setdefault(user_id, []).append(tuple(row))
        return found


def active(home: Path, begin: str, end: str) -> set[int]:
    query = (
        "select distinct user_id from read_parquet($f) "
        "where event_at >= $a::timestamp and event_at < $b::timestamp"
    )
    parameters = {"f": str(home / "events" / "*.parquet"), "a": begin, "b": end}
    return {user for (user,) in duckdb.execute(query, parameters).fetchall()}


def test_only_users_with_news_get_new_rows(home: Path, first: dict[str, Any], second: dict[str, Any]) -> None:
    before, after = lists(home, first["release_id"]), lists(home, second["release_id"])
    touched = active(home, first["as_of"], second["as_of"])
    assert 0 < len(touched) < len(before)
    for user, rows in after.items():
        if user in touched:
            assert {row[2] for row in rows} == {second["release_id"]}
        else:
            assert rows == before[user]
    log, as_of = str(home / "events" / "*.parquet"), second["as_of"]
    seen = f"select count(*) from recommendations join read_parquet('{log}') using (user_id, item_id)"
    assert ask(home, f"{seen} where event_at < '{as_of}'") == [(0,)]


def test_the_release_says_what_it_is(home: Path, first: dict[str, Any], second: dict[str, Any]) -> None:
    rows = ask(home, "select kind, parent_id from releases order by created_at")
    assert rows == [("full", None), ("incremental", first["release_id"])]
    figures = dict(ask(home, "select metric, value from metrics where stage = 'update'"))
    assert figures["skipped"] == 0
    assert figures["new_after"] < figures["new_before"]
    # What is known of the ranker stays.
    of_ranker = "select slice, metric, value from metrics where stage = 'rank'"
    with duckdb.connect(str(serving.file_of(home, first["release_id"])), read_only=True) as con:
        then = con.execute(of_ranker).fetchall()
    assert sorted(ask(home, of_ranker)) == sorted(then) != []
    told = {(row["stage"], row["slice"], row["metric"]) for row in queries.report(home)["metrics"]}
    assert {("rank", "all", "share"), ("update", "all", "skipped")} <= told


def test_only_id_embeddings_of_what_was_learned_move(
    home: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    then, now = (
        files.read_arrays(Run.read(home, release["release_id"]), f"models/{learner.LEARNER}")
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
    touched = active(home, first["as_of"], second["as_of"])
    for user, vector in ask(home, vectors):
        assert (vector == earlier[user]) == (user not in touched)


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
    state = files.read_arrays(Run.read(home, done["release_id"]), f"models/{learner.LEARNER}")
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
    monkeypatch.setattr(learner, "MAX_SHIFT", 0.0)
    done = hourly(as_of=(parent.as_of + timedelta(days=5)).isoformat())
    skipped = "select value from metrics where stage = 'update' and metric = 'skipped'"
    assert ask(home, f"{skipped} and release_id = '{done['release_id']}'") == [(1.0,)]
    then, now = (
        files.read_arrays(Run.read(home, release), f"models/{learner.LEARNER}")
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
    done = nightly(as_of=second["as_of"], top_n=TOP_N)
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


def test_a_release_of_another_version_is_not_gone_on_from(
    home: Path, second: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    later = (datetime.fromisoformat(second["as_of"]) + timedelta(days=30)).isoformat()
    declared = READ[:-1]
    with monkeypatch.context() as patch:
        patch.setattr("tasks.steps.rank.READ", declared)
        with pytest.raises(MatineeError, match=r"other features.*run `matinee nightly` first"):
            hourly(as_of=later)
    with monkeypatch.context() as patch:
        patch.setattr("tasks.steps.start.READ_DIGEST", "one half-life is another")
        with pytest.raises(MatineeError, match="run `matinee nightly` first"):
            hourly(as_of=later)
    changed = {"epochs": 99}
    monkeypatch.setattr("tasks.steps.start.described", lambda channel: changed)
    with pytest.raises(MatineeError, match="run `matinee nightly` first"):
        hourly(as_of=later)
    monkeypatch.setattr("flows.nightly.described", lambda channel: changed)
    with pytest.raises(MatineeError, match="another one: use --mode cold"):
        nightly(as_of=later, mode="warm")


def test_hourly_before_any_nightly_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    done = cli("hourly")
    assert done.returncode == 2
    assert "matinee nightly" in done.stderr


def test_a_killed_training_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    event_log.ingest(tmp_path, SOURCE)
    run = start.describe(tmp_path, "full", None, {"objective": "daily"})
    lifecycle.begin(run)

    def killed(*words: Any) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learner.log, "info", killed)
        with pytest.raises(KeyboardInterrupt):
            learner.train.fn(run, learner.LEARNER, 50, "daily", 0)
    assert len(list((tmp_path / "checkpoints").glob("*.npz"))) == 1
    learner.train.fn(run, learner.LEARNER, 50, "daily", 0)
    resumed = files.read_arrays(run, f"models/lagging/{learner.LEARNER}")
    assert not list((tmp_path / "checkpoints").glob("*"))
    learner.train.fn(run, learner.LEARNER, 50, "daily", 0)
    straight = files.read_arrays(run, f"models/lagging/{learner.LEARNER}")
    assert all(np.array_equal(resumed[name], straight[name]) for name in straight)


def test_vectors_answer_like_the_channel(home: Path, second: dict[str, Any]) -> None:
    """Inner products of the published vectors rank unseen films as the channel's candidates do."""
    items = pl.DataFrame(
        ask(home, "select item_id, vector from item_embeddings where model = 'two_tower'"), orient="row"
    )
    release = serving.current_release(home) or ""
    candidates = files.read_table(Run.read(home, release), "candidates/two_tower").filter(pl.col("rank") <= 5)
    user = candidates["user_id"][0]
    vector = ask(home, f"select vector from user_embeddings where model = 'two_tower' and user_id = {user}")[
        0
    ][0]
    score = np.array(items["column_1"].to_list()) @ np.array(vector)
    top = candidates.filter(pl.col("user_id") == user)
    published = dict(zip(items["column_0"], score, strict=True))
    assert [published[item] for item in top["item_id"]] == pytest.approx(top["score"].to_list(), rel=1e-3)


def test_a_lagging_model_that_knows_what_is_held_back_now_is_trained_anew(tmp_path: Path) -> None:
    event_log.ingest(tmp_path / "home", SOURCE)
    first = trained(tmp_path / "home", None)
    # As many ratings again, of long ago: a fifth of the log now begins before it did.
    ratings = pl.read_parquet(tmp_path / "home" / "events" / "*.parquet").sort("event_at")
    at = ratings["event_at"].dt.epoch("s") - 4 * 365 * 86_400
    rows = zip(ratings["user_id"], ratings["item_id"], at, strict=True)
    batch = tmp_path / "batch"
    batch.mkdir()
    (batch / "movies.dat").write_text(movie_lines(tmp_path / "home"))
    (batch / "ratings.dat").write_text("".join(f"{u + 100_000}::{i}::3::{t}\n" for u, i, t in rows))
    event_log.ingest(tmp_path / "home", str(batch))
    warm, cold = trained(tmp_path / "home", first.id), trained(tmp_path / "home", None)
    name = f"models/lagging/{learner.LEARNER}"
    then, now, anew = (files.read_arrays(run, name) for run in (first, warm, cold))
    assert all(np.array_equal(now[key], anew[key]) for key in anew)
    assert then["curve"].tolist() != now["curve"].tolist()


def trained(home: Path, parent: str | None) -> Run:
    """A finished run of the learner alone."""
    run = start.describe(home, "full", None, {"objective": "daily"})
    run = replace(run, parent_id=parent, config=run.config | {"mode": "warm" if parent else "cold"})
    lifecycle.begin(run)
    learner.train.fn(run, learner.LEARNER, 50, "daily", 0)
    lifecycle.finish(run, {})
    return run


def movie_lines(home: Path) -> str:
    """The films of the catalogue as a movies file has them."""
    films = pl.read_parquet(home / "catalog" / "items.parquet")
    return "".join(
        f"{item}::{title}::{'|'.join(genres) or '(no genres listed)'}\n"
        for item, title, genres in films.select("item_id", "title", "genres").iter_rows()
    )
