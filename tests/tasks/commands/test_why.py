"""The way of a film agrees with what was published and with what the run left of its pools."""

from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest

from tasks.commands.why import why
from tasks.steps.publish import publish
from tests.options.steps import computed, home_with_log
from warehouse.errors import MatineeError
from warehouse.releases import serving
from warehouse.runs import files
from warehouse.runs.run import Run

POOL, TOP_N = 20, 5

SETTINGS: dict[str, Any] = {
    "top_n": TOP_N,
    "recall": {"channels": ["popular", "first_session", "item_cf", "ease"], "candidates": 25},
    "holdout": {"min_targets": 100},
    "rank": {"ranker": "gbdt", "pool": POOL, "blend_weights": [0.5]},
    "rankers": {"gbdt": {"min_data_in_leaf": 5, "num_boost_round": 20}},
}
OTHERS: dict[str, dict[str, Any]] = {
    "trees": {},
    "prerank": {"prerank": {"method": "gbdt", "pool": 40, "settings": {"min_data_in_leaf": 5}}},
    "network": {
        "rank": {"ranker": "lr", "pool": POOL, "blend_weights": [1.0]},
        "rankers": {"lr": {"training": {"epochs": 1}}},
    },
    "towers": {
        "recall": {"channels": ["popular", "first_session", "item_cf", "two_tower"], "candidates": 25},
        "channels": {
            "two_tower": {
                "towers": {"embedding_dim": 8, "mean_hidden": 8},
                "training": {"epochs": 1, "first_vectors": None},
            }
        },
    },
}


@pytest.fixture(scope="module", params=OTHERS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    home = home_with_log(tmp_path_factory.mktemp(request.param))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATINEE_HOME", str(home))
        made = computed(home, SETTINGS | OTHERS[request.param])
        publish.fn(made)
    return made


@pytest.fixture(autouse=True)
def in_home(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(run.home))


def newcomer(n_ratings: int) -> dict[str, Any] | None:
    """The part of the answer for a user with so many ratings."""
    of = {"n_ratings": n_ratings, "until": 10, "channel": "first_session"}
    return of if n_ratings < 10 else None


def rows(run: Run, query: str) -> pl.DataFrame:
    with duckdb.connect(str(serving.file_of(run.home, run.id)), read_only=True) as con:
        return con.sql(query).pl()


def test_the_way_of_random_pairs_is_the_one_that_was_gone(run: Run) -> None:
    listed = {
        (user, item): (rank, score)
        for user, item, rank, score in rows(
            run, "select user_id, item_id, rank, score from recommendations"
        ).iter_rows()
    }
    pools = {
        (row["user_id"], row["item_id"]): row for row in files.read_parts(run, "pools").iter_rows(named=True)
    }
    events = pl.read_parquet(run.home / "events" / "*.parquet")
    seen = set(events.select("user_id", "item_id").iter_rows())
    users, items = rows(run, "from users")["user_id"], rows(run, "from items")["item_id"]
    n_ratings = dict(events.group_by("user_id").len().iter_rows())
    rng = np.random.default_rng(0)
    n = 40 if run.config["rank"]["ranker"] == "gbdt" and run.config["prerank"]["method"] == "merged" else 20
    pairs = [(int(rng.choice(users)), int(rng.choice(items))) for _ in range(n)]
    pairs += [list(listed)[number] for number in rng.choice(len(listed), n, replace=False)]
    lost = set()
    for pair in pairs:
        answer = why(*map(str, pair))
        lost.add(answer["lost"])
        assert answer["agrees"]
        assert answer["newcomer"] == newcomer(n_ratings.get(pair[0], 0))
        assert answer["computed_by"] == answer["release_id"] == run.id
        assert (answer["published"] is not None) == (pair in listed) == (answer["lost"] is None)
        assert (answer["seen"] is not None) == (pair in seen) == (answer["lost"] == "seen")
        if pair in listed:
            assert (answer["rank"]["rank"], answer["rank"]["score"]) == listed[pair]
        if pair in pools:
            assert answer["lost"] in (None, "rank")
            assert answer["merge"]["score"] == pools[pair]["score"]
            scores = {f"score_{row['channel']}": row["score"] for row in answer["recall"]}
            assert scores == {name: pools[pair][name] for name in scores}
            assert sum(row["contribution"] for row in answer["recall"]) == pytest.approx(
                answer["merge"]["score"], abs=1e-5
            )
        elif pair not in seen:
            recalled = [row for row in answer["recall"] if row["rank"] is not None]
            preranked = answer["lost"] == "prerank"
            assert preranked or answer["lost"] == ("merge" if recalled else "recall")
            position = answer["prerank" if preranked else "merge"]
            assert position["rank"] > POOL
            for row in recalled:
                assert f"{row['channel']} at {row['rank']}" in answer["verdict"]
    assert lost >= {None, "seen", "rank"}


def test_features_are_those_that_weighed_most(run: Run) -> None:
    query = (
        "select user_id, item_id from recommendations join user_features using (user_id) where n_ratings > 0"
    )
    user, item = rows(run, f"{query} order by rank, user_id").row(0)
    weights = [abs(row["contribution"]) for row in why(str(user), str(item))["rank"]["features"]]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] > 0


def test_a_user_without_ratings_has_the_list_of_the_merge(run: Run) -> None:
    query = (
        "select user_id, item_id from recommendations join user_features using (user_id) where n_ratings = 0"
    )
    user, item = rows(run, f"{query} order by rank, user_id").row(0)
    answer = why(str(user), str(item))
    assert answer["rank"]["alone"] is None
    assert answer["rank"]["features"] == []
    assert answer["rank"]["score"] == answer["merge"]["score"]
    assert [row["channel"] for row in answer["recall"] if row["contribution"] > 0] == ["first_session"]


def test_a_run_whose_state_is_gone_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.commands.why.is_whole", lambda home, release: False)
    with pytest.raises(MatineeError, match=f"release {run.id} computed the list of user 1, and what it had"):
        why("1", "1")


def test_a_film_that_came_later_is_unknown_to_the_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.commands.lookup.film_of", lambda text: {"item_id": 10_000, "title": "New"})
    answer = why("1", "10000")
    assert (answer["lost"], answer["recall"]) == ("recall", [])
    assert f"release {run.id} did not know the film yet" in answer["verdict"]
