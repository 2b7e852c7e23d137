"""The append-only log of behaviour, ``behaviour/``: what people did with the films that they were shown.

Filled with the ratings of a source whose rows tell it. Each play is an event of the log of ratings too, under
the rating that it has or implies; an impression, shown and passed over, is in here alone. A file is named for
the digest of its source, as the batch of its ratings is: a run reads those of its batches.
"""

from pathlib import Path

import polars as pl
import pyarrow as pa

from warehouse.events import quarantine
from warehouse.events.batch_log import BatchLog, facts_of
from warehouse.events.quarantine import WAITING

SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("item_id", pa.int64()),
        ("event_at", pa.timestamp("us")),  # UTC
        ("clicked", pa.bool_()),  # a play; false: an impression
        ("liked", pa.bool_()),  # null: unknown, as is all that follows
        ("collected", pa.bool_()),
        ("shared", pa.bool_()),
        ("watch_seconds", pa.float32()),
        ("duration_seconds", pa.float32()),
        ("batch", pa.int32()),  # sequence of this file
        ("line", pa.int64()),  # 1-based, in the source file
    ]
)
"""Grain: a showing. Key: (user_id, item_id, event_at), over all files."""

FACT = "has_behaviour"
"""Fact of a batch of ratings: whether its source has a file in here."""

BEHAVIOUR = BatchLog("behaviour", SCHEMA, "event_at", rejected="behaviour-")

Judged = tuple[pl.DataFrame, pl.DataFrame]
"""The rows of a block that may enter the log of ratings, and the others with their reason."""


def plays(block: pl.DataFrame, judged: Judged) -> Judged:
    """The plays among them, and what has no meaning. Impressions that only wait are in neither."""
    if "is_play" not in block.columns:
        return judged
    good, bad = judged
    is_impression = pl.col("line").is_in(block.filter(~pl.col("is_play"))["line"].implode())
    return good.filter(~is_impression), bad.filter(~(is_impression & pl.col("reason").is_in(WAITING)))


def showings(block: pl.DataFrame, judged: Judged) -> Judged:
    """All rows that mean something, also of films and times yet to come; nothing is rejected twice."""
    good, bad = judged
    waiting = bad.filter(pl.col("reason").is_in(WAITING))
    moments = pl.concat([rows.select("line", "event_at") for rows in (good, waiting)])
    rows = block.join(moments, on="line", how="inner", maintain_order="left")
    return rows, pl.DataFrame(quarantine.SCHEMA.empty_table())


def files(home: Path, batches: tuple[str, ...]) -> list[Path]:
    """The files whose sources are those of some batches of ratings, by the names of these."""
    digests = {_digest(name) for name in batches}
    return [path for path in BEHAVIOUR.files(home) if _digest(path.name) in digests]


def orphaned(home: Path, batches: tuple[str, ...]) -> list[Path]:
    """The files whose sources are of none of the batches of ratings that there are: of a killed ingest."""
    committed = files(home, batches)
    return [path for path in BEHAVIOUR.files(home) if path not in committed]


def bereft(home: Path, batches: list[Path]) -> list[Path]:
    """The batches of ratings whose source has behaviour that is not in here."""
    with_behaviour = [path for path in batches if facts_of(path).get(FACT) == str(True)]
    return [path for path in with_behaviour if not files(home, (path.name,))]


def clear_up(home: Path, batches: tuple[str, ...]) -> None:
    """Remove the orphaned files."""
    for path in orphaned(home, batches):
        path.unlink()


def _digest(name: str) -> str:
    return name.partition("-")[2].partition(".")[0]
