"""The whole nightly flow on a small synthetic log, and what people then see of it."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
)

from flows.nightly import nightly
from tests.flows.published import SOURCE, ask, broken_reasons, cli, median_event
from warehouse.errors import Held, MatineeError
from warehouse.events import log as event_log
from warehouse.releases import retention, serving
from warehouse.releases.rollback import roll_back
from warehouse.runs.run import Run

COMPUTED = ("recommendations", "default_recommendations", "users", "items", "user_features", "item_features")

READER = """
import duckdb, json, sys
with duckdb.connect(sys.argv[1], read_only=True) as con:
    print(json.dumps(con.execute(sys.argv[2]).fetchall()))
"""

pytestmark = pytest.mark.usefixtures("short_training", "prefect_server")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def first(home: Path, short_training: None, prefect_server: None) -> dict[str, Any]:
    """The first release: everything up to the median event."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATINEE_HOME", str(home))
        event_log.ingest(home, SOURCE)
        return nightly(as_of=median_event(home), config={"top_n": 20})


@pytest.fixture(autouse=True)
def in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(home))


def test_another_process_queries_the_published_table(home: Path, first: dict[str, Any]) -> None:
    columns = "user_id, rank, item_id, title, reason, release_id"
    query = f"select {columns} from recommendations where user_id = 7 order by rank"
    current = str(home / "serving" / "current.duckdb")
    done = subprocess.run(
        [sys.executable, "-c", READER, current, query], capture_output=True, text=True, check=True
    )
    rows = json.loads(done.stdout)
    assert [row[1] for row in rows] == list(range(1, 21))
    assert {row[5] for row in rows} == {first["release_id"]}
    assert all(row[3] and row[4] for row in rows)


def test_every_user_gets_a_full_list_of_unseen_films(home: Path, first: dict[str, Any]) -> None:
    n_users = ask(home, "select count(*) from users")[0][0]
    assert ask(home, "select count(*), count(distinct user_id) from recommendations") == [
        (20 * n_users, n_users)
    ]
    log = str(home / "events" / "*.parquet")
    seen = f"select count(*) from recommendations r join read_parquet('{log}') e using (user_id, item_id)"
    assert ask(home, f"{seen} where event_at < (select as_of from releases)") == [(0,)]


def test_every_reason_holds(home: Path, first: dict[str, Any]) -> None:
    assert broken_reasons(home) == []
    kinds = ask(home, "select because_item_id is null, count(*) from recommendations group by 1")
    assert dict(kinds).keys() == {True, False}
    assert ask(home, "select count(*) from recommendations where reason like 'Because you liked %'")[0][0] > 0


def test_every_film_has_a_community_or_is_near_to_none(home: Path, first: dict[str, Any]) -> None:
    assert ask(home, "select count(*) from item_communities semi join items using (item_id)") == ask(
        home, "select count(*) from items"
    )
    alone = "select item_id from item_communities where community is null and centrality > 0"
    assert ask(home, alone) == []
    assert ask(home, "select abs(sum(centrality) - 1) < 1e-6 from item_communities") == [(True,)]
    sizes = ask(
        home,
        "select count(*) from item_communities where community > 0 group by community order by community",
    )
    assert sizes == sorted(sizes, reverse=True)


def test_every_recommendation_says_who_recalled_it(home: Path, first: dict[str, Any]) -> None:
    channels = {name for (name,) in ask(home, "select distinct unnest(channels) from recommendations")}
    assert ask(home, "select max(len(channels)) <= 5 from recommendations") == [(True,)]
    steps = {step for (step,) in ask(home, "select step from lineage")}
    assert channels
    assert channels <= {step.split()[-1] for step in steps if step.startswith("recall ")}


