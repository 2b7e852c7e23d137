"""The flows and the command with a home on an object store."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.hourly import hourly
from flows.nightly import nightly
from tests import s3
from tests.flows.published import SOURCE, cli
from tests.test_docs import blocks
from warehouse import store
from warehouse.events import log as event_log
from warehouse.releases import serving

QUICK = {"top_n": 10, "recall": {"channels": ["popular", "item_cf", "two_tower"]}}

pytestmark = pytest.mark.usefixtures("short_training", "prefect_server", "in_home")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3.served() as url:
        yield url


@pytest.fixture(scope="module")
def url(endpoint: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        s3.use(patch, endpoint)
        return s3.new_home()


@pytest.fixture
def in_home(endpoint: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home, from a machine that has never seen it."""
    s3.use(monkeypatch, endpoint)
    monkeypatch.setenv("MATINEE_HOME", url)
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path))


@pytest.fixture(scope="module")
def first(
    endpoint: str, url: str, short_training: None, prefect_server: None, tmp_path_factory: Any
) -> dict[str, Any]:
    """A full release as of the median event."""
    with pytest.MonkeyPatch.context() as patch:
        s3.use(patch, endpoint)
        patch.setenv("MATINEE_HOME", url)
        patch.setenv("MATINEE_CACHE", str(tmp_path_factory.mktemp("night")))
        home = store.working_folder(url)
        event_log.ingest(home, SOURCE)
        query = "select quantile_disc(event_at, 0.5) from read_parquet($f)"
        files = [str(batch.path) for batch in event_log.batches(home)]
        ((as_of,),) = duckdb.execute(query, {"f": files}).fetchall()
        return nightly(as_of=as_of.isoformat(), config=QUICK)


@pytest.fixture(scope="module")
def second(endpoint: str, url: str, first: dict[str, Any], tmp_path_factory: Any) -> dict[str, Any]:
    """An incremental release of a week later, by another machine."""
    with pytest.MonkeyPatch.context() as patch:
        s3.use(patch, endpoint)
        patch.setenv("MATINEE_HOME", url)
        patch.setenv("MATINEE_CACHE", str(tmp_path_factory.mktemp("hour")))
        return hourly(as_of=(datetime.fromisoformat(first["as_of"]) + timedelta(days=7)).isoformat())


def test_the_command_answers_on_a_machine_that_has_nothing(second: dict[str, Any], tmp_path: Path) -> None:
    called = cli("recommend", "7", "--json")
    assert called.returncode == 0, called.stderr
    answer = json.loads(called.stdout)
    assert answer["release_id"] == second["release_id"]
    assert len(answer["recommendations"]) == 10
    assert not list(tmp_path.rglob("*.parquet"))  # neither the log nor a run was fetched


def test_an_hourly_run_keeps_what_the_night_published(
    url: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    assert second["parent_id"] == first["release_id"]
    home = store.working_folder(url)
    with duckdb.connect(str(serving.current_file(home)), read_only=True) as con:
        releases = con.execute("select distinct release_id from recommendations order by 1").fetchall()
    assert releases == [(first["release_id"],), (second["release_id"],)]


def test_the_example_of_the_documentation_reads_what_is_published(
    url: str, second: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = [block for block in blocks("python") if "current.json" in block]
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    exec(example.replace("s3://bucket/films", url), space)
    with space["published"]() as con:
        assert con.execute("select max(release_id) from recommendations").fetchall() == [
            (second["release_id"],)
        ]


def test_rolled_back_and_on_from_there(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert f"Release {first['release_id']} is published again." in cli("rollback").stdout
    listed = json.loads(cli("releases", "--json").stdout)
    assert [row["release_id"] for row in listed if row["current"]] == [first["release_id"]]
    again = hourly()
    assert again["parent_id"] == first["release_id"]
    warm = nightly(config=QUICK)
    listed = json.loads(cli("releases", "--json").stdout)
    assert [row["release_id"] for row in listed if row["current"]] == [warm["release_id"]]
    assert listed[0]["parent_id"] == first["release_id"]
    assert len(listed) == 4


def test_mistakes_name_the_url(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", f"{url}/empty")
    called = cli("recommend", "7")
    assert (called.returncode, called.stdout) == (2, "")
    assert (
        called.stderr.strip() == f"matinee: nothing is published in {url}/empty: run `matinee nightly` first"
    )
