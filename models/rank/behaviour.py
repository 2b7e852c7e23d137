"""Tasks of rankers that a log of behaviour gives labels for: clicks, likes, time and part watched.

- ``click``: of what was shown, was it played?
- ``like``, ``collect``, ``share``: of what was played
- ``watch_time``: the time t by weighted logistic regression: label ``t / (1 + t)``, cross entropy with weight
  ``1 + t``, so that the odds ``exp(z)`` learn the mean of t. Covington, Adams and Sargin 2016, section 4.2,
  https://doi.org/10.1145/2959100.2959190. The unit is the mean: training starts from it, at z = 0
- ``completion``: the part watched, 0 to 1, by cross entropy; ``finish``: was it at least 80 %?

Long films are watched to a smaller part. So that they are not punished for it, ranking reads both divided by
what is usual for the length (:class:`LengthCurve`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.behaviour import Behaviour
from models.dataset import Doubles, Floats, Ints

FLAGS = {"like": "liked", "collect": "collected", "share": "shared"}
"""Tasks of what was played, and the column of their label."""

ODDS = ("watch_time",)
"""Tasks whose odds are predicted, with weight 1 + odds."""

BY_LENGTH = ("completion", "finish")
"""Tasks whose prediction is divided by what is usual for the length."""

GRADED = ("watch_time", "completion")
"""Tasks whose labels lie between 0 and 1."""

BEHAVIOUR_TASKS = ("click", *FLAGS, "watch_time", "completion", "finish")

FINISHED = 0.8
"""Part of a film from which on it counts as watched to its end."""

LEAST_ROWS = 50
"""Rows of films of known length that it takes to say what is usual."""


def behaviour_labels(behaviour: Behaviour, user: Ints, item: Ints) -> dict[str, Floats]:
    """(N,) labels of pairs (N,) by task, nan where there is none; only tasks whose labels differ."""
    clicked = behaviour.of("clicked", user, item)
    played = clicked == 1
    flags = {task: behaviour.of(name, user, item) for task, name in FLAGS.items()}
    seconds, length = (behaviour.of(name, user, item) for name in ("watch_seconds", "duration_seconds"))
    unit = 60 * behaviour.mean_minutes
    completion = np.minimum(seconds / length, 1)
    of_played = {**flags, "watch_time": seconds / (seconds + unit), "completion": completion}
    of_played["finish"] = np.where(np.isnan(completion), np.nan, completion >= FINISHED)
    labels = {"click": clicked} | {task: np.where(played, of, np.nan) for task, of in of_played.items()}
    return {task: label.astype(np.float32) for task, label in labels.items() if _differs(label)}


def graded_as_binary(label: Floats) -> Floats:
    """(N,) 1 for the labels above their median, 0 for others: what AUC and NDCG judge an order by."""
    return np.where(np.isnan(label), label, label > np.nanmedian(label)) if _differs(label) else label


@dataclass(frozen=True)
class LengthCurve:
    """The usual prediction for a length L: ``exp(w . (1, log L / u, L / u))``, constant beyond its bounds.

    The unit u is between the shortest and the longest.
    """

    weights: Doubles  # (3,)
    bounds: Doubles  # (2,) seconds, of the shortest and the longest film

    def __call__(self, length: NDArray[np.floating]) -> Doubles:
        """(N,) what is usual for films of these lengths; that of length u where it is not known."""
        unit = np.sqrt(self.bounds.prod())
        clipped = np.clip(np.where(np.isnan(length), unit, length), *self.bounds)
        usual: Doubles = np.exp(_basis(clipped / unit) @ self.weights)
        return usual


def fit_length_curve(length: NDArray[np.floating], predicted: Doubles) -> LengthCurve | None:
    """The curve of predictions (N,) for films of lengths (N,); None with too few films of known length.

    The maximum likelihood of a gamma distribution around the curve. Its gradient is 0 where the mean of
    ``predicted / usual`` is 1, and uncorrelated with L and log L.
    """
    usable = np.isfinite(length)
    length, predicted = length[usable].astype(np.float64), predicted[usable]
    if len(length) < LEAST_ROWS or length.min() == length.max():
        return None
    bounds = np.array([length.min(), length.max()])
    basis = _basis(length / np.sqrt(bounds.prod()))

    def loss(weights: Doubles) -> tuple[float, Doubles]:
        log_usual = basis @ weights
        over = predicted * np.exp(-log_usual)
        return float(np.mean(over + log_usual)), basis.T @ (1 - over) / len(over)

    from scipy.optimize import minimize

    start = np.array([np.log(predicted.mean()), 0, 0])
    found = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-7})
    return LengthCurve(found.x, bounds)


def _basis(length: Doubles) -> Doubles:
    """(N, 3) what the log of the usual is linear in."""
    return np.stack([np.ones_like(length), np.log(length), length], axis=1)


def minutes(probability: Doubles, unit: float) -> Doubles:
    """(N,) the predicted watch time, whose labels are in a unit of so many minutes."""
    return unit * probability / np.maximum(1 - probability, np.finfo(np.float64).tiny)


def _differs(label: NDArray[np.floating]) -> bool:
    labelled = label[~np.isnan(label)]
    return len(labelled) > 0 and bool((labelled != labelled[0]).any())
