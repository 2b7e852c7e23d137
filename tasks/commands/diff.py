"""The difference between two releases: their lists, films, users, metrics and settings."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from models.config import changed_keys, flat
from models.dataset import Longs, Mask
from models.evaluation import stability
from tasks import settings
from tasks.commands.answer import Answer
from tasks.first_pages import PAGE, matrix
from tasks.metrics import NDCG_ERROR
from warehouse.errors import MatineeError
from warehouse.releases import contents, journal, measures, serving

MOST = 10
"""Films and users that are named, those that changed most."""

DEVIATIONS = 1.96
"""Standard errors of an interval of 95 %."""

METRIC = ("stage", "model", "protocol", "slice", "metric", "k")
"""Key of a metric in a release."""


def diff(release: str | None = None, against: str | None = None) -> Answer:
    """How a release, by default the published one, differs from another one, by default its parent.

    Overlap and rank-biased overlap are of first pages (ten films) of the users whom both have; the latter is
    extrapolated beyond them (``models.evaluation.stability.rank_biased_overlap``).

    Raises:
        MatineeError: nothing is published, there is none to compare with, or one of them is not kept.
    """
    home = settings.home()
    release = release or serving.published_release(home)
    serving.readable(home, release)
    against = against or journal.earlier(home, release)
    if against is None:
        raise MatineeError(
            f"there is none before release {release}: name two, as `matinee releases` lists them"
        )
    return compare(home, release, against)


def compare(home: Path, release: str, against: str) -> Answer:
    """The same of two releases that are named.

    Raises:
        MatineeError: one of them is neither kept nor held.
    """
    file, old = serving.readable(home, release), serving.readable(home, against)
    now, before = contents.row(file, release), contents.row(old, against)
    pages, pages_before = measures.lists(file, PAGE), measures.lists(old, PAGE)
    return {
        "release": now,
        "against": before,
        **_lists(pages, pages_before),
        **_films(pages, pages_before, contents.titles(old) | contents.titles(file)),
        "metrics": _metrics(contents.metrics(file), contents.metrics(old)),
        "settings": _settings(now, before),
    }


def _lists(pages: pl.DataFrame, pages_before: pl.DataFrame) -> Answer:
    """Users by how much of their first page stayed."""
    users, users_before = (frame.select("user_id", "n_ratings").unique() for frame in (pages, pages_before))
    both = users.join(users_before, on="user_id", suffix="_before").sort("user_id")
    now, then = (matrix(frame, both["user_id"]) for frame in (pages, pages_before))
    both = both.with_columns(
        new_ratings=pl.col("n_ratings") - pl.col("n_ratings_before"),
        overlap=stability.overlap(then, now),
        rank_biased_overlap=stability.rank_biased_overlap(then, now),
        same=(now == then).all(axis=1),
    )
    moved = both.filter(~pl.col("same")).sort("rank_biased_overlap", "user_id").head(MOST)
    return {
        "users": {"release": users.height, "against": users_before.height, "both": both.height},
        "segments": [_segment(name, both.filter(mask)) for name, mask in _masks(both).items() if mask.any()],
        "overlaps": _common(then, now),
        "moved": moved.drop("n_ratings_before", "same").to_dicts(),
    }


def _masks(users: pl.DataFrame) -> dict[str, Mask]:
    """Segments of users who are in both releases."""
    new, before = users["new_ratings"].to_numpy(), users["n_ratings_before"].to_numpy()
    return {
        "all": np.ones(len(new), dtype=bool),
        "with new ratings": new > 0,
        "without new ratings": new <= 0,
        "newcomers": (new > 0) & (before == 0),
    }


def _segment(name: str, users: pl.DataFrame) -> Answer:
    means = ("overlap", "rank_biased_overlap", "same")
    return {"segment": name, "users": users.height} | {of: users[of].mean() for of in means}


def _common(before: Longs, after: Longs) -> list[Answer]:
    """Users by the number of films that both their pages have."""
    equal = (before[:, :, None] == after[:, None, :]) & (before[:, :, None] >= 0)
    counts = np.bincount(equal.sum(axis=(1, 2)), minlength=PAGE + 1)
    return [{"films": films, "users": int(users)} for films, users in enumerate(counts)]


def _films(pages: pl.DataFrame, pages_before: pl.DataFrame, titles: Mapping[int, str]) -> Answer:
    """Films whose fraction of all first pages rose and fell most."""
    fractions = [
        frame.group_by("item_id").agg((pl.len() / max(frame["user_id"].n_unique(), 1)).alias(name))
        for frame, name in ((pages, "pages"), (pages_before, "pages_before"))
    ]
    films = (
        fractions[0]
        .join(fractions[1], on="item_id", how="full", coalesce=True)
        .with_columns(pl.col("pages", "pages_before").fill_null(0.0))
        .with_columns(change=pl.col("pages") - pl.col("pages_before"))
    )
    risen = films.filter(pl.col("change") > 0).sort("change", "item_id", descending=[True, False])
    fallen = films.filter(pl.col("change") < 0).sort("change", "item_id")
    return {
        name: [row | {"title": titles[row["item_id"]]} for row in rows.head(MOST).to_dicts()]
        for name, rows in (("risen", risen), ("fallen", fallen))
    }


def _metrics(now: list[Answer], before: list[Answer]) -> list[Answer]:
    """Metrics that both measured: value, before, change; of means over users also what chance explains."""
    earlier = {tuple(row[name] for name in METRIC): row for row in before}
    pairs = [
        (row, earlier.get(tuple(row[name] for name in METRIC))) for row in now if row["metric"] != NDCG_ERROR
    ]
    return [_metric(row, old) for row, old in pairs if old is not None]


def _metric(row: Answer, old: Answer) -> Answer:
    change = row["value"] - old["value"]
    by_chance = None
    if row["k"] is not None and row["n_users"] and old["n_users"]:
        values = (old["value"], old["n_users"], row["value"], row["n_users"])
        by_chance = stability.change_by_chance(*values, DEVIATIONS)
    return row | {
        "before": old["value"],
        "n_users_before": old["n_users"],
        "change": change,
        "ci_low": None if by_chance is None else change - by_chance,
        "ci_high": None if by_chance is None else change + by_chance,
    }


def _settings(now: Answer, before: Answer) -> list[Answer]:
    """Settings that are not as they were; null where a release does not have one."""
    config, config_before = (json.loads(row["config"]) for row in (now, before))
    values, values_before = dict(flat(config)), dict(flat(config_before))
    return [
        {"setting": name, "value": values.get(name), "before": values_before.get(name)}
        for name in changed_keys(config, config_before)
    ]
