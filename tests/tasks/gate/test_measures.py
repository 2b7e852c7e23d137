"""Measurements of whole releases: of their files, their tables and their states."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tasks import config as configuration
from tasks.gate.config import GateConfig
from tasks.gate.measures import Measurements, Metric, measure
from tasks.gate.verdict import judge
from tests import home as homes
from warehouse.releases.publication import publish
from warehouse.runs import files, lifecycle
from warehouse.runs.run import Run

NDCG = {"stage": "rank", "protocol": "daily", "slice": "all", "metric": "ndcg", "k": 10, "n_users": 12}


def write_metrics(run: Run, ranker: float, alone: float) -> None:
    """NDCG of the merged list, of a ranker beside it, and of channels; a curve of the ranker by weight."""
    rows = [
        NDCG | {"model": "merged", "value": 0.5},
        NDCG | {"model": "gbdt", "value": ranker},
        NDCG | {"model": "gbdt", "metric": "ndcg_error", "value": 0.01},
        NDCG | {"model": "two_tower", "stage": "recall", "value": 0.25},
        NDCG | {"model": "popular", "stage": "recall", "value": 0.125},
    ]
    files.write_table(run, "metrics/m", pl.DataFrame(rows).with_columns(release_id=pl.lit(run.id)))
    about = {"release_id": run.id, "stage": "rank", "model": "gbdt"}
    curves = {"ndcg@10 by blend weight": [alone, 0.5, ranker], "ndcg_error@10": [0.02, 0.03, 0.01]}
    points = [
        about | {"curve": curve, "x": x, "y": y}
        for curve, values in curves.items()
        for x, y in zip((1.0, 0.0, 0.5), values, strict=True)
    ]
    files.write_table(run, "curves/m", pl.DataFrame(points))


def measured(run: Run, weights: np.ndarray, metrics: tuple[float, float] = (0.75, 0.625)) -> Measurements:
    """The measurements of a run as it is published."""
    found: list[Measurements] = []
    config = configuration.load()

    def look(*built: Any) -> tuple[()]:
        found.append(measure(run, config, *built[1:]))
        return ()

    homes.compute(run)
    write_metrics(run, *metrics)
    for name in ("two_tower", "holdout_model/two_tower"):
        files.write_columns(run, f"models/{name}", {"weight.out": weights})
    homes.finish(run)
    publish(run, 5, 10, look)
    return found[0]


def test_a_release_is_measured_and_held_against_the_one_before(tmp_path: Path) -> None:
    home = homes.write_home(tmp_path)
    first = homes.begin(home)
    alone = measured(first, np.ones(3))
    assert (alone.ahead, alone.volume, alone.histograms, alone.defects, alone.n_states) == (
        0,
        None,
        {},
        {},
        2,
    )
    assert (alone.arrived.events, alone.pages.overlap, alone.pages.n_films_before) == (80, {}, None)
    lists = files.read_parts(first, "recommended")
    assert alone.pages.n_users == homes.N_USERS
    assert alone.pages.n_films == lists["item_id"].n_unique()
    n_ratings = pl.read_parquet(home / "events" / "*.parquet").group_by("user_id").len()
    regulars = n_ratings.filter(pl.col("len") >= 10)["user_id"]  # no newcomers
    n_pages = lists.filter(pl.col("user_id").is_in(regulars.implode()))["item_id"].value_counts()["count"]
    assert alone.pages.n_personal == len(regulars) > 0
    assert alone.pages.top_film == n_pages.max() / len(regulars)
    assert alone.metrics == {
        "merged": Metric(0.5, 12),
        "gbdt": Metric(0.75, 12, error=0.01),
        "gbdt alone": Metric(0.625, 12, error=0.02),
        "two_tower": Metric(0.25, 12),
    }

    later = measured(homes.begin(home, first.as_of + timedelta(days=1)), np.zeros(3), metrics=(0.5, 0.125))
    assert later.metrics["gbdt alone"] == Metric(0.125, 12, 0.625, 12, 0.02, 0.02)
    assert later.arrived.events == 0
    assert {name: set(values) for name, values in later.pages.overlap.items()} == {
        "few": {1.0},
        "some": set(),
        "many": set(),
    }
    assert set(later.defects) == {"models/two_tower", "models/holdout_model/two_tower"}
    failed = {check.check for check in judge(later, GateConfig(min_users=1)) if not check.passed}
    assert failed >= {"states: models/two_tower"}


def test_of_an_hourly_run_only_the_lists_that_it_made_count(tmp_path: Path) -> None:
    home = homes.write_home(tmp_path)
    parent = homes.publish(home)
    run = replace(homes.begin(home), kind="incremental", parent_id=parent.id)
    lifecycle.abandon(run)
    lifecycle.begin(run)
    found: list[Measurements] = []

    def look(*built: Any) -> tuple[()]:
        found.append(measure(run, configuration.load(), *built[1:]))
        return ()

    lists = homes.compute(run)
    files.write_table(run, "recommended/00000", lists.filter(pl.col("user_id").is_in([3, 4])))
    homes.finish(run)
    publish(run, 5, 10, look)
    (of_hour,) = found
    assert (of_hour.pages.n_users, of_hour.pages.n_films_before) == (2, None)
    assert sum(len(values) for values in of_hour.pages.overlap.values()) == 2
    assert (of_hour.metrics, of_hour.histograms, of_hour.volume) == ({}, {}, None)
