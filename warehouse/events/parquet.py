"""Parquet files written chunk by chunk."""

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import checksum

ROW_GROUP = 122_880
"""Rows; what DuckDB hands to one thread."""


class ParquetSink:
    """A Parquet file that grows chunk by chunk, with facts that are known only at its end.

    Closed without ``finish`` the file has no footer: nothing reads it by mistake.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.rows = 0
        self._schema = schema
        # A Python file, because its errors keep their errno.
        self._file = path.open("wb")
        self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")

    def write(self, frame: pl.DataFrame) -> None:
        """Append the schema's columns of the frame."""
        if frame.height:
            table = frame.select(self._schema.names).to_arrow().cast(self._schema)
            self._writer.write_table(table, row_group_size=ROW_GROUP)
            self.rows += frame.height

    def finish(self, facts: dict[str, Any]) -> None:
        """Write the footer, with the facts as key-value metadata, and the checksum."""
        footer = {key: str(value) for key, value in facts.items()} | {checksum.KEY: checksum.BLANK}
        self._writer.add_key_value_metadata(footer)
        self._writer.close()
        self._file.close()
        checksum.seal(self.path)
