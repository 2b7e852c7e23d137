"""Questions for newcomers: how good lists are that are made of the answers, against other films to ask about.

    python -m benchmarks.bench_questions SOURCE

A quarter of the users is held out. Similarities and questions are made of the others' ratings; each of the
quarter likes those of the films asked about that they rated with four stars or more, dislikes those with
two or less, and knows nothing of the others. Lists are made of the answers as `matinee recommend --likes`
makes them; what counts is NDCG@10 on all other films that the user rated, where a film that any of the ways
asks about is left out for all of them. Differences to questions about the most rated films are paired, with
95 % intervals over users.

`entropy0`, the entropy of a film's stars with unseen as one of them of half a weight, is of Rashid, Karypis &
Riedl, "Learning Preferences of New Users in Recommender Systems" (SIGKDD Explorations 2008,
https://doi.org/10.1145/1540276.1540302), which goes on from Rashid et al., "Getting to Know You" (IUI 2002).
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from models.candidates import Neighbours
from models.dataset import Dataset, Doubles, Ints
from models.questions import QuestionsConfig, choose_questions
from models.recall.registry import build
from tasks.commands.evaluate import read_log
from tasks.commands.lookup import LIKED_BY

HELD_OUT, COUNTS, LIST, NEAREST = 0.25, (3, 5, 10, 20), 10, 100
"""Fraction of the users; questions; length of lists; neighbours of a film as published."""

CONFIG = QuestionsConfig(n_films=max(COUNTS))


def main(source: str) -> None:
    """Print a table of NDCG by films that are asked about and number of questions."""
    log, _ = read_log(source)
    held_out = np.random.default_rng(0).random(log.n_users) < HELD_OUT
    train = log.where(~held_out[log.user_idx])
    near = _near(train)
    popular = np.bincount(train.item_idx, minlength=log.n_items).astype(np.float64)
    rating = _ratings(log)[held_out]
    for number in COUNTS:
        base, chosen = None, {name: choose(train)[:number] for name, choose in WAYS.items()}
        left_out = np.unique(np.concatenate(list(chosen.values())))
        for name, films in chosen.items():
            ndcg, n_liked = _measure(rating, films, left_out, near, popular)
            base = ndcg if base is None else base
            gain = ndcg - base
            half = 1.96 * gain.std() / np.sqrt(len(gain))
            print(
                f"{number:2d} questions  {name:12s} NDCG@{LIST} {ndcg.mean():.4f}  "
                f"less popular {gain.mean():+.4f} ± {half:.4f}  liked {n_liked:.2f}",
                flush=True,
            )


def _ratings(log: Dataset) -> Doubles:
    """(U, I) stars, 0 where a film was not rated."""
    cells = log.user_idx, log.item_idx
    found: Doubles = csr_array((log.rating, cells), shape=(log.n_users, log.n_items)).toarray()
    return found


def _near(log: Dataset) -> Any:
    """(I, I) similarities as published, summed over channels as fractions of a film's largest."""
    total = csr_array((log.n_items, log.n_items))
    for name in LIKED_BY:
        found = build(name).fit(log).tables().item_similarity
        assert isinstance(found, Neighbours)
        item, score = found.item[:, :NEAREST], found.score[:, :NEAREST]
        row, column = np.nonzero(item >= 0)
        part = score[row, column] / score[row, 0]
        total = total + csr_array((part, (row, item[row, column])), shape=total.shape)
    return total


def _measure(
    rating: Doubles, films: Ints, left_out: Ints, near: Any, popular: Doubles
) -> tuple[Doubles, float]:
    """(U,) NDCG of the lists of other films, and how many films a user likes of those asked about."""
    liked, disliked = (np.zeros(rating.shape, dtype=np.float32) for _ in range(2))
    liked[:, films] = rating[:, films] >= CONFIG.like
    disliked[:, films] = (rating[:, films] > 0) & (rating[:, films] <= CONFIG.dislike)
    toward = csr_array(liked) @ near
    score = (toward - csr_array(disliked) @ near).toarray()
    score = np.where((toward.toarray() > 0) & (score > 0), 1 + score, popular / popular.max())
    score[:, left_out] = -np.inf
    listed = np.argsort(-score, axis=1, kind="stable")[:, :LIST]
    wanted = rating > 0
    wanted[:, left_out] = False
    discount = 1 / np.log2(np.arange(LIST) + 2)
    ideal = np.cumsum(discount)[np.clip(wanted.sum(axis=1), 1, LIST) - 1]
    return np.take_along_axis(wanted, listed, axis=1) @ discount / ideal, float(liked.sum(axis=1).mean())


def _popular(log: Dataset) -> Ints:
    return np.argsort(-np.bincount(log.item_idx, minlength=log.n_items), kind="stable").astype(np.int32)


def _entropy0(log: Dataset) -> Ints:
    """Films by the entropy of their stars, unseen as one of them with half a weight."""
    stars = np.arange(1, 6)
    n_users = len(np.unique(log.user_idx))
    count = np.stack([np.bincount(log.item_idx[log.rating == s], minlength=log.n_items) for s in stars])
    chance = np.concatenate([n_users - count.sum(axis=0, keepdims=True), count]) / n_users
    entropy = -chance * np.log(np.maximum(chance, 1e-12))
    weight = np.array([0.5, 1, 1, 1, 1, 1])
    return np.argsort(-(weight @ entropy), kind="stable").astype(np.int32)


WAYS: dict[str, Callable[[Dataset], Ints]] = {
    "popular": _popular,
    "entropy0": _entropy0,
    "chosen": lambda log: choose_questions(log, CONFIG).item,
}
"""Ways to choose the films to ask about; the first is what the others are held against."""

if __name__ == "__main__":
    main(sys.argv[1])
