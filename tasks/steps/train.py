"""The channel that learns on: from night to night, and from every hour.

A full run keeps two states of it. The published one has learned the whole log. The *lagging* one has learned
all but the held-back part and answers for it, so that merge and ranker are fitted on what it could not know.
"""

import hashlib
import json
import logging
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from models.dataset import Dataset, rows_beyond
from models.digest import feed
from models.encoding import Vocabulary
from models.pipeline import holdout as objectives
from models.recall.registry import build
from models.recall.two_tower import TwoTower
from models.two_tower.hourly import UpdateReport
from models.two_tower.training import Checkpoint
from models.two_tower.vocabulary import grow
from tasks import data
from tasks.metrics import Figure, metric_rows
from tasks.step import step
from tasks.steps.recall import (
    embedding_rows,
    read_state,
    write_candidates,
    write_state,
    write_tables,
    write_validation,
)
from warehouse.errors import MatineeError
from warehouse.runs import checkpoints, snapshot
from warehouse.runs import run as runs
from warehouse.runs.run import Run

log = logging.getLogger("matinee")

LEARNER = "two_tower"
"""The channel of the registry that learns on."""

LAGGING = "lagging"
"""The folder under ``models/`` of the state before the held-back part of the log."""

MAX_SHIFT = 0.5
"""Mean move of the touched embeddings, by their mean length, beyond which an update is not trusted."""

MAX_LOSS_RISE = 0.05
"""Rise of the loss on replayed history, relative, beyond which an update is not trusted."""


def described(channel: str) -> dict[str, Any]:
    """Everything that decides what the channel's model is made of and how it learns."""
    config: dict[str, Any] = json.loads(json.dumps(asdict(new(channel, 0).config)))
    return config | {"held_back": objectives.rule()}


@step(
    "train {channel}",
    reads=["events", "users", "items"],
    writes=["candidates/{channel}", "models/{channel}", "metrics/{channel}"],
)
def train(run: Run, channel: str, n: int, objective: str, seed: int) -> dict[str, int]:
    """Train the channel on from the run's parent, or from scratch; write what it recalls and its tables."""
    _, vocabulary = data.load(run)
    held_back = data.validation(run, objective)
    if run.parent_id is None:
        lagging, model = _from_scratch(run, channel, objective, seed)
    else:
        lagging, model = _from_parent(run, channel, objective, seed)
    rows: dict[str, int] = {}
    if held_back is not None:
        rows |= write_validation(run, channel, lagging, held_back, n)
    write_state(run, f"{LAGGING}/{channel}", lagging.state, vocabulary)
    write_state(run, channel, model.state, vocabulary)
    snapshot.write_table(run, f"metrics/{channel}", _curve(run, channel, lagging))
    rows |= write_candidates(run, channel, model, vocabulary, n) | write_tables(run, channel, model)
    return rows | _write_user_vectors(run, channel, model)


@step(
    "learn {channel}", reads=["events", "models/{channel}"], writes=["models/{channel}", "metrics/{channel}"]
)
def learn(run: Run, channel: str, seed: int) -> dict[str, int]:
    """Let the channel's ID embeddings learn what is new since the run's parent, unless they drift."""
    dataset, vocabulary = data.load(run)
    parent = runs.parent(run)
    news = data.new_rows(run, parent)
    before = _carried(parent, channel, channel, seed, vocabulary)
    model = _like(before)
    report = model.update(dataset, news)
    drift = _drift(report)
    if drift is not None:
        log.warning("%s: what it learned is left out until the next nightly: %s", channel, drift)
        model = before
    write_state(run, channel, model.state, vocabulary)
    n_users = len(np.unique(dataset.user_idx[news]))
    figures = _update_rows(report, drift is not None)
    table = metric_rows(run, "update", channel, "training", figures, n_users)
    snapshot.write_table(run, f"metrics/{channel}", table)
    return (
        {"new_events": len(news)}
        | write_tables(run, channel, model)
        | _write_user_vectors(run, channel, model)
    )


def _from_scratch(run: Run, channel: str, objective: str, seed: int) -> tuple[TwoTower, TwoTower]:
    """The lagging model, trained on all but the held-back part, and one that then learned that part too."""
    dataset, _ = data.load(run)
    held_back = data.validation(run, objective)
    past = dataset if held_back is None else held_back.train
    lagging = _trained(run, channel, past, seed)
    model = _like(lagging)
    return lagging, model.warm(dataset, rows_beyond(dataset, past))


def _trained(run: Run, channel: str, past: Dataset, seed: int) -> TwoTower:
    """From scratch, or on from where a killed training came to."""
    model = new(channel, seed)
    key = _key(past, model)
    found = checkpoints.read(run.home, key)
    if found is not None:
        log.info("%s: going on from the checkpoint that a killed training left", channel)
    model.fit(past, Watcher(run, channel, key, model), None if found is None else _unpacked(found))
    checkpoints.forget(run.home, key)
    return model


