"""Every setting beside those of channels and rankers does something, or is refused where it would not."""

import json
import tomllib
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tomli_w

from models.config import overlaid
from tasks import config as configuration
from tasks import declarations
from tasks.config import Configuration
from tasks.gate.measures import Metric, comparable
from tasks.steps import start
from tests.options.leaves import Case, Leaf, Settings, another, leaves, value_at
from tests.options.steps import (
    computed,
    digest,
    home_with_log,
    newest_event,
    published,
    report_blocked,
    report_shown,
)
from tests.tasks.gate.measured import ORDINARY, but, outcomes
from warehouse.errors import MatineeError
from warehouse.events import exposures
from warehouse.releases import serving
from warehouse.releases.measures import Histograms
from warehouse.runs import lifecycle

BASE: Settings = {
    "top_n": 5,
    "recall": {"channels": ["popular", "first_session", "item_cf"], "candidates": 40},
    "holdout": {"min_targets": 100},
    "rank": {"ranker": "lr", "pool": 20},
    "rankers": {"lr": {"training": {"epochs": 2}}},
}
"""Settings by which a run is computed in no time."""

TOWERS = {
    "towers": {"embedding_dim": 4, "mean_hidden": 4, "tied": True},
    "negatives": {"uniform": 10},
    "training": {"first_vectors": None, "epochs": 1},
}
TWO_LEARNERS = {
    "recall": {"channels": ["popular", "one", "other"]},
    "channels": {name: {"kind": "two_tower"} | TOWERS for name in ("one", "other")},
}
PRERANKED = {
    "prerank": {"method": "gbdt", "pool": 60, "settings": {"min_data_in_leaf": 5}},
    "rank": {"pool": 8},
}
SEVERAL_STEPS = overlaid(TWO_LEARNERS, {"channels": {"one": {"training": {"epochs": 3}}}})
"""The first step of a training is one of no length."""
DIVERSE: Settings = {"rerank": {"method": "mmr", "diversity": 1.0}}
FOR_TOWERS = overlaid(TWO_LEARNERS, DIVERSE)
RULED, CALIBRATED, AWAY, FRESH, RARE, CAPPED = (
    overlaid(DIVERSE, {"rerank": settings})
    for settings in (
        {"rules": {"genre": 1, "window": 4}},
        {"calibration": 5.0},
        {"absence": 100.0},
        {"quotas": {"fresh": 2, "fresh_years": 30}},
        {"quotas": {"long_tail": 2}},
        {"cap": {"fraction": 0.3}, "page_size": 4},
    )
)
SEVERAL_TASKS = {
    "rank": {"ranker": "shared_bottom", "blend_weights": [1.0]},
    "rankers": {"shared_bottom": {"training": {"epochs": 2}}},
}
EXPERIMENTS = {
    "x": {"arms": {"a": {"fraction": 0.5}, "b": {"fraction": 0.5, "overrides": {"rank": {"ranker": "fm"}}}}}
}
REPORTED = {"exposure": {"source": "reported"}}
BY_GENRE = {"block_list": {"genre_dislikes": 5, "dislike": 3.0, "genre_fraction": 0.5}}
NOWHERE = "tcp://127.0.0.1:1"
LOST = {"engine": {"address": NOWHERE, "patience": 0.5}}
"""A cluster at which nobody answers."""

NEAR_LIMITS = replace(
    but(of_a_user=1_200, resent=0.95),
    volume=(np.geomspace(8_000.0, 10_000.0, 28), 8_200.0),
    metrics={"merged": Metric(0.30, 10**6, 0.31, 10**6)},
    histograms={"rating": Histograms(np.array([100, 300, 600]) * 100, np.array([200, 280, 520]), 2_000, 300)},
    pages=replace(ORDINARY.pages, n_films=950),
)
"""Measurements of a release that other limits would hold."""

LISTS, MEASURED, COMMUNITIES = "recommended/*", "metrics/ranking", "item_communities/*"
QUESTIONS = "questions/*"
CLUSTER = "cluster"
"""The outcome that is compared where there is no cluster: the message that says so."""
SECOND = "second night"
"""The outcome that is compared in place of a table: lists of a run that goes on from one of other weights."""
GATE = "gate"
"""The outcome that is compared: the checks of a made-up release, and whether it is held against another."""
RELEASES = "releases"
"""The outcome that is compared in place of a table: how many releases are kept."""

