"""The settings that decide the published list, from recall to the last rank."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError

from models.block_list import BlockListConfig
from models.bounds import only_where
from models.config import Config, choices, configured, problem, with_seed
from models.exposures import ExposureConfig
from models.graph import GraphConfig
from models.merge import MAX_CHANNELS, MergeConfig
from models.pipeline.holdout import HoldoutConfig, at_own_times
from models.prerank.registry import PRE_RANKERS
from models.prerank.stage import PrerankConfig
from models.questions import QuestionsConfig
from models.rank.behaviour import BEHAVIOUR_TASKS
from models.rank.candidates import MERGED, TASKS
from models.rank.fit import RankConfig
from models.rank.fusion import FORMULAS
from models.rank.registry import RANKERS, BuiltRanker, build_ranker
from models.recall.contract import Recaller
from models.recall.registry import CHANNELS, is_incremental
from models.rerank.config import RerankConfig
from models.rerank.exploration import ExplorationConfig

P = TypeVar("P", bound="PipelineConfig")

Settings = dict[str, Any]
"""Settings by name, at any depth, as a file or a command line gives them."""


NAME = r"[A-Za-z0-9_][A-Za-z0-9_-]*"
"""Names of channels and rankers."""

RESERVED = (
    MERGED,
    "union",
    "best_channel",
    "published",
    "ranking",
    "preranking",
    "reranking",
    "labels",
    "split",
    "holdout_model",
    "categories",
    "log_capped",
)
"""Names of lists, models and files beside those of channels and rankers."""


class RecallConfig(Config):
    """The channels that recall, and how much."""

    channels: tuple[str, ...] = (
        "popular",
        "first_session",
        "item_cf",
        "swing",
        "user_cf",
        "attribute",
        "new_items",
        "mf",
        "sequential_linear",
        "ease",
        "ease_plain",
        "word2vec",
        "deepwalk",
        "two_tower",
    )
    """Names of the channels that recall: kinds of channels, or names described under `channels`."""
    candidates: PositiveInt = 300
    """Films that each channel recalls for a user."""
    max_user_events: PositiveInt = 2_000
    """Ratings of one user that a channel learns from; a seeded sample of those of a more active one."""
    n_neighbours: PositiveInt = 100
    """Nearest films published of each film and channel."""


class IncrementalConfig(Config):
    """The channel that goes on from its parameters night by night, and learns every hour."""

    channel: str | None = None
    """Name of the channel that learns on; by default the first of `recall.channels` that can."""


class ExplainConfig(Config):
    """The watched film that is named as the reason of a recommendation."""

    channel: str | None = None
    """Channel whose similarities alone choose the reason; by default all that recalled the film count."""
    decay: PositiveFloat = 20.0
    """Events after which a watched film counts 1/e as a reason: people remember what they just saw."""


class PipelineConfig(Config):
    """All that decides the published list besides the log."""

    top_n: PositiveInt = 50
    """Films published for each user."""
    objective: Literal["daily", "visit", "next"] = "daily"
    """Goal of weights and rankers: `daily`, the films of the next days; `visit`, the first ones of whoever
    comes back; or `next`, the very next film."""
    seed: NonNegativeInt = 0
    """Seed of everything that is drawn at random."""
    recall: RecallConfig = RecallConfig()
    """Candidate generation: which channels, how many candidates."""
    channels: dict[str, Settings] = Field(default_factory=dict)
    """Settings of channels by name, at any depth; `kind` says what a new name is, `preset` its start."""
    holdout: HoldoutConfig = HoldoutConfig()
    """The newest part of the log, held back to fit the merge and the rankers on."""
    merge: MergeConfig = MergeConfig()
    """The merge of the channels' candidates into one list."""
    prerank: PrerankConfig = PrerankConfig()
    """Pre-ranking: the candidates that are left to ranking, and who chooses them."""
    rank: RankConfig = RankConfig()
    """Ranking: the order of the candidates, and its training."""
    rankers: dict[str, Settings] = Field(default_factory=dict)
    """Settings of rankers by name, at any depth; `kind` says what a new name is."""
    rerank: RerankConfig = RerankConfig()
    """Re-ranking: from the order of single films to a list as a whole."""
    exploration: ExplorationConfig = ExplorationConfig()
    """Films drawn at random into lists, with known probability."""
    exposure: ExposureConfig = ExposureConfig()
    """Films that a user was shown lately and did not watch."""
    block_list: BlockListConfig = BlockListConfig()
    """Films that a user is not to be shown: asked for by the user, or told from what the user disliked."""
    incremental: IncrementalConfig = IncrementalConfig()
    """Learning on, from night to night and hour to hour."""
    experiments: dict[str, Settings] = Field(default_factory=dict)
    """Experiments by name: users in arms by a hash of their ids, some of whom get other lists."""
    graph: GraphConfig = GraphConfig()
    """The graph of films, whose communities are published."""
    questions: QuestionsConfig = QuestionsConfig()
    """Films to ask newcomers about."""
    explain: ExplainConfig = ExplainConfig()
    """Reasons of recommendations."""


