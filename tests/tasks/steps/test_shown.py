"""A film that was shown and not watched, or is blocked, is in no list as far as there is anything else."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.config import overlaid
from tasks import config as configuration
from tasks.commands.why import why
from tasks.states import read_state
from tasks.steps import start
from tasks.steps.block_list import read_block_list
from tasks.steps.carry_over import select_users
from tasks.steps.features import build_features
from tasks.steps.recall import recall
from tasks.steps.recommend import recommend
from tasks.steps.shown import filter_shown
from tests.options.steps import (
    computed,
    digest,
    home_with_log,
    newest_event,
    published,
    report_blocked,
    report_shown,
)
from warehouse.runs import files, lifecycle
from warehouse.runs.run import Run

SETTINGS: dict[str, Any] = {
    "top_n": 5,
    "recall": {"channels": ["popular", "first_session", "item_cf"], "candidates": 40},
    "holdout": {"min_targets": 100},
    "rank": {"ranker": "lr", "pool": 20},
    "rankers": {"lr": {"training": {"epochs": 2}}},
    "exposure": {"source": "reported", "false_positive_rate": 1e-6},
}
N_FILMS = 80
ALL_SHOWN, IGNORED, RECENT, BLOCKING, NEW = 1, 2, 3, 4, 41
"""Users: one was shown every film, one nothing, one some films after the night; two asked not to see some."""
REQUESTED = range(31, 71)
"""Films that they asked not to see; of the first they thought again."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = home_with_log(tmp_path_factory.mktemp("shown"))
    yesterday, long_ago = (newest_event(home) - timedelta(days=days) for days in (1, 8))
    films = range(1, 31)
    shown = [(user, film, yesterday) for user in range(RECENT, 41) for film in films]
    shown += [(ALL_SHOWN, film, yesterday) for film in range(1, N_FILMS + 1)]
    report_shown(home, "shown", shown + [(IGNORED, film, long_ago) for film in films])
    requested = [(user, film, long_ago, "block") for user in (BLOCKING, NEW) for film in REQUESTED]
    report_blocked(home, "asked", [*requested, (BLOCKING, REQUESTED[0], yesterday, "allow")])
    return home


@pytest.fixture(autouse=True)
def in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(home))


@pytest.fixture(scope="module")
def night(home: Path) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATINEE_HOME", str(home))
        return published(home, SETTINGS)


def lists(run: Run) -> dict[int, list[int]]:
    frame = files.read_parts(run, "recommended").sort("user_id", "rank")
    return {user: part["item_id"].to_list() for (user,), part in frame.group_by("user_id")}


def watched(run: Run) -> dict[int, set[int]]:
    """Films that each user has rated before the run."""
    frame = pl.read_parquet([run.home / "events" / batch for batch in run.batches])
    frame = frame.filter(pl.col("event_at") < run.as_of)
    return {user: set(part["item_id"]) for (user,), part in frame.group_by("user_id")}


def test_no_list_has_what_was_shown_lately(night: Run) -> None:
    found = lists(night)
    assert {len(films) for films in found.values()} == {5}
    assert not [user for user in range(RECENT, 41) if set(found[user]) & set(range(1, 31))]
    assert set(found[IGNORED]) & set(range(1, 31))


def test_who_was_shown_everything_gets_a_full_list_of_unseen_films(night: Run) -> None:
    found, seen = lists(night)[ALL_SHOWN], watched(night)[ALL_SHOWN]
    assert len(found) == 5
    assert not set(found) & seen


def test_no_list_has_what_its_user_blocked(night: Run) -> None:
    found = lists(night)
    assert not set(found[BLOCKING]) & set(REQUESTED[1:])
    assert not set(found[NEW]) & set(REQUESTED)
    assert set(found[RECENT]) & set(REQUESTED)
    unseen = next(film for film in REQUESTED[1:] if film not in watched(night)[BLOCKING])
    answer = why(str(BLOCKING), str(unseen))
    assert (answer["lost"], answer["agrees"], answer["merge"]) == ("blocked", True, None)
    assert answer["verdict"] == "the user asked not to see it (block_list.requests): left out"
    assert why(str(NEW), str(REQUESTED[0]))["lost"] == "blocked"
    assert why(str(IGNORED), str(REQUESTED[0]))["lost"] != "blocked"


