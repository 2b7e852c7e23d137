"""The table ``checks``: what a release was held against before it was published."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import polars as pl

# Prefect keeps its tasks, and the classes that they name, to the end of the process. Nothing here may name
# DuckDB, which would report all its types as leaked.

SCHEMA = {
    "table": pl.String,
    "check": pl.String,
    "passed": pl.Boolean,
    "value": pl.Float64,
    "limit": pl.Float64,
    "blocking": pl.Boolean,
    "message": pl.String,
}


@dataclass(frozen=True)
class Check:
    """A row of the table ``checks``."""

    table: str
    """The subject: a published table, the log (``events``) or the ``models``."""
    check: str
    passed: bool
    value: float | None
    limit: float | None
    blocking: bool
    """True if a release that fails it is held; it is a warning else."""
    message: str

    @property
    def holds(self) -> bool:
        """True if the release may not be published."""
        return self.blocking and not self.passed


def table(checks: Sequence[Check]) -> pl.DataFrame:
    """The rows of ``checks``, but for the release."""
    return pl.DataFrame([asdict(check) for check in checks], schema=SCHEMA)
