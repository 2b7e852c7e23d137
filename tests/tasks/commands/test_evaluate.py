"""Evaluation of a small log end to end: what is fitted on what, and what comes out."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from models.dataset import Dataset, Ints
from models.evaluation.protocols import PROTOCOLS, ROLLING_WINDOWS
from models.evaluation.split import Split
from models.pipeline import offline
from models.pipeline.config import PipelineConfig
from models.pipeline.holdout import holdout
from models.pipeline.offline import BEST, PUBLISHED, UNION
from models.rank.candidates import MERGED
from models.recall import registry
from models.recall.popular import Popular, PopularConfig
from models.recall.segment import Segment
from tasks import config as configuration
from tasks import declarations
from tasks.commands.evaluate import evaluate, read_log
from tests.models.evaluation.logs import random_log
from tests.warehouse import batches
from warehouse.errors import MatineeError
from warehouse.events import log as event_log

CHANNELS = ("popular", "first_session", "item_cf")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """60 users and 120 films over the years that all protocols need; users rate some films twice."""
    log = random_log(0, "2000-10-01", "2003-03-01", n_users=60, n_items=120, n_events=4000)
    return batches.of_log(tmp_path_factory.mktemp("source") / "ratings", log, n_people=50)


@pytest.fixture(scope="module")
def dataset(source: str) -> Dataset:
    return read_log(source)[0]


def config(channels: tuple[str, ...] = CHANNELS, objective: str = "next") -> PipelineConfig:
    return configuration.load({"recall": {"channels": channels}, "objective": objective})


def lists(config: PipelineConfig, split: Split, validation: Split) -> dict[str, Ints]:
    """Items of the lists of every model, by its name; of a pre-ranker by stage and name."""
    answers = offline.answers(config, split, validation, ("gbdt",), declarations.of(None))
    return {f"prerank/{a.model}" if a.stage == "prerank" else a.model: a.lists.item for a in answers}


class Spy(Popular):
    """Popular, and remembers the logs that it was fitted on."""

    fitted: list[Dataset]

    def __init__(self, config: PopularConfig = PopularConfig()) -> None:
        super().__init__(config)

    def fit(self, dataset: Dataset) -> Self:
        Spy.fitted.append(dataset)
        return super().fit(dataset)


def events(log: Dataset) -> set[tuple[int, int, int]]:
    return set(zip(log.user_idx.tolist(), log.item_idx.tolist(), log.at.tolist(), strict=True))


@pytest.mark.parametrize(
    "protocol", ["leave-one-out", "next-visit", "rolling", "successive", "temporal-2003"]
)
def test_models_are_fitted_on_the_training_part_and_weights_on_its_own_past(
    protocol: str, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.CHANNELS, "spy", registry.Channel(Spy, PopularConfig()))
    monkeypatch.setattr(Spy, "fitted", [], raising=False)
    split = PROTOCOLS[protocol].splits(dataset)[-1]
    validation = PROTOCOLS[protocol].validation(split)
    whole = config(("spy",), "daily")
    lists(whole, split, validation)
    newest = holdout(split.train, "daily", whole.holdout)
    assert newest is not None
    # One fit a window: of what is published, of the merge, and the one that answers.
    assert [events(log) for log in Spy.fitted] == [events(part.train) for part in (newest, validation, split)]
    assert all(events(log) < events(split.train) for log in Spy.fitted[:-1])


def test_the_answers_of_the_test_change_no_list(dataset: Dataset) -> None:
    split = PROTOCOLS["temporal-2003"].splits(dataset)[0]
    validation = PROTOCOLS["temporal-2003"].validation(split)
    others = replace(split, targets=replace(split.targets, item=split.targets.item[::-1].copy()))
    first, second = (lists(config(), part, validation) for part in (split, others))
    assert list(first) == [*CHANNELS, MERGED, UNION, BEST, "prerank/merged", "gbdt", PUBLISHED]
    for name, found in first.items():
        np.testing.assert_array_equal(found, second[name])


def test_rows_are_those_of_the_channels_own_lists(source: str, dataset: Dataset) -> None:
    answer = evaluate("leave-one-out", source, ["popular"], ks=[5, 20], seed=3)
    split = PROTOCOLS["leave-one-out"].splits(dataset)[0]
    item = Popular().fit(split.train).recommend(split.queries, 20).item
    rank0 = [
        row.tolist().index(t) if t in row else 99 for row, t in zip(item, split.targets.item, strict=True)
    ]
    for k in (5, 20):
        (row,) = (
            row
            for row in answer["rows"]
            if (row["model"], row["slice"], row["metric"], row["k"]) == ("popular", "all", "hr", k)
        )
        assert row["value"] == pytest.approx(np.mean(np.array(rank0) < k))
        assert row["ci_low"] < row["value"] < row["ci_high"]
        assert (row["stage"], row["seed"], row["n_users"]) == ("recall", 3, len(split.queries))
        assert row["fit_seconds"] >= 0
    stages = dict.fromkeys((row["stage"], row["model"]) for row in answer["rows"])
    assert list(stages) == [
        *(("recall", "popular"), ("merge", "merged"), ("merge", "union"), ("merge", "best_channel")),
        *(("prerank", "merged"), ("rank", "gbdt"), ("published", "published")),
    ]
    assert answer["split"] == [split.digest()]
    assert {"gender=F", "gender=M", "gender=unknown"} <= {row["slice"] for row in answer["rows"]}


def test_the_best_channel_is_that_of_the_window_before(dataset: Dataset) -> None:
    chosen = set()
    for split in PROTOCOLS["rolling"].splits(dataset):
        before = PROTOCOLS["rolling"].validation(split)
        found = lists(config(objective="daily"), split, before)
        gain = {}
        for channel in CHANNELS:
            listed = registry.build(channel).fit(before.train).recommend(before.queries, 10).item
            targets = np.split(before.targets.item, before.targets.indptr[1:-1])
            ideal = [(1 / np.log2(np.arange(min(10, len(t))) + 2)).sum() for t in targets]
            hit = np.array([np.isin(row, t) for row, t in zip(listed, targets, strict=True)])
            gain[channel] = (hit / np.log2(np.arange(10) + 2)).sum(axis=1) @ (1 / np.array(ideal))
        best = max(gain, key=lambda name: gain[name])
        chosen.add(best)
        np.testing.assert_array_equal(found[BEST], found[best])
    assert chosen != {CHANNELS[0]}


def test_published_lists_are_full_and_newcomers_hear_their_segment_alone(dataset: Dataset) -> None:
    # Half of the users are heard of only within the window.
    late = dataset.where((dataset.user_idx % 2 == 0) | (dataset.at >= 1015000000))
    split = PROTOCOLS["rolling"].splits(late)[-1]
    found = lists(config(objective="daily"), split, PROTOCOLS["rolling"].validation(split))
    unseen = split.train.n_items - (split.queries.end - split.queries.start)
    listed = (found[PUBLISHED] >= 0).sum(axis=1)
    assert listed.min() == 50
    assert unseen.min() >= 50
    new = split.queries.start == split.queries.end
    assert new.any()
    alone = Segment(registry.CHANNELS["first_session"].settings).fit(split.train).recommend(split.queries, 50)
    recalled = alone.item[new] >= 0  # in so small a log first sessions have few films: others follow
    assert recalled[:, :10].all()
    np.testing.assert_array_equal(found[PUBLISHED][new][recalled], alone.item[new][recalled])
    assert (found[PUBLISHED][~new] != alone.item[~new]).any()


def test_the_union_has_at_most_300_distinct_unseen_candidates(dataset: Dataset) -> None:
    split = PROTOCOLS["leave-one-out"].splits(dataset)[0]
    found = lists(config(), split, PROTOCOLS["leave-one-out"].validation(split))
    item = found[UNION]
    assert item.shape == (len(split.queries), 300)
    for row, start, end in zip(item, split.queries.start, split.queries.end, strict=True):
        candidates = row[row >= 0].tolist()
        assert len(set(candidates)) == len(candidates) > 0
        assert not set(candidates) & set(split.train.item_idx[start:end].tolist())


def test_a_source_is_evaluated_alone_and_the_log_does_not_learn_of_it(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / "home"))
    alone = evaluate("leave-one-out", source, ["popular"], ks=[5])
    assert not (tmp_path / "home").exists()
    event_log.ingest(tmp_path / "home", source)
    logged = evaluate("leave-one-out", None, ["popular"], ks=[5])
    assert logged["split"] == alone["split"]


def test_a_film_rated_again_counts_from_its_first_rating(source: str, dataset: Dataset) -> None:
    lines = [line.split("::") for line in (Path(source) / "ratings.dat").read_text().splitlines()]
    first: dict[tuple[int, int], int] = {}
    for user, item, _, at in lines:
        pair = int(user), int(item)
        first[pair] = min(int(at), first.get(pair, int(at)))
    assert len(first) < len(lines) == dataset.n_events, "the source has films rated twice"
    for protocol, rules in PROTOCOLS.items():
        for split in rules.splits(dataset):
            log, query = split.queries.log, split.targets.query
            start, end = split.queries.start[query], split.queries.end[query]
            for target, begin, stop in zip(split.targets.item, start, end, strict=True):
                assert target not in log.item_idx[begin:stop], protocol


def test_differences_to_a_model_and_to_an_earlier_evaluation(source: str, tmp_path: Path) -> None:
    file = tmp_path / "first.json"
    first = evaluate("temporal-2003", source, CHANNELS, ks=[10], baseline="popular", out=file)
    metrics = {
        (row["stage"], row["model"], row["slice"], row["metric"], row["k"]): row["value"]
        for row in json.loads(file.read_text())
    }
    assert [*dict.fromkeys((row["stage"], row["model"]) for row in first["differences"])] == [
        *(("recall", "first_session"), ("recall", "item_cf")),
        *(("merge", MERGED), ("merge", UNION), ("merge", BEST)),
        *(("prerank", MERGED), ("rank", "gbdt"), ("published", PUBLISHED)),
    ]
    for row in first["differences"]:
        key = (row["slice"], row["metric"], row["k"])
        expected = metrics[row["stage"], row["model"], *key] - metrics["recall", "popular", *key]
        assert row["value"] == pytest.approx(expected, abs=1e-12)
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
    again = evaluate("temporal-2003", source, ["popular", "item_cf"], ks=[10], baseline=str(file))
    differences = {(row["stage"], row["model"], row["metric"]): row for row in again["differences"]}
    same = differences["recall", "item_cf", "pooled_recall"]
    assert (same["value"], same["ci_low"], same["ci_high"]) == (0, 0, 0)
    (now,) = (
        row
        for row in again["rows"]
        if (row["stage"], row["model"], row["slice"], row["metric"])
        == ("merge", MERGED, "all", "pooled_recall")
    )
    other = differences["merge", MERGED, "pooled_recall"]["value"]
    assert other == pytest.approx(now["value"] - metrics["merge", MERGED, "all", "pooled_recall", 10])


def test_impossible_evaluations_are_refused_before_the_work_begins(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tasks.commands.evaluate.warm_up", None)  # no test here comes as far as that
    with pytest.raises(MatineeError, match=r"unknown protocol 'loo': choose from leave-one-out, "):
        evaluate("loo", source)
    with pytest.raises(MatineeError, match="unknown channel 'magic': choose from popular, "):
        evaluate("leave-one-out", source, ["popular", "magic"])
    with pytest.raises(MatineeError, match="unknown ranker 'magic': choose from lr"):
        evaluate("leave-one-out", source, ["popular"], ["magic"])
    with pytest.raises(MatineeError, match="unknown baseline 'magic'"):
        evaluate("leave-one-out", source, baseline="magic")
    with pytest.raises(MatineeError, match="is no baseline"):
        evaluate("leave-one-out", source, baseline=str(Path(source) / "ratings.dat"))
    with pytest.raises(MatineeError, match="has no ratings"):
        evaluate("leave-one-out")
    with pytest.raises(MatineeError, match="must be a file in a folder that exists"):
        evaluate("leave-one-out", source, out=tmp_path / "nowhere" / "metrics.json")
    early = batches.dat(tmp_path / "early", [(7, 1, 4, 10), (7, 2, 4, 20), (7, 3, 4, 30)])
    with pytest.raises(MatineeError, match=r"temporal-2003 cannot be run on this log: .* 1970-01-01"):
        evaluate("temporal-2003", early)


def test_some_channels_are_measured_whichever_the_configuration_names_elsewhere(source: str) -> None:
    config: dict[str, dict[str, Any]] = {
        "incremental": {"channel": "two_tower"},
        "explain": {"channel": "popular"},
    }
    config["recall"] = {"channels": ["item_cf", "two_tower"]}
    answer = evaluate("leave-one-out", source, ["popular"], ks=[5], config=config)
    assert {row["model"] for row in answer["rows"] if row["stage"] == "recall"} == {"popular"}


def test_a_baseline_of_another_split_is_refused(source: str, tmp_path: Path) -> None:
    file = tmp_path / "first.json"
    evaluate("leave-one-out", source, ["popular"], ks=[5], out=file)
    with pytest.raises(MatineeError, match="baseline was measured on leave-one-out"):
        evaluate("temporal-2003", source, ["popular"], ks=[5], baseline=str(file))


def test_metrics_of_single_ratings_are_no_baseline_for_lists(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "first.json"
    evaluate("ctr-random", source, rankers=["lr"], out=file)
    monkeypatch.setattr("tasks.commands.evaluate.warm_up", None)  # refused before the work begins
    with pytest.raises(MatineeError, match=r"first\.json is no baseline for lists"):
        evaluate("leave-one-out", source, ["popular"], ks=[5], baseline=str(file))


def test_lists_longer_than_300_can_be_measured_and_short_ones_too(source: str) -> None:
    answer = evaluate("leave-one-out", source, ["popular"], ks=[400])
    assert {row["k"] for row in answer["rows"]} == {400}
    assert PUBLISHED not in {row["model"] for row in answer["rows"]}


def test_windows_are_compared_one_by_one(source: str) -> None:
    answer = evaluate("rolling", source, ["popular", "segment"], rankers=[], ks=[10], baseline=BEST)
    found = {row["slice"] for row in answer["differences"] if row["model"] == PUBLISHED}
    windows = {f"window={first}" for first, _ in ROLLING_WINDOWS}
    assert found - {"all", "known", "unknown"} == windows
    rows = {
        (row["model"], row["slice"]): row["value"]
        for row in answer["rows"]
        if (row["metric"], row["k"]) == ("ndcg", 10)
    }
    for row in answer["differences"]:
        if (row["model"], row["metric"]) == (PUBLISHED, "ndcg"):
            theirs = rows[BEST, row["slice"]]
            assert row["value"] == pytest.approx(rows[PUBLISHED, row["slice"]] - theirs)
            assert row["ci_low"] <= row["value"] <= row["ci_high"]