def _from_parent(run: Run, channel: str, objective: str, seed: int) -> tuple[TwoTower, TwoTower]:
    """Both models of the parent, each having learned what is new to it."""
    parent = runs.parent(run)
    dataset, vocabulary = data.load(run)
    held_back = data.validation(run, objective)
    news = data.new_rows(run, parent)  # before the parent's log is read, which takes the place of the run's
    then, names = data.encode_snapshot(parent)
    held_back_then = objectives.validation(then, objective)
    past, past_then = (
        log if split is None else split.train for log, split in ((dataset, held_back), (then, held_back_then))
    )
    users, items = names.user_positions(vocabulary), names.item_positions(vocabulary)
    known = replace(past_then, user_idx=users[past_then.user_idx], item_idx=items[past_then.item_idx])
    if len(rows_beyond(known, past)):
        # Late events of long ago moved the held-back part back: it has learned what is asked now.
        lagging = _trained(run, channel, past, seed)
    else:
        missed = rows_beyond(past, known)
        lagging = _carried(parent, f"{LAGGING}/{channel}", channel, seed, vocabulary)
        lagging.catch_up(past, missed).warm(past, missed)
    # What the hours learned since then went on from the parent too: it is learned again.
    model = _carried(parent, channel, channel, seed, vocabulary)
    return lagging, model.catch_up(dataset, news).warm(dataset, news)


class Watcher:
    """Keeps a checkpoint of every epoch, and shows it in the terminal and in Prefect's UI."""

    def __init__(self, run: Run, channel: str, key: str, model: TwoTower) -> None:
        self.home, self.channel, self.key = run.home, channel, key
        self.epochs = model.config.training.epochs
        self.artifact = create_progress_artifact(0.0, key="training", description=f"Training of {channel}")

    def __call__(self, checkpoint: Checkpoint) -> None:
        checkpoints.write(self.home, self.key, _packed(checkpoint))
        loss, metric = checkpoint.curve[-1]
        log.info(
            "%-22s epoch %d of %d, loss %.4f, validation NDCG@10 %.4f",
            f"train {self.channel}",
            checkpoint.epoch,
            self.epochs,
            loss,
            metric,
        )
        if isinstance(self.artifact, UUID):
            update_progress_artifact(self.artifact, 100.0 * checkpoint.epoch / self.epochs)


def _packed(checkpoint: Checkpoint) -> snapshot.Arrays:
    return checkpoint.arrays | {"epoch": np.array(checkpoint.epoch), "curve": checkpoint.curve}


def _unpacked(arrays: snapshot.Arrays) -> Checkpoint:
    return Checkpoint(int(arrays.pop("epoch")), arrays.pop("curve"), arrays)


def _key(past: Dataset, model: TwoTower) -> str:
    """All that a training depends on."""
    sha = hashlib.sha256(repr((model.config, past.n_users, past.n_items)).encode())
    feed(sha, past.user_idx, past.item_idx, past.rating, past.at)
    for attributes in (past.users, past.items):
        sha.update(repr(sorted(attributes)).encode())
        feed(sha, *(attributes[name] for name in sorted(attributes)))
    return sha.hexdigest()[:16]


def new(channel: str, seed: int) -> TwoTower:
    """A learner that has learned nothing yet. Raises MatineeError for a channel that is none."""
    model = build(channel, seed)
    if not isinstance(model, TwoTower):
        raise MatineeError(f"{channel} does not learn on: the learner is {LEARNER}")
    return model


def _like(model: TwoTower) -> TwoTower:
    """Another one that knows the same."""
    other = TwoTower(model.config)
    other.state = model.state
    return other


def _carried(parent: Run, name: str, channel: str, seed: int, now: Vocabulary) -> TwoTower:
    """A model of an earlier run, with rows for whoever is new since."""
    state, then = read_state(parent, name)
    model = new(channel, seed)
    users, items = then.user_positions(now), then.item_positions(now)
    model.state = grow(state, users, items, len(now.user_ids), len(now.item_ids))
    return model


def _write_user_vectors(run: Run, channel: str, model: TwoTower) -> dict[str, int]:
    """Of the users whom the run answers; those of others stay as the parent has them."""
    _, vocabulary = data.load(run)
    queries = data.queries(run)
    asked = vocabulary.user_ids[queries.user_idx]
    frame = embedding_rows(channel, "user_id", asked, model.user_vectors(queries))
    name = f"user_embeddings/{channel}"
    if run.kind == "incremental":
        others = snapshot.read_table(runs.parent(run), name)
        frame = pl.concat([frame, others.join(frame, on="user_id", how="anti")])
    return {"user_embeddings": snapshot.write_table(run, name, frame)}


def _curve(run: Run, channel: str, model: TwoTower) -> pl.DataFrame:
    """Rows of ``metrics``: loss and validation figure of every epoch."""
    rows = [
        (f"epoch={epoch}", metric, k, float(value))
        for epoch, point in enumerate(model.state["curve"], start=1)
        for (metric, k), value in zip((("loss", None), ("ndcg", 10)), point, strict=True)
    ]
    return metric_rows(run, "train", channel, "training", rows, 0)


def _update_rows(report: UpdateReport, skipped: bool) -> list[Figure]:
    """Losses before and after, on the new events and on earlier ones, and how far embeddings moved."""
    figures = {name: value for name, value in asdict(report).items() if isinstance(value, float)}
    figures["skipped"] = float(skipped)
    return [("all", name, None, value) for name, value in figures.items() if np.isfinite(value)]


def _drift(report: UpdateReport) -> str | None:
    """What says that an update has gone wrong, in words; None if nothing does."""
    rise = report.old_after / max(report.old_before, 1e-9) - 1
    if not np.isfinite(rise) or rise > MAX_LOSS_RISE:
        return f"the loss on earlier events rose by {rise:.1%} (at most {MAX_LOSS_RISE:.0%})"
    moved = report.shift_mean / max(report.norm_mean, 1e-9)
    if not np.isfinite(moved) or moved > MAX_SHIFT:
        return f"its embeddings moved by {moved:.0%} of their length (at most {MAX_SHIFT:.0%})"
    return None
