"""The gate lets ordinary releases pass and stops broken ones, each for its cause."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.candidates import Candidates
from models.evaluation import stability
from models.evaluation.metrics import mean_ndcg
from models.targets import Targets
from tasks.gate.config import GateConfig
from tasks.gate.measures import Metric, comparable, pages
from tasks.gate.verdict import judge, verdict
from tests import home as homes
from tests.tasks.gate.measured import ORDINARY, but, failed, lists
from tests.warehouse import batches
from warehouse.events import log
from warehouse.releases import measures
from warehouse.releases.measures import Histograms

N_USERS, N_FILMS = 400, 600


def test_an_ordinary_release_passes_every_check() -> None:
    checks = judge(ORDINARY, GateConfig())
    assert all(check.passed for check in checks)
    assert {check.table for check in checks} == {"events", "models", "metrics", "recommendations"}
    assert "conclude" not in " ".join(check.message for check in checks)


def test_a_home_of_few_users_and_events_is_never_held() -> None:
    few = replace(
        but(events=999, of_a_user=999, of_a_film=999, rows_read=999, rejected={"malformed": 999}),
        volume=(np.full(28, 900.0), 1.0),
        metrics={"merged": Metric(0.0, 199, 0.5, 10_000)},
        pages=replace(
            ORDINARY.pages, n_users=199, n_personal=199, top_film=1.0, fillers=1.0, n_films_before=None
        ),
    )
    assert failed(few) == []


def test_a_batch_half_of_whose_rows_are_broken_is_stopped() -> None:
    assert failed(but(rejected={"malformed": 5_000, "unknown_item": 10})) == ["quarantined"]


def test_a_batch_of_half_as_many_rows_of_a_steady_source_is_stopped() -> None:
    steady = np.random.default_rng(0).normal(10_000, 500, 20)
    assert failed(replace(ORDINARY, volume=(steady, 9_000.0))) == []
    assert failed(replace(ORDINARY, volume=(steady, 5_000.0))) == ["volume"]
    assert failed(replace(ORDINARY, volume=(steady, 0.0))) == [], "nothing new is no broken batch"


def test_a_bot_of_50_000_events_is_stopped(tmp_path: Path) -> None:
    home = homes.write_home(tmp_path)
    before = homes.publish(home)
    events = pl.DataFrame(
        {
            "user_id": np.full(50_000, 3),
            "item_id": np.arange(50_000) % homes.N_ITEMS * 10 + 10,
            "rating": np.ones(50_000, dtype=np.float32),
            "event_at": [datetime(2001, 6, 1) + timedelta(seconds=s) for s in range(50_000)],
            "batch": np.full(50_000, 2, dtype=np.int32),
            "line": np.arange(1, 50_001),
        }
    )
    homes.write_batch(home, events, 2)
    arrived = measures.arrived(homes.begin(home), before)
    assert (arrived.events, arrived.of_a_user, arrived.of_a_film) == (50_000, 50_000, 2_500)
    assert failed(replace(ORDINARY, arrived=arrived)) == ["user events"]
    everything = measures.arrived(homes.begin(home), None)
    assert everything.events == 50_080


def test_what_a_source_has_sent_again_is_held_against_its_last_delivery(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "source"
    rows = [(user, item, 4.0, 978_300_760 + user) for user in range(1, 31) for item in (1, 2, 3, 4)]

    def sent(part: list[batches.Row]) -> float:
        log.ingest(home, batches.dat(folder, part))
        return measures.arrived(homes.begin(home), published).resent

    published = None
    assert sent(rows) == 1
    published = homes.publish(home)
    assert sent(rows[60:]) == 1, "the newest part of it, a window: nothing says that it sends everything"
    assert sent([*rows, (31, 1, 4.0, 978_300_900)]) == 1
    unknown = (33, 5, 4.0, 978_300_900)
    assert sent([*rows, unknown]) == 1
    films = dict(batches.MOVIES) | {5: ("Heat (1995)", "Action")}
    log.ingest(home, batches.dat(folder, [*rows, unknown], films))  # its batch has the row that returns alone
    published = homes.publish(home)
    assert sent(rows[:60]) == pytest.approx(60 / 121)
    assert sent([*rows[:100], (32, 1, 4.0, 978_300_900)]) == pytest.approx(101 / 121)
    assert sent([*rows, (32, 2, 4.0, 978_300_900)]) == 1, "fetched again it is whole"
    published = homes.publish(home)
    assert sent([(user, 2, 4.0, 978_400_000) for user in range(1, 31)]) == 1, "news are never everything"


def test_events_of_2100_are_stopped() -> None:
    assert failed(replace(ORDINARY, ahead=75 * 365 * 86_400.0)) == ["clock"]


def test_weights_of_0_are_stopped() -> None:
    state = {"weight.tables.item_id.weight": np.zeros((5, 4), dtype=np.float32), "curve": np.ones((2, 2))}
    why = stability.defect(state)
    assert failed(replace(ORDINARY, defects={"models/two_tower": str(why)})) == ["states: models/two_tower"]


def test_a_ranker_that_learned_shuffled_labels_is_stopped() -> None:
    rng = np.random.default_rng(0)
    targets = Targets(np.arange(N_USERS + 1), rng.integers(0, 100, N_USERS, dtype=np.int32))

    def ndcg(noise: float) -> float:
        """NDCG of lists of 100 items by the label and noise."""
        label = np.arange(100)[None, :] == targets.item[:, None]
        score = (label + noise * rng.normal(size=label.shape)).astype(np.float32)
        order = np.argsort(-score, axis=1)
        return mean_ndcg(Candidates(order.astype(np.int32), np.take_along_axis(score, order, 1)), targets, 10)

    of_good, again, of_shuffled = ndcg(0.5), ndcg(0.5), ndcg(1e6)
    for value, held in ((again, []), (of_shuffled, ["metrics: gbdt alone"])):
        metric = {"gbdt alone": Metric(value, N_USERS, of_good, N_USERS)}
        assert failed(replace(ORDINARY, metrics=metric)) == held


def test_what_chance_explains_of_a_loss_follows_the_measured_errors() -> None:
    # Of users that are much alike chance takes less than the bound of values between 0 and 1 says.
    unknown, measured = Metric(0.02, 700, 0.055, 700), Metric(0.02, 700, 0.055, 700, 0.003, 0.004)
    assert failed(replace(ORDINARY, metrics={"gbdt": unknown})) == []
    assert failed(replace(ORDINARY, metrics={"gbdt": measured})) == ["metrics: gbdt"]
    limit = 0.75 * (0.055 - 3 * 0.005)
    for value, held in ((limit + 1e-6, []), (limit - 1e-6, ["metrics: gbdt"])):
        assert failed(replace(ORDINARY, metrics={"gbdt": replace(measured, value=value)})) == held


def test_half_a_delivery_of_a_source_that_sends_everything_is_stopped() -> None:
    assert failed(but(resent=0.95)) == []
    assert failed(but(resent=0.5)) == ["resent"]


def personal(seed: int) -> np.ndarray:
    """A page of each user: of two hundred films near the user's taste, with some that change by the seed."""
    taste = np.random.default_rng(0).permuted(np.tile(np.arange(N_FILMS), (N_USERS, 1)), axis=1)[:, :14]
    return np.random.default_rng(seed).permuted(taste, axis=1)[:, :10]


