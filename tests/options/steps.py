"""Runs on a small log, step by step as a flow takes them, without a flow."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from tasks import config as configuration
from tasks.steps import start
from tasks.steps.block_list import read_block_list
from tasks.steps.communities import find_communities
from tasks.steps.features import build_features
from tasks.steps.merge import fit_merge
from tasks.steps.publish import publish
from tasks.steps.questions import ask_about
from tasks.steps.rank import fit_rank
from tasks.steps.recall import recall
from tasks.steps.recommend import recommend
from tasks.steps.rerank import fit_rerank
from tasks.steps.segments import recommend_segments
from tasks.steps.shown import filter_shown
from tests.models.evaluation.logs import random_log
from tests.warehouse import batches
from warehouse.events import block_list, exposures
from warehouse.events import log as event_log
from warehouse.runs import lifecycle, snapshot
from warehouse.runs.run import Run

NEWCOMERS = 4
"""Users who have rated nothing."""


def home_with_log(folder: Path, n_unrated: int = 0) -> Path:
    """A home whose log has 40 users' ratings of 80 films, and none of some further ones."""
    log = random_log(0, "2000-10-01", "2003-03-01", n_users=40, n_items=80, n_events=1600)
    source = batches.of_log(folder / "source", log, log.n_users + NEWCOMERS, films(log.n_items + n_unrated))
    event_log.ingest(folder / "home", source)
    return folder / "home"


def films(n: int) -> dict[int, tuple[str, str]]:
    """Titles and genres of films by id: pairs of one franchise, years over five decades."""
    genres = ("Drama", "War", "Comedy", "Drama|Comedy", "Action|War", "Action")
    return {
        item: (
            f"{'AEIOU'[item % 5]}{'bdgklmprt'[item // 2 % 9]}: {item} ({1950 + item % 50})",
            genres[item % 6],
        )
        for item in range(1, n + 1)
    }


def report_shown(home: Path, name: str, shown: Sequence[tuple[int, int, datetime]]) -> None:
    """Log that users (ids) were shown items (ids)."""
    rows = "".join(f"{user},{item},{at.isoformat()}\n" for user, item, at in shown)
    (home / f"{name}.csv").write_text(f"user_id,item_id,shown_at\n{rows}")
    exposures.record(home, str(home / f"{name}.csv"))


def report_blocked(home: Path, name: str, requested: Sequence[tuple[int, int, datetime, str]]) -> None:
    """Log that users (ids) asked not to see items (ids), or to see them again, by the action."""
    rows = "".join(f"{user},{item},{at.isoformat()},{action}\n" for user, item, at, action in requested)
    (home / f"{name}.csv").write_text(f"user_id,item_id,requested_at,action\n{rows}")
    block_list.record(home, str(home / f"{name}.csv"))


def newest_event(home: Path) -> datetime:
    """The time of the newest event (UTC): runs are as of a second later."""
    newest = snapshot.span(home, tuple(batch.path.name for batch in event_log.batches(home)))
    assert newest is not None
    return newest[1]


def computed(home: Path, overrides: Mapping[str, Any], parent_id: str | None = None) -> Run:
    """A full run, as the nightly flow computes it, unpublished; by default from scratch."""
    config = configuration.load(overrides)
    run = replace(start.describe(home, "full", None, config), parent_id=parent_id)
    lifecycle.begin(run)
    build_features.fn(run)
    if config.exposure.source != "none":
        filter_shown.fn(run)
    if run.block_list:
        read_block_list.fn(run)
    for channel in config.recall.channels:
        recall.fn(run, channel)
    find_communities.fn(run)
    ask_about.fn(run)
    fit_merge.fn(run)
    fit_rank.fn(run)
    fit_rerank.fn(run)
    recommend.fn(run)
    recommend_segments.fn(run)
    return run


def published(home: Path, overrides: Mapping[str, Any]) -> Run:
    """The same, published."""
    run = computed(home, overrides)
    publish.fn(run)
    return run


def digest(run: Run, pattern: str) -> str:
    """A hash of the run's tables whose files match, names and rows; of the run's own name nothing."""
    sha = hashlib.sha256()
    for file in sorted(run.folder.glob(f"{pattern}.parquet")):
        frame = pl.read_parquet(file).drop("release_id", strict=False)
        sha.update(f"{file.relative_to(run.folder)} {frame.write_json()}".encode())
    return sha.hexdigest()