def test_a_user_without_ratings_gets_the_list_of_the_demographic_segment(
    home: Path, first: dict[str, Any]
) -> None:
    newcomers = ask(
        home, "select user_id, gender, age from users join user_features using (user_id) where n_ratings = 0"
    )
    assert newcomers, "the median event leaves some users without ratings"
    for user_id, gender, age in newcomers:
        mine = ask(
            home, f"select item_id from recommendations where user_id = {user_id} order by rank limit 10"
        )
        segment = f"gender={gender}|age={age}"
        theirs = ask(
            home,
            f"select item_id from default_recommendations where segment = '{segment}' order by rank limit 10",
        )
        assert mine == theirs[: len(mine)]


def test_lineage_has_every_step(home: Path, first: dict[str, Any]) -> None:
    query = "select step, rows, seconds, peak_memory_mb, cpu_seconds from lineage order by rowid"
    steps = ask(home, query)
    names = [step for step, *_ in steps]
    assert names[0] == "features"
    assert {
        "recall popular",
        "recall swing",
        "recall item_cf",
        "fit merge",
        "fit rank",
        "recommend",
        "segments",
    } <= set(names)
    # Processor time comes in hundredths of a second: a short step may have none.
    assert all(min(rows, memory) > 0 and min(seconds, cpu) >= 0 for _, rows, seconds, memory, cpu in steps)
    assert sum(cpu for *_, cpu in steps) > 0
    assert ask(home, "select shards, workers from lineage where step = 'recommend'") == [(1, 1)]


def test_future_events_change_nothing(home: Path, first: dict[str, Any]) -> None:
    def published() -> dict[str, list[tuple]]:
        hidden = {"recommendations": "exclude (release_id)"}
        return {
            table: ask(home, f"select * {hidden.get(table, '')} from {table} order by all")
            for table in COMPUTED
        }

    before = published()
    as_of = ask(home, "select as_of from releases order by created_at desc limit 1")[0][0]
    future = home.parent / "future"
    future.mkdir()
    log = pl.read_parquet(sorted((home / "events").glob("*.parquet"))[0]).head(50)
    rows = log.select(
        pl.col("user_id") + pl.lit(5_000),
        "item_id",
        pl.col("rating").cast(pl.Int64),
        pl.lit(int(as_of.timestamp())) + pl.int_range(pl.len()),
    )
    (future / "ratings.dat").write_text("\n".join("::".join(map(str, row)) for row in rows.rows()) + "\n")
    assert event_log.ingest(home, str(future)).rows_logged == 50
    again = nightly(as_of=first["as_of"], mode="cold", config={"top_n": 20})
    assert again["release_id"] != first["release_id"]
    after = published()
    for table in COMPUTED:
        assert before[table] == after[table], table


def test_another_data_set_is_refused(home: Path, first: dict[str, Any]) -> None:
    with pytest.raises(MatineeError, match="another data set"):
        nightly(source="synthetic:0.02")


def artifacts(key: str) -> list[Any]:
    async def found() -> list[Any]:
        async with get_client() as client:
            return await client.read_artifacts(artifact_filter=ArtifactFilter(key={"any_": [key]}))

    return asyncio.run(found())


def states(name: str) -> list[Any]:
    """The states of that name in which flow runs ended."""

    async def found() -> list[Any]:
        chosen = FlowRunFilter(state=FlowRunFilterState(name=FlowRunFilterStateName(any_=[name])))
        async with get_client() as client:
            return [run.state for run in await client.read_flow_runs(flow_run_filter=chosen)]

    return asyncio.run(found())


def table(key: str, release: str) -> list[dict[str, Any]]:
    """The artifact of a release: other tests' flows leave some of the same key on this server."""
    (own,) = [one for one in artifacts(key) if release in one.description]
    return json.loads(own.data)


def test_prefect_shows_steps_and_lists(home: Path, first: dict[str, Any]) -> None:
    steps = table("steps", first["release_id"])
    assert {"step", "rows", "seconds"} <= set(steps[0])
    lists = table("lists", first["release_id"])
    assert len({row["user"] for row in lists}) == 10
    published = set(ask(home, "select user_id, rank, title, reason from recommendations"))
    assert len(lists) == 100
    assert {tuple(row[name] for name in ("user", "rank", "film", "why")) for row in lists} <= published
    checks = table("checks", first["release_id"])
    assert {row["result"] for row in checks} <= {"passed", "warns"}
    (page,) = [one.data for one in artifacts("verdict") if first["release_id"] in one.description]
    assert page.startswith(f"# Published: release {first['release_id']}")
    assert "## NDCG on the holdout" in page
    assert re.search(r"steps; longest: \w+", page)


