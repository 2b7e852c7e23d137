"""The exposures that a run sees, against loops over all rows; nothing at or after as_of is among them."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests import home as homes
from warehouse.events import exposures
from warehouse.events.exposures import PUBLISHED
from warehouse.releases.shown import record_published
from warehouse.runs import feature_tables, files, shown
from warehouse.runs.run import Run

AS_OF = homes.START + timedelta(days=30)
DAYS, RANKS = 7.0, 3

Exposure = tuple[int, int, datetime, int | None]


def reports(home: Path) -> list[Exposure]:
    """Two reports around the window, of users whom the run knows and of one whom it does not."""
    rng = np.random.default_rng(0)
    rows: list[Exposure] = []
    for number in range(2):
        part = [
            (
                int(rng.integers(1, 8 if number else homes.N_USERS + 2)),
                int(rng.integers(1, homes.N_ITEMS + 1)) * 10,
                AS_OF + timedelta(days=float(rng.integers(-9, 2)) - rng.integers(0, 2)),
                None if rng.random() < 0.2 else int(rng.integers(1, 6)),
            )
            for _ in range(120)
        ]
        part += [] if number else [(12, 10, AS_OF - timedelta(hours=1), 1)]
        text = "".join(f"{u},{i},{at.isoformat()},{rank or ''}\n" for u, i, at, rank in dict.fromkeys(part))
        file = home / f"{number}.csv"
        file.write_text(f"user_id,item_id,shown_at,rank\n{text}")
        exposures.record(home, str(file))
        rows += part
    return rows


def begun(home: Path, as_of: datetime = AS_OF, origin: str = exposures.REPORTED) -> Run:
    run = homes.begin(home, as_of)
    feature_tables.write(run, homes.FEATURES)
    return replace(run, exposures=tuple(file.name for file in exposures.files(home, origin)))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = homes.write_home(tmp_path_factory.mktemp("shown") / "home")
    (home / "catalog" / "dataset.json").write_text('{"name": "hand", "layout": "dat"}')
    return home


@pytest.fixture(scope="module")
def logged(home: Path) -> list[Exposure]:
    """The rows of the log: of several of one key the first."""
    first: dict[tuple[int, int, datetime], Exposure] = {}
    for row in reports(home):
        first.setdefault(row[:3], row)
    return list(first.values())


@pytest.fixture(scope="module")
def run(home: Path, logged: list[Exposure]) -> Run:
    return begun(home)


def read(run: Run, users: np.ndarray, days: float = DAYS, ranks: int | None = None) -> list[tuple[int, int]]:
    blocks = list(shown.read(run, users, days, ranks))
    return pl.concat(blocks).select("user_idx", "item_idx").rows() if blocks else []


@pytest.mark.parametrize("ranks", [None, RANKS])
def test_what_target_users_were_shown_in_the_window(
    run: Run, logged: list[Exposure], ranks: int | None
) -> None:
    targets = np.array([0, 3, 4, 11], dtype=np.int32)
    expected = {
        (user - 1, item // 10 - 1)
        for user, item, at, rank in logged
        if user - 1 in targets
        and AS_OF - timedelta(days=DAYS) <= at < AS_OF
        and (ranks is None or rank is None or rank <= ranks)
    }
    assert read(run, targets, ranks=ranks) == sorted(expected)


def test_blocks_are_cut_between_users(
    run: Run, logged: list[Exposure], monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = np.arange(homes.N_USERS, dtype=np.int32)
    monkeypatch.setattr(shown, "BLOCK", 5)
    blocks = [block["user_idx"].unique().to_list() for block in shown.read(run, everybody, DAYS, None)]
    users = [user for block in blocks for user in block]
    assert len(users) == len(set(users)) > 5


def test_users_who_were_shown_something_since(home: Path, run: Run, logged: list[Exposure]) -> None:
    earlier = AS_OF - timedelta(hours=12)
    first = run.exposures[:1]
    parent = replace(run, as_of=earlier, exposures=first)
    in_first = set(
        pl.read_parquet(home / "exposures" / first[0]).select("user_id", "item_id", "shown_at").rows()
    )
    expected = {
        user
        for user, item, at, _ in logged
        if at < AS_OF and (at >= earlier or (user, item, at) not in in_first)
    }
    assert shown.new_to(run, parent).tolist() == sorted(expected)
    assert len(expected) < len({user for user, *_ in logged})
    assert shown.new_to(run, replace(run, as_of=AS_OF)).tolist() == []


def test_a_run_that_reads_no_exposures_sees_none(run: Run) -> None:
    alone = replace(run, exposures=())
    assert read(alone, np.arange(homes.N_USERS, dtype=np.int32)) == []
    assert shown.new_to(alone, alone).tolist() == []


def test_published_lists_are_exposures_as_of_their_release(tmp_path: Path) -> None:
    home = homes.write_home(tmp_path / "home")
    published = homes.publish(home, homes.START + timedelta(days=20))
    for _ in range(2):
        record_published(home)
    everybody = np.arange(homes.N_USERS, dtype=np.int32)
    later = begun(home, published.as_of + timedelta(seconds=1), PUBLISHED)
    assert len(later.exposures) == 1
    assert set(pl.read_parquet(home / "exposures" / later.exposures[0])["propensity"]) == {1.0}
    listed = files.read_parts(published, "recommended").filter(pl.col("rank") <= 2)
    expected = sorted((user - 1, item // 10 - 1) for user, item in listed["user_id", "item_id"].rows())
    assert read(later, everybody, ranks=2) == expected
    assert read(begun(home, published.as_of, PUBLISHED), everybody) == []
