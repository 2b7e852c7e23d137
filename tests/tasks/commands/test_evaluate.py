"""Evaluation of a small log end to end: what is fitted on what, and what comes out."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import pytest

from models.dataset import Dataset, Ints
from models.evaluation.protocols import PROTOCOLS, ROLLING_WINDOWS
from models.evaluation.rows import MeasuredModel, ranking_rows
from models.evaluation.saved import of_slices, pack
from models.evaluation.scores import EvaluationConfig, Evaluator
from models.evaluation.split import Split
from models.pipeline import offline
from models.pipeline.config import PipelineConfig
from models.pipeline.holdout import holdout
from models.pipeline.offline import BEST, PUBLISHED, UNION, ModelLists
from models.rank.candidates import MERGED
from models.recall import registry
from models.recall.new_items import NewItems
from models.recall.popular import Popular, PopularConfig
from models.recall.segment import Segment
from tasks import config as configuration
from tasks import declarations
from tasks.commands.evaluate import evaluate, read_log
from tests.models.evaluation.logs import random_log
from tests.warehouse import batches
from warehouse import evaluation as files
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


def test_ratings_alone_are_evaluated_and_bad_ones_refused(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / "home"))
    alone = tmp_path / "alone"
    alone.mkdir()
    text = (Path(source) / "ratings.dat").read_text()
    (alone / "ratings.dat").write_text(text)
    measured = [
        [
            (row["metric"], row["value"])
            for row in evaluate("leave-one-out", where, ["item_cf"], ks=[5])["rows"]
            if (row["model"], row["slice"]) == ("item_cf", "all") and row["metric"] in ("hr", "ndcg", "mrr")
        ]
        for where in (str(alone), source)
    ]
    # Films that nobody has rated are missing, which changes no list of those that somebody has.
    assert len(measured[0]) == 3
    assert measured[0] == measured[1]
    (alone / "ratings.dat").write_text("1::2::9::978300760\n")
    with pytest.raises(MatineeError, match=r"no rating can be used \(1 rating_out_of_range\)"):
        evaluate("leave-one-out", str(alone), ["item_cf"], ks=[5])


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


def values(rows: list[dict[str, Any]]) -> dict[tuple[str, str, int, str], float]:
    """The values and intervals of one model."""
    return {
        (row["slice"], row["metric"], row["k"], bound): np.nan if row[bound] is None else row[bound]
        for row in rows
        for bound in ("value", "ci_low", "ci_high")
    }


def test_lists_of_somebody_else_are_measured_like_those_of_a_channel(
    source: str, dataset: Dataset, tmp_path: Path
) -> None:
    vocabulary, splits = read_log(source)[1], PROTOCOLS["rolling"].splits(dataset)
    evaluator = Evaluator(splits, EvaluationConfig(ks=(5, 20)), vocabulary.categories)
    ours, theirs = (
        evaluator.scores([channel().fit(split.train).recommend(split.queries, 20) for split in splits])
        for channel in (NewItems, Popular)
    )
    before = tmp_path / "ours.json"
    files.write(before, [], pack({"published/published": of_slices(ours, ["all", "known"])}))
    blocks, films = [], []
    for split in splits:
        order = Popular().fit(split.train).recommend(split.queries.rows(0, 1), 200, filter_seen=False).item[0]
        films.append(order[order >= 0])
        item_id = vocabulary.item_ids[films[-1]]
        ranks = np.arange(len(item_id)) * 3 + 7  # gaps do not count
        users = pl.DataFrame({"user_id": np.append(vocabulary.user_ids, 10**9)})
        listed = users.join(pl.DataFrame({"item_id": item_id, "rank": ranks}), how="cross")
        blocks.append(listed.with_columns(window=pl.lit(split.window)))
    unknown = blocks[0].head(2).with_columns(pl.col("item_id") + 10**9, pl.col("rank") + 10**6)
    file = tmp_path / "theirs.parquet"
    pl.concat([*blocks, unknown]).sample(fraction=1, shuffle=True, seed=0).write_parquet(file)
    answer = evaluate("rolling", source, ks=[5, 20], baseline=str(before), lists=[file])
    assert {(row["stage"], row["model"]) for row in answer["rows"]} == {("lists", "theirs")}
    rows = [asdict(row) for row in ranking_rows(theirs, MeasuredModel("recall", "popular"))]
    assert values(answer["rows"]) == pytest.approx(values(rows), nan_ok=True)
    expected = {key[:3]: key for key in values(rows) if key[3] == "value"}
    number = {key: column for column, key in enumerate(ours.keys)}
    assert {row["slice"] for row in answer["differences"]} == {"all", "known"}
    for row in answer["differences"]:
        key = row["slice"], row["metric"], row["k"]
        mine = ours.values()[number[key]]
        assert row["value"] == pytest.approx(values(rows)[expected[key]] - mine, abs=1e-9)
    (counts,) = answer["lists"]
    seen, of_others = 0, 0
    for split, listed_films in zip(splits, films, strict=True):
        queries = split.queries
        for begin, end in zip(queries.start, queries.end, strict=True):
            seen += len(np.intersect1d(queries.log.item_idx[begin:end], listed_films))
        of_others += len(listed_films) * (1 + dataset.n_users - len(np.unique(queries.user_idx)))
    first = 0 in splits[0].queries.user_idx
    assert counts["seen"] == seen
    assert (counts["unknown_users"], counts["unknown_items"]) == (of_others + 2 * (not first), 2 * first)
    assert (counts["unanswered"], counts["n_queries"]) == (0, sum(len(split.queries) for split in splits))


def test_users_without_a_list_are_misses_and_differences_go_to_any_model(
    source: str, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocabulary = read_log(source)[1]
    (split,) = PROTOCOLS["successive"].splits(dataset)
    popular = Popular().fit(split.train).recommend(split.queries, 20)
    monkeypatch.setattr("tasks.commands.evaluate.warm_up", lambda *_: None)
    monkeypatch.setattr(
        "tasks.commands.evaluate.answers", lambda *_: [ModelLists("recall", "popular", popular, 0.0)]
    )
    query = 3
    user = vocabulary.user_ids[split.queries.user_idx[query]]
    target = vocabulary.item_ids[split.items[split.targets.item[query]]]
    file = tmp_path / "theirs.csv"
    file.write_text(f"user_id,rank,item_id\n{user},1,{target}\n")
    answer = evaluate("successive", source, ["popular"], ks=[1], baseline="popular", lists=[file])
    hr = {r["model"]: r["value"] for r in answer["rows"] if (r["slice"], r["metric"]) == ("all", "hr")}
    assert hr["theirs"] == pytest.approx(1 / len(split.queries))
    (less,) = (r for r in answer["differences"] if (r["slice"], r["metric"]) == ("all", "hr"))
    assert (less["stage"], less["model"]) == ("lists", "theirs")
    assert less["value"] == pytest.approx(hr["theirs"] - hr["popular"])
    with pytest.raises(MatineeError, match="lists of 1 films are shorter than every --k: name --k 1"):
        evaluate("successive", source, ["popular"], ks=[10], lists=[file])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "user_id,item_id\n1,2",
            "lacks rank: lists are CSV with a header, or Parquet, with user_id, rank, item_id",
        ),
        ("user_id,rank,item_id\n1,1,2\n1,1,3", "user 1 has rank 1 twice"),
        ("user_id,rank,item_id\n1,1,2\n1,2,2", "user 1 has item_id 2 twice"),
        ("user_id,rank,item_id\n1,0,2", "row 2: '1,0,2' has no user_id, rank from 1, and item_id"),
        ("user_id,rank,item_id\n1,one,2", "row 2: '1,one,2' has no user_id, rank from 1, and item_id"),
        ("user_id,rank,item_id", "has no rows"),
        (
            "user_id,rank,item_id,window\n1,1,2,2001-06-01\n1,1,2,",
            "some rows have a window and some have none",
        ),
        (
            "user_id,rank,item_id,window\n1,1,2,2001-06-02",
            "no window 2001-06-02; its windows are 2000-11-20, ",
        ),
        ("user_id,rank,item_id\n0,1,2", "no row has a user and a film of rolling"),
    ],
)
def test_files_that_are_not_one_list_a_user_are_refused(
    text: str, message: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.commands.evaluate.warm_up", None)
    file = tmp_path / "theirs.csv"
    file.write_text(text)
    with pytest.raises(MatineeError, match=message):
        evaluate("rolling", source, ["popular"], ks=[1], lists=[file])


def test_lists_need_a_name_of_their_own(source: str, tmp_path: Path) -> None:
    file = tmp_path / "published.csv"
    file.write_text("user_id,rank,item_id\n1,1,2")
    with pytest.raises(MatineeError, match="there is a model named published; give the file another name"):
        evaluate("rolling", source, ["popular"], lists=[file])
