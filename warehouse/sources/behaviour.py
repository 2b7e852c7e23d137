"""Logs of behaviour: CSV files whose header names more, or other, columns than those of MovieLens ratings.

Columns are found by name, ours or those of KuaiRand and KuaiRec (``ALIASES``); others are not read.
A row is a showing of a film. It is a play if it has a rating, was clicked, liked, collected or shared, or,
where nobody tells clicks, watched; else it is an impression. A play without a rating is given one, so that
everything that learns from ratings learns from plays: see ``implied_rating``.

Gao et al. 2022, KuaiRand: https://arxiv.org/abs/2208.08696, KuaiRec: https://arxiv.org/abs/2202.10842.
"""

import logging
from collections.abc import Iterator
from typing import IO

import polars as pl

from warehouse.errors import MatineeError
from warehouse.sources.movielens import read_header, read_lines, read_whole, split_fields, without_cut_time

logger = logging.getLogger("matinee")

KEYS = ("user_id", "item_id", "timestamp")
FLAGS = ("clicked", "liked", "collected", "shared")
SECONDS = ("watch_seconds", "duration_seconds")
"""Columns of a row; all but KEYS may be missing, and null."""

ALIASES = {
    "userId": ("user_id", 1),
    "movieId": ("item_id", 1),
    "video_id": ("item_id", 1),
    "time_ms": ("timestamp", 1000),
    "is_click": ("clicked", 1),
    "is_like": ("liked", 1),
    "is_follow": ("collected", 1),
    "is_forward": ("shared", 1),
    "play_time_ms": ("watch_seconds", 1000),
    "play_duration": ("watch_seconds", 1000),
    "duration_ms": ("duration_seconds", 1000),
    "video_duration": ("duration_seconds", 1000),
}
"""Other names of columns, and how many of their units are one of ours."""

BEST, FINISHED_STARS, UNKNOWN_STARS = 5.0, 4.0, 3.0
"""Implied ratings, in stars: of what was liked, collected or shared; beyond 1, of what was watched to its
end; of a click of which nothing else is to be had."""


def columns(header: str) -> dict[str, str]:
    """The column that each of ours is read from, by a header; empty for one that is no log of behaviour."""
    found: dict[str, str] = {}
    for name in _names(header):
        found.setdefault(ALIASES.get(name, (name, 1))[0], name)
    own = {name: found[name] for name in (*KEYS, "rating", *FLAGS, *SECONDS) if name in found}
    return own if own.keys() >= {*KEYS} and own.keys() & {*FLAGS, *SECONDS} else {}


def read_rows(file: IO[bytes]) -> Iterator[pl.DataFrame]:
    """The data lines of a log of behaviour, in order, in blocks of bounded size.

    Columns: line (1-based), raw, user_id, item_id, rating, timestamp (epoch seconds), clicked, liked,
    collected, shared (bool), watch_seconds, duration_seconds, is_play, is_plausible (False for a negative
    time, or a length that is not above 0). All values are null where a field that is not empty cannot be
    read, or where a line has another number of fields than the header.
    """
    header = read_header(file, "utf-8")
    names, used = _names(header), columns(header)
    if unread := [name for name in names if name not in used.values()]:
        logger.info("columns that are not read: %s", ", ".join(unread))
    for lines in read_lines(file, "utf-8", 1):
        rows = _typed(split_fields(lines, names, used.values()), used)
        is_ended = bool(lines["is_ended"].all()) or names[-1] != used["timestamp"]
        yield _implied(without_cut_time(rows, is_ended))


