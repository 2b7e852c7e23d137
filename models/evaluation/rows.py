"""The rows that ``matinee evaluate`` prints and writes, and paired differences of two models."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.dataset import Doubles, Floats, Ints
from models.evaluation import metrics
from models.evaluation.bootstrap import (
    BootstrapConfig,
    percentile_interval,
    resampled_auc,
    resampled_ratios,
)
from models.evaluation.scores import OVERALL, Scores

UNDEFINED = (math.nan, math.nan)
"""The interval of a metric that has none."""

Measures = tuple[dict[str, float], Doubles]
"""The metrics of N predictions by name, and the same in each resample of users (R, M)."""


@dataclass(frozen=True)
class MeasuredModel:
    """The model that was measured, and its fit."""

    stage: str
    """Stage of the model: recall, merge, prerank, rank, rerank or published."""
    model: str
    """Name of a channel or a ranker, or ``merged``."""
    seed: int = 0
    """Seed that the model was fitted with."""
    fit_seconds: float | None = None
    """Wall time of fitting in seconds, JIT compilation left out; None if nothing was fitted."""


@dataclass(frozen=True)
class Row:
    """One value of a metric: an element of the JSON list of ``evaluate --out``; None for undefined."""

    stage: str
    model: str
    protocol: str
    slice: str
    metric: str
    k: int | None
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n_users: int
    n_events: int
    seed: int
    fit_seconds: float | None


@dataclass(frozen=True)
class Difference:
    """A value less that of a baseline on the same queries; they differ if 0 is outside the interval."""

    slice: str
    metric: str
    k: int | None
    value: float | None
    ci_low: float | None
    ci_high: float | None


def ranking_rows(scores: Scores, model: MeasuredModel, bootstrap: BootstrapConfig | None = None) -> list[Row]:
    """The rows of one model. Coverage and gini, which are no averages over users, have no interval."""
    bootstrap = bootstrap or BootstrapConfig()
    resampled = resampled_ratios(scores.numerator, scores.denominator, bootstrap)
    intervals = percentile_interval(resampled, bootstrap.level)
    averages = zip(scores.keys, scores.values(), zip(*intervals, strict=True), strict=True)
    catalogue = ((key, value, UNDEFINED) for key, value in scores.catalogue.items())
    return [
        _row(model, scores.protocol, key, value, interval, scores.size[key[0]])
        for key, value, interval in (*averages, *catalogue)
    ]


def classifier_rows(
    label: NDArray[np.generic],
    probability: NDArray[np.generic],
    user_idx: Ints,
    protocol: str,
    model: MeasuredModel,
    bootstrap: BootstrapConfig | None = None,
) -> list[Row]:
    """AUC, GAUC and log loss of N predictions; ``label`` is 0 or 1, ``probability`` between them."""
    config = bootstrap or BootstrapConfig()
    measured = _classified(label, probability, user_idx, config)
    return _prediction_rows(measured, user_idx, protocol, model, config)


def compare_classifiers(
    label: NDArray[np.generic],
    ours: NDArray[np.generic],
    theirs: NDArray[np.generic],
    user_idx: Ints,
    bootstrap: BootstrapConfig | None = None,
) -> list[Difference]:
    """Paired differences of two models' probabilities (N,) of the same rows, ``ours`` less ``theirs``."""
    config = bootstrap or BootstrapConfig()
    left, right = (_classified(label, values, user_idx, config) for values in (ours, theirs))
    return _prediction_differences(left, right, config)


def rating_rows(
    rating: Floats,
    predicted: Doubles,
    user_idx: Ints,
    threshold: float,
    protocol: str,
    model: MeasuredModel,
    bootstrap: BootstrapConfig | None = None,
) -> list[Row]:
    """RMSE and MAE of N predicted ratings, and their AUC for the ratings that reach the threshold."""
    config = bootstrap or BootstrapConfig()
    measured = _rated(rating, predicted, user_idx, threshold, config)
    return _prediction_rows(measured, user_idx, protocol, model, config)


def compare_ratings(
    rating: Floats,
    ours: Doubles,
    theirs: Doubles,
    user_idx: Ints,
    threshold: float,
    bootstrap: BootstrapConfig | None = None,
) -> list[Difference]:
    """Paired differences of two models' ratings (N,) of the same rows, ``ours`` less ``theirs``."""
    config = bootstrap or BootstrapConfig()
    left, right = (_rated(rating, values, user_idx, threshold, config) for values in (ours, theirs))
    return _prediction_differences(left, right, config)