CASES: dict[str, tuple[str, Case]] = {
    "top_n": (LISTS, Case()),
    "objective": (LISTS, Case()),
    "seed": (LISTS, Case()),
    "recall.channels": (LISTS, Case(to=("popular", "first_session", "swing"))),
    "recall.candidates": (LISTS, Case(to=5)),
    "recall.max_user_events": (LISTS, Case(to=5)),
    "recall.n_neighbours": ("item_similarity/item_cf", Case(to=2)),
    "channels": (LISTS, Case(to={"item_cf": {"decay": 1.0}})),
    "holdout.min_targets": (LISTS, Case()),
    "holdout.max_fraction": (LISTS, Case(to=0.01)),
    "holdout.next_films": (LISTS, Case(to=1, given={"objective": "next"})),
    "holdout.timed": (LISTS, Case(given={"objective": "next"})),
    "holdout.max_queries": (LISTS, Case(to=20)),
    "merge.method": (LISTS, Case()),
    "merge.max_queries": (LISTS, Case(to=10)),
    "merge.l2": (LISTS, Case(to=1.0)),
    "merge.min_weight": (LISTS, Case(to=0.5)),
    "merge.ema_decay": (SECOND, Case(to=0.5)),
    "merge.newcomers": (LISTS, Case(to="item_cf")),
    "merge.newcomers_until": (LISTS, Case(to=1000)),
    "prerank.method": (LISTS, Case(to="three_tower", given={"rank": {"pool": 8}})),
    "prerank.pool": (LISTS, Case(to=20, given=PRERANKED)),
    "prerank.settings": (LISTS, Case(to={"num_leaves": 2}, given=PRERANKED)),
    "prerank.sampling.negative_rate": (LISTS, Case(to=0.5, given=PRERANKED)),
    "prerank.sampling.max_targets": (LISTS, Case(to=1, given=PRERANKED)),
    "prerank.sampling.popularity_power": (LISTS, Case(to=1.0, given=PRERANKED)),
    "prerank.folds": (LISTS, Case(to=2, given=PRERANKED)),
    "rank.ranker": (LISTS, Case(to="fm")),
    "rank.formula": (LISTS, Case(to="reciprocal_rank", given=SEVERAL_TASKS)),
    "rank.weights": (LISTS, Case(to={"loved": 9.0}, given=SEVERAL_TASKS)),
    "rank.pool": (LISTS, Case(to=40)),
    "rank.blend_weights": (LISTS, Case(to=(0.3,))),
    "rank.ema_decay": (SECOND, Case(to=0.5)),
    "rank.folds": (LISTS, Case(to=2)),
    "rank.max_queries": (MEASURED, Case(to=10)),
    "rank.ndcg_at": (MEASURED, Case(to=3)),
    "rank.sampling.negative_rate": (LISTS, Case(to=0.5)),
    "rank.sampling.max_targets": (LISTS, Case(to=1)),
    "rank.sampling.popularity_power": (LISTS, Case(to=1.0)),
    "rankers": (LISTS, Case(to={"lr": {"training": {"learning_rate": 0.1}}})),
    "rerank.method": (LISTS, Case(to="dpp", given=DIVERSE)),
    "rerank.pool": (LISTS, Case(to=8, given=DIVERSE)),
    "rerank.diversity": (LISTS, Case(to=0.05, given=DIVERSE)),
    "rerank.window": (LISTS, Case(to=1, given=DIVERSE)),
    "rerank.similarity": (LISTS, Case(to="two_tower", given=FOR_TOWERS)),
    "rerank.genre_weight": (LISTS, Case(to=0.01, given=FOR_TOWERS)),
    "rerank.absence": (LISTS, Case(to=0.1, given=overlaid(DIVERSE, {"rerank": {"diversity": 0.05}}))),
    "rerank.least_weight": (LISTS, Case(to=0.9, given=AWAY)),
    "rerank.calibration": (LISTS, Case(to=5.0, given=DIVERSE)),
    "rerank.alpha": (LISTS, Case(to=0.9, given=CALIBRATED)),
    "rerank.band": (LISTS, Case(to=4, given=DIVERSE)),
    "rerank.page_size": (LISTS, Case(to=2, given=RARE)),
    "rerank.rules.window": (LISTS, Case(to=2, given=RULED)),
    "rerank.rules.genre": (LISTS, Case(to=1, given=DIVERSE)),
    "rerank.rules.franchise": (LISTS, Case(to=1, given=DIVERSE)),
    "rerank.rules.decade": (LISTS, Case(to=1, given=DIVERSE)),
    "rerank.quotas.fresh": (LISTS, Case(to=3, given=FRESH)),
    "rerank.quotas.fresh_years": (LISTS, Case(to=0, given=FRESH)),
    "rerank.quotas.fresh_ratings": (LISTS, Case(to=15, given=FRESH)),
    "rerank.quotas.long_tail": (LISTS, Case(to=3, given=DIVERSE)),
    "rerank.quotas.head": (LISTS, Case(to=0.2, given=RARE)),
    "rerank.cap.fraction": (LISTS, Case(to=0.2, given=CAPPED)),
    "rerank.cap.max_users": (LISTS, Case(to=3, given=CAPPED)),
    "incremental.channel": ("user_embeddings/*/*", Case(to="other", given=TWO_LEARNERS)),
    "experiments": (LISTS, Case(to=EXPERIMENTS)),
    "graph.n_neighbours": (COMMUNITIES, Case(to=3)),
    "graph.resolution": (COMMUNITIES, Case(to=3.0)),
    "questions.n_films": (QUESTIONS, Case(to=3)),
    "questions.most_rated": (QUESTIONS, Case(to=5)),
    "questions.like": (QUESTIONS, Case(to=5.0)),
    "questions.dislike": (QUESTIONS, Case(to=1.0)),
    "exploration.rate": (LISTS, Case(to=0.5)),
    "exposure.source": (LISTS, Case()),
    "exposure.published_ranks": (LISTS, Case(to=2, given={"exposure": {"source": "published"}})),
    "exposure.window_days": (LISTS, Case(given=REPORTED)),
    "exposure.discount": (LISTS, Case(to=0.5, given=REPORTED)),
    "exposure.false_positive_rate": (LISTS, Case(to=0.5, given=REPORTED)),
    "exposure.negative_rate": (MEASURED, Case(to=0.05, given=REPORTED)),
    "exposure.max_weight": (MEASURED, Case(to=1.0, given={"exposure": {"source": "published"}})),
    "block_list.requests": (LISTS, Case()),
    "block_list.genre_dislikes": (LISTS, Case(to=50, given=BY_GENRE)),
    "block_list.genre_fraction": (LISTS, Case(to=1.0, given=BY_GENRE)),
    "block_list.dislike": (LISTS, Case(to=5.0, given=BY_GENRE)),
    "explain.channel": (
        LISTS,
        Case(to="item_cf", given={"recall": {"channels": ["popular", "item_cf", "ease"]}}),
    ),
    "explain.decay": (LISTS, Case(to=0.5)),
    "engine.address": (
        CLUSTER,
        Case(to=f"{NOWHERE}0", given={"engine": {"address": NOWHERE, "patience": 0.5}}),
    ),
    "engine.shard_users": (LISTS, Case(to=12)),
    "engine.patience": (CLUSTER, Case(to=0.25, given=LOST)),
    "engine.training_processes": ("item_embeddings/*", Case(to=2, given=SEVERAL_STEPS)),
    "features": (LISTS, Case(to="few.toml")),
    "optional_features": (LISTS, Case(to=("genre_liked", "group_lift", "holiday"))),
    "releases.keep": (RELEASES, Case(to=1)),
    "gate.blocking": (GATE, Case(to=("drift",))),
    "gate.min_users": (GATE, Case(to=600, given={"gate": {"max_top_film": 0.01}})),
    "gate.min_events": (GATE, Case(to=20_000, given={"gate": {"max_film_fraction": 0.001}})),
    "gate.comparable_days": (GATE, Case(to=1.0)),
    "gate.max_quarantined": (GATE, Case(to=0.001)),
    "gate.min_resent": (GATE, Case(to=0.99)),
    "gate.max_duplicates": (GATE, Case(to=0.01)),
    "gate.max_events_by_user": (GATE, Case(to=20)),
    "gate.max_film_fraction": (GATE, Case(to=0.001)),
    "gate.max_volume_deviations": (GATE, Case(to=0.1)),
    "gate.max_psi": (GATE, Case(to=0.0)),
    "gate.max_drop": (GATE, Case(to=0.0)),
    "gate.min_coverage": (GATE, Case(to=0.99)),
    "gate.max_top_film": (GATE, Case(to=0.01)),
    "gate.min_overlap": (GATE, Case(to=0.9)),
    "gate.max_fillers": (GATE, Case(to=0.0)),
}
"""By key: the tables of a run that it shows in, another value, and settings that it needs beside it."""

