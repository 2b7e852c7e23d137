"""Queries of the command and the reports to the published release.

Each opens the file, asks and closes it: an answer is of one release. Nothing is imported here but DuckDB, so
that the command answers at once.
"""

from pathlib import Path
from typing import Any

import duckdb

from warehouse import sql
from warehouse.errors import MatineeError
from warehouse.releases import serving

Records = list[dict[str, Any]]


def release(home: Path) -> dict[str, Any]:
    """The row of ``releases`` that is published now."""
    return _rows(home, "queries/release", release_id=serving.current_release(home))[0]


def lineage(home: Path) -> Records:
    """The steps of the published release, in order."""
    return _rows(home, "queries/lineage", release_id=serving.current_release(home))


def checks(home: Path, release_id: str) -> Records:
    """The checks of a release, in their order: table, check, passed, value, limit, blocking, message."""
    return _rows(home, "queries/checks", release_id=release_id)


def user(home: Path, user_id: int) -> dict[str, Any] | None:
    """Demographics and features of a user, or None for one nobody knows."""
    return next(iter(_rows(home, "queries/user", user_id=user_id)), None)


def recommendations(home: Path, user_id: int, n: int) -> Records:
    """The first n films for a user, best first; empty for a user nobody knows."""
    return _rows(home, "queries/recommendations", user_id=user_id, n=n)


def first_choice(home: Path) -> dict[str, Any] | None:
    """A user to ask about, and the first film of the list: user_id, item_id; None if nobody has a list."""
    return next(iter(_rows(home, "queries/first_choice")), None)


def list_of(home: Path, user_id: int) -> Records:
    """All films for a user, best first; empty for a user nobody knows."""
    return _rows(home, "queries/list_of", user_id=user_id)


def default_recommendations(home: Path, segment: str, n: int) -> Records:
    """The first n films of a segment, in the columns of ``recommendations``."""
    return _rows(home, "queries/default_recommendations", segment=segment, n=n)


def recommend_by_likes(
    home: Path, likes: list[int], dislikes: list[int], channels: list[str], n: int
) -> Records:
    """The first n films for somebody who likes some and dislikes others, by the similarities of channels."""
    named = {"likes": likes, "dislikes": dislikes}
    return _rows(home, "queries/recommend_by_likes", **named, channels=channels, n=n)


def questions(home: Path, n: int) -> Records:
    """The first n films to ask newcomers about, the most telling first."""
    return _rows(home, "queries/questions", n=n)


def sample_lists(home: Path, users: int, films: int) -> Records:
    """The first films of some users spread evenly over all, one row a user."""
    return _rows(home, "queries/sample_lists", users=users, films=films)


def sampled_films(home: Path, users: int, films: int) -> Records:
    """The first films of some users, other ones in each release, one row a film."""
    return _rows(home, "queries/sampled_films", users=users, films=films)


def item(home: Path, item_id: int) -> dict[str, Any]:
    """A film.

    Raises:
        MatineeError: no film has this id.
    """
    found = _rows(home, "queries/item", item_id=item_id)
    if not found:
        raise MatineeError(f"no film has the id {item_id}: look it up in the table `items`")
    return found[0]


def titles(home: Path) -> Records:
    """All films."""
    return _rows(home, "queries/titles")


def items_by_title(home: Path, text: str) -> Records:
    """The films whose title is made of these words, else those whose title has them; the most rated first."""
    return _rows(home, "queries/items_by_title", text=text)


def similarity_channels(home: Path) -> list[str]:
    """The channels that published similarities."""
    return [row["channel"] for row in _rows(home, "queries/similarity_channels")]


def similar(home: Path, item_id: int, channel: str, n: int) -> Records:
    """The n nearest films by a channel.

    Raises:
        MatineeError: the channel published no similarities.
    """
    channels = similarity_channels(home)
    if channel not in channels:
        choice = ", ".join(channels) or "none"
        raise MatineeError(f"no channel '{channel}' has published similarities; there are: {choice}")
    return _rows(home, "queries/similar", item_id=item_id, channel=channel, n=n)


def _rows(home: Path, query: str, **parameters: Any) -> Records:
    """The rows of the published release that a query finds, by column.

    Raises:
        MatineeError: nothing is published, or by a version that did not have the table yet.
    """
    return rows(serving.current_file(home), query, **parameters)


def rows(file: Path, query: str, **parameters: Any) -> Records:
    """The rows of a serving file that a query finds, by column.

    Raises:
        MatineeError: a version that did not have the table yet made the file.
    """
    with duckdb.connect(str(file), read_only=True) as con:
        try:
            found = con.execute(sql.load(query), parameters)
        except duckdb.CatalogException as error:
            what = str(error).splitlines()[0]
            raise MatineeError(
                f"the release was published by an earlier version: run `matinee nightly` first ({what})"
            ) from None
        columns = [column[0] for column in found.description or []]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
