"""The files of a run: replaced, never written into; columns mapped, not read."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests import home as homes
from warehouse.atomic import Staging
from warehouse.errors import MatineeError
from warehouse.runs import files


def test_a_linked_file_is_replaced_not_written_into(home: Path) -> None:
    parent, run = homes.begin(home), homes.begin(home)
    files.write_arrays(parent, "models/m", {"weight": np.zeros(3)})
    files.write_table(parent, "metrics/m", pl.DataFrame({"value": [0.0]}))
    for pattern in ("models/*.npz", "metrics/*"):
        files.link(parent, run, pattern)
    assert files.read_arrays(run, "models/m")["weight"].tolist() == [0, 0, 0]
    files.write_arrays(run, "models/m", {"weight": np.ones(3)})
    files.write_table(run, "metrics/m", pl.DataFrame({"value": [1.0]}))
    files.link(parent, run, "models/*.npz")  # what is there stays
    assert files.read_arrays(parent, "models/m")["weight"].tolist() == [0, 0, 0]
    assert files.read_arrays(run, "models/m")["weight"].tolist() == [1, 1, 1]
    assert files.read_table(parent, "metrics/m")["value"].to_list() == [0.0]


def test_missing_arrays_name_the_fix(home: Path) -> None:
    with pytest.raises(MatineeError, match="run `matinee nightly`"):
        files.read_arrays(homes.begin(home), "models/none")


def test_columns_are_plain_arrays_and_changes_stay_with_whoever_makes_them(home: Path) -> None:
    run = homes.begin(home)
    columns = {"user": np.arange(5, dtype=np.int32), "name": np.array(["a", "bc"]), "none": np.zeros(0)}
    assert not files.has_columns(run, "log")
    files.write_columns(run, "log", columns)
    assert files.has_columns(run, "log")
    found = files.read_columns(run, "log")
    assert found.keys() == columns.keys()
    for name, column in found.items():
        assert type(column) is np.ndarray
        assert column.dtype == columns[name].dtype
        assert column.tolist() == columns[name].tolist()
    found["user"] += 1
    assert found["user"].tolist() == [1, 2, 3, 4, 5]
    assert files.read_columns(run, "log")["user"].tolist() == [0, 1, 2, 3, 4]


def test_dropped_columns_stay_with_whoever_has_mapped_them(home: Path) -> None:
    run = homes.begin(home)
    files.write_columns(run, "log", {"user": np.arange(5)})
    found = files.read_columns(run, "log")
    files.drop(run, "log")
    assert not files.has_columns(run, "log")
    assert not run.file("log").exists()
    assert found["user"].tolist() == [0, 1, 2, 3, 4]


def test_columns_that_cannot_be_written_leave_the_earlier_ones(home: Path) -> None:
    run = homes.begin(home)
    files.write_columns(run, "log", {"user": np.arange(5), "item": np.arange(5)})
    with pytest.raises(ValueError, match="pickle"):
        files.write_columns(run, "log", {"user": np.zeros(5), "item": np.array([None, {}])})
    assert files.read_columns(run, "log")["user"].tolist() == [0, 1, 2, 3, 4]
    assert {file.name for file in run.file("log").iterdir()} == {"user.npy", "item.npy"}


@pytest.mark.parametrize("blocks", [[], [3], [2, 0, 5, 1000]])
def test_columns_written_block_by_block_are_those_written_at_once(home: Path, blocks: list[int]) -> None:
    run = homes.begin(home)
    columns = {"user": np.arange(sum(blocks), dtype=np.int32), "at": np.arange(sum(blocks)) * 10**9}
    dtypes = {name: column.dtype for name, column in columns.items()}
    with Staging() as staging:
        sink = files.ColumnSink(staging, run.file("log"), dtypes)
        for end, length in zip(np.cumsum(blocks), blocks, strict=True):
            sink.write({name: column[end - length : end] for name, column in columns.items()})
        sink.finish()
        staging.commit()
    files.write_columns(run, "other", columns)
    for file in ("user.npy", "at.npy"):
        assert run.file(f"log/{file}").read_bytes() == run.file(f"other/{file}").read_bytes()


ANONYMOUS = Path("/proc/self/smaps_rollup")


@pytest.mark.skipif(not ANONYMOUS.exists(), reason="reads the kernel's account of this process's memory")
def test_columns_that_are_only_read_take_no_memory_of_the_process(home: Path) -> None:
    run = homes.begin(home)
    megabytes = 64
    files.write_columns(run, "log", {"user": np.arange(megabytes * 2**20 // 8)})

    def anonymous() -> int:
        """KiB that belong to this process alone."""
        return int(re.findall(r"Anonymous:\s+(\d+) kB", ANONYMOUS.read_text())[0])

    before = anonymous()
    user = files.read_columns(run, "log")["user"]
    assert user.sum() > 0
    assert anonymous() - before < megabytes * 2**10 / 8
    user += 1
    assert anonymous() - before > megabytes * 2**10 / 2