pytestmark = pytest.mark.usefixtures("prefect_server")  # a training shows its progress there

LEAVES = list(leaves(Configuration()))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("options")
    (folder / "few.toml").write_text(few_features())
    home = home_with_log(folder)
    show(home)
    return home


def show(home: Path) -> None:
    """Films 1 to 20 a day before the newest event, 21 to 25 five days; the former, earlier, also as lists."""
    newest = newest_event(home)
    films = [(item, newest - timedelta(days=1 if item <= 20 else 5)) for item in range(1, 26)]
    shown = [(user, item, at) for user in range(1, 41) for item, at in films]
    report_shown(home, "shown", shown)
    lists = pl.DataFrame(shown, ["user_id", "item_id", "shown_at"], orient="row").filter(
        pl.col("item_id") <= 20
    )
    lists = lists.with_columns(
        pl.col("shown_at") - timedelta(hours=1),  # a row of another report would be a repeated one
        rank="item_id",
        experiment=pl.lit(None, pl.String),
        propensity=pl.lit(None, pl.Float64),
        line=pl.int_range(1, pl.len() + 1),
    )
    exposures.record_lists(home, "earlier", lambda: iter([pl.concat([lists, watched_later(home, newest)])]))
    requested = [
        (user, item, newest - timedelta(days=9), "block") for user in range(1, 9) for item in range(26, 80)
    ]
    report_blocked(home, "asked", requested)