def compare(scores: Scores, baseline: Scores, bootstrap: BootstrapConfig | None = None) -> list[Difference]:
    """Paired differences, ``scores`` less ``baseline``, of every averaged metric that both have.

    Raises:
        ValueError: the two were measured on different splits.
    """
    if scores.digest != baseline.digest:
        raise ValueError("a paired difference needs two models measured on the same split")
    bootstrap = bootstrap or BootstrapConfig()
    keys = [key for key in scores.keys if key in set(baseline.keys)]
    ours, theirs = scores.only(keys), baseline.only(keys)
    # Equal seeds draw equal users for both: that is what pairs them.
    resampled = resampled_ratios(ours.numerator, ours.denominator, bootstrap)
    resampled -= resampled_ratios(theirs.numerator, theirs.denominator, bootstrap)
    low, high = percentile_interval(resampled, bootstrap.level)
    differences = ours.values() - theirs.values()
    return [
        Difference(*key, *map(_finite, interval))
        for key, *interval in zip(keys, differences, low, high, strict=True)
    ]


def _classified(
    label: NDArray[np.generic], probability: NDArray[np.generic], user_idx: Ints, config: BootstrapConfig
) -> Measures:
    _, user, count = np.unique(user_idx, return_inverse=True, return_counts=True)
    within = metrics.grouped_auc(label, probability, user_idx)
    loss = np.bincount(user, metrics.log_loss(label, probability))
    numerator = np.stack([np.nan_to_num(within) * count, loss], axis=1)
    denominator = np.stack([np.isfinite(within) * count, count], axis=1).astype(np.float64)
    area = resampled_auc(label, probability, user_idx, config)[:, None]
    values = {
        "auc": metrics.auc(label, probability),
        "gauc": metrics.gauc(label, probability, user_idx),
        "logloss": loss.sum() / max(len(label), 1),
    }
    return values, np.concatenate([area, resampled_ratios(numerator, denominator, config)], axis=1)


def _rated(
    rating: Floats, predicted: Doubles, user_idx: Ints, threshold: float, config: BootstrapConfig
) -> Measures:
    _, user, count = np.unique(user_idx, return_inverse=True, return_counts=True)
    error = predicted - rating
    sums, counts = (
        np.stack(columns, axis=1).astype(np.float64)
        for columns in (
            [np.bincount(user, error**2), np.bincount(user, np.abs(error))],
            [count, count],
        )
    )
    resampled = resampled_ratios(sums, counts, config)
    resampled[:, 0] **= 0.5
    good = rating >= threshold
    area = resampled_auc(good, predicted, user_idx, config)[:, None]
    values = {
        "rmse": metrics.rmse(rating, predicted),
        "mae": float(np.abs(error).mean()),
        "auc": metrics.auc(good, predicted),
    }
    return values, np.concatenate([resampled, area], axis=1)


def _prediction_rows(
    measured: Measures, user_idx: Ints, protocol: str, model: MeasuredModel, config: BootstrapConfig
) -> list[Row]:
    values, resampled = measured
    intervals = zip(*percentile_interval(resampled, config.level), strict=True)
    size = len(np.unique(user_idx)), len(user_idx)
    return [
        _row(model, protocol, (OVERALL, metric, None), value, interval, size)
        for (metric, value), interval in zip(values.items(), intervals, strict=True)
    ]


def _prediction_differences(left: Measures, right: Measures, config: BootstrapConfig) -> list[Difference]:
    low, high = percentile_interval(left[1] - right[1], config.level)
    return [
        Difference(OVERALL, metric, None, _finite(value - right[0][metric]), _finite(bottom), _finite(top))
        for (metric, value), bottom, top in zip(left[0].items(), low, high, strict=True)
    ]


def _row(
    model: MeasuredModel,
    protocol: str,
    key: tuple[str, str, int | None],
    value: float,
    interval: Sequence[float],
    size: tuple[int, int],
) -> Row:
    return Row(
        model.stage,
        model.model,
        protocol,
        *key,
        _finite(value),
        _finite(interval[0]),
        _finite(interval[1]),
        *size,
        model.seed,
        model.fit_seconds,
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
