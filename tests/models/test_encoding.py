"""Dense indices by ascending id, codes by ascending value."""

import numpy as np
import polars as pl

from models.dataset import Dataset, Queries
from models.encoding import Vocabulary, encode, franchises, reindexed
from models.recall.demographics import user_codes


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
        {
            "item_id": [20, 10],
            "title": ["Heat", "Alien"],
            "year": [None, 1995],
            "genres": [[], ["Drama", "Action"]],
        },
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
    assert vocabulary.categories["gender"] == ["F", "M"]
    assert vocabulary.categories["age"] == ["1", "25"]
    assert dataset.items["year"].tolist() == [1995, -1]
    assert vocabulary.categories["genres"] == ["Action", "Drama"]
    assert dataset.items["genres"].tolist() == [[True, True], [False, False]]


def test_labels_of_before_keep_their_codes() -> None:
    users = pl.DataFrame(
        {"user_id": [1, 2], "gender": ["F", "M"], "age": [1, 25], "occupation": [0, 0], "zip": ["1", "0"]}
    )
    items = pl.DataFrame({"item_id": [1], "title": ["Heat"], "year": [2000], "genres": [["Action", "War"]]})
    events = {name: np.array([1]) for name in ("user_id", "item_id", "rating", "at")}
    before = {"gender": ["M"], "age": ["25", "35"], "genres": ["Comedy", "War"]}
    dataset, vocabulary = encode(events, users, items, as_of=2, categories=before)
    assert vocabulary.categories["gender"] == ["M", "F"]
    assert vocabulary.categories["age"] == ["25", "35", "1"]
    assert vocabulary.categories["genres"] == ["Comedy", "War", "Action"]
    assert dataset.users["gender"].tolist() == [1, 0]
    assert dataset.users["age"].tolist() == [2, 0]
    assert dataset.users["region"].tolist() == [1, 0]
    assert dataset.items["genres"].tolist() == [[False, True, True]]


def test_encode_without_demographics_or_genres() -> None:
    unknown = {name: pl.Series([None], dtype=pl.String) for name in ("gender", "zip")}
    numbers = {name: pl.Series([None], dtype=pl.Int32) for name in ("age", "occupation")}
    users = pl.DataFrame({"user_id": [1], **unknown, **numbers})
    items = pl.DataFrame(
        {"item_id": [1], "title": ["Heat"], "year": [2000], "genres": [[]]},
        schema_overrides={"genres": pl.List(pl.String)},
    )
    events = {name: np.array([1]) for name in ("user_id", "item_id", "rating", "at")}
    dataset, vocabulary = encode(events, users, items, as_of=2)
    assert dataset.users["gender"].tolist() == [-1]
    assert dataset.items["genres"].shape == (1, 0)
    assert vocabulary.categories["gender"] == []


def test_positions_in_another_vocabulary() -> None:
    then = Vocabulary(np.array([3, 7]), np.array([10, 30]))
    now = Vocabulary(np.array([1, 3, 5, 7, 9]), np.array([10, 20, 30, 40]))
    assert now.user_positions(then).tolist() == [-1, 0, -1, 1, -1]
    assert now.item_positions(then).tolist() == [0, -1, 1, -1]
    assert now.item_positions(Vocabulary(np.array([]), np.array([]))).tolist() == [-1] * 4


def test_queries_as_an_earlier_vocabulary_reads_them() -> None:
    now = Vocabulary(np.array([1, 3]), np.array([10, 20, 30]))
    then = Vocabulary(np.array([3]), np.array([10, 30]))
    log = Dataset(
        user_idx=np.array([0, 0, 1, 1, 1], dtype=np.int32),
        item_idx=np.array([1, 2, 0, 1, 2], dtype=np.int32),
        rating=np.ones(5, dtype=np.float32),
        at=np.arange(5),
        n_users=2,
        n_items=3,
        as_of=9,
        users={"gender": np.array([0, 1], dtype=np.int32)},
    )
    users = np.array([0, 1], dtype=np.int32)
    queries = Queries(users, np.array([9, 9]), np.array([0, 2]), np.array([2, 5]), log)
    found = reindexed(queries, now, then)
    histories = [found.log.item_idx[a:b].tolist() for a, b in zip(found.start, found.end, strict=True)]
    assert found.user_idx.tolist() == [-1, 0]
    assert histories == [[1], [0, 1]]
    assert (found.log.n_users, found.log.n_items) == (1, 2)
    assert user_codes(found.log, "gender", found.user_idx).tolist() == [-1, 1]
    same = reindexed(queries, now, now)
    assert same.log.item_idx is log.item_idx
    assert same.user_idx.tolist() == [0, 1]


def test_films_without_titles_are_no_franchise() -> None:
    assert franchises(
        pl.Series(["Item 1", "Item 2", "Video 3", "Video 4", "Alien 1", "Alien 2"])
    ).tolist() == [
        *[-1] * 4,
        *[0] * 2,
    ]


def test_franchises_are_the_beginnings_of_titles() -> None:
    titles = {
        "Star Wars: Episode IV - A New Hope (1977)": 1,
        "Star Wars: Episode V - The Empire Strikes Back (1980)": 1,
        "Godfather, The (1972)": 2,
        "Godfather: Part II, The (1974)": 2,
        "Toy Story (1995)": 3,
        "Toy Story 2 (1999)": 3,
        "Rocky IV (1985)": 4,
        "Rocky (1976)": 4,
        "Friday the 13th Part 2 (1981)": 5,
        "Friday the 13th (1980)": 5,
        "Psycho (1960)": 6,
        "Psycho (1998)": 6,
        "Seven (Se7en) (1995)": 0,
        "Apollo 13 (1995)": 0,
        "Nikita (La Femme Nikita) (1990)": 0,
        "": 0,
    }
    found = franchises(pl.Series([*titles, None, None, ""]))
    codes = {(code, number) for code, number in zip(found.tolist(), titles.values(), strict=False)}
    assert len(codes) == 7, "one code a franchise"
    assert [code == -1 for code in found[: len(titles)]] == [number == 0 for number in titles.values()]
    assert found[len(titles) :].tolist() == [-1, -1, -1]
