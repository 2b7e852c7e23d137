"""Measurements of a release for the gate: counts, histograms, metrics, first pages, states."""

from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from models.dataset import Doubles
from models.evaluation import stability
from models.pipeline.stages import newcomers_until
from tasks import settings
from tasks.config import Configuration
from tasks.first_pages import PAGE, matrix
from tasks.states import read_newcomers_until
from warehouse.clock import TOLERANCE
from warehouse.releases import measures, serving
from warehouse.releases.measures import Arrived, Histograms
from warehouse.runs import files
from warehouse.runs.run import Run

WINDOW = 30.0
"""Days before the published release whose events new ones are held against."""

SEGMENTS = {"few": (1, 20), "some": (20, 200), "many": (200, np.inf)}
"""Users by their number of ratings: from, below."""


@dataclass(frozen=True)
class Pages:
    """The first pages of users, by segment of the user."""

    overlap: dict[str, Doubles] = field(default_factory=dict)  # (U,) with those of the published release
    n_users: int = 0
    n_films: int = 0  # distinct
    n_films_before: int | None = None
    n_personal: int = 0  # of users who are no newcomers: lists of those are alike by design
    top_film: float = 0.0  # fraction of the personal pages that have the film that most of them have
    fillers: float = 0.0  # fraction of the pages of nothing but films that no channel recalled


@dataclass(frozen=True)
class Metric:
    """NDCG of a model on the holdout, and that of the published release, each with its standard error."""

    value: float
    n_users: int
    before: float | None = None
    n_before: int = 0
    error: float | None = None
    error_before: float | None = None


@dataclass(frozen=True)
class Measurements:
    """All that the checks are made of. What there is nothing to hold against is empty, or None."""

    ahead: float = 0.0  # seconds that as_of is ahead of the clock
    tolerance: float = TOLERANCE  # seconds that events may be
    arrived: Arrived = field(default_factory=Arrived)
    volume: tuple[Doubles, float] | None = None  # events a day, of earlier releases (N,) and of this one
    histograms: dict[str, Histograms] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)  # by name of the model
    defects: dict[str, str] = field(default_factory=dict)  # why a state cannot be, by name
    n_states: int = 0
    pages: Pages = field(default_factory=Pages)


def measure(run: Run, config: Configuration, file: Path, published: str | None) -> Measurements:
    """Measure a run and its serving file against the published release, where it is one to compare with.

    Of an incremental run only the cheap part, and of the lists those that it has made.
    """
    before = comparable(run, published, config.gate.comparable_days)
    full = run.kind == "full"
    defects, n_states = _states(run, config)
    rates, now = measures.events_a_day(run) if full else (np.empty(0), None)
    old = None if before is None else serving.fetched(run.home, before.id)
    return Measurements(
        ahead=max((run.as_of - run.created_at).total_seconds(), 0.0),
        tolerance=settings.environment().clock_tolerance,
        arrived=measures.arrived(run, before),
        volume=None if now is None else (rates, now),
        histograms=measures.histograms(run, before, WINDOW) if full and before is not None else {},
        metrics=_metrics(run, config, file, old) if full else {},
        defects=defects,
        n_states=n_states,
        pages=pages(
            measures.lists(file, PAGE, None if full else run.id),
            None if old is None else measures.lists(old, PAGE),
            whole=full,
            least=newcomers_until(config, read_newcomers_until(run)),
        ),
    )


def comparable(run: Run, published: str | None, days: float) -> Run | None:
    """The run of the published release, unless that is of a later time or of one too long ago."""
    if published is None:
        return None
    before = Run.read(run.home, published)
    return before if timedelta(0) <= run.as_of - before.as_of <= timedelta(days=days) else None


def pages(lists: pl.DataFrame, before: pl.DataFrame | None, whole: bool, least: int = 0) -> Pages:
    """Measure first pages: user_id, rank, item_id, is_filler, n_ratings, of a release and of the one before.

    Without ``whole`` they are those of a few users: how many films they show tells nothing. Newcomers have
    fewer ratings than ``least``.
    """
    n_users = lists["user_id"].n_unique()
    if not n_users:
        return Pages()
    by_user = lists.group_by("user_id").agg(pl.col("is_filler").all())
    personal = lists.filter(pl.col("n_ratings") >= least)
    n_personal, shown = personal["user_id"].n_unique(), personal["item_id"].value_counts()["count"]
    return Pages(
        overlap={} if before is None else _overlap(lists, before),
        n_users=n_users,
        n_films=lists["item_id"].n_unique(),
        n_films_before=before["item_id"].n_unique() if before is not None and whole else None,
        n_personal=n_personal,
        top_film=int(shown.max() or 0) / max(n_personal, 1),  # type: ignore[arg-type]
        fillers=float(by_user["is_filler"].mean() or 0.0),  # type: ignore[arg-type]
    )


def _overlap(lists: pl.DataFrame, before: pl.DataFrame) -> dict[str, Doubles]:
    """The overlap of the pages of users who have both, by segment."""
    both = lists.join(before.select("user_id").unique(), on="user_id", how="semi")
    users = both.group_by("user_id").agg(pl.col("n_ratings").first()).sort("user_id")
    now, then = (matrix(frame, users["user_id"]) for frame in (both, before))
    found, n_ratings = stability.overlap(then, now), users["n_ratings"].to_numpy()
    return {
        name: found[(n_ratings >= least) & (n_ratings < beyond)] for name, (least, beyond) in SEGMENTS.items()
    }


def _metrics(run: Run, config: Configuration, file: Path, old: Path | None) -> dict[str, Metric]:
    """Those of the merged list, of the ranker, and of the channel that learns on."""
    found = measures.metrics(file)
    key = ["stage", "model", "protocol", "k"]
    then = found.clear() if old is None else measures.metrics(old)
    renamed = then.rename({"value": "before", "n_users": "n_before", "error": "error_before"})
    joined = found.join(renamed, on=key, how="left").with_columns(pl.col("n_before").fill_null(0))
    learns_on = (pl.col("stage") == "recall") & (pl.col("model") == (config.incremental.channel or ""))
    rows = joined.filter((pl.col("stage") == "rank") | learns_on)
    return {
        row["model"]: Metric(**{field.name: row[field.name] for field in fields(Metric)})
        for row in rows.iter_rows(named=True)
    }


def _states(run: Run, config: Configuration) -> tuple[dict[str, str], int]:
    """The defects of the states that the run has learned, by name, and how many states there are."""
    names = files.column_folders(run, "models")
    if run.kind != "full":
        names = [name for name in names if name == f"models/{config.incremental.channel}"]
    found = {name: stability.defect(files.read_columns(run, name)) for name in names}
    return {name: why for name, why in found.items() if why is not None}, len(names)
