"""Logs beside that of ratings, filled by reports: CSV or Parquet files that people hand over.

Each file once, whatever is in it; a row that the log has already, or that cannot enter, lies in the
quarantine with the reason.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import dataframely as dy
import polars as pl
from filelock import FileLock

from warehouse.atomic import Staging, sweep
from warehouse.errors import MatineeError
from warehouse.events import catalog, log, shared, soundness
from warehouse.events.batch_log import SPILL, BatchLog, Incoming, Written, facts_of, now, plain_errors
from warehouse.events.log import IngestReport
from warehouse.events.ratings import judged, with_has_item
from warehouse.events.table_file import TableFile, table_file

T = TypeVar("T")


@dataclass(frozen=True)
class ReportLog:
    """A log that is filled by reports, and what a row of it must be."""

    log: BatchLog
    what: str
    """The rows, for people: exposures."""
    required: Mapping[str, pl.DataType]
    optional: Mapping[str, pl.DataType]
    rules: type[dy.Schema]
    """Rules of the columns, and of ``is_past`` and ``has_item``."""
    reasons: tuple[str, ...]
    """The rules by precedence: a row that breaks some has the first as its reason."""

    def record(self, home: Path, source: str, facts: Mapping[str, str]) -> IngestReport:
        """Append a report: a CSV or Parquet file with the columns ``required``, perhaps ``optional``.

        A file with the bytes of an earlier one changes nothing. Killed at any moment, the log is as before or
        complete. ``facts`` are kept in the footer.

        Raises:
            MatineeError: the file cannot be read or has no rows, or the home has no films or cannot be
                written.
        """
        started = time.perf_counter()
        table = table_file(source, self.what, self.required, self.optional)
        report = self.changed(home, lambda: self._record(home, source, table, facts))
        return replace(report, seconds=time.perf_counter() - started)

    def append(self, home: Path, sha256: str, incoming: Incoming, facts: Mapping[str, str]) -> Written | None:
        """Append a batch; None if it is logged. The caller holds the lock."""
        self._clear_up(home)
        if self.is_logged(home, sha256):
            return None

        def footer(rows_read: int) -> dict[str, Any]:
            source = {**facts, "source": incoming.text, "sha256": sha256}
            return source | {"recorded_at": now(), "rows_read": rows_read}

        with Staging() as staging:
            written = self.log.stage(home, sha256, incoming, footer, staging)
            staging.commit()
        return written

    def changed(self, home: Path, work: Callable[[], T]) -> T:
        """Do work that changes the log, after whoever is changing any log of the home."""
        with plain_errors(home):
            home.mkdir(parents=True, exist_ok=True)
            with FileLock(home / shared.LOCK):
                return shared.change(home, work)

    def is_logged(self, home: Path, sha256: str) -> bool:
        """True if the log has a batch of these bytes."""
        return any(facts_of(path)["sha256"] == sha256 for path in self.log.files(home, sha256))

    def _record(self, home: Path, source: str, table: TableFile, facts: Mapping[str, str]) -> IngestReport:
        soundness.check(home)
        dataset = log.dataset_name(home)
        if dataset is None:
            raise MatineeError(f"{source}: no {self.what} without films: no ratings were ingested")
        moment, items = datetime.now(UTC).replace(tzinfo=None), catalog.read_items(home)
        incoming = Incoming(
            source,
            table.path.name,
            self.what,
            table.blocks,
            lambda block: self._validate(block, items, moment),
        )
        written = self.append(home, table.sha256, incoming, facts)
        if written is None:
            return IngestReport(source, dataset, "known")
        return IngestReport(
            source,
            dataset,
            "new",
            batch=written.sequence,
            rows_read=written.rows_read,
            rows_logged=written.rows,
            quarantined=written.quarantined,
            users=written.users,
            items=written.items,
        )

    def _validate(
        self, rows: pl.DataFrame, items: pl.DataFrame, moment: datetime
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows until a moment (UTC) that keep all rules, and the other rows; both also as the quarantine
        has them."""
        at = pl.col(self.log.time)
        is_past = (at <= moment).fill_null(True)
        good, bad = judged(with_has_item(rows.with_columns(is_past=is_past), items), self.rules, self.reasons)
        of_quarantine = {"rating": pl.lit(None, pl.Float32), "event_at": at}
        return good.with_columns(**of_quarantine), bad.with_columns(**of_quarantine)

    def _clear_up(self, home: Path) -> None:
        """Remove the files of a killed recording. The caller holds the lock."""
        for folder in (self.log.folder, "quarantine"):
            sweep(home / folder)
        shutil.rmtree(home / SPILL, ignore_errors=True)
        committed = {path.name for path in self.log.files(home)}
        for path in (home / "quarantine").glob(f"{self.log.rejected}*.parquet"):
            if path.name.removeprefix(self.log.rejected) not in committed:
                path.unlink()
