"""Predicted ratings of single rows: channels that learn ratings, and rankers whose label is the rating."""

import logging
import time
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from models.config import overlaid
from models.dataset import Dataset, Doubles, queries_at
from models.evaluation.row_splits import GOOD, RATING_PROTOCOLS, RowSplit
from models.evaluation.rows import MeasuredModel, Row, compare_ratings, rating_rows
from models.pipeline.config import PipelineConfig, build_channel, channel_settings, ranker_of
from models.rank.rating_rows import star_rows
from models.rank.validation import probability
from models.recall.contract import Rater
from models.recall.registry import CHANNELS, is_rater
from models.stars import Stars
from tasks.commands.ctr import Measured
from warehouse.errors import MatineeError

logger = logging.getLogger("matinee")

RATERS = ("lfm", "lfm_sgd")
"""Channels that are measured unless others are asked for."""

Predicted = tuple[str, str, float, Doubles]
"""Stage and name of a model, the seconds of its fit, and its ratings (N,)."""


def measure(
    config: PipelineConfig,
    protocol: str,
    dataset: Dataset,
    channels: Sequence[str],
    rankers: Sequence[str],
    baseline: str | None = None,
    threshold: float | None = None,
) -> Measured:
    """RMSE, MAE and AUC of each model on the test rows; ``baseline`` is one of them.

    AUC is of the ratings that reach the ``threshold``, by default 4.

    Raises:
        ValueError: the log is too small for the protocol, or a channel predicts no ratings.
    """
    split = RATING_PROTOCOLS[protocol](dataset, config.seed)
    good = GOOD if threshold is None else threshold
    rating, user = dataset.rating[split.test], dataset.user_idx[split.test]
    rows: list[Row] = []
    answers = {}
    for stage, name, seconds, answer in chain(
        _by_channels(config, dataset, split, channels), _by_rankers(config, dataset, split, rankers)
    ):
        about = MeasuredModel(stage, name, config.seed, round(seconds, 3))
        answers[f"{stage}/{name}"] = answer
        rows += rating_rows(rating, answer, user, good, protocol, about)
        logger.info("%-18s fit %6.1f s", name, seconds)
    base = next((key for key in answers if key.partition("/")[2] == baseline), None)
    differences = {
        key: compare_ratings(rating, answer, answers[base], user, good)
        for key, answer in answers.items()
        if base is not None and key != base
    }
    return Measured(split.digest(dataset), rows, differences)


def check_channels(config: PipelineConfig, channels: Sequence[str]) -> None:
    """Refuse channels of kinds that predict no ratings.

    Raises:
        MatineeError: one is of such a kind.
    """
    able = ", ".join(name for name in CHANNELS if is_rater(name))
    for name in channels:
        if not is_rater(channel_settings(config, name)[0]):
            raise MatineeError(f"channel {name} predicts no ratings: choose kinds among {able}")


def _by_channels(
    config: PipelineConfig, dataset: Dataset, split: RowSplit, channels: Sequence[str]
) -> Iterator[Predicted]:
    """Fitted on all rows that do not test; a user is asked with all that the training part has."""
    rest = np.ones(dataset.n_events, dtype=bool)
    rest[split.test] = False
    train = dataset.where(rest)
    users, query = np.unique(dataset.user_idx[split.test], return_inverse=True)
    queries = queries_at(train, users=users)
    for name in channels:
        started = time.perf_counter()
        channel: Rater = build_channel(config, name)  # type: ignore[assignment]
        channel.fit(train)
        seconds = time.perf_counter() - started
        try:
            yield "recall", name, seconds, channel.ratings(queries, query, dataset.item_idx[split.test])
        except ValueError as error:
            raise MatineeError(f"channel {name} {error}") from None


def _by_rankers(
    config: PipelineConfig, dataset: Dataset, split: RowSplit, rankers: Sequence[str]
) -> Iterator[Predicted]:
    """Networks stop by the validation rows; what does not stop early learns from them as well."""
    stars = Stars.of(dataset.rating)
    train, validation, test = (
        star_rows(dataset, rows) for rows in (split.train, split.validation, split.test)
    )
    both = star_rows(dataset, np.union1d(split.train, split.validation))
    for name in rankers:
        ranker = ranker_of(_stopping_by_rmse(config, name), name)
        started = time.perf_counter()
        trained = ranker.fit(train if ranker.ranker.stops_early else both, validation, config.seed)
        seconds = time.perf_counter() - started
        yield "rank", name, seconds, stars.rating(probability(trained.logits(test)[:, 0]))


def _stopping_by_rmse(config: PipelineConfig, name: str) -> PipelineConfig:
    """The same, where the training of a network stops by the error of the ratings."""
    if "training" not in type(ranker_of(config, name).settings).model_fields:
        return config
    by_error = {name: {"training": {"monitor": "rmse"}}}
    return config.but(rankers=overlaid(config.rankers, by_error))
