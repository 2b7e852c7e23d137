"""Synthetic ratings: reproducible, valid, and shaped like MovieLens 1M, or 32M."""

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from warehouse.sources import source as sources
from warehouse.sources.synthetic import data as synthetic
from warehouse.sources.synthetic.data import Synthetic
from warehouse.sources.synthetic.shape import LARGE
from warehouse.sources.synthetic.world import make_world

SMALL, SMALL_WITH_TAIL = Synthetic(0.02), Synthetic(0.02, films=2000)


def ratings(data: Synthetic) -> pl.DataFrame:
    return pl.concat(data.ratings())


def raters(data: Synthetic) -> np.ndarray:
    """(I,) raters of each film, of those too that nobody rated."""
    return sum(np.bincount(chunk["item_id"], minlength=data.n_items + 1) for chunk in data.ratings())[1:]


def weighted_fraction(data: Synthetic) -> float:
    """The fraction of the other users that rated the film of a rating."""
    counts = raters(data)
    return float((counts * (counts - 1)).sum() / counts.sum() / data.n_users)


@pytest.mark.parametrize("films", [None, 500])
def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, films: int | None) -> None:
    for run in ("a", "b"):
        Synthetic(0.01, seed=3, films=films).write(tmp_path / run)
    Synthetic(0.01, seed=4, films=films).write(tmp_path / "c")
    for name in ("ratings.dat", "movies.dat", "users.dat"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "c" / name).read_bytes()


def test_the_bytes_are_those_of_the_version(tmp_path: Path) -> None:
    """Logged data is told by its recipe: another content needs another version."""
    Synthetic(0.01).write(tmp_path)
    digest = hashlib.sha256((tmp_path / "ratings.dat").read_bytes()).hexdigest()
    assert digest == "5d73e9888104554b7a30100e095f9ce6e5ca47f0f10d20fa45b04335409b5460"


@pytest.mark.parametrize("data", [SMALL, SMALL_WITH_TAIL])
def test_what_is_written_reads_back(tmp_path: Path, data: Synthetic) -> None:
    data.write(tmp_path)
    source = sources.resolve(str(tmp_path))
    read = pl.concat(source.ratings()).select("user_id", "item_id", "rating", "timestamp")
    assert read.equals(ratings(data))
    items, users = source.items(), source.users()
    assert items is not None
    assert users is not None
    assert items.equals(data.items())
    assert users.equals(data.users())


@pytest.mark.parametrize("data", [SMALL, SMALL_WITH_TAIL, Synthetic(0.02, films=200)])
def test_ratings_are_valid(data: Synthetic) -> None:
    rows, items, users = ratings(data), data.items(), data.users()
    assert items.height == data.n_items
    assert not rows.select("user_id", "item_id").is_duplicated().any()
    assert rows["rating"].is_in([1.0, 2.0, 3.0, 4.0, 5.0]).all()
    assert rows["item_id"].is_in(items["item_id"].implode()).all()
    assert set(rows["user_id"]) == set(users["user_id"])
    assert rows["timestamp"].max() < data.shape.end  # type: ignore[operator]
    assert rows.equals(rows.sort("user_id", "timestamp", maintain_order=True))
    assert items["title"].is_unique().all()
    assert (items["title"].str.extract(r"\((\d{4})\)$").cast(pl.Int32) == items["year"]).all()


def test_chunks_share_one_world_but_no_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "CHUNK", 50)
    chunks = list(SMALL.ratings())
    assert len(chunks) == 3
    users = [set(chunk["user_id"]) for chunk in chunks]
    assert sum(map(len, users)) == len(set.union(*users)) == SMALL.n_users
    assert SMALL.users().height == SMALL.n_users