def read_videos(file: IO[bytes]) -> pl.DataFrame:
    """``video_features_*.csv`` of KuaiRand as item_id, title, year, genres, duration_seconds.

    Tags stand for genres, the year of the upload for that of the film; nobody tells titles.

    Raises:
        MatineeError: no such header, rows that are not CSV, or too many bytes.
    """
    try:
        raw = pl.read_csv(read_whole(file), infer_schema=False)
        tags = pl.col("tag").fill_null("").str.extract_all(r"\d+")
        return (
            raw.select(
                item_id=pl.col("video_id").cast(pl.Int64, strict=False),
                title=pl.format("Video {}", "video_id"),
                year=_optional(raw, "upload_dt").str.extract(r"^(\d{4})").cast(pl.Int32),
                genres=tags.list.eval(pl.format("tag {}", pl.element())),
                duration_seconds=_optional(raw, "video_duration").cast(pl.Float32, strict=False) / 1000,
            )
            .filter(pl.col("item_id") >= 0)
            .unique("item_id", keep="first", maintain_order=True)
            .sort("item_id")
        )
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise MatineeError(f"the videos cannot be read ({reason}); expected video_id, tag") from error


def implied_rating() -> pl.Expr:
    """The rating, or what stands for it: 5 for liked, collected or shared, else 1 to 5 by the part watched.

    That is 1 + 4 x watched / length, in half stars; 3 where either is not known.
    """
    watched = pl.col("watch_seconds") / pl.col("duration_seconds")
    stars = 1 + (2 * FINISHED_STARS * watched.clip(0, 1)).round() / 2
    return (
        pl.when(pl.col("rating").is_not_null())
        .then("rating")
        .when(_is_any("liked", "collected", "shared"))
        .then(BEST)
        .otherwise(stars.fill_nan(None).fill_null(UNKNOWN_STARS))
        .cast(pl.Float32)
    )


def _implied(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with what their values imply: is_play, clicked, rating, is_plausible."""
    is_watched = pl.col("watch_seconds").fill_null(0) > 0
    is_play = (
        pl.col("rating").is_not_null()
        | pl.col("clicked").fill_null(is_watched)
        | _is_any("liked", "collected", "shared")
    )
    is_plausible = (pl.col("watch_seconds").fill_null(0) >= 0) & (pl.col("duration_seconds").fill_null(1) > 0)
    return rows.with_columns(
        is_play=is_play,
        clicked=is_play,
        rating=pl.when(pl.col("timestamp").is_not_null()).then(implied_rating()),
        is_plausible=is_plausible,
    )


def _names(header: str) -> list[str]:
    return [name.strip() for name in header.split(",")]


def _is_any(*flags: str) -> pl.Expr:
    return pl.any_horizontal(pl.col(flag).fill_null(False) for flag in flags)


def _typed(fields: pl.DataFrame, used: dict[str, str]) -> pl.DataFrame:
    kinds = {
        **dict.fromkeys(KEYS, pl.Int64),
        "rating": pl.Float32,
        **dict.fromkeys(FLAGS, pl.Boolean),
        **dict.fromkeys(SECONDS, pl.Float32),
    }
    values = {
        name: _parsed(used[name], kind) if name in used else pl.lit(None, kind)
        for name, kind in kinds.items()
    }
    fields = fields.with_columns(pl.when(pl.col(text) != "").then(text).alias(text) for text in used.values())
    is_readable = pl.all_horizontal(
        "is_whole", *(values[name].is_null() == pl.col(text).is_null() for name, text in used.items())
    )
    return fields.select(
        "line", "raw", **{name: pl.when(is_readable).then(value) for name, value in values.items()}
    )


def _parsed(name: str, kind: type[pl.DataType]) -> pl.Expr:
    """A column of text by its type, in our unit; null where it cannot be read."""
    unit = ALIASES.get(name, (name, 1))[1]
    text = pl.col(name)
    if kind == pl.Boolean:
        return text.replace_strict({"0": False, "1": True}, default=None, return_dtype=pl.Boolean)
    if kind == pl.Int64 and not name.startswith("time"):
        return text.cast(pl.Int64, strict=False)
    number = text.cast(pl.Float64, strict=False)
    number = pl.when(number.is_finite()).then(number) / unit
    return (number.floor() if kind == pl.Int64 else number).cast(kind, strict=False)


def _optional(raw: pl.DataFrame, name: str) -> pl.Expr:
    return pl.col(name) if name in raw.columns else pl.lit(None, pl.String)
