"""Dense indices by ascending id, codes by ascending value."""

import numpy as np
import polars as pl

from models.encoding import encode


def test_encode() -> None:
    users = pl.DataFrame(
        {
            "user_id": [7, 3, 5],
            "gender": ["M", "F", None],
            "age": [25, 1, None],
            "occupation": [4, 4, None],
            "zip": ["94110", "10001-1234", None],
        }
    )
    items = pl.DataFrame(
        {"item_id": [20, 10], "year": [None, 1995], "genres": [[], ["Drama", "Action"]]},
        schema_overrides={"genres": pl.List(pl.String), "year": pl.Int32},
    )
    events = {
        "user_id": np.array([3, 3, 7]),
        "item_id": np.array([20, 10, 10]),
        "rating": np.array([4.0, 3.5, 5.0]),
        "at": np.array([1, 2, 1]),
    }
    dataset, vocabulary = encode(events, users, items, as_of=9)
    assert vocabulary.user_ids.tolist() == [3, 5, 7]
    assert vocabulary.item_ids.tolist() == [10, 20]
    assert dataset.user_idx.tolist() == [0, 0, 2]
    assert dataset.item_idx.tolist() == [1, 0, 0]
    assert dataset.indptr.tolist() == [0, 2, 2, 3]
    assert dataset.rating.tolist() == [4.0, 3.5, 5.0]
    assert dataset.users["gender"].tolist() == [0, -1, 1]
    assert dataset.users["age"].tolist() == [0, -1, 1]
    assert dataset.users["region"].tolist() == [0, -1, 1]
    assert vocabulary.labels["gender"] == ["F", "M"]
    assert vocabulary.labels["age"] == ["1", "25"]
    assert dataset.items["year"].tolist() == [1995, -1]
    assert vocabulary.labels["genres"] == ["Action", "Drama"]
    assert dataset.items["genres"].tolist() == [[True, True], [False, False]]


def test_encode_without_demographics_or_genres() -> None:
    unknown = {name: pl.Series([None], dtype=pl.String) for name in ("gender", "zip")}
    numbers = {name: pl.Series([None], dtype=pl.Int32) for name in ("age", "occupation")}
    users = pl.DataFrame({"user_id": [1], **unknown, **numbers})
    items = pl.DataFrame(
        {"item_id": [1], "year": [2000], "genres": [[]]}, schema_overrides={"genres": pl.List(pl.String)}
    )
    events = {name: np.array([1]) for name in ("user_id", "item_id", "rating", "at")}
    dataset, vocabulary = encode(events, users, items, as_of=2)
    assert dataset.users["gender"].tolist() == [-1]
    assert dataset.items["genres"].shape == (1, 0)
    assert vocabulary.labels["gender"] == []
