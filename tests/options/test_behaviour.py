"""A run on a log that tells what people did beside rating: its tasks, and what its release is made of."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.config import overlaid
from models.features.schema import FeatureSchema
from models.state import unpack_text
from tasks.states import read_state
from tests.models.evaluation.logs import random_log
from tests.options.steps import computed
from tests.options.test_stages import BASE, SEVERAL_TASKS, Settings
from warehouse.errors import MatineeError
from warehouse.events import log as event_log
from warehouse.runs import files

WEIGHTED: Settings = overlaid(overlaid(BASE, SEVERAL_TASKS), {"rank": {"weights": {"watch_time": 2.0}}})

pytestmark = pytest.mark.usefixtures("prefect_server")


def source(folder: Path, behaviour: bool) -> str:
    """40 users' ratings, and perhaps what they did: who likes a film watches more of it."""
    log = random_log(0, "2000-10-01", "2003-03-01", n_users=40, n_items=80, n_events=1600)
    length = 60 * np.random.default_rng(0).integers(40, 200, log.n_items)
    rows = pl.DataFrame(
        {
            "userId": log.user_idx + 1,
            "movieId": log.item_idx + 1,
            "rating": log.rating,
            "timestamp": log.at,
            "liked": (log.rating > 3).astype(int),
            "watch_seconds": length[log.item_idx] * log.rating / 5 * 2400 / (2400 + length[log.item_idx]),
            "duration_seconds": length[log.item_idx],
        }
    ).unique(["userId", "movieId", "timestamp"], maintain_order=True)
    films = pl.DataFrame(
        {
            "movieId": range(1, log.n_items + 1),
            "title": [f"Film {item} ({1950 + item % 50})" for item in range(log.n_items)],
            "genres": "Drama|War",
            "duration_seconds": length,
        }
    )
    folder.mkdir()
    rows.select(rows.columns if behaviour else rows.columns[:4]).write_csv(folder / "ratings.csv")
    films.select(films.columns if behaviour else films.columns[:3]).write_csv(folder / "movies.csv")
    return str(folder)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("behaviour")
    event_log.ingest(folder / "home", source(folder / "source", behaviour=True))
    return folder / "home"


@pytest.fixture(autouse=True)
def in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(home))


def test_the_log_of_ratings_is_that_of_a_source_of_ratings_alone(home: Path, tmp_path: Path) -> None:
    event_log.ingest(tmp_path / "home", source(tmp_path / "source", behaviour=False))
    with_behaviour, without = (pl.read_parquet(event_log.event_files(of)) for of in (home, tmp_path / "home"))
    assert with_behaviour.equals(without)
    assert not (tmp_path / "home" / "behaviour").exists()
    assert "duration_seconds" not in pl.read_parquet(tmp_path / "home/catalog/items.parquet").columns


def test_tasks_are_those_that_the_log_has_labels_of_and_weights_that_are_given_stay(home: Path) -> None:
    run = computed(home, WEIGHTED)
    metrics = files.read_table(run, "metrics/ranking").filter(pl.col("metric") == "weight")
    weights = dict(metrics.select("slice", "value").iter_rows())
    tasks = ("watched", "liked", "loved", "like", "watch_time", "completion")  # nobody finishes a film
    assert list(weights) == [f"task={task}" for task in tasks]
    assert weights["task=watch_time"] == 2
    schema = FeatureSchema.from_json(unpack_text(read_state(run, "ranking")[0]["schema"]))
    assert {"item_duration", "item_quality"} & {feature.name for feature in schema.features} == {
        "item_duration"
    }


def test_a_weight_of_a_task_without_labels_is_refused(home: Path) -> None:
    with pytest.raises(MatineeError, match=r"^rank\.weights: no label of share in what ranking learns from"):
        computed(home, overlaid(WEIGHTED, {"rank": {"weights": {"share": 1.0}}}))
