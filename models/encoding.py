"""Encoding: tables with source ids as dense arrays, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.dataset import Dataset, Ints, Longs, Queries
from models.state import moved

Attributes = dict[str, NDArray[Any]]
"""Arrays by attribute."""

USER_ATTRIBUTES = ("gender", "age", "occupation", "region")
CONTENT = ("duration_seconds", "quality", "information", "aesthetics")
"""Attributes of items that a catalogue may have: (I,) float32, nan for unknown."""
TITLE_ENDS = (
    r"\s*[:(].*$",
    r",\s+(?:the|an?|les?|la|das|der|die|il|el)$",
    r"\s+(?:part|episode|vol(?:ume|\.)?|chapter)\s+\w+$",
    r"\s+(?:\d{1,2}|ii|iii|iv|v|vi|vii|viii|ix|x)(?:½)?$",
)
"""Patterns of what follows the name of a franchise in a title, in lower case, in the order of removal."""
NAMED_BY_ID = r"^(?:Item|Video) \d+$"
"""Titles of films whose title nobody tells: no two of them have a franchise in common."""
TITLE_WORDS = 12
"""Words of a title that are read at most."""
REGION_DIGITS = 1
"""Leading digits of the zip code that make a region: with five digits most regions have one user."""


@dataclass(frozen=True)
class Vocabulary:
    """Source ids by dense index, and categories by code."""

    user_ids: Longs  # (U,) ascending
    item_ids: Longs  # (I,) ascending
    categories: dict[str, list[str]] = field(default_factory=dict)  # attribute -> category by code

    def items(self, item_idx: Ints) -> Longs:
        """Source ids of dense item indices (none of them padding)."""
        return self.item_ids[item_idx]

    def user_positions(self, other: "Vocabulary") -> Ints:
        """(U,) the index in the other vocabulary of each user of this one, -1 where it has none."""
        return positions(self.user_ids, other.user_ids)

    def item_positions(self, other: "Vocabulary") -> Ints:
        """(I,) the index in the other vocabulary of each item of this one, -1 where it has none."""
        return positions(self.item_ids, other.item_ids)


def encode(
    events: dict[str, NDArray[np.generic]],
    users: pl.DataFrame,
    items: pl.DataFrame,
    as_of: int,
    categories: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> tuple[Dataset, Vocabulary]:
    """Dense indices by ascending id.

    ``events`` has user_id, item_id, rating, at (epoch seconds), (E,) each, sorted by user and time;
    ``users`` user_id, gender, age, occupation, zip; ``items`` item_id, title, year, genres (lists); ``as_of``
    is in epoch seconds, exclusive. Every event's user and item must be in the tables. Those of an
    earlier vocabulary, ``categories`` by attribute, keep their codes; new ones come after them.
    """
    of_users, of_items, vocabulary = encode_catalog(users, items, categories)
    dataset = Dataset(
        user_idx=np.searchsorted(vocabulary.user_ids, events["user_id"]).astype(np.int32),
        item_idx=np.searchsorted(vocabulary.item_ids, events["item_id"]).astype(np.int32),
        rating=events["rating"].astype(np.float32),
        at=events["at"].astype(np.int64),
        n_users=len(vocabulary.user_ids),
        n_items=len(vocabulary.item_ids),
        as_of=as_of,
        users=of_users | {"id": vocabulary.user_ids},
        items=of_items | {"id": vocabulary.item_ids},
    )
    return dataset, vocabulary


def encode_catalog(
    users: pl.DataFrame, items: pl.DataFrame, categories: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> tuple[Attributes, Attributes, Vocabulary]:
    """The attributes of users and of items by dense index, (U, ...) and (I, ...), and the vocabulary.

    Takes the tables and the earlier ``categories`` of ``encode``.
    """
    users, items = users.sort("user_id"), items.sort("item_id")
    users = users.with_columns(region=pl.col("zip").str.head(REGION_DIGITS))
    zips = users["zip"].str.extract(r"^(\d{5})").cast(pl.Int32).fill_null(-1)
    codes = {name: _codes(users[name], categories.get(name, ())) for name in USER_ATTRIBUTES}
    genre_categories = _with_new(categories.get("genres", ()), items["genres"].explode())
    of_users: Attributes = {name: code for name, (code, _) in codes.items()} | {"zip": zips.to_numpy()}
    of_items: Attributes = {
        "year": items["year"].fill_null(-1).to_numpy().astype(np.int32),
        "genres": _multi_hot(items["genres"], genre_categories),
        "franchise": franchises(items["title"]),
        "title": title_words(items["title"]),
    }
    of_items |= {name: items[name].to_numpy().astype(np.float32) for name in CONTENT if name in items.columns}
    of_codes = {name: texts for name, (_, texts) in codes.items()} | {"genres": genre_categories}
    return of_users, of_items, Vocabulary(users["user_id"].to_numpy(), items["item_id"].to_numpy(), of_codes)


def reindexed(queries: Queries, now: Vocabulary, then: Vocabulary) -> Queries:
    """The same queries as a model of an earlier vocabulary reads them.

    Users unknown to it are -1; events of items unknown to it are left out of the histories. The attributes of
    users, codes, are in its order too.
    """
    position = now.user_positions(then)
    users = position[queries.user_idx]
    n_users = len(then.user_ids)
    attributes = {name: moved(codes, position, n_users, -1) for name, codes in queries.log.users.items()}
    log = replace(queries.log, users=attributes, n_users=n_users)
    if np.array_equal(now.item_ids, then.item_ids):
        return replace(queries, user_idx=users, log=log)
    item = now.item_positions(then)[log.item_idx]
    has_item = item >= 0
    before = np.concatenate([[0], np.cumsum(has_item)])
    log = replace(log.where(has_item), item_idx=item[has_item], n_items=len(then.item_ids), items={})
    return Queries(users, queries.at, before[queries.start], before[queries.end], log)


def franchises(titles: pl.Series) -> Ints:
    """(I,) a number for each franchise of several films, by what their titles begin with; -1 for other films.

    That is the title up to a colon, a bracket or a sequel's number: "Star Wars: Episode IV", "Toy Story 2
    (1999)", "Godfather: Part II, The". Remakes of one title are a franchise too.
    """
    stem = titles.str.to_lowercase()
    for pattern in TITLE_ENDS:
        stem = stem.str.replace(pattern, "")
    stems = pl.DataFrame({"stem": stem.str.strip_chars()}).with_columns(n=pl.len().over("stem"))
    is_none = (stems["n"] < 2) | (stems["stem"] == "") | titles.str.contains(NAMED_BY_ID)
    several = stems["stem"].set(is_none.fill_null(True), None)
    return _codes(several, ())[0]


def title_words(titles: pl.Series) -> Ints:
    """(I, TITLE_WORDS) hashes, 31 bits each, of the words of each title but for its year; padded with -1."""
    bare = titles.str.to_lowercase().str.replace(r"\s*\(\d{4}\)\s*$", "")
    words = bare.str.extract_all(r"[\p{L}\p{N}]+").list.unique(maintain_order=True).list.head(TITLE_WORDS)
    row = pl.DataFrame({"row": np.arange(len(titles)), "word": words}).explode("word").drop_nulls()
    found = np.full((len(titles), TITLE_WORDS), -1, dtype=np.int32)
    texts, number = np.unique(row["word"].to_numpy().astype(str), return_inverse=True)
    hashes = np.array([crc32(text.encode()) & np.iinfo(np.int32).max for text in texts], dtype=np.int32)
    title = row["row"].to_numpy()
    position = np.arange(len(title)) - np.searchsorted(title, title)
    found[title, position] = hashes[number]
    return found


def positions(ids: Ints | Longs, among: Ints | Longs) -> Ints:
    """(N,) the index of each id among ascending ones, -1 where it is none of them."""
    if not len(among):
        return np.full(len(ids), -1, dtype=np.int32)
    position = np.minimum(np.searchsorted(among, ids), len(among) - 1)
    return np.where(among[position] == ids, position, -1).astype(np.int32)


def _codes(column: pl.Series, before: Sequence[str]) -> tuple[Ints, list[str]]:
    """Codes, -1 for null, and the category of each: those of before, then new ones by ascending value."""
    categories = _with_new(before, column)
    code = column.cast(pl.String).replace_strict(
        categories, range(len(categories)), default=-1, return_dtype=pl.Int32
    )
    return code.to_numpy().astype(np.int32), categories


def _with_new(before: Sequence[str], column: pl.Series) -> list[str]:
    values = [str(value) for value in column.drop_nulls().unique().sort()]
    return [*before, *(value for value in values if value not in before)]


def _multi_hot(lists: pl.Series, categories: list[str]) -> NDArray[np.bool_]:
    """(rows, categories) bool."""
    contains = [lists.list.contains(category).fill_null(False).to_numpy() for category in categories]
    return np.stack(contains, axis=1) if contains else np.zeros((len(lists), 0), dtype=np.bool_)
