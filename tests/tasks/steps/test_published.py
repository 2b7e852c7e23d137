"""The list of the nightly flow's steps is the one that is evaluated as the published list."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.dataset import first_ratings
from models.evaluation.protocols import PROTOCOLS
from models.pipeline import offline
from models.pipeline.offline import NOT_RERANKED, PUBLISHED
from models.rerank.stage import PRICE
from tasks import config as configuration
from tasks import declarations
from tasks.commands.evaluate import read_log
from tasks.shards.recommend import RERANKING
from tasks.states import read_state
from tasks.steps import start
from tasks.steps.features import build_features
from tasks.steps.merge import fit_merge
from tasks.steps.rank import fit_rank
from tasks.steps.recall import recall
from tasks.steps.recommend import recommend
from tasks.steps.rerank import fit_rerank
from tests.models.evaluation.logs import random_log
from tests.warehouse import batches
from warehouse.errors import MatineeError
from warehouse.events import log as event_log
from warehouse.runs import files, lifecycle
from warehouse.runs.run import Run

CHANNELS = ["popular", "first_session", "item_cf"]

CAPPED = {
    "method": "mmr",
    "pool": 100,
    "absence": 30.0,
    "quotas": {"long_tail": 2},
    "cap": {"fraction": 0.2, "max_users": 40},
}
"""Re-ranking whose prices are fitted on some of the users."""


def recommended(home: Path, as_of: int, overrides: dict[str, Any]) -> Run:
    """A run up to its lists."""
    config = configuration.load(overrides)
    moment = datetime.fromtimestamp(as_of, UTC).isoformat()
    run = start.describe(home, "full", moment, config)
    lifecycle.begin(run)
    build_features.fn(run)
    for channel in config.recall.channels:
        recall.fn(run, channel)
    fit_merge.fn(run)
    fit_rank.fn(run)
    fit_rerank.fn(run)
    recommend.fn(run)
    return run


@pytest.mark.parametrize(
    ("objective", "protocol", "changes"),
    [
        ("next", "leave-one-out", {}),
        ("daily", "temporal-2003", {}),
        ("visit", "temporal-2003", {}),
        ("daily", "temporal-2003", {"prerank": {"method": "gbdt", "pool": 350}}),
        ("daily", "temporal-2003", {"rerank": CAPPED}),
    ],
)
def test_the_steps_publish_what_is_evaluated(
    objective: str, protocol: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    log = random_log(0, "2000-10-01", "2003-03-01", n_users=60, n_items=400, n_events=4000)
    log = log.where(first_ratings(log))
    split = PROTOCOLS[protocol].splits(read_log(batches.of_log(tmp_path / "whole", log, log.n_users))[0])[0]
    overrides = {
        "recall": {"channels": CHANNELS},
        "objective": objective,
        "rank": {"pool": 100},
        **changes,
    }
    answers = offline.answers(
        configuration.load(overrides),
        split,
        PROTOCOLS[protocol].validation(split),
        (),
        declarations.of(None),
    )
    (expected,) = (answer.lists.item for answer in answers if answer.model == PUBLISHED)

    home = tmp_path / "home"
    event_log.ingest(home, batches.of_log(tmp_path / "train", split.train, log.n_users))
    run = recommended(home, split.train.as_of, overrides)
    found = files.read_parts(run, "recommended").sort("user_id", "rank")
    listed = found.filter(found["user_id"].is_in((split.queries.user_idx + 1).tolist()))
    np.testing.assert_array_equal(listed["item_id"].to_numpy() - 1, expected[expected >= 0])
    assert len(expected) > 10
    if "rerank" in changes:
        (plain,) = (answer.lists.item for answer in answers if answer.model == NOT_RERANKED)
        assert (expected != plain).any()
        assert read_state(run, RERANKING)[0][PRICE].any()
    rejected = files.read_parts(run, "pools").filter(~pl.col("published"))
    assert rejected.join(found, on=["user_id", "item_id"], how="semi").is_empty()
    assert rejected["user_id"].value_counts()["count"].to_list() == [50] * split.train.n_users


def test_films_that_nobody_else_rated_are_like_none(tmp_path: Path) -> None:
    event_log.ingest(tmp_path, batches.dat(tmp_path / "source", [(7, film, 4, film * 60) for film in (1, 2)]))
    run = recommended(tmp_path, 3600, {"recall": {"channels": ["popular", "first_session", "swing"]}})
    assert files.read_table(run, "item_similarity/swing").is_empty()
    assert files.read_parts(run, "recommended")["user_id"].unique().to_list() == [7]


def test_lists_may_be_longer_than_what_ranking_looks_at_by_itself(tmp_path: Path) -> None:
    log = random_log(0, "2000-10-01", "2003-03-01", n_users=60, n_items=400, n_events=4000)
    event_log.ingest(tmp_path, batches.of_log(tmp_path / "source", log, log.n_users))
    overrides = {"recall": {"channels": CHANNELS}, "top_n": 150, "rank": {"pool": 100}}
    run = recommended(tmp_path, int(log.at.max()) + 1, overrides)
    count = files.read_parts(run, "recommended")["user_id"].value_counts()["count"]
    seen = np.bincount(log.user_idx[first_ratings(log)])
    assert sorted(count) == sorted(np.minimum(150, 400 - seen))


def test_a_channel_without_similarities_explains_nothing_which_is_refused_when_it_recalls(
    tmp_path: Path,
) -> None:
    log = random_log(0, "2000-10-01", "2003-03-01", n_users=20, n_items=30, n_events=300)
    event_log.ingest(tmp_path, batches.of_log(tmp_path / "source", log, log.n_users))
    with pytest.raises(MatineeError, match=r"explain\.channel: popular"):
        recommended(
            tmp_path,
            int(log.at.max()) + 1,
            {"recall": {"channels": CHANNELS}, "explain": {"channel": "popular"}},
        )
