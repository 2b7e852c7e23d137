"""Rankers alone, on single ratings: each is trained on the same rows and asked for the same ones."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from models.dataset import Dataset
from models.evaluation.row_splits import CTR_PROTOCOLS
from models.evaluation.rows import Difference, MeasuredModel, Row, classifier_rows, compare_classifiers
from models.pipeline.config import PipelineConfig, ranker_of
from models.rank.networks import of_main_task
from models.rank.rating_rows import rating_rows
from models.rank.registry import RANKERS
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

    Raises:
        ValueError: the log is too small for the protocol.
    """
    seed = config.seed
    split = CTR_PROTOCOLS[protocol](dataset, seed, threshold)
    parts = (split.train, split.validation, split.test)
    train, validation, test = (rating_rows(dataset, rows, protocol in IN_TIME, threshold) for rows in parts)
    label, user = test.label[:, 0], dataset.user_idx[split.test]
    rows: list[Row] = []
    answers = {}
    for name in rankers:
        started = time.perf_counter()
        trained = ranker_of(config, name).fit(train, of_main_task(validation), seed)
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


def auxiliary_settings(rankers: Sequence[str]) -> dict[str, dict[str, float]]:
    """Settings by which those rankers that can learn other tasks beside liking do."""
    able = [name for name in rankers if "auxiliary" in type(RANKERS[name].settings).model_fields]
    return {name: {"auxiliary": AUXILIARY} for name in able}
