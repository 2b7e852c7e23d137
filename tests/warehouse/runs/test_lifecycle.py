"""Runs begin, end, are read back and are swept."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests import home as homes
from warehouse.errors import Damaged, MatineeError
from warehouse.runs import lifecycle
from warehouse.runs.run import Run


def test_a_run_is_read_back_as_it_began(home: Path) -> None:
    run = homes.publish(home)
    assert Run.read(home, run.id) == run


def test_a_run_goes_on_from_its_parent_or_from_none(home: Path) -> None:
    parent = homes.publish(home)
    child = replace(parent, id="child", parent_id=parent.id)
    assert child.parent() == parent
    with pytest.raises(MatineeError, match="from no other"):
        parent.parent()
    with pytest.raises(Damaged, match="gone"):
        replace(parent, parent_id="gone").parent()


def test_a_living_run_is_not_swept_and_a_dead_one_is(home: Path) -> None:
    alive = homes.begin(home)
    dead = home / "runs" / "20000101-000000-dead"
    dead.mkdir()
    (dead / "users.parquet").write_text("half")
    assert lifecycle.sweep(home, keep=set()) == [dead.name]
    assert alive.folder.exists()
    lifecycle.abandon(alive)
    assert not alive.folder.exists()
