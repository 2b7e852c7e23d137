"""Films to ask a newcomer about: those whose answers say most about what else one likes.

An answer is 1 where the film was liked, -1 where it was disliked, and 0 where it was neither or is unknown:
hardly anybody has seen a rare film, so a question about it says little. Of the answers to all candidates with
the covariance C (M, M), the one question that explains most of the variance of all is

    argmax_i  sum_j C_ij^2 / C_ii        and then   C <- C - C_i C_i' / C_ii

for the next one: greedy column subset selection (Farahat, Ghodsi & Kamel 2013,
https://doi.org/10.1007/s10115-012-0569-1).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import PositiveInt, model_validator
from scipy.sparse import csr_array

from models.bounds import Positive
from models.config import Config
from models.dataset import Dataset, Doubles, Ints

NOTHING = 1e-12
"""Variance of what is explained already."""


class QuestionsConfig(Config):
    """Films to ask newcomers about."""

    n_films: PositiveInt = 30
    """Films to ask about, at most."""
    most_rated: PositiveInt = 1_000
    """Films that those are chosen from, the most rated."""
    like: Positive = 4.0
    """Stars from which a film was liked."""
    dislike: Positive = 2.0
    """Stars up to which a film was disliked."""

    @model_validator(mode="after")
    def _tells_apart(self) -> Self:
        if self.dislike >= self.like:
            raise ValueError(f"dislike ({self.dislike:g} stars) must be below like ({self.like:g})")
        return self


@dataclass(frozen=True)
class Questions:
    """Films to ask about, the most telling first."""

    item: Ints  # (Q,)
    explained: Doubles  # (Q,)
    """Fraction of the variance of all answers that the answers up to this question explain."""


def choose_questions(log: Dataset, config: QuestionsConfig) -> Questions:
    """The films to ask about; fewer than ``n_films`` where the answers to these tell those to all others."""
    rated = np.bincount(log.item_idx, minlength=log.n_items)
    candidates = np.argsort(-rated, kind="stable")[: config.most_rated].astype(np.int32)
    left = _covariance(log, candidates, config)
    total, chosen, explained = float(np.trace(left)), [], []
    for _ in range(config.n_films):
        variance = np.diag(left)
        gain = np.where(variance > NOTHING, (left**2).sum(axis=0) / np.maximum(variance, NOTHING), -1.0)
        best = int(np.argmax(gain))
        if gain[best] < 0:
            break
        left = left - np.outer(left[best], left[best] / left[best, best])
        chosen.append(best)
        explained.append(1 - float(np.trace(left)) / total)
    return Questions(candidates[chosen], np.array(explained))


def _covariance(log: Dataset, items: Ints, config: QuestionsConfig) -> Doubles:
    """(M, M) of the answers about each item of the users with a history."""
    number = np.full(log.n_items, -1, dtype=np.int64)
    number[items] = np.arange(len(items))
    # A film that was rated again counts once, by its newest rating.
    of_pair = log.user_idx.astype(np.int64) * log.n_items + log.item_idx
    newest = np.zeros(log.n_events, dtype=np.bool_)
    newest[log.n_events - 1 - np.unique(of_pair[::-1], return_index=True)[1]] = True
    answer = (log.rating >= config.like).astype(np.float64) - (log.rating <= config.dislike)
    used = newest & (answer != 0) & (number[log.item_idx] >= 0)
    cells = log.user_idx[used], number[log.item_idx[used]]
    answers = csr_array((answer[used], cells), shape=(log.n_users, len(items)))
    n_users = max(1, int((np.diff(log.indptr) > 0).sum()))
    mean = answers.sum(axis=0) / n_users
    covariance: Doubles = (answers.T @ answers).toarray() / n_users - np.outer(mean, mean)
    return covariance
