"""The catalogue of a home: its films and people, beside the log.

``catalog/items.parquet`` (item_id, title, year, genres, and ``movielens.CONTENT`` where a source has it) and
``catalog/users.parquet`` (user_id, gender, age, occupation, zip), sorted by id; ``users.parquet`` is absent
until a users file was read. The footer of each lists the digests of the files that went into it.
``catalog/dataset.json`` says which data set it is.
"""

import json
from pathlib import Path

import polars as pl

from warehouse import checksum, store
from warehouse.atomic import Staging
from warehouse.errors import AnotherDataset, Damaged
from warehouse.sources.contract import Source
from warehouse.sources.movielens import ITEMS, USERS

DATASET = "dataset.json"

FACTS = ("name", "layout")
"""The keys in it, beside the first source: the name of the data set, and the layout of its files."""

MAX_DISAGREEMENT = 0.1
"""Fraction of the ids named twice that may have another title, or other demographics, within one data set."""

CORRECTIONS = 3
"""Films or users that a batch may name otherwise in any case, if it is no whole catalogue."""

FULL = 0.5
"""Fraction of a home's items from which on a movies file is a whole catalogue, not an addition."""

FILES_KEY = "sha256"
"""Footer key: the digests of the files merged so far, separated by spaces."""


def dataset_name(home: Path) -> str:
    """Name of the data set of a home whose log is not empty."""
    return _dataset(home)["name"]


def read_items(home: Path) -> pl.DataFrame:
    """item_id, title, year, genres of every film, and its content; no rows before the first movies file."""
    return _read(_items_file(home), ITEMS)


def read_users(home: Path) -> pl.DataFrame:
    """user_id, gender, age, occupation, zip; no rows before the first users file."""
    return _read(_users_file(home), USERS)


def restore(home: Path, table: str, rows: pl.DataFrame) -> None:
    """Write the ``items`` or the ``users`` anew; files of theirs are merged again when they come again."""
    path, schema = {"items": (_items_file(home), ITEMS), "users": (_users_file(home), USERS)}[table]
    with Staging() as staging:
        _write(rows.select(schema.names()).cast(schema), path, "", staging)
        staging.commit()


def stage(home: Path, source: Source, is_empty: bool, staging: Staging) -> pl.DataFrame:
    """Stage the catalogue with the source's files merged in; returns the items it will have.

    With ``is_empty`` (no log yet) the source decides which data set the home holds.

    Raises:
        AnotherDataset: the source is not of the data set that the home holds.
    """
    digests = source.digests
    items_path, users_path = _items_file(home), _users_file(home)
    old_items, old_users = read_items(home), read_users(home)
    is_merged = bool(digests.movies) and digests.movies in _merged_files(items_path)
    new_items = None if is_merged else source.items()
    new_users = source.users() if digests.users not in _merged_files(users_path) else None
    if is_empty:
        facts = {"name": source.dataset, "layout": source.layout, "source": source.text}
        staging.path(home / "catalog" / DATASET).write_text(json.dumps(facts))
    else:
        _check(home, source, (old_items, new_items), (old_users, new_users))
    items = _merge(old_items, new_items)
    if is_empty or new_items is not None:
        _write(items, items_path, digests.movies, staging)
    if new_users is not None:
        _write(_merge(old_users, new_users), users_path, digests.users, staging)
    return items


def _check(
    home: Path,
    source: Source,
    items: tuple[pl.DataFrame, pl.DataFrame | None],
    users: tuple[pl.DataFrame, pl.DataFrame | None],
) -> None:
    """Refuse a source of another data set. Ratings alone, without a catalogue, go with any."""
    held = _dataset(home)
    reason = None
    if source.is_generated and source.dataset != held["name"]:
        reason = "generated data is never mixed with other data"
    elif source.layout != held["layout"] and _shared(*items) >= FULL * len(items[0]) > 0:
        reason = f"a whole catalogue in the {source.layout} layout, where the home has {held['layout']}"
    elif (fraction := _disagreement(*items, ["title"])) > MAX_DISAGREEMENT:
        reason = f"{fraction:.0%} of the shared films have another title"
    elif (fraction := _disagreement(*users, USERS.names()[1:])) > MAX_DISAGREEMENT:
        reason = f"{fraction:.0%} of the shared users have other demographics"
    if reason:
        raise AnotherDataset(
            f"{source.text} is another data set than {held['name']}, which {store.name(home)} holds "
            f"({reason}); use another home: set MATINEE_HOME"
        )


def _shared(old: pl.DataFrame, new: pl.DataFrame | None) -> int:
    """Number of ids in both."""
    return 0 if new is None else old.join(new, on=old.columns[0], how="semi").height


def _disagreement(old: pl.DataFrame, new: pl.DataFrame | None, columns: list[str]) -> float:
    """Fraction of the ids in both whose columns differ; 0 if they share none, or a few are corrected."""
    if new is None:
        return 0.0
    shared = old.join(new, on=old.columns[0], suffix="_new")
    is_other = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_new")) for name in columns)
    differs = shared.select(is_other.alias("differs"))["differs"]
    if differs.sum() <= CORRECTIONS and len(shared) < FULL * len(old):
        return 0.0
    return float(differs.mean() or 0.0)  # type: ignore[arg-type]


def _merge(old: pl.DataFrame, new: pl.DataFrame | None) -> pl.DataFrame:
    """Both, sorted by id, the new row where both have one."""
    if new is None:
        return old
    key = old.columns[0]
    return pl.concat([new, old.join(new, on=key, how="anti")], how="diagonal").sort(key)


def _read(path: Path, schema: pl.Schema) -> pl.DataFrame:
    return pl.read_parquet(path) if path.exists() else pl.DataFrame(schema=schema)


def _write(rows: pl.DataFrame, path: Path, digest: str, staging: Staging) -> None:
    digests = " ".join(sorted(_merged_files(path) | {digest}))
    temporary = staging.path(path)
    rows.write_parquet(temporary, metadata={FILES_KEY: digests, checksum.KEY: checksum.BLANK})
    checksum.seal(temporary)


def _merged_files(path: Path) -> set[str]:
    """Digests of the files that went into a table; the empty one stands for no file."""
    merged = pl.read_parquet_metadata(path).get(FILES_KEY, "").split() if path.exists() else []
    return {"", *merged}


def _items_file(home: Path) -> Path:
    return home / "catalog" / "items.parquet"


def _users_file(home: Path) -> Path:
    return home / "catalog" / "users.parquet"


def _dataset(home: Path) -> dict[str, str]:
    file = home / "catalog" / DATASET
    try:
        facts: dict[str, str] = json.loads(file.read_text("utf-8"))
        return {key: facts[key] for key in FACTS}
    except (OSError, ValueError, KeyError, TypeError):
        raise Damaged(f"{file} is missing or damaged: `matinee doctor --repair` writes it anew") from None
