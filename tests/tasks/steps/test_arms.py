"""The rows of a treatment arm are those of a run that has the arm's settings for everybody."""

from functools import reduce
from typing import Any

import duckdb
import polars as pl
import pytest

from models.config import overlaid
from models.pipeline import arms
from tasks import config as configuration
from tasks.commands.why import why
from tasks.steps.publish import publish
from tests.options.steps import computed, home_with_log
from tests.options.test_stages import BASE
from warehouse.releases import serving
from warehouse.runs import files
from warehouse.runs.run import Run

OVERRIDES: dict[str, dict[str, Any]] = {
    "diverse=bold": {"rerank": {"method": "mmr", "diversity": 2.0, "pool": 20, "cap": {"fraction": 0.3}}},
    "ranker=fm": {"rank": {"ranker": "fm"}, "exploration": {"rate": 0.3}},
}
EXPERIMENTS: dict[str, Any] = {
    experiment: {
        "arms": {
            "control": {"fraction": 0.4},
            label.partition("=")[2]: {"fraction": 0.4, "overrides": overrides},
        }
    }
    for label, overrides in OVERRIDES.items()
    for experiment in [label.partition("=")[0]]
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    home = home_with_log(tmp_path_factory.mktemp("arms"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATINEE_HOME", str(home))
        made = computed(home, BASE | {"experiments": EXPERIMENTS})
        publish.fn(made)
    return made


@pytest.fixture(autouse=True)
def in_home(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(run.home))


def ask(run: Run, query: str) -> pl.DataFrame:
    with duckdb.connect(str(serving.file_of(run.home, run.id)), read_only=True) as con:
        return con.sql(query).pl()


def lists(run: Run) -> pl.DataFrame:
    return files.read_parts(run, "recommended").sort("user_id", "rank")


def test_the_arm_in_the_row_produced_the_row(run: Run) -> None:
    found = lists(run).with_columns(pl.col("experiment").fill_null(""))
    differ = 0
    plain: pl.DataFrame | None = None
    for chosen in ((), *((label,) for label in OVERRIDES), tuple(OVERRIDES)):
        alone = lists(computed(run.home, reduce(overlaid, (OVERRIDES[label] for label in chosen), BASE)))
        plain = alone if plain is None else plain
        mine = found.filter(
            *(pl.col("experiment").str.contains(label).eq(label in chosen) for label in OVERRIDES)
        )
        assert mine["user_id"].n_unique() >= 2
        theirs = alone.filter(pl.col("user_id").is_in(mine["user_id"].implode()))
        assert mine.select("user_id", "rank", "item_id", "channels").equals(
            theirs.select("user_id", "rank", "item_id", "channels")
        )
        assert mine["score"].to_list() == pytest.approx(theirs["score"].to_list(), abs=1e-5)
        others = plain.filter(pl.col("user_id").is_in(mine["user_id"].implode()))
        differ += bool(chosen) and not mine["item_id"].equals(others["item_id"])
    assert differ == 3


def test_arms_are_published_by_the_hash_of_the_user(run: Run) -> None:
    rows = ask(run, "select distinct user_id, experiment from recommendations order by user_id")
    labels = arms.labels(configuration.of(run), rows["user_id"].to_numpy())
    assert rows["experiment"].fill_null("").to_list() == labels.tolist()
    assert None in rows["experiment"].to_list()


def test_the_table_has_every_arm(run: Run) -> None:
    rows = ask(run, "from experiments order by all").rows()
    assert [row[:4] for row in rows] == [
        (experiment, arm, experiment, 0.4)
        for experiment, of in EXPERIMENTS.items()
        for arm in sorted(of["arms"])
    ]
    assert {row[5] for row in rows} == {run.as_of}
    stored = ask(run, "select configuration ->> '$.rank.ranker' as ranker from experiments where arm = 'fm'")
    assert stored["ranker"].to_list() == ["fm"]


def test_the_way_of_a_film_is_that_of_the_arm(run: Run) -> None:
    rows = lists(run).filter(pl.col("rank") == 3).unique("experiment", keep="first")
    assert rows.height == 9
    for user, item in rows.select("user_id", "item_id").iter_rows():
        assert why(str(user), str(item))["agrees"]


def test_films_are_drawn_where_an_arm_explores_and_their_way_says_so(run: Run) -> None:
    rows = lists(run).with_columns(pl.col("experiment").fill_null(""))
    explores = rows["experiment"].str.contains("ranker=fm")
    assert set(rows.filter(~explores)["propensity"]) == {1.0}
    n_left = 20 - 5  # of the pool
    assert set(rows.filter(explores)["propensity"].round(9)) == {0.7, round(0.3 / n_left, 9)}
    drawn = rows.filter(pl.col("propensity") < 0.5)
    assert drawn.height / explores.sum() == pytest.approx(0.3, abs=0.12)
    scored = drawn.join(files.read_parts(run, "pools"), on=["user_id", "item_id"])
    assert scored["score"].to_list() == pytest.approx(scored["ranked_score"].to_list(), abs=1e-6)
    published = ask(run, "select user_id, rank, propensity from recommendations order by all")
    assert published.equals(rows.select("user_id", "rank", "propensity"))
    user = drawn["user_id"].mode()[0]
    pool = files.read_parts(run, "pools").filter(pl.col("user_id") == user)
    ways = {item: why(str(user), str(item)) for item in pool["item_id"]}
    assert all(way["agrees"] for way in ways.values())
    is_drawn = {item for item, way in ways.items() if "drawn at random into the list" in way["verdict"]}
    assert is_drawn == set(drawn.filter(pl.col("user_id") == user)["item_id"])
    assert sum(way["lost"] == "explore" for way in ways.values()) == len(is_drawn)
