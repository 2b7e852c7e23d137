"""Checkpoints of trainings, by key."""

import os
import time
from pathlib import Path

import numpy as np

from warehouse.runs import checkpoints


def test_checkpoints_by_key(tmp_path: Path) -> None:
    assert checkpoints.read(tmp_path, "a") is None
    for number in range(3):
        checkpoints.write(tmp_path, "a", {"epoch": np.array(number)})
    assert checkpoints.read(tmp_path, "b") is None
    found = checkpoints.read(tmp_path, "a")
    assert found is not None
    assert int(found["epoch"]) == 2
    checkpoints.write(tmp_path, "b", {"epoch": np.array(7)})  # of a training that goes on
    for _ in range(2):
        checkpoints.forget(tmp_path, "a")
        assert checkpoints.read(tmp_path, "a") is None
    assert checkpoints.read(tmp_path, "b") is not None


def test_checkpoints_of_killed_trainings_go_after_a_week(tmp_path: Path) -> None:
    folder, now = tmp_path / "checkpoints", time.time()
    folder.mkdir()
    for name, days in (("old.npz", 8), (".old.npz.tmp", 8), ("new.npz", 6), (".new.npz.tmp", 6)):
        (folder / name).touch()
        os.utime(folder / name, (now, now - days * 86_400))
    checkpoints.forget(tmp_path, "another")
    assert {file.name for file in folder.iterdir()} == {"new.npz", ".new.npz.tmp"}