def test_the_command_reads_what_is_published(home: Path, first: dict[str, Any]) -> None:
    answer = json.loads(cli("recommend", "7", "-n", "5", "--json").stdout)
    rows = ask(home, "select item_id from recommendations where user_id = 7 order by rank limit 5")
    assert [(film["item_id"],) for film in answer["recommendations"]] == rows
    assert answer["segment"] is None
    stranger = cli("recommend", "123456", "--json")
    assert stranger.returncode == 0
    assert json.loads(stranger.stdout)["segment"] == "all"
    assert "unknown" in cli("recommend", "123456").stderr
    item = rows[0][0]
    similar = json.loads(cli("similar", str(item), "--channel", "item_cf", "--json").stdout)["similar"]
    expected = (
        "select neighbour_id from item_similarity "
        f"where channel = 'item_cf' and item_id = {item} order by rank limit 10"
    )
    assert [(film["item_id"],) for film in similar] == ask(home, expected)
    listed = json.loads(cli("releases", "--json").stdout)
    assert [row["release_id"] for row in listed if row["current"]] == [serving.current_release(home)]


def test_a_mistake_is_one_clear_line_and_exit_code_2(first: dict[str, Any]) -> None:
    done = cli("rollback", "nonsense")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "not kept" in done.stderr


def test_rollback_by_command(home: Path, first: dict[str, Any]) -> None:
    now = serving.current_release(home)
    done = cli("rollback", "--json")
    earlier = json.loads(done.stdout)["release_id"]
    assert earlier != now
    assert serving.current_release(home) == earlier
    assert cli("rollback", str(now)).returncode == 0


def test_an_empty_home_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    done = cli("recommend", "1")
    assert done.returncode == 2
    assert "matinee nightly" in done.stderr


def test_every_channel_is_measured_under_its_name(home: Path, first: dict[str, Any]) -> None:
    config = json.loads(ask(home, "select config from releases limit 1")[0][0])
    rows = ask(home, "select model, metric, value from metrics where stage = 'recall'")
    assert {model for model, _, _ in rows} == set(config["recall"]["channels"])
    assert {metric for _, metric, _ in rows} == {"recall", "ndcg", "ndcg_error", "covered"}
    assert all(0 <= value <= 1 for _, _, value in rows)
    assert any(value > 0 for _, _, value in rows)


def test_a_night_leaves_a_report_with_its_run(home: Path, first: dict[str, Any]) -> None:
    page = (home / "runs" / first["release_id"] / "report.html").read_text(encoding="utf-8")
    head = " ".join(page[page.index("<body>") :][:2000].split())
    assert f"Release {first['release_id']}" in head
    assert "<strong>Published" in head
    assert page.count('role="img"') >= 9  # quality, channels, merge, ranker, popularity, graph, time
    answer = json.loads(cli("report", "--json").stdout)
    assert answer["coverage"]["users"] == ask(home, "select count(*) from users")[0][0]
    listed = ask(home, "select count(distinct item_id) from recommendations where rank <= 10")[0][0]
    assert answer["coverage"]["items_listed"] == listed
    assert sum(row["ratings"] for row in answer["popularity"]) == pytest.approx(1)
    assert sum(row["listed"] for row in answer["popularity"]) == pytest.approx(1)
    assert sum(row["first_named"] for row in answer["channels"]) <= 1
    by_weight = {row["x"]: row["y"] for row in answer["curves"] if row["curve"] == "ndcg@10 by blend weight"}
    (chosen,) = (row["value"] for row in answer["metrics"] if row["metric"] == "blend_weight")
    assert by_weight[chosen] > 0
    seconds = {row["step"]: row["seconds"] for row in answer["timings"]}
    assert seconds["recommend"] > 0
    assert [user for user in answer["users"] if user["history"]]


