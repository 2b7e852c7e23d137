"""Re-ranking: seconds of MMR and DPP, and what diversity costs on the validation window of ``rolling``.

    python -m benchmarks.bench_rerank [SOURCE] [--plot FILE] [--set KEY=VALUE]...

Seconds: lists of 50 for 6,040 users from pools of 200, made up, with vectors of 64 and genres of 18 numbers,
one thread a library unless the environment says otherwise; compiling left out.

With a SOURCE, lists on the window before the first one of ``rolling``, which no figure of the protocol is
measured on: NDCG@10 of the window's queries, and of the lists of all users with a history at its start, the
films in anybody's top ten, the largest fraction of top tens that one film is in, and the distance between the
films of a top ten by genres and by learned vectors. The diversity of the configuration, which is the point in
charge, is multiplied by each of FACTORS; beside them, the list that is not re-ranked.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from benchmarks import configuration
from flows.command.screens.terminal import log_to_terminal
from models import merge
from models.candidates import Candidates
from models.dataset import Dataset, Floats, Ints, Queries
from models.evaluation import metrics
from models.evaluation.protocols import PROTOCOLS
from models.evaluation.split import Split
from models.features.compute import PastIndex
from models.features.declare import Declaration
from models.merge import FittedMerge, Merged
from models.pipeline import stages
from models.pipeline.channels import Fitter
from models.pipeline.config import PipelineConfig
from models.pipeline.holdout import holdout, questions
from models.pipeline.stages import Stages
from models.rank.stage import Ranking
from models.rerank.greedy import Aims, Traits, choose
from tasks import declarations
from tasks.commands.evaluate import read_log

USERS, POOL, LISTED, ITEMS, VECTOR, GENRES = 6_040, 200, 50, 3_883, 64, 18
"""Sizes of what is made up."""

FACTORS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Diversities of the curve, as multiples of the configured one."""

TOP = 10
"""Films of a list that are measured."""


@dataclass(frozen=True)
class Point:
    """Lists by one setting."""

    label: str
    ndcg: float
    films: int
    largest: float
    genre_distance: float
    vector_distance: float


