"""The files of the MovieLens layouts, ``::`` in latin-1 or CSV in UTF-8, as frames."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from typing import IO

import polars as pl

from warehouse.errors import MatineeError

logger = logging.getLogger("matinee")

BLOCK = 32 * 2**20
"""Bytes of a ratings file parsed at once: about 1.3 million rows."""

MAX_LINE = 2**20
"""Bytes of a line at most: one without an end would be read into memory whole."""

MAX_CATALOG = 2**29
"""Bytes of a file of films or users at most, which is read into memory whole: those of 10 million films."""

RATINGS_HEADER = "userId,movieId,rating,timestamp"
CONTENT = ("duration_seconds", "quality", "information", "aesthetics")
"""Columns that a movies file in CSV may have beside: the length, and scores of the content."""

NO_GENRES = "(no genres listed)"

ITEMS = pl.Schema(
    [("item_id", pl.Int64()), ("title", pl.String()), ("year", pl.Int32()), ("genres", pl.List(pl.String))]
)
"""Grain: item. Key: item_id."""

USERS = pl.Schema(
    {"user_id": pl.Int64, "gender": pl.String, "age": pl.Int32, "occupation": pl.Int32, "zip": pl.String}
)
"""Grain: user. Key: user_id."""


def read_ratings(file: IO[bytes], separator: str, encoding: str) -> Iterator[pl.DataFrame]:
    """The data lines of a ratings file, in order, in blocks of bounded size.

    Columns: line (1-based, in the file), raw (its text), user_id, item_id, rating, timestamp (epoch
    seconds); the last four are null where the text is no number, all of them where a line has not four
    fields, the last one where it is cut off. With "," the first line is a header and is checked.

    Raises:
        MatineeError: the header is not that of MovieLens.
    """
    lines = 0
    if separator == ",":
        header = read_header(file, encoding)
        if header and header != RATINGS_HEADER:
            raise MatineeError(
                f"the ratings file begins with {header[:60]!r}, expected the header {RATINGS_HEADER!r}"
            )
        lines = 1
    for frame in read_lines(file, encoding, lines):
        yield without_cut_time(_ratings(frame, separator), bool(frame["is_ended"].all()))


def without_cut_time(rows: pl.DataFrame, is_ended: bool) -> pl.DataFrame:
    """The rows, without the time of a last one that has no end and lacks digits that others have.

    A file that breaks off within a time would else bring an event of 1970.
    """
    if is_ended or rows.height < 2:
        return rows
    is_last = pl.int_range(pl.len()) == pl.len() - 1
    is_cut = is_last & (2 * pl.col("timestamp") < pl.col("timestamp").filter(~is_last).median())
    return rows.with_columns(timestamp=pl.when(~is_cut.fill_null(False)).then("timestamp"))


def read_header(file: IO[bytes], encoding: str) -> str:
    """The first line of a file, of MAX_LINE bytes at most."""
    return file.readline(MAX_LINE).decode(encoding, "replace").strip().lstrip("\ufeff")


def read_lines(file: IO[bytes], encoding: str, lines: int = 0) -> Iterator[pl.DataFrame]:
    """The lines of a file of which some were read, in blocks of bounded size: line (1-based), raw, is_ended.

    The last line of a file may have no end: then is_ended is False in its block.
    """
    while block := file.read(BLOCK):
        rest = file.readline(MAX_LINE)
        if len(rest) == MAX_LINE:
            raise MatineeError(f"a line is longer than {MAX_LINE:,} bytes: this is no file of ratings")
        text = block + rest
        if not text.isascii():
            text = text.decode(encoding, "replace").encode()
        frame = pl.read_lines(BytesIO(text), name="raw").with_row_index("line", offset=lines + 1)
        lines += frame.height
        yield frame.with_columns(is_ended=pl.lit(text.endswith(b"\n")))


def split_fields(lines: pl.DataFrame, names: Sequence[str], wanted: Iterable[str]) -> pl.DataFrame:
    """Lines of CSV without quotes, as ``read_lines`` has them, as line, raw, is_whole, and the wanted fields.

    Fields are text without blanks around it, by the ``names`` of the header. A line that has another number
    of fields is not whole, and all of it is null.
    """
    fields = pl.col("raw").str.strip_chars("\r\n").str.split_exact(",", len(names))
    split = lines.select(pl.col("line").cast(pl.Int64), "raw", fields.alias("fields")).unnest("fields")
    last, beyond = (pl.col(f"field_{number}") for number in (len(names) - 1, len(names)))
    split = split.with_columns(is_whole=last.is_not_null() & beyond.is_null())
    number_of = {name: number for number, name in enumerate(names)}
    texts = {name: pl.col(f"field_{number_of[name]}").str.strip_chars() for name in wanted}
    whole = {name: pl.when("is_whole").then(text) for name, text in texts.items()}
    return split.select("line", "raw", "is_whole", **whole)


def read_items_dat(file: IO[bytes]) -> pl.DataFrame:
    """``movies.dat`` (id::title::genres, latin-1) as item_id, title, year, genres."""
    return with_year_and_genres(read_fields(file, "::", ("item_id", "title", "genres")))


def read_items_csv(file: IO[bytes]) -> pl.DataFrame:
    """``movies.csv`` (UTF-8 with a header, quoted titles) as item_id, title, year, genres.

    And those of CONTENT that it has; what is no number is null.

    Raises:
        MatineeError: no such header, or rows that are not CSV.
    """
    try:
        raw = pl.read_csv(read_whole(file), infer_schema=False)
        content = [pl.col(name).cast(pl.Float32, strict=False) for name in CONTENT if name in raw.columns]
        raw = raw.select(*content, item_id="movieId", title="title", genres="genres")
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise MatineeError(f"the movies cannot be read ({reason}); expected movieId,title,genres") from error
    return with_year_and_genres(raw)


def items_of(ratings: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The films of ratings, as ``read_ratings`` has them: item_id, title (the id), year, genres."""
    of_blocks = [block.drop_nulls("rating").select(pl.col("item_id").unique()) for block in ratings]
    raw = pl.concat(of_blocks) if of_blocks else pl.DataFrame(schema={"item_id": pl.Int64})
    missing = pl.lit(None, pl.String)
    return with_year_and_genres(raw.select("item_id", title=missing, genres=missing))


