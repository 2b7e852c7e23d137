"""The lists of some users: recalled by all channels, merged, ranked and explained, in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import polars as pl

from models import merge
from models.block_list import BlockList, block_list
from models.bloom import BloomFilters
from models.candidates import Candidates
from models.dataset import Floats, Ints, Longs, Queries
from models.encoding import Vocabulary, reindexed
from models.exposures import Shown
from models.features.compute import PastIndex
from models.pipeline import arms, explain, stages
from models.pipeline.channels import with_state
from models.pipeline.config import ranker_of
from models.pipeline.explain import Evidence
from models.pipeline.stages import Lists, OrderedPools, Recalled, Stages
from models.prerank.stage import restore_preranking
from models.rank.candidates import Pool
from models.rank.stage import Ranking, restore_ranking
from models.recall.contract import Recaller
from models.rerank.stage import PRICE, Reranking, new_reranking
from models.state import moved
from tasks import config as configuration
from tasks import data as run_data
from tasks import declarations, engine
from tasks.config import Configuration
from tasks.cost import RowCounts
from tasks.data import POOLS, RunData
from tasks.states import embedding_rows, has_state, read_merge, read_state
from warehouse.errors import MatineeError
from warehouse.runs import files
from warehouse.runs.run import Run

RANKING, PRERANKING, RERANKING = "ranking", "preranking", "reranking"
"""Names of the fitted stages; absent if the log was too small to hold anything back."""

FITTED_BY = {RANKING: ("rank", "rankers"), RERANKING: ("rank", "rankers", "rerank")}
"""Sections by which a stage may have learned something of its own for an arm."""

RANKED_SCORE, EARLIER_SCORE = "ranked_score", "earlier_score"
"""Columns of the pools: the score of ranking, and the one that it remembered of the release before."""

N_EVIDENCE = 50
"""Nearest films of each film and channel that may be the reason for it."""

SHOWN = "shown"
"""Columns of a run that hold its filters of what users were shown; absent where nothing counts as shown."""

BLOCKED = "blocked"
"""Columns of a run that hold what its users asked not to see; absent where nobody asked."""


Channels = Mapping[str, tuple[Recaller, Vocabulary | None]]


@dataclass(frozen=True)
class Variant:
    """A configuration that lists of some users are made by, and the stages fitted by it."""

    config: Configuration
    stages: Stages


@dataclass(frozen=True)
class FittedRun:
    """All that a run has learned, as its lists need it."""

    data: RunData
    channels: Channels
    """Channels by name, and the vocabulary that each speaks of where it is not that of the run."""
    variants: Mapping[str, Variant]
    """By the label of treatment arms."""
    past: PastIndex

    @cached_property
    def earlier_rankings(self) -> tuple[Configuration, Mapping[str, str]]:
        """The configuration of the parent, and the name of its ranking by the label of its arms."""
        then = configuration.of(self.data.run.parent())
        variants = arms.variants(then).items()
        return then, {label: _state_name(then, RANKING, variant) for label, variant in variants}

    @cached_property
    def evidence(self) -> Evidence:
        """The similarities, genres and communities that reasons are made of."""
        data, chosen = self.data, self.data.config.explain.channel
        numbers = {name: number for number, name in enumerate(data.config.recall.channels)}
        n = min(N_EVIDENCE, data.config.recall.n_neighbours)
        similarities = {
            numbers[name]: run_data.read_neighbours(data, name, n)
            for name in run_data.similar_by(data)
            if chosen in (None, name)
        }
        genres = data.dataset.items.get("genres", np.zeros((data.dataset.n_items, 0), dtype=np.bool_))
        return explain.evidence(similarities, genres.astype(np.bool_), run_data.read_communities(data))


def recommend_shard(run: Run, number: int) -> RowCounts:
    """Write lists and vectors of the users of a shard, and the pools that their lists were chosen from."""
    fitted = load(run)
    data = fitted.data
    begin, end = engine.shards(run, len(data.target_users))[number]
    queries, ids = data.queries.rows(begin, end), data.target_ids[begin:end]
    labels = arms.labels(data.config, ids)
    members = {str(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
    made = [_tables(fitted, label, queries.take(rows), ids[rows]) for label, rows in members.items()]
    written = {
        name: files.write_table(run, f"{name}/{number:05d}", _by_user([tables[name] for tables in made]))
        for name in made[0]
    }
    return {name.partition("/")[0]: rows for name, rows in written.items() if name != POOLS}


def ordered_pools(run: Run, users: Ints, label: str) -> OrderedPools:
    """The candidates that lists of some users are made from, in the order of ranking as in these arms."""
    fitted = load(run)
    data = fitted.data
    queries = data.queries.take(np.searchsorted(data.target_users, users))
    _, lists = _ordered(fitted, fitted.variants[label], queries, questions_of(fitted, queries))
    return lists.ordered, queries


def item_vectors(run: Run) -> Floats | None:
    """(I, D) the item vectors of the channel that learns on; None without one."""
    fitted = load(run)
    return _vectors(fitted.data, fitted.channels)


def forget() -> None:
    """Let go of what the newest run has learned."""
    load.cache_clear()


def questions_of(fitted: FittedRun, queries: Queries) -> dict[str, Queries]:
    """The queries as each channel reads them."""
    alone = queries.alone()  # so that no channel looks at the log of everybody
    now = fitted.data.vocabulary
    return {name: _reindexed(alone, now, then) for name, (_, then) in fitted.channels.items()}


def recalled_for(
    fitted: FittedRun, questions: Mapping[str, Queries], vectors: tuple[Floats, Floats] | None = None
) -> Recalled:
    """The candidates of every channel for its queries.

    ``vectors`` are those of the queries and of all items by the channel that learns on, where they are there.
    """
    config, now = fitted.data.config, fitted.data.vocabulary

    def found(name: str, channel: Any) -> Candidates:
        of_channel = questions[name], config.recall.candidates
        if vectors is None or name != config.incremental.channel:
            candidates: Candidates = channel.recommend(*of_channel)
        else:
            candidates = channel.nearest(*vectors, *of_channel)
        return candidates

    return {
        name: _in_vocabulary(found(name, channel), then, now)
        for name, (channel, then) in fitted.channels.items()
    }


@lru_cache(maxsize=1)  # a process does many shards of a run, one after the other
def load(run: Run) -> FittedRun:
    """All that a run has learned."""
    data = run_data.load(run)
    channels = {name: _channel(data, name) for name in data.config.recall.channels}
    preranking = _restored(data, PRERANKING, data.config)
    fallback, left_out = merge.fallback_order(data.dataset), (shown_of(data), _blocked(data))
    everybody = Stages(read_merge(run), fallback, preranking, None, None, *left_out)
    configs = arms.variants(data.config)
    rankings = {name: _restored(data, name, configs[label]) for name, label in fits(data.config, RANKING)}
    rerankings = {
        name: _reranking(data, name, configs[label], channels) for name, label in fits(data.config, RERANKING)
    }

    def variant(config: Configuration) -> Variant:
        ranking, reranking = (_state_name(data.config, stage, config) for stage in (RANKING, RERANKING))
        fitted = replace(everybody, ranking=rankings[ranking], reranking=rerankings[reranking])
        return Variant(config, fitted)

    return FittedRun(data, channels, {label: variant(of) for label, of in configs.items()}, data.past)


def fits(config: Configuration, stage: str) -> list[tuple[str, str]]:
    """The names of all that a stage learns, its own first, each with a label of arms that it is for."""
    found = {_state_name(config, stage, of): label for label, of in arms.variants(config).items()}
    return list(found.items())


def _state_name(config: Configuration, stage: str, variant: Configuration) -> str:
    return arms.state_name(stage, config, variant, *FITTED_BY[stage])


def _tables(fitted: FittedRun, label: str, queries: Queries, ids: Longs) -> dict[str, pl.DataFrame]:
    """The tables of users of the same arms, sorted by user."""
    variant, questions = fitted.variants[label], questions_of(fitted, queries)
    before = _remembered(fitted, variant, queries, ids)
    pool, ranked = _ordered(fitted, variant, queries, questions, before)
    of = variant.stages
    lists = stages.published(
        variant.config, ranked.ordered, queries, of.reranking, of.shown, of.blocked
    ).candidates
    listed, propensity = stages.explored(variant.config, pool, ranked.score, lists)
    published = _published_rows(fitted, ids, listed, pool).with_columns(
        pl.Series("propensity", propensity[listed.item >= 0]), experiment=pl.lit(label or None, pl.String)
    )
    tables = {"recommended": published, POOLS: _pool_rows(fitted, ids, pool, listed, ranked)}
    if (name := fitted.data.config.incremental.channel) is not None:
        incremental: Any = fitted.channels[name][0]
        vectors = incremental.user_vectors(questions[name])
        tables[f"user_embeddings/{name}"] = embedding_rows(name, "user_id", ids, vectors)
    return tables


def _by_user(parts: list[pl.DataFrame]) -> pl.DataFrame:
    return parts[0] if len(parts) == 1 else pl.concat(parts).sort("user_id", maintain_order=True)


def _ordered(
    fitted: FittedRun,
    variant: Variant,
    queries: Queries,
    questions: Mapping[str, Queries],
    before: Candidates | None = None,
) -> tuple[Pool, Lists]:
    """The candidates that are ranked, and the lists that are made of them."""
    config, recalled = variant.config, recalled_for(fitted, questions)
    short = stages.shortlist(config, recalled, variant.stages, queries, fitted.past)
    ranking = stages.deciding(variant.stages.ranking)
    return short.pool, stages.ranked(config, short, ranking, fitted.past, before)


def _remembered(fitted: FittedRun, variant: Variant, queries: Queries, ids: Longs) -> Candidates | None:
    """(B, K) the parent's scores for users who did nothing since; None if ranking remembers none.

    Newcomers have none: their lists are what others rated first.
    """
    run, ranking = fitted.data.run, stages.deciding(variant.stages.ranking)
    if ranking is None or not ranking.memory or run.kind != "full":
        return None
    before = pool_scores(fitted.data, run.parent(), RANKED_SCORE, ids)
    if before is None:
        return None
    until = stages.newcomers_until(variant.config, variant.stages.merge.newcomers_until)
    is_newcomer = queries.with_fewer_than(until)
    is_quiet = ~is_newcomer & ~fitted.data.is_active[queries.user_idx]
    # Not another arm's scores.
    then, rankings = fitted.earlier_rankings
    mine = _state_name(fitted.data.config, RANKING, variant.config)
    is_alike = np.isin(arms.labels(then, ids), [label for label, name in rankings.items() if name == mine])
    return Candidates(np.where((is_quiet & is_alike)[:, None], before.item, -1), before.score)


def pool_scores(data: RunData, run: Run, column: str, ids: Longs) -> Candidates | None:
    """(B, K) candidates of users (ids, ascending) in the pools of a run, with a score; None without such."""
    columns = ["user_id", "item_id", column]
    frame = files.read_range(run, POOLS, columns, "user_id", int(ids[0]), int(ids[-1]))
    if frame is None:
        return None
    frame = frame.filter(pl.col("user_id").is_in(ids), pl.col(column).is_not_null())
    row = np.searchsorted(ids, frame["user_id"].to_numpy())
    begin = np.searchsorted(row, np.arange(len(ids) + 1))
    rank0 = np.arange(len(row)) - begin[row]
    shape = len(ids), max(1, int(np.diff(begin).max(initial=0)))
    found = Candidates(np.full(shape, -1, dtype=np.int32), np.full(shape, -np.inf, dtype=np.float32))
    found.item[row, rank0] = np.searchsorted(data.vocabulary.item_ids, frame["item_id"].to_numpy())
    found.score[row, rank0] = frame[column].to_numpy()
    return found


def read_prices(data: RunData, run: Run, name: str) -> Floats | None:
    """(I,) the prices of films that a run fitted, by the indices of ``data``; None if it fitted none."""
    if not has_state(run, name):
        return None
    state, then = read_state(run, name)
    price: Floats = moved(state[PRICE], then.item_positions(data.vocabulary), data.dataset.n_items)
    return price.astype(np.float32)


def _reranking(data: RunData, name: str, config: Configuration, channels: Channels) -> Reranking | None:
    if config.rerank.method == "none":
        return None
    price = read_prices(data, data.run, name)
    return new_reranking(config.rerank, data.dataset, _vectors(data, channels), config.seed, price)


def _vectors(data: RunData, channels: Channels) -> Floats | None:
    """(I, D) those of the channel that learns on, which speaks of the items of now; None without one."""
    name = data.config.incremental.channel
    return None if name is None else channels[name][0].tables().item_embeddings


def shown_of(data: RunData) -> Shown | None:
    """The filters of what users were shown; None where nothing counts as shown."""
    if not files.has_columns(data.run, SHOWN):
        return None
    filters = BloomFilters.of(files.read_columns(data.run, SHOWN))
    return Shown(filters, data.config.exposure.discount)


def _blocked(data: RunData) -> BlockList | None:
    none = np.empty(0, dtype=np.int32)
    requested = {"user_idx": none, "item_idx": none}
    if files.has_columns(data.run, BLOCKED):
        requested = files.read_columns(data.run, BLOCKED)
    return block_list(data.config.block_list, data.dataset, requested["user_idx"], requested["item_idx"])


def _channel(data: RunData, name: str) -> tuple[Recaller, Vocabulary | None]:
    state, then = read_state(data.run, name)
    now = data.vocabulary
    same = np.array_equal(then.item_ids, now.item_ids) and np.array_equal(then.user_ids, now.user_ids)
    return with_state(data.config, name, state), None if same else then


def _reindexed(queries: Queries, now: Vocabulary, then: Vocabulary | None) -> Queries:
    """The queries as a channel of another vocabulary reads them."""
    return queries if then is None else reindexed(queries, now, then)


def _in_vocabulary(found: Candidates, then: Vocabulary | None, now: Vocabulary) -> Candidates:
    """Lists of a channel of another vocabulary, which is a part of this one, by the indices of this one."""
    if then is None:
        return found
    position = np.append(then.item_positions(now), -1).astype(np.int32)
    return Candidates(position[found.item], found.score)


def _restored(data: RunData, name: str, config: Configuration) -> Ranking | None:
    if not has_state(data.run, name):
        return None
    state, then = read_state(data.run, name)
    declared, now = declarations.read(data.run), data.vocabulary
    codes = {"user": now.user_positions(then), "item": now.item_positions(then)}
    try:
        if name == PRERANKING:
            return restore_preranking(state, declared, config.prerank, codes)
        return restore_ranking(state, declared, ranker_of(config), codes)
    except (KeyError, ValueError) as error:
        made = f"the {name} of release {data.run.parent_id} was made by another version"
        raise MatineeError(f"{made} ({error}): run `matinee nightly` first") from None


def _published_rows(fitted: FittedRun, ids: Longs, published: Candidates, pool: Pool) -> pl.DataFrame:
    """user_id, rank, item_id, score, channels, because_item_id, because_liked, release_id."""
    data, queries, item = fitted.data, pool.queries, published.item
    merging = fitted.variants[""].stages.merge
    contribution = stages.contributions(data.config, pool.channels, merging, queries, item)
    named, found = explain.strongest(contribution), item >= 0
    of_history = queries, contribution, named, fitted.evidence, data.config.explain.decay
    cause, liked = (values[found] for values in explain.because(item, *of_history))
    because_id = pl.Series("because_item_id", data.vocabulary.item_ids[cause])
    return run_data.candidate_rows(published, ids, data.vocabulary, "user_id").with_columns(
        explain.names(list(data.config.recall.channels), named[found]),
        because_id.set(pl.Series(cause < 0), None),
        pl.Series("because_liked", liked),
        release_id=pl.lit(data.run.id),
    )


def _pool_rows(
    fitted: FittedRun, ids: Longs, pool: Pool, published: Candidates, ranked: Lists
) -> pl.DataFrame:
    """The candidates that were ranked, in the order of the merge, with what every stage says of them.

    user_id, rank, item_id, score (of the merge), published (whether it is in the list), ranked_score,
    earlier_score (what ranking remembered, null without), and ``score_NAME`` by channel, null where the
    channel did not recall the film.
    """
    data, chosen = fitted.data, pool.merged.item >= 0
    pairs = pool.pairs(fitted.past, chosen)
    rejected = stages.rejected(pool.merged, published).item[chosen] >= 0
    scores = {RANKED_SCORE: ranked.score[chosen], EARLIER_SCORE: ranked.earlier[chosen]}
    scores |= {f"score_{name}": pairs.score[:, number] for number, name in enumerate(pool.channels)}
    return run_data.candidate_rows(pool.merged, ids, data.vocabulary, "user_id").with_columns(
        pl.Series("published", ~rejected),
        *(pl.Series(name, values).fill_nan(None) for name, values in scores.items()),
    )
