"""The log of block lists, and the requests that a run sees: the newest before as_of counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests import home as homes
from warehouse.errors import MatineeError
from warehouse.events import block_list, exposures
from warehouse.runs import block_list as requests
from warehouse.runs import feature_tables, snapshot
from warehouse.runs.run import Run

HEADER = "user_id,item_id,requested_at,action"
AS_OF = homes.START + timedelta(days=30)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = homes.write_home(tmp_path / "home")
    (home / "catalog" / "dataset.json").write_text('{"name": "hand", "layout": "dat"}')
    return home


def record(home: Path, name: str, *lines: str) -> dict[str, int]:
    (home / name).write_text("\n".join([HEADER, *lines]) + "\n")
    return block_list.record(home, str(home / name)).quarantined


def test_every_reason_beside_the_other_logs(home: Path) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert record(
        home,
        "asked.csv",
        "7,10,978350400,",
        "7,10,978350400,block",
        "7,10,978350401,allow",
        "7,10,978350402,hide",
        "7,10,soon,block",
        f"7,10,{tomorrow},block",
        "7,11,978350404,block",
    ) == {"duplicate": 1, "unknown_action": 1, "malformed": 1, "in_the_future": 1, "unknown_item": 1}
    logged = pl.read_parquet(block_list.files(home))
    assert logged["action"].to_list() == [None, "allow"]
    (rejected,) = (home / "quarantine").glob("*.parquet")
    assert rejected.name.startswith("blocked-000001-")
    assert pl.read_parquet(rejected).sort("line")["line"].to_list() == [3, 5, 6, 7, 8]
    assert not exposures.files(home, exposures.REPORTED)
    assert record(home, "again.csv", *(home / "asked.csv").read_text().splitlines()[1:]) == {}
    assert len(block_list.files(home)) == 1


def test_a_missing_column_is_named(home: Path) -> None:
    (home / "asked.csv").write_text("user_id,item_id\n7,10\n")
    with pytest.raises(
        MatineeError, match=r"lacks requested_at: requests are CSV .* where they are known, action"
    ):
        block_list.record(home, str(home / "asked.csv"))


def begun(home: Path) -> Run:
    run = homes.begin(home, AS_OF)
    feature_tables.write(run, homes.FEATURES)
    return replace(run, block_list=tuple(file.name for file in block_list.files(home)))


def test_the_newest_request_counts_for_a_run_of_an_earlier_day_that_before_its_as_of(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "is_backdated", lambda run: True)
    rng = np.random.default_rng(0)
    rows: dict[tuple[int, int, datetime], str] = {}
    for number in range(2):
        lines = []
        for _ in range(80):
            at = AS_OF + timedelta(hours=int(rng.integers(-9, 3)))
            key = int(rng.integers(1, homes.N_USERS + 3)), int(rng.integers(1, 4)) * 10, at
            action = str(rng.choice(["block", "allow", ""]))
            if key not in rows:
                rows[key] = action
                lines.append(f"{key[0]},{key[1]},{at.isoformat()},{action}")
        record(home, f"{number}.csv", *lines)
    newest: dict[tuple[int, int], tuple[datetime, str]] = {}
    for (user, item, at), action in rows.items():
        if at < AS_OF and newest.get((user, item), (homes.START, ""))[0] < at:
            newest[user, item] = at, action
    expected = sorted(
        (user - 1, item // 10 - 1)
        for (user, item), (_, action) in newest.items()
        if action != "allow" and user <= homes.N_USERS
    )
    run = begun(home)
    assert requests.read(run).rows() == expected
    assert 5 < len(expected) < len(newest)

    earlier = AS_OF - timedelta(hours=3)
    first = pl.read_parquet(home / "block_list" / run.block_list[0])[
        "user_id", "item_id", "requested_at"
    ].rows()
    since = {
        user
        for user, item, at in rows
        if at < AS_OF and (at >= earlier or (user, item, at) not in set(first))
    }
    parent = replace(run, as_of=earlier, block_list=run.block_list[:1])
    assert requests.new_to(run, parent).tolist() == sorted(since)
    assert requests.new_to(run, run).tolist() == []
    assert requests.new_to(replace(run, block_list=()), parent).tolist() == []

    monkeypatch.undo()  # the log has nothing newer: what was asked since its newest rating counts
    newest = {}
    for (user, item, at), action in rows.items():
        if newest.get((user, item), (homes.START, ""))[0] < at:
            newest[user, item] = at, action
    expected = sorted(
        (user - 1, item // 10 - 1)
        for (user, item), (_, action) in newest.items()
        if action != "allow" and user <= homes.N_USERS
    )
    assert requests.read(run).rows() == expected
    since = {user for user, item, at in rows if (user, item, at) not in set(first)}
    assert requests.new_to(run, replace(run, block_list=run.block_list[:1])).tolist() == sorted(since)
