"""Optional features of taste, groups and cohorts against plain definitions; a future changes none of them."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.dataset import DAY, Dataset, Queries, queries_at, queries_before
from models.encoding import TITLE_WORDS, title_words
from models.features.compute import Pairs
from models.features.declare import declarations, optional_names
from models.features.encode import coverage, encoder_state, fit_encoder, restored_encoder
from models.features.extract import expand, extract
from models.features.registry import OF_PAIR, OF_PAST, OF_QUERY
from models.features.words import WordVectors
from models.kinds import kinds_of_items
from models.rank.registry import build_ranker
from models.rank.rows import Rows
from tests.models.evaluation.logs import random_log
from tests.models.features.test_compute import pairs_of, queries_of

FEATURES = tomllib.loads((files("tasks") / "features.toml").read_text())
OPTIONAL = optional_names(FEATURES)
TITLES = ("Star Wars", "Star Trek", "Trek of the Dead", "Dead Again", "Again and Again", "Heat")


def log_with_attributes() -> Dataset:
    """A log of few films, some without a genre, a year, a franchise; some users without gender or age."""
    log = random_log(3, "2001-01-01", "2001-03-01", n_users=9, n_items=12, n_events=240)
    age = np.arange(9, dtype=np.int32) % 4 - 1
    genres = log.items["genres"].copy()
    genres[5] = False
    items = {
        "genres": genres,
        "year": np.where(np.arange(12) == 7, -1, log.items["year"]).astype(np.int32),
        "franchise": np.array([0, 0, 0, 1, 1, -1, -1, 2, 2, -1, -1, -1], dtype=np.int32),
        "title": title_words(pl.Series([*TITLES, *TITLES])),
    }
    return replace(log, users=log.users | {"age": age}, items=items)


LOG = log_with_attributes()
QUERIES = queries_of(LOG, n=40)
PAIRS = pairs_of(QUERIES)


def history(query: int) -> list[int]:
    return list(range(QUERIES.start[query], QUERIES.end[query]))


def before(query: int) -> np.ndarray:
    return QUERIES.at[query] > LOG.at


def genre_mean(query: int, item: int, prior: float, value: np.ndarray) -> float:
    rows, genres = history(query), LOG.items["genres"]
    mine = np.flatnonzero(genres[item])
    if not rows or not len(mine):
        return np.nan
    own = value[rows].mean(dtype=float)
    of_genre = [[value[row] for row in rows if genres[LOG.item_idx[row], genre]] for genre in mine]
    return float(np.mean([(sum(values) + prior * own) / (len(values) + prior) for values in of_genre]))


def genre_rating(query: int, item: int, prior: float) -> float:
    return genre_mean(query, item, prior, LOG.rating)


def genre_liked(query: int, item: int, prior: float, stars: float) -> float:
    return genre_mean(query, item, prior, (LOG.rating >= stars).astype(float))


def franchise_watched(query: int, item: int) -> float:
    franchise = LOG.items["franchise"]
    if franchise[item] < 0:
        return np.nan
    return sum(franchise[LOG.item_idx[row]] == franchise[item] for row in history(query))


def peers(query: int, attributes: Sequence[str]) -> np.ndarray:
    """(E,) ratings before the query by users of the same attributes; none where one is not known."""
    user = QUERIES.user_idx[query]
    same = before(query)
    for name in attributes:
        code = LOG.users[name]
        same = same & (code[user] >= 0) & (code[LOG.user_idx] == code[user])
    return same


def group_rating(query: int, item: int, attributes: Sequence[str], prior: float) -> float:
    of_film, mean = item == LOG.item_idx, LOG.rating[before(query)].mean(dtype=float)
    for number in range(len(attributes) + 1):
        ratings = LOG.rating[of_film & peers(query, attributes[:number])]
        mean = (ratings.sum(dtype=float) + prior * mean) / (len(ratings) + prior)
    return mean


def group_lift(query: int, item: int, attributes: Sequence[str], prior: float) -> float:
    of_film = item == LOG.item_idx
    everybody = (of_film & before(query)).sum() / before(query).sum()
    chance = everybody
    for number in range(1, len(attributes) + 1):
        same = peers(query, attributes[:number])
        chance = ((of_film & same).sum() + prior * chance) / (same.sum() + prior)
    return chance / everybody if everybody else np.nan


def others(item: int, cohort: str) -> list[list[int]]:
    """The other films of each cohort that the film is in."""
    if cohort == "franchise":
        franchise = LOG.items["franchise"]
        groups = [np.flatnonzero(franchise == franchise[item])] if franchise[item] >= 0 else []
    else:
        kinds = kinds_of_items(LOG).toarray() > 0
        groups = [np.flatnonzero(kinds[:, kind]) for kind in np.flatnonzero(kinds[item])]
    return [[other for other in group if other != item] for group in groups]


def cohort_rating(query: int, item: int, cohort: str, prior: float) -> float:
    overall, means = LOG.rating[before(query)].mean(dtype=float), []
    for films in others(item, cohort):
        ratings = LOG.rating[before(query) & np.isin(LOG.item_idx, films)]
        means.append((ratings.sum(dtype=float) + prior * overall) / (len(ratings) + prior))
    return float(np.mean(means)) if means else np.nan


def cohort_count(query: int, item: int, cohort: str, half_life_days: float) -> float:
    counts = []
    for films in others(item, cohort):
        age = QUERIES.at[query] - LOG.at[before(query) & np.isin(LOG.item_idx, films)]
        counts.append((0.5 ** (age / DAY / half_life_days)).sum() / max(len(films), 1))
    return float(np.mean(counts)) if counts else np.nan


@pytest.mark.parametrize(
    ("oracle", "parameters"),
    [
        (genre_rating, {"prior": 2.0}),
        (genre_liked, {"prior": 1.0, "stars": 4.0}),
        (franchise_watched, {}),
        (group_rating, {"attributes": ["gender"], "prior": 3.0}),
        (group_rating, {"attributes": ["gender", "age"], "prior": 1.0}),
        (group_lift, {"attributes": ["gender", "age"], "prior": 5.0}),
        (cohort_rating, {"cohort": "kind", "prior": 2.0}),
        (cohort_rating, {"cohort": "franchise", "prior": 1.0}),
        (cohort_count, {"cohort": "kind", "half_life_days": 9.0}),
        (cohort_count, {"cohort": "franchise", "half_life_days": 30.0}),
    ],
)
def test_pairs(oracle: Callable[..., float], parameters: dict[str, Any]) -> None:
    started = np.array([before(query).any() for query in range(len(QUERIES))])
    chosen = started[PAIRS.query]
    found = OF_PAIR[oracle.__name__](PAIRS, **parameters)[chosen]
    pairs = zip(PAIRS.query[chosen], PAIRS.item[chosen], strict=True)
    np.testing.assert_allclose(found, [oracle(*pair, **parameters) for pair in pairs], rtol=1e-6, atol=1e-9)
    assert np.isfinite(found).any()


def test_histories_of_liked_films_years_and_genres() -> None:
    liked = OF_QUERY["newest_items"](QUERIES, newest=3, at_least=4.0)
    disliked = OF_QUERY["newest_items"](QUERIES, newest=3, at_most=2.0)
    years, sets = (OF_QUERY[name](QUERIES, newest=4) for name in ("newest_years", "newest_genre_sets"))
    set_of: dict[int, tuple[bool, ...]] = {-1: ()}
    for query in range(len(QUERIES)):
        rows = history(query)
        for found, which in ((liked, LOG.rating >= 4), (disliked, LOG.rating <= 2)):
            films = [-1] * 3 + [LOG.item_idx[row] for row in rows if which[row]]
            assert found[query].tolist() == films[-3:]
        newest = ([-1] * 4 + LOG.item_idx[rows].tolist())[-4:]
        assert years[query].tolist() == [LOG.items["year"][film] if film >= 0 else -1 for film in newest]
        for film, code in zip(newest, sets[query].tolist(), strict=True):
            genres = tuple(LOG.items["genres"][film]) if film >= 0 else ()
            assert set_of.setdefault(code, genres if any(genres) else ()) == (genres if any(genres) else ())
    assert len(set(set_of.values())) == len(set_of) > 3


def test_median_year_and_top_genres_are_those_of_the_history() -> None:
    years, top = OF_QUERY["median_year"](QUERIES), OF_PAST["top_genres"](PAIRS, n=2, prior=5.0)
    genres = LOG.items["genres"]
    for query in range(len(QUERIES)):
        films = LOG.item_idx[history(query)]
        dated = [year for year in LOG.items["year"][films] if year >= 0]
        assert years[query] == pytest.approx(np.median(dated) if dated else np.nan, nan_ok=True)
        counts, everybody = genres[films].sum(axis=0), genres[LOG.item_idx[before(query)]].sum(axis=0)
        fraction = everybody / max(everybody.sum(), 1)
        lift = {
            genre: (counts[genre] + 5 * fraction[genre]) / fraction[genre]
            for genre in range(3)
            if counts[genre]
        }
        best = sorted(lift, key=lambda genre: -lift[genre])[:2]
        assert np.flatnonzero(top[query]).tolist() == sorted(best)


def test_holidays_and_the_days_around_them() -> None:
    days = [
        "2000-12-24T23:59",
        "2000-12-25T00:00",
        "2000-12-26T12:00",
        "2000-12-27T00:00",
        "2001-07-04T08:00",
    ]
    at = np.array(days, dtype="datetime64[s]").astype(np.int64)
    nothing = np.zeros(len(at), dtype=np.int64)
    queries = Queries(nothing.astype(np.int32), at, nothing, nothing, LOG)
    assert OF_QUERY["holiday"](queries, country="US").tolist() == [0, 1, 0, 0, 1]
    assert OF_QUERY["holiday"](queries, country="US", days=1).tolist() == [1, 1, 1, 0, 1]
    assert OF_QUERY["holiday"](queries.rows(0, 0), country="US").tolist() == []


def test_a_country_without_known_holidays_is_refused() -> None:
    declared = {"name": "x", "kind": "numeric", "compute": "holiday", "country": "Atlantis"}
    with pytest.raises(ValueError, match=r"^feature context\.x: holiday: country: .*'Atlantis'"):
        declarations({"context": [declared]})


def test_the_words_of_a_title() -> None:
    words = title_words(pl.Series(["Star Wars: A Star (1977)", None, "", "A b c d e f g h i j k l m n o"]))
    assert (words >= 0).sum(axis=1).tolist() == [3, 0, 0, TITLE_WORDS]
    assert words[0, 2] == words[3, 0], "a word has one hash"
    assert title_words(pl.Series(["STAR"]))[0, 0] == words[0, 0]


def test_title_vectors_are_the_singular_vectors_of_tf_idf() -> None:
    titles = LOG.items["title"][:6]
    found = WordVectors.fit(titles, dim=3)
    common = [word for word in np.unique(titles) if word >= 0 and (titles == word).any(axis=1).sum() > 1]
    assert found.word.tolist() == common
    idf = [np.log(6 / (titles == word).any(axis=1).sum()) for word in common]
    dense = np.array([[idf[k] * (word in title) for k, word in enumerate(common)] for title in titles])
    dense /= np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-30)
    u, s, _ = np.linalg.svd(dense, full_matrices=False)
    expected, mine = u[:, :3] * s[:3], np.nan_to_num(found.vectors(titles))
    np.testing.assert_allclose(mine @ mine.T, expected @ expected.T, atol=1e-6)
    assert np.isnan(found.vectors(title_words(pl.Series(["Alien"])))).all()


def test_a_model_reads_new_titles_and_users_as_it_did_in_training() -> None:
    declared = declarations(FEATURES, ["user_id", "item_title_vector", "item_title", "item_genre_set"])
    declared = tuple(one for one in declared if one.column in ("user_id", "item_title_vector", "item_title"))
    raw = extract(declared, (), pairs_of(queries_at(LOG)))
    encoder = fit_encoder(declared, (), raw, LOG)
    users, items, _ = encoder.encode(raw)
    assert items["item_title_vector"].shape == (12, 16)
    # A film and a user come before all others.
    title = np.concatenate([title_words(pl.Series(["Star Heat"])), LOG.items["title"]])
    grown = replace(
        LOG,
        user_idx=LOG.user_idx + 1,
        item_idx=LOG.item_idx + 1,
        n_users=10,
        n_items=13,
        users={},
        items={"title": title},
    )
    codes = {"user": np.arange(-1, 9, dtype=np.int32), "item": np.arange(-1, 12, dtype=np.int32)}
    features = tuple(expand(declared, ()))
    later = restored_encoder(features, encoder.schema, encoder_state(encoder), codes)
    users_now, items_now, _ = later.encode(extract(declared, (), pairs_of(queries_at(grown))))
    np.testing.assert_array_equal(users_now["user_id"], [0, *users["user_id"]])
    for name in ("item_title_vector", "item_title"):
        np.testing.assert_array_equal(items_now[name][1:], items[name])
        assert items_now[name][0].any()


def test_optional_features_are_read_if_named_and_most_rows_have_them() -> None:
    default = {feature.column for feature in declarations(FEATURES)}
    everything = declarations(FEATURES, OPTIONAL)
    assert {feature.column for feature in everything} - default == set(OPTIONAL)
    raw = extract(everything, (), pairs_of(queries_at(LOG)))
    encoder = fit_encoder(everything, (), raw, LOG)
    encoded = {name for part in encoder.encode(raw) for name in part}
    assert {*OPTIONAL} <= encoded
    fractions = coverage(raw)
    assert min(fractions[name] for name in OPTIONAL if "franchise" not in name) > 0.6
    assert 0.4 < fractions["franchise_rating"] < 0.7
    with pytest.raises(ValueError, match=r"no optional feature 'hour': choose from user_id, "):
        declarations(FEATURES, ["hour"])


def test_the_future_of_a_query_changes_none_of_them() -> None:
    declared = tuple(one for one in declarations(FEATURES, OPTIONAL) if one.column in OPTIONAL)
    rows = np.arange(5, LOG.n_events, 17)
    for query in (queries_before(LOG, rows).rows(n, n + 1) for n in range(len(rows))):
        mine = np.isin(np.arange(LOG.n_events), np.arange(query.start[0], query.end[0]))
        future = (query.at[0] <= LOG.at) & ~mine
        other = replace(
            LOG,
            item_idx=np.where(future, (LOG.item_idx + 1) % LOG.n_items, LOG.item_idx).astype(np.int32),
            rating=np.where(future, 6 - LOG.rating, LOG.rating).astype(np.float32),
        )
        before_it, after = (extract(declared, (), _pairs(query, log)) for log in (LOG, other))
        for name in OPTIONAL:
            np.testing.assert_array_equal(before_it.column(name), after.column(name), err_msg=name)


def _pairs(query: Queries, log: Dataset) -> Pairs:
    return pairs_of(replace(query, log=log))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("gbdt", {"num_boost_round": 3, "min_data_in_leaf": 5}),
        ("din", {"embedding_dim": 4, "hidden": (4,), "training": {"epochs": 1}}),
        ("dcn_v2", {"embedding_dim": 4, "hidden": (4,), "training": {"epochs": 1}}),
    ],
)
def test_rankers_learn_from_all_of_them(kind: str, settings: dict[str, Any]) -> None:
    declared = declarations(FEATURES, OPTIONAL)
    raw = extract(declared, (), PAIRS)
    encoder = fit_encoder(declared, (), raw, LOG)
    rows = Rows.of(PAIRS, raw, encoder)
    label = (PAIRS.item % 3 == 0).astype(np.float32)[:, None]
    rows = replace(rows, label=label, tasks=("watched",))
    trained = build_ranker(kind, settings).fit(rows, rows, seed=0)
    logits = trained.logits(rows)
    assert logits.shape == (len(rows), 1)
    assert np.isfinite(logits).all()
    assert np.ptp(logits) > 0
    again = build_ranker(kind, settings).restore(trained.state)
    np.testing.assert_allclose(again.logits(rows), logits, rtol=1e-5)