def test_nothing_brings_forward_what_only_fills_a_list_up(home: Path) -> None:
    reranked = {"method": "mmr", "pool": 80, "rules": {"decade": 1}, "quotas": {"fresh": 2}}
    longer = {"top_n": 70, "rank": {"pool": 80}, "recall": {"candidates": 80}, "rerank": reranked}
    found = lists(computed(home, overlaid(SETTINGS, longer)))[BLOCKING]
    is_left_out = [film in REQUESTED[1:] or film <= 30 for film in found]  # the others were shown
    assert 0 < sum(is_left_out) < len(found)
    assert is_left_out == sorted(is_left_out)


def test_a_discount_moves_lists_and_is_not_remembered(home: Path) -> None:
    """The next night remembers scores before discounts, which end with the window."""
    by_discount = [
        computed(home, overlaid(SETTINGS, {"exposure": {"discount": discount}})) for discount in (1e-6, 2.0)
    ]
    assert lists(by_discount[0]) != lists(by_discount[1])
    columns = ["user_id", "item_id", "ranked_score"]
    free, discounted = (files.read_parts(run, "pools", columns) for run in by_discount)
    both = free.join(discounted, on=["user_id", "item_id"]).filter(pl.col("user_id").is_between(RECENT, 40))
    assert both.height > 300
    apart = (both["ranked_score"] - both["ranked_score_right"]).abs()
    assert apart.median() < 0.1


def test_filters_are_measured(night: Run) -> None:
    rows = files.read_table(night, "metrics/shown")
    assert set(rows["stage"]) == {"exposures"}
    assert set(rows["n_users"]) == {39}
    value = dict(rows.select("metric", "value").iter_rows())
    assert value["films_per_user"] == pytest.approx((38 * 30 + N_FILMS) / 39)
    assert value["false_positive_rate"] < 1e-3
    assert 100 < value["bytes_per_user"] < 200


def test_reports_of_the_future_change_nothing_and_an_hour_learns_of_new_ones(home: Path, night: Run) -> None:
    films = lists(night)[RECENT]
    later = night.as_of + timedelta(hours=1)
    report_shown(home, "later", [(RECENT, film, later) for film in films])
    again = computed(home, SETTINGS)
    assert digest(again, "recommended/*") == digest(night, "recommended/*")
    assert start.start_incremental.fn(home, None, {}) is None
    report_blocked(home, "nobody", [(999_999, films[0], later, "block")])
    assert start.start_incremental.fn(home, None, {}) is None, "who is unknown has no list"
    wanted = lists(night)[IGNORED]
    report_blocked(home, "later", [(IGNORED, film, later, "block") for film in wanted])
    at_once = start.start_incremental.fn(home, None, {})
    assert at_once is not None, "what somebody asks waits for nobody's rating"
    assert at_once.as_of == night.as_of
    lifecycle.abandon(at_once)
    hour = start.start_incremental.fn(home, (later + timedelta(seconds=1)).isoformat(), {})
    assert hour is not None
    build_features.fn(hour)
    select_users.fn(hour)
    filter_shown.fn(hour)
    read_block_list.fn(hour)
    recommend.fn(hour)
    found = lists(hour)
    assert set(found) == {RECENT, IGNORED}
    assert not set(found[IGNORED]) & set(wanted)
    assert not set(found[RECENT]) & (set(films) | set(range(1, 31)) | watched(hour)[RECENT])
    assert json.loads(hour.file("run.json").read_text())["exposures"] == list(hour.exposures)


@pytest.mark.parametrize("exposure", [SETTINGS["exposure"], {"source": "none"}], ids=["reported", "none"])
def test_the_cache_holds_what_was_ranked_and_not_shown(
    home: Path, night: Run, exposure: dict[str, Any]
) -> None:
    channels = [*SETTINGS["recall"]["channels"], "cache"]
    config = configuration.load({"recall": {"channels": channels, "candidates": 40}, "exposure": exposure})
    run = replace(start.describe(home, "full", None, config), parent_id=night.id)
    lifecycle.begin(run)
    build_features.fn(run)
    shown = {(user, film) for user, films in lists(night).items() for film in films}
    if exposure["source"] == "reported":
        filter_shown.fn(run)
        shown = {(user, film) for user in range(RECENT, 41) for film in range(1, 31)}
        shown |= {(ALL_SHOWN, film) for film in range(1, N_FILMS + 1)}
    recall.fn(run, "cache")
    state, then = read_state(run, "cache")
    row, column = np.nonzero(state["item"] >= 0)
    found = zip(then.user_ids[row].tolist(), then.item_ids[state["item"][row, column]].tolist(), strict=True)
    pools = files.read_parts(night, "pools", ["user_id", "item_id"])
    assert set(found) == set(pools.iter_rows()) - shown
    held_back = files.read_columns(run, "holdout/cache")["item"]
    assert (held_back == -1).all(), "the night had seen what the holdout asks for"