FEW = {"top_n": 20, "recall": {"channels": ["popular", "first_session", "item_cf"]}}
"""Settings with which a night is short."""


def broken(*_: object) -> None:
    raise RuntimeError("no space")


def test_a_failed_run_leaves_what_is_published_and_is_gone_on_with(
    home: Path, first: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    current, folders = serving.current_release(home), set((home / "runs").glob("[!.]*"))
    whole = nightly(as_of=first["as_of"], mode="cold", config=FEW)
    expected = ask(home, "select * exclude release_id from recommendations order by user_id, rank")
    roll_back(home, current)

    with monkeypatch.context() as patch:
        patch.setattr("tasks.shards.recommend.explain.because", broken)
        with pytest.raises(RuntimeError, match="no space"):
            nightly(as_of=first["as_of"], mode="cold", config=FEW)
    assert serving.current_release(home) == current
    (left,) = set((home / "runs").glob("[!.]*")) - folders - {home / "runs" / whole["release_id"]}
    taken = {file: file.stat().st_mtime_ns for file in left.glob("lineage/*.parquet")}
    assert len(taken) > 5

    again = nightly(as_of=first["as_of"], mode="cold", config=FEW | {"engine": {"patience": 9}})
    assert again["release_id"] == left.name
    assert {file: file.stat().st_mtime_ns for file in taken} == taken, "no step was taken twice"
    assert ask(home, "select * exclude release_id from recommendations order by user_id, rank") == expected


def test_a_release_that_the_gate_holds_changes_nothing_and_says_why(
    home: Path, first: dict[str, Any]
) -> None:
    current = serving.current_release(home)
    strict = {"min_users": 1, "max_top_film": 0.01}
    with pytest.raises(Held, match=r"top film: .*at most 0\.01"):
        nightly(as_of=first["as_of"], mode="cold", config=FEW | {"gate": strict})
    assert serving.current_release(home) == current
    (state,) = states("Held")
    assert (state.type.value, "at most 0.01" in state.message) == ("FAILED", True)
    (row,) = [row for row in json.loads(cli("releases", "--json").stdout) if row["held"]]
    assert row["failed"][0].startswith("top film: ")
    assert "held" in cli("releases").stdout
    (text,) = [one.data for one in artifacts("verdict") if row["release_id"] in one.description]
    assert text.startswith(f"# Held: release {row['release_id']} is not published")
    assert "| **blocks** | top film |" in text
    page = (home / "runs" / row["release_id"] / "report.html").read_text(encoding="utf-8")
    assert "<strong>Held: not published" in page
    refused = cli("publish", row["release_id"])
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    done = cli("publish", row["release_id"], "--force", "--why", "a festival", "--json")
    assert json.loads(done.stdout) == {"release_id": row["release_id"]}
    assert serving.current_release(home) == row["release_id"]
    failed = ask(home, 'select "check", "limit" from checks where not passed and blocking')
    assert failed == [("top film", 0.01)]
    assert cli("rollback", str(current)).returncode == 0


def left_by_a_failure(home: Path, as_of: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A night that failed before its lists."""
    with monkeypatch.context() as patch:
        patch.setattr("tasks.steps.recommend.engine.spread", broken)
        with pytest.raises(RuntimeError, match="no space"):
            nightly(as_of=as_of, mode="cold", config=FEW)
    (left,) = retention.unfinished(home)
    return left


def test_what_another_run_left_is_removed(
    home: Path, first: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = left_by_a_failure(home, first["as_of"], monkeypatch)
    other = nightly(as_of=first["as_of"], mode="cold", config=FEW | {"top_n": 10})
    assert other["release_id"] != left.id
    assert not left.folder.exists()


def test_a_run_is_not_gone_on_with_after_a_rollback(
    home: Path, first: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = left_by_a_failure(home, first["as_of"], monkeypatch)
    roll_back(home, first["release_id"])
    done = nightly(as_of=first["as_of"], mode="cold", config=FEW)
    assert done["release_id"] != left.id