def watched_later(home: Path, newest: datetime) -> pl.DataFrame:
    """Lists of an hour before films of them were watched, in the last two months."""
    events = pl.read_parquet(home / "events" / "*.parquet")
    events = events.filter(pl.col("event_at") > newest - timedelta(days=60))
    return events.select(
        "user_id",
        "item_id",
        (pl.col("event_at") - timedelta(hours=1)).alias("shown_at"),
        rank=(pl.col("item_id") % 10 + 1).cast(pl.Int64),
        experiment=pl.lit(None, pl.String),
        propensity=pl.lit(None, pl.Float64),
        line=pl.int_range(10_001, pl.len() + 10_001),
    )


def few_features() -> str:
    """A file of features: those that are published, and one of channels."""
    declared = tomllib.loads((resources("tasks") / "features.toml").read_text())
    few = {name: [block for block in declared[name] if "type" in block] for name in ("user", "item")}
    return tomli_w.dumps(few | {"channel": declared["channel"][:1]})


@pytest.fixture(autouse=True)
def in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(home))
    monkeypatch.chdir(home.parent)


@pytest.mark.parametrize("leaf", LEAVES, ids=[leaf.key for leaf in LEAVES])
def test_every_setting_of_a_stage_does_something(home: Path, leaf: Leaf) -> None:
    if leaf.key not in CASES:
        pytest.fail(
            f"{leaf.key}: add to CASES in {__file__} which table it shows in, and another value of it"
        )
    see, case = CASES[leaf.key]
    given = overlaid(BASE, case.given)
    before = value_at(configuration.stored(configuration.load(given)), leaf.key)
    to = another(leaf, before) if case.to is None else case.to
    changed = overlaid(given, leaf.at(to))
    assert value_at(configuration.stored(configuration.load(changed)), leaf.key) != before
    assert outcome(home, see, json.dumps(changed)) != outcome(home, see, json.dumps(given)), (
        f"{leaf.key} = {to!r} in place of {before!r} changes nothing in {see}: say in CASES in {__file__} "
        "beside which settings it does, or refuse it where it does nothing"
    )