def seconds(method: str, users: int) -> float:
    """Seconds of lists for so many users, after some that compile."""
    rng = np.random.default_rng(0)
    item = np.argsort(rng.random((users, ITEMS)), axis=1)[:, :POOL].astype(np.int32)
    score = -np.sort(-rng.normal(size=item.shape), axis=1)
    vectors = rng.normal(size=(ITEMS, VECTOR + GENRES)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    nothing = np.full((ITEMS, 1), -1, dtype=np.int32), np.zeros(0, dtype=np.int32)
    traits = Traits(vectors, *nothing, np.zeros((ITEMS, 0), bool), np.zeros((ITEMS, GENRES), np.float32))
    aims = Aims(method == "dpp", 0.5, 10, 0.0, 0.01, 10, np.zeros(0, dtype=np.int32), 10)
    mix = np.zeros((users, GENRES))
    choose(item[:1], score[:1], mix[:1], traits, aims, LISTED)
    started = time.perf_counter()
    choose(item, score, mix, traits, aims, LISTED)
    return time.perf_counter() - started


@dataclass(frozen=True)
class Ordered:
    """Queries and their candidates in the order of ranking."""

    queries: Queries
    lists: Merged


@dataclass(frozen=True)
class Material:
    """All that lists are made from, fitted once."""

    split: Split
    window: Ordered
    everybody: Ordered
    vectors: Floats | None


def material(config: PipelineConfig, split: Split, declared: tuple[Declaration, ...]) -> Material:
    """Fit channels, merge and rankers on the training part as a night does, and answer."""
    log, fitter = split.train, Fitter(config)
    newest = holdout(log, config.objective, config.holdout)
    merging, preranking, ranking = FittedMerge(merge.equal_weights(len(config.recall.channels))), None, None
    if newest is not None:
        found = recall(config, fitter, newest.train, newest.queries)
        merging = stages.fit_merge(config, found, newest)
        preranking, pool = stages.fit_prerank(config, found, merging, newest, log, declared)
        fitted = stages.fit_rank(config, pool, newest, log, declared)
        ranking = None if fitted is None else fitted.ranking
    made = Stages(
        merging, merge.fallback_order(log), None if preranking is None else preranking.ranking, ranking
    )
    everybody = questions(
        log, config.objective, config.holdout, np.flatnonzero(np.diff(log.indptr)).astype(np.int32)
    )
    of_window, of_all = (
        Ordered(queries, ordered(config, made, ranking, queries, recall(config, fitter, log, queries)))
        for queries in (split.queries, everybody)
    )
    vectors = None if fitter.incremental is None else fitter.incremental_on(log).tables().item_embeddings
    return Material(split, of_window, of_all, vectors)


def recall(
    config: PipelineConfig, fitter: Fitter, log: Dataset, queries: Queries
) -> Mapping[str, Candidates]:
    """Candidates by channel, fitted on a log."""
    n = config.recall.candidates
    return {name: fitter.fitted(name, log).recommend(queries, n) for name in config.recall.channels}


def ordered(
    config: PipelineConfig,
    made: Stages,
    ranking: Ranking | None,
    queries: Queries,
    found: Mapping[str, Candidates],
) -> Merged:
    """Candidates in the order of ranking."""
    past = PastIndex(queries.log)
    return stages.ranked(config, stages.shortlist(config, found, made, queries, past), ranking, past).ordered


def lists(config: PipelineConfig, given: Material) -> tuple[Ints, Candidates]:
    """The lists of everybody and of the window's queries."""
    everybody, window, log = given.everybody, given.window, given.split.train
    users = stages.rerank_users(config, log)
    rows = np.searchsorted(everybody.queries.user_idx, users)
    pools = None
    if len(rows):
        found = everybody.lists
        pools = Merged(found.candidates.take(rows), found.channels[rows]), everybody.queries.take(rows)
    stage = stages.fit_rerank(config, pools, log, given.vectors)
    of_all, of_window = (
        stages.published(config, one.lists, one.queries, stage).candidates for one in (everybody, window)
    )
    return of_all.item, of_window


def point(label: str, config: PipelineConfig, given: Material) -> Point:
    """Measure the lists of one configuration."""
    of_all, of_window = lists(config, given)
    log = given.split.train
    everybody = Candidates(of_all, np.zeros(of_all.shape, dtype=np.float32))
    shown = metrics.exposure(everybody, TOP, log.n_items, np.ones(len(of_all), dtype=np.bool_))
    distances = [
        float(np.nanmean(metrics.intra_list_distance(everybody, TOP, vectors)))
        for vectors in (log.items["genres"], given.vectors)
        if vectors is not None
    ]
    return Point(
        label,
        metrics.mean_ndcg(of_window, given.split.targets, TOP),
        int(np.count_nonzero(shown)),
        float(shown.max() / len(of_all)),
        distances[0],
        distances[-1],
    )


def curve(config: PipelineConfig, given: Material) -> list[Point]:
    """The list without re-ranking, then with each multiple of the configured diversity."""
    plain = config.but(rerank=type(config.rerank)(method="none"))
    points = [point("none", plain, given)]
    for factor in FACTORS:
        diversity = factor * config.rerank.diversity
        changed = config.but(rerank=config.rerank.but(diversity=diversity))
        points.append(point(f"{config.rerank.method} {diversity:g}", changed, given))
    return points


def show(points: Sequence[Point]) -> None:
    """Print a line a point."""
    print(f"{'diversity':12}{'NDCG@10':>10}{'films':>8}{'largest':>9}{'genres':>9}{'vectors':>9}")
    for one in points:
        ends = f"{one.largest:>9.3f}{one.genre_distance:>9.3f}{one.vector_distance:>9.3f}"
        print(f"{one.label:12}{one.ndcg:>10.4f}{one.films:>8}{ends}")


def plot(points: Sequence[Point], file: Path) -> None:
    """Plot NDCG against distance within lists and against films listed; the point in charge is red."""
    plt.rcParams["svg.hashsalt"] = "rerank"
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", sharey=True)
    plain, *others = points
    chosen = others[FACTORS.index(1.0)]
    for axis, name, label in (
        (axes[0], "vector_distance", "distance between the films of a top ten (learned vectors)"),
        (axes[1], "films", "films in anybody's top ten"),
    ):
        x, y = zip(*((getattr(one, name), one.ndcg) for one in others), strict=True)
        axis.plot(x, y, "o-", color="#2b5f92", label="diversity")
        axis.plot(getattr(plain, name), plain.ndcg, "s", color="#6b6b6b", label="without re-ranking")
        axis.plot(getattr(chosen, name), chosen.ndcg, "o", color="#b0352c", label=f"chosen: {chosen.label}")
        axis.set_xlabel(label)
        axis.grid(color="#eeeeee")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("NDCG@10 of the validation window")
    axes[0].legend(frameon=False)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", nargs="?")
    parser.add_argument("--users", type=int, default=USERS, help="users whose lists are timed")
    parser.add_argument("--plot", type=Path, help="file of a plot")
    configuration.add_set(parser)
    options = parser.parse_args(arguments)
    for method in ("mmr", "dpp"):
        taken = seconds(method, options.users)
        print(f"{method}: {options.users:,} lists of {LISTED} from {POOL} take {taken:.2f} s")
    if options.source is None:
        return
    config = configuration.load(options.set)
    log_to_terminal()
    log, _ = read_log(options.source)
    rules = PROTOCOLS["rolling"]
    given = material(
        config,
        rules.validation(rules.splits(log)[0]),
        declarations.of(config.features, config.optional_features),
    )
    points = curve(config, given)
    show(points)
    if options.plot is not None:
        plot(points, options.plot)


if __name__ == "__main__":
    main()
