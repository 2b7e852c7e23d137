"""Tasks of rankers that a log of behaviour gives labels for: clicks, likes, time and part watched.

- ``click``: of what was shown, was it played?
- ``like``, ``collect``, ``share``: of what was played
- ``watch_time``: minutes t, by weighted logistic regression: label ``t / (1 + t)``, cross entropy with weight
  ``1 + t``, so that the odds ``exp(z)`` learn the mean of t. Covington, Adams and Sargin 2016, section 4.2,
  https://doi.org/10.1145/2959100.2959190
- ``completion``: the part watched, 0 to 1, by cross entropy; ``finish``: was it at least 80 %?

Long films are watched to a smaller part. So that they are not punished for it, ranking reads both divided by
what is usual for the length (:class:`LengthCurve`).
"""

from collections.abc import Sequence
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

POINTS = 10
"""Lengths between which a curve is linear, with equally many rows each."""

LEAST_ROWS = 50
"""Rows of a point at least."""


def behaviour_labels(behaviour: Behaviour, user: Ints, item: Ints) -> dict[str, Floats]:
    """(N,) labels of pairs (N,) by task, nan where there is none; only tasks whose labels differ."""
    clicked = behaviour.of("clicked", user, item)
    played = clicked == 1
    flags = {task: behaviour.of(name, user, item) for task, name in FLAGS.items()}
    seconds, length = (behaviour.of(name, user, item) for name in ("watch_seconds", "duration_seconds"))
    completion = np.minimum(seconds / length, 1)
    of_played = {**flags, "watch_time": seconds / (seconds + 60), "completion": completion}
    of_played["finish"] = np.where(np.isnan(completion), np.nan, completion >= FINISHED)
    labels = {"click": clicked} | {task: np.where(played, of, np.nan) for task, of in of_played.items()}
    return {task: label.astype(np.float32) for task, label in labels.items() if _differs(label)}


def graded_as_binary(label: Floats) -> Floats:
    """(N,) 1 for the labels above their median, 0 for others: what AUC and NDCG judge an order by."""
    return np.where(np.isnan(label), label, label > np.nanmedian(label)) if _differs(label) else label


@dataclass(frozen=True)
class LengthCurve:
    """The usual label by the length of a film: linear between its points, constant beyond them."""

    length: Doubles  # (K,) seconds, ascending
    value: Doubles  # (K,) above 0

    def __call__(self, length: NDArray[np.floating]) -> Doubles:
        """(N,) what is usual for films of these lengths; the mean of the points where it is not known."""
        usual = np.interp(length, self.length, self.value)
        found: Doubles = np.where(np.isnan(length), self.value.mean(), usual)
        return found


def fit_length_curve(length: NDArray[np.floating], label: Floats) -> LengthCurve | None:
    """The curve through the mean labels (N,) of films of about equal length (N,); None with too few."""
    usable = np.isfinite(length) & ~np.isnan(label)
    length, label = length[usable].astype(np.float64), label[usable]
    points = min(POINTS, len(length) // LEAST_ROWS)
    if not points:
        return None
    order = np.argsort(length, kind="stable")
    parts = np.array_split(order, points)
    middle = np.array([length[part].mean() for part in parts])
    value = np.array([label[part].mean(dtype=np.float64) for part in parts])
    return LengthCurve(middle, np.maximum(value, 1e-3))


def adjusted(task: str, probability: Doubles, curve: LengthCurve | None, length: Floats) -> Doubles:
    """(N,) what formulas read of a task: minutes of a watch time, a part by what is usual, else as it is."""
    if task in ODDS:
        return probability / np.maximum(1 - probability, np.finfo(np.float64).tiny)
    return probability if curve is None else probability / curve(length)


def odds_tasks(tasks: Sequence[str]) -> list[bool]:
    """(T,) which of the tasks predict odds."""
    return [task in ODDS for task in tasks]


def _differs(label: NDArray[np.floating]) -> bool:
    labelled = label[~np.isnan(label)]
    return len(labelled) > 0 and bool((labelled != labelled[0]).any())