def test_the_same_settings_give_the_same_tables(home: Path) -> None:
    settings = json.dumps(BASE)
    again = computed(home, BASE)
    for see in {see for see, _ in CASES.values()} - {RELEASES, CLUSTER, SECOND, GATE}:
        assert digest(again, see) == outcome(home, see, settings)


def test_what_is_listed_here_is_a_setting() -> None:
    assert CASES.keys() == {leaf.key for leaf in LEAVES}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"merge": {"method": "equal", "l2": 0.1}}, "merge: l2 would do nothing"),
        ({"merge": {"method": "equal", "min_weight": 0.1}}, "merge: min_weight would do nothing"),
        ({"merge": {"method": "equal", "ema_decay": 0.5}}, "merge: ema_decay would do nothing"),
        ({"merge": {"method": "equal", "max_queries": 10}}, "merge: max_queries would do nothing"),
        ({"holdout": {"timed": True}}, "holdout: timed would do nothing"),
        ({"objective": "visit", "merge": {"newcomers_until": 5}}, "merge: newcomers_until would do nothing"),
        (
            {"objective": "next", "rerank": {"method": "mmr", "absence": 5.0}},
            "rerank: absence would do nothing",
        ),
        ({"merge": {"newcomers": "region"}}, "merge.newcomers: region is none of recall.channels"),
        ({"exposure": {"discount": 1.0}}, "exposure: discount would do nothing"),
        ({"exposure": {"window_days": 1.0}}, "exposure: window_days would do nothing"),
        ({"exposure": {"source": "reported", "published_ranks": 5}}, "published_ranks would do nothing"),
        ({"block_list": {"dislike": 1.0}}, "block_list: dislike would do nothing"),
        (
            {"exploration": {"rate": 0.1}, "top_n": 200},
            "beside the 200 films of a list as many must",
        ),
        ({"prerank": {"pool": 500}}, "prerank: pool would do nothing"),
        ({"prerank": {"folds": 5}}, "prerank: folds would do nothing"),
        ({"prerank": {"sampling": {"max_targets": 1}}}, "prerank: sampling would do nothing"),
        ({"prerank": {"settings": {"hidden": [4]}}}, "prerank: settings would do nothing"),
        ({"prerank": {"method": "gbdt", "pool": 300}}, "prerank.pool: of 300 candidates 300 are ranked"),
        ({"rerank": {"method": "mmr", "absence": float("inf"), "least_weight": 0.5}}, "least_weight would"),
        ({"rerank": {"method": "none", "pool": 100}}, "rerank: pool would do nothing"),
        ({"rerank": {"method": "mmr", "diversity": 0, "window": 3}}, "window would do nothing"),
        (
            {"rerank": {"method": "mmr", "similarity": "genre", "genre_weight": 0.2}},
            "genre_weight would do nothing",
        ),
        ({"rerank": {"method": "mmr", "alpha": 0.2}}, "alpha would do nothing"),
        ({"rerank": {"method": "mmr", "rules": {"window": 3}}}, "rerank.rules: window would do nothing"),
        (
            {"rerank": {"method": "mmr", "quotas": {"fresh_years": 3}}},
            "rerank.quotas: fresh_years would do nothing",
        ),
        (
            {"rerank": {"method": "mmr", "quotas": {"fresh_ratings": 3}}},
            "rerank.quotas: fresh_ratings would do nothing",
        ),
        (
            {"rerank": {"method": "mmr", "quotas": {"fresh": 8, "long_tail": 8}}},
            "8 and 8 films do not fit a page of 10",
        ),
        (
            {"rerank": {"method": "mmr", "cap": {"fraction": 1, "max_users": 3}}},
            "rerank.cap: max_users would do nothing",
        ),
        (
            {"rerank": {"method": "mmr", "similarity": "two_tower"}, "recall": {"channels": ["popular"]}},
            "rerank.similarity: two_tower needs a channel that learns on",
        ),
        ({"rank": {"formula": "product"}}, "rank.formula would do nothing: gbdt"),
        ({"rank": {"weights": {"like": 1}}}, "rank.weights would do nothing: gbdt"),
        (
            {"rank": {"ranker": "mmoe", "weights": {"watched": 2.0}}},
            "rank.weights: unknown task 'watched'",
        ),
        ({"channels": {"word2vec": {"ann": {"kind": "flat", "M": 8}}}}, "M would do nothing"),
        ({"channels": {"word2vec": {"ann": {"kind": "hnsw", "nprobe": 8}}}}, "nprobe would do nothing"),
        ({"channels": {"deepwalk": {"ann": {"kind": "ivf", "efSearch": 8}}}}, "efSearch would do nothing"),
        (
            {"channels": {"deepwalk": {"ann": {"kind": "ivf", "flat_up_to": 8}}}},
            "flat_up_to would do nothing",
        ),
    ],
)
def test_settings_that_would_do_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(MatineeError) as caught:
        configuration.load(settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_formula_is_for_any_ranker_of_several_tasks_that_is_described() -> None:
    settings: Settings = {"rank": {"formula": "product"}, "rankers": {"mmoe": {}}}
    assert configuration.load(settings).rank.formula == "product"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a release needs n_ratings, rating_mean, top_genres, first_event_at, last_event_at of users"),
        ("[[user]]\nname = 'n_ratings'\n", "feature user.n_ratings"),
    ],
)
def test_a_file_without_the_features_that_queries_read_is_refused_before_anything_is_computed(
    home: Path, text: str, message: str
) -> None:
    (home.parent / "none.toml").write_text(text)
    with pytest.raises(MatineeError) as caught:
        declarations.check(Path("none.toml"))
    assert message in str(caught.value)


