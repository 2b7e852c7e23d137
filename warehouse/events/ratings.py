"""The ratings that may enter the log, and why the others may not."""

from datetime import datetime

import dataframely as dy
import polars as pl

MAX_TIMESTAMP = 4_102_444_800
"""Epoch seconds of 2100-01-01; later times are milliseconds or mistakes."""


class Rating(dy.Schema):
    """Grain: a line of a ratings file. Each rule is named for the reason that its failures are given."""

    line = dy.Int64(min=1)
    raw = dy.String()
    user_id = dy.Int64(nullable=True)
    item_id = dy.Int64(nullable=True)
    rating = dy.Float32(nullable=True, allow_inf=True, allow_nan=True)
    timestamp = dy.Int64(nullable=True)
    event_at = dy.Datetime(nullable=True)
    is_past = dy.Bool()
    has_item = dy.Bool()
    is_plausible = dy.Bool()

    @dy.rule()
    def malformed(cls) -> pl.Expr:  # noqa: N805
        return (
            pl.all_horizontal(pl.col("rating", "timestamp").is_not_null())
            & (pl.col("user_id").fill_null(-1) >= 0)
            & (pl.col("item_id").fill_null(-1) >= 0)
        )

    @dy.rule()
    def rating_out_of_range(cls) -> pl.Expr:  # noqa: N805
        return pl.col("rating").is_between(0.5, 5)

    @dy.rule()
    def timestamp_out_of_range(cls) -> pl.Expr:  # noqa: N805
        return pl.col("timestamp").is_between(0, MAX_TIMESTAMP, closed="left")

    @dy.rule()
    def behaviour_out_of_range(cls) -> pl.Expr:  # noqa: N805
        return pl.col("is_plausible")

    @dy.rule()
    def in_the_future(cls) -> pl.Expr:  # noqa: N805
        return pl.col("is_past")

    @dy.rule()
    def unknown_item(cls) -> pl.Expr:  # noqa: N805
        return pl.col("has_item")


REASONS = (
    "malformed",
    "rating_out_of_range",
    "timestamp_out_of_range",
    "behaviour_out_of_range",
    "in_the_future",
    "unknown_item",
)
"""The reasons by precedence: a row has one."""


def validate(rows: pl.DataFrame, items: pl.DataFrame, latest: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The good rows, and the bad ones with the column ``reason``.

    ``items`` has each item_id of the catalogue, once; later than ``latest`` (UTC) is the future. Both results
    also have event_at (UTC), null where the timestamp is out of range.
    """
    timed = _with_time(rows).with_columns(is_past=(pl.col("event_at") <= latest).fill_null(True))
    if "is_plausible" not in rows.columns:  # no log of behaviour
        timed = timed.with_columns(is_plausible=True)
    return judged(with_has_item(timed, items), Rating, REASONS)


def with_has_item(rows: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """The rows with the column ``has_item``: whether the catalogue, each item_id once, has their item."""
    catalog = items.lazy().select("item_id", has_item=True)
    return (
        rows.lazy()
        .join(catalog, on="item_id", how="left", maintain_order="left")
        .with_columns(pl.col("has_item").fill_null(False))
        .collect()
    )


def judged(
    rows: pl.DataFrame, rules: type[dy.Schema], reasons: tuple[str, ...]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that keep all rules, and the others with the column ``reason``: the first rule they break."""
    good, failure = rules.filter(rows)
    reason = pl.coalesce(pl.when(pl.col(rule) == "invalid").then(pl.lit(rule)) for rule in reasons)
    return good, failure.details().with_columns(reason.alias("reason"))


def _with_time(rows: pl.DataFrame) -> pl.DataFrame:
    in_range = pl.col("timestamp").is_between(0, MAX_TIMESTAMP, closed="left")
    seconds = pl.when(in_range).then("timestamp")
    return rows.with_columns(pl.from_epoch(seconds, time_unit="s").cast(pl.Datetime("us")).alias("event_at"))
