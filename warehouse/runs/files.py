"""The files of a run: tables, named arrays, and columns that are mapped instead of read."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import DTypeLike

from warehouse import arrays as npz
from warehouse.arrays import Arrays
from warehouse.atomic import Staging, replacing
from warehouse.errors import MatineeError
from warehouse.runs.run import Run


def read_table(run: Run, name: str) -> pl.DataFrame:
    """One of the run's Parquet tables."""
    return pl.read_parquet(run.file(f"{name}.parquet"))


def write_table(run: Run, name: str, frame: pl.DataFrame) -> int:
    """Write one of the run's Parquet tables; returns its rows."""
    with replacing(run.file(f"{name}.parquet")) as temporary:
        frame.write_parquet(temporary, compression="zstd")
    return frame.height


def has_table(run: Run, name: str) -> bool:
    """True if the run has a table of that name."""
    return run.file(f"{name}.parquet").exists()


def has_arrays(run: Run, name: str) -> bool:
    """True if the run has named arrays of that name."""
    return run.file(f"{name}.npz").exists()


def read_arrays(run: Run, name: str) -> Arrays:
    """Named arrays of the run.

    Raises:
        MatineeError: it has none of that name.
    """
    if not has_arrays(run, name):
        raise MatineeError(f"release {run.id} has no {name}: run `matinee nightly`, then try again")
    return npz.load(run.file(f"{name}.npz"))


def write_arrays(run: Run, name: str, arrays: Arrays) -> None:
    """Write named arrays, such as the state of a model."""
    npz.save(run.file(f"{name}.npz"), arrays)


def has_columns(run: Run, name: str) -> bool:
    """True if the run has columns of that name."""
    return run.file(name).is_dir()


def read_columns(run: Run, name: str) -> Arrays:
    """Columns of the run, mapped copy on write: they take no memory of this process until it changes them.

    Raises:
        MatineeError: it has none of that name.
    """
    if not has_columns(run, name):
        raise MatineeError(f"release {run.id} has no {name}: run `matinee nightly`, then try again")
    return map_columns(run.file(name))


def column_folders(run: Run, name: str) -> list[str]:
    """The names of all columns of the run below a folder, sorted."""
    return sorted({str(file.parent.relative_to(run.folder)) for file in run.file(name).glob("**/*.npy")})


def write_columns(run: Run, name: str, columns: Arrays) -> None:
    """Write named arrays to a file each, to be mapped by every step and process that needs them."""
    with Staging() as staging:
        for column, values in columns.items():
            # numpy adds .npy to the name of a file, but not to a stream.
            with staging.path(run.file(f"{name}/{column}.npy")).open("wb") as stream:
                np.save(stream, values, allow_pickle=False)
        staging.commit()


def read_parts(run: Run, name: str, columns: list[str] | None = None) -> pl.DataFrame:
    """The rows of a table that was written in parts, ``NAME/*.parquet``, in their order."""
    return pl.concat([pl.read_parquet(part, columns=columns) for part in parts(run, name)])


def read_range(
    run: Run, name: str, columns: list[str], key: str, first: int, last: int
) -> pl.DataFrame | None:
    """The rows of a table in parts whose key is in a range (inclusive); None without all of the columns."""
    if not (found := parts(run, name)):
        return None
    rows = pl.scan_parquet(found)
    if not set(columns) <= set(rows.collect_schema().names()):
        return None
    return rows.filter(pl.col(key).is_between(first, last)).select(columns).collect()


def parts(run: Run, name: str) -> list[str]:
    """The paths of the parts of a table, in their order."""
    return sorted(str(file) for file in run.file(name).glob("*.parquet"))


class ColumnSink:
    """Columns of a run that grow block by block, one file each; how many rows there are is known at the end.

    ``dtypes`` has the type of each column by name. ``finish`` completes the files, before a commit.
    """

    def __init__(self, staging: Staging, folder: Path, dtypes: Mapping[str, DTypeLike]) -> None:
        self.rows = 0
        self._dtypes = {name: np.dtype(dtype) for name, dtype in dtypes.items()}
        self._files = {name: staging.path(folder / f"{name}.npy").open("wb") for name in dtypes}
        self._write_headers()

    def write(self, columns: Arrays) -> None:
        """Append equally long values to every column."""
        for name, file in self._files.items():
            file.write(np.ascontiguousarray(columns[name], dtype=self._dtypes[name]).data)
        self.rows += len(next(iter(columns.values())))

    def finish(self) -> None:
        """Write down the number of rows and close the files."""
        self._write_headers()
        for file in self._files.values():
            file.close()

    def _write_headers(self) -> None:
        # numpy leaves room for any number of rows in a header: the later one is as long as the first.
        for name, file in self._files.items():
            file.seek(0)
            header = {"descr": self._dtypes[name].str, "fortran_order": False, "shape": (self.rows,)}
            np.lib.format.write_array_header_1_0(file, header)


def map_columns(folder: Path) -> Arrays:
    """The columns of a folder, mapped copy on write: no memory of this process until it changes them."""
    return {file.stem: np.asarray(np.load(file, mmap_mode="c")) for file in sorted(folder.glob("*.npy"))}


def drop(run: Run, name: str) -> None:
    """Remove a folder of the run, if there is one; who has mapped what is in there keeps it."""
    shutil.rmtree(run.file(name), ignore_errors=True)


def link(parent: Run, run: Run, pattern: str) -> None:
    """Take over the parent's files of a glob pattern that the run has not made itself, without a copy."""
    with Staging() as staging:
        for file in sorted(parent.folder.glob(pattern)):
            own = run.file(str(file.relative_to(parent.folder)))
            if not own.exists():
                staging.path(own).hardlink_to(file)
        staging.commit()