def test_a_channel_without_similarities_explains_nothing(home: Path) -> None:
    with pytest.raises(MatineeError, match=r"explain\.channel: popular publishes no similarities"):
        computed(home, overlaid(BASE, {"explain": {"channel": "popular"}}))


@pytest.mark.parametrize(
    "settings",
    [
        {"channels": {"first_session": {"smoothing": 1.0}}},
        {
            "channels": {"young": {"kind": "segment", "smoothing": 1.0}},
            "recall": {"channels": [*BASE["recall"]["channels"], "young"]},
            "merge": {"newcomers": "young"},
        },
    ],
    ids=["channels.first_session", "merge.newcomers"],
)
def test_lists_by_segment_are_those_of_the_channel_as_it_is_set(home: Path, settings: Settings) -> None:
    changed = overlaid(BASE, settings)
    assert outcome(home, "segments", json.dumps(changed)) != outcome(home, "segments", json.dumps(BASE))


@cache
def _first_night(home: Path) -> str:
    """The id of a published run of other weights than those of BASE."""
    other = {"merge": {"l2": 1.0}}
    return published(home, overlaid(BASE, other)).id


@cache
def _computed(home: Path, settings: str) -> Any:
    return computed(home, json.loads(settings))


def judged(home: Path, config: Configuration) -> Any:
    """The checks of a made-up release, and whether a release of two days before would be held against."""
    run = start.describe(home, "full", None, config)
    before = replace(run, as_of=run.as_of - timedelta(days=2))
    lifecycle.begin(before)
    lifecycle.finish(before, {})
    found = comparable(run, before.id, config.gate.comparable_days) is not None
    lifecycle.abandon(before)
    return outcomes(NEAR_LIMITS, config.gate), found


def outcome(home: Path, see: str, settings: str) -> Any:
    """A hash of tables of a run with these settings, or what is kept after two."""
    if see == CLUSTER:
        with pytest.raises(MatineeError) as refused:
            computed(home, json.loads(settings))
        return str(refused.value)
    if see == SECOND:
        return digest(computed(home, json.loads(settings), _first_night(home)), LISTS)
    if see == GATE:
        return judged(home, configuration.load(json.loads(settings)))
    if see != RELEASES:
        return digest(_computed(home, settings), see)
    for _ in range(2):
        published(home, json.loads(settings))
    return len(serving.kept_releases(home))
