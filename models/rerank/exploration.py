"""Exploration: positions of lists get films at random, so that what was shown tells of lists that were not.

Each position is explored with the same probability; an explored one gets one of the candidates that are not
in the list, each as likely as any other. So with m of them, the propensity of a film at its position is

    rate / m  if it was drawn,  1 - rate  if it stands where it stood,

by which exposures are weighed (``models.experiments.off_policy``).
"""

import numpy as np

from models.bounds import BelowOne
from models.candidates import Candidates
from models.config import Config
from models.dataset import Doubles, Queries
from models.rerank.stage import random_keys

STREAM = 1 << 32
"""Added to the seed, so that bands and exploration draw other numbers."""


class ExplorationConfig(Config):
    """Films drawn at random into lists, with a probability that the rows name."""

    rate: BelowOne = 0.0
    """Probability with which a position of a list gets a film drawn from the candidates left over."""


def draw(
    listed: Candidates, left: Candidates, queries: Queries, rate: float, seed: int
) -> tuple[Candidates, Doubles]:
    """Lists (B, n) with films drawn from those left (B, m), and the propensity (B, n) of each at its rank.

    Padding is -1, anywhere in ``left``. Where fewer are left than a list has positions, it stays as it is.
    Drawn as :func:`models.rerank.stage.random_keys` says.
    """
    n = listed.n
    n_left = (left.item >= 0).sum(axis=1, keepdims=True)
    explores = n_left >= n
    if not explores.any():
        return listed, np.ones(listed.item.shape)
    key = random_keys(queries, n + left.n, seed + STREAM)
    is_drawn = explores & (key[:, :n] < rate) & (listed.item >= 0)
    order = np.argsort(np.where(left.item >= 0, key[:, n:], 1), axis=1, kind="stable")[:, :n]
    item, score = (
        np.where(is_drawn, np.take_along_axis(new, order, axis=1), old)
        for new, old in ((left.item, listed.item), (left.score, listed.score))
    )
    propensity = np.where(is_drawn, rate / np.maximum(n_left, 1), np.where(explores, 1 - rate, 1.0))
    return Candidates(item, score), propensity