def resolved(config: P) -> P:
    """The same with nothing left to defaults: every channel and ranker in use with all of its settings.

    Raises:
        ValueError: names or settings that make no sense together, in one line with what there is to choose
            from.
    """
    names = config.recall.channels
    if not 1 <= len(names) <= MAX_CHANNELS:
        raise ValueError(f"recall.channels: name 1 to {MAX_CHANNELS} channels, not {len(names)}")
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ValueError(f"recall.channels: {', '.join(twice)} is named twice")
    described = {name: channel_settings(config, name) for name in (*names, *config.channels)}
    _check_names("channels", config.channels)
    _check_names("rankers", config.rankers)
    kinds = {name: kind for name, (kind, _) in described.items()}
    _check_stages(config, names)
    channels = {name: {"kind": kind} | of.model_dump(mode="json") for name, (kind, of) in described.items()}
    rankers = {name: _ranker(config, name) for name in (config.rank.ranker, *config.rankers)}
    _check_formula(config, rankers)
    incremental = _incremental(config, names, kinds)
    if config.rerank.similarity == "two_tower" and incremental is None:
        raise ValueError("rerank.similarity: two_tower needs a channel that learns on, and none recalls")
    return config.but(
        channels=channels,
        rankers={
            name: {"kind": of.kind} | of.settings.model_dump(mode="json") for name, of in rankers.items()
        },
        incremental=IncrementalConfig(channel=incremental),
    )


def build_channel(config: PipelineConfig, name: str) -> Recaller:
    """The channel of this name with the settings it has here, yet to be fitted."""
    kind, settings = channel_settings(config, name)
    return CHANNELS[kind].make(settings)


def ranker_of(config: PipelineConfig, name: str | None = None) -> BuiltRanker:
    """The ranker that decides the published list, or the one of a name, with the settings it has here.

    Raises:
        ValueError: there is no such ranker, or its settings make no sense.
    """
    return _ranker(config, name or config.rank.ranker)


def incremental_channel(config: PipelineConfig) -> str | None:
    """The name of the channel that learns on; None where none of those that recall can."""
    names = config.recall.channels
    return _incremental(config, names, {name: channel_settings(config, name)[0] for name in names})


def pool_size(config: PipelineConfig) -> int:
    """Candidates of a user that are ranked: as many as are published, or lists chosen from, at least."""
    return max(config.rank.pool, list_pool(config))


def list_pool(config: PipelineConfig) -> int:
    """Candidates of a user, in the order of ranking, that the published list is made from.

    All that are ranked where a quota of fresh films asks for those beyond the pool of re-ranking.
    """
    if config.rerank.method == "none":
        return config.top_n
    pool = max(config.rerank.pool, config.top_n)
    return max(pool, config.rank.pool) if config.rerank.quotas.fresh else pool


def channel_settings(config: PipelineConfig, name: str) -> tuple[str, Config]:
    """Kind and settings of a channel; every seed that is not set is that of the configuration.

    Raises:
        ValueError: there is no such channel, or its settings make no sense.
    """
    changes = dict(config.channels.get(name, {}))
    kind = _kind("recall.channels", "channel", name, changes, config.channels, CHANNELS)
    preset = changes.pop("preset", None)
    base = CHANNELS[kind].settings
    if preset is not None:
        alike = tuple(n for n, channel in CHANNELS.items() if channel.make is CHANNELS[kind].make)
        if preset not in alike:
            raise ValueError(f"channels.{name}.preset: {choices(f'preset of {kind}', preset, alike)}")
        base = CHANNELS[preset].settings
    # Twice: what the changes bring up may have a seed of its own, and they may name one.
    seeded = with_seed(_configured(base, changes, f"channels.{name}"), config.seed)
    return kind, configured(seeded, changes)


