"""Synthetic ratings: reproducible, valid, and shaped like MovieLens 1M."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from warehouse.sources import source as sources
from warehouse.sources.synthetic import data as synthetic
from warehouse.sources.synthetic.data import Synthetic
from warehouse.sources.synthetic.sessions import END

SMALL = Synthetic(0.02)


def ratings(data: Synthetic) -> pl.DataFrame:
    return pl.concat(data.ratings())


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for run in ("a", "b"):
        Synthetic(0.01, seed=3).write(tmp_path / run)
    Synthetic(0.01, seed=4).write(tmp_path / "c")
    for name in ("ratings.dat", "movies.dat", "users.dat"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "c" / name).read_bytes()


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    SMALL.write(tmp_path)
    source = sources.resolve(str(tmp_path))
    read = pl.concat(source.ratings()).select("user_id", "item_id", "rating", "timestamp")
    assert read.equals(ratings(SMALL))
    items, users = source.items(), source.users()
    assert items is not None
    assert users is not None
    assert items.equals(SMALL.items())
    assert users.equals(SMALL.users())


def test_ratings_are_valid() -> None:
    rows, items, users = ratings(SMALL), SMALL.items(), SMALL.users()
    assert not rows.select("user_id", "item_id").is_duplicated().any()
    assert rows["rating"].is_in([1.0, 2.0, 3.0, 4.0, 5.0]).all()
    assert rows["item_id"].is_in(items["item_id"].implode()).all()
    assert set(rows["user_id"]) == set(users["user_id"])
    assert rows["timestamp"].max() < END  # type: ignore[operator]
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


def test_there_is_something_to_learn() -> None:
    """The next film resembles the last one in genre far more often than chance has it, and so do a user's."""
    data = Synthetic(0.05)
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
