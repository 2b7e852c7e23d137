"""What the steps of the nightly flow put into a list is what is evaluated as the published list."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from models.dataset import first_ratings
from models.evaluation.protocols import PROTOCOLS
from tasks.commands import offline
from tasks.commands.evaluate import read_log
from tasks.commands.offline import CANDIDATES, PUBLISHED, TOP_N, Plan
from tasks.steps.features import build_features
from tasks.steps.merge import fit_merge
from tasks.steps.rank import DEFAULT_FORMULA, DEFAULT_RANKER, POOL, fit_rank, rank
from tasks.steps.recall import MAX_USER_EVENTS, recall
from tests.home import begin
from tests.models.evaluation.logs import random_log
from tests.warehouse import batches
from warehouse.events import log as event_log
from warehouse.runs import files

CHANNELS = ("popular", "segment", "item_cf")


@pytest.mark.parametrize(("objective", "protocol"), [("next", "leave-one-out"), ("daily", "temporal-2003")])
def test_the_steps_publish_what_is_evaluated(objective: str, protocol: str, tmp_path: Path) -> None:
    log = random_log(0, "2000-10-01", "2003-03-01", n_users=60, n_items=400, n_events=4000)
    log = log.where(first_ratings(log))
    split = PROTOCOLS[protocol].splits(read_log(batches.of_log(tmp_path / "whole", log, log.n_users))[0])[0]
    plan = Plan(CHANNELS, objective, seed=0, width=CANDIDATES)
    expected = offline.answers(split, PROTOCOLS[protocol].validation(split), plan).lists[PUBLISHED].item

    home = tmp_path / "home"
    event_log.ingest(home, batches.of_log(tmp_path / "train", split.train, log.n_users))
    as_of = datetime.fromtimestamp(split.train.as_of, UTC).replace(tzinfo=None)
    run = replace(begin(home, as_of), config={"objective": objective, "candidates": CANDIDATES})
    build_features.fn(run)
    for channel in CHANNELS:
        recall.fn(run, channel, CANDIDATES, objective, MAX_USER_EVENTS, 0)
    fit_merge.fn(run, CHANNELS, objective)
    fit_rank.fn(run, CHANNELS, objective, DEFAULT_RANKER, DEFAULT_FORMULA, 0)
    rank.fn(run, CHANNELS, TOP_N)

    found = files.read_table(run, "recommended").sort("user_id", "rank")
    listed = found.filter(found["user_id"].is_in((split.queries.user_idx + 1).tolist()))
    np.testing.assert_array_equal(listed["item_id"].to_numpy() - 1, expected[expected >= 0])
    assert len(expected) > 10

    # More films than ranking looks at by itself.
    rank.fn(run, CHANNELS, POOL + 50)
    count = files.read_table(run, "recommended")["user_id"].value_counts()["count"]
    seen = np.bincount(split.train.user_idx)
    assert sorted(count) == sorted(np.minimum(POOL + 50, 400 - seen))