def test_shape_is_that_of_movielens_1m() -> None:
    """Against counts of ml-1m."""
    rows = ratings(Synthetic())
    assert rows.height == pytest.approx(1_000_209, rel=0.05)
    per_user = rows.group_by("user_id").len()["len"].to_numpy()
    assert per_user.min() >= 20
    assert np.median(per_user) == pytest.approx(96, rel=0.1)
    assert per_user.mean() == pytest.approx(165.6, rel=0.05)
    # A long tail: in ml-1m the most popular tenth of the films has 44 % of the ratings.
    per_item = np.sort(rows.group_by("item_id").len()["len"].to_numpy())[::-1]
    assert per_item[: len(per_item) // 10].sum() / rows.height == pytest.approx(0.44, abs=0.06)
    stars = np.bincount(rows["rating"].to_numpy().astype(int), minlength=6)[1:] / rows.height
    assert stars == pytest.approx([0.056, 0.108, 0.261, 0.349, 0.226], abs=0.03)
    # Most ratings come in the year 2000, most of them at the same second as the one before.
    assert 0.85 < (rows["timestamp"] < 978_307_200).mean() < 0.99  # type: ignore[operator]
    gaps = rows.select(pl.col("timestamp").diff().over("user_id")).drop_nulls().to_series()
    assert (gaps == 0).mean() == pytest.approx(0.54, abs=0.02)
    assert 0.005 < (gaps > 3600).mean() < 0.03  # type: ignore[operator]


def test_with_films_the_shape_is_that_of_the_large_ones() -> None:
    """As ml-25m and ml-32m are said to be: half of the films have fewer than ten ratings."""
    data = Synthetic(1, films=8000)
    rows, counts = ratings(data), raters(data)
    assert rows.height == pytest.approx(1_000_209, rel=0.05)
    assert (counts < 10).mean() == pytest.approx(0.5, abs=0.1)
    assert weighted_fraction(data) == pytest.approx(0.12, abs=0.03)
    first = rows.group_by("user_id").agg(pl.col("timestamp").min(), pl.len())
    assert first["len"].min() >= 20  # type: ignore[operator]
    # Evenly from 1995 to 2023, whatever the number of the user.
    years = np.bincount(1970 + first["timestamp"].to_numpy() // 31_557_600)[1995:2023]
    assert years / first.height == pytest.approx(np.full(28, 1 / 28.75), rel=0.25)
    assert abs(np.corrcoef(first["user_id"], first["timestamp"])[0, 1]) < 0.05


def test_films_are_rated_when_they_are_out() -> None:
    rows = ratings(SMALL_WITH_TAIL).join(SMALL_WITH_TAIL.items().select("item_id", "year"), on="item_id")
    # A year begins at most a day off.
    year_later = pl.from_epoch(pl.col("timestamp") + 86_400).dt.year()
    assert rows.select((year_later >= pl.col("year")).all()).item()


def test_popular_films_stay_popular_with_more_users_and_films() -> None:
    small, large = Synthetic(0.1, films=6000), Synthetic(0.4, films=24_000)
    assert weighted_fraction(large) == pytest.approx(weighted_fraction(small), rel=0.2)
    assert (raters(large) > 0).sum() > 2 * (raters(small) > 0).sum()


def test_shelves_do_not_grow_with_the_films() -> None:
    """So that sessions x shelves is linear in the ratings."""
    shelves = [len(make_world(n, LARGE, np.random.default_rng(0)).shelf_weight) for n in (10_000, 40_000)]
    assert shelves[0] == shelves[1] < 100


@pytest.mark.parametrize("films", [None, 3000])
def test_there_is_something_to_learn(films: int | None) -> None:
    """The next film resembles the last one in genre far more often than chance has it, and so do a user's."""
    data = Synthetic(0.05, films=films)
    rows = ratings(data).join(data.items().select("item_id", "genres"), on="item_id", maintain_order="left")
    genres = rows["genres"].to_list()
    user = rows["user_id"].to_numpy()
    rng = np.random.default_rng(0)

    def overlap(left: np.ndarray, right: np.ndarray) -> float:
        return float(
            np.mean([bool(set(genres[a]) & set(genres[b])) for a, b in zip(left, right, strict=True)])
        )

    here = rng.choice(np.flatnonzero(user[1:] == user[:-1]), 4000)
    start, end = np.searchsorted(user, user[here]), np.searchsorted(user, user[here], side="right")
    following = overlap(here, here + 1)
    own = overlap(here, rng.integers(start, end))
    anyone = overlap(here, rng.integers(0, len(user), len(here)))
    assert following > own + 0.05
    assert own > anyone + 0.02
