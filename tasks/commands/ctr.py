"""Rankers alone, on single ratings: each is trained on the same rows and asked for the same ones."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.dataset import Dataset
from models.evaluation.row_splits import CTR_PROTOCOLS, RowSplit, liked
from models.evaluation.rows import Difference, MeasuredModel, Row, classifier_rows, compare_classifiers
from models.pipeline.config import PipelineConfig, ranker_of
from models.rank.networks import of_main_task
from models.rank.rating_rows import STARS, graded_rows, rating_rows
from models.rank.registry import RANKERS, BuiltRanker
from models.rank.rows import Rows
from models.rank.validation import probability

logger = logging.getLogger("matinee")

IN_TIME = ("ctr-last",)
"""Protocols whose rows come with the history before them; with a random split that would be the answers."""


AUXILIARY = 0.3
"""Weight of the other tasks beside liking, of rankers that have such a weight."""


@dataclass(frozen=True)
class Measured:
    """Metrics of models, and how they differ from the baseline."""

    split: str
    """The hash of the split."""
    rows: list[Row]
    differences: dict[str, list[Difference]]
    """Differences of each model to the baseline, by stage/model."""


def measure(
    config: PipelineConfig,
    protocol: str,
    dataset: Dataset,
    rankers: Sequence[str],
    baseline: str | None = None,
    threshold: float | None = None,
) -> Measured:
    """AUC, GAUC and log loss of each ranker on the test rows; ``baseline`` is one of them.

    ``threshold`` is the least rating of a film that was liked; without one, 3 stars count for nothing.
    Rankers of several tasks, and those with auxiliary ones, also learn the highest and the lowest rating.
    Those that are graded by stars learn from validation rows and films rated 3 as well; they stop by nothing.

    Raises:
        ValueError: the log is too small for the protocol.
    """
    seed = config.seed
    split = CTR_PROTOCOLS[protocol](dataset, seed, threshold)
    label = liked(dataset, threshold)[split.test].astype(np.float32)
    user = dataset.user_idx[split.test]
    built = {name: ranker_of(config, name) for name in rankers}
    kinds = {_is_graded(ranker) for ranker in built.values()}
    parts = {graded: _parts(dataset, split, protocol, threshold, graded) for graded in kinds}
    rows: list[Row] = []
    answers = {}
    for name, ranker in built.items():
        train, validation, test = parts[_is_graded(ranker)]
        started = time.perf_counter()
        trained = ranker.fit(train, of_main_task(validation), seed)
        about = MeasuredModel("rank", name, seed, round(time.perf_counter() - started, 3))
        answers[name] = probability(trained.logits(test)[:, 0])
        rows += classifier_rows(label, answers[name], user, protocol, about)
        logger.info("%-18s fit %6.1f s", name, about.fit_seconds)
    differences = {
        f"rank/{name}": compare_classifiers(label, answer, answers[baseline], user)
        for name, answer in answers.items()
        if baseline is not None and name != baseline
    }
    return Measured(split.digest(dataset), rows, differences)


def auxiliary_settings(rankers: Sequence[str]) -> dict[str, dict[str, float | str]]:
    """Settings by which those rankers that can learn more than liking do."""
    fields = {name: type(RANKERS[name].settings).model_fields for name in rankers}
    more: dict[str, float | str] = {"auxiliary": AUXILIARY, "graded_by": STARS}
    chosen = {name: {key: more[key] for key in more if key in having} for name, having in fields.items()}
    return {name: settings for name, settings in chosen.items() if settings}


def _is_graded(ranker: BuiltRanker) -> bool:
    return getattr(ranker.settings, "graded_by", None) is not None


def _parts(
    dataset: Dataset, split: RowSplit, protocol: str, threshold: float | None, graded: bool
) -> tuple[Rows, Rows, Rows]:
    """Rows to learn from, to stop by and to answer."""
    if graded:
        every = np.sort(np.concatenate([split.train, split.validation, split.neutral]))
        numbers = (every, split.validation, split.test)
        train, validation, test = (graded_rows(dataset, rows, threshold) for rows in numbers)
    else:
        history = protocol in IN_TIME
        numbers = (split.train, split.validation, split.test)
        train, validation, test = (rating_rows(dataset, rows, history, threshold) for rows in numbers)
    return train, validation, test