def popular() -> np.ndarray:
    """The most popular films of which each user has seen some."""
    seen = np.random.default_rng(0).random((N_USERS, N_FILMS)) < np.linspace(0.4, 0, N_FILMS)
    return np.argsort(seen, axis=1, kind="stable")[:, :10]


def test_a_table_of_popular_films_alone_is_stopped() -> None:
    before = lists(personal(1).tolist())
    ordinary = replace(ORDINARY, pages=pages(lists(personal(2).tolist()), before, whole=True))
    assert failed(ordinary) == []
    broken = replace(ORDINARY, pages=pages(lists(popular().tolist()), before, whole=True))
    assert failed(broken) == ["coverage", "overlap: some"]
    same = np.tile(popular()[:1], (N_USERS, 1)).tolist()
    first = replace(ORDINARY, pages=pages(lists(same), None, whole=True))
    assert failed(first) == ["top film"]
    of_newcomers = pages(lists(same), None, whole=True, least=1_000)
    assert (of_newcomers.n_personal, of_newcomers.n_users) == (0, N_USERS)
    assert failed(replace(ORDINARY, pages=of_newcomers)) == []


def test_the_overlap_is_that_of_users_with_both_pages_by_segment() -> None:
    before = pl.concat([lists([[1, 2], [3, 4], [5, 6]])])
    after = lists([[2, 9], [8, 7]]).with_columns(pl.Series("n_ratings", [5, 5, 300, 300]))
    found = pages(after, before, whole=True)
    assert {name: values.tolist() for name, values in found.overlap.items()} == {
        "few": [0.5],
        "some": [],
        "many": [0.0],
    }
    assert (found.n_users, found.n_films, found.n_films_before, found.top_film) == (2, 4, 6, 0.5)
    assert pages(after, before, whole=False).n_films_before is None
    assert pages(after.head(0), None, whole=True).n_users == 0