def _channel_names(config: PipelineConfig) -> tuple[str, ...]:
    return (*CHANNELS, *(name for name in config.channels if name not in CHANNELS))


def _ranker(config: PipelineConfig, name: str) -> BuiltRanker:
    changes = dict(config.rankers.get(name, {}))
    kind = _kind("rank.ranker", "ranker", name, changes, config.rankers, RANKERS)
    _configured(RANKERS[kind].settings, changes, f"rankers.{name}")
    return build_ranker(kind, changes)


def _kind(
    used_in: str,
    what: str,
    name: str,
    changes: Settings,
    described: Mapping[str, Any],
    kinds: Mapping[str, Any],
) -> str:
    """Take the kind out of the settings of a name; without one, the name itself is the kind."""
    kind = str(changes.pop("kind", name))
    if kind in kinds:
        return kind
    if not described.get(name):
        others = tuple(other for other in dict.fromkeys((*kinds, *described)) if other != name)
        raise ValueError(f"{used_in}: {choices(what, name, others)}")
    if name == kind:
        raise ValueError(f"{what}s.{name}: a new {what} needs a kind; choose from {', '.join(kinds)}")
    raise ValueError(f"{what}s.{name}.kind: {choices(f'kind of {what}', kind, tuple(kinds))}")


def _configured(base: Config, changes: Mapping[str, Any], prefix: str) -> Config:
    try:
        return configured(base, changes)
    except ValidationError as error:
        raise ValueError(problem(error, type(base), prefix)) from None


def _check_names(section: str, names: Iterable[str]) -> None:
    """Names become those of files, columns and models, beside others that there are already."""
    for name in names:
        if not re.fullmatch(NAME, name):
            raise ValueError(f"{section}.{name}: a name is made of letters, digits, _ and -")
        if name in RESERVED:
            raise ValueError(
                f"{section}.{name}: the name is taken; choose one that is none of {', '.join(RESERVED)}"
            )


def _check_stages(config: PipelineConfig, names: tuple[str, ...]) -> None:
    """Names in the sections of the stages."""
    if config.rank.formula not in FORMULAS:
        raise ValueError(f"rank.formula: {choices('formula', config.rank.formula, tuple(FORMULAS))}")
    methods = (MERGED, *PRE_RANKERS)
    if config.prerank.method not in methods:
        raise ValueError(f"prerank.method: {choices('method', config.prerank.method, methods)}")
    fitted, preranked = config.merge.method == "fitted", config.prerank.method != MERGED
    _check_idle(
        "merge", fitted, "method is fitted", config.merge, "max_queries", "l2", "min_weight", "ema_decay"
    )
    _check_idle("holdout", config.objective == "next", "objective is next", config.holdout, "timed")
    is_daily = config.objective == "daily"
    _check_idle("merge", is_daily, "objective is daily", config.merge, "newcomers_until")
    at_one_time = not at_own_times(config.objective, config.holdout)
    _check_idle(
        "rerank", at_one_time, "objective is daily or visit", config.rerank, "absence", "least_weight"
    )
    source = config.exposure.source
    idle: tuple[str, ...] = ("window_days", "discount", "false_positive_rate", "negative_rate", "max_weight")
    _check_idle("exposure", source != "none", "source is reported or published", config.exposure, *idle)
    _check_idle("exposure", source == "published", "source is published", config.exposure, "published_ranks")
    by_genre = config.block_list.genre_dislikes is not None
    idle = ("genre_fraction", "dislike")
    _check_idle("block_list", by_genre, "genre_dislikes is set", config.block_list, *idle)
    idle = ("pool", "sampling", "folds", "settings")
    _check_idle("prerank", preranked, "method is a pre-ranker", config.prerank, *idle)
    if preranked:
        _configured(PRE_RANKERS[config.prerank.method].settings, config.prerank.settings, "prerank.settings")
        pool, n_ranked = config.prerank.pool, pool_size(config)
        if pool <= n_ranked:
            raise ValueError(
                f"prerank.pool: of {pool} candidates {n_ranked} are ranked: a pre-ranker would do nothing"
            )
    if config.merge.newcomers not in _channel_names(config):
        raise ValueError(
            f"merge.newcomers: {choices('channel', config.merge.newcomers, _channel_names(config))}"
        )
    if config.merge.newcomers not in (MergeConfig().newcomers, *names):
        raise ValueError(f"merge.newcomers: {config.merge.newcomers} is none of recall.channels")
    _check_rerank(config.rerank)
    if config.exploration.rate and pool_size(config) < 2 * config.top_n:
        raise ValueError(
            f"exploration.rate: beside the {config.top_n} films of a list as many must be left over of the "
            f"{pool_size(config)} that are ranked: raise rank.pool"
        )
    if config.explain.channel not in (None, *names):
        raise ValueError(f"explain.channel: {config.explain.channel} is none of recall.channels")


