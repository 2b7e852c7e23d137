"""Tables that others hand over: a CSV file with a header, or a Parquet file, with columns by name.

Both are read as text and parsed alike, block by block, so that a row that cannot be read can be shown.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import MatineeError
from warehouse.events.ratings import MAX_TIMESTAMP
from warehouse.sources.movielens import read_header, read_lines, split_fields

SEPARATOR = ","

TIME = pl.Datetime("us")
"""The type of times: UTC, naive."""

TIME_FORMAT = "%Y-%m-%d %H:%M:%S%.f%:z"
"""ISO 8601, once it is brought into one form."""


@dataclass(frozen=True)
class TableFile:
    """A table in a file, whose columns have the types of ``required`` and ``optional``."""

    path: Path
    what: str
    """The rows, for people: exposures."""
    required: Mapping[str, pl.DataType]
    optional: Mapping[str, pl.DataType]

    @cached_property
    def sha256(self) -> str:
        """Digest of the bytes."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def blocks(self) -> Iterator[pl.DataFrame]:
        """The rows in order: line (1-based), raw, all columns, is_readable.

        ``raw`` is the line, of Parquet what it would be in CSV; there ``line`` is the number of the row. What
        is no number or time is null, and so is what is empty; ``is_readable`` tells them apart. A CSV line
        with another number of fields than the header is not readable.

        Raises:
            MatineeError: a column is missing or has a name that there is not, or the file cannot be read.
        """
        if self.path.suffix.lower() == ".parquet":
            yield from map(self._typed, self._parquet())
        else:
            yield from map(self._typed, self._csv())

    def _csv(self) -> Iterator[pl.DataFrame]:
        with self.path.open("rb") as file:
            names = [name.strip() for name in read_header(file, "utf-8").split(SEPARATOR)]
            self._check(names)
            for block in read_lines(file, "utf-8", 1):
                yield split_fields(block, names, names)

    def _parquet(self) -> Iterator[pl.DataFrame]:
        try:
            file = pq.ParquetFile(self.path)
        except (pa.ArrowInvalid, OSError) as error:
            reason = str(error).splitlines()[0]
            raise MatineeError(f"{self.path} is no Parquet file ({reason})") from None
        names = file.schema_arrow.names
        self._check(names)
        lines = 0
        for batch in file.iter_batches():
            block = pl.DataFrame(pa.table(batch))
            texts = block.select(_as_text(block, name) for name in names)
            raw = pl.concat_str(pl.col(names).fill_null(""), separator=SEPARATOR)
            line = pl.int_range(lines + 1, lines + block.height + 1, dtype=pl.Int64)
            lines += block.height
            yield texts.select(line.alias("line"), raw.alias("raw"), *names, is_whole=pl.lit(True))

    def _check(self, names: list[str]) -> None:
        columns = {**self.required, **self.optional}
        unknown = [name for name in names if name not in columns]
        missing = [name for name in self.required if name not in names]
        if unknown or missing or len(set(names)) < len(names):
            problem = f"lacks {', '.join(missing)}" if missing else f"has columns {', '.join(names)[:80]}"
            raise MatineeError(
                f"{self.path} {problem}: {self.what} are CSV with a header, or Parquet, with "
                f"{', '.join(self.required)} and, where they are known, {', '.join(self.optional)}"
            )

    def _typed(self, block: pl.DataFrame) -> pl.DataFrame:
        """The columns by their types, in place of their texts; what is not in the file is null."""
        kinds = {**self.required, **self.optional}
        missing = [pl.lit(None, pl.String).alias(name) for name in kinds if name not in block.columns]
        block = block.with_columns(missing)
        block = block.with_columns(pl.when(pl.col(name) != "").then(name).alias(name) for name in kinds)
        parsed = {name: _parsed(name, kind) for name, kind in kinds.items()}
        is_readable = [value.is_null() == pl.col(name).is_null() for name, value in parsed.items()]
        return block.select(
            "line", "raw", pl.all_horizontal("is_whole", *is_readable).alias("is_readable"), **parsed
        )


def table_file(
    source: str, what: str, required: Mapping[str, pl.DataType], optional: Mapping[str, pl.DataType]
) -> TableFile:
    """The table that a person means.

    Raises:
        MatineeError: there is no such file, or it is neither CSV nor Parquet.
    """
    path = Path(source).expanduser()
    if not path.is_file():
        raise MatineeError(f"{source}: no such file; give {what} as CSV or Parquet")
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise MatineeError(f"{source}: {what} are read from .csv and .parquet files")
    return TableFile(path, what, required, optional)


def _as_text(block: pl.DataFrame, name: str) -> pl.Expr:
    """A column of Parquet as CSV would have it."""
    column, kind = pl.col(name), block.schema[name]
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return column.cast(pl.String, strict=False)


def _parsed(name: str, kind: pl.DataType) -> pl.Expr:
    return _time(pl.col(name)) if kind == TIME else pl.col(name).cast(kind, strict=False)


def _time(text: pl.Expr) -> pl.Expr:
    """ISO 8601, UTC unless it says otherwise, or epoch seconds; null where it is neither."""
    iso = text.str.replace("T", " ", literal=True).str.replace(r"Z$", "+00:00")
    iso = pl.when(iso.str.contains(r":\d\d.*[+-]\d\d:?\d\d$")).then(iso).otherwise(iso + "+00:00")
    moment = iso.str.to_datetime(TIME_FORMAT, time_unit="us", strict=False)
    number = text.cast(pl.Int64, strict=False)
    in_range = pl.when(number.is_between(0, MAX_TIMESTAMP, closed="left")).then(number)
    seconds = pl.from_epoch(in_range, time_unit="s").cast(TIME)
    return pl.coalesce(seconds, moment.dt.replace_time_zone(None))