def read_users_dat(file: IO[bytes]) -> pl.DataFrame:
    """``users.dat`` (id::gender::age::occupation::zip, latin-1); what is no number is null."""
    users = read_fields(file, "::", tuple(USERS.names()))
    return unique_ids(users.with_columns(pl.col("age", "occupation").cast(pl.Int32, strict=False)), "user_id")


def with_year_and_genres(raw: pl.DataFrame) -> pl.DataFrame:
    """Items from text columns item_id, title, genres (``A|B``): the year is the title's last (1995).

    One without a title is called by its id.
    """
    genres = pl.col("genres").fill_null("")
    title = pl.col("title").str.strip_chars()
    items = raw.select(
        "item_id",
        title=pl.when(title.fill_null("") != "").then(title).otherwise(pl.format("Item {}", "item_id")),
        year=title.str.extract(r"\(([0-9]{4})\)$").cast(pl.Int32),
        genres=pl.when(genres.is_in(["", NO_GENRES]))
        .then(pl.lit([], ITEMS["genres"]))
        .otherwise(genres.str.split("|")),
    ).hstack(raw.select(name for name in CONTENT if name in raw.columns))
    return unique_ids(items, "item_id")


def _ratings(lines: pl.DataFrame, separator: str) -> pl.DataFrame:
    four = pl.col("field_3").is_not_null() & pl.col("field_4").is_null()
    names = {"user_id": pl.Int64, "item_id": pl.Int64, "rating": pl.Float32, "timestamp": pl.Int64}
    return (
        lines.lazy()
        .with_columns(pl.col("raw").str.split_exact(separator, 4).alias("fields"))
        .unnest("fields")
        .select(
            pl.col("line").cast(pl.Int64),
            "raw",
            *(
                pl.when(four).then(pl.col(f"field_{number}").cast(kind, strict=False)).alias(name)
                for number, (name, kind) in enumerate(names.items())
            ),
        )
        .collect()
    )


def read_fields(file: IO[bytes], separator: str, names: tuple[str, ...]) -> pl.DataFrame:
    """The fields of each line as text; lines with another number of them are reported, left out."""
    text = _in_utf8(read_whole(file))
    split = pl.col("line").str.split(separator)
    lines = pl.read_lines(BytesIO(text), name="line").with_row_index("number", offset=1)
    well_formed = lines.filter(split.list.len() == len(names))
    if bad := lines.height - well_formed.height:
        first = lines.join(well_formed, on="number", how="anti")["number"][0]
        logger.warning(
            "%d lines without the fields %s left out, the first is line %d", bad, separator.join(names), first
        )
    return well_formed.select(split.list.get(number).alias(name) for number, name in enumerate(names))


def _in_utf8(text: bytes) -> bytes:
    """The text of a catalogue, which may be Latin-1, as in MovieLens 100K and 1M, or UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1").encode()
    return text


def read_whole(file: IO[bytes]) -> bytes:
    """All bytes of a file of films or users.

    Raises:
        MatineeError: they are too many.
    """
    text = file.read(MAX_CATALOG + 1)
    if len(text) > MAX_CATALOG:
        raise MatineeError(f"the films or users have more than {MAX_CATALOG:,} bytes: these are none")
    return text


def unique_ids(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    """Numeric ids, each once (the first counts), in ascending order."""
    rows = rows.with_columns(pl.col(key).cast(pl.Int64, strict=False)).filter(pl.col(key) >= 0)
    return rows.unique(key, keep="first", maintain_order=True).sort(key)