def _check_rerank(config: RerankConfig) -> None:
    """Every setting of a method that re-ranks nothing, or of a part that is off, would do nothing."""
    every = tuple(name for name in RerankConfig.model_fields if name != "method")
    _check_idle("rerank", config.method != "none", "method is mmr or dpp", config, *every)
    diverse = config.diversity > 0
    _check_idle("rerank", diverse, "diversity is above 0", config, "window", "similarity", "genre_weight")
    _check_idle("rerank", config.similarity == "blended", "similarity is blended", config, "genre_weight")
    _check_idle("rerank", config.calibration > 0, "calibration is above 0", config, "alpha")
    away = math.isfinite(config.absence)
    _check_idle("rerank", away, "absence is finite", config, "least_weight")
    rules, quotas, cap = config.rules, config.quotas, config.cap
    used = any(limit is not None for limit in (rules.genre, rules.franchise, rules.decade))
    _check_idle("rerank.rules", used, "a rule is set", rules, "window")
    _check_idle("rerank.quotas", quotas.fresh > 0, "fresh is above 0", quotas, "fresh_years", "fresh_ratings")
    _check_idle("rerank.quotas", quotas.long_tail > 0, "long_tail is above 0", quotas, "head")
    _check_idle("rerank.cap", cap.fraction < 1, "fraction is below 1", cap, "max_users")
    if quotas.fresh + quotas.long_tail > config.page_size:
        wanted = f"{quotas.fresh} and {quotas.long_tail}"
        raise ValueError(f"rerank.quotas: {wanted} films do not fit a page of {config.page_size}")


def _check_idle(section: str, used: bool, condition: str, config: Config, *names: str) -> None:
    """Refuse settings that would do nothing; only here, where all layers of a configuration are known."""
    try:
        only_where(used, condition, config, *names)
    except ValueError as error:
        raise ValueError(f"{section}: {error}") from None


def _check_formula(config: PipelineConfig, rankers: Mapping[str, BuiltRanker]) -> None:
    """A formula needs a ranker of several tasks, and its weights tasks that there are."""
    several = any(of.ranker.most_tasks != 1 for of in rankers.values())
    for name in ("formula", "weights"):
        if getattr(config.rank, name) != getattr(RankConfig(), name) and not several:
            raise ValueError(f"rank.{name} would do nothing: {' and '.join(rankers)} learns one task alone")
    weighed = (*TASKS[1:], *BEHAVIOUR_TASKS)
    for task in config.rank.weights:
        if task not in weighed:
            raise ValueError(f"rank.weights: {choices('task', task, weighed)}")


def _incremental(config: PipelineConfig, names: tuple[str, ...], kinds: Mapping[str, str]) -> str | None:
    able = [name for name in names if is_incremental(kinds[name])]
    chosen = config.incremental.channel
    if chosen is None:
        return able[0] if able else None
    if chosen not in able:
        choice = f"choose from {', '.join(able)}" if able else "none of recall.channels does"
        raise ValueError(f"incremental.channel: {chosen} is no recalling channel that learns on: {choice}")
    return chosen