def test_drift_warns_and_says_of_what() -> None:
    turned = {"rating": Histograms(np.array([100, 300, 600]) * 100, np.array([600, 300, 100]), 2_000, 300)}
    drifted = replace(ORDINARY, histograms=turned)
    assert failed(drifted) == []
    (check,) = [check for check in judge(drifted, GateConfig()) if not check.passed]
    assert (check.check, check.blocking) == ("drift: rating", False)
    assert failed(drifted, GateConfig(blocking=("drift",))) == ["drift: rating"]
    few = {"rating": Histograms(np.array([100, 300, 600]) * 100, np.array([600, 300, 100]), 2_000, 4)}
    assert all(check.passed for check in judge(replace(ORDINARY, histograms=few), GateConfig())), "4 users"


def test_only_a_release_of_lately_is_held_against(tmp_path: Path) -> None:
    home = homes.write_home(tmp_path)
    before = homes.publish(home, datetime(2001, 1, 3))
    month, year = (replace(before, as_of=before.as_of + timedelta(days=days)) for days in (30, 365))
    assert comparable(month, before.id, 35) == before
    assert comparable(year, before.id, 35) is None
    assert comparable(replace(before, as_of=datetime(2001, 1, 2)), before.id, 35) is None
    assert comparable(month, None, 35) is None


def test_the_verdict_comes_first_and_names_the_limit_and_the_way_on() -> None:
    checks = judge(but(rejected={"malformed": 5_000}, of_a_film=8_000), GateConfig())
    text = verdict("20260101-000000-000000", checks)
    assert text.startswith("# Held: release 20260101-000000-000000 is not published")
    assert "| **blocks** | quarantined | 0.5 | 0.2 |" in text
    assert "matinee publish 20260101-000000-000000 --force --why" in text
    passed = verdict("r", judge(ORDINARY, GateConfig()))
    assert passed.startswith("# Published")
    assert "force" not in passed


def test_events_a_day_are_those_between_releases(tmp_path: Path) -> None:
    home = homes.write_home(tmp_path)
    homes.publish(home, datetime(2001, 1, 2))
    homes.publish(home, datetime(2001, 1, 3))
    homes.publish(home, datetime(2001, 1, 3, 1))  # an hour later: it tells nothing of a day
    run = homes.begin(home, datetime(2001, 1, 4, 7))
    homes.finish(run)
    earlier, now = measures.events_a_day(run)
    assert (earlier.tolist(), now) == ([24.0], pytest.approx(24.0))


def test_new_events_are_held_against_those_before(tmp_path: Path) -> None:
    home = homes.write_home(tmp_path)
    before, run = homes.publish(home, datetime(2001, 1, 3)), homes.begin(home, datetime(2001, 1, 4, 8))
    found = measures.histograms(run, before, 1.0)
    events = pl.read_parquet(home / "events" / "*.parquet")
    genres = pl.read_parquet(home / "catalog" / "items.parquet").explode("genres")
    parts = {"before": events[24:48], "after": events[48:80]}
    counts = {
        (name, side): Counter(part.join(genres, on="item_id")[column] if column == "genres" else part[column])
        for name, column in (("rating", "rating"), ("genre", "genres"))
        for side, part in parts.items()
    }
    for name in ("rating", "genre"):
        bins = sorted(counts[name, "before"].keys() | counts[name, "after"].keys())
        for side in parts:
            assert getattr(found[name], side).tolist() == [counts[name, side][key] for key in bins]
    assert found["rating"].users_after == parts["after"]["user_id"].n_unique()
    assert found["popularity"].before.sum() == 24
    days = parts["after"].group_by("user_id", pl.col("event_at").dt.date()).len()
    assert found["activity"].after.sum() == days.height
