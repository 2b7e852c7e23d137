"""Declared features as the columns of a model."""

import tomllib
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from models.dataset import Dataset, Queries, queries_at, queries_before
from models.features.compute import Pairs, PastIndex
from models.features.declare import declarations
from models.features.encode import Encoder, coverage, fit_encoder
from models.features.extract import Raw, extract
from models.features.schema import Feature
from tests.models.evaluation.logs import random_log

READ = declarations(tomllib.loads((files("tasks") / "features.toml").read_text()))
LISTS = ("popular", "merged")
LOG = random_log(2, "2001-01-01", "2001-03-01", n_users=10, n_items=15, n_events=300)


def pairs_of(queries: Queries) -> Pairs:
    """Every item for every query; the first list has the even ones, the second all."""
    n = queries.log.n_items
    query, item = np.repeat(np.arange(len(queries)), n), np.tile(np.arange(n, dtype=np.int32), len(queries))
    rank = np.stack([np.where(item % 2, np.nan, item // 2 + 1), item + 1], axis=1).astype(np.float32)
    return Pairs(
        PastIndex(queries.log), queries, query, item, rank, 10 - rank, np.full((len(queries), 2), 9.0)
    )


def block(kind: str, **more: object) -> dict[str, object]:
    return {"name": "x", "about": "for the test", "kind": kind, **more}


def encoded(side: str, declared: dict[str, object], log: Dataset = LOG) -> tuple[Encoder, Raw, np.ndarray]:
    features = declarations({side: [declared]})
    raw = extract(features, LISTS, pairs_of(queries_at(log)))
    encoder = fit_encoder(features, LISTS, raw, log)
    name = encoder.schema.features[0].name
    columns = next(part for part in encoder.encode(raw) if name in part)
    return encoder, raw, columns[name]


def test_numbers_are_standardised_and_missing_ones_are_the_mean() -> None:
    _, raw, column = encoded("item", block("numeric", statistic="mean", window_days=5))
    values, missing = raw.pairs["item_x"], np.isnan(raw.pairs["item_x"])
    assert missing.any()
    assert column.dtype == np.float32
    np.testing.assert_allclose(
        column[~missing], (values - np.nanmean(values))[~missing] / np.nanstd(values), rtol=1e-5
    )
    assert (column[missing] == 0).all()
    assert coverage(raw) == {"item_x": pytest.approx(1 - missing.mean())}


def test_a_default_stands_for_what_is_missing_and_log_keeps_the_sign() -> None:
    _, raw, column = encoded("cross", block("log", compute="index_distance", position=0, default=3.0))
    distance = np.nan_to_num(raw.pairs["x"], nan=3.0)
    logs = np.sign(distance) * np.log1p(np.abs(distance))
    np.testing.assert_allclose(column, (logs - logs.mean()) / logs.std(), rtol=1e-5, atol=1e-6)


def test_codes_begin_at_one_and_unknown_ones_are_zero() -> None:
    encoder, _, column = encoded("user", block("categorical", attribute="gender"))
    assert encoder.schema.features == (Feature("user_x", "user", "categorical", 3),)
    np.testing.assert_array_equal(column, LOG.users["gender"] + 1)
    later = replace(LOG, users={"gender": np.full(LOG.n_users, 7, dtype=np.int32)})
    raw = extract(
        declarations({"user": [block("categorical", attribute="gender")]}), LISTS, pairs_of(queries_at(later))
    )
    assert not encoder.encode(raw)[0]["user_x"].any()


def test_an_attribute_that_the_log_lacks_is_missing_everywhere() -> None:
    _, raw, column = encoded("user", block("categorical", attribute="age"))
    assert not column.any()
    assert coverage(raw) == {"user_x": 0}


def test_buckets_hold_their_lower_edge() -> None:
    years = np.array([-1, 1939, 1940, 1959, 1960, 2000], dtype=np.int32)
    log = replace(LOG, n_items=15, items=LOG.items | {"year": np.resize(years, 15)})
    encoder, _, column = encoded("item", block("bucketed", attribute="year", edges=[1940, 1960]), log)
    assert column[:6].tolist() == [0, 1, 2, 2, 3, 3]
    assert encoder.schema.features[0].size == 4


def test_sequences_share_the_table_of_the_item() -> None:
    encoder, raw, column = encoded(
        "user", block("sequence", compute="newest_items", newest=3, embedding="item_id")
    )
    assert encoder.schema.features == (Feature("user_x", "user", "sequence", LOG.n_items + 1, "item_id"),)
    np.testing.assert_array_equal(column, raw.queries["user_x"] + 1)


def test_multi_hot_has_a_column_a_label() -> None:
    encoder, _, column = encoded("item", block("multi_hot", attribute="genres"))
    np.testing.assert_array_equal(column, LOG.items["genres"])
    assert encoder.schema.features[0].size == 3


@pytest.mark.parametrize(
    ("side", "declared"),
    [
        ("item", block("categorical", attribute="index")),
        ("user", block("sequence", compute="newest_items", newest=5)),
        ("item", block("multi_hot", attribute="genres")),
    ],
)
def test_a_catalogue_that_grew_changes_no_code(side: str, declared: dict[str, object]) -> None:
    encoder, _, before = encoded(side, declared)
    # A film and a genre that training has not seen, the film before all others.
    genres = np.hstack([LOG.items["genres"], np.zeros((LOG.n_items, 1), dtype=np.bool_)])
    items = {"genres": np.vstack([np.ones_like(genres[:1]), genres])}
    grown = replace(LOG, item_idx=LOG.item_idx + 1, n_items=LOG.n_items + 1, items=items)
    later = replace(encoder, codes={"item": np.arange(-1, LOG.n_items, dtype=np.int32)})
    raw = extract(declarations({side: [declared]}), LISTS, pairs_of(queries_at(grown)))
    (after,) = (part[name] for part in later.encode(raw) for name in part)
    np.testing.assert_array_equal(after[len(after) - len(before) :], before)
    if declared.get("attribute") == "index":
        assert after[0] == 0


def test_a_declaration_of_channels_is_a_feature_of_every_list() -> None:
    features = declarations(
        {
            "channel": [
                block("numeric", compute=what) | {"name": what} for what in ("score", "gap", "discount")
            ]
        }
    )
    pairs = pairs_of(queries_at(LOG))
    raw = extract(features, LISTS, pairs)
    assert list(raw.pairs) == [f"{name}_{what}" for what in ("score", "gap", "discount") for name in LISTS]
    even = pairs.item % 2 == 0
    assert np.isnan(raw.pairs["popular_score"][~even]).all()
    np.testing.assert_allclose(raw.pairs["popular_gap"][even], pairs.item[even] // 2)
    np.testing.assert_allclose(raw.pairs["merged_discount"], 1 / np.log2(pairs.item + 2), rtol=1e-6)


def test_the_future_of_a_query_changes_none_of_its_features() -> None:
    rows = np.flatnonzero(np.arange(LOG.n_events) % 7 == 3)
    queries = queries_before(LOG, rows)
    # Whatever happens at the time of each query or later happens otherwise.
    for number in range(0, len(rows), 5):
        query = queries.rows(number, number + 1)
        future = (LOG.at >= query.at[0]) & ~np.isin(
            np.arange(LOG.n_events), np.arange(query.start[0], query.end[0])
        )
        other = replace(
            LOG,
            item_idx=np.where(future, (LOG.item_idx + 1) % LOG.n_items, LOG.item_idx).astype(np.int32),
            rating=np.where(future, 6 - LOG.rating, LOG.rating).astype(np.float32),
        )
        before = extract(READ, LISTS, pairs_of(query))
        after = extract(READ, LISTS, pairs_of(replace(query, log=other)))
        for feature in (*before.queries, *before.pairs):
            np.testing.assert_array_equal(before.column(feature), after.column(feature), err_msg=feature)
