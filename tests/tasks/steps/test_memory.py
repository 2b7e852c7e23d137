"""A night that remembers the one before: whoever did nothing keeps most of the list, and `why` knows it."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from models.config import overlaid
from tasks.commands.why import why
from tasks.steps.publish import publish
from tests.options.steps import computed, home_with_log, newest_event
from warehouse.events import log as event_log
from warehouse.runs import files
from warehouse.runs.run import Run

SETTINGS: dict[str, Any] = {
    "top_n": 5,
    "recall": {"channels": ["popular", "first_session", "word2vec"], "candidates": 40},
    "channels": {"word2vec": {"training": {"embedding_dim": 8, "epochs": 4}}},
    "holdout": {"min_targets": 100},
    "rank": {"ranker": "gbdt", "pool": 30},
    "rankers": {"gbdt": {"min_data_in_leaf": 5, "num_boost_round": 20}},
}
FORGETS = overlaid(
    SETTINGS,
    {"rank": {"ema_decay": 0.0}, "channels": {"word2vec": {"warm_fraction": 0.0}}},
)
ACTIVE = 3
"""The user who rated something between the nights."""


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """The first night, and second ones with a memory and without."""
    home = home_with_log(tmp_path_factory.mktemp("memory"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATINEE_HOME", str(home))
        first = computed(home, SETTINGS)
        publish.fn(first)
        rate(home, first)
        without = computed(home, FORGETS, first.id)
        second = computed(home, SETTINGS, first.id)
        publish.fn(second)
    return {"first": first, "second": second, "without": without}


def rate(home: Path, run: Run) -> None:
    """One user rates some films that were ranked for them."""
    films = pools(run).filter(pl.col("user_id") == ACTIVE)["item_id"].head(8)
    at = int(newest_event(home).timestamp()) + 3_600
    text = "".join(f"{ACTIVE}::{film}::5::{at + number}\n" for number, film in enumerate(films))
    (home / "ratings.dat").write_text(text)
    event_log.ingest(home, str(home / "ratings.dat"))


def pools(run: Run) -> pl.DataFrame:
    return files.read_parts(run, "pools")


def overlap(one: Run, other: Run) -> float:
    """The fraction of the films of lists of users who did nothing that two runs have in common."""
    lists = [
        files.read_parts(run, "recommended").filter(pl.col("user_id") != ACTIVE).select("user_id", "item_id")
        for run in (one, other)
    ]
    return lists[0].join(lists[1], on=["user_id", "item_id"]).height / lists[0].height


def test_lists_of_who_did_nothing_stay_more_alike(nights: dict[str, Run]) -> None:
    first, second, without = nights["first"], nights["second"], nights["without"]
    assert 1 - overlap(first, second) < 0.7 * (1 - overlap(first, without))


def test_scores_are_averages_of_both_nights_for_all_but_the_active(nights: dict[str, Run]) -> None:
    before = pools(nights["first"]).select("user_id", "item_id", before="ranked_score")
    now = pools(nights["second"]).join(before, on=["user_id", "item_id"], how="left")
    newcomers = pl.col("user_id") > 40
    quiet = now.filter(pl.col("user_id") != ACTIVE, ~newcomers)
    assert now.filter(newcomers)["earlier_score"].is_null().all()
    assert quiet["earlier_score"].equals(quiet["before"])
    assert quiet["earlier_score"].is_not_null().mean() > 0.7
    assert now.filter(pl.col("user_id") == ACTIVE)["earlier_score"].is_null().all()


def test_scores_of_another_arm_are_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = home_with_log(tmp_path)
    monkeypatch.setenv("MATINEE_HOME", str(home))
    fewer = {"rankers": {"gbdt": {"num_boost_round": 5}}}
    of_arms = {"control": {"fraction": 0.5}, "fewer": {"fraction": 0.5, "overrides": fewer}}
    first = computed(home, SETTINGS | {"experiments": {"trees": {"arms": of_arms}}})
    publish.fn(first)
    rate(home, first)
    second = computed(home, SETTINGS, first.id)
    arm_of = files.read_parts(first, "recommended").select("user_id", "experiment").unique()
    quiet = pools(second).filter(pl.col("user_id") <= 40, pl.col("user_id") != ACTIVE)
    remembered = (
        quiet.join(arm_of, on="user_id")
        .group_by("experiment")
        .agg(pl.col("earlier_score").is_not_null().mean())
    )
    remembered_by_arm = dict(remembered.iter_rows())
    assert remembered_by_arm["trees=fewer"] == 0
    assert remembered_by_arm["trees=control"] > 0.7


def test_why_remembers_too(nights: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    second = nights["second"]
    monkeypatch.setenv("MATINEE_HOME", str(second.home))
    listed = files.read_parts(second, "recommended").filter(pl.col("rank") == 2)
    for user, film in listed.select("user_id", "item_id").head(6).iter_rows():
        found = why(str(user), str(film))
        assert found["agrees"] is True
        assert found["rank"]["rank"] == 2


def test_vectors_start_from_those_of_the_night_before(nights: dict[str, Run]) -> None:
    def vectors(name: str) -> pl.DataFrame:
        table = files.read_table(nights[name], "item_embeddings/word2vec")
        return table.select("item_id", pl.col("vector").list.to_array(8))

    before, warm, cold = (vectors(name)["vector"].to_numpy() for name in ("first", "second", "without"))
    assert abs(warm - before).mean() < 0.5 * abs(cold - before).mean()
