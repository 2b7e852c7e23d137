"""Films that nobody has rated are in somebody's list after one night, where a quota asks for them."""

import polars as pl
import pytest

from tasks.commands.why import why
from tests.options.steps import home_with_log, published
from warehouse.runs import files
from warehouse.runs.run import Run

UNRATED = range(81, 87)
SETTINGS = {
    "top_n": 8,
    "recall": {"channels": ["popular", "first_session", "fresh"], "candidates": 60},
    "channels": {"fresh": {"max_ratings": 0}},
    "holdout": {"min_targets": 100},
    "rank": {"ranker": "lr", "pool": 20},
    "rankers": {"lr": {"training": {"epochs": 1}}},
    "rerank": {
        "method": "mmr",
        "pool": 10,
        "page_size": 4,
        "cap": {"fraction": 1},
        "quotas": {"fresh": 1, "fresh_years": 0, "fresh_ratings": 1},
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    home = home_with_log(tmp_path_factory.mktemp("fresh"), n_unrated=len(UNRATED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATINEE_HOME", str(home))
        return published(home, SETTINGS)


def test_each_page_has_one_and_each_of_them_is_in_a_list(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(run.home))
    lists = files.read_parts(run, "recommended").filter(pl.col("user_id") <= 40)
    fresh = lists.filter(pl.col("item_id").is_in(UNRATED))
    assert fresh.filter(pl.col("rank") <= 4)["user_id"].n_unique() == 40
    assert fresh.filter(pl.col("rank") > 4)["user_id"].n_unique() == 40
    assert set(fresh["item_id"]) == set(UNRATED)
    assert set(fresh["channels"].explode()) == {"fresh"}
    for row in fresh.sort("rank", descending=True).head(3).iter_rows(named=True):
        answer = why(str(row["user_id"]), str(row["item_id"]))
        assert answer["agrees"]
        assert answer["rerank"]["rank"] == row["rank"]
        assert [part["channel"] for part in answer["recall"] if part["rank"] is not None] == ["fresh"]
